//! How long does this model usually take? Sketches of times, and their quantiles.
//!
//! Times are counted in buckets that are a fourth of an octave wide (19 %), from 1 ms to 17
//! minutes; old ones are forgotten by halving all counts when there are 500, or 255 of one bucket.
//! A model is sketched per kind of answer and per size of its input, because a long prompt takes
//! longer to read and a reasoning model thinks first; until a size has enough samples its kind
//! stands in.
//!
//! Only good answers are learned from: a target that fails fast must not look fast.
//! [`Peak`] is the other view, for choosing between targets: it jumps up at once, comes down
//! slowly, and counts a failure as the wait that it costs.
//!
//! Invariants: quantiles lie between the smallest and the largest sample, up to the width of a
//! bucket; a failure never makes a target cheaper (I8). Bound: [`SKETCHES_MAX`] sketches of 84
//! bytes per model, and four more. Sources: engine.md 4.3, 4.6; linkerd's failure-aware load
//! estimate, read 2026-11-22.

use alloc::vec::Vec;
use core::time::Duration;

use crate::deadline::Kind;
use crate::time::Timestamp;

/// Buckets of a sketch: four per octave of milliseconds.
const BUCKETS: usize = 80;
/// When so many samples are in a sketch, all counts are halved.
const SAMPLES_MAX: u32 = 500;
/// Sizes and kinds that are told apart for one model.
pub const SKETCHES_MAX: usize = 12;
/// A quantile needs so many samples.
const MEDIAN_NEEDS: u32 = 5;
const TAIL_NEEDS: u32 = 20;

/// Counts of times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sketch {
    counts: [u8; BUCKETS],
    total: u32,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0 }
    }
}

impl Sketch {
    /// Counts one time.
    pub fn add(&mut self, time: Duration) {
        let bucket = bucket(time);
        if self.total >= SAMPLES_MAX || self.counts.get(bucket) == Some(&u8::MAX) {
            for count in &mut self.counts {
                *count /= 2;
            }
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time that `per_mille` thousandths of the samples do not exceed; `None` with fewer than
    /// `at_least` samples.
    #[must_use]
    pub fn quantile(&self, per_mille: u32, at_least: u32) -> Option<Duration> {
        if self.total < at_least.max(1) {
            return None;
        }
        let wanted = (self.total * per_mille.min(1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u32::from(*count);
            seen >= wanted
        });
        found.map(middle)
    }

    /// Samples it holds.
    #[must_use]
    pub const fn samples(&self) -> u32 {
        self.total
    }
}

fn bucket(time: Duration) -> usize {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, (1 << 20) - 1);
    let octave = millis.ilog2();
    // The two bits below the leading one.
    let quarter =
        if octave >= 2 { (millis >> (octave - 2)) & 3 } else { (millis << (2 - octave)) & 3 };
    usize::try_from(u64::from(octave) * 4 + quarter).unwrap_or(BUCKETS - 1).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn middle(bucket: usize) -> Duration {
    let bucket = u64::try_from(bucket).unwrap_or_default();
    let (octave, quarter) = (bucket / 4, bucket % 4);
    // (1 + quarter/4 + 1/8) * 2^octave milliseconds, in microseconds.
    Duration::from_micros(((8 + 2 * quarter + 1) * 125) << octave)
}

/// What is learned about one model at one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    by_kind: [Sketch; 3],
    /// By kind and size, in no order: there are few.
    by_size: Vec<(u8, u8, Sketch)>,
    /// Tokens per second of whole answers, as if they were milliseconds.
    speed: Sketch,
}

impl Latency {
    /// Counts the time to the first content of an answer (or to the whole, for [`Kind::Whole`]).
    pub fn add(&mut self, kind: Kind, input_tokens: u32, time: Duration) {
        if let Some(sketch) = self.by_kind.get_mut(place(kind)) {
            sketch.add(time);
        }
        let (kind, size) = (place(kind) as u8, size_class(input_tokens));
        let known = self.by_size.iter_mut().find(|known| (known.0, known.1) == (kind, size));
        if let Some((_, _, sketch)) = known {
            sketch.add(time);
        } else if self.by_size.len() < SKETCHES_MAX {
            let mut sketch = Sketch::default();
            sketch.add(time);
            self.by_size.reserve_exact(1);
            self.by_size.push((kind, size, sketch));
        }
    }

