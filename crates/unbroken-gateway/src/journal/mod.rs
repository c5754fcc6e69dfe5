//! What has happened lately? Calls with their attempts, incidents, and traffic by target: put
//! together from the events of the engine, in memory, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use unbroken::Clock;
use unbroken::observer::{Observer, Seen};
use unbroken_engine::event::{AttemptResult, Event, Outcome};

use crate::server::Current;

mod call;
mod incident;
mod traffic;
mod words;

pub(crate) use call::CallRecord;
pub(crate) use incident::Incident;
pub(crate) use traffic::{Seconds, TargetTraffic};
pub(crate) use words::refusal;

use call::AttemptRecord;
use incident::{Incidents, Names};
use traffic::Traffic;

/// Finished calls are remembered up to this number: about 2 MB.
const CALLS_MAX: usize = 1_000;
/// Open calls are watched up to this number; the server has fewer connections.
const OPEN_MAX: usize = 20_000;

/// Remembers.
pub(crate) struct Journal {
    current: Arc<Current>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: BTreeMap<u64, CallRecord>,
    done: VecDeque<Arc<CallRecord>>,
    incidents: Incidents,
    traffic: Traffic,
}

impl Journal {
    /// An empty one. What endpoints and keys belong to a target, `current` knows.
    pub(crate) fn new(current: Arc<Current>) -> Self {
        Self { current, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last calls, the newest first.
    pub(crate) fn calls(&self, max: usize) -> Vec<Arc<CallRecord>> {
        self.inner().done.iter().rev().take(max).cloned().collect()
    }

    /// The newest call with this request id.
    pub(crate) fn call(&self, id: &str) -> Option<Arc<CallRecord>> {
        self.inner().done.iter().rev().find(|call| call.id == id).cloned()
    }

    /// Incidents, the newest first.
    pub(crate) fn incidents(&self) -> Vec<Incident> {
        self.inner().incidents.newest_first(Clock::unix_millis())
    }

    /// Traffic of the last minute, by target.
    pub(crate) fn traffic(&self) -> BTreeMap<Arc<str>, TargetTraffic> {
        self.inner().traffic.by_target(Clock::unix_millis())
    }

    /// Answers of the last minute, by route and target.
    pub(crate) fn flows(&self) -> BTreeMap<(Arc<str>, Arc<str>), Seconds> {
        self.inner().traffic.flows(Clock::unix_millis())
    }

    /// The endpoint and the key of a target, by its label.
    fn names(&self, target: &str) -> Names {
        let routing = self.current.get();
        let (name, model) = target.split_once('/').unwrap_or((target, ""));
        let endpoint = routing.plan().endpoints.get(name);
        Names {
            target: target.to_owned(),
            model: model.to_owned(),
            endpoint: endpoint.map(|e| e.base_url.clone()).unwrap_or_default(),
            key: endpoint.map(|e| e.key_name.clone()).unwrap_or_default(),
        }
    }
}

impl Observer for Journal {
    fn observe(&self, seen: &Seen<'_>) {
        let now = Clock::unix_millis();
        // Found before the lock: it has a lock of its own.
        let names = match seen.event {
            Event::AttemptEnded { target, result: AttemptResult::Failed(_), .. } => {
                Some(self.names(target))
            }
            _ => None,
        };
        let mut inner = self.inner();
        inner.watch_call(seen, now);
        inner.watch_targets(seen, names, now);
    }
}

impl Inner {
    /// Writes the records of calls.
    fn watch_call(&mut self, seen: &Seen<'_>, now: u64) {
        let (Some(number), Some(facts)) = (seen.event.call(), seen.call) else { return };
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&number) {
            return;
        }
        let record = self.open.entry(number).or_insert_with(|| CallRecord::new(facts, now));
        record.note(seen.event, now);
        if let Event::CallEnded { outcome, .. } = seen.event {
            let Some(record) = self.open.remove(&number) else { return };
            self.call_ended(&record, *outcome, now);
            if self.done.len() >= CALLS_MAX {
                self.done.pop_front();
            }
            self.done.push_back(Arc::new(record));
        }
    }

    fn call_ended(&mut self, record: &CallRecord, outcome: Outcome, now: u64) {
        if let (Outcome::Answered | Outcome::Rescued, Some(target)) = (outcome, &record.target) {
            self.traffic.answered(&record.route, target, now);
        }
        let failed = record.attempts.iter().filter(|attempt| attempt.has_failed);
        for AttemptRecord { target, .. } in failed {
            match outcome {
                Outcome::Rescued => {
                    let to = record.target.as_deref().unwrap_or_default();
                    self.incidents.moved(target, to);
                }
                Outcome::Failed | Outcome::Broken => self.incidents.client_failed(target),
                Outcome::Answered | Outcome::Told | Outcome::ClientGone => {}
            }
        }
    }

    /// Follows the targets.
    fn watch_targets(&mut self, seen: &Seen<'_>, names: Option<Names>, now: u64) {
        match seen.event {
            Event::AttemptDelivered { target, after, .. } => {
                self.traffic.delivered(target, *after, now);
                self.incidents.answered(target);
            }
            Event::AttemptEnded { target, result: AttemptResult::Failed(cause), .. } => {
                self.traffic.failed(target, now);
                if let Some(names) = names {
                    self.incidents.failed(names, *cause, now);
                }
            }
            Event::BreakerChanged { cell, name, change, reason } => {
                self.incidents.breaker_changed(*cell, name, change, *reason, now);
            }
            Event::CellBlocked { cell, name, wait, cause } => {
                self.incidents.blocked(*cell, name, *wait, *cause, now);
            }
            Event::SlownessChanged { name, is_degraded } => {
                self.incidents.slowness_changed(name, *is_degraded, now);
            }
            Event::LocalFault { begins } => self.incidents.local_fault(*begins, now),
            Event::KeyDead { key } => {
                let text = "it has been rejected for ten minutes: replace it";
                self.incidents.key_told(key, text, now);
            }
            Event::AttemptStarted { .. }
            | Event::AttemptEnded { .. }
            | Event::StreamBroke { .. }
            | Event::StreamContinued { .. }
            | Event::CallWaits { .. }
            | Event::RetryRefused { .. }
            | Event::HedgeDecided { .. }
            | Event::KeysCleared { .. }
            | Event::TargetBlamed { .. }
            | Event::ModelWithdrawn { .. }
            | Event::CallThrottled { .. }
            | Event::HealthChecked { .. }
            | Event::CallEnded { .. } => {}
        }
    }
}
