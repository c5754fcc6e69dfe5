//! What do a target's cells say about one more attempt? Reads, changes nothing.

use super::{
    Arc, Breaker, CellKind, Duration, EndpointCell, FamilyCell, Fleet, KeyCell, Permits, Placed,
    Refusal, ServingCell, Standing, TargetCell, TargetId, Throttle, Timestamp, family,
};
use crate::deadline::{Kind, Limits};
use crate::slowness;
use crate::stall::Pace;

/// After this long without a relapse a target counts as steady: conversations return to it.
///
/// Source: engine.md 4.6.
const STEADY_AFTER: Duration = Duration::from_secs(300);
/// Less evidence than this share of what trips is no reason for caution.
const TRUSTED: f64 = 0.3;
/// A retired or forgotten target is refused with this wait.
const RETIRED_FOR: Duration = Duration::from_secs(3_600);

/// What choosing looks at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fitness {
    /// What its cells say.
    pub(crate) standing: Standing,
    /// Whether a call without other targets may send to it although it is shut.
    pub(crate) may_probe_early: bool,
    /// When it was asked last.
    pub(crate) asked_at: Timestamp,
    /// Whether it is slow.
    pub(crate) is_degraded: bool,
    /// Whether it is slow and due for a trial.
    pub(crate) is_trial: bool,
    /// Whether so many more input tokens may be sent to it.
    pub(crate) has_room: bool,
}

impl Default for Fitness {
    fn default() -> Self {
        Self {
            standing: Standing::Ready,
            may_probe_early: false,
            asked_at: Timestamp::ZERO,
            is_degraded: false,
            is_trial: false,
            has_room: true,
        }
    }
}

/// A target and every cell that it shares.
pub(super) struct CellsOf<'a> {
    own: &'a TargetCell,
    pub(super) endpoint: &'a EndpointCell,
    pub(super) serving: &'a ServingCell,
    key: &'a KeyCell,
    family: Option<&'a FamilyCell>,
}

impl CellsOf<'_> {
    const fn breakers(&self) -> [&Breaker; 3] {
        [&self.endpoint.breaker, &self.serving.breaker, &self.key.breaker]
    }

    fn standing(&self, now: Timestamp) -> Standing {
        let standings = self.breakers().map(|breaker| breaker.standing(now));
        if let Some(refusal) = self.refusal_of(standings, now) {
            return Standing::Refused { retry_at: refusal.retry_at };
        }
        if standings.contains(&Standing::Probe) {
            return Standing::Probe;
        }
        let share = standings.into_iter().find(|s| matches!(s, Standing::Share(_)));
        share.unwrap_or(Standing::Ready)
    }

    fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        self.refusal_of(self.breakers().map(|breaker| breaker.standing(now)), now)
    }

    fn refusal_of(&self, standings: [Standing; 3], now: Timestamp) -> Option<Refusal> {
        let mut longest: Option<Refusal> = None;
        let mut consider = |cell, until: Option<Timestamp>| {
            if let Some(retry_at) = until
                && longest.is_none_or(|longest| retry_at >= longest.retry_at)
            {
                longest = Some(Refusal { cell, retry_at });
            }
        };
        let [endpoint, serving, key] = standings.map(|standing| match standing {
            Standing::Refused { retry_at } => Some(retry_at),
            Standing::Ready | Standing::Share(_) | Standing::Probe => None,
        });
        let [gone, retired, family, quota, capacity] = self.blocks(now);
        consider(CellKind::Endpoint, endpoint);
        consider(CellKind::Serving, serving);
        consider(CellKind::Key, key);
        consider(CellKind::Serving, self.serving.overload.blocked_until(now));
        consider(CellKind::Model, gone);
        consider(CellKind::Model, retired);
        consider(CellKind::Family, family);
        consider(CellKind::Quota, quota);
        consider(CellKind::Capacity, capacity);
        longest
    }

    /// What no early probe ends: the model gone here, taken out, gone everywhere, no money, no
    /// room under the rate limit.
    fn blocks(&self, now: Timestamp) -> [Option<Timestamp>; 5] {
        [
            self.serving.gone.blocked_until(now),
            self.own.retired_at.map(|_| now + RETIRED_FOR),
            self.family.and_then(|family| family.gone.blocked_until(now)),
            self.key.quota.blocked_until(now),
            self.own.capacity.blocked_until(now),
        ]
    }

    /// Whether a call that has no other target may send to this one although it is shut: only
    /// breakers of the endpoint or the service refuse it, and no operator.
    fn may_probe_early(&self, now: Timestamp) -> bool {
        let is_rejected = matches!(self.key.breaker.standing(now), Standing::Refused { .. });
        let is_forced =
            self.serving.breaker.forced().is_some() || self.endpoint.breaker.forced().is_some();
        !is_rejected && !is_forced && self.blocks(now).iter().all(Option::is_none)
    }
}

