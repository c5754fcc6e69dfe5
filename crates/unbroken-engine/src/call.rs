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
//! At most two attempts run at the same time, and only before the first content: the second one
//! is a hedge (the first is late) or a shadow (the first is a probe). Who delivers first wins, the
//! other is dropped. A loser that was late for its own target is evidence against it; a loser that
//! never had its time is not.
//!
//! Invariants, checked by the tests and the simulator after every step:
//! - a call ends exactly once, and no later than its deadline;
//! - at most one attempt at a time is relayed to the client; if it fails, what it delivered is gone
//!   on with (`resume`), or the client is told that it broke;
//! - attempts stay within the ceiling; a target is asked again only when nobody else is left or
//!   only a different model is left, and never after it stayed silent;
//! - a request with effects of its own is sent on only if it was certainly not processed;
//! - whatever happens, every permit goes back.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::cause::{FailureCause, Unreachable};
use crate::choose;
use crate::deadline::{Kind, Limits};
use crate::event::{AttemptResult, Event, Outcome, Phase, Spent, Why};
use crate::fleet::{Fleet, Permits, Placed, Refusal, Sample};
use crate::random::Random;
use crate::resume::{Delivered, Flow, How, LAST_EVENT_WAIT};
use crate::stall::{Pace, Progress};
use crate::target::{TargetId, Tier, TierOrder};
use crate::time::Timestamp;

mod broken;
mod next;
mod pick_up;
mod race;

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
    /// The size of the input, estimated; zero if not known.
    pub input_tokens: u32,
    /// What conversation it belongs to, so that it stays where its prompt is cached.
    pub conversation: Option<u64>,
    /// Tells requests apart that differ, so that one bad request is not taken for many.
    pub fingerprint: u64,
    /// What sending it twice would do.
    pub effect: Effect,
    /// Whether a second attempt may run beside a late first one.
    pub may_hedge: bool,
    /// Whether an answer that breaks after its first content goes on elsewhere. Default: true.
    pub continues: bool,
    /// The targets that are known to take the beginning of an answer as a part of the request.
    pub prefix: Vec<TargetId>,
}

impl Ask {
    /// An ordinary request for a route: no conversation, nothing known about it.
    #[must_use]
    pub fn new(route: &str, tiers: Vec<Tier>, limits: Limits, kind: Kind) -> Self {
        Self {
            route: route.into(),
            tiers,
            limits,
            kind,
            client_retries: 0,
            input_tokens: 0,
            conversation: None,
            fingerprint: 0,
            effect: Effect::Pure,
            may_hedge: true,
            continues: true,
            prefix: Vec::new(),
        }
    }
}

/// What it would do to send a request twice. Source: engine.md 4.10.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing but cost: an ordinary chat.
    #[default]
    Pure,
    /// Something outside: server-side tools, stored conversations, jobs.
    Effectful,
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
        /// How it relates to what was delivered before.
        how: How,
    },
    /// From now on this attempt's content goes to the client, after what it has of attempts before.
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
    /// Text arrived of which it is not certain yet that it goes on with a broken answer.
    Joining {
        /// Whose.
        attempt: AttemptId,
    },
    /// Content arrived.
    Content {
        /// Whose.
        attempt: AttemptId,
        /// What kind of content.
        flow: Flow,
        /// About how many tokens of it.
        tokens: u32,
    },
    /// The provider stores this answer, and its name is known: it can be picked up there.
    Stored {
        /// Whose.
        attempt: AttemptId,
    },
    /// The finish reason arrived; only the protocol's last event is missing.
    Finishing {
        /// Whose.
        attempt: AttemptId,
    },
    /// What the client has of the answer has changed. Until this is said, relayed content counts as
    /// text.
    Delivered(Delivered),
    /// The decoder saw the protocol's own end.
    Ended {
        /// Whose.
        attempt: AttemptId,
        /// The size of the answer; zero if not known.
        output_tokens: u32,
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
    spec: Arc<Placed>,
    /// Drawn once per call: which share of a ramp's traffic this call belongs to.
    draw: u32,
    /// Whether its tier's traffic goes elsewhere, as far as it can.
    is_spilled: bool,
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
    /// The same without another attempt beside it.
    content_by_alone: Timestamp,
    alive_at: Timestamp,
    progress: Progress,
    /// What its progress is held to.
    pace: Pace,
    /// When another target is asked as well; `None` if never.
    hedge_at: Option<Timestamp>,
    /// From when on losing a race is evidence against its target.
    late_at: Timestamp,
    /// How long to the first content, once it has come.
    first: Option<Duration>,
    why: Why,
    how: How,
    /// Whether its finish reason has come.
    is_finishing: bool,
    /// Whether nobody else could go on when it stalled.
    is_last: bool,
    /// What it has used so far.
    spent: Option<Spent>,
}

