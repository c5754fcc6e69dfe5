//! Is this target slow? Slow answers are evidence of their own, and a state of their own.
//!
//! A slow target is not shut: it is *degraded*. Calls prefer others, and it gets one call at a
//! time now and then to show that it is quick again. Five quick answers in a row end it.
//!
//! ```text
//! slow      first content later than clamp(4 * median, 2 s, half the limit or 2 * median)
//! sum      += ln(p1 / p0) for a slow answer, ln((1-p1)/(1-p0)) for a quick one, never below 0
//!             p0 = clamp(baseline, 2 %, 13 %), p1 = 40 %
//! degraded  when sum >= 5: two slow answers in a row
//! trial     one call every 5 s, doubling to 15 s after a slow one and after one that lost to a
//!           hedge before it was late (that is no evidence); at once after a quick one
//! well      after 5 quick answers in a row, or 10 min after the last slow one
//! ```
//!
//! Invariants: at most one trial is in flight, and it ends by itself; a target is never degraded
//! by one slow answer. Source: engine.md 4.3, 4.4 (T7).

use core::time::Duration;

use crate::time::Timestamp;

/// The sum at which a target counts as degraded, in nats.
const THRESHOLD: f64 = 5.0;
/// How often an ill target is slow.
const P1: f64 = 0.40;
/// How much of the baseline one answer replaces.
const BASELINE_STEP: f64 = 1.0 / 200.0;
/// Evidence fades with this time constant, in seconds.
const FADES_IN_S: f64 = 300.0;
/// Quick answers in a row that end it.
const QUICK_IN_ROW: u32 = 5;
/// Without a slow answer for this long it is not slow any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(600);
/// Time between trials.
const TRIAL_EVERY: Duration = Duration::from_secs(5);
const TRIAL_EVERY_MAX: Duration = Duration::from_secs(15);

/// When the first content of an answer counts as late.
#[must_use]
pub fn threshold(median: Duration, limit: Duration) -> Duration {
    let floor = Duration::from_secs(2);
    // Who thinks for long is not late.
    let ceiling = (limit / 2).max(median * 2);
    (median * 4).clamp(floor.min(ceiling), ceiling)
}

/// What is known about the slowness of one model at one endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slowness {
    sum: f64,
    baseline: f64,
    seen_at: Timestamp,
    degraded: Option<Degraded>,
}

#[derive(Clone, Debug, PartialEq)]
struct Degraded {
    quick_in_row: u32,
    trial_at: Timestamp,
    every: Duration,
    slow_at: Timestamp,
}

impl Slowness {
    /// Whether others are preferred.
    #[must_use]
    pub fn is_degraded(&self, now: Timestamp) -> bool {
        self.degraded.as_ref().is_some_and(|degraded| now.since(degraded.slow_at) < FORGOTTEN_AFTER)
    }

    /// Whether a degraded target may have one call now.
    #[must_use]
    pub fn is_trial_due(&self, now: Timestamp) -> bool {
        let degraded = self.degraded.as_ref().filter(|_| self.is_degraded(now));
        degraded.is_some_and(|degraded| now >= degraded.trial_at)
    }

    /// A trial is on its way; the next one is due when this one must be over.
    pub fn trial_started(&mut self, now: Timestamp) {
        if let Some(degraded) = &mut self.degraded {
            degraded.trial_at = now + degraded.every;
        }
    }

    /// An answer was slow, or a hedge won against it: `weight` in thousandths. True if that makes
    /// the target degraded.
    pub fn was_slow(&mut self, weight: u32, now: Timestamp) -> bool {
        self.pass_time(now);
        if !self.is_degraded(now) {
            self.degraded = None;
        }
        self.learn(1.0);
        let step = libm::log(P1 / self.p0()) * f64::from(weight) / 1000.0;
        self.sum = (self.sum + step).min(2.0 * THRESHOLD);
        if let Some(degraded) = &mut self.degraded {
            degraded.slow_at = now;
            degraded.quick_in_row = 0;
            self.was_outrun(now);
            return false;
        }
        if self.sum < THRESHOLD {
            return false;
        }
        let trial_at = now + TRIAL_EVERY;
        self.degraded =
            Some(Degraded { quick_in_row: 0, trial_at, every: TRIAL_EVERY, slow_at: now });
        true
    }

    /// A trial lost a race before it was late: that says nothing, and the next one waits longer.
    pub fn was_outrun(&mut self, now: Timestamp) {
        if let Some(degraded) = &mut self.degraded {
            degraded.every = (degraded.every * 2).min(TRIAL_EVERY_MAX);
            degraded.trial_at = degraded.trial_at.max(now + degraded.every);
        }
    }

