//! The thread that writes.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::Duration;

use unbroken::Clock;

use super::database::{Database, Fault, Value};
use super::tally::Tallies;
use super::{Entry, Transition, prune};
use crate::config::LedgerPlan;
use crate::journal::{AttemptRecord, CallRecord, Incident};
use crate::metrics::Metrics;

/// What has come is committed after this long at the latest, and a killed process loses no more.
const COMMIT_EVERY_MS: u64 = 500;
/// So many entries are committed at once: a transaction that is too long keeps others waiting.
const BATCH_MAX: usize = 2_000;
/// Entries gather for so long between two looks at the queue.
const NAP: Duration = Duration::from_millis(25);
/// A sign of life while nothing happens.
const HEARTBEAT_MS: u64 = 30_000;
/// Time between two looks at size and age.
const PRUNE_EVERY_MS: u64 = 60_000;
/// A disk that is full is told of so often.
const COMPLAIN_EVERY_MS: u64 = 60_000;

/// Writes entries as they come.
pub(super) struct Writer {
    database: Database,
    plan: LedgerPlan,
    run: u64,
    metrics: Arc<Metrics>,
    tallies: Tallies,
    committed_ms: u64,
    pruned_ms: u64,
    complained_ms: u64,
    left_out: u64,
}

impl Writer {
    /// Over an open file; notes that a run begins.
    pub(super) fn new(
        database: Database,
        plan: &LedgerPlan,
        started_ms: u64,
        metrics: Arc<Metrics>,
    ) -> Result<Self, Fault> {
        let begin = "INSERT INTO runs (run, version, last_ms) VALUES ($1, $2, $1)
                     ON CONFLICT (run) DO NOTHING";
        let mut run = started_ms;
        // Two processes may have started in the same millisecond.
        while database.execute(begin, &[run.into(), env!("CARGO_PKG_VERSION").into()])? == 0 {
            run += 1;
        }
        Ok(Self {
            database,
            plan: plan.clone(),
            run,
            metrics,
            tallies: Tallies::default(),
            committed_ms: 0,
            pruned_ms: 0,
            complained_ms: 0,
            left_out: 0,
        })
    }

    /// Until nothing more comes.
    pub(super) fn run(mut self, entries: &Receiver<Entry>) {
        let mut batch = Vec::new();
        loop {
            let is_over = gather(entries, &mut batch);
            let now = Clock::unix_millis();
            if !batch.is_empty() || now >= self.committed_ms + HEARTBEAT_MS || is_over {
                self.commit(&batch, now, is_over);
                batch.clear();
            }
            if now >= self.pruned_ms + PRUNE_EVERY_MS {
                self.pruned_ms = now;
                match prune::prune(&self.database, &self.plan, now) {
                    Ok(bytes) => self.metrics.ledger_bytes(bytes),
                    Err(fault) => self.complain("old calls could not be removed", &fault, now),
                }
            }
            if is_over {
                return;
            }
        }
    }

    fn commit(&mut self, batch: &[Entry], now: u64, is_over: bool) {
        self.committed_ms = now;
        let count = batch.len() as u64;
        match self.write(batch, now, is_over) {
            Ok(()) => self.metrics.ledger_written(count),
            Err(fault) => {
                // What cannot be written is lost: it must not pile up in memory.
                drop(self.database.batch("ROLLBACK"));
                self.tallies = Tallies::default();
                self.metrics.ledger_left_out(count);
                self.complain("it cannot be written", &fault, now);
            }
        }
        let left_out = self.metrics.ledger_left_out_so_far();
        if left_out > self.left_out {
            let count = left_out - self.left_out;
            self.left_out = left_out;
            tracing::warn!(count, "entries of the ledger were left out");
        }
    }

    fn write(&mut self, batch: &[Entry], now: u64, is_over: bool) -> Result<(), Fault> {
        self.database.batch("BEGIN IMMEDIATE")?;
        for entry in batch {
            match entry {
                Entry::Call(call) => self.call(call)?,
                Entry::Transition(transition) => self.transition(transition)?,
                Entry::Incident(incident) => self.incident(incident)?,
                Entry::End => {}
            }
        }
        self.tallies.write(&self.database)?;
        let ended = is_over.then_some(now);
        let run = "UPDATE runs SET last_ms = $1, ended_ms = $2 WHERE run = $3";
        self.database.execute(run, &[now.into(), ended.into(), self.run.into()])?;
        self.database.batch("COMMIT")
    }

    fn call(&mut self, call: &CallRecord) -> Result<(), Fault> {
        self.tallies.add(call);
        let json = |value: serde_json::Value| Value::Text(value.to_string());
        let values = [
            self.run.into(),
            call.number.into(),
            call.begun_ms.into(),
            call.took_ms.into(),
            call.id.as_str().into(),
            call.route.as_str().into(),
            call.dialect.into(),
            call.stream.into(),
            call.outcome.into(),
            call.target.as_deref().into(),
            call.avoided.into(),
            call.input_tokens.into(),
            call.saved_tokens.into(),
            call.cost_nanos.into(),
            json(serde_json::json!(call.waits_ms)),
            json(serde_json::json!(call.notes)),
        ];
        self.database.execute(ADD_CALL, &values)?;
        for attempt in &call.attempts {
            self.attempt(call.number, attempt)?;
        }
        Ok(())
    }