#[derive(Debug)]
enum Stage {
    /// Attempts are running: one, or two before the first content.
    Running,
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
    ask: Small,
    begun: Timestamp,
    ends: Timestamp,
    candidates: Vec<Candidate>,
    stage: Stage,
    running: Vec<Attempt>,
    commands: VecDeque<Command>,
    trail: Vec<Tried>,
    resends: u32,
    waited: Duration,
    failovers: u32,
    told: Option<AttemptId>,
    /// The candidate whose refusal is doubted.
    doubted: Option<usize>,
    /// Whether it was sent to a target that is shut, because all are.
    has_panicked: bool,
    /// What the client has.
    delivered: Delivered,
    /// An answer that broke and does not go on yet.
    broken: Option<broken::Broken>,
    /// How often it went on.
    continuations: u32,
    /// The candidate that stores the answer, and how often it was picked up there.
    stored: Option<(usize, u32)>,
}

/// What a call remembers of what was asked.
#[derive(Debug)]
struct Small {
    route: Arc<str>,
    client_retries: u32,
    input_tokens: u32,
    conversation: Option<u64>,
    fingerprint: u64,
    effect: Effect,
    may_hedge: bool,
    continues: bool,
    prefix: Vec<TargetId>,
}

/// A stale pooled connection is replaced this often within one call. Bound: each costs one write.
const RESENDS_MAX: u32 = 3;

impl Call {
    pub(crate) fn begin(fleet: &mut Fleet, id: u64, ask: &Ask, now: Timestamp) -> Self {
        fleet.budget.deposit();
        fleet.hedges.deposit();
        fleet.throttle(&ask.route).called(now);
        let mut call = Self {
            id,
            limits: ask.limits,
            kind: ask.kind,
            ask: Small {
                route: ask.route.clone(),
                client_retries: ask.client_retries,
                input_tokens: ask.input_tokens,
                conversation: ask.conversation,
                fingerprint: ask.fingerprint,
                effect: ask.effect,
                may_hedge: ask.may_hedge && ask.effect == Effect::Pure,
                continues: ask.continues,
                prefix: ask.prefix.clone(),
            },
            begun: now,
            ends: now + ask.limits.total,
            candidates: candidates(fleet, ask, now),
            stage: Stage::Over,
            running: Vec::new(),
            commands: VecDeque::new(),
            trail: Vec::new(),
            resends: 0,
            waited: Duration::ZERO,
            failovers: 0,
            told: None,
            doubted: None,
            has_panicked: false,
            delivered: Delivered::Nothing,
            broken: None,
            continuations: 0,
            stored: None,
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
            Stage::Running => {
                let limits = self.running.iter().map(|attempt| {
                    let hedge_at = attempt.hedge_at.unwrap_or(self.ends);
                    self.limit_of(attempt).0.min(hedge_at)
                });
                Some(limits.min().unwrap_or(self.ends).min(self.ends))
            }
            Stage::Waiting { until, .. } => Some((*until).min(self.ends)),
            Stage::Over => None,
        }
    }

