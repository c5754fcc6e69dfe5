//! What did the engine do meanwhile? An observer that remembers what a scorecard needs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use unbroken::Clock;
use unbroken::observer::{Observer, Seen};
use unbroken_engine::breaker::Change;
use unbroken_engine::event::{AttemptResult, CellKind, Event, Outcome};
use unbroken_engine::time::Timestamp;

use super::TARGETS;

/// Notes are kept up to this number; a rehearsal has far fewer.
const NOTES_MAX: usize = 10_000;

/// A decision worth seeing.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    /// In words.
    pub(crate) text: String,
    /// Whether it is good news.
    pub(crate) is_good: bool,
}

/// Counts of a rehearsal.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) attempts: u64,
    pub(super) rescued: u64,
    pub(super) detect_ms: Option<u64>,
    pub(super) recover_ms: Option<u64>,
}

/// Remembers.
pub(crate) struct Record {
    clock: Clock,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    notes: Vec<Note>,
    totals: Totals,
    /// The target of the first fault, and when it struck.
    struck: Option<(usize, Timestamp)>,
    /// When the last fault of that target ended.
    healed: Option<Timestamp>,
}

impl Record {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A fault begins or ends.
    pub(super) fn cue(&self, target: usize, begins: bool) {
        let now = self.clock.now();
        let mut inner = self.inner();
        match (begins, inner.struck) {
            (true, None) => inner.struck = Some((target, now)),
            (true, Some((struck, _))) if struck == target => inner.healed = None,
            (false, Some((struck, _))) if struck == target => {
                inner.healed = Some(now);
                inner.totals.recover_ms = None;
            }
            (true | false, _) => {}
        }
    }

    /// The notes since the last time.
    pub(super) fn since(&self, seen: &mut usize) -> Vec<Note> {
        let inner = self.inner();
        let fresh = inner.notes.get(*seen..).unwrap_or_default().to_vec();
        *seen = inner.notes.len();
        fresh
    }

    pub(super) fn totals(&self) -> Totals {
        self.inner().totals
    }
}

impl Inner {
    fn note(&mut self, text: String, is_good: bool) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(Note { text, is_good });
        }
    }

    /// The engine keeps traffic off some target from now on.
    fn detected(&mut self, now: Timestamp) {
        if let Some((_, struck)) = self.struck {
            let after = u64::try_from(now.since(struck).as_millis()).unwrap_or(u64::MAX);
            self.totals.detect_ms.get_or_insert(after);
        }
    }

    /// A target has answered.
    fn answered(&mut self, label: &str, now: Timestamp) {
        let (Some((target, _)), Some(healed)) = (self.struck, self.healed) else { return };
        let name = TARGETS.get(target).copied().unwrap_or_default();
        // Three providers have their targets' names, and so have two models of one provider.
        let (provider, model) = label.split_once('/').unwrap_or_default();
        let is_it = if TARGETS.contains(&model) { model == name } else { provider == name };
        if is_it && self.totals.recover_ms.is_none() {
            let after = u64::try_from(now.since(healed).as_millis()).unwrap_or(u64::MAX);
            self.totals.recover_ms = Some(after);
        }
    }
}

/// The target of a cell: of its address, or of its name.
fn who(cell: &str) -> &str {
    let host = cell.split_once("://").map_or(cell, |(_, host)| host);
    let end = host.find(['.', '/', ' ', '#']).unwrap_or(host.len());
    host.get(..end).unwrap_or(host)
}

/// A breaker's change, in words.
fn what_happens(change: &Change) -> String {
    match (change.from, change.to) {
        ("half_open", "open") => "opens again".to_owned(),
        (_, "open") => "opens".to_owned(),
        (_, "half_open") => "lets one call try".to_owned(),
        (_, "ramp") => "lets a share back".to_owned(),
        (_, "closed") => "closes".to_owned(),
        (from, to) => format!("{from} -> {to}"),
    }
}

impl Observer for Record {
    fn observe(&self, seen: &Seen<'_>) {
        let now = self.clock.now();
        let mut inner = self.inner();
        match seen.event {
            Event::AttemptStarted { .. } => inner.totals.attempts += 1,
            Event::AttemptEnded { target, result: AttemptResult::Answered, .. } => {
                inner.answered(target, now);
            }
            Event::BreakerChanged { cell, name, change, reason } => {
                if change.to == "open" && change.from != "half_open" {
                    inner.detected(now);
                }
                if *cell == CellKind::Serving || change.to == "open" || change.to == "closed" {
                    let (who, cell) = (who(name), cell.name());
                    let (what, why) = (what_happens(change), reason.name().replace('_', " "));
                    let text = format!("{who}: {cell} breaker {what} ({why})");
                    inner.note(text, change.to == "closed" || change.to == "ramp");
                }
            }
            Event::CellBlocked { cell, name, wait, cause } => {
                inner.detected(now);
                let (who, cell, wait) = (who(name), cell.name(), wait.as_secs_f32());
                inner.note(format!("{who}: {cell} blocked for {wait:.1} s ({cause})"), false);
            }
            Event::SlownessChanged { name, is_degraded } => {
                if *is_degraded {
                    inner.detected(now);
                }
                let state = if *is_degraded { "slow: others are preferred" } else { "quick again" };
                inner.note(format!("serving {name}: {state}"), !is_degraded);
            }
            Event::LocalFault { begins } => {
                let state = if *begins { "unreachable: our own network?" } else { "reached again" };
                inner.note(format!("almost everything is {state}"), !begins);
            }
            Event::KeysCleared { endpoint } => {
                inner.note(
                    format!("endpoint {endpoint}: rejects all keys, which are cleared"),
                    false,
                );
            }
            Event::KeyDead { key } => inner.note(format!("key {key}: dead"), false),
            Event::TargetBlamed { name } => {
                inner.note(format!("serving {name}: refuses valid requests"), false);
            }
            Event::ModelWithdrawn { model, .. } => {
                inner.note(format!("model {model}: withdrawn everywhere"), false);
            }
            Event::CallEnded { outcome: Outcome::Rescued, .. } => inner.totals.rescued += 1,
            Event::CallEnded { .. }
            | Event::AttemptEnded { .. }
            | Event::AttemptDelivered { .. }
            | Event::StreamBroke { .. }
            | Event::StreamContinued { .. }
            | Event::CallWaits { .. }
            | Event::RetryRefused { .. }
            | Event::HedgeDecided { .. }
            | Event::CallThrottled { .. }
            | Event::HealthChecked { .. } => {}
        }
    }
}
