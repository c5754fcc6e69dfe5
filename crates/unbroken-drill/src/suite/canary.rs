//! Bugs that are planted between the engine and the laboratory, one per invariant: an invariant
//! that does not see its canary proves nothing.

use std::time::Duration;
use unbroken_engine::call::{AttemptId, Command, Input};
use unbroken_engine::cause::FailureCause;
use unbroken_engine::detector::DetectorConfig;
use unbroken_engine::fleet::{Fleet, FleetConfig};
use unbroken_engine::target::TargetId;
use unbroken_engine::time::Timestamp;

use super::script::Script;
use super::world::Live;

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Canary {
    /// I1: a breaker changes in a way that it must not.
    WrongEdge,
    /// I2: a call is dropped, and its permits never come back.
    Leak,
    /// I3: a breaker stays open for hours.
    OpenForHours,
    /// I4: evidence that is no number.
    NoNumber,
    /// I5: a client that leaves counts as a failure.
    LeavingCounts,
    /// I6: a rate limit counts as a failure.
    LimitsCount,
    /// I7: one failure trips.
    HairTrigger,
    /// I8: a failure makes a target cheaper.
    FailureIsCheap,
    /// I9: a call ends without a word.
    NoWord,
    /// I10: attempts without end.
    Endless,
    /// I11: a blocked target is asked.
    AsksBlocked,
    /// I12: a call takes longer than it may.
    TooLong,
    /// I13: two answers are passed on.
    TwoAnswers,
    /// I14: the loser of a race goes on.
    LoserGoesOn,
    /// I15: what has effects is sent twice.
    EffectsTwice,
    /// I16: hedges without a budget.
    HedgesEverything,
    /// I17: a budget that is larger than it may be.
    RichBudget,
    /// I20: an answer ends twice.
    EndsTwice,
    /// I21: a truncated answer passes for a finished one.
    FalseEnd,
    /// I25: a shut target is asked although others are well.
    AsksShut,
    /// I26: a ramp gets everything.
    StormyRamp,
    /// I27: a target gets more than it can take.
    NoRoom,
    /// I29: conversations wander.
    Wanders,
    /// I34: a reload changes calls under way.
    ReloadChangesCalls,
    /// I30 and I32: calls wait for the store.
    WaitsForStore,
    /// I31: the hint that came last wins.
    LastHintWins,
    /// I33: a reload changes the settings.
    ReloadForgets,
    /// I36: chance of its own.
    OwnChance,
    /// I36: decisions depend on names.
    NamesMatter,
    /// I36: waits are no longer in a slower world.
    HurriedClock,
    /// I37: with more targets fewer attempts are made.
    PunishesHelp,
}

impl Canary {
    /// Every bug that a single run must see, and the invariant that must see it. Those that take
    /// two runs are in `PAIRS`.
    pub const ALL: &'static [(Self, &'static str)] = &[
        (Self::WrongEdge, "I1"),
        (Self::Leak, "I2"),
        (Self::OpenForHours, "I3"),
        (Self::NoNumber, "I4"),
        (Self::LeavingCounts, "I5"),
        (Self::LimitsCount, "I6"),
        (Self::HairTrigger, "I7"),
        (Self::FailureIsCheap, "I8"),
        (Self::NoWord, "I9"),
        (Self::Endless, "I10"),
        (Self::AsksBlocked, "I11"),
        (Self::TooLong, "I12"),
        (Self::TwoAnswers, "I13"),
        (Self::LoserGoesOn, "I14"),
        (Self::EffectsTwice, "I15"),
        (Self::HedgesEverything, "I16"),
        (Self::RichBudget, "I17"),
        (Self::EndsTwice, "I20"),
        (Self::FalseEnd, "I21"),
        (Self::AsksShut, "I25"),
        (Self::StormyRamp, "I26"),
        (Self::NoRoom, "I27"),
        (Self::Wanders, "I29"),
        (Self::ReloadChangesCalls, "I34"),
    ];

    /// Changes the settings that the engine gets; the invariants keep the right ones.
    pub(super) fn configure(self, config: &mut FleetConfig, script: &Script) {
        match self {
            Self::OpenForHours => {
                config.breaker.recovery = Duration::from_secs(7_200);
                config.breaker.recovery_max = Duration::from_secs(7_200);
            }
            Self::HairTrigger => config.breaker.detector = DetectorConfig::sequential(1_000),
            Self::Endless => {
                config.retry.max_attempts = 16;
                config.retry.revisits = 16;
                config.breaker.detector = DetectorConfig::consecutive(u32::MAX);
            }
            Self::HedgesEverything => {
                config.hedge.per_call_per_mille = 1_000;
                config.breaker.detector = DetectorConfig::consecutive(u32::MAX);
                config.evidence.slowness = false;
            }
            Self::PunishesHelp if script.targets.len() > 2 => config.retry.max_attempts = 1,
            Self::RichBudget => config.retry.budget.capacity = 50,
            _ => {}
        }
    }

    /// What the engine is told instead.
    pub(super) fn twist(self, input: Input, running: Option<AttemptId>) -> Input {
        match (self, input, running) {
            (Self::LeavingCounts, Input::ClientGone, Some(attempt)) => {
                Input::Failed { attempt, cause: FailureCause::Truncated }
            }
            (
                Self::LimitsCount,
                Input::Failed { attempt, cause: FailureCause::RateLimited { .. } },
                _,
            ) => Input::Failed { attempt, cause: FailureCause::TargetError { status: 500 } },
            (Self::FalseEnd, Input::Failed { attempt, .. }, _) => {
                Input::Ended { attempt, output_tokens: 0 }
            }
            _ => input,
        }
    }

    /// What the engine is taken to have said; `None` for nothing.
    pub(super) fn distort(self, command: Command, live: &Live) -> Option<Command> {
        match (self, &command) {
            (Self::NoWord, Command::Complete { .. })
            | (Self::LoserGoesOn, Command::Cancel { .. }) => None,
            (Self::TwoAnswers, Command::Cancel { attempt }) if live.relayed.is_none() => {
                Some(Command::Relay { attempt: *attempt })
            }
            _ => Some(command),
        }
    }

    /// Whom an attempt is taken to have gone to: to the first target, when that is just what the
    /// engine must not do.
    pub(super) fn redirect(
        self,
        command: Command,
        live: &Live,
        fleet: &Fleet,
        ids: &[TargetId],
        now: Timestamp,
    ) -> Command {
        let Command::Start { attempt, how, .. } = command else { return command };
        let Some(target) = ids.first().copied() else { return command };
        let Some(report) = fleet.report_of(target, now) else { return command };
        let is_wrong = match self {
            Self::AsksBlocked => report.refusal.is_some(),
            Self::AsksShut => report.state == "open",
            Self::StormyRamp => report.state == "ramp",
            Self::NoRoom => {
                report.state == "closed" && !fleet.room_for(target, live.wish.input_tokens, now)
            }
            _ => false,
        };
        if is_wrong { Command::Start { attempt, target, how } } else { command }
    }
}
