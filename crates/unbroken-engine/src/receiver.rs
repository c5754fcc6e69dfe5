//! How much may be sent to a target at once? Whoever takes over the load of a dead target must not
//! die of it.
//!
//! | limit | begins | what fits | grows by |
//! |---|---|---|---|
//! | at once | with the target's first "overloaded" | seven tenths of what was under way | one per round of good answers |
//! | per minute | above 1,000,000 tokens | half as much again as the last quarter of an hour | itself |
//!
//! Two limits. *At once*: none, until the target says that it is overloaded; then seven tenths of
//! what was under way, growing by one with every full round of good answers. *Growth*: above the
//! provider's own acceleration floor, no more tokens per minute than half as many again as in the
//! last quarter of an hour. What does not fit goes on to the next candidate.
//!
//! Invariants: an attempt that is alone always fits; the limit is cut at most once per round.
//! Source: engine.md 4.8; Chiu, Jain, "Increase and decrease algorithms", 1989.

use core::time::Duration;

use crate::time::Timestamp;

/// Settings of what a target may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiverConfig {
    /// Below this many tokens per minute growth is free. Default: 1,000,000.
    ///
    /// Source: engine.md 4.8 (the acceleration limits of `OpenAI` begin at 1 M tokens per minute).
    pub growth_floor_per_min: u32,
}

impl Default for ReceiverConfig {
    fn default() -> Self {
        Self { growth_floor_per_min: 1_000_000 }
    }
}

/// An overload is counted once per this time: the answers of one burst are one message.
const ONE_ROUND: Duration = Duration::from_secs(2);
const MINUTE: Duration = Duration::from_secs(60);
/// The usual traffic is averaged over this many minutes.
const USUAL_OVER_MIN: f64 = 15.0;
/// A limit that has grown beyond this is none any more.
const LIMIT_MAX: f64 = 4096.0;

/// What one target is being sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receiver {
    under_way: u32,
    limit: Option<f64>,
    cut_at: Timestamp,
    /// Tokens sent in the minute that began at `minute_at`.
    minute: f64,
    minute_at: Timestamp,
    usual_per_min: f64,
}

impl Receiver {
    /// Whether one more attempt of so many tokens fits.
    #[must_use]
    pub fn has_room(&self, config: &ReceiverConfig, tokens: u32, now: Timestamp) -> bool {
        if self.under_way == 0 {
            return true;
        }
        let fits = self.limit.is_none_or(|limit| f64::from(self.under_way) < limit);
        let minute = if now.since(self.minute_at) < MINUTE { self.minute } else { 0.0 };
        let allowed = f64::from(config.growth_floor_per_min).max(1.5 * self.usual_per_min);
        fits && minute + f64::from(tokens) <= allowed
    }

    /// Whether the last attempt, of so many tokens, fitted when it was started.
    #[must_use]
    pub fn had_room(&self, config: &ReceiverConfig, tokens: u32, now: Timestamp) -> bool {
        let before = Self {
            under_way: self.under_way.saturating_sub(1),
            minute: (self.minute - 2.0 * f64::from(tokens)).max(0.0),
            ..self.clone()
        };
        before.has_room(config, tokens, now)
    }

    /// Attempts under way.
    #[must_use]
    pub const fn under_way(&self) -> u32 {
        self.under_way
    }

    /// An attempt of so many tokens has started.
    pub fn started(&mut self, tokens: u32, now: Timestamp) {
        self.under_way = self.under_way.saturating_add(1);
        let idle = now.since(self.minute_at);
        if idle >= MINUTE {
            let minutes = idle.as_secs_f64() / MINUTE.as_secs_f64();
            let keep = libm::exp(-minutes / USUAL_OVER_MIN);
            self.usual_per_min = self.usual_per_min * keep + self.minute / minutes * (1.0 - keep);
            self.minute = 0.0;
            self.minute_at = now;
        }
        self.minute += f64::from(tokens);
    }

    /// An attempt is over, whatever came of it.
    pub const fn ended(&mut self) {
        self.under_way = self.under_way.saturating_sub(1);
    }

    /// A good answer: the limit grows by one with every full round of them.
    pub fn answered(&mut self) {
        self.limit = self.limit.map(|limit| limit + 1.0 / limit).filter(|limit| *limit < LIMIT_MAX);
    }

    /// The target says that it is overloaded.
    pub fn overloaded(&mut self, now: Timestamp) {
        if self.limit.is_some() && now.since(self.cut_at) < ONE_ROUND {
            return;
        }
        let now_at_once = self.limit.unwrap_or_else(|| f64::from(self.under_way.max(1)));
        self.limit = Some((now_at_once * 0.7).max(1.0));
        self.cut_at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn an_overload_cuts_what_is_under_way_once_per_round() {
        let config = ReceiverConfig::default();
        let mut receiver = Receiver::default();
        for _ in 0..10 {
            receiver.started(100, at(1));
        }
        assert!(receiver.has_room(&config, 100, at(1)), "no limit until it complains");
        receiver.overloaded(at(1));
        receiver.overloaded(at(2));
        assert!(!receiver.has_room(&config, 100, at(2)));
        for _ in 0..3 {
            receiver.ended();
        }
        assert!(!receiver.has_room(&config, 100, at(2)), "7 are under way, 7 may be");
        receiver.ended();
        assert!(receiver.has_room(&config, 100, at(2)));
        assert_eq!(receiver.under_way(), 6);
        receiver.started(1, at(2));
        for _ in 0..8 {
            receiver.answered();
        }
        assert!(receiver.has_room(&config, 100, at(2)), "a round of good answers adds one");
        receiver.overloaded(at(4));
        assert!(!receiver.has_room(&config, 100, at(4)), "another round, another cut");
    }

    #[test]
    fn who_is_alone_always_fits() {
        let config = ReceiverConfig { growth_floor_per_min: 10 };
        let mut receiver = Receiver::default();
        receiver.overloaded(at(1));
        assert!(receiver.has_room(&config, 1_000, at(1)));
        receiver.started(1_000, at(1));
        assert!(!receiver.has_room(&config, 1, at(1)));
        receiver.ended();
        receiver.ended();
        assert!(receiver.has_room(&config, 1_000, at(1)));
    }

    #[test]
    fn traffic_may_grow_by_half_above_the_floor() {
        let config = ReceiverConfig { growth_floor_per_min: 1_000 };
        let mut receiver = Receiver::default();
        receiver.started(0, at(0));
        // An hour of 6,000 tokens per minute; the floor does not bind what was started.
        for second in 0..3_600 {
            receiver.started(100, at(60 + second));
        }
        let fits = (1..200).find(|n| !receiver.has_room(&config, n * 100, at(3_659))).unwrap();
        assert!((20..=40).contains(&fits), "{fits}00 tokens more fit this minute");
        assert!(receiver.has_room(&config, 8_000, at(3_800)), "a new minute");
        assert!(!receiver.has_room(&config, 10_000, at(3_800)));
    }

    #[test]
    fn a_limit_that_has_grown_large_is_none() {
        let mut receiver = Receiver { limit: Some(LIMIT_MAX - 0.0001), ..Receiver::default() };
        receiver.answered();
        assert_eq!(receiver.limit, None);
    }
}
