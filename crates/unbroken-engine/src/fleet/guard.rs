//! Which failures are not what they look like? Correlation across cells.
//!
//! - A rejected key makes the key suspect. Two suspect keys of one endpoint within a minute are an
//!   incident of the provider: the keys are cleared, and its service is charged instead (C1).
//! - A model that two endpoints do not have is withdrawn: nobody is asked for it (C3).
//! - When nearly every endpoint becomes unreachable within ten seconds, our own network is to
//!   blame: endpoints are not shut, and everything goes on being tried (C4).
//!
//! C2, requests refused as invalid, is in `doubt.rs`. Source: engine.md 4.2.

use alloc::vec::Vec;

use super::{
    Arc, CellKind, ChangeReason, CooldownConfig, Duration, Event, FAMILIES_MAX, FailureCause,
    Fleet, Placed, Timestamp, family,
};

/// Suspect keys of one endpoint within this time are one incident.
const KEYS_WITHIN: Duration = Duration::from_secs(60);
/// A key is dead after so many rejections over this time, with no success between them.
const DEAD_REJECTIONS: u32 = 4;
const DEAD_AFTER: Duration = Duration::from_secs(600);
/// A dead key is asked again after this.
const DEAD_FOR: Duration = Duration::from_secs(900);
/// Endpoints that became unreachable within this time did so together.
const TOGETHER: Duration = Duration::from_secs(10);
/// Endpoints that were not used for longer do not count.
const IN_USE: Duration = Duration::from_secs(300);
/// The share of endpoints, in per cent, that makes it our own fault.
const NEARLY_ALL: usize = 80;
/// Endpoints that did not have a model, remembered for this long.
const MISSED_WITHIN: Duration = Duration::from_secs(86_400);
const MISSED_MAX: usize = 8;

impl Fleet {
    /// Whether rejected keys are at the moment the endpoint's own fault.
    pub(super) fn keys_are_innocent(&self, spec: &Placed, now: Timestamp) -> bool {
        let cell = self.endpoints.get(spec.endpoint_at);
        cell.is_some_and(|cell| now < cell.keys_incident_until)
    }

    /// A key was rejected: the wait that it deserves, beyond its breaker's own.
    pub(super) fn key_rejected(&mut self, spec: &Placed, now: Timestamp) -> Option<Duration> {
        let cell = self.keys.get_mut(spec.key_at)?;
        let since = *cell.rejected_since.get_or_insert(now);
        cell.rejections += 1;
        let is_dead = cell.rejections >= DEAD_REJECTIONS && now.since(since) >= DEAD_AFTER;
        if !is_dead {
            return None;
        }
        self.emit(Event::KeyDead { key: spec.key.clone() });
        Some(DEAD_FOR)
    }

    /// A key of this endpoint has become suspect: is it the only one? True if the provider is to
    /// blame.
    pub(super) fn is_keys_incident(&mut self, spec: &Placed, now: Timestamp) -> bool {
        if let Some(cell) = self.keys.get_mut(spec.key_at) {
            cell.suspect_at = Some(now);
        }
        if !self.config.evidence.guards {
            return false;
        }
        let mut suspects: Vec<Arc<str>> = self
            .targets
            .values()
            .filter(|cell| cell.spec.endpoint == spec.endpoint)
            .filter(|cell| {
                let suspect_at = self.keys.get(cell.spec.key_at).and_then(|key| key.suspect_at);
                suspect_at.is_some_and(|at| now.since(at) < KEYS_WITHIN)
            })
            .map(|cell| cell.spec.key.clone())
            .collect();
        suspects.sort_unstable();
        suspects.dedup();
        if suspects.len() < 2 {
            return false;
        }
        for key in suspects {
            let Some(cell) = self.keys.named_mut(&key) else { continue };
            (cell.suspect_at, cell.rejected_since, cell.rejections) = (None, None, 0);
            let change = cell.breaker.proved_well(now);
            self.emit_change(CellKind::Key, &key, change, ChangeReason::Censored);
        }
        self.keys_incident_goes_on(spec, now);
        self.emit(Event::KeysCleared { endpoint: spec.endpoint.clone() });
        true
    }

    /// A key of an endpoint with an incident was rejected again.
    pub(super) fn keys_incident_goes_on(&mut self, spec: &Placed, now: Timestamp) {
        if let Some(endpoint) = self.endpoints.get_mut(spec.endpoint_at) {
            endpoint.keys_incident_until = now + KEYS_WITHIN;
        }
    }

    /// An endpoint does not have a model: does anybody?
    pub(super) fn model_missed(&mut self, spec: &Placed, cause: FailureCause, now: Timestamp) {
        if !self.config.evidence.guards {
            return;
        }
        let name: Arc<str> = family(&spec.model).into();
        if self.families.len() >= FAMILIES_MAX && !self.families.contains_key(&name) {
            self.families.retain(|_, cell| cell.gone.blocked_until(now).is_some());
            if self.families.len() >= FAMILIES_MAX {
                self.families.clear();
            }
        }
        let cell = self.families.entry(name.clone()).or_default();
        cell.missed_by
            .retain(|(endpoint, at)| *endpoint != spec.endpoint && now.since(*at) < MISSED_WITHIN);
        if cell.missed_by.len() >= MISSED_MAX {
            cell.missed_by.pop_front();
        }
        cell.missed_by.push_back((spec.endpoint.clone(), now));
        if cell.missed_by.len() < 2 {
            return;
        }
        cell.gone.block(&CooldownConfig::MODEL_GONE, None, now);
        let wait = cell.gone.blocked_until(now).map_or(Duration::ZERO, |until| until.since(now));
        self.emit(Event::ModelWithdrawn { model: name.clone(), wait });
        self.emit(Event::CellBlocked { cell: CellKind::Family, name, wait, cause });
    }

    /// An endpoint has the model after all.
    pub(super) fn model_found(&mut self, spec: &Placed) {
        if !self.families.is_empty() {
            self.families.remove(family(&spec.model));
        }
    }

    /// An endpoint could not be reached. True if our own network is to blame.
    pub(super) fn is_local_fault(&mut self, spec: &Placed, now: Timestamp) -> bool {
        if let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) {
            cell.unreachable_at = Some(now);
        }
        if !self.config.evidence.guards {
            return false;
        }
        let is_recent = |at: Option<Timestamp>, within| at.is_some_and(|at| now.since(at) < within);
        let in_use = self.endpoints.values().filter(|cell| {
            is_recent(cell.worked_at, IN_USE) || is_recent(cell.unreachable_at, IN_USE)
        });
        let (mut all, mut failing) = (0, 0);
        for cell in in_use {
            all += 1;
            let is_failing = is_recent(cell.unreachable_at, TOGETHER)
                && cell.worked_at.is_none_or(|worked| cell.unreachable_at > Some(worked));
            failing += usize::from(is_failing);
        }
        if all < 2 || failing * 100 < all * NEARLY_ALL {
            return self.local_fault_until.is_some_and(|until| now < until);
        }
        if self.local_fault_until.replace(now + TOGETHER).is_none() {
            self.emit(Event::LocalFault { begins: true });
            for cell in self.endpoints.values_mut() {
                cell.breaker.probe_now(now);
            }
        }
        true
    }

    /// An endpoint was reached: our own network works.
    pub(super) fn network_works(&mut self, spec: &Placed, now: Timestamp) {
        if let Some(cell) = self.endpoints.get_mut(spec.endpoint_at) {
            cell.worked_at = Some(now);
        }
        if self.local_fault_until.take().is_some() {
            self.emit(Event::LocalFault { begins: false });
        }
    }
}
