//! What has happened lately? Calls with their attempts, incidents, and traffic by target: put
//! together from the events of the engine, in memory, within bounds.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use unbroken::Clock;
use unbroken::observer::{Observer, Seen};
use unbroken_engine::event::{AttemptResult, Event, Outcome};

use crate::alerts::burn::{Count, Minutes};
use crate::ledger::{Entry, Ledger, Transition};
use crate::server::Current;

mod call;
mod incident;
mod spent;
mod traffic;
mod words;

pub(crate) use call::{AttemptRecord, CallRecord};
pub(crate) use incident::Incident;
pub(crate) use spent::Tokens;
pub(crate) use traffic::{Seconds, TargetTraffic};
pub(crate) use words::refusal;

use incident::{Incidents, Names};
use traffic::Traffic;

/// Finished calls are remembered up to this number: about 2 MB.
const CALLS_MAX: usize = 1_000;
/// Routes whose calls are counted for alerts: clients may invent more.
const ROUTES_MAX: usize = 500;
/// Time between two looks at what has changed of incidents.
const NOTE_INCIDENTS: Duration = Duration::from_millis(500);
/// Open calls are watched up to this number; the server has fewer connections.
const OPEN_MAX: usize = 20_000;

/// Remembers.
pub(crate) struct Journal {
    current: Arc<Current>,
    ledger: Option<Ledger>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    open: BTreeMap<u64, CallRecord>,
    done: VecDeque<Arc<CallRecord>>,
    incidents: Incidents,
    traffic: Traffic,
    minutes: BTreeMap<Arc<str>, Minutes>,
}

impl Journal {
    /// An empty one. What endpoints and keys belong to a target, `current` knows.
    /// What is finished goes to the ledger.
    pub(crate) fn new(current: Arc<Current>, ledger: Option<Ledger>) -> Self {
        Self { current, ledger, inner: Mutex::default() }
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

    /// Valid calls by route and minute, for alerts.
    pub(crate) fn minutes(&self) -> Vec<(Arc<str>, Minutes)> {
        self.inner().minutes.iter().map(|(route, m)| (route.clone(), m.clone())).collect()
    }

    /// Goes on counting where the process before this one ended.
    pub(crate) fn remember(&self, minutes: Vec<(u64, String, Count)>) {
        let mut inner = self.inner();
        for (minute, route, count) in minutes {
            inner.count(&route, minute, count);
        }
    }

    /// Traffic of the last minute, by target.
    pub(crate) fn traffic(&self) -> BTreeMap<Arc<str>, TargetTraffic> {
        self.inner().traffic.by_target(Clock::unix_millis())
    }

    /// Answers of the last minute, by route and target.
    pub(crate) fn flows(&self) -> BTreeMap<(Arc<str>, Arc<str>), Seconds> {
        self.inner().traffic.flows(Clock::unix_millis())
    }

    /// The targets that a route prefers.
    fn preferred(&self, route: &str) -> Vec<Names> {
        let routing = self.current.get();
        let plan = routing.plan();
        let configured = plan.routes.get(route).cloned();
        let made = || routing.resolve(&[route.to_owned()], plan.server.substitute).ok();
        let route = configured.or_else(made);
        let tier = route.as_ref().and_then(|route| route.tiers.first());
        let choices = tier.into_iter().flat_map(|tier| &tier.choices);
        choices.map(|choice| self.names(choice.label())).collect()
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
        let preferred = match (seen.event, seen.call) {
            (Event::AttemptStarted { attempt: 1, .. }, Some(call))
                if self.inner().incidents.some_are_open() =>
            {
                self.preferred(&call.route)
            }
            _ => Vec::new(),
        };
        let mut inner = self.inner();
        let ended = inner.watch_call(seen, &preferred, now);
        inner.watch_targets(seen, names, now);
        drop(inner);
        if let Some(record) = ended {
            self.keep(record, seen.event, now);
        }
        if let (Some(ledger), Some(transition)) = (&self.ledger, Transition::of(seen.event, now)) {
            ledger.keep(Entry::Transition(transition));
        }
    }
}

impl Journal {
    /// Writes incidents down as they change, for ever.
    pub(crate) async fn keep_incidents(self: Arc<Self>) {
        loop {
            tokio::time::sleep(NOTE_INCIDENTS).await;
            self.note_incidents();
        }
    }

    /// Writes down the incidents that have changed.
    pub(crate) fn note_incidents(&self) {
        let Some(ledger) = &self.ledger else { return };
        let changed = self.inner().incidents.changed(Clock::unix_millis());
        for incident in changed {
            ledger.keep(Entry::Incident(Box::new(incident)));
        }
    }

    /// A call is over: what it cost is known now, and who was hurt.
    fn keep(&self, mut record: CallRecord, event: &Event, now: u64) {
        let Event::CallEnded { outcome, .. } = event else { return };
        record.close(&self.current.get().plan().prices);
        let record = Arc::new(record);
        self.inner().call_ended(record.clone(), *outcome, now);
        if let Some(ledger) = &self.ledger {
            ledger.keep(Entry::Call(record));
        }
    }
}

impl Inner {
    /// Writes the records of calls; gives back one that is over.
    fn watch_call(&mut self, seen: &Seen<'_>, preferred: &[Names], now: u64) -> Option<CallRecord> {
        let (number, facts) = (seen.event.call()?, seen.call?);
        if self.open.len() >= OPEN_MAX && !self.open.contains_key(&number) {
            return None;
        }
        let new = || CallRecord::new(number, facts, now);
        let record = self.open.entry(number).or_insert_with(new);
        record.note(seen.event, now);
        if let Event::AttemptStarted { attempt: 1, target, .. } = seen.event {
            let is_preferred = preferred.iter().any(|names| *names.target == **target);
            let mut down = preferred.iter();
            record.avoided = !preferred.is_empty()
                && !is_preferred
                && down.all(|names| self.incidents.is_down(names, now));
        }
        let Event::CallEnded { .. } = seen.event else { return None };
        self.open.remove(&number)
    }

    fn count(&mut self, route: &str, minute: u64, count: Count) {
        if let Some(minutes) = self.minutes.get_mut(route) {
            minutes.add(minute, count);
        } else if self.minutes.len() < ROUTES_MAX {
            self.minutes.entry(route.into()).or_default().add(minute, count);
        }
    }

    fn call_ended(&mut self, record: Arc<CallRecord>, outcome: Outcome, now: u64) {
        if let (Outcome::Answered | Outcome::Rescued, Some(target)) = (outcome, &record.target) {
            self.traffic.answered(&record.route, target, now);
        }
        let is_bad = matches!(outcome, Outcome::Failed | Outcome::Broken);
        let is_good = matches!(outcome, Outcome::Answered | Outcome::Rescued);
        if is_bad || is_good {
            let count = Count { good: is_good.into(), bad: is_bad.into() };
            self.count(&record.route, now / 60_000, count);
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
        if self.done.len() >= CALLS_MAX {
            self.done.pop_front();
        }
        self.done.push_back(record);
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
