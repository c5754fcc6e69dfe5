//! When may a second attempt start beside the first, and who pays for it?
//!
//! Most of the pain of an outage is waiting. When the first content is later than nineteen in
//! twenty, another target is asked as well; who delivers first wins, the other is dropped. A late
//! loser is evidence (see `call.rs`): this is what finds a black hole after one or two calls.
//!
//! | | |
//! |---|---|
//! | after | p95 of the first content, at least 0.8 s, at most two thirds of the limit |
//! | | half of the limit while nothing is learned |
//! | probes | after at most 1.2 s, outside of the budget: a probe must not cost its caller much |
//! | degraded | after half the time |
//! | budget | a bucket of 10; each call pays 0.05, a hedge takes 1 |
//! | suspended | for 60 s when fewer than a fifth of the last 50 hedges won: everything is slow |
//!
//! Invariants: the bucket is never negative and never above its cap; a suspended hedge starts
//! nothing. Sources: engine.md 4.9; Dean, Barroso, "The tail at scale", 2013.

use core::time::Duration;

use crate::time::Timestamp;

/// Settings of hedges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HedgeConfig {
    /// Whether a second attempt may start at all. Default: true.
    pub enabled: bool,
    /// Hedges that the full bucket pays for. Default: 10.
    pub capacity: u32,
    /// What each call pays in, in thousandths of a hedge. Default: 50 (one in twenty).
    pub per_call_per_mille: u32,
    /// No hedge starts earlier. Default: 800 ms.
    pub delay_min: Duration,
    /// A probe's call goes on to the next target after this. Default: 1.2 s.
    pub probe_delay: Duration,
}

impl Default for HedgeConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            capacity: 10,
            per_call_per_mille: 50,
            delay_min: Duration::from_millis(800),
            probe_delay: Duration::from_millis(1200),
        }
    }
}

/// The last so many hedges are judged.
const JUDGED: u32 = 50;
/// Suspended below this many wins among them.
const WINS_MIN: u32 = JUDGED / 5;
/// For this long.
const SUSPENDED_FOR: Duration = Duration::from_secs(60);

impl HedgeConfig {
    /// When a second attempt may start, after the first one: from what is usual (`p95`) and from
    /// the limit on the first content.
    #[must_use]
    pub fn delay(&self, p95: Option<Duration>, limit: Duration, is_degraded: bool) -> Duration {
        let least = self.delay_min.min(limit / 3);
        let usual = p95.map_or(limit / 2, |p95| p95.clamp(least, limit * 2 / 3));
        if is_degraded { usual / 2 } else { usual }
    }

    /// The same for an attempt that probes.
    #[must_use]
    pub fn probe_delay(&self, p95: Option<Duration>) -> Duration {
        p95.map_or(self.probe_delay, |p95| p95.min(self.probe_delay))
    }
}

/// What bounds the hedges of all calls together.
#[derive(Clone, Debug)]
pub struct HedgeBudget {
    config: HedgeConfig,
    per_mille: u32,
    /// One bit per judged hedge, the last one lowest: did it win?
    results: u64,
    judged: u32,
    suspended_until: Timestamp,
}

impl HedgeBudget {
    /// A full bucket.
    #[must_use]
    pub const fn new(config: HedgeConfig) -> Self {
        let per_mille = config.capacity.saturating_mul(1000);
        let suspended_until = Timestamp::ZERO;
        Self { config, per_mille, results: 0, judged: 0, suspended_until }
    }

    /// Goes on with other settings.
    pub fn reconfigure(&mut self, config: HedgeConfig) {
        self.config = config;
        self.per_mille = self.per_mille.min(config.capacity.saturating_mul(1000));
    }

    /// A call has begun.
    pub fn deposit(&mut self) {
        let full = self.config.capacity.saturating_mul(1000);
        self.per_mille = self.per_mille.saturating_add(self.config.per_call_per_mille).min(full);
    }

