//! Is this target failing? Detectors are a choice behind one type; the breaker asks, they count.
//!
//! `Consecutive` is the simple baseline that always stays: so many failures in a row, with no
//! success between them. It is quick on hard outages (three calls) and blind to partial ones.
//!
//! `Sequential`, the default, is a cumulative sum (CUSUM): every outcome adds the logarithm of how
//! much likelier it is from an ill target than from a well one, and the sum never falls below zero.
//!
//! ```text
//! p0 = clamp(2 * baseline, 2 %, 10 %)     how often a well target fails
//! p1 = max(30 %, 3 * p0)                  how often an ill one does
//! failure  sum += weight * ln(p1 / p0)                 2.71 at first
//! success  sum  = max(0, sum + ln((1-p1) / (1-p0)))   -0.34 at first
//! silence  sum *= exp(-idle / 30 min)
//! trip     sum >= threshold + ln(max(1, outcomes per second / 0.5))
//! ```
//!
//! Three hard failures in a row trip it at low rates, four at 2 calls/s, five at 20; three in ten
//! trip it after about ten calls, where "three in a row" needs 36; and 5 % of background failures
//! never do, where "three in a row" trips twice a day. The threshold grows with the rate so that
//! false trips are bounded per hour, not per call. The baseline is learned from quiet times only.
//!
//! Invariants: one failure of full weight never trips a fresh detector whose threshold is above
//! `ln 15`; the sum is never negative and never grows by more than one step; the baseline stays
//! between 0 and 1 and is not poisoned by an outage.
//!
//! Sources: seed document, "circuit breaker pattern"; engine.md 4.3; Page, "Continuous inspection
//! schemes", 1954.

use core::num::NonZeroU32;

use crate::time::Timestamp;

/// A whole failure, in thousandths. Weaker evidence weighs less.
pub const WHOLE: u32 = 1000;

/// The probability of failure that a detector starts from, before it has learned any.
const BASELINE_AT_FIRST: f64 = 0.005;
/// How much of the baseline one outcome replaces.
const BASELINE_STEP: f64 = 1.0 / 200.0;
/// Evidence fades with this time constant while nothing happens, in seconds.
const FADES_IN_S: f64 = 1800.0;
/// The outcome rate is averaged over this time, in seconds.
const RATE_OVER_S: f64 = 60.0;
/// More failures in a row are not counted, in thousandths: no threshold is higher.
const IN_ROW_MAX: u32 = 1_000_000;
/// More evidence is not summed up, in nats: no threshold is higher.
const SUM_MAX: f64 = 1_000.0;
/// At this rate, in outcomes per second, the threshold begins to grow.
const RATE_FREE: f64 = 0.5;

/// Which detector a breaker uses, and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorConfig {
    /// Trips after this many failures in a row. Default: 3.
    Consecutive {
        /// Failures in a row that trip the breaker.
        failure_threshold: NonZeroU32,
    },
    /// Trips when failures have become likelier than the baseline explains.
    Sequential {
        /// The evidence that trips, in thousandths of a nat. Default: 7000.
        threshold_milli: NonZeroU32,
    },
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self::sequential(7000)
    }
}

impl DetectorConfig {
    /// `Consecutive` with `failure_threshold` failures; zero counts as one.
    #[must_use]
    pub const fn consecutive(failure_threshold: u32) -> Self {
        Self::Consecutive { failure_threshold: at_least_one(failure_threshold) }
    }

    /// `Sequential` with a threshold in thousandths of a nat; zero counts as one.
    #[must_use]
    pub const fn sequential(threshold_milli: u32) -> Self {
        Self::Sequential { threshold_milli: at_least_one(threshold_milli) }
    }
}

const fn at_least_one(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// What a detector remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Detector {
    /// Failures since the last success, in thousandths.
    in_row_milli: u32,
    /// The sum of the evidence, in nats.
    sum: f64,
    /// The learned probability of failure in quiet times.
    baseline: f64,
    /// Outcomes per second, averaged.
    rate: f64,
    seen_at: Timestamp,
}

