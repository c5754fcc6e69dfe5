//! A scenario in virtual time: real engines, pretended providers and clients.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

use unbroken_engine::breaker::Forced;
use unbroken_engine::call::{Ask, AttemptId, Call, Command, Effect, Failure, Input};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::deadline::{Kind, Limits};
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::event::{AttemptResult, CellKind, Event, Health};
use unbroken_engine::fleet::{Fleet, FleetConfig};
use unbroken_engine::peers::Board;
use unbroken_engine::random::Random;
use unbroken_engine::target::{TargetId, TargetSpec, Tier, TierOrder};
use unbroken_engine::time::Timestamp;

use super::arm::Arm;
use super::canary::Canary;
use super::invariants::{Checker, Violation};
use super::provider::{Memory, Scene, Steps, Wish, strikes, unit};
use super::script::{Act, Ailment, Script, Timed};
use super::tally::Tally;
use crate::fault::Fault;
use crate::simulator::settings;

/// After the scenario everything is well for this long, in runs that look at liveness.
const LIVENESS: Duration = Duration::from_secs(1_800);
/// Lines of the trace that a violation shows.
const TRACE_MAX: usize = 60;

/// How a scenario is played.
#[derive(Clone, Copy, Debug)]
pub struct Play {
    /// Who plays.
    pub arm: Arm,
    /// Calls per second and replica.
    pub rate: f64,
    /// Chance.
    pub seed: u64,
    /// Whether anything goes wrong at all.
    pub quiet: bool,
    /// Whether the invariants are held.
    pub checked: bool,
    /// Whether the end is looked at, too: everything heals.
    pub liveness: bool,
    /// A bug that is planted, to prove that it is seen.
    pub canary: Option<Canary>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Played {
    /// The numbers.
    pub tally: Tally,
    /// The same for the same inputs.
    pub hash: u64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive { replica: usize },
    Tell { call: u32, input: Input },
    Tick { call: u32 },
    Leave { call: u32 },
    Second,
    HealthResult { replica: usize, target: usize, health: Health },
    Probed { replica: usize, target: usize, cause: Option<FailureCause> },
    Act { place: usize },
}

/// A step and when it is due; equal times in the order of their making.
type Due = Reverse<(u64, u64, StepBox)>;

/// Steps are not compared: the number before them is unique.
#[derive(Clone, Copy, Debug)]
struct StepBox(Step);

impl PartialEq for StepBox {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}
impl Eq for StepBox {}
impl PartialOrd for StepBox {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for StepBox {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

struct Replica {
    fleet: Fleet,
    ids: Vec<TargetId>,
    specs: Vec<TargetSpec>,
    board: Board,
    version: u64,
    arrivals: Random,
    arrived: u64,
}

/// One call of the laboratory.
pub(super) struct Live {
    pub(super) call: Call,
    pub(super) replica: usize,
    pub(super) begun: Timestamp,
    pub(super) ends: Timestamp,
    pub(super) wish: Wish,
    pub(super) route: usize,
    pub(super) starts: Vec<Started>,
    pub(super) relayed: Option<AttemptId>,
    pub(super) ended: Vec<AttemptId>,
    pub(super) terminals: u32,
    tick_at: u64,
}

/// One attempt of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Started {
    pub(super) target: usize,
    pub(super) cause: Option<FailureCause>,
    pub(super) is_over: bool,
}

/// The laboratory while it plays.
pub(super) struct World<'a> {
    pub(super) script: &'a Script,
    pub(super) play: Play,
    pub(super) config: FleetConfig,
    limits: Limits,
    pub(super) now: Timestamp,
    frozen_until: Timestamp,
    queue: BinaryHeap<Due>,
    sequence: u64,
    replicas: Vec<Replica>,
    calls: Vec<Option<Box<Live>>>,
    memories: Vec<Memory>,
    removed: Vec<bool>,
    store_is_up: bool,
    pub(super) tally: Tally,
    pub(super) checker: Checker,
    detected: bool,
    recovered: bool,
    window: (Duration, Duration),
    hours: Vec<(u64, u64)>,
    hash: u64,
    pub(super) trace: VecDeque<String>,
}

/// Plays a scenario once.
///
/// # Errors
/// The invariant that did not hold, with the last things that happened.
pub fn run(script: &Script, play: Play) -> Result<Played, Violation> {
    let mut world = World::new(script, play)?;
    world.run()?;
    let hash = world.hash;
    Ok(Played { tally: world.tally, hash })
}

impl<'a> World<'a> {
    fn new(script: &'a Script, play: Play) -> Result<Self, Violation> {
        let settings = settings::read(&script.settings);
        let (mut config, mut limits) =
            settings.map_err(|what| Violation::of("settings", what, Timestamp::ZERO))?;
        play.arm.configure(&mut config, &mut limits);
        let mut planted = config;
        if let Some(canary) = play.canary {
            canary.configure(&mut planted);
        }
        let replicas =
            (0..script.replicas).map(|number| Replica::new(script, planted, play, number));
        let window = if play.quiet { (script.length, script.length) } else { script.window() };
        let hours = script.length.as_secs().div_ceil(3600) as usize;
        Ok(Self {
            script,
            play,
            config,
            limits,
            now: Timestamp::ZERO,
            frozen_until: Timestamp::ZERO,
            queue: BinaryHeap::new(),
            sequence: 0,
            replicas: replicas.collect(),
            calls: Vec::new(),
            memories: vec![Memory::default(); script.targets.len()],
            removed: vec![false; script.targets.len()],
            store_is_up: true,
            tally: Tally { runs: 1, worst_hour: 1.0, ..Tally::default() },
            checker: Checker::new(script),
            detected: false,
            recovered: false,
            window,
            hours: vec![(0, 0); hours + 1],
            hash: 0xcbf2_9ce4_8422_2325,
            trace: VecDeque::new(),
        })
    }

