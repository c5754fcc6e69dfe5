//! What must always hold? The invariants of engine.md section 5 that the laboratory can see, held
//! after every step.
//!
//! I11's policy is not known to the engine. Where each of the 37 is held says `held.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use unbroken_engine::call::{AttemptId, Command, Failure, Input};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::event::{CellKind, ChangeReason, Event};
use unbroken_engine::fleet::{Fleet, FleetConfig, TargetReport, Vitals};
use unbroken_engine::target::TargetId;
use unbroken_engine::time::Timestamp;

use super::canary::Canary;
use super::provider::Wish;
use super::script::{Script, TargetScript};
use super::world::Live;

/// No breaker refuses for longer, and no health check keeps it so. Source: I3.
const OPEN_MAX: Duration = Duration::from_secs(301);
/// What trips and one whole failure of the lowest threshold that is sane. Source: I4.
const EVIDENCE_MAX: f64 = 2.6;
/// A target is looked at for this long at the end: it must have been well at some time of it.
/// One slow answer in a hundred is usual, so that a single look would prove little.
pub(super) const LAST_LOOK: Duration = Duration::from_secs(900);
/// Hedges that the full bucket pays for, and then one call in twenty. Source: I16.
const HEDGES_FREE: f64 = 10.0;
const HEDGES_PER_CALL: f64 = 0.05;
/// Calls may be retried this often on top of one in five. Source: I16, engine.md 4.8.
const RETRIES_FREE: f64 = 10.0;
/// Attempts of one call, stale connections replaced included.
const ATTEMPTS_MAX: usize = 6 + 3;
/// A ramp gets one call in this time, however small its share is.
const RAMP_STEP: Duration = Duration::from_secs(2);
/// A conversation moves at most once in this time.
const SEAT_KEPT_FOR: Duration = Duration::from_secs(300);

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which: `I1` to `I37`.
    pub invariant: &'static str,
    /// What happened.
    pub what: String,
    /// When.
    pub at: Timestamp,
    /// The last things that happened before.
    pub trace: Vec<String>,
}

impl Violation {
    pub(super) const fn of(invariant: &'static str, what: String, at: Timestamp) -> Self {
        Self { invariant, what, at, trace: Vec::new() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.at.since(Timestamp::ZERO).as_secs_f64();
        write!(f, "{} at {at:.3} s: {}", self.invariant, self.what)
    }
}

/// What was known of a target before a step.
#[derive(Clone, Debug)]
pub(super) struct Before {
    target: Option<TargetId>,
    report: Option<TargetReport>,
}

/// What ramps got, and what they should have got.
#[derive(Debug, Default)]
struct Ramp {
    expected: f64,
    variance: f64,
    got: f64,
    /// Calls that may come whatever the share is, one per step, and when the next one may.
    free: f64,
    free_at: BTreeMap<(usize, TargetId), Timestamp>,
}

/// Holds the invariants of one run.
#[derive(Debug)]
pub(super) struct Checker {
    names: Vec<String>,
    /// The first target of each target's service: those of one service fail together.
    services: Vec<usize>,
    /// Failures seen of each service since it was closed last, by replica and service.
    failures: BTreeMap<(usize, usize), u32>,
    epochs: BTreeMap<(usize, usize), u64>,
    calls: f64,
    hedges: f64,
    paid_retries: f64,
    steps: u64,
    ramp: Ramp,
    seats: BTreeMap<(usize, u64), (usize, Timestamp)>,
    has_hints: bool,
    replicas: f64,
    /// Targets that were well at the last look, by replica and place.
    well: BTreeSet<(usize, usize)>,
}

fn hold(
    invariant: &'static str,
    holds: bool,
    now: Timestamp,
    what: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::of(invariant, what(), now)) }
}

impl Checker {
    pub(super) fn new(script: &Script) -> Self {
        Self {
            names: script.targets.iter().map(|target| target.name.clone()).collect(),
            services: services(script),
            failures: BTreeMap::new(),
            epochs: BTreeMap::new(),
            calls: 0.0,
            hedges: 0.0,
            paid_retries: 0.0,
            steps: 0,
            ramp: Ramp::default(),
            seats: BTreeMap::new(),
            has_hints: script.sharing,
            replicas: script.replicas as f64,
            well: BTreeSet::new(),
        }
    }

