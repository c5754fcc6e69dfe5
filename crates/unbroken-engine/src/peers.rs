//! What do other replicas know? Hints: they arm the trigger, and only many together pull it.
//!
//! Every replica publishes what it has seen of each service. A board holds the newest hint of
//! every replica about every service; boards merge in any order, any number of times, to the same
//! board. Times are durations and ages, never clocks: a replica whose clock jumps, or a store that
//! is wiped, costs one extra probe at most. No call ever waits for any of it.
//!
//! | a replica hears | it |
//! |---|---|
//! | evidence of others | counts 0.7 of it, up to just below what trips: one failure of its own then trips |
//! | two others, and three in ten, are open | opens, too, for the time that is left to them |
//! | one that recovered after it opened | probes now |
//! | two others find well what it finds ill | keeps its own view and does not publish it |
//!
//! Invariants: merging is commutative, associative and idempotent (I31); stale, repeated or late
//! hints open nothing by themselves. Bound: [`HINTS_MAX`]. Source: engine.md 4.12.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use crate::breaker::{Breaker, State};
use crate::time::Timestamp;

/// Endpoint and model: what a hint is about.
pub type CellName = (Arc<str>, Arc<str>);

/// A board holds no more hints; older ones are not replaced by more.
pub const HINTS_MAX: usize = 50_000;
/// Hints are evidence for this long.
const FRESH: Duration = Duration::from_secs(10);
/// Open breakers of others are adopted for this long.
const OPEN_FRESH: Duration = Duration::from_secs(5);
/// The share of others' evidence that counts.
const SHARE: f64 = 0.7;
/// So many others must be open.
const QUORUM: usize = 2;
/// And so many per cent of those who have an opinion.
const QUORUM_PER_CENT: usize = 30;
/// Below this share of what trips a service counts as well.
const WELL: f64 = 0.3;

/// What a breaker is doing, for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Work flows.
    Closed,
    /// It recovers.
    Ramp,
    /// Work is refused, or probed.
    Open,
}

/// What one replica has seen of one service.
#[derive(Clone, Debug, PartialEq)]
pub struct Hint {
    /// What it is about.
    pub cell: CellName,
    /// Who has seen it.
    pub replica: u64,
    /// Grows with every publication of a replica; newer ones replace older ones.
    pub version: u64,
    /// Evidence of its own, as a share of what trips.
    pub level: f64,
    /// What its breaker is doing.
    pub state: PeerState,
    /// How long it stays open.
    pub left: Duration,
    /// How long ago its state changed.
    pub changed_ago: Duration,
    /// Whether it has traffic to judge by.
    pub has_traffic: bool,
    /// Whether it has ever tripped.
    pub has_tripped: bool,
}

impl Hint {
    /// What this breaker has to say.
    #[must_use]
    pub fn of(
        breaker: &Breaker,
        cell: CellName,
        replica: u64,
        version: u64,
        now: Timestamp,
    ) -> Self {
        let (state, left) = match *breaker.state() {
            State::Closed { .. } => (PeerState::Closed, Duration::ZERO),
            State::Ramp { .. } => (PeerState::Ramp, Duration::ZERO),
            State::Open { until } => (PeerState::Open, until.since(now)),
            State::HalfOpen { .. } => (PeerState::Open, Duration::ZERO),
        };
        Self {
            cell,
            replica,
            version,
            level: breaker.own_level(),
            state,
            left,
            changed_ago: now.since(breaker.changed_at()),
            has_traffic: breaker.detector().rate() > 0.01,
            has_tripped: breaker.trips() > 0,
        }
    }

    /// Newer first; what cannot be told apart by age is told apart by content, so that merging
    /// does not depend on the order.
    fn is_newer(&self, other: &Self) -> bool {
        let rank = |hint: &Self| {
            (hint.version, hint.state, hint.left, hint.changed_ago, hint.level.to_bits())
        };
        rank(self) > rank(other)
    }
}

/// The newest hint of every replica about every service, and when it was heard here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Board {
    hints: BTreeMap<(CellName, u64), (Hint, Timestamp)>,
}

/// What a replica makes of a board.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Opinion {
    /// Evidence of others, as a share of what trips.
    pub level: f64,
    /// Open for so long, because many others are.
    pub adopt: Option<Duration>,
    /// Another one has recovered since this one opened.
    pub has_recovered: bool,
}

