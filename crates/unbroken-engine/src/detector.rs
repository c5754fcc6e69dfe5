//! Is this target failing? Detectors are a choice behind one type; the breaker asks, they count.
//!
//! `Consecutive` is the simple baseline that always stays: so many failures in a row, with no
//! success between them. It is quick on hard outages (three calls) and blind to partial ones.
//! Source: seed document, section "circuit breaker pattern".

use core::num::NonZeroU32;

/// Which detector a breaker uses, and its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DetectorConfig {
    /// Trips after this many failures in a row. Default: 3.
    Consecutive {
        /// Failures in a row that trip the breaker.
        failure_threshold: NonZeroU32,
    },
}

impl Default for DetectorConfig {
    fn default() -> Self {
        Self::consecutive(3)
    }
}

impl DetectorConfig {
    /// `Consecutive` with `failure_threshold` failures; zero counts as one.
    #[must_use]
    pub const fn consecutive(failure_threshold: u32) -> Self {
        let failure_threshold = match NonZeroU32::new(failure_threshold) {
            Some(threshold) => threshold,
            None => NonZeroU32::MIN,
        };
        Self::Consecutive { failure_threshold }
    }
}

/// What a detector remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Detector {
    failures_in_row: u32,
}

impl Detector {
    /// Counts a failure; true if it was one too many.
    #[must_use]
    pub const fn failed(&mut self, config: DetectorConfig) -> bool {
        self.failures_in_row = self.failures_in_row.saturating_add(1);
        match config {
            DetectorConfig::Consecutive { failure_threshold } => {
                self.failures_in_row >= failure_threshold.get()
            }
        }
    }

    /// Counts a success.
    pub const fn succeeded(&mut self) {
        self.failures_in_row = 0;
    }

    /// Failures since the last success.
    #[must_use]
    pub const fn failures_in_row(&self) -> u32 {
        self.failures_in_row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_starts_the_count_anew() {
        let config = DetectorConfig::consecutive(3);
        let mut detector = Detector::default();
        assert!(!detector.failed(config) && !detector.failed(config));
        detector.succeeded();
        assert!(!detector.failed(config) && !detector.failed(config) && detector.failed(config));
    }

    #[test]
    fn a_threshold_of_zero_counts_as_one() {
        assert!(Detector::default().failed(DetectorConfig::consecutive(0)));
    }
}
