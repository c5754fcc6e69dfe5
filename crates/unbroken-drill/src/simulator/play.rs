//! How does a provider answer in virtual time, with and without a fault?

use std::time::Duration;

use unbroken_engine::call::{AttemptId, Input};
use unbroken_engine::cause::{FailureCause, Limitation, Unreachable};
use unbroken_engine::resume::Flow;
use unbroken_engine::target::TargetId;
use unbroken_engine::time::Timestamp;

use super::{Simulation, Step};
use crate::fault::{BodyKind, Fault};

/// A healthy answer, as the fake provider gives it.
const FIRST_TOKEN: Duration = Duration::from_millis(20);
const GAP: Duration = Duration::from_millis(2);
const WORDS: u32 = 60;
/// Words are told to the engine this often at most.
const HEARD_EVERY: Duration = Duration::from_secs(2);
/// Attempts are counted until the first call of the time in which everything is well.
const AFTER: Duration = Duration::from_secs(4);
/// A connection, and a refusal.
const CONNECT: Duration = Duration::from_millis(1);
const REPLY: Duration = Duration::from_millis(2);

impl Simulation<'_> {
    /// The fault that is set for a target now.
    pub(super) fn active(&self, target: usize) -> Option<Fault> {
        let now = self.now.since(Timestamp::ZERO);
        let is_active = |fault: &&crate::scenario::Timed| {
            fault.target == target
                && fault.at <= now
                && fault.length.is_none_or(|length| now < fault.at + length)
        };
        // A fault without an end holds until the scenario ends.
        let mut faults = self.scenario.faults.iter().filter(is_active);
        let last = faults.rfind(|f| f.length.is_some() || now < self.scenario.length);
        last.map(|timed| timed.fault)
    }

    /// The fault that strikes this attempt, if one does.
    fn strike(&mut self, target: usize) -> Option<Fault> {
        let fault = self.active(target)?;
        let place = self
            .scenario
            .faults
            .iter()
            .position(|timed| timed.target == target && timed.fault == fault)?;
        let timed = self.scenario.faults.get(place)?;
        let struck = self.struck.get_mut(place)?;
        if timed.times.is_some_and(|times| *struck >= times)
            || !self.random.chance(timed.share_per_mille)
        {
            return None;
        }
        *struck += 1;
        Some(fault)
    }

    /// Plays one attempt.
    pub(super) fn start(&mut self, call: usize, attempt: AttemptId, target: TargetId) {
        let target = self.targets.iter().position(|known| *known == target).unwrap_or_default();
        let at_ms = self.now.since(Timestamp::ZERO).as_millis() as u64;
        if self.now.since(Timestamp::ZERO) <= self.scenario.length + AFTER
            && let Some(attempts) = self.attempts.get_mut(target)
        {
            attempts.push(at_ms);
        }
        let mut playing = Playing { attempt, late: Duration::ZERO, steps: Vec::new() };
        match self.strike(target) {
            None => playing.answer(FIRST_TOKEN, GAP, self.scenario.stream),
            Some(fault) => playing.fault(fault, self.scenario.stream),
        }
        let late = playing.late;
        for (after, input) in playing.steps {
            self.at(self.now + late + after, Step::Tell { call, input });
        }
    }
}

struct Playing {
    attempt: AttemptId,
    /// How long the name takes.
    late: Duration,
    steps: Vec<(Duration, Input)>,
}

impl Playing {
    fn connected(&mut self) {
        self.steps.push((CONNECT, Input::Connected { attempt: self.attempt }));
    }

    fn failed(&mut self, after: Duration, cause: FailureCause) {
        self.steps.push((after, Input::Failed { attempt: self.attempt, cause }));
    }

    fn answer(&mut self, first: Duration, gap: Duration, stream: bool) {
        let attempt = self.attempt;
        self.connected();
        if stream {
            // The engine learns as much from a word now and then as from all.
            let end = first + gap * WORDS;
            let mut at = first;
            let every = gap.max(HEARD_EVERY);
            let each = every.as_nanos() / gap.as_nanos().max(1);
            let tokens = u32::try_from(each).unwrap_or(u32::MAX);
            while at < end.max(first + Duration::from_nanos(1)) {
                self.steps.push((at, Input::Content { attempt, flow: Flow::Text, tokens }));
                at += every;
            }
            self.steps.push((first + gap * WORDS, Input::Ended { attempt, output_tokens: WORDS }));
        } else {
            self.steps.push((first, Input::Ended { attempt, output_tokens: WORDS }));
        }
    }

    /// Some words, and then the failure.
    fn broken(&mut self, after_words: u32, stream: bool, cause: Option<FailureCause>) -> Duration {
        let attempt = self.attempt;
        self.connected();
        let words = if stream { after_words } else { 0 };
        if words > 0 {
            let flow = Flow::Text;
            self.steps.push((FIRST_TOKEN, Input::Content { attempt, flow, tokens: words }));
        }
        let end = FIRST_TOKEN + GAP * words;
        if let Some(cause) = cause {
            self.failed(end, cause);
        }
        end
    }

    fn refused(&mut self, cause: FailureCause) {
        self.connected();
        self.failed(REPLY, cause);
    }

