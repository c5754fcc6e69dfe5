//! What do a target's cells say about one more attempt? Reads, changes nothing.

use super::{
    Arc, Breaker, CellKind, Duration, Fleet, Permits, Refusal, Standing, TargetCell, TargetId,
    Throttle, Timestamp, family, serving_names,
};
use crate::deadline::{Kind, Limits};
use crate::slowness;

/// After this long without a relapse a target counts as steady: conversations return to it.
///
/// Source: engine.md 4.6.
const STEADY_AFTER: Duration = Duration::from_secs(300);
/// Less evidence than this share of what trips is no reason for caution.
const TRUSTED: f64 = 0.3;
/// A retired or forgotten target is refused with this wait.
const RETIRED_FOR: Duration = Duration::from_secs(3_600);

impl Fleet {
    /// What all of the target's cells together say.
    pub(crate) fn standing(&self, target: TargetId, now: Timestamp) -> Standing {
        if let Some(refusal) = self.refusal(target, now) {
            return Standing::Refused { retry_at: refusal.retry_at };
        }
        let breakers = self.breakers(target).unwrap_or_default();
        let standings = breakers.map(|breaker| breaker.map(|b| b.standing(now)));
        if standings.contains(&Some(Standing::Probe)) {
            return Standing::Probe;
        }
        let share = standings.iter().flatten().find(|s| matches!(s, Standing::Share(_)));
        share.copied().unwrap_or(Standing::Ready)
    }

    /// The cell that refuses the target for longest.
    pub(crate) fn refusal(&self, target: TargetId, now: Timestamp) -> Option<Refusal> {
        let refuse = |cell, retry_at| Refusal { cell, retry_at };
        let Some(cell) = self.targets.get(&target) else {
            // Forgotten, to make room: a call that still holds it goes on to another.
            return Some(refuse(CellKind::Model, now + RETIRED_FOR));
        };
        let serving = self.serving_cell(&cell.spec)?;
        let key = self.keys.get(&cell.spec.key)?;
        let family = self.families.get(family(&cell.spec.model));
        let [endpoint, service, credential] = self.breakers(target)?;
        let shut = |breaker: Option<&Breaker>| match breaker?.standing(now) {
            Standing::Refused { retry_at } => Some(retry_at),
            Standing::Ready | Standing::Share(_) | Standing::Probe => None,
        };
        [
            (CellKind::Endpoint, shut(endpoint)),
            (CellKind::Serving, shut(service)),
            (CellKind::Key, shut(credential)),
            (CellKind::Serving, serving.overload.blocked_until(now)),
            (CellKind::Model, serving.gone.blocked_until(now)),
            (CellKind::Model, cell.retired_at.map(|_| now + RETIRED_FOR)),
            (CellKind::Family, family.and_then(|family| family.gone.blocked_until(now))),
            (CellKind::Quota, key.quota.blocked_until(now)),
            (CellKind::Capacity, cell.capacity.blocked_until(now)),
        ]
        .into_iter()
        .filter_map(|(cell, until)| Some(refuse(cell, until?)))
        .max_by_key(|refusal| refusal.retry_at)
    }

    /// Whether a call that has no other target may send to this one although it is shut: only
    /// breakers of the endpoint or the service refuse it, and no operator.
    pub(crate) fn may_probe_early(&self, target: TargetId, now: Timestamp) -> bool {
        let Some(cell) = self.targets.get(&target) else { return false };
        let (Some(serving), Some(key), Some(endpoint)) = (
            self.serving_cell(&cell.spec),
            self.keys.get(&cell.spec.key),
            self.endpoints.get(&cell.spec.endpoint),
        ) else {
            return false;
        };
        let family = self.families.get(family(&cell.spec.model));
        let is_blocked = serving.gone.blocked_until(now).is_some()
            || cell.retired_at.is_some()
            || family.is_some_and(|family| family.gone.blocked_until(now).is_some())
            || key.quota.blocked_until(now).is_some()
            || cell.capacity.blocked_until(now).is_some()
            || matches!(key.breaker.standing(now), Standing::Refused { .. });
        let is_forced = serving.breaker.forced().is_some() || endpoint.breaker.forced().is_some();
        !is_blocked && !is_forced
    }

    /// When the target was asked last.
    pub(crate) fn asked_at(&self, target: TargetId) -> Timestamp {
        self.targets.get(&target).map_or(Timestamp::ZERO, |cell| cell.asked_at)
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

    pub(super) fn serving_of(&self, target: TargetId) -> Option<&super::ServingCell> {
        let cell: &TargetCell = self.targets.get(&target)?;
        self.serving.get(&serving_names(&cell.spec))
    }
}