impl Fleet {
    /// What all of the target's cells together say.
    pub(crate) fn standing(&self, target: TargetId, now: Timestamp) -> Standing {
        let forgotten = Standing::Refused { retry_at: now + RETIRED_FOR };
        self.cells(target).map_or(forgotten, |cells| cells.standing(now))
    }

    /// The cell that refuses the target for longest.
    pub(crate) fn refusal(&self, target: TargetId, now: Timestamp) -> Option<Refusal> {
        let Some(cells) = self.cells(target) else {
            // Forgotten, to make room: a call that still holds it goes on to another.
            return Some(Refusal { cell: CellKind::Model, retry_at: now + RETIRED_FOR });
        };
        cells.refusal(now)
    }

    /// Whether it is ready and quick.
    pub(crate) fn is_well(&self, target: TargetId, now: Timestamp) -> bool {
        self.cells(target).is_some_and(|cells| {
            cells.standing(now) == Standing::Ready && !cells.serving.slowness.is_degraded(now)
        })
    }

    /// All cells of a target.
    pub(super) fn cells(&self, target: TargetId) -> Option<CellsOf<'_>> {
        let own = self.targets.get(&target)?;
        Some(CellsOf {
            own,
            endpoint: self.endpoints.get(own.spec.endpoint_at)?,
            serving: self.serving.get(own.spec.serving_at)?,
            key: self.keys.get(own.spec.key_at)?,
            family: self.family_of(&own.spec),
        })
    }

    fn family_of(&self, spec: &Placed) -> Option<&FamilyCell> {
        // Hardly ever is a model missed anywhere.
        if self.families.is_empty() { None } else { self.families.get(family(&spec.model)) }
    }

    /// Everything that choosing looks at, in one go.
    pub(crate) fn fitness(&self, target: TargetId, tokens: u32, now: Timestamp) -> Fitness {
        let Some(cells) = self.cells(target) else {
            let standing = Standing::Refused { retry_at: now + RETIRED_FOR };
            return Fitness { standing, ..Fitness::default() };
        };
        let (serving, own) = (cells.serving, cells.own);
        let standing = cells.standing(now);
        let is_degraded = serving.slowness.is_degraded(now);
        Fitness {
            standing,
            may_probe_early: matches!(standing, Standing::Refused { .. })
                && cells.may_probe_early(now),
            asked_at: own.asked_at,
            is_degraded,
            is_trial: is_degraded && serving.slowness.is_trial_due(now),
            has_room: serving.receiver.has_room(&self.config.receiver, tokens, now)
                && own.pace.fits(tokens, now)
                && own.headroom.fits(tokens, now),
        }
    }

    /// Whether it is slow, and whether it is slow and due for a trial.
    pub(crate) fn slowness(&self, target: TargetId, now: Timestamp) -> (bool, bool) {
        let slowness = self.serving_of(target).map(|cell| &cell.slowness);
        slowness.map_or((false, false), |s| (s.is_degraded(now), s.is_trial_due(now)))
    }

    /// Whether so many more input tokens may be sent to the target now.
    #[must_use]
    pub fn room_for(&self, target: TargetId, tokens: u32, now: Timestamp) -> bool {
        let receiver = self.serving_of(target).map(|cell| &cell.receiver);
        let cell = self.targets.get(&target);
        receiver.is_none_or(|receiver| receiver.has_room(&self.config.receiver, tokens, now))
            && cell
                .is_none_or(|cell| cell.pace.fits(tokens, now) && cell.headroom.fits(tokens, now))
    }

    /// Whether so many tokens fitted before the last attempt was started.
    #[must_use]
    pub fn had_room_for(&self, target: TargetId, tokens: u32, now: Timestamp) -> bool {
        let receiver = self.serving_of(target).map(|cell| &cell.receiver);
        receiver.is_none_or(|receiver| receiver.had_room(&self.config.receiver, tokens, now))
    }

    /// What the target's first content costs at the moment.
    pub(crate) fn price(&self, target: TargetId, now: Timestamp) -> f64 {
        let peak = self.targets.get(&target).map_or(0.0, |cell| cell.peak.millis(now));
        let under_way = self.serving_of(target).map_or(0, |cell| cell.receiver.under_way());
        (peak + 1.0) * f64::from(under_way + 1)
    }

    /// The limit on the target's first content.
    pub(crate) fn first_content(
        &self,
        target: TargetId,
        limits: &Limits,
        kind: Kind,
        tokens: u32,
    ) -> Duration {
        let learned = self.serving_of(target).filter(|_| self.config.evidence.learned_limits);
        let p99 = learned.and_then(|cell| cell.latency.p99(kind, tokens));
        limits.learned_first_content(kind, p99)
    }

    /// What the target's progress is held to.
    pub(crate) fn pace(&self, target: TargetId, limits: &Limits) -> Pace {
        let learned = self.serving_of(target).filter(|_| self.config.evidence.learned_limits);
        let speed = learned.and_then(|cell| cell.latency.median_speed());
        Pace::of(limits, learned.map(|cell| &cell.pauses), speed)
    }

    /// How long to wait for the target before another is asked as well.
    pub(crate) fn hedge_delay(
        &self,
        target: TargetId,
        limits: &Limits,
        kind: Kind,
        tokens: u32,
        permits: &Permits,
        now: Timestamp,
    ) -> Duration {
        let cell = self.serving_of(target);
        let p95 = cell.and_then(|cell| cell.latency.p95(kind, tokens));
        let limit = limits.first_content(kind);
        if permits.is_probe() {
            // A probe that never gets its time would never end the outage.
            let lost = cell.map_or(0, |cell| cell.breaker.lost_probes()).min(6);
            return (self.config.hedge.probe_delay(p95) * (1 << lost)).min(limit / 2);
        }
        let is_degraded = cell.is_some_and(|cell| cell.slowness.is_degraded(now));
        self.config.hedge.delay(p95, limit, is_degraded)
    }

    /// When the target's first content counts as late; `None` while nothing is learned.
    pub(crate) fn late_after(
        &self,
        target: TargetId,
        limits: &Limits,
        kind: Kind,
        tokens: u32,
    ) -> Option<Duration> {
        let median = self.serving_of(target)?.latency.median(kind, tokens)?;
        // A whole answer takes as long as it is: the spread is twice as wide.
        let median = if kind == Kind::Whole { median * 2 } else { median };
        Some(slowness::threshold(median, limits.first_content(kind)))
    }

    /// Whether the target has served without a relapse for a while.
    pub(crate) fn is_steady(&self, target: TargetId, now: Timestamp) -> bool {
        let breaker = self.serving_of(target).map(|cell| &cell.breaker);
        breaker.is_some_and(|breaker| {
            let is_new = breaker.trips() == 0 && breaker.epoch() == 0;
            is_new || breaker.closed_since().is_some_and(|at| now.since(at) >= STEADY_AFTER)
        })
    }

    /// Whether a conversation at `seat` should go to `other`, which its route prefers: only if that
    /// has been steady for a while.
    pub(crate) fn is_preferred_seat(
        &self,
        other: TargetId,
        seat: TargetId,
        now: Timestamp,
    ) -> bool {
        other != seat
            && self.is_steady(other, now)
            && matches!(self.standing(other, now), Standing::Ready)
            && !self.slowness(other, now).0
    }

    /// A conversation was answered by this target.
    pub(crate) fn sit_down(&mut self, conversation: u64, target: TargetId, now: Timestamp) {
        let is_new = !self.seats.contains_key(&conversation);
        if is_new && self.seats.len() >= super::CONVERSATIONS_MAX {
            // A tenth at once, so that most calls need not search.
            let mut ages: alloc::vec::Vec<Timestamp> =
                self.seats.values().map(|seat| seat.since).collect();
            ages.sort_unstable();
            let young = ages.get(ages.len() / 10).copied().unwrap_or(now);
            self.seats.retain(|_, seat| seat.since > young);
        }
        let seat = *self.seats.entry(conversation).or_insert(super::Seat { target, since: now });
        // One slow answer that a hedge overtook is no reason to leave a warm prompt cache.
        let is_shut = !matches!(self.standing(seat.target, now), Standing::Ready)
            || self.slowness(seat.target, now).0;
        if seat.target != target && (is_shut || now.since(seat.since) >= STEADY_AFTER) {
            self.seats.insert(conversation, super::Seat { target, since: now });
        }
    }

    /// Whether there is little evidence against it: sending to it does no harm.
    pub(crate) fn is_trusted(&self, target: TargetId, now: Timestamp) -> bool {
        let is_ready = matches!(self.standing(target, now), Standing::Ready);
        is_ready && self.serving_of(target).is_none_or(|cell| cell.breaker.level(now) < TRUSTED)
    }

    /// The target that a conversation is at, and since when.
    pub(crate) fn seat(&self, conversation: u64) -> Option<(TargetId, Timestamp)> {
        self.seats.get(&conversation).map(|seat| (seat.target, seat.since))
    }

    /// The throttle of a route.
    pub(crate) fn throttle(&mut self, route: &Arc<str>) -> &mut Throttle {
        // Routes come from the configuration or from model names; the bound is the targets' own.
        if self.throttles.len() >= super::TARGETS_MAX && !self.throttles.contains_key(route) {
            self.throttles.clear();
        }
        self.throttles.entry(route.clone()).or_default()
    }

    pub(super) fn serving_of(&self, target: TargetId) -> Option<&ServingCell> {
        let cell: &TargetCell = self.targets.get(&target)?;
        self.serving.get(cell.spec.serving_at)
    }
}
