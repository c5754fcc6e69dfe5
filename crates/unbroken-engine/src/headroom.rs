//! How much of a key's rate limit is left? What providers say in the headers of every answer, so
//! that a target near its limit is left before it refuses.
//!
//! Until the limit is renewed, what is sent is taken off what was left. A target that has no more
//! than a twentieth of its limit left, or not enough for the request at hand, counts as full:
//! others are preferred, and one that is alone is used all the same, because its refusal is better
//! than ours.
//!
//! Invariants: what was never said never holds anybody back; nothing is held against a target after
//! its limit is renewed, nor for longer than a day. Source: wire-formats.md 5.2.

use core::time::Duration;

use crate::time::Timestamp;

/// A share of the limit, one in so many, is left to others who use the same key.
const SPARE: u64 = 20;
/// No renewal is farther away, whatever a header says.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Requests.
    Requests,
    /// Tokens of input.
    Tokens,
}

/// What an answer said about one limit of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Left {
    /// What the limit counts.
    pub unit: Unit,
    /// The limit, if it was said.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: u64,
    /// When it is renewed.
    pub renews_in: Duration,
}

/// What is left of the limits of one key for one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headroom {
    requests: Option<Known>,
    tokens: Option<Known>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    remaining: u64,
    spare: u64,
    until: Timestamp,
}

impl Known {
    fn fits(self, cost: u64, at: Timestamp) -> bool {
        at >= self.until || self.remaining >= cost.saturating_add(self.spare)
    }
}

impl Headroom {
    /// Whether one more request of so many tokens fits.
    #[must_use]
    pub fn fits(&self, tokens: u32, at: Timestamp) -> bool {
        self.requests.is_none_or(|known| known.fits(1, at))
            && self.tokens.is_none_or(|known| known.fits(u64::from(tokens), at))
    }

    /// An answer has said what is left.
    pub fn told(&mut self, left: &Left, at: Timestamp) {
        let known = Known {
            remaining: left.remaining,
            spare: left.limit.unwrap_or_default() / SPARE,
            until: at + left.renews_in.min(LONGEST),
        };
        match left.unit {
            Unit::Requests => self.requests = Some(known),
            Unit::Tokens => self.tokens = Some(known),
        }
    }

    /// A request of so many tokens was sent.
    pub fn sent(&mut self, tokens: u32) {
        for (known, cost) in [(&mut self.requests, 1), (&mut self.tokens, u64::from(tokens))] {
            if let Some(known) = known {
                known.remaining = known.remaining.saturating_sub(cost);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    const fn left(unit: Unit, limit: u64, remaining: u64, seconds: u64) -> Left {
        Left { unit, limit: Some(limit), remaining, renews_in: Duration::from_secs(seconds) }
    }

    #[test]
    fn nothing_said_holds_nobody_back() {
        let mut headroom = Headroom::default();
        headroom.sent(u32::MAX);
        assert!(headroom.fits(u32::MAX, at(0)));
    }

    #[test]
    fn a_key_near_its_limit_is_full_until_the_limit_is_renewed() {
        let mut headroom = Headroom::default();
        headroom.told(&left(Unit::Requests, 100, 7, 30), at(10));
        assert!(headroom.fits(9_000, at(10)));
        headroom.sent(9_000);
        assert!(headroom.fits(9_000, at(11)), "six are left, five of them are spare");
        headroom.sent(9_000);
        assert!(!headroom.fits(1, at(11)));
        assert!(!headroom.fits(1, at(39)));
        assert!(headroom.fits(1, at(40)));
    }

    #[test]
    fn a_prompt_larger_than_what_is_left_does_not_fit_and_a_smaller_one_does() {
        let mut headroom = Headroom::default();
        headroom.told(&left(Unit::Tokens, 6_000, 4_000, 60), at(0));
        assert!(!headroom.fits(3_701, at(0)));
        assert!(headroom.fits(3_700, at(0)));
        headroom.told(&left(Unit::Tokens, 6_000, 6_000, 60), at(1));
        assert!(headroom.fits(3_701, at(1)), "the last word counts");
    }

    #[test]
    fn an_absurd_renewal_is_not_believed() {
        let mut headroom = Headroom::default();
        headroom.told(&left(Unit::Requests, 10, 0, u64::MAX), at(0));
        assert!(!headroom.fits(1, at(86_399)));
        assert!(headroom.fits(1, at(86_400)));
    }
}
