//! One call as an operator reads of it afterwards.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use unbroken::observer::CallFacts;
use unbroken_engine::event::{AttemptResult, Event, Outcome};

/// A call's attempts, causes and waits; never its words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct CallRecord {
    /// The client's request id.
    pub(crate) id: String,
    /// The route.
    pub(crate) route: String,
    /// The client's dialect.
    pub(crate) dialect: &'static str,
    /// Whether the answer was a stream.
    pub(crate) stream: bool,
    /// The size of the request, estimated.
    pub(crate) input_tokens: u32,
    /// When it began, in milliseconds since 1970.
    pub(crate) begun_ms: u64,
    /// How long it took.
    pub(crate) took_ms: u64,
    /// How it ended for its client.
    pub(crate) outcome: &'static str,
    /// Who answered.
    pub(crate) target: Option<Arc<str>>,
    /// Who was asked, in this order.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Waits for a target, in milliseconds.
    pub(crate) waits_ms: Vec<u64>,
    /// What else happened, in words.
    pub(crate) notes: Vec<&'static str>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct AttemptRecord {
    /// From 1.
    pub(crate) number: u32,
    /// Who was asked.
    pub(crate) target: Arc<str>,
    /// Why: `first`, `failover`, `retry`, `hedge`, …
    pub(crate) why: &'static str,
    /// When it began, in milliseconds since the call did.
    pub(crate) at_ms: u64,
    /// To its first content.
    pub(crate) first_token_ms: Option<u64>,
    /// How long it took.
    pub(crate) took_ms: u64,
    /// How far it came.
    pub(crate) phase: &'static str,
    /// `answered`, or why it ended.
    pub(crate) result: &'static str,
    /// The same in words.
    pub(crate) words: String,
    /// Whether its target failed.
    #[serde(skip)]
    pub(crate) has_failed: bool,
}

/// An engine makes at most 16 attempts, resends included 19; a record is bounded by itself.
const PARTS_MAX: usize = 32;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl CallRecord {
    pub(super) fn new(facts: &CallFacts, now: u64) -> Self {
        Self {
            id: facts.id.clone(),
            route: facts.route.clone(),
            dialect: facts.dialect,
            stream: facts.is_stream,
            input_tokens: facts.input_tokens,
            begun_ms: now,
            took_ms: 0,
            outcome: "open",
            target: None,
            attempts: Vec::new(),
            waits_ms: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Takes note of one of its events.
    pub(super) fn note(&mut self, event: &Event, now: u64) {
        match event {
            Event::AttemptStarted { attempt, target, why, .. } => {
                if self.attempts.len() < PARTS_MAX {
                    self.attempts.push(AttemptRecord {
                        number: *attempt,
                        target: target.clone(),
                        why: why.name(),
                        at_ms: now.saturating_sub(self.begun_ms),
                        first_token_ms: None,
                        took_ms: 0,
                        phase: "connecting",
                        result: "open",
                        words: String::new(),
                        has_failed: false,
                    });
                }
            }
            Event::AttemptDelivered { attempt, after, .. } => {
                if let Some(record) = self.attempt(*attempt) {
                    record.first_token_ms = Some(millis(*after));
                }
            }
            Event::AttemptEnded { attempt, target, result, phase, took, .. } => {
                if *result == AttemptResult::Answered {
                    self.target = Some(target.clone());
                }
                if let Some(record) = self.attempt(*attempt) {
                    record.took_ms = millis(*took);
                    record.phase = phase.name();
                    record.result = result.name();
                    record.words = words(*result);
                    record.has_failed = matches!(result, AttemptResult::Failed(_));
                }
            }
            Event::CallWaits { wait, .. } => {
                if self.waits_ms.len() < PARTS_MAX {
                    self.waits_ms.push(millis(*wait));
                }
            }
            Event::RetryRefused { .. } => self.remark("the retry budget was used up"),
            Event::HedgeDecided { won: true, .. } => self.remark("a hedge won"),
            Event::HedgeDecided { won: false, .. } => self.remark("a hedge lost"),
            Event::CallThrottled { .. } => self.remark("turned away: every target was shut"),
            Event::StreamBroke { .. } => self.remark("the answer broke after its first content"),
            Event::StreamContinued { .. } => self.remark("another attempt went on with it"),
            Event::CallEnded { outcome, took, .. } => {
                self.outcome = outcome.name();
                if matches!(outcome, Outcome::Answered | Outcome::Rescued) && self.target.is_none()
                {
                    let mut delivered = self.attempts.iter().rev();
                    let last = delivered.find(|attempt| attempt.first_token_ms.is_some());
                    self.target = last.map(|attempt| attempt.target.clone());
                }
                self.took_ms = millis(*took);
            }
            Event::BreakerChanged { .. }
            | Event::CellBlocked { .. }
            | Event::SlownessChanged { .. }
            | Event::LocalFault { .. }
            | Event::KeysCleared { .. }
            | Event::KeyDead { .. }
            | Event::TargetBlamed { .. }
            | Event::ModelWithdrawn { .. }
            | Event::HealthChecked { .. } => {}
        }
    }

    fn attempt(&mut self, number: u32) -> Option<&mut AttemptRecord> {
        self.attempts.iter_mut().find(|attempt| attempt.number == number)
    }

    fn remark(&mut self, text: &'static str) {
        if self.notes.len() < PARTS_MAX {
            self.notes.push(text);
        }
    }
}

fn words(result: AttemptResult) -> String {
    match result {
        AttemptResult::Answered => "it answered".to_owned(),
        AttemptResult::Failed(cause) => cause.to_string(),
        AttemptResult::Cancelled => "we ended it".to_owned(),
        AttemptResult::LostRace => "another one was quicker".to_owned(),
    }
}