    fn run(&mut self) -> Result<(), Violation> {
        for replica in 0..self.replicas.len() {
            self.next_arrival(replica);
        }
        self.at(Timestamp::ZERO, Step::Second);
        if !self.play.quiet {
            for place in 0..self.script.actions.len() {
                let at = self.script.actions.get(place).map(|action| action.at);
                self.at(Timestamp::ZERO + at.unwrap_or_default(), Step::Act { place });
            }
        }
        while let Some(Reverse((at, _, step))) = self.queue.pop() {
            self.now = Timestamp::from_nanos(at).max(self.frozen_until);
            self.take(step.0)?;
            self.collect_events()?;
            self.check()?;
        }
        self.finish()
    }

    fn at(&mut self, when: Timestamp, step: Step) {
        self.sequence += 1;
        self.queue.push(Reverse((when.as_nanos(), self.sequence, StepBox(step))));
    }

    fn since_start(&self) -> Duration {
        self.now.since(Timestamp::ZERO)
    }

    fn end_of_calls(&self) -> Duration {
        self.script.length + if self.play.liveness { LIVENESS } else { Duration::ZERO }
    }

    fn next_arrival(&mut self, number: usize) {
        let (from, until, factor) = self.script.load.burst;
        let now_s = self.since_start().as_secs_f64();
        let is_burst = !self.play.quiet && (from..until).contains(&now_s);
        let is_over = self.since_start() >= self.script.length;
        let rate = if is_over { 0.2 } else { self.play.rate };
        let rate = rate * if is_burst { factor } else { 1.0 };
        let Some(replica) = self.replicas.get_mut(number) else { return };
        let gap = -libm::log(unit(&mut replica.arrivals).max(1e-12)) / rate;
        let next = self.now + Duration::from_secs_f64(gap);
        if next.since(Timestamp::ZERO) < self.end_of_calls() {
            self.at(next, Step::Arrive { replica: number });
        }
    }

    fn take(&mut self, step: Step) -> Result<(), Violation> {
        match step {
            Step::Arrive { replica } => {
                self.next_arrival(replica);
                self.arrive(replica)
            }
            Step::Tell { call, input } => self.tell(call, input),
            Step::Tick { call } => self.tick(call),
            Step::Leave { call } => self.tell(call, Input::ClientGone),
            Step::Second => {
                self.second();
                Ok(())
            }
            Step::HealthResult { replica, target, health } => {
                let now = self.now;
                if let Some(replica) = self.replicas.get_mut(replica)
                    && let Some(spec) = replica.specs.get(target)
                {
                    let endpoint = spec.endpoint.clone();
                    replica.fleet.health_checked(&endpoint, health, now);
                }
                Ok(())
            }
            Step::Probed { replica, target, cause } => {
                let now = self.now;
                if let Some(replica) = self.replicas.get_mut(replica)
                    && let Some(id) = replica.ids.get(target)
                {
                    replica.fleet.probed(*id, Some(cause.map_or(Ok(()), Err)), now);
                }
                Ok(())
            }
            Step::Act { place } => self.act(place),
        }
    }

