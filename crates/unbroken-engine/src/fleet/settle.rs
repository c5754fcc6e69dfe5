//! What does the fleet learn from an attempt? Every permit comes back here, whatever happened.
//!
//! | end of an attempt | endpoint | key | service of the model |
//! |---|---|---|---|
//! | first content | works | works | a probe has proved its point |
//! | answered | works | works | success; its times are learned |
//! | failed | by the cause's blame (`cause.rs`) | the same | the same |
//! | late, and another one won | nothing | nothing | half a failure, and slow |
//! | ended by us, or the client left | nothing | nothing | nothing: the permit goes back |
//!
//! Invariants: each permit is settled once; what blames nobody changes no breaker. Source: engine.md
//! 4.2.

use super::{
    Blame, CellKind, ChangeReason, CooldownConfig, Duration, Event, FailureCause, Fleet, Permits,
    Placed, TargetId, Timestamp, capacity_name,
};
use crate::deadline::{Kind, Limits};
use crate::detector::WHOLE;
use crate::doubt::Verdict;
use crate::resume::PREFIX_REFUSED_FOR;
use crate::stall::Progress;

/// A late attempt that loses a race is half a failure. Source: engine.md 4.2.
const LOST_RACE: u32 = 500;
/// An answer that comes with less than a fourth of the usual speed is slow by half.
const SLOW_SPEED: u32 = 500;
/// Shorter answers say nothing about speed, in tokens.
const SPEED_NEEDS: u32 = 20;

/// What a good answer teaches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) input_tokens: u32,
    /// To the first content.
    pub(crate) first: Duration,
    /// To the end.
    pub(crate) took: Duration,
    /// Zero if not known.
    pub(crate) output_tokens: u32,
    /// How it came along.
    pub(crate) progress: Progress,
}

impl Sample {
    fn tokens_per_s(&self) -> Option<u32> {
        let delivering = self.took.saturating_sub(self.first).as_millis();
        if self.output_tokens < SPEED_NEEDS || self.kind == Kind::Whole || delivering == 0 {
            return None;
        }
        u32::try_from(u128::from(self.output_tokens) * 1000 / delivering).ok()
    }
}

