//! What do we know about all targets? The only long-lived state of the engine.
//!
//! A target's fitness is the worst of its cells:
//!
//! | cell | shared by targets with the same | blocks when |
//! |---|---|---|
//! | endpoint | endpoint | it cannot be reached, or its edge fails |
//! | serving | endpoint and model | the model is not served: the main breaker |
//! | model | endpoint and model | the endpoint says it does not have the model |
//! | family | model | two endpoints say so of the same model |
//! | key | key | the key is not accepted |
//! | quota | key | the account has no quota or money left |
//! | capacity | key and model | the key's rate limit is used up |
//!
//! Cells are made on first use and bounded; ids are never used again. Source: engine.md 4.1.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use core::ops::Deref;
use core::time::Duration;

use crate::backoff::BackoffConfig;
use crate::breaker::{Breaker, BreakerConfig, Change, Permit, Standing};
use crate::call::{Ask, Call};
use crate::cause::{Blame, FailureCause};
use crate::cooldown::{Cooldown, CooldownConfig};
use crate::doubt::Doubts;
use crate::event::{CellKind, ChangeReason, Event, Health};
use crate::headroom::{Headroom, Left};
use crate::health::{HealthConfig, SyntheticConfig};
use crate::hedge::{HedgeBudget, HedgeConfig};
use crate::latency::{Latency, Peak};
use crate::pace::Pace;
use crate::random::Random;
use crate::receiver::{Receiver, ReceiverConfig};
use crate::retry_budget::{RetryBudget, RetryBudgetConfig};
use crate::slowness::Slowness;
use crate::stall::Pauses;
use crate::target::{TargetId, TargetSpec, family};
use crate::throttle::Throttle;
use crate::time::Timestamp;

mod cells;
mod guard;
mod operate;
mod settle;
mod standing;
mod synthetic;
mod vitals;

use cells::{Cells, Place};
pub use operate::Unknown;
pub(crate) use settle::Sample;
pub use vitals::Vitals;

/// More targets than this are not remembered; the ones unused for longest are forgotten first.
const TARGETS_MAX: usize = 10_000;
/// Events that nobody collects are dropped beyond this many, oldest first.
const EVENTS_MAX: usize = 10_000;

/// Settings of the retries within one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// A call makes no more attempts than this. Default: 6; 16 is the most.
    ///
    /// Source: field case R-1.
    pub max_attempts: u32,
    /// How often one target may be asked again within a call. Default: 2.
    pub revisits: u32,
    /// The longest wait for a target within a call, in total. Default: 3 s; zero for speed.
    pub patience: Duration,
    /// Waits between attempts at the same target.
    pub backoff: BackoffConfig,
    /// What bounds the attempts of all calls together.
    pub budget: RetryBudgetConfig,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            max_attempts: 6,
            revisits: 2,
            patience: Duration::from_secs(3),
            backoff: BackoffConfig::default(),
            budget: RetryBudgetConfig::default(),
        }
    }
}

/// Settings of the fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetConfig {
    /// The serving breakers.
    pub breaker: BreakerConfig,
    /// The breakers of endpoints.
    pub endpoint_breaker: BreakerConfig,
    /// The breakers of keys.
    pub key_breaker: BreakerConfig,
    /// Retries within one call.
    pub retry: RetryConfig,
    /// A second attempt beside a late first one.
    pub hedge: HedgeConfig,
    /// What a target may be sent at once.
    pub receiver: ReceiverConfig,
    /// What counts as evidence.
    pub evidence: EvidenceConfig,
    /// Active health checks.
    pub health: HealthConfig,
    /// Probes with a real request, where no call comes by.
    pub synthetic: SyntheticConfig,
}

