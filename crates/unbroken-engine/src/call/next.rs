//! After a failure, or at the start: who is asked, when, or why nobody.

use alloc::vec::Vec;

use super::broken::Broken;
use super::{
    Attempt, AttemptId, AttemptResult, Call, Candidate, Command, Duration, Effect, Event, Failure,
    FailureCause, Fleet, Outcome, Phase, RESENDS_MAX, Stage, Timestamp, Tried, Why,
};
use crate::breaker::Standing;
use crate::cause::Remedy;
use crate::choose::{Pick, View, pick, pick_hedge, untried_and_admitted};
use crate::deadline::Limits;
use crate::doubt::Verdict;
use crate::stall::Progress;
use crate::target::is_same_model;

/// While a call waits for somebody to become ready it looks this often: another call's probe may
/// have succeeded meanwhile.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);

/// A shot in the dark gets so many times the usual limit: slow is better than nothing.
const IN_THE_DARK: u32 = 3;
/// Larger inputs make dear probes, in tokens. Source: engine.md 4.4 (T5).
const PROBE_INPUT_MAX: u32 = 8_192;

/// A call waits so long for a breaker to let a probe through. Source: engine.md scenario 21.
const SHUT_PATIENCE: Duration = Duration::from_millis(1_500);

impl Call {
    /// A running attempt failed: learn, then go on.
    pub(super) fn failed(
        &mut self,
        fleet: &mut Fleet,
        id: AttemptId,
        cause: FailureCause,
        now: Timestamp,
    ) {
        let Some(attempt) = self.stop(fleet, id, AttemptResult::Failed(cause), now) else { return };
        let index = attempt.candidate;
        let Some(candidate) = self.candidates.get_mut(index) else { return };
        candidate.last = Some(cause);
        let target = candidate.target;
        if cause == FailureCause::PrefixRefused {
            fleet.prefix_refused(target, now);
        }
        let verdict = self.judge(fleet, index, cause, now);
        if verdict == Verdict::Blame {
            fleet.refused_validly(target, attempt.permits, cause, now);
        } else {
            fleet.failed(target, attempt.permits, cause, now);
        }
        let place = usize::try_from(attempt.id.0).unwrap_or(usize::MAX).wrapping_sub(1);
        if let Some(tried) = self.trail.get_mut(place) {
            tried.cause = Some(cause);
        }
        if self.pick_up(fleet, &attempt, cause, now) {
            return;
        }
        if attempt.phase == Phase::Delivering && self.broke(fleet, &attempt, cause, now) {
            return;
        }
        if self.failed_to_go_on(fleet, cause, now) {
            return;
        }
        if self.ask.effect == Effect::Effectful && !cause.is_unprocessed() {
            self.give_up(fleet, now);
            return;
        }
        if !self.running.is_empty() && cause.remedy() != Remedy::Tell {
            // The other attempt goes on.
            if cause.remedy() == Remedy::FailOverOrTell {
                self.told = self.told.or(Some(attempt.id));
            }
            self.alone(fleet, now);
            return;
        }
        match cause.remedy() {
            Remedy::Tell if cause == FailureCause::OutOfTime => self.give_up(fleet, now),
            Remedy::Tell if verdict != Verdict::Believe => {
                self.doubt(fleet, attempt.id, index, verdict, now)
            }
            Remedy::Tell => self.tell(fleet, attempt.id, now),
            Remedy::Resend if self.resends < RESENDS_MAX => {
                self.resends += 1;
                self.go_on_with(fleet, Some((index, Why::Resend)), now);
            }
            Remedy::RetryOrFailOver => match self.patient_retry(fleet, index, cause, now) {
                Some(until) => self.wait(fleet, until, Some((index, Why::Retry)), now),
                None => self.go_on(fleet, now),
            },
            Remedy::FailOverOrTell => {
                self.told = self.told.or(Some(attempt.id));
                self.go_on(fleet, now);
            }
            Remedy::Resend | Remedy::FailOver => self.go_on(fleet, now),
        }
    }

    /// Whether to believe a target that says the request is wrong.
    fn judge(
        &self,
        fleet: &mut Fleet,
        index: usize,
        cause: FailureCause,
        now: Timestamp,
    ) -> Verdict {
        match (cause, self.candidates.get(index)) {
            (FailureCause::InvalidRequest { .. }, Some(candidate))
                if self.doubted.is_none() && self.broken.is_none() =>
            {
                fleet.refused(candidate.target, self.ask.fingerprint, now)
            }
            _ => Verdict::Believe,
        }
    }