    /// The attempts so far, in their order.
    #[must_use]
    pub fn trail(&self) -> &[Tried] {
        &self.trail
    }

    /// Who may be asked, in the order of preference.
    pub fn candidates(&self) -> impl Iterator<Item = TargetId> {
        self.candidates.iter().map(|candidate| candidate.target)
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
            Input::Content { attempt, flow, tokens } => {
                if let Some(running) = self.running(attempt) {
                    running.progress.content(flow, tokens, &running.pace, now);
                }
                self.content(fleet, attempt, now);
            }
            Input::Joining { attempt } => self.joining(attempt, now),
            Input::Finishing { attempt } => {
                if let Some(running) = self.running(attempt) {
                    running.is_finishing = true;
                    running.alive_at = now;
                }
            }
            Input::Stored { attempt } => self.stored_by(attempt),
            Input::Delivered(delivered) => self.delivers(delivered),
            Input::Ended { attempt, output_tokens } => {
                self.ended(fleet, attempt, output_tokens, now);
            }
            Input::Failed { attempt, cause } => {
                if self.running(attempt).is_some() {
                    self.failed(fleet, attempt, cause, now);
                }
            }
            Input::Tick => self.tick(fleet, now),
            Input::ClientGone => self.client_gone(fleet, now),
        }
    }

    /// What a running attempt has used so far: said before whatever may end it, for who watches.
    pub fn spends(&mut self, attempt: AttemptId, spent: Option<Spent>) {
        if let Some(running) = self.running(attempt) {
            running.spent = spent;
        }
    }

    /// The running attempt of this name: late news of an earlier one is ignored.
    fn running(&mut self, id: AttemptId) -> Option<&mut Attempt> {
        self.running.iter_mut().find(|attempt| attempt.id == id)
    }

    fn content(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        let call = self.id;
        let Some(attempt) = self.running(id) else { return };
        attempt.alive_at = now;
        // Some hosts end each of several calls with a finish reason.
        attempt.is_finishing &= attempt.progress.flow() != Flow::Call;
        if attempt.phase == Phase::Delivering {
            return;
        }
        attempt.phase = Phase::Delivering;
        attempt.hedge_at = None;
        let after = *attempt.first.get_or_insert(now.since(attempt.started));
        let index = attempt.candidate;
        let mut permits = attempt.permits;
        self.win_race(fleet, id, now);
        let Some(candidate) = self.candidates.get(index) else { return };
        let sample = self.sample(after, after, 0, Progress::default());
        fleet.delivered(candidate.target, &mut permits, &self.limits, &sample, now);
        let target = candidate.spec.label.clone();
        fleet.emit(Event::AttemptDelivered { call, attempt: id.0, target, after });
        if let Some(attempt) = self.running(id) {
            attempt.permits = permits;
        }
        self.continued(fleet, id, now);
        if self.delivered == Delivered::Nothing {
            self.delivered = Delivered::Text;
        }
        self.commands.push_back(Command::Relay { attempt: id });
    }

    const fn sample(
        &self,
        first: Duration,
        took: Duration,
        output_tokens: u32,
        progress: Progress,
    ) -> Sample {
        let (kind, input_tokens) = (self.kind, self.ask.input_tokens);
        Sample { kind, input_tokens, first, took, output_tokens, progress }
    }

    fn ended(&mut self, fleet: &mut Fleet, id: AttemptId, output_tokens: u32, now: Timestamp) {
        if self.running(id).is_none() {
            return;
        }
        // A whole answer has no first content of its own.
        self.content(fleet, id, now);
        let Some(attempt) = self.stop(fleet, id, AttemptResult::Answered, now) else { return };
        if let Some(candidate) = self.candidates.get(attempt.candidate) {
            let target = candidate.target;
            let took = now.since(attempt.started);
            let first = attempt.first.unwrap_or(took);
            let sample = self.sample(first, took, output_tokens, attempt.progress);
            fleet.succeeded(target, attempt.permits, &self.limits, &sample, now);
            if let Some(conversation) = self.ask.conversation {
                fleet.sit_down(conversation, target, now);
            }
        }
        self.settle_doubt(fleet, now);
        fleet.throttle(&self.ask.route).answered(now);
        self.commands.push_back(Command::Complete { attempt: id });
        let was_saved = self.trail.iter().any(|tried| tried.cause.is_some());
        let outcome = if was_saved { Outcome::Rescued } else { Outcome::Answered };
        self.end(fleet, outcome, now);
    }

    fn tick(&mut self, fleet: &mut Fleet, now: Timestamp) {
        match &self.stage {
            Stage::Running => {
                if self.finish_without_last_event(fleet, now).is_some() {
                    return;
                }
                let late = self.running.iter().find_map(|attempt| {
                    let (limit, cause) = self.limit_of(attempt);
                    let cause = if now >= limit { cause } else { self.out_of_time(attempt) };
                    (now >= limit || now >= self.ends).then_some((attempt.id, cause))
                });
                if let Some((id, FailureCause::Stalled)) = late
                    && now < self.ends
                    && self.is_left_alone(fleet, id, now)
                {
                    return;
                }
                if let Some((id, FailureCause::Silent)) = late
                    && now < self.ends
                    && self.running.len() == 1
                    && let Some(by) = self.more_time(fleet, id, now)
                {
                    if let Some(attempt) = self.running(id) {
                        attempt.content_by = by;
                    }
                } else if let Some((id, cause)) = late {
                    self.commands.push_back(Command::Cancel { attempt: id });
                    self.failed(fleet, id, cause, now);
                    // Both may be late at once.
                    if matches!(self.stage, Stage::Running) {
                        self.tick(fleet, now);
                    }
                } else {
                    self.hedge_if_due(fleet, now);
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
        while let Some(id) = self.running.first().map(|attempt| attempt.id) {
            self.drop_attempt(fleet, id, now);
        }
        self.end(fleet, Outcome::ClientGone, now);
    }

    /// Ends an attempt that nobody wants any more; nobody is blamed.
    fn drop_attempt(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        let Some(attempt) = self.stop(fleet, id, AttemptResult::Cancelled, now) else { return };
        self.commands.push_back(Command::Cancel { attempt: id });
        if let Some(candidate) = self.candidates.get(attempt.candidate) {
            fleet.censored(candidate.target, attempt.permits, now);
        }
    }

    /// When the attempt will have taken too long, and what that would mean.
    fn limit_of(&self, attempt: &Attempt) -> (Timestamp, FailureCause) {
        match attempt.phase {
            Phase::Connecting => {
                (attempt.connect_by, FailureCause::Unreachable(Unreachable::TimedOut))
            }
            Phase::Waiting => (attempt.content_by, FailureCause::Silent),
            Phase::Delivering if attempt.is_finishing => {
                (attempt.alive_at + LAST_EVENT_WAIT, FailureCause::Stalled)
            }
            Phase::Delivering => (self.progress_by(attempt), FailureCause::Stalled),
        }
    }

    /// The call's time is up. A target that had its usual time and stayed silent is to blame.
    fn out_of_time(&self, attempt: &Attempt) -> FailureCause {
        let had_its_time = self.ends.since(attempt.started) >= self.limits.first_content(self.kind);
        if attempt.phase == Phase::Waiting && had_its_time {
            FailureCause::Silent
        } else {
            FailureCause::OutOfTime
        }
    }

    /// Takes a running attempt off the stage and reports its end.
    fn stop(
        &mut self,
        fleet: &mut Fleet,
        id: AttemptId,
        result: AttemptResult,
        now: Timestamp,
    ) -> Option<Attempt> {
        let place = self.running.iter().position(|attempt| attempt.id == id)?;
        let attempt = self.running.remove(place);
        if self.running.is_empty() {
            self.stage = Stage::Over;
        }
        let candidate = self.candidates.get(attempt.candidate)?;
        fleet.emit(Event::AttemptEnded {
            call: self.id,
            attempt: attempt.id.0,
            target: candidate.spec.label.clone(),
            result,
            phase: attempt.phase,
            took: now.since(attempt.started),
            spent: attempt.spent,
        });
        Some(attempt)
    }

    fn end(&mut self, fleet: &mut Fleet, outcome: Outcome, now: Timestamp) {
        self.stage = Stage::Over;
        let attempts = u32::try_from(self.trail.len()).unwrap_or(u32::MAX);
        let took = now.since(self.begun);
        fleet.emit(Event::CallEnded { call: self.id, outcome, attempts, took });
    }
}

fn candidates(fleet: &mut Fleet, ask: &Ask, now: Timestamp) -> Vec<Candidate> {
    let count = ask.tiers.iter().map(|tier| tier.targets.len()).sum();
    let mut candidates: Vec<Candidate> = Vec::with_capacity(count);
    for (index, tier) in ask.tiers.iter().enumerate() {
        let rotates = tier.order == TierOrder::Rotate;
        let turn = if rotates { fleet.take_turn(&ask.route, index) } else { 0 };
        let mut random = fleet.random.clone();
        let target_at = |place: usize| tier.targets.get(place).map(|(target, _)| *target);
        let price = |place| target_at(place).map_or(0.0, |target| fleet.price(target, now));
        let order = choose::order(tier, turn, price, &mut random);
        let is_last = index + 1 == ask.tiers.len();
        let is_spilled = !is_last && spills(fleet, tier, now, &mut random);
        fleet.random = random;
        for target in order.into_iter().filter_map(target_at) {
            if candidates.iter().any(|candidate| candidate.target == target) {
                continue;
            }
            let Some(spec) = fleet.placed(target) else { continue };
            let draw = u32::try_from(fleet.random.below(1000)).unwrap_or_default();
            let (tries, last) = (0, None);
            candidates.push(Candidate { target, spec, draw, is_spilled, tries, last });
        }
    }
    if let Some(conversation) = ask.conversation {
        take_seat(&mut candidates, conversation, fleet, now);
    }
    candidates
}

/// A tier that has lost targets keeps the share of its traffic that the others can carry: 1.4
/// times their weight. Source: engine.md 4.6.
fn spills(fleet: &Fleet, tier: &Tier, now: Timestamp, random: &mut Random) -> bool {
    if tier.targets.len() < 2 {
        return false;
    }
    let (mut all, mut healthy) = (0_u64, 0_u64);
    for (target, weight) in &tier.targets {
        let weight = u64::from(*weight).max(1);
        all += weight;
        healthy += if fleet.is_well(*target, now) { weight } else { 0 };
    }
    let carried = healthy * 1400 / all.max(1);
    carried < 1000 && !random.chance(u32::try_from(carried).unwrap_or(1000))
}

/// A conversation stays with its target while that is well, and goes back to a preferred one only
/// when that has been steady for a while. Source: engine.md 4.6.
fn take_seat(candidates: &mut Vec<Candidate>, conversation: u64, fleet: &Fleet, now: Timestamp) {
    let Some((seat, since)) = fleet.seat(conversation) else { return };
    let Some(place) = candidates.iter().position(|candidate| candidate.target == seat) else {
        return;
    };
    let is_well = fleet.is_well(seat, now);
    let first = candidates.first().map(|candidate| candidate.target);
    let may_move = now.since(since) >= SEAT_KEPT_FOR;
    let goes_back =
        may_move && first.is_some_and(|first| fleet.is_preferred_seat(first, seat, now));
    if is_well && !goes_back {
        let candidate = candidates.remove(place);
        candidates.insert(0, Candidate { is_spilled: false, ..candidate });
    }
}

/// A conversation moves at most once in this time, unless its target is shut.
const SEAT_KEPT_FOR: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