/// What counts as evidence. Everything does by default; each can be left out, to measure what it
/// is worth (`docs/evidence.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceConfig {
    /// Limits on the first content are learned from what is usual. Default: true.
    pub learned_limits: bool,
    /// Slow answers degrade a target. Default: true.
    pub slowness: bool,
    /// A late attempt that loses to a hedge counts against its target. Default: true.
    pub lost_races: bool,
    /// Incident-shaped failures are told from real ones: rejected keys of a whole provider, valid
    /// requests refused as invalid, vanished models, our own network. Default: true.
    pub guards: bool,
}

impl Default for EvidenceConfig {
    fn default() -> Self {
        Self { learned_limits: true, slowness: true, lost_races: true, guards: true }
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            breaker: BreakerConfig::default(),
            endpoint_breaker: BreakerConfig::endpoint(),
            key_breaker: BreakerConfig::key(),
            retry: RetryConfig::default(),
            hedge: HedgeConfig::default(),
            receiver: ReceiverConfig::default(),
            evidence: EvidenceConfig::default(),
            health: HealthConfig::default(),
            synthetic: SyntheticConfig::default(),
        }
    }
}

/// Leave to send one attempt to one target.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permits {
    endpoint: Option<Permit>,
    serving: Permit,
    key: Permit,
    /// What the attempt was taken to send.
    tokens: u32,
    /// Whether no client asked for it: it tests one prompt only.
    is_synthetic: bool,
}

impl Permits {
    /// Whether the attempt probes a cell that is shut.
    pub(crate) fn is_probe(&self) -> bool {
        self.serving.is_probe()
            || self.key.is_probe()
            || self.endpoint.is_some_and(Permit::is_probe)
    }
}

/// Why a target is refused, and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The cell that refuses.
    pub cell: CellKind,
    /// When asking again makes sense.
    pub retry_at: Timestamp,
}

/// What a status page shows of one target.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetReport {
    /// The target's label.
    pub label: Arc<str>,
    /// The state of its serving breaker.
    pub state: &'static str,
    /// What keeps it from being used at the moment.
    pub refusal: Option<Refusal>,
    /// The last failure, if it has not succeeded since.
    pub last_failure: Option<FailureCause>,
    /// Whether it is slow, and others are preferred.
    pub is_degraded: bool,
    /// The evidence against its service, as a share of what trips.
    pub evidence: f64,
    /// Whether it is out of the configuration: what is under way ends, nothing new begins.
    pub is_retired: bool,
    /// Whether nothing speaks against sending to it.
    pub is_ready: bool,
    /// Whether a probe of it, its key or its endpoint is in flight.
    pub is_probing: bool,
    /// The share of its traffic that it gets while it recovers, in thousandths.
    pub share_per_mille: Option<u32>,
    /// Attempts under way.
    pub under_way: u32,
    /// What its first content costs at the moment, for choosing between targets.
    pub price: f64,
    /// Counts the changes of its serving breaker.
    pub epoch: u64,
}

#[derive(Debug)]
struct EndpointCell {
    breaker: Breaker,
    check_at: Timestamp,
    /// When it was last reached, and when it last could not be.
    worked_at: Option<Timestamp>,
    unreachable_at: Option<Timestamp>,
    /// Until when rejected keys are its own fault.
    keys_incident_until: Timestamp,
    /// Synthetic probes of the day that began at `day_at`.
    day_at: Timestamp,
    probes_today: u32,
}

#[derive(Debug)]
struct KeyCell {
    breaker: Breaker,
    quota: Cooldown,
    suspect_at: Option<Timestamp>,
    rejected_since: Option<Timestamp>,
    rejections: u32,
}

#[derive(Debug)]
struct ServingCell {
    breaker: Breaker,
    gone: Cooldown,
    overload: Cooldown,
    slowness: Slowness,
    latency: Latency,
    pauses: Pauses,
    receiver: Receiver,
    doubts: Doubts,
    probed_at: Timestamp,
}

/// A target's description, and where its cells are.
#[derive(Debug)]
pub(crate) struct Placed {
    spec: TargetSpec,
    endpoint_at: Place,
    serving_at: Place,
    key_at: Place,
}

impl Deref for Placed {
    type Target = TargetSpec;