    /// The refusal is doubted: one other target is asked.
    fn doubt(
        &mut self,
        fleet: &mut Fleet,
        attempt: AttemptId,
        index: usize,
        verdict: Verdict,
        now: Timestamp,
    ) {
        self.told = Some(attempt);
        self.doubted = Some(index);
        let views = self.views(fleet, now);
        let other = pick_hedge(&views);
        let has_left = self.attempts_left(fleet) > 0;
        // From a target that is to blame it is a first failover, and free.
        let mut may_ask = || verdict == Verdict::Blame || fleet.budget.withdraw();
        match other.filter(|_| has_left && may_ask()) {
            Some(other) => self.start(fleet, other, Why::Doubt, &views, now),
            None => self.tell(fleet, attempt, now),
        }
    }

    /// The client hears what a target said: the doubted one's words, if there is one.
    fn tell(&mut self, fleet: &mut Fleet, attempt: AttemptId, now: Timestamp) {
        if let Some(doubted) = self.doubted.and_then(|index| self.candidates.get(index)) {
            fleet.agreed(doubted.target);
        }
        while let Some(id) = self.running.first().map(|attempt| attempt.id) {
            self.drop_attempt(fleet, id, now);
        }
        let attempt = if self.doubted.is_some() { self.told.unwrap_or(attempt) } else { attempt };
        self.fail(fleet, Failure::Tell { attempt }, now);
    }

    /// Another target answered what the doubted one refused.
    pub(super) fn settle_doubt(&self, fleet: &mut Fleet, now: Timestamp) {
        if let Some(doubted) = self.doubted.and_then(|index| self.candidates.get(index)) {
            fleet.disagreed(doubted.target, self.ask.fingerprint, now);
        }
    }

    /// When to ask the same target once more before a different model is asked; `None` to go on
    /// at once. Source: engine.md section 0, decision 5.
    fn patient_retry(
        &self,
        fleet: &mut Fleet,
        index: usize,
        cause: FailureCause,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let candidate = self.candidates.get(index)?;
        let retry = fleet.config.retry;
        let is_first_try = candidate.tries == 1 && self.ask.client_retries == 0;
        if !is_first_try || retry.revisits == 0 || retry.patience.is_zero() {
            return None;
        }
        let same_model_is_ready = self.candidates.iter().any(|other| {
            other.tries == 0
                && is_same_model(&other.spec.model, &candidate.spec.model)
                && !matches!(fleet.standing(other.target, now), Standing::Refused { .. })
        });
        if same_model_is_ready {
            return None;
        }
        let pause = retry.backoff.wait(0, &mut fleet.random);
        let until = match fleet.standing(candidate.target, now) {
            Standing::Refused { retry_at } if is_announced(cause) => retry_at.max(now + pause),
            // The breaker is open: this target is known to be ill.
            Standing::Refused { .. } => return None,
            Standing::Ready | Standing::Share(_) | Standing::Probe => now + pause,
        };
        let left = retry.patience.saturating_sub(self.waited);
        (until.since(now) <= left && until < self.ends).then_some(until)
    }

    /// Asks whoever is next.
    pub(super) fn go_on(&mut self, fleet: &mut Fleet, now: Timestamp) {
        self.go_on_with(fleet, None, now);
    }

    /// Asks the candidate that was chosen before, if it still may be asked, or whoever is next.
    pub(super) fn go_on_with(
        &mut self,
        fleet: &mut Fleet,
        chosen: Option<(usize, Why)>,
        now: Timestamp,
    ) {
        if self.attempts_left(fleet) == 0 || now >= self.ends || self.doubted.is_some() {
            self.give_up(fleet, now);
            return;
        }
        let views = self.views(fleet, now);
        if let Some((index, why)) = chosen
            && views.get(index).is_some_and(|v| !matches!(v.standing, Standing::Refused { .. }))
            && (why == Why::Resend || fleet.budget.withdraw())
        {
            self.start(fleet, index, why, &views, now);
            return;
        }
        match pick(&views, self.trail.is_empty()) {
            Pick::Send(index) if self.is_shut(index, &views) => {
                self.panic(fleet, index, &views, now)
            }
            Pick::Send(index) if self.may_fail_over(fleet, index, now) => {
                let why = if self.trail.is_empty() { Why::First } else { Why::Failover };
                self.start(fleet, index, why, &views, now);
            }
            Pick::Revisit(index) if chosen.is_some() => {
                // Its pause is over: it was waited for.
                if fleet.budget.withdraw() {
                    self.start(fleet, index, Why::Retry, &views, now);
                } else {
                    self.refuse_retry(fleet, now);
                }
            }
            Pick::Revisit(index) => self.pause_before(fleet, index, now),
            Pick::Later(at) => self.wait_for_anybody(fleet, at, now),
            Pick::Send(_) => self.refuse_retry(fleet, now),
            Pick::Nobody => self.give_up(fleet, now),
        }
    }