    /// Counts the speed of an answer.
    pub fn add_speed(&mut self, tokens_per_s: u32) {
        self.speed.add(Duration::from_millis(u64::from(tokens_per_s)));
    }

    /// The usual time.
    #[must_use]
    pub fn median(&self, kind: Kind, input_tokens: u32) -> Option<Duration> {
        self.quantile(kind, input_tokens, 500, MEDIAN_NEEDS)
    }

    /// The time that one in twenty exceeds.
    #[must_use]
    pub fn p95(&self, kind: Kind, input_tokens: u32) -> Option<Duration> {
        self.quantile(kind, input_tokens, 950, TAIL_NEEDS)
    }

    /// The time that one in a hundred exceeds.
    #[must_use]
    pub fn p99(&self, kind: Kind, input_tokens: u32) -> Option<Duration> {
        self.quantile(kind, input_tokens, 990, TAIL_NEEDS)
    }

    /// The usual speed, in tokens per second.
    #[must_use]
    pub fn median_speed(&self) -> Option<u32> {
        let speed = self.speed.quantile(500, MEDIAN_NEEDS)?;
        Some(u32::try_from(speed.as_millis()).unwrap_or(u32::MAX))
    }

    /// From this size, or from all sizes of the kind while there are too few.
    fn quantile(
        &self,
        kind: Kind,
        input_tokens: u32,
        per_mille: u32,
        at_least: u32,
    ) -> Option<Duration> {
        let wanted = (place(kind) as u8, size_class(input_tokens));
        let mut sizes = self.by_size.iter();
        let size = sizes.find(|known| (known.0, known.1) == wanted);
        size.and_then(|(_, _, sketch)| sketch.quantile(per_mille, at_least)).or_else(|| {
            self.by_kind.get(place(kind)).and_then(|sketch| sketch.quantile(per_mille, at_least))
        })
    }
}

const fn place(kind: Kind) -> usize {
    match kind {
        Kind::Stream => 0,
        Kind::ReasoningStream => 1,
        Kind::Whole => 2,
    }
}

/// Inputs of up to 2,048 tokens are one size; every doubling is another.
const fn size_class(input_tokens: u32) -> u8 {
    match input_tokens {
        0..=2048 => 0,
        more => ((more - 1).ilog2() - 10) as u8,
    }
}

/// The price of choosing a target: its time to the first content, with failures as long waits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Peak {
    millis: f64,
    at: Timestamp,
}

/// A price comes down with this time constant, in seconds: few samples, so not too fast.
const COMES_DOWN_IN_S: f64 = 30.0;
/// A failure costs at least this.
const FAILURE_COSTS: Duration = Duration::from_secs(5);

impl Peak {
    /// The price now, in milliseconds.
    #[must_use]
    pub fn millis(&self, now: Timestamp) -> f64 {
        let idle = now.since(self.at).as_secs_f64();
        self.millis * libm::exp(-idle / COMES_DOWN_IN_S)
    }

    /// A good answer took this long.
    pub fn answered(&mut self, after: Duration, now: Timestamp) {
        let (price, sample) = (self.millis(now), after.as_secs_f64() * 1000.0);
        let keep = libm::exp(-now.since(self.at).as_secs_f64() / COMES_DOWN_IN_S);
        let mixed = self.millis * keep + sample * (1.0 - keep);
        self.millis = if sample >= price { sample } else { mixed.max(sample) };
        self.at = now;
    }