impl Board {
    /// Takes a hint that was published `age` ago.
    pub fn hear(&mut self, hint: Hint, age: Duration, now: Timestamp) {
        let name = (hint.cell.clone(), hint.replica);
        let has_room = self.hints.len() < HINTS_MAX;
        match self.hints.get_mut(&name) {
            Some((known, heard_at)) if hint.is_newer(known) => {
                (*known, *heard_at) = (hint, now - age);
            }
            Some((known, _)) if known.is_newer(&hint) => {}
            Some((_, heard_at)) => *heard_at = (*heard_at).max(now - age),
            None if has_room => {
                self.hints.insert(name, (hint, now - age));
            }
            None => {}
        }
    }

    /// Takes everything that another board knows better.
    pub fn merge(&mut self, other: &Self) {
        for (hint, heard_at) in other.hints.values() {
            self.hear(hint.clone(), Duration::ZERO, *heard_at);
        }
    }

    /// Forgets what is no evidence any more.
    pub fn forget_stale(&mut self, now: Timestamp) {
        self.hints.retain(|_, (_, heard_at)| now.since(*heard_at) < FRESH);
    }

    /// What the others say about a service whose own breaker is `own`.
    #[must_use]
    pub fn opinion(&self, cell: &CellName, me: u64, own: &Breaker, now: Timestamp) -> Opinion {
        let (mut level, mut heard, mut open, mut left) = (0.0, 0, 0, Duration::MAX);
        let mut has_recovered = false;
        for (hint, heard_at) in self.about(cell, me) {
            let age = now.since(*heard_at);
            if age >= FRESH {
                continue;
            }
            heard += 1;
            level += hint.level.min(1.0);
            match hint.state {
                PeerState::Open if age < OPEN_FRESH && hint.left > age => {
                    open += 1;
                    left = left.min(hint.left.saturating_sub(age));
                }
                PeerState::Closed | PeerState::Ramp => {
                    let changed_at = *heard_at - hint.changed_ago;
                    has_recovered |= hint.has_tripped && changed_at > own.changed_at();
                }
                PeerState::Open => {}
            }
        }
        let is_quorum = open >= QUORUM && open * 100 >= heard * QUORUM_PER_CENT;
        Opinion { level: level * SHARE, adopt: is_quorum.then_some(left), has_recovered }
    }

    /// Whether at least two others find well what this replica finds ill: then its own way to the
    /// target is the likelier culprit, and nobody else should hear of it.
    #[must_use]
    pub fn is_contradicted(&self, hint: &Hint, now: Timestamp) -> bool {
        let is_well = |(other, heard_at): &&(Hint, Timestamp)| {
            now.since(*heard_at) < FRESH
                && other.has_traffic
                && other.state == PeerState::Closed
                && other.level < WELL
        };
        hint.state == PeerState::Open
            && self.about(&hint.cell, hint.replica).filter(is_well).count() >= 2
    }