    /// Takes one hedge out; false, and nothing changes, if there is none or hedging is suspended.
    pub fn withdraw(&mut self, now: Timestamp) -> bool {
        if now < self.suspended_until {
            return false;
        }
        match self.per_mille.checked_sub(1000) {
            Some(left) => {
                self.per_mille = left;
                true
            }
            None => false,
        }
    }

    /// A hedge was decided.
    pub fn judge(&mut self, won: bool, now: Timestamp) {
        self.results = (self.results << 1) + u64::from(won);
        self.judged = (self.judged + 1).min(JUDGED);
        let wins = (self.results & ((1 << JUDGED) - 1)).count_ones();
        if self.judged == JUDGED && wins < WINS_MIN {
            self.suspended_until = now + SUSPENDED_FOR;
            // Half of the past is forgiven, so that hedging can prove itself afterwards.
            self.judged = JUDGED / 2;
        }
    }

    /// What is left, in thousandths of a hedge.
    #[must_use]
    pub const fn left_per_mille(&self) -> u32 {
        self.per_mille
    }

    /// Until when nothing is hedged.
    #[must_use]
    pub const fn suspended_until(&self) -> Timestamp {
        self.suspended_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }
    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn hedges_start_late_enough_to_be_rare_and_early_enough_to_help() {
        let config = HedgeConfig::default();
        let limit = ms(9_000);
        assert_eq!(config.delay(None, limit, false), ms(4_500));
        assert_eq!(config.delay(Some(ms(2_000)), limit, false), ms(2_000));
        assert_eq!(config.delay(Some(ms(2_000)), limit, true), ms(1_000));
        assert_eq!(config.delay(Some(ms(100)), limit, false), ms(800));
        assert_eq!(config.delay(Some(ms(8_000)), limit, false), ms(6_000));
        assert_eq!(config.delay(Some(ms(8_000)), ms(600), false), ms(400));
        assert_eq!(config.delay(Some(ms(1)), ms(600), false), ms(200));
        assert_eq!(config.probe_delay(None), ms(1_200));
        assert_eq!(config.probe_delay(Some(ms(300))), ms(300));
        assert_eq!(config.probe_delay(Some(ms(3_000))), ms(1_200));
    }

    #[test]
    fn one_call_in_twenty_pays_for_a_hedge() {
        let mut budget = HedgeBudget::new(HedgeConfig::default());
        let mut granted = 0;
        for _ in 0..1000 {
            budget.deposit();
            granted += u32::from(budget.withdraw(at(1)));
        }
        // The first call finds the bucket full, so its deposit is lost.
        assert_eq!(granted, 10 + 49);
        assert!(budget.left_per_mille() < 1000);
        let small = HedgeConfig { capacity: 2, ..HedgeConfig::default() };
        let mut full = HedgeBudget::new(HedgeConfig::default());
        full.reconfigure(small);
        full.deposit();
        assert_eq!(full.left_per_mille(), 2000);
    }

    #[test]
    fn hedges_that_do_not_win_are_suspended_for_a_minute() {
        let mut budget = HedgeBudget::new(HedgeConfig::default());
        for n in 0..50 {
            assert!(budget.suspended_until() == Timestamp::ZERO, "{n}");
            budget.judge(n % 6 == 0, at(10));
        }
        assert_eq!(budget.suspended_until(), at(70));
        assert!(!budget.withdraw(at(69)) && budget.withdraw(at(70)));
        for _ in 0..24 {
            budget.judge(false, at(70));
        }
        assert_eq!(budget.suspended_until(), at(70), "judged anew");
        budget.judge(false, at(70));
        assert_eq!(budget.suspended_until(), at(130));
    }

    #[test]
    fn hedges_that_win_one_time_in_five_go_on() {
        let mut budget = HedgeBudget::new(HedgeConfig::default());
        for n in 0..500 {
            budget.judge(n % 5 == 0, at(10));
        }
        assert_eq!(budget.suspended_until(), Timestamp::ZERO);
    }
}