    fn deref(&self) -> &TargetSpec {
        &self.spec
    }
}

#[derive(Debug)]
struct TargetCell {
    spec: Arc<Placed>,
    capacity: Cooldown,
    last_failure: Option<FailureCause>,
    peak: Peak,
    pace: Pace,
    headroom: Headroom,
    used_at: Timestamp,
    asked_at: Timestamp,
    /// Since when it is not in the configuration any more.
    retired_at: Option<Timestamp>,
}

/// A model, wherever it is hosted.
#[derive(Debug, Default)]
struct FamilyCell {
    gone: Cooldown,
    /// The last endpoints that did not have it.
    missed_by: VecDeque<(Arc<str>, Timestamp)>,
}

/// Which target a conversation is at, and since when.
#[derive(Clone, Copy, Debug)]
struct Seat {
    target: TargetId,
    since: Timestamp,
}

/// More model names that somebody did not have are not remembered: clients may make them up.
const FAMILIES_MAX: usize = 1_000;

/// More conversations than this are not remembered.
const CONVERSATIONS_MAX: usize = 10_000;

/// Endpoint, model and key: what makes a target.
type TargetNames = (Arc<str>, Arc<str>, Arc<str>);

/// All targets and what is known about them.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) config: FleetConfig,
    pub(crate) random: Random,
    pub(crate) budget: RetryBudget,
    pub(crate) hedges: HedgeBudget,
    targets: BTreeMap<TargetId, TargetCell>,
    ids: BTreeMap<TargetNames, TargetId>,
    endpoints: Cells<Arc<str>, EndpointCell>,
    keys: Cells<Arc<str>, KeyCell>,
    serving: Cells<(Arc<str>, Arc<str>), ServingCell>,
    families: BTreeMap<Arc<str>, FamilyCell>,
    throttles: BTreeMap<Arc<str>, Throttle>,
    seats: BTreeMap<u64, Seat>,
    synthetic: BTreeMap<TargetId, Permits>,
    /// Until when a target is not sent the beginning of an answer.
    no_prefix: BTreeMap<TargetId, Timestamp>,
    local_fault_until: Option<Timestamp>,
    turns: BTreeMap<(Arc<str>, usize), u64>,
    events: VecDeque<Event>,
    next_target: u64,
    next_call: u64,
}

impl Fleet {
    /// An empty fleet. The same `seed` and the same inputs give the same decisions.
    #[must_use]
    pub fn new(mut config: FleetConfig, seed: u64) -> Self {
        config.retry.max_attempts = config.retry.max_attempts.clamp(1, 16);
        Self {
            random: Random::seeded(seed),
            budget: RetryBudget::new(config.retry.budget),
            hedges: HedgeBudget::new(config.hedge),
            config,
            targets: BTreeMap::new(),
            ids: BTreeMap::new(),
            endpoints: Cells::new(),
            keys: Cells::new(),
            serving: Cells::new(),
            families: BTreeMap::new(),
            throttles: BTreeMap::new(),
            seats: BTreeMap::new(),
            synthetic: BTreeMap::new(),
            no_prefix: BTreeMap::new(),
            local_fault_until: None,
            turns: BTreeMap::new(),
            events: VecDeque::new(),
            next_target: 0,
            next_call: 0,
        }
    }

    /// The settings that hold now.
    #[must_use]
    pub const fn config(&self) -> &FleetConfig {
        &self.config
    }

    /// Begins a call.
    pub fn begin(&mut self, ask: &Ask, now: Timestamp) -> Call {
        self.next_call += 1;
        Call::begin(self, self.next_call, ask, now)
    }