    fn about(&self, cell: &CellName, me: u64) -> impl Iterator<Item = &(Hint, Timestamp)> {
        let range = (cell.clone(), 0)..=(cell.clone(), u64::MAX);
        self.hints
            .range(range)
            .filter(move |((_, replica), _)| *replica != me)
            .map(|(_, hint)| hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::BreakerConfig;
    use crate::random::Random;

    const fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    fn name() -> CellName {
        ("endpoint".into(), "model".into())
    }

    fn hint(replica: u64, version: u64, state: PeerState, level: f64) -> Hint {
        Hint {
            cell: name(),
            replica,
            version,
            level,
            state,
            left: Duration::from_secs(if state == PeerState::Open { 8 } else { 0 }),
            changed_ago: Duration::from_secs(1),
            has_traffic: true,
            has_tripped: state != PeerState::Closed,
        }
    }

    fn board(hints: &[Hint], now: Timestamp) -> Board {
        let mut board = Board::default();
        for hint in hints {
            board.hear(hint.clone(), Duration::ZERO, now);
        }
        board
    }

    fn opinion(hints: &[Hint], after_s: u64) -> Opinion {
        let own = Breaker::new(BreakerConfig::default(), Timestamp::ZERO);
        board(hints, at(100)).opinion(&name(), 0, &own, at(100 + after_s))
    }

    #[test]
    fn merging_is_commutative_associative_and_idempotent() {
        let states = [PeerState::Closed, PeerState::Ramp, PeerState::Open];
        for seed in 0..300 {
            let mut random = Random::seeded(seed);
            let mut any = || {
                let hints = (0..random.below(6)).map(|_| {
                    let state = states[random.below(3) as usize];
                    hint(random.below(3), random.below(4), state, random.below(10) as f64 / 10.0)
                });
                board(&hints.collect::<alloc::vec::Vec<_>>(), at(1))
            };
            let (a, b, c) = (any(), any(), any());
            let merged = |one: &Board, other: &Board| {
                let mut one = one.clone();
                one.merge(other);
                one
            };
            assert_eq!(merged(&a, &b), merged(&b, &a), "seed {seed}");
            assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)), "seed {seed}");
            assert_eq!(merged(&merged(&a, &b), &b), merged(&a, &b), "seed {seed}");
        }
    }

    #[test]
    fn one_other_arms_and_two_open_ones_are_followed() {
        let one = opinion(&[hint(1, 1, PeerState::Open, 0.0)], 1);
        assert_eq!((one.adopt, one.level), (None, 0.0));
        let two = [hint(1, 1, PeerState::Open, 0.0), hint(2, 1, PeerState::Open, 0.0)];
        assert_eq!(opinion(&two, 1).adopt, Some(Duration::from_secs(7)));
        assert_eq!(opinion(&two, 5).adopt, None, "too old to be followed");
        let own = [hint(0, 1, PeerState::Open, 1.0), hint(1, 1, PeerState::Open, 0.0)];
        assert_eq!(opinion(&own, 1), one, "one's own hints are no news");
        let mut many: alloc::vec::Vec<Hint> =
            (3..9).map(|replica| hint(replica, 1, PeerState::Closed, 0.0)).collect();
        many.extend(two);
        assert_eq!(opinion(&many, 1).adopt, None, "two of eight are no quorum");
    }

    #[test]
    fn evidence_of_others_adds_up_and_grows_stale() {
        let hints = [hint(1, 1, PeerState::Closed, 0.5), hint(2, 1, PeerState::Closed, 3.0)];
        assert!((opinion(&hints, 1).level - 0.7 * 1.5).abs() < 1e-9);
        assert!(opinion(&hints, 10).level.abs() < 1e-9);
        let newer = [hint(1, 2, PeerState::Closed, 0.1), hint(1, 1, PeerState::Closed, 0.9)];
        assert!((opinion(&newer, 1).level - 0.07).abs() < 1e-9, "a late one does not count");
    }

    #[test]
    fn hints_arm_a_breaker_that_one_own_failure_then_trips() {
        let mut random = Random::seeded(1);
        let mut breaker = Breaker::new(BreakerConfig::default(), Timestamp::ZERO);
        breaker.arm(5.0, at(1));
        assert!(breaker.level(at(1)) < 1.0, "hints alone do nothing");
        let permit = breaker.admit(at(2)).0;
        assert_eq!(breaker.failed(permit, 1000, None, at(2), &mut random).unwrap().to, "open");
        let mut late = Breaker::new(BreakerConfig::default(), Timestamp::ZERO);
        late.arm(5.0, at(1));
        let permit = late.admit(at(11)).0;
        assert_eq!(late.failed(permit, 1000, None, at(11), &mut random), None, "stale");
    }

    #[test]
    fn a_recovery_elsewhere_is_noticed() {
        let ramp = hint(1, 1, PeerState::Ramp, 0.0);
        assert!(opinion(core::slice::from_ref(&ramp), 1).has_recovered);
        let long_ago = Hint { changed_ago: Duration::from_secs(200), ..ramp.clone() };
        assert!(!opinion(&[long_ago], 1).has_recovered);
        let never_ill = Hint { has_tripped: false, ..ramp };
        assert!(!opinion(&[never_ill], 1).has_recovered);
    }

    #[test]
    fn who_is_contradicted_by_two_keeps_quiet() {
        let mine = hint(0, 1, PeerState::Open, 1.0);
        let well = |replica| hint(replica, 1, PeerState::Closed, 0.0);
        assert!(board(&[well(1), well(2)], at(1)).is_contradicted(&mine, at(2)));
        assert!(!board(&[well(1)], at(1)).is_contradicted(&mine, at(2)));
        assert!(!board(&[well(1), well(2)], at(1)).is_contradicted(&mine, at(12)));
        let idle = Hint { has_traffic: false, ..well(2) };
        assert!(!board(&[well(1), idle], at(1)).is_contradicted(&mine, at(2)));
        let well_too = hint(0, 1, PeerState::Closed, 0.0);
        assert!(!board(&[well(1), well(2)], at(1)).is_contradicted(&well_too, at(2)));
    }

    #[test]
    fn a_board_is_bounded_and_forgets() {
        let mut board = board(&[hint(1, 1, PeerState::Closed, 0.0)], at(1));
        board.forget_stale(at(10));
        assert_eq!(board.hints.len(), 1);
        board.forget_stale(at(11));
        assert!(board.hints.is_empty());
    }
}
