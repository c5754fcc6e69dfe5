//! The provider stores the answer that broke: the rest of it is fetched there.

use super::broken::Broken;
use super::{Attempt, AttemptId, Call, Event, Failure, FailureCause, Fleet, Phase, Timestamp, Why};
use crate::breaker::Standing;
use crate::resume::{Delivered, How, PICKUPS_MAX};

impl Call {
    /// From now on the answer can be picked up where this attempt was made.
    pub(super) fn stored_by(&mut self, id: AttemptId) {
        let Some(attempt) = self.running.iter().find(|attempt| attempt.id == id) else { return };
        self.stored.get_or_insert((attempt.candidate, 0));
    }

    /// Whether the rest of the answer can be fetched from this candidate.
    pub(super) fn may_pick_up(&self, candidate: usize) -> bool {
        let is_there = |(place, times)| place == candidate && times < PICKUPS_MAX;
        self.ask.continues && self.stored.is_some_and(is_there)
    }

    /// Fetches the rest of a stored answer whose stream broke. `true` if there is nothing more to
    /// decide: the answer is nobody else's to give.
    pub(super) fn pick_up(
        &mut self,
        fleet: &mut Fleet,
        attempt: &Attempt,
        cause: FailureCause,
        now: Timestamp,
    ) -> bool {
        let Some((index, times)) = self.stored.filter(|(place, _)| *place == attempt.candidate)
        else {
            return false;
        };
        if attempt.phase == Phase::Delivering && self.delivered != Delivered::Nothing {
            self.stream_broke(fleet, attempt, cause);
        }
        let at = self.broken.as_ref().map_or(now, |broken| broken.at);
        self.broken = Some(Broken { attempt: attempt.id, cause, at, is_asked_anew: false });
        let views = self.views(fleet, now);
        let standing = views.get(index).map(|view| view.standing);
        let is_shut = matches!(standing, Some(Standing::Refused { .. }) | None);
        let may = self.may_pick_up(index) && now < self.ends && !is_shut;
        if may && is_break(attempt.how, cause) && self.attempts_left(fleet) > 0 {
            self.stored = Some((index, times + 1));
            self.start(fleet, index, Why::Continue, &views, now);
            return true;
        }
        let told = self.broken.take();
        match told.filter(|_| self.delivered != Delivered::Nothing) {
            Some(Broken { attempt, cause, .. }) => {
                self.fail(fleet, Failure::Broken { attempt, cause }, now);
            }
            None => self.give_up(fleet, now),
        }
        true
    }

    pub(super) fn stream_broke(&self, fleet: &mut Fleet, attempt: &Attempt, cause: FailureCause) {
        let Some(candidate) = self.candidates.get(attempt.candidate) else { return };
        let (target, delivered) = (candidate.spec.label.clone(), self.delivered);
        let (call, attempt) = (self.id, attempt.id.0);
        fleet.emit(Event::StreamBroke { call, attempt, target, cause, delivered });
    }
}

/// Whether the stream broke, and not the answer. Who is asked for the rest may also be out of order
/// for a moment.
const fn is_break(how: How, cause: FailureCause) -> bool {
    match cause {
        FailureCause::Unreachable(_)
        | FailureCause::StaleConnection
        | FailureCause::ConnectionLost
        | FailureCause::Silent
        | FailureCause::Malformed
        | FailureCause::Truncated
        | FailureCause::Stalled => true,
        FailureCause::TargetError { .. }
        | FailureCause::EdgeError { .. }
        | FailureCause::Overloaded { .. } => matches!(how, How::PickedUp),
        FailureCause::RateLimited { .. }
        | FailureCause::QuotaExhausted { .. }
        | FailureCause::KeyRejected
        | FailureCause::ModelGone
        | FailureCause::EmptyAnswer
        | FailureCause::TargetCannot(_)
        | FailureCause::PolicyRefused { .. }
        | FailureCause::InvalidRequest { .. }
        | FailureCause::Misconfigured { .. }
        | FailureCause::PrefixRefused
        | FailureCause::Unjoinable
        | FailureCause::OutOfTime => false,
    }
}
