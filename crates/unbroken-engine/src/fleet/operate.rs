//! What do people and other programs tell the fleet? Operators, reloads, replicas, status feeds.
//!
//! State follows stable names: endpoint, model and key. What keeps its name keeps its state; what
//! is taken out of the configuration ends what is under way and gets nothing new; what comes back
//! within ten minutes finds its state again. Source: engine.md 4.4, 4.12, 4.13.

use core::fmt;

use alloc::vec::Vec;

use super::{
    Arc, Breaker, CellKind, ChangeReason, Cooldown, Duration, Event, Fleet, FleetConfig, Headroom,
    Placed, Slowness, TargetId, TargetSpec, Timestamp, family,
};
use crate::breaker::Forced;
use crate::peers::{Board, CellName, Hint};

/// What comes back within this time finds its state again.
const COMES_BACK_WITHIN: Duration = Duration::from_secs(600);

/// There is no target of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown;

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no target of that name")
    }
}

impl core::error::Error for Unknown {}

impl Fleet {
    /// Forces the serving breaker of a target open or closed, drains it, or releases it.
    ///
    /// # Errors
    /// When there is no target of that label.
    pub fn force(
        &mut self,
        label: &str,
        forced: Option<Forced>,
        now: Timestamp,
    ) -> Result<(), Unknown> {
        let mut specs = self.targets.values().map(|cell| &cell.spec);
        let spec = specs.find(|spec| &*spec.label == label).cloned().ok_or(Unknown)?;
        let serving = self.serving.get_mut(spec.serving_at).ok_or(Unknown)?;
        let change = serving.breaker.force(forced, now);
        self.emit_change(CellKind::Serving, &spec.label, change, ChangeReason::Operator);
        Ok(())
    }

