//! When is a target asked something although no call needs it? Where no call comes by to probe it.
//!
//! A shut target whose wait has been over for half a minute without a call that could probe it is
//! sent one tiny request. Its success begins the ramp; its failure is half a failure, because it
//! tests one prompt only.
//!
//! If the operator wants it, a target that nobody has asked for a while is *exercised* the same
//! way: a fallback whose key has expired is found before the day on which it is needed.
//!
//! Invariants: a target has at most one such request under way; an endpoint never gets more of them
//! in a day than `daily_max`; one failed exercise never shuts a target. Source: engine.md 4.5.

use super::{CellKind, ChangeReason, Duration, Fleet, Standing, TargetId, Timestamp};
use crate::breaker::State;
use crate::cause::FailureCause;

const DAY: Duration = Duration::from_secs(86_400);

impl Fleet {
    /// The target that should be sent a tiny request now, or when to ask again. Whoever takes it
    /// must come back with [`Fleet::probed`].
    ///
    /// # Errors
    /// When to ask again; `None` if there is nothing to probe.
    pub fn next_synthetic(&mut self, now: Timestamp) -> Result<TargetId, Option<Timestamp>> {
        if !self.config.synthetic.enabled {
            return Err(None);
        }
        let due = self.targets.keys().filter_map(|id| Some((self.synthetic_at(*id, now)?, *id)));
        let Some((at, target)) = due.min() else { return Err(None) };
        if now < at {
            return Err(Some(at));
        }
        let Some(mut permits) = self.admit(target, 0, now) else { return Err(None) };
        permits.is_synthetic = true;
        let at = self.placed(target).map(|spec| spec.endpoint_at);
        if let Some(endpoint) = at.and_then(|at| self.endpoints.get_mut(at)) {
            if now.since(endpoint.day_at) >= DAY {
                (endpoint.day_at, endpoint.probes_today) = (now, 0);
            }
            endpoint.probes_today += 1;
        }
        self.synthetic.insert(target, permits);
        Ok(target)
    }

    /// What came of the tiny request; `None` if nothing can be said.
    pub fn probed(
        &mut self,
        target: TargetId,
        result: Option<Result<(), FailureCause>>,
        now: Timestamp,
    ) {
        let Some(mut permits) = self.synthetic.remove(&target) else { return };
        match result {
            Some(Ok(())) => {
                let Some(spec) = self.placed(target) else { return };
                self.endpoint_works(&spec, &mut permits, now);
                self.key_works(&spec, &permits, now);
                let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
                serving.receiver.ended();
                let (permit, change) = serving.breaker.delivered(permits.serving, now);
                let then = serving.breaker.succeeded(permit, now);
                self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Delivered);
                self.emit_change(CellKind::Serving, &spec.label, then, ChangeReason::Delivered);
            }
            Some(Err(cause)) => self.failed(target, permits, cause, now),
            None => self.censored(target, permits, now),
        }
    }

    /// When the target may be sent a tiny request, if at all.
    fn synthetic_at(&self, target: TargetId, now: Timestamp) -> Option<Timestamp> {
        let cell = self.targets.get(&target)?;
        let serving = self.serving_cell(&cell.spec)?;
        let endpoint = self.endpoints.get(cell.spec.endpoint_at)?;
        let is_new_day = now.since(endpoint.day_at) >= DAY;
        let config = &self.config.synthetic;
        if (endpoint.probes_today >= config.daily_max && !is_new_day)
            || self.synthetic.contains_key(&target)
            || cell.retired_at.is_some()
        {
            return None;
        }
        let (at, wanted) = match *serving.breaker.state() {
            State::Open { until } => {
                ((until + config.after).max(serving.probed_at + config.interval), Standing::Probe)
            }
            State::Closed { .. } => (cell.asked_at + config.exercise?, Standing::Ready),
            State::HalfOpen { .. } | State::Ramp { .. } => return None,
        };
        (self.standing(target, now.max(at)) == wanted).then_some(at)
    }
}
