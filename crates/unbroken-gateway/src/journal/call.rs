//! One call as an operator reads of it afterwards.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use unbroken::observer::CallFacts;
use unbroken_engine::cause::Blame;
use unbroken_engine::event::{AttemptResult, Event, Outcome, Why};
use unbroken_engine::resume::How;

use super::spent::{Tokens, dollars};
use crate::config::{Price, Prices};

/// A call's attempts, causes and waits; never its words.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct CallRecord {
    /// Counts the calls of this process.
    #[serde(skip)]
    pub(crate) number: u64,
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
    /// Whether it was kept away from preferred targets that were down.
    pub(crate) avoided: bool,
    /// What all attempts used.
    pub(crate) tokens: Tokens,
    /// Tokens of the answer that were not lost when it broke, because another attempt went on.
    pub(crate) saved_tokens: u64,
    /// What all attempts cost, in US dollars; absent if that is not known of each.
    #[serde(rename = "cost_usd", serialize_with = "dollars")]
    pub(crate) cost_nanos: Option<i64>,
    /// Who was asked, in this order.
    pub(crate) attempts: Vec<AttemptRecord>,
    /// Waits for a target, in milliseconds.
    pub(crate) waits_ms: Vec<u64>,
    /// What else happened, in words.
    pub(crate) notes: Vec<&'static str>,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Serialize)]
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
    /// What it was good for in the end: `answer`, `continuation`, `failed`, `hedge` or `left`.
    pub(crate) purpose: &'static str,
    /// What it used; absent if nothing that is known of.
    pub(crate) tokens: Option<Tokens>,
    /// What that cost, in US dollars; absent if it is not known.
    #[serde(rename = "cost_usd", serialize_with = "dollars")]
    pub(crate) cost_nanos: Option<i64>,
    /// What its target costs, if that is known.
    #[serde(skip)]
    price: Option<Price>,
    /// Whether its target failed.
    #[serde(skip)]
    pub(crate) has_failed: bool,
    /// Whether it failed and its target is to blame.
    #[serde(skip)]
    pub(crate) is_blamed: bool,
    /// Whether it broke, and another attempt went on with what it had said.
    #[serde(skip)]
    pub(crate) was_continued: bool,
    /// Whether it said again what its client had already.
    #[serde(skip)]
    pub(crate) is_restart: bool,
}

/// An engine makes at most 16 attempts, resends included 19; a record is bounded by itself.
const PARTS_MAX: usize = 32;

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl CallRecord {
    pub(super) fn new(number: u64, facts: &CallFacts, now: u64) -> Self {
        Self {
            number,
            id: facts.id.clone(),
            route: facts.route.clone(),
            dialect: facts.dialect,
            stream: facts.is_stream,
            input_tokens: facts.input_tokens,
            begun_ms: now,
            took_ms: 0,
            outcome: "open",
            target: None,
            avoided: false,
            tokens: Tokens::default(),
            saved_tokens: 0,
            cost_nanos: Some(0),
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
                    let at_ms = now.saturating_sub(self.begun_ms);
                    self.attempts.push(AttemptRecord::new(*attempt, target, *why, at_ms));
                }
            }
            Event::AttemptDelivered { attempt, after, .. } => {
                if let Some(record) = self.attempt(*attempt) {
                    record.first_token_ms = Some(millis(*after));
                }
            }
            Event::AttemptEnded { attempt, target, result, .. } => {
                if *result == AttemptResult::Answered {
                    self.target = Some(target.clone());
                }
                if let Some(record) = self.attempt(*attempt) {
                    record.ended(event);
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
            Event::StreamContinued { attempt, how, .. } => {
                self.remark("another attempt went on with it");
                self.continued(*attempt, *how);
            }
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

    fn continued(&mut self, number: u32, how: How) {
        for attempt in &mut self.attempts {
            attempt.was_continued |= attempt.number < number && attempt.phase == "delivering";
            attempt.is_restart |= attempt.number == number && how == How::Restart;
        }
    }

    /// It is over: what did it use, and what for?
    pub(super) fn close(&mut self, prices: &Prices) {
        for attempt in &mut self.attempts {
            attempt.purpose = attempt.what_for();
            let Some(tokens) = attempt.tokens else { continue };
            self.tokens.add(tokens);
            if attempt.was_continued {
                self.saved_tokens += tokens.output;
            }
            let price = prices.of(&attempt.target);
            attempt.price = price;
            attempt.cost_nanos = price.map(|p| p.nanos(tokens.input, tokens.cached, tokens.output));
            let sum = self.cost_nanos.zip(attempt.cost_nanos);
            self.cost_nanos = sum.map(|(so_far, more)| so_far.saturating_add(more));
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

impl AttemptRecord {
    fn new(number: u32, target: &Arc<str>, why: Why, at_ms: u64) -> Self {
        Self {
            number,
            target: target.clone(),
            why: why.name(),
            at_ms,
            first_token_ms: None,
            took_ms: 0,
            phase: "connecting",
            result: "open",
            words: String::new(),
            purpose: "left",
            tokens: None,
            cost_nanos: None,
            price: None,
            has_failed: false,
            is_blamed: false,
            was_continued: false,
            is_restart: false,
        }
    }

    fn ended(&mut self, event: &Event) {
        let Event::AttemptEnded { result, phase, took, spent, .. } = event else { return };
        self.took_ms = millis(*took);
        self.phase = phase.name();
        self.result = result.name();
        self.words = words(*result);
        self.tokens = spent.map(Tokens::from);
        if let AttemptResult::Failed(cause) = result {
            self.has_failed = true;
            self.is_blamed = cause.blame() != Blame::Nobody;
        }
    }

    fn what_for(&self) -> &'static str {
        match (self.result, self.why) {
            _ if self.was_continued => "answer",
            ("answered", "continue") => "continuation",
            ("answered", _) => "answer",
            ("lost_race", _) | ("cancelled", "hedge" | "shadow") => "hedge",
            ("cancelled" | "open", _) => "left",
            _ => "failed",
        }
    }

    /// What a part of its tokens cost, if that is known.
    pub(crate) fn part_of_cost(&self, part: Tokens) -> Option<i64> {
        self.price.map(|price| price.nanos(part.input, part.cached, part.output))
    }

    /// Its use that went into the answer, and its use that failover cost.
    pub(crate) fn shares(&self) -> Option<(Tokens, Tokens)> {
        let tokens = self.tokens?;
        let none = Tokens::default();
        Some(match self.purpose {
            "answer" => (tokens, none),
            // Its words are new, but the prompt was paid for once more.
            "continuation" if !self.is_restart => {
                let prompt = Tokens { output: 0, ..tokens };
                (Tokens { input: 0, cached: 0, ..tokens }, prompt)
            }
            _ => (none, tokens),
        })
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
