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

mod ailments;
mod arrivals;
mod notes;
mod operator;
mod second;

use super::arm::Arm;
use super::canary::Canary;
use super::invariants::{Checker, LAST_LOOK, Violation};
use super::provider::{Memory, Scene, Steps, Wish, unit};
use super::script::{Act, Ailment, Script, TargetScript};
use super::tally::Tally;
use crate::fault::Fault;
use crate::simulator::settings;
use ailments::Ailments;

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
    /// Whether a call without an answer is a violation, too: to look at it.
    pub strict: bool,
    /// So many calls at the beginning are not made: what a violation does not need.
    pub skip: u64,
}

impl Play {
    /// The engine plays, everything is held and looked at.
    #[must_use]
    pub const fn of(rate: f64, seed: u64) -> Self {
        let (arm, canary) = (Arm::Engine, None);
        let (quiet, checked, liveness, strict) = (false, true, false, false);
        Self { arm, rate, seed, quiet, checked, liveness, canary, strict, skip: 0 }
    }

    /// Another arm plays, or the same; nothing is held, everything is counted.
    #[must_use]
    pub const fn measured(arm: Arm, rate: f64, seed: u64) -> Self {
        Self { arm, checked: false, ..Self::of(rate, seed) }
    }
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
    /// When its first content reached the client.
    first_at: Option<Timestamp>,
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
    /// Whether the target may have read the request.
    pub(super) was_sent: bool,
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
    ailments: Ailments<'a>,
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
    /// The replica that the step is about; all of them if none.
    touched: Option<usize>,
    trace: VecDeque<(Timestamp, usize, Event)>,
}