    /// The oldest event that was not collected yet.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The id of the target of this description, made on first use.
    pub fn target(&mut self, spec: &TargetSpec, now: Timestamp) -> TargetId {
        let names = (spec.endpoint.clone(), spec.model.clone(), spec.key.clone());
        if let Some(id) = self.ids.get(&names) {
            let id = *id;
            if let Some(cell) = self.targets.get_mut(&id) {
                cell.used_at = now;
                if let Some(retired_at) = cell.retired_at.take() {
                    self.comes_back(id, retired_at, now);
                }
            }
            return id;
        }
        if self.targets.len() >= TARGETS_MAX {
            self.forget_unused(now);
        }
        let id = TargetId(self.next_target);
        self.next_target += 1;
        self.ids.insert(names, id);
        let cell = TargetCell {
            spec: Arc::new(self.make_cells(spec, now)),
            capacity: Cooldown::default(),
            last_failure: None,
            peak: Peak::default(),
            pace: Pace::default(),
            headroom: Headroom::default(),
            used_at: now,
            asked_at: Timestamp::ZERO,
            retired_at: None,
        };
        self.targets.insert(id, cell);
        id
    }

    /// Every target that is known.
    pub fn specs(&self) -> impl Iterator<Item = &TargetSpec> {
        self.targets.values().map(|cell| &cell.spec.spec)
    }

    /// Attempts that the retry budget still pays for, and hedges, in thousandths.
    #[must_use]
    pub const fn budgets(&self) -> (u32, u32) {
        (self.budget.left(), self.hedges.left_per_mille())
    }

    /// What the cells of one target say.
    #[must_use]
    pub fn report_of(&self, target: TargetId, now: Timestamp) -> Option<TargetReport> {
        self.targets.get(&target).map(|cell| self.describe(target, cell, now))
    }

    /// What each target's cells say, in the order in which the targets were made.
    #[must_use]
    pub fn report(&self, now: Timestamp) -> alloc::vec::Vec<TargetReport> {
        self.targets.iter().map(|(id, cell)| self.describe(*id, cell, now)).collect()
    }

    fn describe(&self, id: TargetId, cell: &TargetCell, now: Timestamp) -> TargetReport {
        TargetReport {
            label: cell.spec.label.clone(),
            state: self.serving_cell(&cell.spec).map_or("closed", |c| c.breaker.state_name()),
            refusal: self.refusal(id, now),
            last_failure: cell.last_failure,
            is_degraded: self.serving_cell(&cell.spec).is_some_and(|c| c.slowness.is_degraded(now)),
            evidence: self.serving_cell(&cell.spec).map_or(0.0, |c| c.breaker.level(now)),
            under_way: self.serving_cell(&cell.spec).map_or(0, |c| c.receiver.under_way()),
            is_retired: cell.retired_at.is_some(),
            is_ready: matches!(self.standing(id, now), Standing::Ready),
            is_probing: self
                .breakers(id)
                .unwrap_or_default()
                .into_iter()
                .flatten()
                .any(|b| b.is_probing(now)),
            share_per_mille: match self.standing(id, now) {
                Standing::Share(share) => Some(share),
                Standing::Ready | Standing::Probe | Standing::Refused { .. } => None,
            },
            price: self.price(id, now),
            epoch: self.serving_cell(&cell.spec).map_or(0, |c| c.breaker.epoch()),
        }
    }

    /// The endpoint whose health should be checked now, or when to ask again.
    ///
    /// # Errors
    /// The time at which the next check is due; `None` if there is nothing to check.
    pub fn next_health_check(&mut self, now: Timestamp) -> Result<Arc<str>, Option<Timestamp>> {
        let health = self.config.health;
        if !health.enabled {
            return Err(None);
        }
        let due = self.endpoints.iter_mut().min_by_key(|(_, cell)| cell.check_at);
        let Some((name, cell)) = due else { return Err(None) };
        if now < cell.check_at {
            return Err(Some(cell.check_at));
        }
        // Another check of this endpoint is not due before this one has ended.
        cell.check_at = now + health.timeout + health.interval;
        Ok(name.clone())
    }

