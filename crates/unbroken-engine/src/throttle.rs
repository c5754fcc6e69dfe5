//! How many calls may still be tried when every target of a route is shut?
//!
//! Refusing all of them would lose those that could be answered; sending all of them would keep
//! the targets down. A call is turned away with a probability that grows with the share of calls
//! that failed in the last two minutes:
//!
//! ```text
//! max(0, (calls - 2 * answers - 10) / (calls + 1)), at most 0.9
//! ```
//!
//! Nothing is turned away as long as half of the calls are answered, nor are the first ten of a quiet
//! route. It is asked only in panic: a route with a healthy target never throttles.
//!
//! Invariants: one call in ten is tried, however bad it is; calls and answers of the past fade with
//! a time constant of two minutes. Sources: engine.md 4.8; Beyer et al., "Site reliability
//! engineering", 2016, chapter 21.

use crate::random::Random;
use crate::time::Timestamp;

/// The window, in seconds.
const WINDOW_S: f64 = 120.0;
/// So many failed calls are free.
const FREE: f64 = 10.0;
/// The most that is turned away, in thousandths.
const MOST_PER_MILLE: f64 = 900.0;

/// Calls and answers of one route.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Throttle {
    calls: f64,
    answers: f64,
    at: Timestamp,
}

impl Throttle {
    /// A call has begun.
    pub fn called(&mut self, now: Timestamp) {
        self.pass_time(now);
        self.calls += 1.0;
    }

    /// A call was answered.
    pub fn answered(&mut self, now: Timestamp) {
        self.pass_time(now);
        self.answers += 1.0;
    }

    /// Whether this call may be tried although every target is shut.
    pub fn admits(&mut self, now: Timestamp, random: &mut Random) -> bool {
        self.pass_time(now);
        let excess = (self.calls - 2.0 * self.answers - FREE) / (self.calls + 1.0) * 1000.0;
        !random.chance(excess.clamp(0.0, MOST_PER_MILLE) as u32)
    }

    fn pass_time(&mut self, now: Timestamp) {
        let keep = libm::exp(-now.since(self.at).as_secs_f64() / WINDOW_S);
        self.calls *= keep;
        self.answers *= keep;
        self.at = self.at.max(now);
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    fn admitted(answered: impl Fn(u32) -> bool) -> u32 {
        let (mut throttle, mut random) = (Throttle::default(), Random::seeded(3));
        let mut now = Timestamp::ZERO;
        (0..1000)
            .filter(|n| {
                now += Duration::from_millis(100);
                throttle.called(now);
                if answered(*n) {
                    throttle.answered(now);
                }
                throttle.admits(now, &mut random)
            })
            .count() as u32
    }

    #[test]
    fn while_half_of_the_calls_are_answered_all_are_tried() {
        assert_eq!(admitted(|_| true), 1000);
        assert!(admitted(|n| n % 2 == 0) > 980);
    }

    #[test]
    fn in_a_total_outage_one_in_ten_is_tried() {
        let tried = admitted(|_| false);
        assert!((70..=150).contains(&tried), "{tried}");
    }

    #[test]
    fn the_past_is_forgotten() {
        let (mut throttle, mut random) = (Throttle::default(), Random::seeded(3));
        for _ in 0..1000 {
            throttle.called(Timestamp::ZERO);
        }
        let later = Timestamp::ZERO + Duration::from_secs(1_800);
        throttle.called(later);
        throttle.answered(later);
        assert!((0..100).all(|_| throttle.admits(later, &mut random)));
    }
}
