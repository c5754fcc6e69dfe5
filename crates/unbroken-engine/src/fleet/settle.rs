//! What does the fleet learn from an attempt? Every permit comes back here, whatever happened.

use super::{
    Blame, CellKind, ChangeReason, CooldownConfig, Duration, Event, FailureCause, Fleet, Permits,
    TargetId, TargetSpec, Timestamp, capacity_name, serving_names,
};

impl Fleet {
    /// The attempt delivered its first content: the endpoint is reached, the key accepted, and a
    /// probe has proved its point.
    pub(crate) fn delivered(&mut self, target: TargetId, permits: &mut Permits, now: Timestamp) {
        let Some(spec) = self.spec(target).cloned() else { return };
        self.endpoint_works(&spec, permits, now);
        self.key_works(&spec, permits, now);
        let Some(serving) = self.serving.get_mut(&serving_names(&spec)) else { return };
        serving.gone.succeeded();
        serving.overload.succeeded();
        let (permit, change) = serving.breaker.delivered(permits.serving, now);
        permits.serving = permit;
        self.emit_change(CellKind::Serving, spec.label, change, ChangeReason::Delivered);
    }

    /// The attempt ended well.
    pub(crate) fn succeeded(&mut self, target: TargetId, mut permits: Permits, now: Timestamp) {
        self.delivered(target, &mut permits, now);
        let Some(cell) = self.targets.get_mut(&target) else { return };
        cell.capacity.succeeded();
        cell.last_failure = None;
        let spec = cell.spec.clone();
        let Some(serving) = self.serving.get_mut(&serving_names(&spec)) else { return };
        let change = serving.breaker.succeeded(permits.serving, now);
        self.emit_change(CellKind::Serving, spec.label, change, ChangeReason::Delivered);
    }

    /// The attempt was ended by us or by the client: nobody learns anything.
    pub(crate) fn censored(&mut self, target: TargetId, mut permits: Permits, now: Timestamp) {
        let Some(spec) = self.spec(target).cloned() else { return };
        self.endpoint_unknown(&spec, &mut permits, now);
        self.key_unknown(&spec, permits, now);
        self.serving_unknown(&spec, permits, now);
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
        }
        let spec = cell.spec.clone();
        self.settle_endpoint(&spec, &mut permits, cause, now);
        self.settle_key(&spec, permits, cause, now);
        self.settle_serving(&spec, permits, cause, now);
        self.block(target, &spec, cause, now);
    }

    fn settle_endpoint(
        &mut self,
        spec: &TargetSpec,
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

    fn settle_key(
        &mut self,
        spec: &TargetSpec,
        permits: Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        match cause.blame() {
            Blame::Key => {
                let Some(key) = self.keys.get_mut(&spec.key) else { return };
                let change = key.breaker.failed(permits.key, None, now, &mut self.random);
                let reason = ChangeReason::Failed(cause);
                self.emit_change(CellKind::Key, spec.key.clone(), change, reason);
            }
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
        spec: &TargetSpec,
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
        let Some(serving) = self.serving.get_mut(&serving_names(spec)) else { return };
        let change = serving.breaker.failed(permits.serving, asked, now, &mut self.random);
        self.emit_change(
            CellKind::Serving,
            spec.label.clone(),
            change,
            ChangeReason::Failed(cause),
        );
    }

    /// Blocks the cell that the cause names until a known time.
    fn block(&mut self, target: TargetId, spec: &TargetSpec, cause: FailureCause, now: Timestamp) {
        let (cell, kind, name, config, asked) = match cause.blame() {
            Blame::Capacity { retry_after } => {
                let Some(cell) = self.targets.get_mut(&target) else { return };
                let config = CooldownConfig::RATE_LIMIT;
                (&mut cell.capacity, CellKind::Capacity, capacity_name(spec), config, retry_after)
            }
            Blame::Quota { retry_after } => {
                let Some(key) = self.keys.get_mut(&spec.key) else { return };
                let config = CooldownConfig::QUOTA;
                (&mut key.quota, CellKind::Quota, spec.key.clone(), config, retry_after)
            }
            Blame::Model => {
                let Some(serving) = self.serving.get_mut(&serving_names(spec)) else { return };
                let config = CooldownConfig::MODEL_GONE;
                (&mut serving.gone, CellKind::Model, spec.label.clone(), config, None)
            }
            Blame::ServingUntil { retry_after: Some(asked) } => {
                let Some(serving) = self.serving.get_mut(&serving_names(spec)) else { return };
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
        self.emit(Event::CellBlocked { cell: kind, name, wait, cause });
    }

    fn endpoint_works(&mut self, spec: &TargetSpec, permits: &mut Permits, now: Timestamp) {
        let Some(permit) = permits.endpoint.take() else { return };
        let Some(cell) = self.endpoints.get_mut(&spec.endpoint) else { return };
        let change = cell.breaker.succeeded(permit, now);
        let name = spec.endpoint.clone();
        self.emit_change(CellKind::Endpoint, name, change, ChangeReason::Delivered);
    }

    fn endpoint_failed(
        &mut self,
        spec: &TargetSpec,
        permits: &mut Permits,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let Some(permit) = permits.endpoint.take() else { return };
        let Some(cell) = self.endpoints.get_mut(&spec.endpoint) else { return };
        let change = cell.breaker.failed(permit, None, now, &mut self.random);
        if change.is_some() {
            // Ask the endpoint itself soon whether it is back.
            cell.check_at = self.config.health.next(true, now, &mut self.random);
        }
        let reason = ChangeReason::Failed(cause);
        self.emit_change(CellKind::Endpoint, spec.endpoint.clone(), change, reason);
    }

    fn endpoint_unknown(&mut self, spec: &TargetSpec, permits: &mut Permits, now: Timestamp) {
        let Some(permit) = permits.endpoint.take() else { return };
        let Some(cell) = self.endpoints.get_mut(&spec.endpoint) else { return };
        let change = cell.breaker.censored(permit, now);
        let name = spec.endpoint.clone();
        self.emit_change(CellKind::Endpoint, name, change, ChangeReason::Censored);
    }

    fn key_works(&mut self, spec: &TargetSpec, permits: &Permits, now: Timestamp) {
        let Some(key) = self.keys.get_mut(&spec.key) else { return };
        key.quota.succeeded();
        let change = key.breaker.succeeded(permits.key, now);
        self.emit_change(CellKind::Key, spec.key.clone(), change, ChangeReason::Delivered);
    }

    fn key_unknown(&mut self, spec: &TargetSpec, permits: Permits, now: Timestamp) {
        let Some(key) = self.keys.get_mut(&spec.key) else { return };
        let change = key.breaker.censored(permits.key, now);
        self.emit_change(CellKind::Key, spec.key.clone(), change, ChangeReason::Censored);
    }

    fn serving_works(&mut self, spec: &TargetSpec, permits: Permits, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(&serving_names(spec)) else { return };
        let change = serving.breaker.succeeded(permits.serving, now);
        let label = spec.label.clone();
        self.emit_change(CellKind::Serving, label, change, ChangeReason::Delivered);
    }

    fn serving_unknown(&mut self, spec: &TargetSpec, permits: Permits, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(&serving_names(spec)) else { return };
        let change = serving.breaker.censored(permits.serving, now);
        let label = spec.label.clone();
        self.emit_change(CellKind::Serving, label, change, ChangeReason::Censored);
    }
}