    /// The result of a health check.
    pub fn health_checked(&mut self, endpoint: &Arc<str>, health: Health, now: Timestamp) {
        let Some(cell) = self.endpoints.named_mut(endpoint) else { return };
        let change = match health {
            Health::Well => cell.breaker.proved_well(now),
            Health::Ill => cell.breaker.proved_ill(now, &mut self.random),
            Health::Unclear => None,
        };
        let is_ill = !matches!(cell.breaker.standing(now), Standing::Ready);
        cell.check_at = self.config.health.next(is_ill, now, &mut self.random);
        self.emit(Event::HealthChecked { endpoint: endpoint.clone(), health });
        self.emit_change(CellKind::Endpoint, endpoint, change, ChangeReason::HealthCheck);
    }

    /// An answer of the target said what is left of its key's rate limit.
    pub fn headroom(&mut self, target: TargetId, left: &Left, now: Timestamp) {
        if let Some(cell) = self.targets.get_mut(&target) {
            cell.headroom.told(left, now);
        }
    }

    /// The turn of a rotating tier; counts up with every call.
    pub(crate) fn take_turn(&mut self, route: &Arc<str>, tier: usize) -> u64 {
        // Routes may be named by clients; where a rotation stands is no loss.
        if self.turns.len() >= TARGETS_MAX && !self.turns.contains_key(&(route.clone(), tier)) {
            self.turns.clear();
        }
        let turn = self.turns.entry((route.clone(), tier)).or_default();
        *turn = turn.wrapping_add(1);
        *turn
    }

    /// The target's own description.
    #[must_use]
    pub fn spec(&self, target: TargetId) -> Option<&TargetSpec> {
        self.targets.get(&target).map(|cell| &cell.spec.spec)
    }

    /// The same, with the places of its cells.
    pub(crate) fn placed(&self, target: TargetId) -> Option<Arc<Placed>> {
        self.targets.get(&target).map(|cell| cell.spec.clone())
    }

    /// Takes leave to send one attempt to the target.
    pub(crate) fn admit(
        &mut self,
        target: TargetId,
        tokens: u32,
        now: Timestamp,
    ) -> Option<Permits> {
        let cell = self.targets.get_mut(&target)?;
        cell.asked_at = now;
        cell.pace.sent(tokens, now);
        cell.headroom.sent(tokens);
        let spec = cell.spec.clone();
        let endpoint = self.endpoints.get_mut(spec.endpoint_at)?.breaker.admit(now);
        let key = self.keys.get_mut(spec.key_at)?.breaker.admit(now);
        let cell = self.serving.get_mut(spec.serving_at)?;
        let serving = cell.breaker.admit(now);
        cell.receiver.started(tokens, now);
        if cell.slowness.is_trial_due(now) {
            cell.slowness.trial_started(now);
        }
        if serving.0.is_probe() {
            cell.probed_at = now;
        }
        self.emit_change(CellKind::Endpoint, &spec.endpoint, endpoint.1, ChangeReason::Probing);
        self.emit_change(CellKind::Key, &spec.key, key.1, ChangeReason::Probing);
        self.emit_change(CellKind::Serving, &spec.label, serving.1, ChangeReason::Probing);
        let (endpoint, serving, key) = (Some(endpoint.0), serving.0, key.0);
        Some(Permits { endpoint, serving, key, tokens, is_synthetic: false })
    }