    fn tick(&mut self, call: u32) -> Result<(), Violation> {
        let Some(Some(live)) = self.calls.get_mut(call as usize) else { return Ok(()) };
        live.tick_at = u64::MAX;
        match live.call.deadline() {
            Some(at) if at <= self.now => self.tell(call, Input::Tick),
            Some(_) | None => {
                self.schedule_tick(call);
                Ok(())
            }
        }
    }

    fn schedule_tick(&mut self, call: u32) {
        let now = self.now;
        let Some(Some(live)) = self.calls.get_mut(call as usize) else { return };
        let Some(deadline) = live.call.deadline() else { return };
        let at = deadline.max(now).as_nanos();
        if at < live.tick_at {
            live.tick_at = at;
            self.at(Timestamp::from_nanos(at), Step::Tick { call });
        }
    }

    fn arrive(&mut self, number: usize) -> Result<(), Violation> {
        let at_s = self.since_start().as_secs_f64();
        let Some(replica) = self.replicas.get_mut(number) else { return Ok(()) };
        replica.arrived += 1;
        let seed = mix(self.play.seed, number as u64, replica.arrived);
        let load = &self.script.load;
        let wish = Wish::draw(load, seed, at_s);
        let routes = load.routes.len().max(1);
        let route = ((wish.draw * routes as f64) as usize).min(routes - 1);
        let tiers = self.tiers(number, route);
        let kind = match (wish.whole, wish.reasoning) {
            (true, _) => Kind::Whole,
            (false, true) => Kind::ReasoningStream,
            (false, false) => Kind::Stream,
        };
        let mut limits = self.limits;
        if self.play.canary == Some(Canary::TooLong) {
            limits.total *= 2;
        }
        let ask = Ask {
            input_tokens: wish.input_tokens,
            conversation: wish.conversation.filter(|_| self.play.canary != Some(Canary::Wanders)),
            fingerprint: seed,
            effect: if wish.effectful && self.play.canary != Some(Canary::EffectsTwice) {
                Effect::Effectful
            } else {
                Effect::Pure
            },
            ..Ask::new("chat", tiers, limits, kind)
        };
        let now = self.now;
        let Some(replica) = self.replicas.get_mut(number) else { return Ok(()) };
        let call = replica.fleet.begin(&ask, now);
        self.checker.begun(&wish);
        let index = self.calls.len() as u32;
        self.calls.push(Some(Box::new(Live {
            call,
            replica: number,
            begun: now,
            ends: now + self.limits.total,
            wish,
            route,
            starts: Vec::new(),
            relayed: None,
            ended: Vec::new(),
            terminals: 0,
            tick_at: u64::MAX,
        })));
        if let Some(after) = wish.leaves_after {
            self.at(now + after, Step::Leave { call: index });
        }
        self.perform(index)
    }

    /// The tiers of a route, from the targets that are configured now.
    fn tiers(&self, number: usize, route: usize) -> Vec<Tier> {
        let name = self.script.load.routes.get(route);
        let now = self.since_start();
        let Some(replica) = self.replicas.get(number) else { return Vec::new() };
        let mut tiers: Vec<(u32, Tier)> = Vec::new();
        for (place, target) in self.script.targets.iter().enumerate() {
            let is_on_route = target.route.as_ref().is_none_or(|route| Some(route) == name);
            let is_there = now >= Duration::from_secs(target.from_s);
            if !is_on_route || !is_there || self.removed.get(place) == Some(&true) {
                continue;
            }
            let Some(id) = replica.ids.get(place) else { continue };
            let rank = target.tier.unwrap_or(100 + place as u32);
            match tiers.iter_mut().find(|(number, _)| *number == rank) {
                Some((_, tier)) => tier.targets.push((*id, 1)),
                None => {
                    let targets = vec![(*id, 1)];
                    tiers.push((rank, Tier { targets, order: TierOrder::Balanced }));
                }
            }
        }
        tiers.sort_by_key(|(rank, _)| *rank);
        if self.play.arm == Arm::Oracle {
            // Stable: among the well ones the order stays.
            tiers.sort_by_key(|(_, tier)| {
                tier.targets.iter().any(|(id, _)| {
                    replica.ids.iter().position(|known| known == id).is_some_and(|t| self.is_ill(t))
                })
            });
        }
        let mut tiers: Vec<Tier> = tiers.into_iter().map(|(_, tier)| tier).collect();
        if self.play.arm == Arm::NoFailover {
            tiers.truncate(1);
        }
        tiers
    }

    /// Whether anything is wrong with a target now.
    fn is_ill(&self, target: usize) -> bool {
        !self.play.quiet
            && self.script.ailments.iter().any(|timed| {
                self.concerns(timed, target) && strikes(timed, self.since_start(), 0, 0.0)
            })
    }

