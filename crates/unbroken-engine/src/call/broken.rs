//! After its first content an answer broke: does it go on, where, and how?

use super::{
    Attempt, AttemptId, Call, Command, Effect, Event, Failure, FailureCause, Fleet, Outcome, Phase,
    Timestamp,
};
use crate::cause::Remedy;
use crate::choose::{Pick, pick};
use crate::resume::{CONTINUATIONS_MAX, Delivered, Flow, How, how};

/// An answer that broke and does not go on yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Broken {
    /// Whose answer.
    pub(super) attempt: AttemptId,
    /// What happened to it.
    pub(super) cause: FailureCause,
    /// When.
    pub(super) at: Timestamp,
    /// Whether somebody who was asked to go on had nothing to say: then the answer may have been
    /// whole, which only an answer told anew can show.
    pub(super) is_asked_anew: bool,
}

impl Call {
    /// What the client has changed.
    pub(super) const fn delivers(&mut self, delivered: Delivered) {
        self.delivered = delivered;
    }

    /// The attempt speaks, and it is not certain yet that it fits: it gets the time for it.
    pub(super) fn joining(&mut self, id: AttemptId, now: Timestamp) {
        let more = self.limits.first_token;
        let ends = self.ends;
        let Some(attempt) = self.running.iter_mut().find(|attempt| attempt.id == id) else {
            return;
        };
        if attempt.phase == Phase::Connecting {
            attempt.phase = Phase::Waiting;
        }
        attempt.alive_at = now;
        // It speaks: nobody else need be asked beside it.
        attempt.hedge_at = None;
        attempt.first.get_or_insert(now.since(attempt.started));
        attempt.content_by = attempt.content_by.max((now + more).min(ends));
    }

    /// The attempt that was relayed failed. `true` if there is nothing more to decide; `false` if
    /// the client has seen nothing, so that the call goes on as if it had not begun.
    pub(super) fn broke(
        &mut self,
        fleet: &mut Fleet,
        attempt: &Attempt,
        cause: FailureCause,
        now: Timestamp,
    ) -> bool {
        let (id, delivered) = (attempt.id, self.delivered);
        self.stream_broke(fleet, attempt, cause);
        if delivered == Delivered::Nothing {
            return false;
        }
        if delivered == Delivered::Full {
            self.complete(fleet, id, now);
            return true;
        }
        if !self.may_continue() || now >= self.ends {
            self.fail(fleet, Failure::Broken { attempt: id, cause }, now);
            return true;
        }
        self.broken = Some(Broken { attempt: id, cause, at: now, is_asked_anew: false });
        self.go_on(fleet, now);
        true
    }

    /// An attempt to go on failed: what it said decides how the next one is asked. `true` if there
    /// is nothing more to decide.
    pub(super) fn failed_to_go_on(
        &mut self,
        fleet: &mut Fleet,
        cause: FailureCause,
        now: Timestamp,
    ) -> bool {
        let Some(broken) = &mut self.broken else { return false };
        broken.is_asked_anew |= cause == FailureCause::EmptyAnswer;
        if !self.running.is_empty() {
            // The other attempt may go on with it.
            self.alone(fleet, now);
        } else if cause.remedy() == Remedy::Resend {
            return false;
        } else {
            // Whatever it says: what counts is who can go on.
            self.go_on(fleet, now);
        }
        true
    }

    /// Whether what the client has can be gone on with at all.
    pub(super) const fn may_continue(&self) -> bool {
        self.ask.continues
            && matches!(self.ask.effect, Effect::Pure)
            && self.continuations < CONTINUATIONS_MAX
            && how(self.delivered, false).is_some()
    }

    /// How an attempt at this candidate has to be made.
    pub(super) fn how(&self, fleet: &Fleet, index: usize, now: Timestamp) -> How {
        let Some(broken) = &self.broken else { return How::Fresh };
        if self.stored.is_some_and(|(place, _)| place == index) {
            return How::PickedUp;
        }
        if broken.is_asked_anew {
            return How::Restart;
        }
        let takes_prefix = self.candidates.get(index).is_some_and(|candidate| {
            self.ask.prefix.contains(&candidate.target) && fleet.takes_prefix(candidate.target, now)
        });
        how(self.delivered, takes_prefix).unwrap_or_default()
    }

    /// The first content of an attempt: a broken answer goes on with it.
    pub(super) fn continued(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        let Some(broken) = self.broken.take() else { return };
        self.continuations += 1;
        let Some(attempt) = self.running.iter().find(|attempt| attempt.id == id) else { return };
        let Some(candidate) = self.candidates.get(attempt.candidate) else { return };
        fleet.emit(Event::StreamContinued {
            call: self.id,
            attempt: id.0,
            target: candidate.spec.label.clone(),
            how: attempt.how,
            gap: now.since(broken.at),
        });
    }

    /// When the attempt will have stalled, if nothing more comes.
    ///
    /// Where somebody else can go on, the target is held to its usual pace (`stall`); where nobody
    /// can, a slow answer is better than none.
    pub(super) fn progress_by(&self, attempt: &Attempt) -> Timestamp {
        let limits = &self.limits;
        let flow = attempt.progress.flow();
        let content_at = attempt.progress.last(attempt.started);
        let silence = match flow {
            Flow::Text => limits.silence,
            Flow::Thinking | Flow::Call => limits.stall,
        };
        let stalled = (attempt.alive_at + silence).min(content_at + limits.stall);
        let may_go_on = self.candidates.len() >= 2 && self.may_continue();
        if !self.may_pick_up(attempt.candidate) && (attempt.is_last || !may_go_on) {
            return stalled;
        }
        let paused = content_at + attempt.pace.pause(flow);
        let trickles = attempt.progress.trickles_at(&attempt.pace).unwrap_or(stalled);
        stalled.min(paused).min(trickles)
    }

    /// The attempt has stalled, and nobody else could go on: it gets the time of an attempt that is
    /// alone. `true` if it has just got it.
    pub(super) fn is_left_alone(&mut self, fleet: &Fleet, id: AttemptId, now: Timestamp) -> bool {
        let views = self.views(fleet, now);
        let is_stored = self.stored.is_some();
        let is_alone = !matches!(pick(&views, false), Pick::Send(_));
        let Some(attempt) = self.running.iter_mut().find(|attempt| attempt.id == id) else {
            return false;
        };
        let gets_time = is_alone && !is_stored && !attempt.is_last;
        attempt.is_last |= gets_time;
        gets_time
    }

    /// The finish reason came, but the protocol's last event does not come: the answer is whole.
    pub(super) fn finish_without_last_event(
        &mut self,
        fleet: &mut Fleet,
        now: Timestamp,
    ) -> Option<AttemptId> {
        let late = |attempt: &&Attempt| {
            attempt.is_finishing
                && attempt.phase == Phase::Delivering
                && now >= self.limit_of(attempt).0
        };
        let id = self.running.iter().find(late)?.id;
        self.ended(fleet, id, 0, now);
        Some(id)
    }

    /// What was delivered is complete by its own limit, although its attempt broke.
    fn complete(&mut self, fleet: &mut Fleet, id: AttemptId, now: Timestamp) {
        fleet.throttle(&self.ask.route).answered(now);
        self.commands.push_back(Command::Complete { attempt: id });
        self.end(fleet, Outcome::Rescued, now);
    }
}