    pub(super) const fn begun(&mut self, _: &Wish) {
        self.calls += 1.0;
    }

    /// Whether attempts under way should be counted now: not every time, it is dear.
    pub(super) const fn wants_counts(&mut self) -> bool {
        self.steps += 1;
        self.steps.is_multiple_of(97)
    }

    pub(super) fn before(
        &self,
        live: &Live,
        input: &Input,
        fleet: &Fleet,
        ids: &[TargetId],
        now: Timestamp,
    ) -> Before {
        let attempt = match input {
            Input::Failed { attempt, .. } => Some(*attempt),
            Input::ClientGone => running(live),
            Input::Connected { .. }
            | Input::Alive { .. }
            | Input::Content { .. }
            | Input::Ended { .. }
            | Input::Finishing { .. }
            | Input::Joining { .. }
            | Input::Stored { .. }
            | Input::Delivered(_)
            | Input::Tick => None,
        };
        let started =
            attempt.and_then(|attempt| live.starts.get(attempt.0.checked_sub(1)? as usize));
        let target = started.and_then(|started| ids.get(started.target)).copied();
        Before { target, report: target.and_then(|target| fleet.report_of(target, now)) }
    }

    /// I5, I6, I8: what a step taught the target.
    pub(super) fn after(
        &mut self,
        before: Before,
        input: &Input,
        fleet: &Fleet,
        canary: Option<Canary>,
        now: Timestamp,
        is_late_news: bool,
    ) -> Result<(), Violation> {
        let (Some(target), Some(old)) = (before.target, before.report) else { return Ok(()) };
        let Some(new) = fleet.report_of(target, now) else { return Ok(()) };
        if is_late_news {
            return Ok(());
        }
        let told = || format!("{}: evidence {} -> {}", new.label, old.evidence, new.evidence);
        match input {
            Input::ClientGone => {
                hold("I5", new.evidence <= old.evidence + 1e-9, now, told)?;
            }
            Input::Failed { cause, .. } if is_no_evidence(*cause) => {
                hold("I6", new.evidence <= old.evidence + 1e-9, now, told)?;
            }
            Input::Failed { cause: FailureCause::TargetError { .. }, .. } => {
                // One attempt less is under way, which is worth a part of the price.
                let price = match canary {
                    Some(Canary::FailureIsCheap) => new.price / 4.0 - 2.0,
                    _ => new.price,
                };
                let ended = f64::from(new.under_way + 1) / f64::from(old.under_way + 1).max(1.0);
                let what = || format!("{}: price {} -> {price}", new.label, old.price);
                hold("I8", price >= old.price * ended - 1.0, now, what)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// What the engine wants to be done.
    pub(super) fn command(
        &mut self,
        live: &Live,
        command: &Command,
        fleet: &Fleet,
        ids: &[TargetId],
        config: &FleetConfig,
        now: Timestamp,
    ) -> Result<(), Violation> {
        match command {
            Command::Start { target, .. } => self.start(live, *target, fleet, ids, config, now),
            Command::Relay { attempt } => {
                let what = || format!("{attempt:?} is relayed beside {:?}", live.relayed);
                let is_alone = running_relay(live).is_none_or(|relayed| relayed == *attempt);
                hold("I13", is_alone, now, what)
            }
            Command::Cancel { .. } => Ok(()),
            Command::Complete { attempt } => {
                let what = || format!("{attempt:?} is complete, but did not end");
                hold("I21", live.ended.contains(attempt), now, what)?;
                let what = || format!("{} ends", live.terminals + 1);
                hold("I20", live.terminals == 0 && live.relayed == Some(*attempt), now, what)?;
                self.answered(live, *attempt, fleet, ids, now)
            }
            Command::Fail(failure) => {
                let is_broken = matches!(failure, Failure::Broken { .. });
                let what = || format!("{failure:?} after {:?}", live.relayed);
                hold("I20", live.terminals == 0, now, what)?;
                hold("I20", is_broken == live.relayed.is_some(), now, what)
            }
        }
    }

    fn start(
        &mut self,
        live: &Live,
        target: TargetId,
        fleet: &Fleet,
        ids: &[TargetId],
        config: &FleetConfig,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let attempts = live.starts.len() + 1;
        hold("I10", attempts <= ATTEMPTS_MAX, now, || format!("attempt {attempts}"))?;
        let what = || "an attempt beside the one that is relayed".to_owned();
        hold("I14", running_relay(live).is_none(), now, what)?;
        if live.wish.effectful {
            let was_processed = |started: &super::world::Started| {
                started.was_sent && started.cause.is_none_or(|cause| !cause.is_unprocessed())
            };
            let what = || "a request with effects is sent again".to_owned();
            hold("I15", !live.starts.iter().any(was_processed), now, what)?;
        }
        let running = live.starts.iter().filter(|started| !started.is_over).count();
        hold("I14", running <= 1, now, || format!("{running} attempts run already"))?;
        let Some(report) = fleet.report_of(target, now) else { return Ok(()) };
        self.seated(live, target, fleet, ids, now)?;
        self.refusals(live, target, &report, fleet, ids, config, now)
    }

    /// I11, I25, I27: whether this target may be asked while others are there. The attempt is
    /// admitted already, so its own probe and room are taken.
    #[expect(clippy::too_many_arguments, reason = "one check, from everything that is known")]
    fn refusals(
        &mut self,
        live: &Live,
        target: TargetId,
        report: &TargetReport,
        fleet: &Fleet,
        ids: &[TargetId],
        config: &FleetConfig,
        now: Timestamp,
    ) -> Result<(), Violation> {
        use CellKind::{Capacity, Family, Key, Model, Quota};
        let forbidden = report
            .refusal
            .filter(|refusal| matches!(refusal.cell, Key | Model | Family | Quota | Capacity));
        let is_own_probe =
            forbidden.is_some_and(|refusal| refusal.cell == Key) && report.under_way > 0;
        let what = || format!("{} is asked, but {forbidden:?}", report.label);
        hold("I11", forbidden.is_none() || is_own_probe, now, what)?;
        let forced = matches!(report.state, "forced_open" | "draining");
        hold("I11", !forced, now, || format!("{} is asked, but forced", report.label))?;
        let is_well = |id: &TargetId| {
            let tried = live.starts.iter().any(|started| ids.get(started.target) == Some(id));
            let other = fleet.report_of(*id, now);
            *id != target
                && !tried
                && live.call.candidates().any(|candidate| candidate == *id)
                && other.is_some_and(|other| other.is_ready && !other.is_degraded)
                && fleet.room_for(*id, live.wish.input_tokens, now)
        };
        let is_revisit = live.starts.iter().any(|started| ids.get(started.target) == Some(&target));
        let somebody = ids.iter().find(|id| is_well(id)).filter(|_| !is_revisit);
        let others = somebody.map(|id| self.name(ids, *id));
        let what =
            || format!("{} ({}) is asked, but {others:?} is well", report.label, report.state);
        hold("I25", report.state != "open" || somebody.is_none(), now, what)?;
        let has_room = report.under_way <= 1
            || config.receiver.growth_floor_per_min == u32::MAX
            || fleet.had_room_for(target, live.wish.input_tokens, now);
        let what = || format!("{} has no room, but {others:?} has", report.label);
        hold("I27", has_room || somebody.is_none(), now, what)?;
        self.ramps(live, target, fleet, somebody.is_some(), now)
    }

    /// I26: a target in its ramp gets its share of the traffic that prefers it, and one call per
    /// step, however little that is.
    fn ramps(
        &mut self,
        live: &Live,
        target: TargetId,
        fleet: &Fleet,
        has_others: bool,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let Some(first) = live.call.candidates().next() else { return Ok(()) };
        let share = fleet.vitals(first).and_then(|vitals| vitals.share_per_mille);
        let Some(share) = share.filter(|share| *share < 1000) else { return Ok(()) };
        if !live.starts.is_empty() || (first == target && !has_others) {
            return Ok(());
        }
        let share = f64::from(share) / 1000.0;
        self.ramp.expected += share;
        self.ramp.variance += share * (1.0 - share);
        let free_at = self.ramp.free_at.entry((live.replica, first)).or_default();
        if now >= *free_at {
            *free_at = now + RAMP_STEP;
            self.ramp.free += 1.0;
        }
        self.ramp.got += f64::from(u8::from(first == target));
        let Ramp { expected, variance, got, free, .. } = self.ramp;
        let bound = expected + 5.0 * variance.sqrt() + free + 6.0;
        hold("I26", got <= bound, now, || format!("a ramp got {got} calls, {expected:.1} were due"))
    }

    fn answered(
        &mut self,
        live: &Live,
        attempt: AttemptId,
        fleet: &Fleet,
        ids: &[TargetId],
        now: Timestamp,
    ) -> Result<(), Violation> {
        let Some(conversation) = live.wish.conversation else { return Ok(()) };
        let started = live.starts.get((attempt.0 as usize).saturating_sub(1));
        let Some(place) = started.map(|started| started.target) else { return Ok(()) };
        let name = (live.replica, conversation);
        let Some((old, since)) = self.seats.get(&name).copied() else {
            self.seats.insert(name, (place, now));
            return Ok(());
        };
        // The rule by which conversations move.
        let is_shut = !self.is_well(fleet, ids, old, now);
        if old != place && (is_shut || now.since(since) >= SEAT_KEPT_FOR) {
            self.seats.insert(name, (place, now));
        }
        Ok(())
    }

    fn is_well(&self, fleet: &Fleet, ids: &[TargetId], place: usize, now: Timestamp) -> bool {
        let report = ids.get(place).and_then(|id| fleet.report_of(*id, now));
        report.is_some_and(|report| report.is_ready && !report.is_degraded)
    }

    /// I29: a conversation goes to its seat first, while that is well and not long taken.
    fn seated(
        &self,
        live: &Live,
        target: TargetId,
        fleet: &Fleet,
        ids: &[TargetId],
        now: Timestamp,
    ) -> Result<(), Violation> {
        let Some(conversation) = live.wish.conversation else { return Ok(()) };
        let seat = self.seats.get(&(live.replica, conversation)).copied();
        let Some((place, since)) = seat.filter(|_| live.starts.is_empty()) else { return Ok(()) };
        let Some(seat) = ids.get(place).copied() else { return Ok(()) };
        let is_free = self.is_well(fleet, ids, place, now)
            && fleet.room_for(seat, live.wish.input_tokens, now)
            && live.call.candidates().any(|candidate| candidate == seat);
        let is_early = now.since(since) < SEAT_KEPT_FOR;
        let what = || format!("conversation {conversation} leaves {}", self.name(ids, seat));
        hold("I29", !is_free || !is_early || target == seat, now, what)
    }

    /// A call that goes on waits for something within its bounds; a relayed one is alone.
    pub(super) fn waits(&self, live: &Live, now: Timestamp) -> Result<(), Violation> {
        let deadline = live.call.deadline();
        hold("I9", deadline.is_some(), now, || "a call goes on without a deadline".to_owned())?;
        let what = || format!("{deadline:?} is beyond {:?}", live.ends);
        hold("I12", deadline.is_none_or(|at| at <= live.ends), now, what)?;
        hold("I20", live.terminals == 0, now, || "an end, but the call goes on".to_owned())?;
        let running = live.starts.iter().filter(|started| !started.is_over).count();
        // Before a broken answer goes on, two may be asked to go on with it.
        let is_alone = running_relay(live).is_none() || running <= 1;
        hold("I14", is_alone, now, || format!("{running} attempts run after content"))
    }

    pub(super) fn over(&self, live: &Live, now: Timestamp) -> Result<(), Violation> {
        let what = || format!("{} ends", live.terminals);
        let has_left = live.terminals == 0 && live.wish.leaves_after.is_some();
        hold("I20", live.terminals <= 1, now, what)?;
        hold("I9", live.terminals == 1 || has_left, now, what)?;
        let late = now.since(live.ends);
        hold("I12", late <= Duration::from_secs(6), now, || format!("{late:?} too late"))
    }

    pub(super) fn event(
        &mut self,
        replica: usize,
        event: &Event,
        now: Timestamp,
        canary: Option<Canary>,
    ) -> Result<(), Violation> {
        match event {
            Event::AttemptStarted { why, .. } => {
                self.hedges += f64::from(u8::from(why.name() == "hedge"));
                self.paid_retries += f64::from(u8::from(why.name() == "retry"));
                let allowed = HEDGES_FREE + HEDGES_PER_CALL * self.calls + 1.0;
                let what = || format!("{} hedges for {} calls", self.hedges, self.calls);
                let allowed = allowed + HEDGES_FREE * (self.replicas - 1.0);
                hold("I16", self.hedges <= allowed, now, what)?;
                let allowed = self.replicas * RETRIES_FREE + 0.2 * self.calls + 1.0;
                let what = || format!("{} retries for {} calls", self.paid_retries, self.calls);
                hold("I16", self.paid_retries <= allowed, now, what)
            }
            Event::AttemptEnded { target, result, .. } => {
                use unbroken_engine::event::AttemptResult::{Failed, LostRace};
                if matches!(result, Failed(_) | LostRace) {
                    let service = self.service(target);
                    *self.failures.entry((replica, service)).or_default() += 1;
                }
                Ok(())
            }
            Event::BreakerChanged { cell, name, change, reason } => {
                let to = if canary == Some(Canary::WrongEdge) { "half_open" } else { change.to };
                let is_known = is_edge(change.from, to, *reason);
                let what = || format!("{name}: {} -> {to} ({})", change.from, reason.name());
                hold("I1", is_known, now, what)?;
                let key = (replica, self.service(name));
                if *cell == CellKind::Serving && change.from == "closed" && change.to == "open" {
                    let seen = self.failures.get(&key).copied().unwrap_or_default();
                    let is_forced = matches!(reason, ChangeReason::Operator | ChangeReason::Peers);
                    let what = || format!("{name} opens after {seen} failures");
                    hold("I7", seen >= 2 || is_forced || self.has_hints, now, what)?;
                }
                if change.to == "closed" && *cell == CellKind::Serving {
                    self.failures.remove(&key);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// I2, I3, I4, I17: the state of one replica's fleet.
    pub(super) fn fleet(
        &mut self,
        replica: usize,
        fleet: &Fleet,
        ids: &[TargetId],
        under_way: Option<&[u32]>,
        config: &FleetConfig,
        (now, canary): (Timestamp, Option<Canary>),
    ) -> Result<(), Violation> {
        let (retries, hedges) = fleet.budgets();
        let rich = || format!("{retries} retries, {hedges} thousandths of a hedge");
        hold("I17", retries <= config.retry.budget.capacity, now, rich)?;
        hold("I17", hedges <= config.hedge.capacity * 1000, now, rich)?;
        for (place, id) in ids.iter().enumerate() {
            let Some(mut vitals) = fleet.vitals(*id) else { continue };
            if canary == Some(Canary::NoNumber) {
                vitals.evidence = f64::NAN;
            }
            self.sane((replica, place), &vitals, now)?;
            if let Some(expected) = under_way.and_then(|counts| counts.get(place)) {
                let seen = vitals.under_way;
                let what = || format!("{}: {seen} under way, {expected} run", self.name_at(place));
                // A probe of its own is under way without a call.
                hold("I2", seen <= expected + 1, now, what)?;
            }
        }
        Ok(())
    }

    /// I1, I3, I4: one target's numbers.
    fn sane(
        &mut self,
        (replica, place): (usize, usize),
        vitals: &Vitals,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let name = || self.name_at(place);
        let what = || format!("{}: {vitals:?}", name());
        let is_share = vitals.share_per_mille.is_none_or(|share| (1..=1000).contains(&share));
        // What an operator keeps closed goes on counting.
        let evidence_max = if vitals.is_forced { f64::MAX } else { EVIDENCE_MAX };
        let is_sane = (0.0..=evidence_max).contains(&vitals.evidence)
            && (0.0..=1.0).contains(&vitals.baseline)
            && is_share;
        hold("I4", is_sane, now, what)?;
        if !vitals.is_forced {
            for until in [vitals.open_until, vitals.endpoint_open_until, vitals.probe_until] {
                let wait = until.map_or(Duration::ZERO, |until| until.since(now));
                hold("I3", wait <= OPEN_MAX, now, || format!("{} for {wait:?}", name()))?;
            }
        }
        let what = || format!("{}: epoch {:?} after more", name(), vitals.epoch);
        let known = self.epochs.get(&(replica, place)).copied().unwrap_or_default();
        hold("I1", vitals.epoch >= known, now, what)?;
        if vitals.epoch > known {
            self.epochs.insert((replica, place), vitals.epoch);
        }
        Ok(())
    }

    pub(super) fn reloaded(
        &self,
        before: &[Option<Timestamp>],
        after: &[Option<Timestamp>],
        now: Timestamp,
    ) -> Result<(), Violation> {
        hold("I34", before == after, now, || "a reload changed calls under way".to_owned())
    }

    pub(super) fn at_the_end(&self, open: usize, now: Timestamp) -> Result<(), Violation> {
        hold("I9", open == 0, now, || format!("{open} calls never ended"))
    }

    /// Takes note of who is well: closed, quick and not refused.
    pub(super) fn look(&mut self, replica: usize, fleet: &Fleet, ids: &[TargetId], now: Timestamp) {
        for (place, id) in ids.iter().enumerate() {
            if self.well.contains(&(replica, place)) {
                continue;
            }
            let is_well = fleet.report_of(*id, now).is_some_and(|report| {
                let is_refused = report.refusal.is_some_and(|refusal| {
                    !matches!(refusal.cell, CellKind::Quota | CellKind::Model | CellKind::Family)
                });
                // Without traffic a ramp stays one, until it is asked for.
                matches!(report.state, "closed" | "ramp") && !report.is_degraded && !is_refused
            });
            if is_well {
                self.well.insert((replica, place));
            }
        }
    }

    /// I3 and I2, liveness: after half an hour without trouble everything has closed, and nothing
    /// is under way.
    pub(super) fn alive(
        &self,
        replica: usize,
        fleet: &Fleet,
        ids: &[TargetId],
        now: Timestamp,
    ) -> Result<(), Violation> {
        for (place, id) in ids.iter().enumerate() {
            let Some(report) = fleet.report_of(*id, now) else { continue };
            let what = || format!("never well again: {report:?}");
            hold("I3", self.well.contains(&(replica, place)), now, what)?;
            hold("I2", report.under_way == 0, now, || format!("{} leaks", report.label))?;
        }
        Ok(())
    }

    /// The place of a target's service, by the target's label.
    fn service(&self, label: &str) -> usize {
        let place = self.names.iter().position(|name| name == label);
        place.and_then(|place| self.services.get(place)).copied().unwrap_or(usize::MAX)
    }

    fn name(&self, ids: &[TargetId], id: TargetId) -> String {
        let place = ids.iter().position(|known| *known == id);
        place.map(|place| self.name_at(place)).unwrap_or_default()
    }

    fn name_at(&self, place: usize) -> String {
        self.names.get(place).cloned().unwrap_or_default()
    }
}

fn running(live: &Live) -> Option<AttemptId> {
    let place = live.starts.iter().position(|started| !started.is_over)?;
    Some(AttemptId(u32::try_from(place).ok()? + 1))
}

/// The attempt whose content goes to the client, while it has not failed.
fn running_relay(live: &Live) -> Option<AttemptId> {
    let relayed = live.relayed?;
    let started = live.starts.get(relayed.0.checked_sub(1)? as usize)?;
    (!started.is_over).then_some(relayed)
}

fn services(script: &Script) -> Vec<usize> {
    let service = |target: &TargetScript| {
        let or_name = |name: &Option<String>| name.clone().unwrap_or_else(|| target.name.clone());
        (or_name(&target.endpoint), or_name(&target.model))
    };
    let all: Vec<_> = script.targets.iter().map(service).collect();
    all.iter().map(|own| all.iter().position(|other| other == own).unwrap_or_default()).collect()
}

/// Failures that must never count against a service.
const fn is_no_evidence(cause: FailureCause) -> bool {
    matches!(
        cause,
        FailureCause::RateLimited { .. }
            | FailureCause::QuotaExhausted { .. }
            | FailureCause::PolicyRefused { .. }
            | FailureCause::PrefixRefused
            | FailureCause::Unjoinable
            | FailureCause::TargetCannot(_)
    )
}

/// Source: engine.md 4.4.
fn is_edge(from: &str, to: &str, reason: ChangeReason) -> bool {
    if matches!(reason, ChangeReason::Operator | ChangeReason::Reload) {
        return true;
    }
    matches!(
        (from, to),
        ("closed", "open")
            | ("open", "half_open")
            | ("half_open", "half_open" | "ramp" | "open" | "closed")
            | ("ramp", "closed" | "open")
    ) || (from == "open" && to == "closed" && reason == ChangeReason::HealthCheck)
        || (to == "closed" && reason == ChangeReason::Censored)
}