    fn concerns(&self, timed: &Timed, target: usize) -> bool {
        let name = self.script.targets.get(target).map(|target| &target.name);
        name.is_some_and(|name| timed.targets.contains(name))
    }

    fn tell(&mut self, index: u32, input: Input) -> Result<(), Violation> {
        let now = self.now;
        let Some(Some(live)) = self.calls.get_mut(index as usize) else { return Ok(()) };
        if self.play.canary == Some(Canary::Leak) && matches!(input, Input::ClientGone) {
            // The call is forgotten, and its engine never hears of it.
            drop(self.calls.get_mut(index as usize).and_then(Option::take));
            return Ok(());
        }
        let Some(replica) = self.replicas.get_mut(live.replica) else { return Ok(()) };
        match input {
            Input::Ended { attempt, .. } => live.ended.push(attempt),
            Input::Failed { attempt, cause } => {
                if let Some(started) = started(&mut live.starts, attempt) {
                    started.cause = Some(cause);
                    started.is_over = true;
                }
                if matches!(cause, FailureCause::RateLimited { .. }) {
                    self.tally.limited += 1;
                }
            }
            _ => {}
        }
        let before = self
            .play
            .checked
            .then(|| self.checker.before(live, &input, &replica.fleet, &replica.ids, now));
        let is_late_news = live.call.is_over();
        let told = match self.play.canary {
            Some(canary) => canary.twist(input, first_running(live)),
            None => input,
        };
        live.call.handle(&mut replica.fleet, told, now);
        if let Some(before) = before {
            let (fleet, ids) = (&replica.fleet, &replica.ids);
            self.checker.after(before, &input, fleet, ids, now, is_late_news)?;
        }
        self.perform(index)
    }

    /// Does what the call says.
    fn perform(&mut self, index: u32) -> Result<(), Violation> {
        loop {
            let Some(Some(live)) = self.calls.get_mut(index as usize) else { return Ok(()) };
            let Some(command) = live.call.next_command() else { break };
            let command = match (self.play.canary, command) {
                (Some(canary), Command::Start { attempt, .. }) if canary.redirects() => {
                    let replica = self.replicas.get(live.replica);
                    let first = replica.and_then(|replica| replica.ids.first());
                    let Some(target) = first.copied() else { return Ok(()) };
                    Command::Start { attempt, target }
                }
                (Some(canary), command) => match canary.distort(command, live) {
                    Some(command) => command,
                    None => continue,
                },
                (None, command) => command,
            };
            self.hash_in(&command, index);
            let Some(Some(live)) = self.calls.get_mut(index as usize) else { return Ok(()) };
            if self.play.checked {
                let Some(replica) = self.replicas.get(live.replica) else { return Ok(()) };
                let ids = &replica.ids;
                self.checker.command(
                    live,
                    &command,
                    &replica.fleet,
                    ids,
                    &self.config,
                    self.now,
                )?;
            }
            match command {
                Command::Start { attempt, target } => self.start(index, attempt, target),
                Command::Relay { attempt } => {
                    live.relayed = Some(attempt);
                    let (begun, wish) = (live.begun, live.wish);
                    self.relayed(begun, &wish);
                }
                Command::Cancel { attempt } => {
                    if let Some(started) = started(&mut live.starts, attempt) {
                        started.is_over = true;
                    }
                }
                Command::Complete { attempt } => {
                    if let Some(started) = started(&mut live.starts, attempt) {
                        started.is_over = true;
                    }
                    live.terminals += 1;
                    live.terminals += u32::from(self.play.canary == Some(Canary::EndsTwice));
                    self.ended(index, None);
                }
                Command::Fail(failure) => {
                    live.terminals += 1;
                    self.ended(index, Some(failure));
                }
            }
        }
        let Some(slot) = self.calls.get_mut(index as usize) else { return Ok(()) };
        if let Some(live) = slot
            && live.call.is_over()
        {
            if self.play.checked {
                self.checker.over(live, self.now)?;
            }
            *slot = None;
            return Ok(());
        }
        if self.play.checked
            && let Some(live) = slot
        {
            self.checker.waits(live, self.now)?;
        }
        self.schedule_tick(index);
        Ok(())
    }