    fn is_shut(&self, index: usize, views: &[View]) -> bool {
        views.get(index).is_some_and(|view| matches!(view.standing, Standing::Refused { .. }))
    }

    /// Every target is shut: one attempt, as long as enough of such calls are answered.
    fn panic(&mut self, fleet: &mut Fleet, index: usize, views: &[View], now: Timestamp) {
        let mut random = fleet.random.clone();
        let is_admitted = fleet.throttle(&self.ask.route).admits(now, &mut random);
        fleet.random = random;
        if is_admitted {
            self.has_panicked = true;
            self.start(fleet, index, Why::First, views, now);
            return;
        }
        fleet.emit(Event::CallThrottled { call: self.id });
        self.wait_for_anybody(fleet, soonest(views).unwrap_or(self.ends), now);
    }

    /// The first failover of a call is free, and so is one to a target that nothing speaks
    /// against; every other one is paid from the budget.
    fn may_fail_over(&mut self, fleet: &mut Fleet, index: usize, now: Timestamp) -> bool {
        if self.trail.is_empty() {
            return true;
        }
        self.failovers += 1;
        let is_trusted =
            self.candidates.get(index).is_some_and(|c| fleet.is_trusted(c.target, now));
        // What never reached a target costs no target anything.
        let was_sent = self.trail.iter().filter(|tried| !is_unsent(tried.cause)).count();
        self.failovers == 1 || was_sent <= 1 || is_trusted || fleet.budget.withdraw()
    }

    /// More time for an attempt that is late, when giving it up would help nobody: everybody else
    /// is shut, or could not be paid for. Slow is better than nothing, within bounds.
    pub(super) fn more_time(
        &self,
        fleet: &Fleet,
        id: AttemptId,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let attempt = self.running.iter().find(|attempt| attempt.id == id)?;
        let views = self.views(fleet, now);
        let is_for_nothing = match pick(&views, false) {
            Pick::Later(_) | Pick::Nobody => true,
            Pick::Send(index) | Pick::Revisit(index) => {
                let next = self.candidates.get(index)?;
                let is_free = self.failovers == 0 || fleet.is_trusted(next.target, now);
                !is_free && fleet.budget.left() == 0
            }
        };
        let dark = self.limits.first_content(self.kind) * IN_THE_DARK;
        let by = (attempt.started + dark).min(self.ends);
        (is_for_nothing && by > now).then_some(by)
    }

    fn refuse_retry(&mut self, fleet: &mut Fleet, now: Timestamp) {
        fleet.emit(Event::RetryRefused { call: self.id });
        self.give_up(fleet, now);
    }

    /// Nobody else is left: the same target again, after a growing pause.
    fn pause_before(&mut self, fleet: &mut Fleet, index: usize, now: Timestamp) {
        let tries = self.candidates.get(index).map_or(1, |candidate| candidate.tries);
        let pause = fleet.config.retry.backoff.wait(tries - 1, &mut fleet.random);
        self.wait(fleet, now + pause, Some((index, Why::Retry)), now);
    }

    /// Everybody refuses: wait a little if that helps within the call's patience.
    fn wait_for_anybody(&mut self, fleet: &mut Fleet, at: Timestamp, now: Timestamp) {
        // Once all are known to be shut, an error now is worth more than one later.
        let patience = fleet.config.retry.patience;
        let is_announced = self.only_rate_limits(fleet, now);
        let patience = if is_announced { patience } else { patience.min(SHUT_PATIENCE) };
        let left = patience.saturating_sub(self.waited);
        if at.since(now) > left || left.is_zero() || self.has_panicked {
            self.give_up(fleet, now);
        } else {
            let until = at.min(now + LOOK_AGAIN_AFTER).max(now + Duration::from_millis(1));
            self.wait(fleet, until, None, now);
        }
    }

