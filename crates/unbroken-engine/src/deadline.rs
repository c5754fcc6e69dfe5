//! How long may each part of a call take? One budget of time, split over its attempts.
//!
//! An attempt that has others behind it gives up early enough for them to get their turn. The last
//! one gets all the time that is left: cutting a slow but healthy target when nobody else is left
//! helps no one.
//!
//! The limit on the first content is learned: half as much again as the slowest hundredth of this
//! model's answers needs, at least 4 s, never more than the limit that was set. A long-thinking
//! model is not mistaken for a dead one, and a quick one's silence is noticed sooner.
//!
//! ```text
//! limit    = clamp(1.5 * p99, 4 s, configured)       configured, while nothing is learned
//! reserve  = min(8 s, left / (behind + 1))           for each candidate behind
//! deadline = now + min(limit, left - reserve * behind)
//!            the end of the call, for the last candidate
//! ```
//!
//! Invariants: no attempt's deadline lies beyond the call's; only the last candidate may outlive
//! its own limit. Source: engine.md 4.7 and section 0, decision 2.

use core::time::Duration;

use crate::time::Timestamp;

/// Limits of time for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// To connect, name resolution and TLS included. Default: 3 s.
    pub connect: Duration,
    /// To a stream's first content, while other targets are left. Default: 10 s.
    pub first_token: Duration,
    /// The same for calls that ask the model to reason. Default: 60 s.
    pub first_token_reasoning: Duration,
    /// To a whole answer that is not streamed, while other targets are left. Default: 60 s.
    pub answer: Duration,
    /// Without any byte of text once delivering, when nobody else could go on. Default: 45 s (three
    /// ping periods).
    pub silence: Duration,
    /// Between two pieces of text, as long as another target could go on. Default: 8 s.
    ///
    /// Thinking and arguments of tools may pause for `stall`.
    pub between_tokens: Duration,
    /// Without any content between pings, once delivering. Default: 120 s.
    pub stall: Duration,
    /// For the whole call. Default: 600 s, as in the official SDKs.
    pub total: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            first_token: Duration::from_secs(10),
            first_token_reasoning: Duration::from_secs(60),
            answer: Duration::from_secs(60),
            silence: Duration::from_secs(45),
            between_tokens: Duration::from_secs(8),
            stall: Duration::from_secs(120),
            total: Duration::from_secs(600),
        }
    }
}

/// What is kept for each candidate behind, if the call's time suffices. Source: engine.md 4.7.
const RESERVE: Duration = Duration::from_secs(8);
/// A learned limit is never shorter. Source: engine.md 4.7.
const LEARNED_MIN: Duration = Duration::from_secs(4);

/// What kind of answer a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Events as they come.
    Stream,
    /// Events as they come, after a time of reasoning.
    ReasoningStream,
    /// Everything at once.
    Whole,
}

impl Limits {
    /// How long an attempt with others behind it may go without content.
    #[must_use]
    pub const fn first_content(&self, kind: Kind) -> Duration {
        match kind {
            Kind::Stream => self.first_token,
            Kind::ReasoningStream => self.first_token_reasoning,
            Kind::Whole => self.answer,
        }
    }

    /// The same, from what is usual: `p99` of the target's first content.
    #[must_use]
    pub fn learned_first_content(&self, kind: Kind, p99: Option<Duration>) -> Duration {
        let limit = self.first_content(kind);
        p99.map_or(limit, |p99| (p99 + p99 / 2).clamp(LEARNED_MIN.min(limit), limit))
    }

    /// When an attempt that is started at `now` must have delivered its first content.
    ///
    /// `first_content` is its limit; `behind` is the number of candidates after it. Each of them is
    /// left 8 s, or a fair share of what there is.
    #[must_use]
    pub fn first_content_by(
        first_content: Duration,
        behind: u32,
        now: Timestamp,
        call_ends: Timestamp,
    ) -> Timestamp {
        if behind == 0 {
            return call_ends;
        }
        let left = call_ends.since(now);
        let reserve = RESERVE.min(left / behind.saturating_add(1));
        now + first_content.min(left.saturating_sub(reserve.saturating_mul(behind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_last_candidate_gets_all_that_is_left() {
        let s = Duration::from_secs;
        assert_eq!(Limits::first_content_by(s(10), 0, at(20), at(600)), at(600));
        assert_eq!(Limits::first_content_by(s(10), 1, at(20), at(600)), at(30));
        assert_eq!(Limits::first_content_by(s(60), 2, at(20), at(600)), at(80));
    }

    #[test]
    fn a_short_call_is_shared_fairly() {
        let s = Duration::from_secs;
        assert_eq!(Limits::first_content_by(s(10), 2, at(0), at(9)), at(3));
        assert_eq!(Limits::first_content_by(s(300), 3, at(0), at(300)), at(276));
        assert_eq!(Limits::first_content_by(s(60), 3, at(0), at(300)), at(60));
        assert_eq!(Limits::first_content_by(s(10), 1, at(9), at(9)), at(9));
    }

    #[test]
    fn what_is_usual_shortens_the_limit_within_bounds() {
        let s = Duration::from_secs;
        let limits = Limits::default();
        let learned = |p99| limits.learned_first_content(Kind::Stream, p99);
        assert_eq!(learned(None), s(10));
        assert_eq!(learned(Some(s(4))), s(6));
        assert_eq!(learned(Some(s(1))), s(4));
        assert_eq!(learned(Some(s(100))), s(10));
        assert_eq!(limits.learned_first_content(Kind::ReasoningStream, Some(s(30))), s(45));
        assert_eq!(limits.learned_first_content(Kind::Whole, None), s(60));
        let short = Limits { first_token: s(1), ..limits };
        assert_eq!(short.learned_first_content(Kind::Stream, Some(s(1))), s(1));
    }
}
