//! Until when is a cell blocked? Rate limits, quotas, money and vanished models are not sickness:
//! they block a cell until a known time and never count against a breaker.
//!
//! | what | first | each further one in a row | at most | ends early by |
//! |---|---|---|---|---|
//! | rate limit of a key for a model | 1 s | twice as long | 24 h | a new key |
//! | quota or money of a key | 5 min | four times | 24 h | a new key |
//! | a model gone at an endpoint | 60 s | four times | 24 h | nothing |
//! | a model gone everywhere | 60 s | four times | 24 h | an answer of that model |
//! | overload that named its wait | as asked | as asked | 300 s | nothing |
//!
//! A time that the target names replaces our own, up to the same bound.
//!
//! Invariants: a block is never shortened by another (field case C-1); the waits we choose
//! ourselves grow with every block in a row and are forgotten after a success; the refusals of one
//! burst are one block. Sources: engine.md 3.1, 4.2; `docs/failover.md`.

use core::time::Duration;

use crate::random::scaled;
use crate::time::Timestamp;

/// How long to block when nobody named a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CooldownConfig {
    /// The first block.
    pub first: Duration,
    /// Each further block in a row is this many times longer.
    pub factor: u32,
    /// No block is longer, whatever the target asked for.
    pub longest: Duration,
}

impl CooldownConfig {
    /// Rate limits: 1 s, doubling, at most 24 h (a daily quota may name its reset).
    pub const RATE_LIMIT: Self = Self::of(1, 2, 86_400);
    /// Quota and money: 5 min, fourfold, at most 24 h. Only the operator or the calendar helps.
    pub const QUOTA: Self = Self::of(300, 4, 86_400);
    /// A model that vanished: 60 s, fourfold, at most 24 h. Source: engine.md 4.2, rule C3.
    pub const MODEL_GONE: Self = Self::of(60, 4, 86_400);
    /// Overload that named its wait: honoured up to 300 s. Source: engine.md 4.4, T2.
    pub const OVERLOAD: Self = Self::of(1, 2, 300);

    const fn of(first_s: u64, factor: u32, longest_s: u64) -> Self {
        Self {
            first: Duration::from_secs(first_s),
            factor,
            longest: Duration::from_secs(longest_s),
        }
    }
}

/// A cell that may be blocked for a while.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cooldown {
    until: Timestamp,
    in_row: u32,
}

impl Cooldown {
    /// When asking again makes sense; `None` if it does now.
    #[must_use]
    pub fn blocked_until(&self, now: Timestamp) -> Option<Timestamp> {
        (now < self.until).then_some(self.until)
    }

    /// Blocks for `asked`, or for our own growing wait if the target named none.
    pub fn block(&mut self, config: &CooldownConfig, asked: Option<Duration>, now: Timestamp) {
        let own = scaled(config.first, u64::from(config.factor).saturating_pow(self.in_row), 1);
        let wait = asked.unwrap_or(own).min(config.longest);
        // Several answers of one burst count as one block.
        if now >= self.until {
            self.in_row = self.in_row.saturating_add(1);
        }
        self.until = self.until.max(now + wait);
    }

    /// The target has answered: the next block starts small again.
    pub const fn succeeded(&mut self) {
        self.in_row = 0;
    }

    /// Whether nothing would be lost by forgetting this cell.
    #[must_use]
    pub fn is_forgettable(&self, now: Timestamp) -> bool {
        self.blocked_until(now).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn own_waits_grow_and_a_success_resets_them() {
        let mut cell = Cooldown::default();
        let config = CooldownConfig::QUOTA;
        cell.block(&config, None, at(0));
        assert_eq!(cell.blocked_until(at(0)), Some(at(300)));
        assert_eq!(cell.blocked_until(at(300)), None);
        cell.block(&config, None, at(300));
        assert_eq!(cell.blocked_until(at(300)), Some(at(1_500)));
        cell.succeeded();
        cell.block(&config, None, at(2_000));
        assert_eq!(cell.blocked_until(at(2_000)), Some(at(2_300)));
    }

    #[test]
    fn a_shorter_block_does_not_shorten_a_longer_one() {
        let mut cell = Cooldown::default();
        cell.block(&CooldownConfig::RATE_LIMIT, Some(Duration::from_secs(60)), at(0));
        cell.block(&CooldownConfig::RATE_LIMIT, Some(Duration::from_secs(2)), at(1));
        assert_eq!(cell.blocked_until(at(1)), Some(at(60)));
    }

    #[test]
    fn an_absurd_wait_is_capped() {
        let mut cell = Cooldown::default();
        cell.block(&CooldownConfig::RATE_LIMIT, Some(Duration::from_secs(10_000_000)), at(0));
        assert_eq!(cell.blocked_until(at(0)), Some(at(86_400)));
    }

    #[test]
    fn a_burst_counts_as_one_block() {
        let mut cell = Cooldown::default();
        for _ in 0..50 {
            cell.block(&CooldownConfig::RATE_LIMIT, None, at(0));
        }
        assert_eq!(cell.blocked_until(at(0)), Some(at(2)), "1 s, then once doubled at most");
    }
}