    /// An answer was quick. True if the target is well again.
    pub fn was_quick(&mut self, now: Timestamp) -> bool {
        self.pass_time(now);
        self.learn(0.0);
        let p0 = self.p0();
        self.sum = (self.sum + libm::log((1.0 - P1) / (1.0 - p0))).max(0.0);
        let Some(degraded) = &mut self.degraded else { return false };
        degraded.quick_in_row += 1;
        degraded.every = TRIAL_EVERY;
        // It is on its way: the next trial need not wait.
        degraded.trial_at = now;
        if degraded.quick_in_row < QUICK_IN_ROW {
            return false;
        }
        self.degraded = None;
        self.sum = 0.0;
        true
    }

    fn p0(&self) -> f64 {
        self.baseline.clamp(0.02, P1 / 3.0)
    }

    fn learn(&mut self, slow: f64) {
        if self.degraded.is_none() && self.sum < THRESHOLD / 2.0 {
            self.baseline += (slow - self.baseline) * BASELINE_STEP;
        }
    }

    fn pass_time(&mut self, now: Timestamp) {
        self.sum *= libm::exp(-now.since(self.seen_at).as_secs_f64() / FADES_IN_S);
        self.seen_at = self.seen_at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn degraded() -> Slowness {
        let mut slowness = Slowness::default();
        assert!(!slowness.was_slow(1000, at(1)), "one slow answer is nothing");
        assert!(slowness.was_slow(1000, at(2)));
        slowness
    }

    #[test]
    fn two_slow_answers_in_a_row_degrade_and_five_quick_ones_heal() {
        let mut slowness = degraded();
        assert!(!slowness.was_slow(1000, at(2)), "it is degraded once");
        for _ in 0..4 {
            assert!(!slowness.was_quick(at(3)));
        }
        assert!(slowness.is_degraded(at(3)));
        assert!(!slowness.is_degraded(at(602)), "nobody has called for ten minutes");
        assert!(slowness.is_degraded(at(601)));
        assert!(!slowness.is_trial_due(at(602)));
        assert!(slowness.was_quick(at(3)));
        assert!(!slowness.is_degraded(at(3)));
        assert!(!slowness.was_slow(1000, at(4)), "and starts anew");
    }

    #[test]
    fn a_race_lost_in_time_is_no_evidence_but_the_next_trial_waits_longer() {
        let mut slowness = degraded();
        assert!(slowness.is_trial_due(at(7)));
        slowness.trial_started(at(7));
        slowness.was_outrun(at(8));
        assert!(!slowness.is_trial_due(at(17)) && slowness.is_trial_due(at(18)));
        slowness.was_outrun(at(18));
        slowness.was_outrun(at(18));
        assert!(!slowness.is_trial_due(at(32)) && slowness.is_trial_due(at(33)), "15 s at most");
        assert!(slowness.is_degraded(at(601)) && !slowness.is_degraded(at(602)), "slow at 2 s");
        let mut well = Slowness::default();
        well.was_outrun(at(1));
        assert_eq!(well, Slowness::default(), "who is well has no trials");
    }

    #[test]
    fn quick_answers_between_slow_ones_keep_it_well() {
        let mut slowness = Slowness::default();
        for n in 0..200 {
            let now = at(n * 10);
            let degraded =
                if n % 20 == 0 { slowness.was_slow(1000, now) } else { slowness.was_quick(now) };
            assert!(!degraded, "{n}");
        }
        assert!(!slowness.was_slow(500, at(2_001)) && !slowness.was_slow(500, at(2_001)));
    }

    #[test]
    fn evidence_fades() {
        let mut slowness = Slowness::default();
        assert!(!slowness.was_slow(1000, at(1)));
        assert!(!slowness.was_slow(1000, at(900)));
        assert!(slowness.was_slow(1000, at(901)));
    }

    #[test]
    fn trials_are_paced() {
        let mut slowness = degraded();
        assert!(!slowness.is_trial_due(at(6)) && slowness.is_trial_due(at(7)));
        slowness.trial_started(at(7));
        assert!(!slowness.is_trial_due(at(11)) && slowness.is_trial_due(at(12)), "a lost one ends");
        let _ = slowness.was_slow(1000, at(8));
        assert!(!slowness.is_trial_due(at(17)) && slowness.is_trial_due(at(18)));
        slowness.trial_started(at(18));
        let _ = slowness.was_slow(1000, at(19));
        let _ = slowness.was_slow(1000, at(19));
        assert!(!slowness.is_trial_due(at(33)) && slowness.is_trial_due(at(34)), "15 s at most");
        assert!(!slowness.was_quick(at(34)));
        assert!(slowness.is_trial_due(at(34)), "it is on its way back");
        assert!(!Slowness::default().is_trial_due(at(99)), "who is well needs no trial");
    }

    #[test]
    fn late_is_four_times_the_usual_within_bounds() {
        let s = Duration::from_secs;
        assert_eq!(threshold(s(1), s(10)), s(4));
        assert_eq!(threshold(Duration::from_millis(100), s(10)), s(2));
        assert_eq!(threshold(s(2), s(10)), s(5));
        assert_eq!(threshold(s(9), s(10)), s(18), "nine seconds are usual");
        assert_eq!(threshold(Duration::from_millis(100), s(2)), s(1));
    }
}