    fn start(&mut self, index: u32, attempt: AttemptId, target: TargetId) {
        let now_s = self.since_start().as_secs_f64();
        let Some(Some(live)) = self.calls.get(index as usize) else { return };
        let (wish, number) = (live.wish, live.replica);
        let is_first = live.starts.is_empty();
        let begun = live.begun.since(Timestamp::ZERO);
        let Some(replica) = self.replicas.get(number) else { return };
        let Some(place) = replica.ids.iter().position(|id| *id == target) else { return };
        let report = replica.fleet.report_of(target, self.now);
        let is_probe = report.is_some_and(|report| report.state == "half_open");
        self.share(place);
        let (struck, steps) = self.play_attempt(place, &wish, attempt, number, now_s);
        let Some(Some(live)) = self.calls.get_mut(index as usize) else { return };
        live.starts.push(Started { target: place, cause: None, is_over: false });
        self.tally.attempts += 1;
        if wish.bad {
            self.tally.bad_attempts += 1;
        }
        let is_window = !self.play.quiet
            && (self.window.0..self.window.1.min(self.script.length)).contains(&begun);
        if is_window && !wish.bad {
            self.tally.window_attempts += 1;
            self.tally.window_ailing += u64::from(struck);
            self.tally.victims += u64::from(is_first && struck && !is_probe);
            self.tally.probes += u64::from(is_probe);
        }
        for (after, input) in steps {
            self.at(self.now + after, Step::Tell { call: index, input });
        }
    }

    fn play_attempt(
        &mut self,
        place: usize,
        wish: &Wish,
        attempt: AttemptId,
        replica: usize,
        now_s: f64,
    ) -> (bool, Steps) {
        let mut random = Random::seeded(mix(wish.seed, place as u64, u64::from(attempt.0)));
        let draw = unit(&mut random);
        let now = self.since_start();
        let script = self.script;
        let ailing = script.ailments.iter().rev().find(|timed| {
            !self.play.quiet && self.concerns(timed, place) && strikes(timed, now, replica, draw)
        });
        let median = script.targets.get(place).map_or(800, |target| target.median_ms);
        let load = &script.load;
        let Some(memory) = self.memories.get_mut(place) else { return (false, Vec::new()) };
        memory.came(now_s);
        let median_s = median as f64 / 1000.0;
        Scene { load, wish, now_s, median_s, attempt, random, memory }.play(ailing)
    }

    /// Keeps count of who gets which share of the attempts.
    fn share(&mut self, place: usize) {
        for (number, memory) in self.memories.iter_mut().enumerate() {
            let hit = if number == place { 1.0 } else { 0.0 };
            memory.share += (hit - memory.share) / 20.0;
        }
    }

    fn relayed(&mut self, begun: Timestamp, wish: &Wish) {
        let at = begun.since(Timestamp::ZERO);
        let is_window =
            if self.play.quiet { true } else { (self.window.0..self.window.1).contains(&at) };
        if is_window && !wish.whole && !wish.reasoning {
            self.tally.first.add(self.now.since(begun).as_secs_f64() * 1000.0);
        }
    }

    fn ended(&mut self, index: u32, failure: Option<Failure>) {
        let Some(Some(live)) = self.calls.get(index as usize) else { return };
        let begun = live.begun.since(Timestamp::ZERO);
        if begun >= self.script.length {
            return;
        }
        if live.wish.bad {
            self.tally.bad_calls += 1;
            return;
        }
        let is_window = !self.play.quiet && (self.window.0..self.window.1).contains(&begun);
        let tally = &mut self.tally;
        tally.calls += 1;
        tally.call_attempts += live.starts.len() as u64;
        tally.window_calls += u64::from(is_window);
        let answered = failure.is_none();
        tally.answered += u64::from(answered);
        tally.broken += u64::from(matches!(failure, Some(Failure::Broken { .. })));
        if !answered {
            tally.error_after.add(self.now.since(live.begun).as_secs_f64() * 1000.0);
        }
        if let Some((calls, good)) = self.hours.get_mut((begun.as_secs() / 3600) as usize) {
            *calls += 1;
            *good += u64::from(answered);
        }
        if self.script.load.routes.len() > 1 && live.route + 1 == self.script.load.routes.len() {
            tally.last_route += 1;
            let is_moved = live.starts.len() > 1
                || live.starts.first().is_some_and(|first| {
                    let route = self.script.load.routes.get(live.route);
                    let targets = self.script.targets.iter();
                    let mut own = targets.enumerate().filter(|(_, t)| t.route.as_ref() == route);
                    own.next().is_some_and(|(place, _)| place != first.target)
                });
            tally.moved += u64::from(is_moved);
        }
    }

    /// What happens every second: health checks, probes, replicas, and a look at the primary.
    fn second(&mut self) {
        for number in 0..self.replicas.len() {
            self.check_health(number);
            self.probe(number);
        }
        let second = self.since_start().as_secs();
        if self.script.sharing && second % 2 == 0 && self.store_is_up {
            self.share_hints();
        }
        self.look_at_primary();
        if self.since_start() < self.end_of_calls() + Duration::from_secs(120) {
            self.at(self.now + Duration::from_secs(1), Step::Second);
        }
    }