    /// Tells whoever collects the events.
    pub(crate) fn emit(&mut self, event: Event) {
        if self.events.len() >= EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    fn emit_change(
        &mut self,
        cell: CellKind,
        name: &Arc<str>,
        change: Option<Change>,
        reason: ChangeReason,
    ) {
        if let Some(change) = change {
            self.emit(Event::BreakerChanged { cell, name: name.clone(), change, reason });
        }
    }

    fn serving_cell(&self, spec: &Placed) -> Option<&ServingCell> {
        self.serving.get(spec.serving_at)
    }

    fn breakers(&self, target: TargetId) -> Option<[Option<&Breaker>; 3]> {
        let spec = &self.targets.get(&target)?.spec;
        Some([
            self.endpoints.get(spec.endpoint_at).map(|cell| &cell.breaker),
            self.serving_cell(spec).map(|cell| &cell.breaker),
            self.keys.get(spec.key_at).map(|cell| &cell.breaker),
        ])
    }

    fn make_cells(&mut self, spec: &TargetSpec, now: Timestamp) -> Placed {
        let (config, random) = (&self.config, &mut self.random);
        let endpoint_at = self.endpoints.place(spec.endpoint.clone(), || EndpointCell {
            breaker: Breaker::new(config.endpoint_breaker, now),
            check_at: now + random.up_to(config.health.interval),
            worked_at: None,
            unreachable_at: None,
            keys_incident_until: Timestamp::ZERO,
            day_at: now,
            probes_today: 0,
        });
        let key_at = self.keys.place(spec.key.clone(), || KeyCell {
            breaker: Breaker::new(config.key_breaker, now),
            quota: Cooldown::default(),
            suspect_at: None,
            rejected_since: None,
            rejections: 0,
        });
        let serving_at = self.serving.place(serving_names(spec), || ServingCell {
            breaker: Breaker::new(config.breaker, now),
            gone: Cooldown::default(),
            overload: Cooldown::default(),
            slowness: Slowness::default(),
            latency: Latency::default(),
            pauses: Pauses::default(),
            receiver: Receiver::default(),
            doubts: Doubts::default(),
            probed_at: now,
        });
        Placed { spec: spec.clone(), endpoint_at, serving_at, key_at }
    }

    /// Makes room: forgets a tenth of the targets, those unused for longest. A call that still
    /// holds one of them finds it refused and goes on to another.
    fn forget_unused(&mut self, now: Timestamp) {
        let mut by_age: alloc::vec::Vec<(Timestamp, TargetId)> = self
            .targets
            .iter()
            .filter(|(_, cell)| self.is_forgettable(cell, now))
            .map(|(id, cell)| (cell.used_at, *id))
            .collect();
        by_age.sort_unstable();
        let all = self.targets.len();
        // If every target has something worth remembering, memory wins all the same.
        if by_age.is_empty() {
            by_age = self.targets.iter().map(|(id, cell)| (cell.used_at, *id)).collect();
            by_age.sort_unstable();
        }
        for (_, id) in by_age.into_iter().take(all / 10 + 1) {
            if let Some(cell) = self.targets.remove(&id) {
                let TargetSpec { endpoint, model, key, .. } = cell.spec.spec.clone();
                self.ids.remove(&(endpoint, model, key));
                self.synthetic.remove(&id);
            }
        }
        self.forget_orphans();
    }

    /// Forgets the cells that no target shares any more.
    fn forget_orphans(&mut self) {
        let specs = || self.targets.values().map(|cell| &cell.spec.spec);
        let services: BTreeSet<_> = specs().map(serving_names).collect();
        let endpoints: BTreeSet<_> = specs().map(|spec| spec.endpoint.clone()).collect();
        let keys: BTreeSet<_> = specs().map(|spec| spec.key.clone()).collect();
        self.serving.retain(|name| services.contains(name));
        self.endpoints.retain(|name| endpoints.contains(name));
        self.keys.retain(|name| keys.contains(name));
    }

    fn is_forgettable(&self, cell: &TargetCell, now: Timestamp) -> bool {
        cell.capacity.is_forgettable(now)
            && self.serving_cell(&cell.spec).is_none_or(|serving| {
                serving.breaker.is_forgettable()
                    && serving.gone.is_forgettable(now)
                    && serving.overload.is_forgettable(now)
            })
    }
}

fn serving_names(spec: &TargetSpec) -> (Arc<str>, Arc<str>) {
    (spec.endpoint.clone(), spec.model.clone())
}

/// The label of a cell that belongs to a key and a model.
fn capacity_name(spec: &TargetSpec) -> Arc<str> {
    Arc::from([spec.key.as_ref(), "/", spec.model.as_ref()].concat())
}

#[cfg(test)]
mod tests;
