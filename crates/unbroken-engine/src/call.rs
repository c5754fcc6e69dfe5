//! One client request until its last byte: which attempts are made, and what the client gets.
//!
//! The run-loop contract, for whoever drives a call (see `unbroken::driver`):
//!
//! ```text
//! let mut call = fleet.begin(&ask, now);
//! loop {
//!     while let Some(command) = call.next_command() { perform it }
//!     if call.is_over() { break }
//!     input = first of { what the attempts say, call.deadline() reached -> Tick, client left };
//!     call.handle(&mut fleet, input, now);
//! }
//! ```
//!
//! Invariants, checked by the tests and the simulator after every step:
//! - a call ends exactly once, and no later than its deadline;
//! - at most one attempt is relayed to the client, and nothing after it failed;
//! - attempts stay within the ceiling; a target is asked again only when nobody else is left or
//!   only a different model is left, and never after it stayed silent;
//! - whatever happens, every permit goes back.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::cause::{FailureCause, Unreachable};
use crate::choose;
use crate::deadline::{Kind, Limits};
use crate::event::{AttemptResult, Event, Outcome, Phase, Why};
use crate::fleet::{Fleet, Permits, Refusal};
use crate::target::{TargetId, Tier};
use crate::time::Timestamp;

mod next;

/// What a client asks for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The route's name, for rotation.
    pub route: Arc<str>,
    /// The targets that may answer, most preferred first.
    pub tiers: Vec<Tier>,
    /// Limits of time.
    pub limits: Limits,
    /// What kind of answer.
    pub kind: Kind,
    /// How often the client itself has tried this before: then we do not repeat ourselves.
    pub client_retries: u32,
}

/// Names an attempt within its call, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttemptId(pub u32);

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send the request to the target.
    Start {
        /// The attempt's name from now on.
        attempt: AttemptId,
        /// Where to.
        target: TargetId,
    },
    /// From now on this attempt's content goes to the client.
    Relay {
        /// Whose content.
        attempt: AttemptId,
    },
    /// Drop the attempt; nothing of it is wanted any more.
    Cancel {
        /// Which one.
        attempt: AttemptId,
    },
    /// The answer is whole: finish it in the client's dialect.
    Complete {
        /// Whose answer.
        attempt: AttemptId,
    },
    /// There is no answer: tell the client why.
    Fail(Failure),
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The client's own request is wrong: pass on what this attempt was told.
    Tell {
        /// The attempt whose words the client should read.
        attempt: AttemptId,
    },
    /// No target could answer.
    Exhausted {
        /// Whether rate limits are the only reason.
        only_rate_limits: bool,
        /// When asking again makes sense, as far as we know.
        retry_at: Option<Timestamp>,
    },
    /// The answer broke after its first content had reached the client.
    Broken {
        /// Whose answer.
        attempt: AttemptId,
        /// What happened to it.
        cause: FailureCause,
    },
}

/// What the driver has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A connection is there and the request is on its way.
    Connected {
        /// Whose.
        attempt: AttemptId,
    },
    /// Bytes arrived that are not content: headers, pings, comments, lifecycle events.
    Alive {
        /// Whose.
        attempt: AttemptId,
    },
    /// Content arrived.
    Content {
        /// Whose.
        attempt: AttemptId,
    },
    /// The decoder saw the protocol's own end.
    Ended {
        /// Whose.
        attempt: AttemptId,
    },
    /// The attempt failed.
    Failed {
        /// Whose.
        attempt: AttemptId,
        /// Why.
        cause: FailureCause,
    },
    /// [`Call::deadline`] has come.
    Tick,
    /// The client left.
    ClientGone,
}

/// One attempt as the client may read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// The target.
    pub target: TargetId,
    /// Why it failed; `None` if it answered or is still at it.
    pub cause: Option<FailureCause>,
}

#[derive(Debug)]
struct Candidate {
    target: TargetId,
    model: Arc<str>,
    label: Arc<str>,
    /// Drawn once per call: which share of a ramp's traffic this call belongs to.
    draw: u32,
    tries: u32,
    last: Option<FailureCause>,
}

#[derive(Debug)]
struct Attempt {
    id: AttemptId,
    candidate: usize,
    permits: Permits,
    phase: Phase,
    started: Timestamp,
    connect_by: Timestamp,
    content_by: Timestamp,
    alive_at: Timestamp,
    content_at: Timestamp,
}

#[derive(Debug)]
enum Stage {
    /// An attempt is running.
    Running(Attempt),
    /// Nobody is asked before `until`; then `then`, or whoever is ready.
    Waiting { until: Timestamp, then: Option<(usize, Why)> },
    /// The call is over.
    Over,
}

