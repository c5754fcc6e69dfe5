//! How much may a key send per minute? What its rate limit has taught us, so that the next minute
//! does not have to end in refusals.
//!
//! Nobody tells us a key's limit in time, but a refusal does: what was sent in the minute before it
//! is what fits. From then on the key takes a twentieth less than that before others are preferred,
//! and the bound grows by a twentieth with every minute without a refusal, so that a limit which
//! was raised is found. A key that is alone is used all the same: its refusal is better than ours.
//!
//! | | |
//! |---|---|
//! | learned from a refusal | the requests and tokens of the sixty seconds before it |
//! | used | 95 % of that, 5 % more with each minute without a refusal |
//! | forgotten | an hour after the last refusal |
//!
//! Invariants: a key that was never refused is never held back; the bound is at least one request.
//! Source: engine.md scenarios 16 and 17 (pre-admission).

use core::time::Duration;

use crate::time::Timestamp;

const MINUTE: Duration = Duration::from_secs(60);
/// What is kept of a learned limit.
const KEPT: f64 = 0.95;
/// What it grows by in a minute without a refusal.
const GROWTH: f64 = 1.05;
/// A bound that was not needed for so many minutes is forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3_600);

/// What one key sends for one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pace {
    /// Requests and tokens of this minute and of the last one.
    now: (f64, f64),
    before: (f64, f64),
    minute_at: Timestamp,
    /// What fits into a minute, and when that was learned.
    bound: Option<(f64, f64)>,
    refused_at: Timestamp,
}

impl Pace {
    /// Whether a request of so many tokens fits into what is known of the limit.
    #[must_use]
    pub fn fits(&self, tokens: u32, at: Timestamp) -> bool {
        let Some((requests, sent)) = self.bound else { return true };
        let quiet = at.since(self.refused_at);
        if quiet >= FORGOTTEN_AFTER {
            return true;
        }
        let minutes = quiet.as_secs_f64() / MINUTE.as_secs_f64();
        let growth = KEPT * libm::pow(GROWTH, minutes);
        let (last_requests, last_sent) = self.last_minute(at);
        last_requests + 1.0 <= (requests * growth).max(1.0)
            && last_sent + f64::from(tokens) <= (sent * growth).max(f64::from(tokens))
    }

    /// A request of so many tokens was sent.
    pub fn sent(&mut self, tokens: u32, at: Timestamp) {
        let elapsed = at.since(self.minute_at);
        if elapsed >= MINUTE {
            self.before = if elapsed < 2 * MINUTE { self.now } else { (0.0, 0.0) };
            self.now = (0.0, 0.0);
            self.minute_at = at;
        }
        self.now.0 += 1.0;
        self.now.1 += f64::from(tokens);
    }

    /// The last request, of so many tokens, was refused by the rate limit.
    pub fn refused(&mut self, tokens: u32, at: Timestamp) {
        let (requests, sent) = self.last_minute(at);
        self.now.0 = (self.now.0 - 1.0).max(0.0);
        self.now.1 = (self.now.1 - f64::from(tokens)).max(0.0);
        let fitted = ((requests - 1.0).max(1.0), (sent - f64::from(tokens)).max(0.0));
        self.bound = Some(fitted);
        self.refused_at = at;
    }

    /// What was sent within the last sixty seconds: all of this minute, and of the last one the
    /// part that is not older.
    fn last_minute(&self, at: Timestamp) -> (f64, f64) {
        let elapsed = at.since(self.minute_at);
        if elapsed >= MINUTE {
            let left = 2.0 - elapsed.as_secs_f64() / MINUTE.as_secs_f64();
            return (self.now.0 * left.max(0.0), self.now.1 * left.max(0.0));
        }
        let left = 1.0 - elapsed.as_secs_f64() / MINUTE.as_secs_f64();
        (self.now.0 + self.before.0 * left, self.now.1 + self.before.1 * left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at_ms(millis: u64) -> Timestamp {
        Timestamp::from_nanos(millis * 1_000_000)
    }

    /// Sends whenever it fits, every `gap_ms`, against a limit of 60 per minute that never sleeps:
    /// how many were sent and how many refused within ten minutes.
    fn play(gap_ms: u64, tokens: u32) -> (u32, u32) {
        let mut pace = Pace::default();
        let (mut bucket, mut sent, mut refused) = (60.0_f64, 0, 0);
        for n in 0..600_000 / gap_ms {
            let now = at_ms(n * gap_ms);
            bucket = (bucket + gap_ms as f64 / 1000.0).min(60.0);
            if !pace.fits(tokens, now) {
                continue;
            }
            sent += 1;
            pace.sent(tokens, now);
            if bucket >= 1.0 {
                bucket -= 1.0;
            } else {
                refused += 1;
                pace.refused(tokens, now);
            }
        }
        (sent, refused)
    }

    #[test]
    fn a_key_learns_its_limit_and_is_used_up_to_it() {
        let (sent, refused) = play(200, 100);
        assert!(refused <= 12, "{refused} of {sent} were refused");
        assert!(sent >= 450, "{sent} of about 650 were sent");
    }

    #[test]
    fn a_key_that_was_never_refused_is_never_held_back() {
        let (sent, refused) = play(1_000, 100);
        assert_eq!((sent, refused), (600, 0));
    }

    #[test]
    fn a_bound_is_at_least_one_request_and_is_forgotten() {
        let mut pace = Pace::default();
        pace.sent(9_000, at_ms(0));
        pace.refused(9_000, at_ms(0));
        assert!(pace.fits(9_000, at_ms(1)), "alone it always fits");
        pace.sent(9_000, at_ms(2));
        assert!(!pace.fits(9_000, at_ms(3)));
        assert!(pace.fits(9_000, at_ms(180_000)), "a minute later there is room");
        for n in 0..100 {
            pace.sent(9_000, at_ms(3_600_000 + n));
        }
        assert!(pace.fits(9_000, at_ms(3_600_200)), "an hour later it is forgotten");
    }

    #[test]
    fn tokens_are_bounded_too() {
        let mut pace = Pace::default();
        for n in 0..10 {
            pace.sent(10_000, at_ms(n * 100));
        }
        pace.refused(10_000, at_ms(1_000));
        assert!(!pace.fits(10_000, at_ms(1_100)));
        assert!(!pace.fits(10_000, at_ms(30_000)));
        assert!(pace.fits(10_000, at_ms(100_000)), "the minute has passed for the most part");
    }
}
