//! Two attempts beside each other: when the second one starts, who wins, who is to blame.

use super::{AttemptId, AttemptResult, Call, Command, Event, Fleet, Phase, Timestamp, Why};
use crate::choose::pick_hedge;

/// Inputs that are larger are not sent twice at the same time, in tokens.
///
/// Source: engine.md 4.9.
const HEDGED_INPUT_MAX: u32 = 100_000;

/// With another attempt beside it, one that is late gets so many times the usual limit: 30 s to a
/// stream's first content.
const HEDGED_FOR: u32 = 3;

impl Call {
    /// The running attempt is late, or has probed for long enough: ask another target as well.
    pub(super) fn hedge_if_due(&mut self, fleet: &mut Fleet, now: Timestamp) {
        let [first] = self.running.as_mut_slice() else { return };
        let Some(hedge_at) = first.hedge_at.filter(|at| now >= *at) else { return };
        first.hedge_at = None;
        let (id, started, is_probe) = (first.id, first.started, first.permits.is_probe());
        debug_assert!(now >= hedge_at && first.phase != Phase::Delivering, "hedged too early");
        if self.attempts_left(fleet) == 0 {
            return;
        }
        let views = self.views(fleet, now);
        let Some(index) = pick_hedge(&views) else { return };
        if is_probe {
            self.start(fleet, index, Why::Shadow, &views, now);
        } else if fleet.hedges.withdraw(now) {
            self.start(fleet, index, Why::Hedge, &views, now);
            self.may_take_longer(id, started);
        }
    }

    /// Another target is asked beside this one: to give it up as well would gain nothing.
    fn may_take_longer(&mut self, id: AttemptId, started: Timestamp) {
        let hard = started + self.limits.first_content(self.kind) * HEDGED_FOR;
        let ends = self.ends;
        if let Some(attempt) = self.running.iter_mut().find(|attempt| attempt.id == id) {
            attempt.content_by = attempt.content_by.max(hard.min(ends));
        }
    }

    /// Whether a second attempt may ever start beside one for this call.
    pub(super) const fn may_hedge(&self, fleet: &Fleet) -> bool {
        fleet.config.hedge.enabled
            && self.ask.may_hedge
            && self.ask.input_tokens <= HEDGED_INPUT_MAX
            && self.running.is_empty()
    }

    /// This attempt delivered first: the other one is dropped.
    pub(super) fn win_race(&mut self, fleet: &mut Fleet, winner: AttemptId, now: Timestamp) {
        let Some(loser) = self.running.iter().find(|attempt| attempt.id != winner) else { return };
        let (loser, late_at, place) = (loser.id, loser.late_at, loser.candidate);
        let hedge = self.running.iter().find(|attempt| attempt.why == Why::Hedge);
        if let Some(won) = hedge.map(|attempt| attempt.id == winner) {
            fleet.hedges.judge(won, now);
            fleet.emit(Event::HedgeDecided { call: self.id, won });
        }
        if now < late_at {
            if let Some(candidate) = self.candidates.get(place) {
                fleet.was_outrun(candidate.target, now);
            }
            self.drop_attempt(fleet, loser, now);
            return;
        }
        let Some(attempt) = self.stop(fleet, loser, AttemptResult::LostRace, now) else { return };
        self.commands.push_back(Command::Cancel { attempt: loser });
        if let Some(candidate) = self.candidates.get(attempt.candidate) {
            fleet.lost_race(candidate.target, attempt.permits, now);
        }
    }

    /// The other attempt failed: this one is alone now, and if nobody is left behind it, all the
    /// time that is left is its own.
    pub(super) fn alone(&mut self, fleet: &Fleet, now: Timestamp) {
        let views = self.views(fleet, now);
        let is_last = crate::choose::untried_and_admitted(&views) == 0;
        let ends = self.ends;
        if let [attempt] = self.running.as_mut_slice()
            && attempt.phase != Phase::Delivering
        {
            attempt.content_by = if is_last { ends } else { attempt.content_by_alone };
        }
    }
}