    fn check_health(&mut self, number: usize) {
        let now = self.now;
        loop {
            let Some(replica) = self.replicas.get_mut(number) else { return };
            let Ok(endpoint) = replica.fleet.next_health_check(now) else { return };
            let target = replica.specs.iter().position(|spec| spec.endpoint == endpoint);
            let Some(target) = target else { return };
            let is_gone = !self.play.quiet
                && self.script.ailments.iter().any(|timed| {
                    self.concerns(timed, target)
                        && strikes(timed, self.since_start(), number, 0.5)
                        && matches!(
                            timed.ailment,
                            Ailment::Fault(
                                Fault::Refuse
                                    | Fault::BlackHole
                                    | Fault::DnsFailure
                                    | Fault::DnsStall { .. }
                                    | Fault::TlsFailure
                                    | Fault::Reset
                            )
                        )
                });
            let health = if is_gone { Health::Ill } else { Health::Well };
            let wait = if is_gone { self.config.health.timeout } else { Duration::from_millis(50) };
            self.at(now + wait, Step::HealthResult { replica: number, target, health });
        }
    }

    fn probe(&mut self, number: usize) {
        let now = self.now;
        for _ in 0..self.script.targets.len() {
            let Some(replica) = self.replicas.get_mut(number) else { return };
            let Ok(id) = replica.fleet.next_synthetic(now) else { return };
            let Some(target) = replica.ids.iter().position(|known| *known == id) else { return };
            self.tally.synthetic += 1;
            let wish = Wish {
                output_tokens: 1,
                input_tokens: 20,
                ..Wish::draw(&self.script.load, mix(self.play.seed, now.as_nanos(), 7), 0.0)
            };
            let wish = Wish { whole: false, reasoning: false, bad: false, ..wish };
            let now_s = self.since_start().as_secs_f64();
            let (_, steps) = self.play_attempt(target, &wish, AttemptId(1), number, now_s);
            let verdict = steps.iter().find_map(|(at, input)| match input {
                Input::Content { .. } | Input::Ended { .. } => Some((*at, None)),
                Input::Failed { cause, .. } => Some((*at, Some(*cause))),
                _ => None,
            });
            let limit = self.limits.first_token;
            let (at, cause) = verdict
                .filter(|(at, _)| *at < limit)
                .unwrap_or((limit, Some(FailureCause::Silent)));
            self.at(now + at, Step::Probed { replica: number, target, cause });
        }
    }

    fn share_hints(&mut self) {
        let now = self.now;
        let mut all = Vec::new();
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            replica.version += 1;
            for hint in replica.fleet.hints(number as u64, replica.version, now) {
                if !replica.board.is_contradicted(&hint, now) {
                    all.push(hint);
                }
            }
        }
        for (number, replica) in self.replicas.iter_mut().enumerate() {
            for hint in &all {
                replica.board.hear(hint.clone(), Duration::ZERO, now);
            }
            replica.board.forget_stale(now);
            let board = std::mem::take(&mut replica.board);
            replica.fleet.hear(&board, number as u64, now);
            replica.board = board;
        }
    }

    fn look_at_primary(&mut self) {
        let (now, until) = (self.now, self.window.1);
        if self.recovered || self.play.quiet || self.since_start() < until {
            return;
        }
        let Some(replica) = self.replicas.first() else { return };
        // The most preferred one that was ill.
        let is_ailing = |(_, target): &(usize, &super::script::TargetScript)| {
            self.script.ailments.iter().any(|timed| timed.targets.contains(&target.name))
        };
        let primary = self.script.targets.iter().enumerate().find(is_ailing);
        let is_back = primary.is_none_or(|(place, _)| {
            let report = replica.ids.get(place).and_then(|id| replica.fleet.report_of(*id, now));
            report.is_some_and(|report| {
                let is_used = matches!(report.state, "closed" | "forced_closed");
                is_used && report.refusal.is_none() && !report.is_degraded
            })
        });
        let after = self.since_start().saturating_sub(until).as_secs_f64();
        if is_back || self.since_start() >= self.script.length {
            self.recovered = true;
            self.tally.recover_s.push(after);
        }
    }