    /// It failed, and perhaps asked for a wait.
    pub fn failed(&mut self, retry_after: Option<Duration>, now: Timestamp) {
        let cost = retry_after.unwrap_or_default().max(FAILURE_COSTS).as_secs_f64() * 1000.0;
        self.millis = self.millis(now).max(cost);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn every_time_falls_into_a_bucket_around_it() {
        for millis in (1..5_000).chain([9_999, 60_000, 600_000, 1_048_575]) {
            let middle = middle(bucket(ms(millis))).as_secs_f64() * 1000.0;
            let ratio = middle / millis as f64;
            assert!((0.85..=1.26).contains(&ratio), "{millis} ms counts as {middle} ms");
        }
        assert_eq!((bucket(Duration::ZERO), bucket(Duration::MAX)), (0, BUCKETS - 1));
        let mut last = 0;
        for millis in 1..100_000 {
            assert!(bucket(ms(millis)) >= last, "{millis} ms");
            last = bucket(ms(millis));
        }
    }

    #[test]
    fn quantiles_come_from_enough_samples_only() {
        let mut sketch = Sketch::default();
        for millis in 1..=100 {
            assert_eq!(sketch.quantile(500, 200), None);
            sketch.add(ms(millis * 10));
        }
        let near = |per_mille, expected: u64| {
            let found = sketch.quantile(per_mille, 100).unwrap().as_millis() as f64;
            assert!((0.8..1.25).contains(&(found / expected as f64)), "{per_mille}: {found}");
        };
        near(0, 10);
        near(500, 500);
        near(950, 950);
        near(1000, 1000);
    }

    #[test]
    fn old_times_are_forgotten() {
        let mut sketch = Sketch::default();
        for _ in 0..500 {
            sketch.add(ms(100));
        }
        for _ in 0..1500 {
            sketch.add(ms(10_000));
        }
        assert!(sketch.samples() <= 500);
        assert!(sketch.quantile(150, 1).unwrap() > ms(5_000));
    }

    #[test]
    fn sizes_and_kinds_are_told_apart_and_kinds_stand_in_for_sizes() {
        let mut latency = Latency::default();
        for _ in 0..30 {
            latency.add(Kind::Stream, 500, ms(400));
            latency.add(Kind::ReasoningStream, 500, ms(40_000));
        }
        assert!(latency.median(Kind::Stream, 100_000).unwrap() < ms(500), "the kind stands in");
        for _ in 0..5 {
            latency.add(Kind::Stream, 100_000, ms(9_000));
        }
        assert!(latency.median(Kind::Stream, 100_000).unwrap() > ms(7_000));
        assert!(latency.median(Kind::Stream, 500).unwrap() < ms(500));
        assert!(latency.p95(Kind::ReasoningStream, 500).unwrap() > ms(30_000));
        assert_eq!(latency.p99(Kind::Whole, 500), None);
        for tokens in 0..40 {
            latency.add(Kind::Whole, 3_000 << (tokens % 16), ms(5));
        }
        assert!(latency.by_size.len() <= SKETCHES_MAX);
        assert_eq!(
            [0, 2048, 2049, 4096, 4097].map(size_class),
            [0, 0, 1, 1, 2],
            "every doubling is another size"
        );
    }

    #[test]
    fn speed_is_tokens_per_second() {
        let mut latency = Latency::default();
        assert_eq!(latency.median_speed(), None);
        for _ in 0..5 {
            latency.add_speed(60);
        }
        assert!((54..=66).contains(&latency.median_speed().unwrap()));
    }

    #[test]
    fn a_price_jumps_up_comes_down_slowly_and_failures_are_dear() {
        let mut peak = Peak::default();
        let second = |n| Timestamp::ZERO + Duration::from_secs(n);
        peak.answered(ms(500), second(1));
        assert!((peak.millis(second(1)) - 500.0).abs() < 1.0);
        peak.answered(ms(2_000), second(2));
        assert!((peak.millis(second(2)) - 2_000.0).abs() < 1.0, "at once");
        peak.answered(ms(500), second(3));
        assert!(peak.millis(second(3)) > 1_800.0, "slowly");
        peak.failed(None, second(4));
        assert!((peak.millis(second(4)) - 5_000.0).abs() < 1.0);
        peak.failed(Some(Duration::from_secs(60)), second(5));
        assert!((peak.millis(second(5)) - 60_000.0).abs() < 1.0);
        peak.failed(None, second(5));
        assert!(peak.millis(second(5)) > 59_000.0, "a fast failure is never rewarded");
        assert!(peak.millis(second(95)) < 60_000.0 / 15.0);
    }
}
