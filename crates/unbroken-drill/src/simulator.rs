//! A scenario in virtual time: the real engine, pretended providers, thousands of seeds a minute.
//!
//! The same files that `unbroken drill` plays live. Two phases: safety while the faults strike
//! (invariants are checked after every step), then liveness (everything is well again: every call
//! is answered and traffic returns). The same seed gives the same run; a failure names its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use unbroken_engine::call::{Ask, AttemptId, Call, Command, Failure, Input};
use unbroken_engine::deadline::{Kind, Limits};
use unbroken_engine::event::{AttemptResult, Event as EngineEvent, Health, Outcome};
use unbroken_engine::fleet::Fleet;
use unbroken_engine::random::Random;
use unbroken_engine::resume::How;
use unbroken_engine::target::{TargetId, TargetSpec, Tier, TierOrder};
use unbroken_engine::time::Timestamp;

use crate::fault::Fault;
use crate::report::Scorecard;
use crate::scenario::{Scenario, StageKind};

mod play;
pub(crate) mod settings;

pub(crate) use play::cause_of;

/// After the scenario, everything is well for this long.
const LIVENESS: Duration = Duration::from_secs(1_200);
/// Then clients call at this pace.
const LIVENESS_GAP: Duration = Duration::from_secs(5);
/// The last of these calls must all be answered.
const LIVENESS_CALLS: usize = 60;

/// Plays a scenario with a seed.
///
/// # Errors
/// What broke: an invariant, liveness, or settings that the simulator does not know.
pub fn simulate(scenario: &Scenario, seed: u64) -> Result<Scorecard, String> {
    let (config, limits) = settings::read(&scenario.settings)?;
    let mut fleet = Fleet::new(config, seed);
    let targets = labels(scenario.stage).iter().map(|label| {
        let (endpoint, model) = label.split_once('/').unwrap_or_default();
        let spec = TargetSpec {
            label: (*label).into(),
            endpoint: endpoint.into(),
            model: model.into(),
            key: endpoint.into(),
        };
        fleet.target(&spec, Timestamp::ZERO)
    });
    let targets: Vec<TargetId> = targets.collect();
    let mut simulation = Simulation {
        scenario,
        fleet,
        targets,
        limits,
        max_attempts: config.retry.max_attempts,
        health_timeout: config.health.timeout,
        now: Timestamp::ZERO,
        queue: BinaryHeap::new(),
        steps: Vec::new(),
        calls: Vec::new(),
        random: Random::seeded(seed.wrapping_add(1)),
        struck: vec![0; scenario.faults.len()],
        attempts: vec![Vec::new(); labels(scenario.stage).len()],
        detected: None,
        recovered: None,
    };
    simulation.run().map_err(|what| format!("seed {seed}: {what}"))
}

/// The targets of a stage, as `endpoint/model`.
const fn labels(stage: StageKind) -> &'static [&'static str] {
    match stage {
        StageKind::Three => &["first/m", "second/m", "third/m"],
        StageKind::Shared => &["first/first", "first/second"],
    }
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    fleet: Fleet,
    targets: Vec<TargetId>,
    limits: Limits,
    max_attempts: u32,
    health_timeout: Duration,
    now: Timestamp,
    /// When, and which step; ties in the order of their making.
    queue: BinaryHeap<Reverse<(Timestamp, usize)>>,
    steps: Vec<Step>,
    calls: Vec<Simulated>,
    random: Random,
    /// How often each fault has struck.
    struck: Vec<u32>,
    /// When each target was asked, in milliseconds.
    attempts: Vec<Vec<u64>>,
    detected: Option<Duration>,
    recovered: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive,
    Tell { call: usize, input: Input },
    Tick { call: usize },
    CheckHealth,
    HealthResult { target: usize, health: Health },
}

struct Simulated {
    call: Call,
    begun: Timestamp,
    first_content: Option<Timestamp>,
    relayed: Option<AttemptId>,
    first_relayed: Option<AttemptId>,
    /// Attempts whose provider sent the protocol's own end.
    ended: Vec<AttemptId>,
    /// Attempts whose provider failed, or which were given up.
    failed: Vec<AttemptId>,
    starts: u32,
    /// Which targets were asked, by attempt.
    asked: Vec<TargetId>,
    end: Option<End>,
    done: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Answered,
    Broken,
    Refused,
    /// A provider's own words.
    Told,
}