    fn fault(&mut self, fault: Fault, stream: bool) {
        match fault {
            Fault::DnsFailure => {
                self.failed(CONNECT, FailureCause::Unreachable(Unreachable::Dns));
            }
            Fault::DnsStall { ms } => {
                self.late = Duration::from_millis(u64::from(ms));
                self.answer(FIRST_TOKEN, GAP, stream);
            }
            Fault::TlsFailure => {
                self.failed(CONNECT, FailureCause::Unreachable(Unreachable::Tls));
            }
            Fault::Refuse => {
                self.failed(CONNECT, FailureCause::Unreachable(Unreachable::Tcp));
            }
            Fault::BlackHole => self.connected(),
            Fault::JsonInsteadOfStream => self.answer(REPLY, Duration::ZERO, false),
            Fault::SlowFirstToken { ms } => {
                self.answer(Duration::from_millis(u64::from(ms)), GAP, stream);
            }
            Fault::SlowTokens { ms } => {
                self.answer(FIRST_TOKEN, Duration::from_millis(u64::from(ms)), stream);
            }
            Fault::CutStream { after_words, .. } | Fault::NoEnd { after_words, .. } => {
                self.broken(after_words, stream, Some(FailureCause::Truncated));
            }
            Fault::Stall { after_words, pings } => self.stall(after_words, pings, stream),
            // Everything that counts is there.
            Fault::LastEventsMissing { .. } => self.answer(FIRST_TOKEN, GAP, stream),
            Fault::Malformed { after_words } => {
                self.broken(after_words, stream, Some(FailureCause::Malformed));
            }
            Fault::ErrorEvent { after_words } => {
                let cause = FailureCause::Overloaded { retry_after: None };
                self.broken(after_words, stream, Some(cause));
            }
            Fault::Reset
            | Fault::Close
            | Fault::Status { .. }
            | Fault::Unauthorized
            | Fault::RateLimit { .. }
            | Fault::Quota
            | Fault::Overloaded
            | Fault::ModelGone
            | Fault::UnsupportedParameter
            | Fault::ContextTooLong
            | Fault::PolicyRefused
            | Fault::InvalidRequest
            | Fault::Empty200
            | Fault::ErrorIn200 => {
                if let Some(cause) = cause_of(fault) {
                    self.refused(cause);
                }
            }
        }
    }

    fn stall(&mut self, after_words: u32, pings: bool, stream: bool) {
        let end = self.broken(after_words, stream, None);
        if pings {
            // Longer than any limit of a scenario.
            let attempt = self.attempt;
            let pings = (1..900).map(|n| (end + Duration::from_secs(n), Input::Alive { attempt }));
            self.steps.extend(pings);
        }
    }
}

/// What the gateway makes of a fault that is a refusal; `None` for the others.
pub(crate) fn cause_of(fault: Fault) -> Option<FailureCause> {
    let seconds = |wait: Option<u32>| wait.map(|s| Duration::from_secs(u64::from(s)));
    Some(match fault {
        Fault::Reset | Fault::Close => FailureCause::ConnectionLost,
        Fault::Status { status, body, retry_after } => {
            of_status(status, body, seconds(retry_after))
        }
        Fault::Unauthorized => FailureCause::KeyRejected,
        Fault::RateLimit { retry_after } => {
            FailureCause::RateLimited { retry_after: seconds(retry_after) }
        }
        Fault::Quota => FailureCause::QuotaExhausted { retry_after: None },
        Fault::Overloaded => FailureCause::Overloaded { retry_after: None },
        Fault::ModelGone => FailureCause::ModelGone,
        Fault::UnsupportedParameter => FailureCause::TargetCannot(Limitation::Feature),
        Fault::ContextTooLong => FailureCause::TargetCannot(Limitation::Context),
        Fault::PolicyRefused => FailureCause::PolicyRefused { status: 400 },
        Fault::InvalidRequest => FailureCause::InvalidRequest { status: 400 },
        Fault::Empty200 => FailureCause::EmptyAnswer,
        Fault::ErrorIn200 => FailureCause::TargetError { status: 500 },
        Fault::DnsFailure
        | Fault::DnsStall { .. }
        | Fault::TlsFailure
        | Fault::Refuse
        | Fault::BlackHole
        | Fault::JsonInsteadOfStream
        | Fault::SlowFirstToken { .. }
        | Fault::SlowTokens { .. }
        | Fault::CutStream { .. }
        | Fault::NoEnd { .. }
        | Fault::Stall { .. }
        | Fault::Malformed { .. }
        | Fault::ErrorEvent { .. }
        | Fault::LastEventsMissing { .. } => return None,
    })
}

/// What the gateway makes of such a reply.
fn of_status(status: u16, body: BodyKind, retry_after: Option<Duration>) -> FailureCause {
    match (status, body) {
        (429, _) => FailureCause::RateLimited { retry_after },
        (503 | 529, BodyKind::Json) => FailureCause::Overloaded { retry_after },
        (500..=599, BodyKind::Html | BodyKind::Empty) | (520..=530, _) => {
            FailureCause::EdgeError { status }
        }
        (500..=599, BodyKind::Json) => FailureCause::TargetError { status },
        (401 | 403, _) => FailureCause::KeyRejected,
        (404, _) => FailureCause::ModelGone,
        _ => FailureCause::InvalidRequest { status },
    }
}