/// Plays a scenario once.
///
/// # Errors
/// The invariant that did not hold, with the last things that happened.
pub fn run(script: &Script, play: Play) -> Result<Played, Violation> {
    let script = script.at_seed(play.seed);
    let mut world = World::new(&script, play)?;
    if let Err(mut violation) = world.run() {
        violation.trace = world.told();
        return Err(violation);
    }
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
            canary.configure(&mut planted, script);
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
            ailments: Ailments::new(script, play.quiet),
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
            touched: None,
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
            self.ailments.pass_time(self.since_start());
            self.touched = self.replica_of(step.0);
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

    fn replica_of(&self, step: Step) -> Option<usize> {
        match step {
            Step::Tell { call, .. } | Step::Tick { call } | Step::Leave { call } => {
                let live = self.calls.get(call as usize).and_then(Option::as_ref);
                // News of a call that is over concerns nobody.
                Some(live.map_or(usize::MAX, |live| live.replica))
            }
            Step::Arrive { replica }
            | Step::HealthResult { replica, .. }
            | Step::Probed { replica, .. } => Some(replica),
            Step::Second | Step::Act { .. } => None,
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
            let late = self.lateness(at ^ u64::from(call));
            self.at(Timestamp::from_nanos(at) + late, Step::Tick { call });
        }
    }

    /// How late news or an alarm comes, in scripts that want it so: up to 50 ms.
    fn lateness(&self, seed: u64) -> Duration {
        if !self.script.is_shuffled {
            return Duration::ZERO;
        }
        Random::seeded(mix(self.play.seed, seed, 3)).up_to(Duration::from_millis(50))
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
            Input::Connected { attempt } => {
                if let Some(started) = started(&mut live.starts, attempt) {
                    // A connection that was given up is closed, not written to.
                    started.was_sent |= !started.is_over;
                }
            }
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
            let (fleet, canary) = (&replica.fleet, self.play.canary);
            self.checker.after(before, &input, fleet, canary, now, is_late_news)?;
        }
        self.perform(index)
    }

    /// Does what the call says.
    fn perform(&mut self, index: u32) -> Result<(), Violation> {
        loop {
            let Some(Some(live)) = self.calls.get_mut(index as usize) else { return Ok(()) };
            let Some(command) = live.call.next_command() else { break };
            let command = match self.play.canary {
                Some(canary) => match canary.distort(command, live) {
                    Some(command) => command,
                    None => continue,
                },
                None => command,
            };
            let replica = live.replica;
            self.hash_in(&command, index, replica);
            let Some(Some(live)) = self.calls.get_mut(index as usize) else { return Ok(()) };
            if self.play.checked {
                let Some(replica) = self.replicas.get(live.replica) else { return Ok(()) };
                let (fleet, ids, now) = (&replica.fleet, &replica.ids, self.now);
                let seen = match self.play.canary {
                    Some(canary) => canary.redirect(command.clone(), live, fleet, ids, now),
                    None => command.clone(),
                };
                self.checker.command(live, &seen, fleet, ids, &self.config, now)?;
                if let Command::Fail(failure) = &seen
                    && self.play.strict
                    && !live.wish.bad
                {
                    let what = format!("call {} has no answer: {failure:?}", live.call.id());
                    return Err(Violation::of("answered", what, now));
                }
            }
            self.obey(index, &command);
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

    /// Does one thing.
    fn obey(&mut self, index: u32, command: &Command) {
        let Some(Some(live)) = self.calls.get_mut(index as usize) else { return };
        match *command {
            Command::Start { attempt, target, .. } => self.start(index, attempt, target),
            Command::Relay { attempt } => {
                live.relayed = Some(attempt);
                live.first_at = Some(self.now);
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

    fn start(&mut self, index: u32, attempt: AttemptId, target: TargetId) {
        let now_s = self.since_start().as_secs_f64();
        let Some(Some(live)) = self.calls.get(index as usize) else { return };
        let (wish, number) = (live.wish, live.replica);
        let is_first = live.starts.is_empty();
        let begun = live.begun.since(Timestamp::ZERO);
        let Some(replica) = self.replicas.get(number) else { return };
        let Some(place) = replica.ids.iter().position(|id| *id == target) else { return };
        let is_probe = replica.fleet.is_probing(target, self.now);
        self.share(place);
        let (struck, steps) = self.play_attempt(place, &wish, attempt, number, now_s);
        let Some(Some(live)) = self.calls.get_mut(index as usize) else { return };
        live.starts.push(Started { target: place, cause: None, is_over: false, was_sent: false });
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
        // News of one attempt keep their order.
        let mut late = self.lateness(wish.seed ^ u64::from(attempt.0));
        if self.play.canary == Some(Canary::WaitsForStore) && !self.store_is_up {
            late += Duration::from_millis(5);
        }
        for (after, input) in steps {
            self.at(self.now + after + late, Step::Tell { call: index, input });
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
        let ailing = self.ailments.strike(place, now, replica, draw);
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

    /// Targets by their place in the script: another name is no other run.
    fn hash_in(&mut self, command: &Command, call: u32, replica: usize) {
        let word = match command {
            Command::Start { attempt, target, .. } => {
                let ids = self.replicas.get(replica).map(|replica| &replica.ids);
                let place = ids.and_then(|ids| ids.iter().position(|id| id == target));
                let place = place.map_or(u64::MAX, |place| place as u64);
                (place << 16).wrapping_add(1 + u64::from(attempt.0))
            }
            Command::Relay { attempt } => 100 + u64::from(attempt.0),
            Command::Cancel { attempt } => 200 + u64::from(attempt.0),
            Command::Complete { attempt } => 300 + u64::from(attempt.0),
            Command::Fail(_) => 400,
        };
        for part in [word, u64::from(call), self.now.as_nanos()] {
            self.hash = (self.hash ^ part).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// The invariants of the replica that the step was about; of all if it was about all.
    fn check(&mut self) -> Result<(), Violation> {
        if !self.play.checked {
            return Ok(());
        }
        let wants_counts = self.checker.wants_counts();
        for number in 0..self.replicas.len() {
            if self.touched.is_some_and(|touched| touched != number) {
                continue;
            }
            let counts = wants_counts.then(|| self.under_way(number));
            let Some(replica) = self.replicas.get(number) else { continue };
            let (fleet, ids) = (&replica.fleet, &replica.ids);
            let now = (self.now, self.play.canary);
            self.checker.fleet(number, fleet, ids, counts.as_deref(), &self.config, now)?;
        }
        Ok(())
    }

    /// Attempts that run at each target's service, counted by call.
    fn under_way(&self, number: usize) -> Vec<u32> {
        let mut counts = vec![0; self.script.targets.len()];
        let Some(replica) = self.replicas.get(number) else { return counts };
        let service = |place: usize| replica.specs.get(place).map(|s| (&s.endpoint, &s.model));
        let lives = self.calls.iter().rev().take(20_000).flatten();
        for live in lives.filter(|live| live.replica == number) {
            for started in live.starts.iter().filter(|started| !started.is_over) {
                for (place, count) in counts.iter_mut().enumerate() {
                    *count += u32::from(service(started.target) == service(place));
                }
            }
        }
        counts
    }

    fn finish(&mut self) -> Result<(), Violation> {
        let hours = self.hours.iter().filter(|(calls, _)| *calls > 0);
        let worst = hours.map(|(calls, good)| *good as f64 / *calls as f64);
        self.tally.worst_hour = worst.fold(1.0, f64::min);
        self.tally.successes.push(self.tally.success());
        self.tally.first_p99s.push(self.tally.first.quantile(0.99));
        self.tally.wastes.push(self.tally.waste());
        self.tally.quiet_hours = self.window.0.min(self.script.length).as_secs_f64() / 3600.0
            * self.replicas.len() as f64;
        if !self.play.checked {
            return Ok(());
        }
        let open = self.calls.iter().flatten().count();
        self.checker.at_the_end(open, self.now)?;
        if self.play.liveness && self.heals() {
            for (number, replica) in self.replicas.iter().enumerate() {
                self.checker.alive(number, &replica.fleet, &replica.ids, self.now)?;
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
        let mut fleet =
            Fleet::new(config, mix(play.seed, 1_000 + number as u64, bug(script, play)));
        let spec = |target: &TargetScript| TargetSpec {
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

/// What must not be part of a seed, for the canaries that make it one.
fn bug(script: &Script, play: Play) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    match play.canary {
        Some(Canary::OwnChance) => RandomState::new().hash_one(play.seed),
        Some(Canary::NamesMatter) => {
            let name = script.targets.first().map_or("", |target| target.name.as_str());
            name.bytes().map(u64::from).sum()
        }
        _ => 0,
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