    fn wait(
        &mut self,
        fleet: &mut Fleet,
        until: Timestamp,
        then: Option<(usize, Why)>,
        now: Timestamp,
    ) {
        let wait = until.since(now);
        // Looking again and again is one wait.
        if then.is_some() || self.waited.is_zero() {
            fleet.emit(Event::CallWaits { call: self.id, wait });
        }
        self.waited = self.waited.saturating_add(wait);
        self.stage = Stage::Waiting { until, then };
    }

    pub(super) fn start(
        &mut self,
        fleet: &mut Fleet,
        index: usize,
        why: Why,
        views: &[View],
        now: Timestamp,
    ) {
        let behind = self.behind(index, views, fleet);
        let how = self.how(fleet, index, now);
        let why = if self.broken.is_some() { Why::Continue } else { why };
        let may_hedge = self.may_hedge(fleet) && behind > 0;
        let (kind, tokens) = (self.kind, self.ask.input_tokens);
        let Some(candidate) = self.candidates.get_mut(index) else { return };
        let target = candidate.target;
        let Some(permits) = fleet.admit(target, tokens, now) else { return };
        candidate.tries += 1;
        let label = candidate.spec.label.clone();
        let id = AttemptId(u32::try_from(self.trail.len()).unwrap_or(u32::MAX).saturating_add(1));
        self.trail.push(Tried { target, cause: None });
        let delay = fleet.hedge_delay(target, &self.limits, kind, tokens, &permits, now);
        let content_by = self.content_by(fleet, target, behind, index, views, now);
        // Who is on trial is judged by what is late for it, not by who was quicker.
        let is_on_trial = permits.is_probe() || fleet.slowness(target, now).0;
        let late = fleet.late_after(target, &self.limits, kind, tokens);
        let late = late.unwrap_or_else(|| content_by.since(now));
        let late_after = if is_on_trial { late } else { delay };
        self.running.push(Attempt {
            id,
            candidate: index,
            permits,
            phase: Phase::Connecting,
            started: now,
            connect_by: (now + self.limits.connect).min(self.ends),
            content_by,
            content_by_alone: content_by,
            alive_at: now,
            progress: Progress::default(),
            pace: fleet.pace(target, &self.limits),
            hedge_at: may_hedge.then(|| now + delay),
            late_at: now + late_after,
            first: None,
            why,
            how,
            is_finishing: false,
            is_last: false,
            spent: None,
        });
        self.stage = Stage::Running;
        fleet.emit(Event::AttemptStarted { call: self.id, attempt: id.0, target: label, why });
        self.commands.push_back(Command::Start { attempt: id, target, how });
    }

    /// How many candidates may still be asked after this one.
    fn behind(&self, index: usize, views: &[View], fleet: &Fleet) -> u32 {
        let untried = untried_and_admitted(views);
        let is_untried = views.get(index).is_some_and(|view| !view.tried);
        let others =
            u32::try_from(untried).unwrap_or(u32::MAX) - u32::from(is_untried && untried > 0);
        others.min(self.attempts_left(fleet).saturating_sub(1))
    }

    fn content_by(
        &self,
        fleet: &Fleet,
        target: crate::target::TargetId,
        behind: u32,
        index: usize,
        views: &[View],
        now: Timestamp,
    ) -> Timestamp {
        let (kind, tokens) = (self.kind, self.ask.input_tokens);
        let limit = fleet.first_content(target, &self.limits, kind, tokens);
        let by = Limits::first_content_by(limit, behind, now, self.ends);
        // A probe that nobody stands behind is a shot in the dark: the client should hear soon
        // that everything is down.
        let dark = self.limits.first_content(kind) * IN_THE_DARK;
        if self.is_shut(index, views) { by.min(now + dark) } else { by }
    }

    pub(super) fn views(&self, fleet: &Fleet, now: Timestamp) -> Vec<View> {
        let revisits = if self.ask.client_retries > 0 { 0 } else { fleet.config.retry.revisits };
        let tokens = self.ask.input_tokens;
        // A call that has failed once goes to somebody who is well, if there is one.
        let may_probe = tokens <= PROBE_INPUT_MAX && self.trail.is_empty();
        let view = |candidate: &Candidate| {
            let fitness = fleet.fitness(candidate.target, tokens, now);
            View {
                is_degraded: fitness.is_degraded,
                is_trial: fitness.is_trial,
                is_full: !fitness.has_room,
                is_spared: candidate.is_spilled,
                may_probe,
                standing: fitness.standing,
                tried: candidate.tries > 0,
                may_revisit: candidate.tries <= revisits
                    && candidate.last.is_some_and(FailureCause::may_revisit),
                draw: candidate.draw,
                may_probe_early: fitness.may_probe_early,
                asked_at: fitness.asked_at,
            }
        };
        self.candidates.iter().map(view).collect()
    }