    fn act(&mut self, place: usize) -> Result<(), Violation> {
        let Some(action) = self.script.actions.get(place) else { return Ok(()) };
        let now = self.now;
        let before: Vec<_> = self.deadlines();
        match &action.what {
            Act::Reload => {
                for replica in &mut self.replicas {
                    replica.fleet.reconfigure(self.config);
                }
            }
            Act::ReloadOther => {
                self.config.breaker.detector = DetectorConfig::sequential(5_000);
                self.limits.first_token = Duration::from_secs(12);
                for replica in &mut self.replicas {
                    replica.fleet.reconfigure(self.config);
                }
            }
            Act::Remove { target } => {
                let gone = self.script.targets.iter().position(|known| known.name == *target);
                if let Some(removed) = gone.and_then(|gone| self.removed.get_mut(gone)) {
                    *removed = true;
                }
                for replica in &mut self.replicas {
                    let kept: Vec<TargetSpec> = replica
                        .specs
                        .iter()
                        .enumerate()
                        .filter(|(place, _)| self.removed.get(*place) != Some(&true))
                        .map(|(_, spec)| spec.clone())
                        .collect();
                    replica.fleet.keep_only(&kept, now);
                }
            }
            Act::Store { up } => self.store_is_up = *up,
            Act::Pause { ms } => self.frozen_until = now + Duration::from_millis(*ms),
            Act::Force { target, how } => {
                let forced = match how.as_str() {
                    "open" => Some(Forced::Open),
                    "closed" => Some(Forced::Closed),
                    "drain" => Some(Forced::Drain),
                    _ => None,
                };
                for replica in &mut self.replicas {
                    // A name that is not there is the scenario's mistake, seen by its pass line.
                    let _ = replica.fleet.force(target, forced, now);
                }
            }
        }
        if self.play.canary == Some(Canary::ReloadChangesCalls)
            && let Some(live) = self.calls.iter_mut().rev().flatten().next()
            && let Some(replica) = self.replicas.get_mut(live.replica)
        {
            live.call.handle(&mut replica.fleet, Input::ClientGone, now);
        }
        if !self.play.checked {
            return Ok(());
        }
        self.checker.reloaded(&before, &self.deadlines(), now)
    }

    /// The deadlines of all calls under way: what a reload must not change.
    fn deadlines(&self) -> Vec<Option<Timestamp>> {
        self.calls.iter().rev().take(2_000).flatten().map(|live| live.call.deadline()).collect()
    }

    /// Takes in what the engines say about themselves.
    fn collect_events(&mut self) -> Result<(), Violation> {
        for number in 0..self.replicas.len() {
            loop {
                let Some(replica) = self.replicas.get_mut(number) else { break };
                let Some(event) = replica.fleet.next_event() else { break };
                self.notice(number, &event);
                if self.play.checked {
                    self.checker.event(number, &event, self.now, self.play.canary)?;
                }
            }
        }
        Ok(())
    }

    fn notice(&mut self, number: usize, event: &Event) {
        let is_ailing = |name: &str| {
            self.script
                .ailments
                .iter()
                .any(|timed| timed.targets.iter().any(|target| target == name))
        };
        let now = self.since_start();
        let is_on = !self.play.quiet && now >= self.window.0;
        let keeps_off = match event {
            Event::BreakerChanged { cell: CellKind::Serving, name, change, .. } => {
                let is_trip = change.to == "open" && change.from == "closed";
                if is_trip {
                    self.tally.trips += 1;
                    let is_quiet = self.play.quiet || now < self.window.0;
                    self.tally.false_trips += u64::from(is_quiet);
                }
                is_trip && is_ailing(name)
            }
            Event::BreakerChanged { change, .. } => change.to == "open",
            Event::CellBlocked { .. } => true,
            Event::SlownessChanged { name, is_degraded } => *is_degraded && is_ailing(name),
            Event::AttemptStarted { why, .. } => {
                self.tally.hedges += u64::from(why.name() == "hedge");
                false
            }
            _ => false,
        };
        if keeps_off && is_on && !self.detected && number == 0 {
            self.detected = true;
            self.tally.detect_calls.push(self.tally.window_calls as f64);
            let length = self.window.1.saturating_sub(self.window.0).as_secs_f64();
            let since = now.saturating_sub(self.window.0).as_secs_f64();
            self.tally.detect_share.push(since / length.max(1e-9));
        }
        if self.play.checked && self.play.canary.is_none() {
            self.note(number, event);
        }
    }

    fn note(&mut self, number: usize, event: &Event) {
        let is_dull = matches!(
            event,
            Event::AttemptEnded { result: AttemptResult::Answered, .. }
                | Event::HealthChecked { .. }
        );
        if is_dull {
            return;
        }
        if self.trace.len() >= TRACE_MAX {
            self.trace.pop_front();
        }
        // Formatted only when it is shown would be cheaper; a run with checks is not timed.
        let at = self.now.since(Timestamp::ZERO).as_secs_f64();
        self.trace.push_back(format!("{at:>10.3} s  replica {number}  {event:?}"));
    }