impl Fleet {
    /// The attempt delivered its first content: the endpoint is reached, the key accepted, and a
    /// probe has proved its point.
    pub(crate) fn delivered(
        &mut self,
        target: TargetId,
        permits: &mut Permits,
        limits: &Limits,
        sample: &Sample,
        now: Timestamp,
    ) {
        let Some(spec) = self.placed(target) else { return };
        self.endpoint_works(&spec, permits, now);
        self.key_works(&spec, permits, now);
        let late = self.late_after(target, limits, sample.kind, sample.input_tokens);
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        serving.gone.succeeded();
        serving.overload.succeeded();
        let (permit, change) = serving.breaker.delivered(permits.serving, now);
        permits.serving = permit;
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Delivered);
        self.model_found(&spec);
        // That it was quick is known at its end only.
        if late.is_some_and(|late| sample.first > late) {
            self.was_slow(&spec, true, WHOLE, now);
        }
    }

    /// The attempt ended well.
    pub(crate) fn succeeded(
        &mut self,
        target: TargetId,
        permits: Permits,
        limits: &Limits,
        sample: &Sample,
        now: Timestamp,
    ) {
        let late = self.late_after(target, limits, sample.kind, sample.input_tokens);
        let Some(cell) = self.targets.get_mut(&target) else { return };
        cell.capacity.succeeded();
        cell.last_failure = None;
        cell.peak.answered(sample.first, now);
        let spec = cell.spec.clone();
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        serving.receiver.ended();
        serving.receiver.answered();
        serving.doubts.answered(now - sample.took);
        serving.latency.add(sample.kind, sample.input_tokens, sample.first);
        serving.pauses.add(&sample.progress);
        let (speed, usual) = (sample.tokens_per_s(), serving.latency.median_speed());
        if let Some(speed) = speed {
            serving.latency.add_speed(speed);
        }
        let change = serving.breaker.succeeded(permits.serving, now);
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Delivered);
        let is_crawling = speed.zip(usual).is_some_and(|(speed, usual)| speed < usual / 4);
        if is_crawling {
            self.was_slow(&spec, true, SLOW_SPEED, now);
        } else if late.is_some_and(|late| sample.first <= late) {
            self.was_slow(&spec, false, WHOLE, now);
        }
    }

    /// Another target delivered first, although this attempt had run for long enough.
    pub(crate) fn lost_race(&mut self, target: TargetId, mut permits: Permits, now: Timestamp) {
        if !self.config.evidence.lost_races {
            self.censored(target, permits, now);
            return;
        }
        let Some(cell) = self.targets.get_mut(&target) else { return };
        cell.peak.failed(None, now);
        let spec = cell.spec.clone();
        self.endpoint_unknown(&spec, &mut permits, now);
        self.key_unknown(&spec, permits, now);
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        serving.receiver.ended();
        let permit = permits.serving;
        let change = serving.breaker.failed(permit, LOST_RACE, None, now, &mut self.random);
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::LostRace);
        self.was_slow(&spec, true, WHOLE, now);
    }

    /// The target lost a race before it was late: no evidence, but a trial of it comes later.
    pub(crate) fn was_outrun(&mut self, target: TargetId, now: Timestamp) {
        let Some(spec) = self.placed(target) else { return };
        if let Some(serving) = self.serving.get_mut(spec.serving_at) {
            serving.slowness.was_outrun(now);
        }
    }

    /// The target refused a request as invalid: is it to be believed?
    pub(crate) fn refused(
        &mut self,
        target: TargetId,
        fingerprint: u64,
        now: Timestamp,
    ) -> Verdict {
        let guards = self.config.evidence.guards;
        let Some(spec) = self.placed(target) else { return Verdict::Believe };
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return Verdict::Believe };
        let verdict = serving.doubts.refused(fingerprint, now);
        if guards { verdict } else { Verdict::Believe }
    }

    /// A target that is known to refuse valid requests has done so again: a failure of its own.
    pub(crate) fn refused_validly(
        &mut self,
        target: TargetId,
        mut permits: Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let Some(cell) = self.targets.get_mut(&target) else { return };
        cell.last_failure = Some(cause);
        let spec = cell.spec.clone();
        self.attempt_ended(&spec);
        self.endpoint_works(&spec, &mut permits, now);
        self.key_works(&spec, &permits, now);
        self.serving_failed(&spec, permits, None, cause, now);
    }

    /// Another target answered what this one refused as invalid.
    pub(crate) fn disagreed(&mut self, target: TargetId, fingerprint: u64, now: Timestamp) {
        let Some(spec) = self.placed(target) else { return };
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        if serving.doubts.disagreed(fingerprint, now) {
            self.emit(Event::TargetBlamed { name: spec.label.clone() });
        }
    }

    /// Another target refused it, too.
    pub(crate) fn agreed(&mut self, target: TargetId) {
        let Some(spec) = self.placed(target) else { return };
        if let Some(serving) = self.serving.get_mut(spec.serving_at) {
            serving.doubts.agreed();
        }
    }

    fn was_slow(&mut self, spec: &Placed, is_slow: bool, weight: u32, now: Timestamp) {
        if !self.config.evidence.slowness {
            return;
        }
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        let has_changed = if is_slow {
            serving.slowness.was_slow(weight, now)
        } else {
            serving.slowness.was_quick(now)
        };
        if has_changed {
            let name = spec.label.clone();
            self.emit(Event::SlownessChanged { name, is_degraded: is_slow });
        }
    }

    /// The attempt was ended by us or by the client: nobody learns anything.
    pub(crate) fn censored(&mut self, target: TargetId, mut permits: Permits, now: Timestamp) {
        let Some(spec) = self.placed(target) else { return };
        self.endpoint_unknown(&spec, &mut permits, now);
        self.key_unknown(&spec, permits, now);
        self.serving_unknown(&spec, permits, now);
        self.attempt_ended(&spec);
    }

    /// One attempt less is under way.
    fn attempt_ended(&mut self, spec: &Placed) {
        if let Some(serving) = self.serving.get_mut(spec.serving_at) {
            serving.receiver.ended();
        }
    }

    /// The target does not take the beginning of an answer, whatever was known of it.
    pub(crate) fn prefix_refused(&mut self, target: TargetId, now: Timestamp) {
        self.no_prefix.retain(|_, until| *until > now);
        self.no_prefix.insert(target, now + PREFIX_REFUSED_FOR);
    }

    /// Whether nothing speaks against sending it the beginning of an answer.
    pub(crate) fn takes_prefix(&self, target: TargetId, now: Timestamp) -> bool {
        self.no_prefix.get(&target).is_none_or(|until| *until <= now)
    }

    /// The attempt failed: its cause says who learns from it.
    pub(crate) fn failed(
        &mut self,
        target: TargetId,
        mut permits: Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let Some(cell) = self.targets.get_mut(&target) else { return };
        let blame = cause.blame();
        if blame != Blame::Nobody {
            cell.last_failure = Some(cause);
            // A failure is never cheap, however fast it came (I8).
            cell.peak.failed(cause.retry_after(), now);
        }
        let spec = cell.spec.clone();
        self.attempt_ended(&spec);
        self.settle_load(&spec, cause, now);
        if blame == Blame::Key && self.keys_are_innocent(&spec, now) {
            self.keys_incident_goes_on(&spec, now);
            self.endpoint_works(&spec, &mut permits, now);
            self.key_unknown(&spec, permits, now);
            self.serving_failed(&spec, permits, None, cause, now);
            return;
        }
        self.settle_endpoint(&spec, &mut permits, cause, now);
        self.settle_key(&spec, permits, cause, now);
        self.settle_serving(&spec, permits, cause, now);
        self.block(target, &spec, permits.tokens, cause, now);
    }

    fn settle_endpoint(
        &mut self,
        spec: &Placed,
        permits: &mut Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        match cause.blame() {
            Blame::Endpoint | Blame::EndpointAndServing => {
                self.endpoint_failed(spec, permits, cause, now);
            }
            Blame::Nobody
            | Blame::Serving
            | Blame::ServingUntil { .. }
            | Blame::Capacity { .. }
            | Blame::Quota { .. }
            | Blame::Key
            | Blame::Model => {
                if cause.proves_reachable() {
                    self.endpoint_works(spec, permits, now);
                } else {
                    self.endpoint_unknown(spec, permits, now);
                }
            }
        }
    }

    fn settle_key(&mut self, spec: &Placed, permits: Permits, cause: FailureCause, now: Timestamp) {
        match cause.blame() {
            Blame::Key => self.key_failed(spec, permits, cause, now),
            Blame::Nobody
            | Blame::Endpoint
            | Blame::EndpointAndServing
            | Blame::Serving
            | Blame::ServingUntil { .. }
            | Blame::Capacity { .. }
            | Blame::Quota { .. }
            | Blame::Model => {
                if cause.proves_key() {
                    self.key_works(spec, &permits, now);
                } else {
                    self.key_unknown(spec, permits, now);
                }
            }
        }
    }

    fn settle_serving(
        &mut self,
        spec: &Placed,
        permits: Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let asked = match cause.blame() {
            Blame::Serving | Blame::EndpointAndServing => None,
            Blame::ServingUntil { retry_after } => {
                retry_after.map(|wait| wait.min(CooldownConfig::OVERLOAD.longest))
            }
            Blame::Nobody
            | Blame::Endpoint
            | Blame::Capacity { .. }
            | Blame::Quota { .. }
            | Blame::Key
            | Blame::Model => {
                if cause.proves_serving() {
                    self.serving_works(spec, permits, now);
                } else {
                    self.serving_unknown(spec, permits, now);
                }
                return;
            }
        };
        self.serving_failed(spec, permits, asked, cause, now);
    }

    fn serving_failed(
        &mut self,
        spec: &Placed,
        permits: Permits,
        asked: Option<Duration>,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        let halves = if permits.is_synthetic { 2 } else { 1 };
        let (permit, weight) = (permits.serving, cause.weight() / halves);
        let change = serving.breaker.failed(permit, weight, asked, now, &mut self.random);
        let reason = ChangeReason::Failed(cause);
        self.emit_change(CellKind::Serving, &spec.label, change, reason);
    }

    fn key_failed(&mut self, spec: &Placed, permits: Permits, cause: FailureCause, now: Timestamp) {
        let at_least = self.key_rejected(spec, now);
        let Some(key) = self.keys.get_mut(spec.key_at) else { return };
        let permit = permits.key;
        let change = key.breaker.failed(permit, cause.weight(), at_least, now, &mut self.random);
        let reason = ChangeReason::Failed(cause);
        let is_suspect = change.is_some();
        self.emit_change(CellKind::Key, &spec.key, change, reason);
        if is_suspect && self.is_keys_incident(spec, now) {
            self.serving_failed(spec, permits, None, cause, now);
        }
    }

    fn settle_load(&mut self, spec: &Placed, cause: FailureCause, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        if matches!(cause, FailureCause::Overloaded { .. }) {
            serving.receiver.overloaded(now);
        }
    }

    /// Blocks the cell that the cause names until a known time.
    fn block(
        &mut self,
        target: TargetId,
        spec: &Placed,
        tokens: u32,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let (cell, kind, name, config, asked) = match cause.blame() {
            Blame::Capacity { retry_after } => {
                let Some(cell) = self.targets.get_mut(&target) else { return };
                cell.pace.refused(tokens, now);
                let config = CooldownConfig::RATE_LIMIT;
                (&mut cell.capacity, CellKind::Capacity, capacity_name(spec), config, retry_after)
            }
            Blame::Quota { retry_after } => {
                let Some(key) = self.keys.get_mut(spec.key_at) else { return };
                let config = CooldownConfig::QUOTA;
                (&mut key.quota, CellKind::Quota, spec.key.clone(), config, retry_after)
            }
            Blame::Model => {
                let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
                let config = CooldownConfig::MODEL_GONE;
                (&mut serving.gone, CellKind::Model, spec.label.clone(), config, None)
            }
            Blame::ServingUntil { retry_after: Some(asked) } => {
                let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
                let config = CooldownConfig::OVERLOAD;
                let label = spec.label.clone();
                (&mut serving.overload, CellKind::Serving, label, config, Some(asked))
            }
            Blame::Nobody
            | Blame::Endpoint
            | Blame::EndpointAndServing
            | Blame::Serving
            | Blame::ServingUntil { retry_after: None }
            | Blame::Key => return,
        };
        cell.block(&config, asked, now);
        let wait = cell.blocked_until(now).map_or(Duration::ZERO, |until| until.since(now));
        if kind == CellKind::Model {
            self.model_missed(spec, cause, now);
        }
        self.emit(Event::CellBlocked { cell: kind, name, wait, cause });
    }

    pub(super) fn endpoint_works(&mut self, spec: &Placed, permits: &mut Permits, now: Timestamp) {
        let Some(permit) = permits.endpoint.take() else { return };
        self.network_works(spec, now);
        let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) else { return };
        let change = cell.breaker.succeeded(permit, now);
        self.emit_change(CellKind::Endpoint, &spec.endpoint, change, ChangeReason::Delivered);
    }

    fn endpoint_failed(
        &mut self,
        spec: &Placed,
        permits: &mut Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let is_unreachable = matches!(cause, FailureCause::Unreachable(_));
        if is_unreachable && self.is_local_fault(spec, now) {
            self.endpoint_unknown(spec, permits, now);
            return;
        }
        let Some(permit) = permits.endpoint.take() else { return };
        let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) else { return };
        let change = cell.breaker.failed(permit, WHOLE, None, now, &mut self.random);
        if change.is_some() {
            // Ask the endpoint itself soon whether it is back.
            cell.check_at = self.config.health.next(true, now, &mut self.random);
        }
        let reason = ChangeReason::Failed(cause);
        self.emit_change(CellKind::Endpoint, &spec.endpoint, change, reason);
    }

    fn endpoint_unknown(&mut self, spec: &Placed, permits: &mut Permits, now: Timestamp) {
        let Some(permit) = permits.endpoint.take() else { return };
        let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) else { return };
        let change = cell.breaker.censored(permit, now);
        self.emit_change(CellKind::Endpoint, &spec.endpoint, change, ChangeReason::Censored);
    }

    pub(super) fn key_works(&mut self, spec: &Placed, permits: &Permits, now: Timestamp) {
        let Some(key) = self.keys.get_mut(spec.key_at) else { return };
        key.quota.succeeded();
        (key.suspect_at, key.rejected_since, key.rejections) = (None, None, 0);
        let change = key.breaker.succeeded(permits.key, now);
        self.emit_change(CellKind::Key, &spec.key, change, ChangeReason::Delivered);
    }

    fn key_unknown(&mut self, spec: &Placed, permits: Permits, now: Timestamp) {
        let Some(key) = self.keys.get_mut(spec.key_at) else { return };
        let change = key.breaker.censored(permits.key, now);
        self.emit_change(CellKind::Key, &spec.key, change, ChangeReason::Censored);
    }

    fn serving_works(&mut self, spec: &Placed, permits: Permits, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        let change = serving.breaker.succeeded(permits.serving, now);
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Delivered);
    }

    fn serving_unknown(&mut self, spec: &Placed, permits: Permits, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        let change = serving.breaker.censored(permits.serving, now);
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Censored);
    }
}