    pub(super) fn attempts_left(&self, fleet: &Fleet) -> u32 {
        let made = u32::try_from(self.trail.len()).unwrap_or(u32::MAX);
        fleet.config.retry.max_attempts.saturating_sub(made.saturating_sub(self.resends))
    }

    /// Nobody is left to ask.
    pub(super) fn give_up(&mut self, fleet: &mut Fleet, now: Timestamp) {
        while let Some(id) = self.running.first().map(|attempt| attempt.id) {
            self.drop_attempt(fleet, id, now);
        }
        if let Some(Broken { attempt, cause, .. }) = self.broken {
            self.fail(fleet, Failure::Broken { attempt, cause }, now);
            return;
        }
        if let (Some(attempt), true) = (self.told, self.doubted.is_some()) {
            self.fail(fleet, Failure::Tell { attempt }, now);
            return;
        }
        let target_could_be_to_blame = |tried: &Tried| {
            tried.cause.is_none_or(|cause| cause.remedy() != Remedy::FailOverOrTell)
        };
        if let Some(attempt) = self.told
            && !self.trail.iter().any(target_could_be_to_blame)
        {
            self.fail(fleet, Failure::Tell { attempt }, now);
            return;
        }
        let retry_at = self.candidates.iter().filter_map(|c| worth_asking(c, fleet, now)).min();
        let only_rate_limits = self.only_rate_limits(fleet, now);
        self.fail(fleet, Failure::Exhausted { only_rate_limits, retry_at }, now);
    }

    fn only_rate_limits(&self, fleet: &Fleet, now: Timestamp) -> bool {
        use crate::event::CellKind::{Capacity, Quota};
        !self.candidates.is_empty()
            && self.candidates.iter().all(|candidate| match candidate.last {
                Some(FailureCause::RateLimited { .. } | FailureCause::QuotaExhausted { .. }) => {
                    true
                }
                Some(_) => false,
                None => fleet
                    .refusal(candidate.target, now)
                    .is_some_and(|refusal| matches!(refusal.cell, Capacity | Quota)),
            })
    }

    pub(super) fn fail(&mut self, fleet: &mut Fleet, failure: Failure, now: Timestamp) {
        let outcome = match failure {
            Failure::Tell { .. } => Outcome::Told,
            Failure::Exhausted { .. } => Outcome::Failed,
            Failure::Broken { .. } => Outcome::Broken,
        };
        self.commands.push_back(Command::Fail(failure));
        self.end(fleet, outcome, now);
    }
}

/// Whether the target named, or we chose for it, a time at which it will be ready again.
const fn is_announced(cause: FailureCause) -> bool {
    matches!(cause, FailureCause::RateLimited { .. } | FailureCause::Overloaded { .. })
}

const fn is_unsent(cause: Option<FailureCause>) -> bool {
    matches!(
        cause,
        Some(
            FailureCause::Unreachable(_)
                | FailureCause::StaleConnection
                | FailureCause::TargetCannot(_)
        )
    )
}

/// When it makes sense to ask this candidate again; `None` if it never does for this request.
fn worth_asking(candidate: &Candidate, fleet: &Fleet, now: Timestamp) -> Option<Timestamp> {
    if candidate.last.is_some_and(|cause| matches!(cause.remedy(), Remedy::FailOverOrTell)) {
        return None;
    }
    // Nothing keeps it from being asked: it may be well again in a moment.
    let refusal = fleet.refusal(candidate.target, now);
    Some(refusal.map_or(now, |refusal| refusal.retry_at))
}

/// When the first of them may be ready.
fn soonest(views: &[View]) -> Option<Timestamp> {
    let at = |view: &View| match view.standing {
        Standing::Refused { retry_at } => Some(retry_at),
        Standing::Ready | Standing::Share(_) | Standing::Probe => None,
    };
    views.iter().filter_map(at).min()
}