impl Simulated {
    fn done_ms(&self) -> u64 {
        self.done.map_or(0, |done| done.since(self.begun).as_millis() as u64)
    }

    /// Who gave the first content.
    fn answered_by(&self) -> Option<TargetId> {
        let AttemptId(number) = self.first_relayed?;
        self.asked.get(usize::try_from(number).ok()?.checked_sub(1)?).copied()
    }
}

impl Simulation<'_> {
    fn run(&mut self) -> Result<Scorecard, String> {
        let begin = Timestamp::ZERO;
        let mut at = Duration::ZERO;
        let gap = Duration::from_secs_f64(1.0 / self.scenario.rate);
        while at < self.scenario.length {
            self.at(begin + at, Step::Arrive);
            at += gap;
        }
        let measured = self.queue.len();
        let length = self.scenario.length;
        let mut after = length;
        while after < length + LIVENESS {
            after += LIVENESS_GAP;
            self.at(begin + after, Step::Arrive);
        }
        self.at(begin, Step::CheckHealth);
        let mut card = None;
        while let Some(Reverse((now, step))) = self.queue.pop() {
            self.now = now;
            if card.is_none() && now.since(begin) > length + Duration::from_secs(60) {
                card = Some(self.score(measured));
            }
            let Some(step) = self.steps.get(step).copied() else { continue };
            self.take(step)?;
            self.observe();
        }
        self.check_liveness()?;
        card.ok_or_else(|| "it was over before it began".to_owned())
    }

    fn at(&mut self, when: Timestamp, step: Step) {
        self.queue.push(Reverse((when, self.steps.len())));
        self.steps.push(step);
    }

    fn take(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Arrive => self.arrive(),
            Step::Tell { call, input } => self.tell(call, input),
            Step::Tick { call } => {
                let is_due = |c: &Simulated| c.call.deadline().is_some_and(|at| at <= self.now);
                if self.calls.get(call).is_some_and(is_due) {
                    self.tell(call, Input::Tick)
                } else {
                    Ok(())
                }
            }
            Step::CheckHealth => {
                self.check_health();
                Ok(())
            }
            Step::HealthResult { target, health } => {
                let label = labels(self.scenario.stage).get(target).copied().unwrap_or_default();
                let (endpoint, _) = label.split_once('/').unwrap_or_default();
                self.fleet.health_checked(&endpoint.into(), health, self.now);
                Ok(())
            }
        }
    }

    fn arrive(&mut self) -> Result<(), String> {
        let tiers = self
            .targets
            .iter()
            .map(|target| Tier { targets: vec![(*target, 1)], order: TierOrder::Weighted });
        let kind = if self.scenario.stream { Kind::Stream } else { Kind::Whole };
        let ask = Ask::new("chat", tiers.collect(), self.limits, kind);
        let call = self.fleet.begin(&ask, self.now);
        self.calls.push(Simulated {
            call,
            begun: self.now,
            first_content: None,
            relayed: None,
            first_relayed: None,
            ended: Vec::new(),
            failed: Vec::new(),
            starts: 0,
            asked: Vec::new(),
            end: None,
            done: None,
        });
        self.perform(self.calls.len() - 1)
    }

    fn tell(&mut self, index: usize, input: Input) -> Result<(), String> {
        let now = self.now;
        let Some(simulated) = self.calls.get_mut(index) else { return Ok(()) };
        if let Input::Ended { attempt, .. } = input {
            simulated.ended.push(attempt);
        }
        if let Input::Failed { attempt, .. } = input {
            simulated.failed.push(attempt);
        }
        simulated.call.handle(&mut self.fleet, input, now);
        self.perform(index)
    }

    /// Does what the call says, and checks that it may say so.
    fn perform(&mut self, index: usize) -> Result<(), String> {
        while let Some(command) = self.calls.get_mut(index).and_then(|c| c.call.next_command()) {
            let wrong = |what: &str| Err(format!("call {index} at {:?}: {what}", self.now));
            let Some(simulated) = self.calls.get_mut(index) else { break };
            if simulated.end.is_some() {
                return wrong("a command after the end");
            }
            match command {
                Command::Start { attempt, target, how } => {
                    simulated.starts += 1;
                    if simulated.relayed.is_some_and(|a| !simulated.failed.contains(&a)) {
                        return wrong("an attempt beside the one that is relayed");
                    }
                    if simulated.first_content.is_some() == (how == How::Fresh) {
                        return wrong("content is repeated, or gone on with before there is any");
                    }
                    simulated.relayed = None;
                    if simulated.starts > self.max_attempts + 3 {
                        return wrong("more attempts than the ceiling");
                    }
                    simulated.asked.push(target);
                    self.start(index, attempt, target);
                }
                Command::Relay { attempt } => {
                    if simulated.relayed.is_some_and(|relayed| relayed != attempt) {
                        return wrong("two attempts were relayed");
                    }
                    simulated.relayed = Some(attempt);
                    simulated.first_content.get_or_insert(self.now);
                    simulated.first_relayed.get_or_insert(attempt);
                }
                Command::Cancel { attempt } => simulated.failed.push(attempt),
                Command::Complete { attempt } => {
                    if !simulated.ended.contains(&attempt) || simulated.relayed != Some(attempt) {
                        return wrong("complete without the protocol's own end");
                    }
                    simulated.end = Some(End::Answered);
                }
                Command::Fail(failure) => {
                    let is_broken = matches!(failure, Failure::Broken { .. });
                    if is_broken != simulated.first_content.is_some() {
                        return wrong("broken without content, or refused after it");
                    }
                    simulated.end = Some(match failure {
                        Failure::Broken { .. } => End::Broken,
                        Failure::Tell { .. } => End::Told,
                        Failure::Exhausted { .. } => End::Refused,
                    });
                }
            }
        }
        if let Some(simulated) = self.calls.get_mut(index).filter(|call| call.end.is_some()) {
            simulated.done.get_or_insert(self.now);
        }
        self.after(index)
    }

    /// A call is over exactly when it said so, and otherwise has a deadline within its bounds.
    fn after(&mut self, index: usize) -> Result<(), String> {
        let Some(simulated) = self.calls.get(index) else { return Ok(()) };
        if simulated.call.is_over() != simulated.end.is_some() {
            return Err(format!("call {index}: over without a word, or a word without being over"));
        }
        let Some(deadline) = simulated.call.deadline() else { return Ok(()) };
        if deadline > simulated.begun + self.limits.total {
            return Err(format!("call {index}: a deadline beyond the call's own"));
        }
        self.at(deadline.max(self.now), Step::Tick { call: index });
        Ok(())
    }

    fn check_health(&mut self) {
        let next = loop {
            match self.fleet.next_health_check(self.now) {
                Ok(name) => {
                    let is_of = |label: &&str| label.split('/').next() == Some(&*name);
                    let target = labels(self.scenario.stage).iter().position(is_of);
                    let target = target.unwrap_or_default();
                    // What ails one model of two does not ail their provider.
                    let is_gone = self.scenario.stage == StageKind::Three
                        && matches!(
                            self.active(target),
                            Some(Fault::Refuse | Fault::Reset | Fault::Close | Fault::BlackHole)
                        );
                    let health = if is_gone { Health::Ill } else { Health::Well };
                    let timeout = self.health_timeout;
                    let wait = if is_gone { timeout } else { Duration::from_millis(2) };
                    self.at(self.now + wait, Step::HealthResult { target, health });
                }
                Err(next) => break next,
            }
        };
        let end = Timestamp::ZERO + self.scenario.length + LIVENESS;
        // A result may make the next check due sooner: look again soon.
        let soon = self.now + Duration::from_secs(1);
        if let Some(next) = next.map(|next| next.min(soon)).filter(|next| *next < end) {
            self.at(next.max(self.now + Duration::from_millis(1)), Step::CheckHealth);
        }
    }

    /// Collects what the engine did.
    fn observe(&mut self) {
        let first = self.scenario.faults.first();
        let struck = first.map(|fault| Timestamp::ZERO + fault.at);
        let healed = first.and_then(|fault| Some(Timestamp::ZERO + fault.at + fault.length?));
        let labels = labels(self.scenario.stage);
        let name = first.and_then(|fault| labels.get(fault.target));
        while let Some(event) = self.fleet.next_event() {
            let is_detection = match &event {
                EngineEvent::BreakerChanged { change, .. } => change.to == "open",
                EngineEvent::CellBlocked { .. }
                | EngineEvent::SlownessChanged { is_degraded: true, .. } => true,
                _ => false,
            };
            if let Some(struck) = struck.filter(|struck| is_detection && self.now >= *struck) {
                self.detected.get_or_insert(self.now.since(struck));
            }
            if let EngineEvent::AttemptEnded { target, result: AttemptResult::Answered, .. } =
                &event
                && name.is_some_and(|name| *name == &**target)
                && let Some(healed) = healed.filter(|healed| self.now >= *healed)
            {
                self.recovered.get_or_insert(self.now.since(healed));
            }
            if let EngineEvent::CallEnded { outcome: Outcome::ClientGone, .. } = event {
                // No client leaves in the scenarios of today.
                debug_assert!(false, "a client that left");
            }
        }
    }

    fn score(&self, measured: usize) -> Scorecard {
        let calls = self.calls.get(..measured.min(self.calls.len())).unwrap_or_default();
        let count = |end: End| calls.iter().filter(|call| call.end == Some(end)).count() as u64;
        let answered = count(End::Answered);
        let starts: u32 = calls.iter().map(|call| call.starts).sum();
        let rescued =
            calls.iter().filter(|c| c.end == Some(End::Answered) && c.starts > 1).count() as u64;
        let mut first: Vec<u64> = calls
            .iter()
            .filter(|call| call.end == Some(End::Answered))
            .filter_map(|call| Some(call.first_content?.since(call.begun).as_millis() as u64))
            .collect();
        first.sort_unstable();
        let quantile = |per_cent: usize| {
            let place = (first.len() * per_cent / 100).min(first.len().saturating_sub(1));
            first.get(place).copied().unwrap_or_default()
        };
        let millis = |wait: Option<Duration>| wait.map(|wait| wait.as_millis() as u64);
        let mut card = Scorecard {
            calls: calls.len() as u64,
            failed_calls: calls.len() as u64 - answered,
            rescued_calls: rescued,
            broken_streams: count(End::Broken),
            attempts_per_call: f64::from(starts) / calls.len().max(1) as f64,
            detect_ms: millis(self.detected),
            recover_ms: millis(self.recovered),
            first_token_p50_ms: quantile(50),
            first_token_p99_ms: quantile(99),
            done_ms: calls.iter().map(Simulated::done_ms).max().unwrap_or_default(),
            models: self.models(calls),
            refusals: self.refusals(calls),
            attempts: self.attempts.clone(),
            ..Scorecard::default()
        };
        card.judge(&self.scenario.expect);
        card
    }

    /// The models that answers name: those of the first attempt whose content was relayed.
    fn models(&self, calls: &[Simulated]) -> Vec<String> {
        let labels = labels(self.scenario.stage);
        let mut answered: Vec<&Simulated> =
            calls.iter().filter(|call| call.end == Some(End::Answered)).collect();
        answered.sort_by_key(|call| call.done);
        let mut models = Vec::new();
        for target in answered.iter().filter_map(|call| call.answered_by()) {
            let place = self.targets.iter().position(|known| *known == target);
            let label = place.and_then(|place| labels.get(place)).copied().unwrap_or_default();
            let (_, model) = label.split_once('/').unwrap_or_default();
            if !models.iter().any(|known| known == model) {
                models.push(model.to_owned());
            }
        }
        models
    }

    /// What clients are told: nobody speaks here, so the scenario's own words stand for the
    /// status that the engine chose.
    fn refusals(&self, calls: &[Simulated]) -> Vec<(u16, String)> {
        let is_told = calls.iter().any(|call| call.end == Some(End::Told));
        let said = self.scenario.expect.refused.as_ref().map(|(_, said)| said.clone());
        if is_told { vec![(400, said.unwrap_or_default())] } else { Vec::new() }
    }

    /// Everything has been well for twenty minutes.
    fn check_liveness(&self) -> Result<(), String> {
        let open = self.calls.iter().filter(|call| call.end.is_none()).count();
        if open > 0 {
            return Err(format!("{open} calls never ended"));
        }
        let last = self.calls.iter().rev().take(LIVENESS_CALLS);
        let lost = last.filter(|call| call.end != Some(End::Answered)).count();
        if lost > 0 && self.heals() {
            return Err(format!("{lost} calls failed although everything is well again"));
        }
        let stuck = self.fleet.report(self.now);
        let stuck = stuck.iter().find(|r| r.state == "half_open" && r.refusal.is_some());
        stuck.map_or(Ok(()), |report| Err(format!("{} waits for a probe for ever", report.label)))
    }

    /// Whether every fault has an end.
    fn heals(&self) -> bool {
        self.scenario.faults.iter().all(|fault| fault.length.is_some())
    }
}

#[cfg(test)]
mod tests;
