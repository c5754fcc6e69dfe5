//! Is the request wrong, or the target that says so? A 400 is the client's mistake, until several
//! different requests are refused in a row by a target that served before: providers have answered
//! valid requests with 400 for twenty hours.
//!
//! - A refusal is believed, and told to the client at once.
//! - When two other requests were refused within five minutes and nothing was answered between
//!   them, the next refusal is doubted: one other target is asked. If it refuses, too, the client
//!   hears the first one's words; if it answers, the two disagree.
//! - After three disagreements the target is *blamed*: each refusal counts against its breaker and
//!   is doubted, until it has answered twenty requests.
//!
//! Invariants: a client's own mistake costs two upstream calls at most, and one while the target
//! serves others; no single request can make a target blamed. Source: engine.md 4.2 (C2).

use core::time::Duration;

use crate::time::Timestamp;

const WITHIN: Duration = Duration::from_secs(300);
/// Other refused requests that raise a doubt.
const OTHERS: usize = 2;
/// Disagreements that make a target blamed.
const DISAGREEMENTS: usize = 3;
/// Answers that clear it.
const ANSWERS: u32 = 20;

/// What to make of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Tell the client.
    Believe,
    /// Ask one other target first.
    Doubt,
    /// The same, and it counts against the target.
    Blame,
}

/// Refusals of one model at one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doubts {
    refused: Recent,
    disagreed: Recent,
    /// Answers that are still needed to clear it.
    blamed_for: u32,
}

/// The last different requests, by their fingerprints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Recent([Option<(u64, Timestamp)>; DISAGREEMENTS]);

impl Recent {
    fn add(&mut self, fingerprint: u64, now: Timestamp) {
        let of_same = self.0.iter().position(|seen| seen.is_some_and(|(f, _)| f == fingerprint));
        let place = of_same.or_else(|| {
            let oldest = self.0.iter().enumerate().min_by_key(|(_, seen)| seen.map(|(_, at)| at));
            oldest.map(|(place, _)| place)
        });
        if let Some(slot) = place.and_then(|place| self.0.get_mut(place)) {
            *slot = Some((fingerprint, now));
        }
    }

    fn others(&self, fingerprint: u64, now: Timestamp) -> usize {
        let is_other =
            |(seen, at): &(u64, Timestamp)| *seen != fingerprint && now.since(*at) < WITHIN;
        self.0.iter().flatten().filter(|seen| is_other(seen)).count()
    }
}

impl Doubts {
    /// A request was refused as invalid.
    pub fn refused(&mut self, fingerprint: u64, now: Timestamp) -> Verdict {
        let others = self.refused.others(fingerprint, now);
        self.refused.add(fingerprint, now);
        if self.blamed_for > 0 {
            Verdict::Blame
        } else if others >= OTHERS {
            Verdict::Doubt
        } else {
            Verdict::Believe
        }
    }

    /// Another target answered the same request. True if the target is blamed from now on.
    pub fn disagreed(&mut self, fingerprint: u64, now: Timestamp) -> bool {
        self.disagreed.add(fingerprint, now);
        let is_new = self.blamed_for == 0;
        let blames = self.disagreed.others(fingerprint, now) + 1 >= DISAGREEMENTS;
        if blames {
            self.blamed_for = ANSWERS;
        }
        blames && is_new
    }

    /// Another target refused the same request.
    pub fn agreed(&mut self) {
        self.refused = Recent::default();
    }

    /// The target answered a request that it was sent at `sent_at`. What it began before it refused
    /// another says nothing.
    pub fn answered(&mut self, sent_at: Timestamp) {
        if self.refused.0.iter().flatten().any(|(_, at)| sent_at < *at) {
            return;
        }
        self.refused = Recent::default();
        self.blamed_for = self.blamed_for.saturating_sub(1);
        if self.blamed_for == 0 {
            self.disagreed = Recent::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_third_different_request_in_a_row_is_doubted() {
        let mut doubts = Doubts::default();
        assert_eq!(doubts.refused(1, at(1)), Verdict::Believe);
        assert_eq!(doubts.refused(1, at(2)), Verdict::Believe, "the same one again");
        assert_eq!(doubts.refused(2, at(3)), Verdict::Believe);
        assert_eq!(doubts.refused(2, at(4)), Verdict::Believe);
        assert_eq!(doubts.refused(3, at(5)), Verdict::Doubt);
        assert_eq!(doubts.refused(4, at(600)), Verdict::Believe, "long ago");
    }

    #[test]
    fn an_answer_or_an_agreement_between_them_restores_belief() {
        let answered: fn(&mut Doubts) = |doubts| doubts.answered(at(2));
        for restore in [answered, Doubts::agreed] {
            let mut doubts = Doubts::default();
            assert_eq!(doubts.refused(1, at(1)), Verdict::Believe);
            assert_eq!(doubts.refused(2, at(2)), Verdict::Believe);
            restore(&mut doubts);
            assert_eq!(doubts.refused(3, at(3)), Verdict::Believe);
        }
    }

    #[test]
    fn three_disagreements_blame_until_twenty_answers() {
        let mut doubts = Doubts::default();
        assert!(!doubts.disagreed(1, at(1)));
        assert!(!doubts.disagreed(1, at(2)), "one request is not enough");
        assert!(!doubts.disagreed(2, at(3)));
        assert!(doubts.disagreed(3, at(4)));
        assert!(!doubts.disagreed(4, at(4)), "already");
        assert_eq!(doubts.refused(9, at(5)), Verdict::Blame);
        for _ in 0..19 {
            doubts.answered(at(5));
        }
        assert_eq!(doubts.refused(10, at(6)), Verdict::Blame);
        doubts.answered(at(5));
        assert_eq!(doubts.refused(10, at(6)), Verdict::Blame, "sent before it refused");
        doubts.answered(at(6));
        assert_eq!(doubts.refused(11, at(6)), Verdict::Believe);
        assert!(!doubts.disagreed(12, at(7)), "and disagreements count anew");
    }

    #[test]
    fn disagreements_of_long_ago_do_not_add_up() {
        let mut doubts = Doubts::default();
        assert!(!doubts.disagreed(1, at(1)));
        assert!(!doubts.disagreed(2, at(2)));
        assert!(!doubts.disagreed(3, at(400)));
    }
}