    fn attempt(&self, call: u64, attempt: &AttemptRecord) -> Result<(), Fault> {
        let tokens = attempt.tokens;
        let values = [
            self.run.into(),
            call.into(),
            attempt.number.into(),
            (&*attempt.target).into(),
            attempt.why.into(),
            attempt.at_ms.into(),
            attempt.first_token_ms.into(),
            attempt.took_ms.into(),
            attempt.phase.into(),
            attempt.result.into(),
            attempt.words.as_str().into(),
            attempt.purpose.into(),
            tokens.map(|tokens| tokens.input).into(),
            tokens.map(|tokens| tokens.cached).into(),
            tokens.map(|tokens| tokens.output).into(),
            tokens.map(|tokens| tokens.estimated).into(),
            attempt.cost_nanos.into(),
        ];
        self.database.execute(ADD_ATTEMPT, &values).map(drop)
    }

    fn transition(&self, transition: &Transition) -> Result<(), Fault> {
        let Transition { at_ms, cell, name, from, to, reason, wait_ms } = transition;
        let values = [
            self.run.into(),
            (*at_ms).into(),
            (*cell).into(),
            (&**name).into(),
            (*from).into(),
            (*to).into(),
            (*reason).into(),
            (*wait_ms).into(),
        ];
        self.database.execute(ADD_TRANSITION, &values).map(drop)
    }

    fn incident(&self, incident: &Incident) -> Result<(), Fault> {
        let values = [
            self.run.into(),
            incident.number.into(),
            incident.cell.into(),
            incident.name.as_str().into(),
            incident.words.as_str().into(),
            incident.began_ms.into(),
            incident.detected_ms.into(),
            incident.ended_ms.into(),
            incident.victims.into(),
            incident.client_failures.into(),
            Value::Text(serde_json::json!(incident.moved).to_string()),
            Value::Text(serde_json::json!(incident.timeline).to_string()),
        ];
        self.database.execute(PUT_INCIDENT, &values).map(drop)
    }

    fn complain(&mut self, what: &str, fault: &Fault, now: u64) {
        if now >= self.complained_ms + COMPLAIN_EVERY_MS {
            self.complained_ms = now;
            tracing::error!(error = %fault, "the ledger: {what}");
        }
    }
}

/// Waits for entries and takes what comes until a commit is due; whether nothing more comes.
fn gather(entries: &Receiver<Entry>, batch: &mut Vec<Entry>) -> bool {
    let first = match entries.recv_timeout(Duration::from_millis(HEARTBEAT_MS)) {
        Ok(Entry::End) | Err(RecvTimeoutError::Disconnected) => return true,
        Ok(entry) => entry,
        Err(RecvTimeoutError::Timeout) => return false,
    };
    batch.push(first);
    let due = Clock::unix_millis() + COMMIT_EVERY_MS;
    loop {
        while batch.len() < BATCH_MAX {
            match entries.try_recv() {
                Ok(Entry::End) | Err(TryRecvError::Disconnected) => return true,
                Ok(entry) => batch.push(entry),
                Err(TryRecvError::Empty) => break,
            }
        }
        if batch.len() >= BATCH_MAX || Clock::unix_millis() >= due {
            return false;
        }
        // To be woken for each entry would cost more than the entry.
        std::thread::sleep(NAP);
    }
}

const ADD_CALL: &str = "
INSERT INTO calls (run, call, at_ms, took_ms, id, route, dialect, stream, outcome, target, avoided,
    input_tokens, saved_tokens, cost_nanos, waits_ms, notes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

const ADD_ATTEMPT: &str = "
INSERT INTO attempts (run, call, number, target, why, at_ms, first_token_ms, took_ms, phase,
    result, words, purpose, input_tokens, cached_tokens, output_tokens, is_estimated, cost_nanos)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";

const ADD_TRANSITION: &str = "
INSERT INTO transitions (run, at_ms, cell, name, from_state, to_state, reason, wait_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

const PUT_INCIDENT: &str = "
INSERT INTO incidents (run, number, cell, name, words, began_ms, detected_ms, ended_ms, victims,
    client_failures, moved, timeline)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
ON CONFLICT (run, number) DO UPDATE SET
    cell = excluded.cell, name = excluded.name, words = excluded.words,
    detected_ms = excluded.detected_ms, ended_ms = excluded.ended_ms, victims = excluded.victims,
    client_failures = excluded.client_failures, moved = excluded.moved,
    timeline = excluded.timeline";