    fn hash_in(&mut self, command: &Command, call: u32) {
        let word = match command {
            Command::Start { attempt, .. } => 1 + u64::from(attempt.0),
            Command::Relay { attempt } => 100 + u64::from(attempt.0),
            Command::Cancel { attempt } => 200 + u64::from(attempt.0),
            Command::Complete { attempt } => 300 + u64::from(attempt.0),
            Command::Fail(_) => 400,
        };
        for part in [word, u64::from(call), self.now.as_nanos()] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The invariants of everything, now.
    fn check(&mut self) -> Result<(), Violation> {
        if !self.play.checked {
            return Ok(());
        }
        let mut under_way = vec![0_u32; self.script.targets.len()];
        let wants_counts = self.checker.wants_counts();
        for (number, replica) in self.replicas.iter().enumerate() {
            if wants_counts {
                under_way.fill(0);
                let lives = self.calls.iter().rev().take(5_000).flatten();
                for live in lives.filter(|live| live.replica == number) {
                    for started in live.starts.iter().filter(|started| !started.is_over) {
                        let specs = &replica.specs;
                        let own = specs.get(started.target).map(|s| (&s.endpoint, &s.model));
                        for (place, count) in under_way.iter_mut().enumerate() {
                            let other = specs.get(place).map(|s| (&s.endpoint, &s.model));
                            *count += u32::from(own == other);
                        }
                    }
                }
            }
            let counts = wants_counts.then_some(under_way.as_slice());
            let (fleet, ids) = (&replica.fleet, &replica.ids);
            let canary = self.play.canary;
            self.checker.fleet(number, fleet, ids, counts, &self.config, self.now, canary)?;
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Violation> {
        let hours = self.hours.iter().filter(|(calls, _)| *calls > 0);
        let worst = hours.map(|(calls, good)| *good as f64 / *calls as f64);
        self.tally.worst_hour = worst.fold(1.0, f64::min);
        self.tally.quiet_hours = self.window.0.min(self.script.length).as_secs_f64() / 3600.0
            * self.replicas.len() as f64;
        if !self.play.checked {
            return Ok(());
        }
        let open = self.calls.iter().flatten().count();
        self.checker.at_the_end(open, self.now)?;
        if self.play.liveness && self.heals() {
            for replica in &self.replicas {
                self.checker.alive(&replica.fleet, &replica.ids, self.now)?;
            }
        }
        Ok(())
    }

    /// Whether everything that goes wrong ends, and nothing was forced or taken out.
    fn heals(&self) -> bool {
        let ends = self.script.ailments.iter().all(|timed| timed.until < self.script.length);
        ends && self
            .script
            .actions
            .iter()
            .all(|action| !matches!(action.what, Act::Remove { .. } | Act::Force { .. }))
    }
}

impl Replica {
    fn new(script: &Script, config: FleetConfig, play: Play, number: usize) -> Self {
        let mut fleet = Fleet::new(config, mix(play.seed, 1_000 + number as u64, 0));
        let spec = |target: &super::script::TargetScript| TargetSpec {
            label: target.name.as_str().into(),
            endpoint: target.endpoint.as_deref().unwrap_or(&target.name).into(),
            model: target.model.as_deref().unwrap_or(&target.name).into(),
            key: target.key.as_deref().unwrap_or(&target.name).into(),
        };
        let specs: Vec<TargetSpec> = script.targets.iter().map(spec).collect();
        let ids = specs.iter().map(|spec| fleet.target(spec, Timestamp::ZERO)).collect();
        let arrivals = Random::seeded(mix(play.seed, 2_000 + number as u64, 0));
        Self { fleet, ids, specs, board: Board::default(), version: 0, arrivals, arrived: 0 }
    }
}

fn first_running(live: &Live) -> Option<AttemptId> {
    let place = live.starts.iter().position(|started| !started.is_over)?;
    Some(AttemptId(place as u32 + 1))
}

pub(super) fn started(starts: &mut [Started], attempt: AttemptId) -> Option<&mut Started> {
    starts.get_mut((attempt.0 as usize).checked_sub(1)?)
}

/// One number from three.
fn mix(one: u64, two: u64, three: u64) -> u64 {
    let mut random = Random::seeded(one ^ two.rotate_left(24) ^ three.rotate_left(48));
    random.next_u64()
}