impl Default for Detector {
    fn default() -> Self {
        let (sum, rate, seen_at) = (0.0, 0.0, Timestamp::ZERO);
        Self { in_row_milli: 0, sum, baseline: BASELINE_AT_FIRST, rate, seen_at }
    }
}

impl Detector {
    /// Counts a failure of `weight` thousandths.
    pub fn failed(&mut self, config: DetectorConfig, weight: u32, now: Timestamp) {
        self.pass_time(now);
        let weight = weight.min(WHOLE);
        self.learn(config, f64::from(weight) / f64::from(WHOLE));
        self.in_row_milli = (self.in_row_milli + weight).min(IN_ROW_MAX);
        let (p0, p1) = self.hypotheses();
        let step = libm::log(p1 / p0) * f64::from(weight) / f64::from(WHOLE);
        // A sum far beyond the threshold would take long to fall again.
        self.sum = (self.sum + step).min(self.threshold(config) + step);
    }

    /// Counts a success.
    pub fn succeeded(&mut self, config: DetectorConfig, now: Timestamp) {
        self.pass_time(now);
        self.learn(config, 0.0);
        self.in_row_milli = 0;
        let (p0, p1) = self.hypotheses();
        self.sum = (self.sum + libm::log((1.0 - p1) / (1.0 - p0))).max(0.0);
    }

    /// Forgets the evidence, but not what was learned about quiet times.
    pub const fn reset(&mut self) {
        self.in_row_milli = 0;
        self.sum = 0.0;
    }

    /// Goes on with other settings: there is no more evidence than what trips now.
    ///
    /// Source: engine.md 4.13.
    pub fn reconfigure(&mut self, config: DetectorConfig) {
        self.sum = self.sum.min(self.threshold(config)).min(SUM_MAX);
        if let DetectorConfig::Consecutive { failure_threshold } = config {
            let most = failure_threshold.get().saturating_mul(WHOLE);
            self.in_row_milli = self.in_row_milli.min(most);
        }
    }

    /// How much of what trips is there, from 0 to 1 and a little beyond.
    #[must_use]
    pub fn level(&self, config: DetectorConfig) -> f64 {
        match config {
            DetectorConfig::Consecutive { failure_threshold } => {
                f64::from(self.in_row_milli)
                    / (f64::from(failure_threshold.get()) * f64::from(WHOLE))
            }
            DetectorConfig::Sequential { .. } => self.sum / self.threshold(config),
        }
    }

    /// Failures since the last success, in thousandths of a whole one.
    #[must_use]
    pub const fn in_row_milli(&self) -> u32 {
        self.in_row_milli
    }

    /// The learned probability of failure in quiet times.
    #[must_use]
    pub const fn baseline(&self) -> f64 {
        self.baseline
    }

    /// Outcomes per second, averaged over a minute.
    #[must_use]
    pub const fn rate(&self) -> f64 {
        self.rate
    }

    /// The sum that trips, in nats.
    fn threshold(&self, config: DetectorConfig) -> f64 {
        match config {
            DetectorConfig::Consecutive { .. } => f64::INFINITY,
            DetectorConfig::Sequential { threshold_milli } => {
                let crowd = libm::log((self.rate / RATE_FREE).max(1.0));
                f64::from(threshold_milli.get()) / 1000.0 + crowd
            }
        }
    }

    fn hypotheses(&self) -> (f64, f64) {
        let p0 = (2.0 * self.baseline).clamp(0.02, 0.10);
        (p0, (3.0 * p0).max(0.30))
    }

    /// Quiet times teach what is usual; an outage must not become the new usual.
    fn learn(&mut self, config: DetectorConfig, failure: f64) {
        if self.level(config) < 0.5 {
            self.baseline += (failure - self.baseline) * BASELINE_STEP;
        }
    }

