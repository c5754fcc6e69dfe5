//! What happened, on disk: calls with their attempts, changes of breakers, incidents, alerts, and
//! sums by the minute that reports are made of.
//!
//! One SQLite file with a thread of its own. Calls never wait for it: what does not fit into its
//! queue is left out and counted. What is written is committed twice a second, so that a killed
//! process loses no more than its last second. It holds no prompt, no answer and no key.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use unbroken_engine::event::Event;

use crate::alerts::burn::Count;
use crate::config::LedgerPlan;
use crate::journal::{CallRecord, Incident};
use crate::metrics::Metrics;

mod database;
mod prune;
mod read;
mod schema;
mod tally;
mod writer;

pub(crate) use database::{Database, Fault, Row};
pub(crate) use read::{call as read_call, open as open_to_read};

/// Entries that wait to be written: seconds of heavy traffic, about 10 MB.
const QUEUE_MAX: usize = 10_000;
/// How long the end of the program waits for the last entries.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Something to be written down.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A call that is over.
    Call(Arc<CallRecord>),
    /// A cell changed.
    Transition(Transition),
    /// An incident began, went on or ended.
    Incident(Box<Incident>),
    /// Nothing more comes.
    End,
}

/// A breaker changed, or something was blocked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transition {
    pub(crate) at_ms: u64,
    pub(crate) cell: &'static str,
    pub(crate) name: Arc<str>,
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    pub(crate) reason: &'static str,
    pub(crate) wait_ms: u64,
}

impl Transition {
    /// The transition that an event is, if it is one.
    pub(crate) fn of(event: &Event, at_ms: u64) -> Option<Self> {
        let millis = |wait: &Duration| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Some(match event {
            Event::BreakerChanged { cell, name, change, reason } => Self {
                at_ms,
                cell: cell.name(),
                name: name.clone(),
                from: change.from,
                to: change.to,
                reason: reason.name(),
                wait_ms: millis(&change.wait),
            },
            Event::CellBlocked { cell, name, wait, cause } => Self {
                at_ms,
                cell: cell.name(),
                name: name.clone(),
                from: "",
                to: "blocked",
                reason: cause.name(),
                wait_ms: millis(wait),
            },
            Event::SlownessChanged { name, is_degraded } => Self {
                at_ms,
                cell: "slowness",
                name: name.clone(),
                from: if *is_degraded { "quick" } else { "slow" },
                to: if *is_degraded { "slow" } else { "quick" },
                reason: "",
                wait_ms: 0,
            },
            Event::AttemptStarted { .. }
            | Event::AttemptDelivered { .. }
            | Event::AttemptEnded { .. }
            | Event::StreamBroke { .. }
            | Event::StreamContinued { .. }
            | Event::CallWaits { .. }
            | Event::RetryRefused { .. }
            | Event::HedgeDecided { .. }
            | Event::LocalFault { .. }
            | Event::KeysCleared { .. }
            | Event::KeyDead { .. }
            | Event::TargetBlamed { .. }
            | Event::ModelWithdrawn { .. }
            | Event::CallThrottled { .. }
            | Event::HealthChecked { .. }
            | Event::CallEnded { .. } => return None,
        })
    }
}

/// Takes entries; cheap to clone.
#[derive(Clone)]
pub(crate) struct Ledger(Arc<Shared>);

struct Shared {
    path: PathBuf,
    queue: SyncSender<Entry>,
    metrics: Arc<Metrics>,
    thread: Mutex<Option<JoinHandle<()>>>,
    done: Mutex<Receiver<()>>,
}

impl Ledger {
    /// Opens the file, makes it what this version needs, and starts to write.
    ///
    /// # Errors
    /// When that cannot be done; what to do about it is said.
    pub(crate) fn open(
        plan: &LedgerPlan,
        started_ms: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Option<Self>, String> {
        if !plan.enabled {
            return Ok(None);
        }
        let Some(path) = plan.path.clone() else {
            return Err("there is no place for it: set `path` in `[ledger]`, or HOME".to_owned());
        };
        let mut database = Database::open(&path)?;
        schema::migrate(&mut database).map_err(|error| format!("{}: {error}", path.display()))?;
        let (queue, entries) = sync_channel(QUEUE_MAX);
        let (tell_done, done) = sync_channel(1);
        let writer = writer::Writer::new(database, plan, started_ms, metrics.clone())
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
        let run = move || {
            writer.run(&entries);
            let _ = tell_done.try_send(());
        };
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(run);
        let thread = thread.map_err(|error| format!("its thread cannot start: {error}"))?;
        let (thread, done) = (Mutex::new(Some(thread)), Mutex::new(done));
        metrics.ledger_is_open(true);
        Ok(Some(Self(Arc::new(Shared { path, queue, metrics, thread, done }))))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.0.path
    }

    /// Valid calls of the last three days by minute and route, for alerts.
    pub(crate) fn minutes(&self, now_ms: u64) -> Vec<(u64, String, Count)> {
        let since = (now_ms / 60_000).saturating_sub(3 * 24 * 60);
        let read = |database: Database| read::minutes(&database, since).ok();
        open_to_read(&self.0.path).ok().and_then(read).unwrap_or_default()
    }

    /// Takes an entry, unless too many wait.
    pub(crate) fn keep(&self, entry: Entry) {
        match self.0.queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.0.metrics.ledger_left_out(1);
            }
        }
    }

    /// Writes what waits, within bounds, and closes the file.
    pub(crate) fn close(&self) {
        // The queue may be full: whoever empties it makes room within a moment.
        for _ in 0..100 {
            if self.0.queue.try_send(Entry::End).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let done = self.0.done.lock().unwrap_or_else(PoisonError::into_inner);
        let is_done = done.recv_timeout(CLOSE_MAX).is_ok();
        let thread = self.0.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (true, Some(thread)) = (is_done, thread) {
            drop(thread.join());
        }
    }
}

#[cfg(test)]
mod tests;
