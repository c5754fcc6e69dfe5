//! How long to wait before the same target is asked again?
//!
//! Exponential with full jitter: the `n`-th wait is anywhere between nothing and
//! `base * 2^n`, capped. Full jitter spreads the clients of an outage evenly, so that a target
//! which comes back is not hit by all of them at once. A wait that the target itself asked for is
//! another matter (`cooldown.rs`).
//!
//! Invariants: no wait is shorter than `floor` nor longer than `cap`. With the defaults the upper
//! ends are 250 ms, 500 ms, 1 s, 2 s, 4 s and then 8 s.
//!
//! Source: engine.md 4.7; Brooker, "Exponential backoff and jitter", 2015.

use core::time::Duration;

use crate::random::{Random, scaled};

/// Settings of the waits between attempts at the same target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// No wait is shorter. Default: 50 ms.
    pub floor: Duration,
    /// Upper end of the first wait; doubles with every further one. Default: 250 ms.
    ///
    /// Source: engine.md section 0, decision 5 (a 5xx is retried once after 50-250 ms).
    pub base: Duration,
    /// No wait is longer, whatever was asked for. Default: 8 s.
    pub cap: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self {
            floor: Duration::from_millis(50),
            base: Duration::from_millis(250),
            cap: Duration::from_secs(8),
        }
    }
}

impl BackoffConfig {
    /// The wait before retry number `retry` (the first is 0).
    #[must_use]
    pub fn wait(&self, retry: u32, random: &mut Random) -> Duration {
        let ceiling = scaled(self.base, 1_u64 << retry.min(30), 1).min(self.cap);
        let floor = self.floor.min(ceiling);
        floor.saturating_add(random.up_to(ceiling.saturating_sub(floor)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_the_cap_and_are_spread_over_the_whole_range() {
        let config = BackoffConfig::default();
        let mut random = Random::seeded(5);
        for (retry, ceiling) in [(0, 250), (1, 500), (4, 4_000), (5, 8_000), (31, 8_000)] {
            let waits: alloc::vec::Vec<Duration> =
                (0..500).map(|_| config.wait(retry, &mut random)).collect();
            let longest = waits.iter().max().copied().unwrap_or_default();
            let shortest = waits.iter().min().copied().unwrap_or_default();
            assert!(longest < Duration::from_millis(ceiling), "retry {retry}: {longest:?}");
            assert!(longest > Duration::from_millis(ceiling * 9 / 10), "retry {retry}");
            assert!(shortest >= config.floor, "retry {retry}: {shortest:?}");
            assert!(shortest < config.floor + Duration::from_millis(ceiling / 10));
        }
    }
}
