//! Log lines, from the events of the engine: one per attempt, one per change.
//!
//! `info` is a change of state that an operator wants to see; an attempt that failover absorbed is
//! `debug`; `warn` is a client that saw a failure. No line has a key or a prompt.

use std::io::IsTerminal as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use unbroken::observer::{Observer, Seen};
use unbroken_engine::event::{Event, Outcome};

use crate::config::Environment;

mod json;
mod writer;

use json::Json;
use writer::Lines;

/// The lines of this process, to be waited for at its end.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Waits until every line is written, for two seconds at most.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush();
    }
}

/// Starts logging to stderr: for people in a terminal, JSON otherwise.
pub(crate) fn start(environment: &Environment, default_level: &str) {
    let filter = environment.get("RUST_LOG").unwrap_or(default_level);
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(default_level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start, in tests, changes nothing.
    if std::io::stderr().is_terminal() {
        drop(builder.with_writer(std::io::stderr).try_init());
    } else if let Ok(lines) = Lines::to(std::io::stderr()) {
        let lines = LINES.get_or_init(|| lines).clone();
        drop(builder.event_format(Json).with_writer(lines).try_init());
    } else {
        drop(builder.event_format(Json).with_writer(std::io::stderr).try_init());
    }
}

/// Several observers as one.
pub(crate) struct All(pub(crate) Vec<Arc<dyn Observer>>);

impl Observer for All {
    fn observe(&self, seen: &Seen<'_>) {
        for observer in &self.0 {
            observer.observe(seen);
        }
    }
}

/// Writes the lines.
pub(crate) struct Log;

impl Observer for Log {
    fn observe(&self, seen: &Seen<'_>) {
        let request = seen.call.map_or("", |call| call.id.as_str());
        match seen.event {
            Event::AttemptStarted { attempt, target, why, .. } => {
                tracing::trace!(request, attempt, %target, why = why.name(), "attempt started");
            }
            Event::AttemptDelivered { attempt, target, after, .. } => {
                let after_ms = after.as_millis();
                tracing::trace!(request, attempt, %target, after_ms, "first content");
            }
            Event::AttemptEnded { attempt, target, result, phase, took, .. } => {
                let (result, phase, took_ms) = (result.name(), phase.name(), took.as_millis());
                let target = &**target;
                tracing::debug!(request, attempt, target, result, phase, took_ms, "attempt");
            }
            Event::StreamBroke { attempt, target, cause, delivered, .. } => {
                let (cause, delivered) = (cause.name(), format!("{delivered:?}").to_lowercase());
                tracing::debug!(request, attempt, %target, cause, delivered, "stream broke");
            }
            Event::StreamContinued { attempt, target, how, gap, .. } => {
                let (how, gap_ms) = (how.name(), gap.as_millis());
                tracing::info!(request, attempt, %target, how, gap_ms, "stream goes on");
            }
            Event::CallWaits { wait, .. } => {
                tracing::debug!(request, wait_ms = wait.as_millis(), "call waits for a target");
            }
            Event::RetryRefused { .. } => {
                tracing::warn!(request, "the retry budget is used up: no further attempt");
            }
            Event::BreakerChanged { cell, name, change, reason } => {
                let (cell, reason) = (cell.name(), reason.name());
                let (from, to, trips) = (change.from, change.to, change.trips);
                let wait_ms = change.wait.as_millis();
                tracing::info!(cell, %name, from, to, reason, wait_ms, trips, "breaker changed");
            }
            Event::CellBlocked { cell, name, wait, cause } => {
                let (cell, cause, wait_ms) = (cell.name(), cause.name(), wait.as_millis());
                tracing::info!(cell, %name, cause, wait_ms, "blocked");
            }
            Event::SlownessChanged { name, is_degraded } => {
                tracing::info!(target = %name, is_degraded, "slowness changed");
            }
            Event::HedgeDecided { won, .. } => {
                tracing::debug!(request, won, "hedge decided");
            }
            Event::LocalFault { .. }
            | Event::KeysCleared { .. }
            | Event::KeyDead { .. }
            | Event::TargetBlamed { .. }
            | Event::ModelWithdrawn { .. } => alert(seen.event),
            Event::CallThrottled { .. } => {
                tracing::debug!(request, "turned away: every target is shut");
            }
            Event::HealthChecked { endpoint, health } => {
                tracing::debug!(%endpoint, health = health.name(), "health check");
            }
            Event::CallEnded { outcome, attempts, took, .. } => {
                ended(request, *outcome, *attempts, *took);
            }
        }
    }
}

/// The line of a call.
fn ended(request: &str, outcome: Outcome, attempts: u32, took: Duration) {
    let (took_ms, name) = (took.as_millis(), outcome.name());
    match outcome {
        Outcome::Failed | Outcome::Broken => {
            tracing::warn!(request, outcome = name, attempts, took_ms, "call failed");
        }
        // The line of its only attempt says it all.
        Outcome::Answered if attempts == 1 => {
            tracing::trace!(request, outcome = name, attempts, took_ms, "call");
        }
        Outcome::Answered | Outcome::Rescued | Outcome::Told | Outcome::ClientGone => {
            tracing::debug!(request, outcome = name, attempts, took_ms, "call");
        }
    }
}

/// What someone should look at.
fn alert(event: &Event) {
    match event {
        Event::LocalFault { begins: true } => {
            tracing::error!("almost nothing can be reached: look at this machine's network");
        }
        Event::LocalFault { begins: false } => {
            tracing::info!("this machine's network works again");
        }
        Event::KeysCleared { endpoint } => {
            tracing::warn!(%endpoint, "rejects several keys at once: its own fault, not theirs");
        }
        Event::KeyDead { key } => {
            tracing::error!(%key, "this key has been rejected for ten minutes: replace it");
        }
        Event::TargetBlamed { name } => {
            tracing::warn!(target = %name, "refuses requests that others answer");
        }
        Event::ModelWithdrawn { model, wait } => {
            let wait_ms = wait.as_millis();
            tracing::error!(%model, wait_ms, "nobody has this model any more");
        }
        Event::AttemptStarted { .. }
        | Event::AttemptDelivered { .. }
        | Event::AttemptEnded { .. }
        | Event::StreamBroke { .. }
        | Event::StreamContinued { .. }
        | Event::CallWaits { .. }
        | Event::RetryRefused { .. }
        | Event::BreakerChanged { .. }
        | Event::CellBlocked { .. }
        | Event::SlownessChanged { .. }
        | Event::HedgeDecided { .. }
        | Event::CallThrottled { .. }
        | Event::HealthChecked { .. }
        | Event::CallEnded { .. } => {}
    }
}
