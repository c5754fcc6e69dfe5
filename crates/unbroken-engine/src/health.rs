//! When to look after a target that nobody calls, and what a look proves.
//!
//! | look | costs | when | proves |
//! |---|---|---|---|
//! | a live call | nothing | whenever one comes | everything |
//! | the list of models | nothing | every 30 s; every 5 s while the endpoint is refused | the endpoint is reached |
//! | a tiny request | a few tokens | a shut target, 30 s after its wait, every 30 s | the model is served |
//! | the same, as exercise | a few tokens | a target that nobody asked for a while, if wanted | it could stand in |
//! | the provider's status page | nothing | every minute, if configured | nothing: half of the evidence is enough |
//!
//! The list of models says nothing about whether one is served, so it never closes a serving breaker;
//! it closes and opens the endpoint's own. No data means unknown, never ill.
//!
//! Invariants: no endpoint is checked twice at once; tiny requests stay below `daily_max` per
//! endpoint and day. Sources: engine.md 4.5; seed document, second listing.

use core::time::Duration;

use crate::random::Random;
use crate::time::Timestamp;

/// Settings of the active health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// Whether endpoints are checked at all. Default: true.
    pub enabled: bool,
    /// Time between two checks of an endpoint, moved by up to 10 %. Default: 30 s.
    pub interval: Duration,
    /// The same while the endpoint is refused by its breaker. Default: 5 s.
    pub interval_when_ill: Duration,
    /// How long a check may take. Default: 2 s.
    ///
    /// Source: seed document, section "health checks and monitoring".
    pub timeout: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(30),
            interval_when_ill: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
        }
    }
}

/// Settings of the probes with a real, tiny request, where no call comes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyntheticConfig {
    /// Whether there are any. Default: true.
    pub enabled: bool,
    /// A shut target waits so long for a call that could probe it. Default: 30 s.
    pub after: Duration,
    /// Time between two probes of a target. Default: 30 s.
    pub interval: Duration,
    /// A target that nobody has asked for this long is asked something tiny, to see whether it
    /// could stand in. Default: none, because it costs money while nothing is wrong.
    pub exercise: Option<Duration>,
    /// Probes per endpoint and day: what they may cost. Default: 500, about 20,000 tokens.
    pub daily_max: u32,
}

impl Default for SyntheticConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            after: Duration::from_secs(30),
            interval: Duration::from_secs(30),
            exercise: None,
            daily_max: 500,
        }
    }
}

impl HealthConfig {
    /// When to check again.
    #[must_use]
    pub fn next(&self, is_ill: bool, now: Timestamp, random: &mut Random) -> Timestamp {
        let interval = if is_ill { self.interval_when_ill } else { self.interval };
        now + random.jittered(interval, 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ill_endpoint_is_looked_after_more_often() {
        let mut random = Random::seeded(2);
        let config = HealthConfig::default();
        let well = config.next(false, Timestamp::ZERO, &mut random).since(Timestamp::ZERO);
        let ill = config.next(true, Timestamp::ZERO, &mut random).since(Timestamp::ZERO);
        assert!((27_000..=33_000).contains(&well.as_millis()), "{well:?}");
        assert!((4_500..=5_500).contains(&ill.as_millis()), "{ill:?}");
    }
}
