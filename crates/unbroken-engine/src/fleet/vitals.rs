//! What must be sane at every moment? One cheap look at a target, for whoever holds invariants
//! after every step.

use super::standing::CellsOf;
use super::{Fleet, TargetId, Timestamp};
use crate::breaker::State;

/// The numbers behind a target's serving and endpoint breakers, as they are: nothing in it depends
/// on the time of the look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vitals {
    /// Counts the changes of the serving breaker.
    pub epoch: u64,
    /// Evidence of its own against the service, as a share of what trips.
    pub evidence: f64,
    /// How often the service fails in quiet times.
    pub baseline: f64,
    /// When an open serving breaker lets a probe through.
    pub open_until: Option<Timestamp>,
    /// When an open endpoint breaker lets a probe through.
    pub endpoint_open_until: Option<Timestamp>,
    /// When a probe that is in flight counts as lost.
    pub probe_until: Option<Timestamp>,
    /// The share of its traffic that a recovering service gets, in thousandths.
    pub share_per_mille: Option<u32>,
    /// Attempts under way.
    pub under_way: u32,
    /// Whether an operator has decided.
    pub is_forced: bool,
}

impl Fleet {
    /// One cheap look at a target; `None` if it is not known.
    #[must_use]
    pub fn vitals(&self, target: TargetId) -> Option<Vitals> {
        let CellsOf { serving: cell, endpoint, .. } = self.cells(target)?;
        let (mut open_until, mut probe_until, mut share) = (None, None, None);
        match *cell.breaker.state() {
            State::Closed { .. } => {}
            State::Open { until } => open_until = Some(until),
            State::HalfOpen { probe_until: until } => probe_until = Some(until),
            State::Ramp { share_per_mille, .. } => share = Some(share_per_mille),
        }
        let endpoint_open_until = match *endpoint.breaker.state() {
            State::Open { until } => Some(until),
            State::Closed { .. } | State::HalfOpen { .. } | State::Ramp { .. } => None,
        };
        Some(Vitals {
            epoch: cell.breaker.epoch(),
            evidence: cell.breaker.own_level(),
            baseline: cell.breaker.detector().baseline(),
            open_until,
            endpoint_open_until,
            probe_until,
            share_per_mille: share,
            under_way: cell.receiver.under_way(),
            is_forced: cell.breaker.forced().is_some(),
        })
    }

    /// Whether a probe of the target, of its key or of its endpoint is in flight.
    #[must_use]
    pub fn is_probing(&self, target: TargetId, now: Timestamp) -> bool {
        let breakers = self.breakers(target).unwrap_or_default();
        breakers.into_iter().flatten().any(|breaker| breaker.is_probing(now))
    }
}
