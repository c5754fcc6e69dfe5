//! How long may an answer pause once it has begun, and how slowly may it come?
//!
//! Both limits hold only while another target could go on with the answer. What one model at one
//! endpoint needs is learned from the longest pause of each of its good answers, in each phase.
//! Pings are life, not progress: they end no pause.
//!
//! | phase | pause, while nothing is learned | learned |
//! |---|---|---|
//! | text | `between_tokens` (8 s) | half as much again as the longest pause of ninety-nine in a hundred answers; never less than that, at most `silence` (45 s) |
//! | thinking, arguments of tools | `stall` (120 s) | the same; at least 30 s, never more than that |
//!
//! Text trickles if so little of it comes within a window of two and a half times its pause (20 s)
//! that it is slower than a fiftieth of the model's usual speed, at least 0.5 and at most 2 tokens
//! per second. A target that is merely slow keeps its answers: it loses the next calls (`slowness`).
//!
//! Invariants: a limit is never zero unless it was set to zero; an answer that comes steadily at 2
//! tokens per second is never cut. Bound: three sketches of 84 bytes per model at an endpoint.
//! Sources: engine.md 4.7 (`T_prog`), scenario 8; field-cases.md S-24 to S-26, S-30.

use core::time::Duration;

use crate::deadline::Limits;
use crate::latency::Sketch;
use crate::resume::Flow;
use crate::time::Timestamp;

/// A pause counts as usual if no more than one in a hundred answers has a longer one.
const USUAL_PER_MILLE: u32 = 990;
/// Answers from which that is learned.
const ANSWERS_NEEDED: u32 = 20;
/// Thinking and arguments of tools may always pause this long.
const QUIET_MIN: Duration = Duration::from_secs(30);
/// Text comes at less than this part of its usual speed.
const FRACTION: u32 = 50;
/// And more slowly than this, in thousandths of a token per second.
const TRICKLE_MIN: u32 = 500;
const TRICKLE_MAX: u32 = 2_000;

/// The longest pauses of good answers, by phase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses([Sketch; 3]);

impl Pauses {
    /// Learns from a good answer.
    pub fn add(&mut self, progress: &Progress) {
        for (sketch, longest) in self.0.iter_mut().zip(progress.longest) {
            if let Some(longest) = longest {
                sketch.add(longest);
            }
        }
    }

    fn usual(&self, flow: Flow) -> Option<Duration> {
        self.0.get(place(flow))?.quantile(USUAL_PER_MILLE, ANSWERS_NEEDED)
    }
}

const fn place(flow: Flow) -> usize {
    match flow {
        Flow::Text => 0,
        Flow::Thinking => 1,
        Flow::Call => 2,
    }
}

/// What one attempt is held to, while another target could go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    pauses: [Duration; 3],
    /// Less text than this within `window` is a trickle, in tokens.
    tokens_min: u32,
    window: Duration,
}

impl Pace {
    /// From the limits that were set, and from what is known of the target: its pauses, and its
    /// usual speed in tokens per second.
    #[must_use]
    pub fn of(limits: &Limits, known: Option<&Pauses>, speed: Option<u32>) -> Self {
        let limit = |flow| {
            let learned = known.and_then(|pauses| pauses.usual(flow)).map(|usual| usual * 3 / 2);
            let (least, most, unknown) = match flow {
                Flow::Text => {
                    let set = limits.between_tokens;
                    (set, limits.silence.max(set), set)
                }
                Flow::Thinking | Flow::Call => {
                    (QUIET_MIN.min(limits.stall), limits.stall, limits.stall)
                }
            };
            learned.map_or(unknown, |learned| learned.clamp(least, most))
        };
        let pauses = [limit(Flow::Text), limit(Flow::Thinking), limit(Flow::Call)];
        let window = limit(Flow::Text) * 5 / 2;
        let slow = speed.map_or(TRICKLE_MIN, |speed| speed.saturating_mul(1000) / FRACTION);
        let per_mille = slow.clamp(TRICKLE_MIN, TRICKLE_MAX);
        let millis = u32::try_from(window.as_millis()).unwrap_or(u32::MAX);
        let tokens_min = u64::from(per_mille) * u64::from(millis) / 1_000_000;
        Self { pauses, tokens_min: u32::try_from(tokens_min).unwrap_or(u32::MAX), window }
    }

    /// How long the answer may pause in this phase.
    #[must_use]
    pub fn pause(&self, flow: Flow) -> Duration {
        self.pauses.get(place(flow)).copied().unwrap_or_default()
    }
}

/// How an answer comes along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    flow: Flow,
    at: Option<Timestamp>,
    longest: [Option<Duration>; 3],
    window_at: Timestamp,
    /// Tokens of text in this window.
    tokens: u32,
}

impl Progress {
    /// Content came: about so many tokens.
    pub fn content(&mut self, flow: Flow, tokens: u32, pace: &Pace, now: Timestamp) {
        if let Some(at) = self.at {
            let pause = now.since(at);
            if let Some(longest) = self.longest.get_mut(place(self.flow)) {
                *longest = Some(longest.map_or(pause, |longest| longest.max(pause)));
            }
        }
        let goes_on = self.at.is_some() && flow == Flow::Text && self.flow == Flow::Text;
        if !goes_on || now.since(self.window_at) >= pace.window {
            (self.window_at, self.tokens) = (now, 0);
        }
        self.tokens = self.tokens.saturating_add(tokens);
        (self.flow, self.at) = (flow, Some(now));
    }