/// One call. Made by [`Fleet::begin`].
#[derive(Debug)]
pub struct Call {
    id: u64,
    limits: Limits,
    kind: Kind,
    client_retries: u32,
    begun: Timestamp,
    ends: Timestamp,
    candidates: Vec<Candidate>,
    stage: Stage,
    commands: VecDeque<Command>,
    trail: Vec<Tried>,
    resends: u32,
    waited: Duration,
    failovers: u32,
    told: Option<AttemptId>,
}

/// A stale pooled connection is replaced this often within one call. Bound: each costs one write.
const RESENDS_MAX: u32 = 3;

impl Call {
    pub(crate) fn begin(fleet: &mut Fleet, id: u64, ask: &Ask, now: Timestamp) -> Self {
        fleet.budget.deposit();
        let mut call = Self {
            id,
            limits: ask.limits,
            kind: ask.kind,
            client_retries: ask.client_retries,
            begun: now,
            ends: now + ask.limits.total,
            candidates: candidates(fleet, ask),
            stage: Stage::Over,
            commands: VecDeque::new(),
            trail: Vec::new(),
            resends: 0,
            waited: Duration::ZERO,
            failovers: 0,
            told: None,
        };
        call.go_on(fleet, now);
        call
    }

    /// The call's number, as in the events.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// The next thing to do, if any.
    pub fn next_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Whether nothing more will happen once the commands are performed.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// When [`Input::Tick`] is due. A call that is over needs none.
    #[must_use]
    pub fn deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Running(attempt) => Some(self.limit_of(attempt).0.min(self.ends)),
            Stage::Waiting { until, .. } => Some((*until).min(self.ends)),
            Stage::Over => None,
        }
    }

    /// The attempts so far, in their order.
    #[must_use]
    pub fn trail(&self) -> &[Tried] {
        &self.trail
    }

    /// Why each candidate that was not tried cannot be used now.
    #[must_use]
    pub fn refusals(&self, fleet: &Fleet, now: Timestamp) -> Vec<(TargetId, Refusal)> {
        let untried = self.candidates.iter().filter(|candidate| candidate.tries == 0);
        untried.filter_map(|c| Some((c.target, fleet.refusal(c.target, now)?))).collect()
    }

    /// Takes note of what happened and decides what to do.
    pub fn handle(&mut self, fleet: &mut Fleet, input: Input, now: Timestamp) {
        match input {
            Input::Connected { attempt } => {
                if let Some(running) = self.running(attempt) {
                    running.phase = Phase::Waiting;
                    running.alive_at = now;
                }
            }
            Input::Alive { attempt } => {
                if let Some(running) = self.running(attempt) {
                    running.alive_at = now;
                }
            }
            Input::Content { attempt } => self.content(fleet, attempt, now),
            Input::Ended { attempt } => self.ended(fleet, attempt, now),
            Input::Failed { attempt, cause } => {
                if self.running(attempt).is_some() {
                    self.failed(fleet, cause, now);
                }
            }
            Input::Tick => self.tick(fleet, now),
            Input::ClientGone => self.client_gone(fleet, now),
        }
    }

    /// The running attempt, if it is this one: late news of an earlier one is ignored.
    const fn running(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        match &mut self.stage {
            Stage::Running(attempt) if attempt.id.0 == id.0 => Some(attempt),
            Stage::Running(_) | Stage::Waiting { .. } | Stage::Over => None,
        }
    }

    fn content(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        let call = self.id;
        let Some(attempt) = self.running(id) else { return };
        attempt.alive_at = now;
        attempt.content_at = now;
        if attempt.phase == Phase::Delivering {
            return;
        }
        attempt.phase = Phase::Delivering;
        let after = now.since(attempt.started);
        let index = attempt.candidate;
        let mut permits = attempt.permits;
        let Some(candidate) = self.candidates.get(index) else { return };
        fleet.delivered(candidate.target, &mut permits, now);
        let target = candidate.label.clone();
        fleet.emit(Event::AttemptDelivered { call, attempt: id.0, target, after });
        if let Some(attempt) = self.running(id) {
            attempt.permits = permits;
        }
        self.commands.push_back(Command::Relay { attempt: id });
    }

    fn ended(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        if self.running(id).is_none() {
            return;
        }
        // A whole answer has no first content of its own.
        self.content(fleet, id, now);
        let Some(attempt) = self.stop(fleet, AttemptResult::Answered, now) else { return };
        if let Some(candidate) = self.candidates.get(attempt.candidate) {
            fleet.succeeded(candidate.target, attempt.permits, now);
        }
        self.commands.push_back(Command::Complete { attempt: id });
        let outcome = if self.trail.len() > 1 { Outcome::Rescued } else { Outcome::Answered };
        self.end(fleet, outcome, now);
    }

    fn tick(&mut self, fleet: &mut Fleet, now: Timestamp) {
        match &self.stage {
            Stage::Running(attempt) => {
                let (limit, cause) = self.limit_of(attempt);
                if now >= limit || now >= self.ends {
                    let id = attempt.id;
                    self.commands.push_back(Command::Cancel { attempt: id });
                    let cause = if now >= limit { cause } else { self.out_of_time() };
                    self.failed(fleet, cause, now);
                }
            }
            Stage::Waiting { until, then } if now >= *until && now < self.ends => {
                let then = *then;
                self.go_on_with(fleet, then, now);
            }
            Stage::Waiting { .. } if now >= self.ends => self.give_up(fleet, now),
            Stage::Waiting { .. } | Stage::Over => {}
        }
    }

    fn client_gone(&mut self, fleet: &mut Fleet, now: Timestamp) {
        if self.is_over() {
            return;
        }
        if let Some(attempt) = self.stop(fleet, AttemptResult::Cancelled, now) {
            self.commands.push_back(Command::Cancel { attempt: attempt.id });
            if let Some(candidate) = self.candidates.get(attempt.candidate) {
                fleet.censored(candidate.target, attempt.permits, now);
            }
        }
        self.end(fleet, Outcome::ClientGone, now);
    }

    /// When the attempt will have taken too long, and what that would mean.
    fn limit_of(&self, attempt: &Attempt) -> (Timestamp, FailureCause) {
        match attempt.phase {
            Phase::Connecting => {
                (attempt.connect_by, FailureCause::Unreachable(Unreachable::TimedOut))
            }
            Phase::Waiting => (attempt.content_by, FailureCause::Silent),
            Phase::Delivering => {
                let silent = attempt.alive_at + self.limits.silence;
                let stalled = attempt.content_at + self.limits.stall;
                (silent.min(stalled), FailureCause::Stalled)
            }
        }
    }

    /// The call's time is up. A target that had its usual time and stayed silent is to blame.
    fn out_of_time(&self) -> FailureCause {
        match &self.stage {
            Stage::Running(attempt)
                if attempt.phase == Phase::Waiting
                    && self.ends.since(attempt.started) >= self.limits.first_content(self.kind) =>
            {
                FailureCause::Silent
            }
            Stage::Running(_) | Stage::Waiting { .. } | Stage::Over => FailureCause::OutOfTime,
        }
    }

    /// Takes the running attempt off the stage and reports its end.
    fn stop(
        &mut self,
        fleet: &mut Fleet,
        result: AttemptResult,
        now: Timestamp,
    ) -> Option<Attempt> {
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Running(attempt) => {
                let candidate = self.candidates.get(attempt.candidate)?;
                fleet.emit(Event::AttemptEnded {
                    call: self.id,
                    attempt: attempt.id.0,
                    target: candidate.label.clone(),
                    result,
                    phase: attempt.phase,
                    took: now.since(attempt.started),
                });
                Some(attempt)
            }
            Stage::Waiting { .. } | Stage::Over => None,
        }
    }

    fn end(&mut self, fleet: &mut Fleet, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Over;
        let attempts = u32::try_from(self.trail.len()).unwrap_or(u32::MAX);
        let took = now.since(self.begun);
        fleet.emit(Event::CallEnded { call: self.id, outcome, attempts, took });
    }
}

fn candidates(fleet: &mut Fleet, ask: &Ask) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    for (index, tier) in ask.tiers.iter().enumerate() {
        let turn = if tier.targets.len() > 1 { fleet.take_turn(&ask.route, index) } else { 0 };
        let mut random = fleet.random.clone();
        let order = choose::order(tier, turn, &mut random);
        fleet.random = random;
        for place in order {
            let Some((target, _)) = tier.targets.get(place) else { continue };
            if candidates.iter().any(|candidate| candidate.target == *target) {
                continue;
            }
            let Some(spec) = fleet.spec(*target) else { continue };
            let (model, label) = (spec.model.clone(), spec.label.clone());
            let draw = u32::try_from(fleet.random.below(1000)).unwrap_or_default();
            candidates.push(Candidate {
                target: *target,
                model,
                label,
                draw,
                tries: 0,
                last: None,
            });
        }
    }
    candidates
}

#[cfg(test)]
mod tests;