    /// Forgets what speaks against a target, its endpoint and its key: breakers, blocks and what
    /// was forced. Its traffic comes back in steps.
    ///
    /// # Errors
    /// When there is no target of that label.
    pub fn reset(&mut self, label: &str, now: Timestamp) -> Result<(), Unknown> {
        let cell = self.targets.values_mut().find(|cell| &*cell.spec.label == label);
        let cell = cell.ok_or(Unknown)?;
        cell.capacity = Cooldown::default();
        cell.headroom = Headroom::default();
        cell.last_failure = None;
        let spec = cell.spec.clone();
        self.families.remove(family(&spec.model));
        if let Some(cell) = self.keys.get_mut(spec.key_at) {
            cell.quota = Cooldown::default();
            (cell.suspect_at, cell.rejected_since, cell.rejections) = (None, None, 0);
            let change = cell.breaker.proved_well(now);
            self.emit_change(CellKind::Key, &spec.key, change, ChangeReason::Operator);
        }
        if let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) {
            let change = cell.breaker.proved_well(now);
            self.emit_change(CellKind::Endpoint, &spec.endpoint, change, ChangeReason::Operator);
        }
        if let Some(cell) = self.serving.get_mut(spec.serving_at) {
            (cell.gone, cell.overload) = (Cooldown::default(), Cooldown::default());
            cell.slowness = Slowness::default();
            cell.breaker.force(None, now);
        }
        self.starts_over(&spec, ChangeReason::Operator, now);
        Ok(())
    }

    /// Goes on with other settings. What is known about targets is kept; calls that have begun
    /// keep their limits.
    pub fn reconfigure(&mut self, mut config: FleetConfig) {
        config.retry.max_attempts = config.retry.max_attempts.clamp(1, 16);
        self.budget.reconfigure(config.retry.budget);
        self.hedges.reconfigure(config.hedge);
        for cell in self.endpoints.values_mut() {
            cell.breaker.reconfigure(config.endpoint_breaker);
        }
        for cell in self.keys.values_mut() {
            cell.breaker.reconfigure(config.key_breaker);
        }
        for cell in self.serving.values_mut() {
            cell.breaker.reconfigure(config.breaker);
        }
        self.config = config;
    }

    /// Keeps these targets only; the others end what is under way and get nothing new.
    pub fn keep_only(&mut self, kept: &[TargetSpec], now: Timestamp) {
        for cell in self.targets.values_mut() {
            let is_kept = kept.iter().any(|spec| {
                (&spec.endpoint, &spec.model, &spec.key)
                    == (&cell.spec.endpoint, &cell.spec.model, &cell.spec.key)
            });
            if !is_kept {
                cell.retired_at.get_or_insert(now);
            }
        }
        for spec in kept {
            self.target(spec, now);
        }
    }

    /// A key has another value: what was known about it, and about what it may do, was about the
    /// old one.
    pub fn key_replaced(&mut self, key: &Arc<str>, now: Timestamp) {
        if let Some(cell) = self.keys.named_mut(key) {
            cell.breaker = Breaker::new(self.config.key_breaker, now);
            cell.quota = Cooldown::default();
            (cell.suspect_at, cell.rejected_since, cell.rejections) = (None, None, 0);
        }
        let with_key = |spec: &Placed| spec.key == *key;
        let mut specs: Vec<Arc<Placed>> = Vec::new();
        for cell in self.targets.values_mut().filter(|cell| with_key(&cell.spec)) {
            cell.capacity = Cooldown::default();
            specs.push(cell.spec.clone());
        }
        for spec in specs {
            self.starts_over(&spec, ChangeReason::Reload, now);
        }
    }

    /// The provider reports an incident of its own, or its end: half of the evidence is enough
    /// while it lasts. It never shuts anything by itself. No `model` means all of them.
    pub fn provider_reports(&mut self, endpoint: &str, model: Option<&str>, has_incident: bool) {
        for ((cell_endpoint, cell_model), cell) in self.serving.iter_mut() {
            if &**cell_endpoint == endpoint && model.is_none_or(|model| model == &**cell_model) {
                cell.breaker.suspect(has_incident);
            }
        }
    }

    /// What other replicas should know: one hint per service with anything to say.
    #[must_use]
    pub fn hints(&self, replica: u64, version: u64, now: Timestamp) -> Vec<Hint> {
        let hint = |((endpoint, model), cell): (&CellName, &super::ServingCell)| {
            Hint::of(&cell.breaker, (endpoint.clone(), model.clone()), replica, version, now)
        };
        self.serving.iter().map(hint).collect()
    }

    /// Takes note of what other replicas have seen.
    pub fn hear(&mut self, board: &Board, replica: u64, now: Timestamp) {
        let mut changes = Vec::new();
        for (name, cell) in self.serving.iter_mut() {
            let opinion = board.opinion(name, replica, &cell.breaker, now);
            if opinion.level > 0.0 {
                cell.breaker.arm(opinion.level, now);
            }
            if opinion.has_recovered {
                cell.breaker.probe_now(now);
            }
            if let Some(left) = opinion.adopt {
                changes.push((name.1.clone(), cell.breaker.adopt_open(left, now)));
            }
        }
        for (name, change) in changes {
            self.emit_change(CellKind::Serving, &name, change, ChangeReason::Peers);
        }
    }

    pub(super) fn comes_back(&mut self, target: TargetId, retired_at: Timestamp, now: Timestamp) {
        if now.since(retired_at) >= COMES_BACK_WITHIN
            && let Some(spec) = self.placed(target)
        {
            self.starts_over(&spec, ChangeReason::Reload, now);
        }
    }

    fn starts_over(&mut self, spec: &Placed, reason: ChangeReason, now: Timestamp) {
        let Some(serving) = self.serving.get_mut(spec.serving_at) else { return };
        let change = serving.breaker.start_over(now);
        let name = spec.label.clone();
        self.emit(Event::BreakerChanged { cell: CellKind::Serving, name, change, reason });
    }
}