    fn pass_time(&mut self, now: Timestamp) {
        let idle = now.since(self.seen_at).as_secs_f64();
        self.seen_at = self.seen_at.max(now);
        self.sum *= libm::exp(-idle / FADES_IN_S);
        self.rate = self.rate * libm::exp(-idle / RATE_OVER_S) + 1.0 / RATE_OVER_S;
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::random::Random;

    /// How many outcomes, one per `gap`, until it trips; `None` if it does not within `most`.
    fn trips_after(config: DetectorConfig, per_mille: u32, seed: u64, most: u32) -> Option<u32> {
        let (mut detector, mut random) = (Detector::default(), Random::seeded(seed));
        let mut now = Timestamp::ZERO;
        for n in 1..=most {
            now += Duration::from_millis(500);
            if random.chance(per_mille) {
                detector.failed(config, WHOLE, now);
            } else {
                detector.succeeded(config, now);
            }
            if detector.level(config) >= 1.0 {
                return Some(n);
            }
        }
        None
    }

    #[test]
    fn other_settings_keep_the_evidence_but_no_more_of_it_than_trips() {
        let (high, low) = (DetectorConfig::sequential(9000), DetectorConfig::sequential(3000));
        let mut detector = Detector::default();
        for _ in 0..3 {
            detector.failed(high, WHOLE, Timestamp::ZERO);
        }
        detector.reconfigure(low);
        assert!((detector.level(low) - 1.0).abs() < 1e-9, "{detector:?}");
        let three = DetectorConfig::consecutive(2);
        detector.reconfigure(three);
        assert_eq!(detector.in_row_milli(), 2 * WHOLE);
    }

    fn median_trip(config: DetectorConfig, per_mille: u32) -> Option<u32> {
        let mut trips: alloc::vec::Vec<u32> = (0..201)
            .map(|seed| trips_after(config, per_mille, seed, 2000).unwrap_or(u32::MAX))
            .collect();
        trips.sort_unstable();
        Some(trips[100]).filter(|trip| *trip < u32::MAX)
    }

    #[test]
    fn consecutive_counts_failures_in_a_row() {
        let (config, now) = (DetectorConfig::consecutive(3), Timestamp::ZERO);
        let mut detector = Detector::default();
        detector.failed(config, WHOLE, now);
        detector.failed(config, WHOLE, now);
        assert!(detector.level(config) < 1.0);
        detector.succeeded(config, now);
        assert_eq!(detector.in_row_milli(), 0);
        detector.failed(config, 500, now);
        detector.failed(config, WHOLE, now);
        detector.failed(config, WHOLE, now);
        assert_eq!(detector.in_row_milli(), 2500, "half a failure is half a failure");
        assert!(detector.level(config) < 1.0);
        detector.failed(config, 500, now);
        assert!(detector.level(config) >= 1.0);
        assert_eq!(DetectorConfig::consecutive(0), DetectorConfig::consecutive(1));
    }

    #[test]
    fn the_sequential_detector_is_as_quick_as_promised() {
        let sequential = DetectorConfig::default();
        assert_eq!(trips_after(sequential, 1000, 1, 10), Some(3), "three in a row");
        let thirty = median_trip(sequential, 300).unwrap();
        assert!((6..=14).contains(&thirty), "30 % after {thirty}");
        let twenty = median_trip(sequential, 200).unwrap();
        assert!((12..=60).contains(&twenty), "20 % after {twenty}");
        assert!(median_trip(DetectorConfig::consecutive(3), 300).unwrap() > 2 * thirty);
    }

    #[test]
    fn background_failures_do_not_trip_it() {
        let trips = |config, per_mille| {
            (0..20).filter(|seed| trips_after(config, per_mille, *seed, 5000).is_some()).count()
        };
        assert_eq!(trips(DetectorConfig::default(), 10), 0, "1 %, 100,000 outcomes");
        assert!(trips(DetectorConfig::default(), 30) <= 3, "3 %, 100,000 outcomes");
    }

    #[test]
    fn at_high_rates_more_evidence_is_asked_for() {
        let config = DetectorConfig::default();
        let mut busy = Detector::default();
        for n in 0..6_000_u64 {
            busy.succeeded(config, Timestamp::from_nanos(n * 50_000_000));
        }
        assert!((19.0..21.0).contains(&busy.rate()), "{}", busy.rate());
        let now = Timestamp::from_nanos(6_000 * 50_000_000);
        let mut once = busy.clone();
        once.failed(config, WHOLE, now);
        let threshold = 7.0 + libm::log(once.rate() / 0.5);
        assert!((once.level(config) - libm::log(15.0) / threshold).abs() < 1e-9);
        for expected in [false, false, false, true] {
            busy.failed(config, WHOLE, now);
            assert_eq!(busy.level(config) >= 1.0, expected, "{}", busy.level(config));
        }
    }

    #[test]
    fn a_failure_adds_and_a_success_takes_what_the_table_says() {
        let (config, now) = (DetectorConfig::default(), Timestamp::ZERO);
        let mut detector = Detector::default();
        detector.failed(config, WHOLE, now);
        assert!((detector.level(config) * 7.0 - libm::log(0.30 / 0.02)).abs() < 1e-9);
        detector.succeeded(config, now);
        let left = libm::log(0.30 / 0.02) + libm::log(0.70 / 0.98);
        assert!((detector.level(config) * 7.0 - left).abs() < 1e-9, "{}", detector.level(config));
    }

    #[test]
    fn half_of_what_trips_is_no_quiet_time() {
        let (config, now) = (DetectorConfig::consecutive(2), Timestamp::ZERO);
        let mut detector = Detector::default();
        detector.failed(config, WHOLE, now);
        let learned = 0.005 + 0.995 / 200.0;
        assert!((detector.baseline() - learned).abs() < 1e-12);
        detector.failed(config, WHOLE, now);
        assert!((detector.baseline() - learned).abs() < 1e-12, "{}", detector.baseline());
    }

    #[test]
    fn evidence_fades_and_an_outage_is_not_learned_as_usual() {
        let config = DetectorConfig::default();
        let mut detector = Detector::default();
        detector.failed(config, WHOLE, Timestamp::ZERO);
        detector.failed(config, WHOLE, Timestamp::ZERO);
        let before = detector.level(config);
        detector.failed(config, 0, Timestamp::ZERO + Duration::from_secs(1800));
        let after = detector.level(config);
        assert!((after / before - 0.3679).abs() < 0.02, "{before} fades to {after}");
        for n in 0..1000 {
            detector.failed(config, WHOLE, Timestamp::ZERO + Duration::from_secs(1800 + n));
        }
        assert!(detector.baseline() < 0.03, "{}", detector.baseline());
        assert!(detector.level(config) < 1.5, "the sum is bounded");
        detector.reset();
        assert!(detector.level(config) < f64::EPSILON && detector.in_row_milli() == 0);
    }

    #[test]
    fn a_noisy_target_is_given_more_room() {
        let config = DetectorConfig::default();
        let mut noisy = Detector::default();
        let mut now = Timestamp::ZERO;
        for n in 0..2000_u32 {
            now += Duration::from_secs(1);
            if n % 20 == 0 {
                noisy.failed(config, WHOLE, now);
            } else {
                noisy.succeeded(config, now);
            }
            assert!(noisy.level(config) < 1.0, "5 % is its usual");
        }
        assert!((0.04..0.06).contains(&noisy.baseline()), "{}", noisy.baseline());
        let in_row = (1..20).find(|_| {
            noisy.failed(config, WHOLE, now);
            noisy.level(config) >= 1.0
        });
        assert!((6..=8).contains(&in_row.unwrap()), "{in_row:?} failures in a row");
    }
}