    /// What kind of content came last.
    #[must_use]
    pub const fn flow(&self) -> Flow {
        self.flow
    }

    /// When content came last, or `begun`.
    #[must_use]
    pub fn last(&self, begun: Timestamp) -> Timestamp {
        self.at.unwrap_or(begun)
    }

    /// When it will be certain that the text trickles, if no more of it comes.
    #[must_use]
    pub fn trickles_at(&self, pace: &Pace) -> Option<Timestamp> {
        (self.flow == Flow::Text && self.tokens < pace.tokens_min)
            .then(|| self.window_at + pace.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at_ms(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    const COLD: Pace = Pace { pauses: [s(8), s(120), s(120)], tokens_min: 10, window: s(20) };

    /// Answers whose longest pause in `flow` is this long.
    fn learned(flow: Flow, pause: Duration, answers: u32) -> Pauses {
        let mut pauses = Pauses::default();
        for _ in 0..answers {
            let mut progress = Progress::default();
            for after in [Duration::ZERO, pause, pause + Duration::from_millis(1)] {
                progress.content(flow, 1, &COLD, at_ms(1_000) + after);
            }
            pauses.add(&progress);
        }
        pauses
    }

    #[test]
    fn while_nothing_is_learned_the_limits_are_those_that_were_set() {
        let pace = Pace::of(&Limits::default(), None, None);
        assert_eq!(pace, COLD);
        let few = learned(Flow::Text, s(20), ANSWERS_NEEDED - 1);
        assert_eq!(Pace::of(&Limits::default(), Some(&few), None), pace);
    }

    #[test]
    fn a_target_that_pauses_is_given_its_time_and_others_keep_theirs() {
        let limits = Limits::default();
        let text = |pause| {
            let pauses = learned(Flow::Text, pause, ANSWERS_NEEDED);
            Pace::of(&limits, Some(&pauses), None).pause(Flow::Text)
        };
        assert_eq!(text(s(1)), s(8), "never less than what was set");
        assert!((s(12)..s(18)).contains(&text(s(10))), "{:?}", text(s(10)));
        assert_eq!(text(s(40)), s(45), "never more than silence");
        let thinking = |pause| {
            let pauses = learned(Flow::Thinking, pause, ANSWERS_NEEDED);
            let pace = Pace::of(&limits, Some(&pauses), None);
            assert_eq!((pace.pause(Flow::Text), pace.pause(Flow::Call)), (s(8), s(120)));
            pace.pause(Flow::Thinking)
        };
        assert_eq!(thinking(s(2)), s(30), "thinking may pause for longer");
        assert!((s(50)..s(70)).contains(&thinking(s(40))), "{:?}", thinking(s(40)));
        assert_eq!(thinking(s(110)), s(120));
    }

    #[test]
    fn a_pause_counts_for_the_phase_before_it() {
        let mut progress = Progress::default();
        progress.content(Flow::Thinking, 1, &COLD, at_ms(0));
        progress.content(Flow::Text, 1, &COLD, at_ms(7_000));
        progress.content(Flow::Call, 1, &COLD, at_ms(9_000));
        progress.content(Flow::Call, 1, &COLD, at_ms(9_100));
        let longest = [Some(s(2)), Some(s(7)), Some(Duration::from_millis(100))];
        assert_eq!((progress.longest, progress.last(at_ms(0))), (longest, at_ms(9_100)));
    }

    /// Plays text of one token every so many milliseconds; when it is cut, if it is.
    fn cut_at(pace: &Pace, every_ms: u64) -> Option<Timestamp> {
        let mut progress = Progress::default();
        for n in 0..2_000 {
            let now = at_ms(n * every_ms);
            if let Some(at) = progress.trickles_at(pace).filter(|at| n > 0 && *at <= now) {
                return Some(at);
            }
            progress.content(Flow::Text, 1, pace, now);
        }
        None
    }

    #[test]
    fn a_trickle_is_cut_and_a_slow_answer_is_not() {
        let limits = Limits::default();
        let unknown = Pace::of(&limits, None, None);
        assert_eq!(cut_at(&unknown, 5_000), Some(at_ms(20_000)), "one token in five seconds");
        assert_eq!(cut_at(&unknown, 1_500), None);
        let quick = Pace::of(&limits, None, Some(70));
        assert_eq!(cut_at(&quick, 1_500), Some(at_ms(20_000)), "it usually makes 70 per second");
        assert_eq!(cut_at(&quick, 500), None, "two per second are always enough");
        let slow = Pace::of(&limits, None, Some(2));
        assert_eq!(cut_at(&slow, 1_500), None, "that is how it usually is");
    }

    #[test]
    fn thinking_and_calls_do_not_trickle_and_long_pauses_have_long_windows() {
        let pace = Pace::of(&Limits::default(), None, None);
        for flow in [Flow::Thinking, Flow::Call] {
            let mut progress = Progress::default();
            progress.content(flow, 1, &COLD, at_ms(0));
            assert_eq!(progress.trickles_at(&pace), None, "{flow:?}");
            progress.content(Flow::Text, 1, &COLD, at_ms(90_000));
            assert_eq!(progress.trickles_at(&pace), Some(at_ms(110_000)), "from its first text on");
        }
        let pausing = learned(Flow::Text, s(28), ANSWERS_NEEDED);
        let pace = Pace::of(&Limits::default(), Some(&pausing), None);
        assert!(pace.window > s(90), "{:?}", pace.window);
    }
}
