//! How does a provider answer in the laboratory, well and ill?

use std::time::Duration;

use unbroken_engine::call::{AttemptId, Input};
use unbroken_engine::cause::{FailureCause, Unreachable};
use unbroken_engine::random::Random;
use unbroken_engine::resume::Flow;

use super::script::{Ailment, Load, Timed};
use crate::fault::Fault;
use crate::simulator::cause_of;

/// First tokens are spread around their median like this (log-normal).
const FIRST_SPREAD: f64 = 0.6;
/// Time between two tokens.
const GAP: f64 = 0.015;
/// Answers have so many tokens in the middle, and are spread like this.
const TOKENS: f64 = 250.0;
const TOKENS_SPREAD: f64 = 0.9;
/// A connection, and a refusal of a busy server.
const CONNECT: f64 = 0.02;
const REFUSAL: f64 = 0.3;
/// While an answer is delivered something is heard this often.
const HEARD_EVERY: f64 = 5.0;

/// What a call is like, drawn once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wish {
    pub(super) seed: u64,
    pub(super) whole: bool,
    pub(super) reasoning: bool,
    pub(super) bad: bool,
    pub(super) effectful: bool,
    pub(super) conversation: Option<u64>,
    pub(super) input_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) draw: f64,
    pub(super) leaves_after: Option<Duration>,
}

/// A uniform number from 0 to 1.
pub(super) fn unit(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A log-normal number around `median`.
pub(super) fn log_normal(random: &mut Random, median: f64, spread: f64) -> f64 {
    let (one, other) = (unit(random).max(1e-12), unit(random));
    let normal = libm::sqrt(-2.0 * libm::log(one)) * libm::cos(std::f64::consts::TAU * other);
    median * libm::exp(spread * normal)
}

impl Wish {
    pub(super) fn draw(load: &Load, seed: u64, at_s: f64) -> Self {
        let mut random = Random::seeded(seed);
        let mut chance = |share: f64| unit(&mut random) < share;
        let (whole, reasoning, bad) =
            (chance(load.whole), chance(load.reasoning), chance(load.bad));
        let (effectful, sticky, leaves) =
            (chance(load.effectful), chance(load.sticky), chance(load.leave));
        let is_leaving_time = (load.leave_between_s.0..load.leave_between_s.1).contains(&at_s);
        let leaves_after = (leaves && is_leaving_time)
            .then(|| Duration::from_secs_f64(unit(&mut random) * load.leave_after_s));
        let input = log_normal(&mut random, load.input_tokens, 1.2).clamp(1.0, 150_000.0);
        let output = log_normal(&mut random, TOKENS, TOKENS_SPREAD).clamp(1.0, 8_000.0);
        Self {
            seed,
            whole: whole && !reasoning,
            reasoning,
            bad,
            effectful,
            conversation: sticky.then(|| random.below(20)),
            input_tokens: input as u32,
            output_tokens: output as u32,
            draw: unit(&mut random),
            leaves_after,
        }
    }
}

/// What a target remembers in the laboratory.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    /// Tokens left in its bucket, and when it was filled.
    bucket: Option<(f64, f64)>,
    /// Attempts of this minute, of the last one, and when this one began.
    minute: (f64, f64, f64),
    /// Attempts per second, averaged.
    rate: (f64, f64),
    /// The share of the last attempts of everybody that came here.
    pub(super) share: f64,
}

impl Memory {
    /// An attempt has come.
    pub(super) fn came(&mut self, now_s: f64) {
        let (rate, at) = self.rate;
        self.rate = (rate * libm::exp(-(now_s - at) / 5.0) + 0.2, now_s);
        if now_s - self.minute.2 >= 60.0 {
            let is_next = now_s - self.minute.2 < 120.0;
            self.minute = (0.0, if is_next { self.minute.0 } else { 0.0 }, now_s);
        }
        self.minute.0 += 1.0;
    }

    /// Takes so much from a bucket of `per_min`; the wait in seconds if it does not hold enough.
    fn take(&mut self, amount: f64, per_min: f64, now_s: f64) -> Result<(), f64> {
        let (left, at) = self.bucket.unwrap_or((per_min, now_s));
        let left = (left + (now_s - at) * per_min / 60.0).min(per_min);
        let amount = amount.min(per_min);
        if left >= amount {
            self.bucket = Some((left - amount, now_s));
            Ok(())
        } else {
            self.bucket = Some((left, now_s));
            Err(((amount - left) * 60.0 / per_min).max(1.0))
        }
    }
}

/// The moment of an attempt.
pub(super) struct Scene<'a> {
    pub(super) load: &'a Load,
    pub(super) wish: &'a Wish,
    pub(super) now_s: f64,
    pub(super) median_s: f64,
    pub(super) attempt: AttemptId,
    pub(super) random: Random,
    pub(super) memory: &'a mut Memory,
}

/// What comes of an attempt: when, and what.
pub(super) type Steps = Vec<(Duration, Input)>;

impl Scene<'_> {
    /// A good answer, if `ailing` says nothing else. Whether a fault struck comes first.
    pub(super) fn play(&mut self, ailing: Option<&Timed>) -> (bool, Steps) {
        let cause = self.refusal(ailing);
        if let Some(cause) = cause {
            return (true, self.refused(cause));
        }
        let (first, gaps) = match ailing.map(|timed| timed.ailment) {
            Some(Ailment::Slower { first_token, gaps }) => (first_token, gaps),
            _ => (1.0, 1.0),
        };
        if let Some(Ailment::Fault(fault)) = ailing.map(|timed| timed.ailment) {
            return (true, self.faulty(fault));
        }
        if self.wish.bad {
            return (false, self.refused(FailureCause::InvalidRequest { status: 400 }));
        }
        if unit(&mut self.random) < self.load.background {
            return (false, self.refused(FailureCause::TargetError { status: 500 }));
        }
        let is_slower = first > 1.0 || gaps > 1.0;
        (is_slower, self.answer(first, gaps))
    }

    /// What a limit says to this attempt.
    fn refusal(&mut self, ailing: Option<&Timed>) -> Option<FailureCause> {
        let wait = |seconds: f64| Some(Duration::from_secs_f64(libm::ceil(seconds)));
        let now_s = self.now_s;
        match ailing?.ailment {
            Ailment::RequestsPerMinute { limit } => {
                let refused = self.memory.take(1.0, limit, now_s).err()?;
                Some(FailureCause::RateLimited { retry_after: wait(refused) })
            }
            Ailment::TokensPerMinute { limit } => {
                let tokens = f64::from(self.wish.input_tokens);
                let refused = self.memory.take(tokens, limit, now_s).err()?;
                Some(FailureCause::RateLimited { retry_after: wait(refused) })
            }
            Ailment::DailyQuota { renewed_after_s } => Some(FailureCause::QuotaExhausted {
                retry_after: Some(Duration::from_secs(renewed_after_s)),
            }),
            Ailment::Acceleration { floor } => {
                let (this, last, began) = self.memory.minute;
                let pace = this / ((now_s - began).max(6.0) / 60.0);
                (pace > floor.max(1.5 * last))
                    .then_some(FailureCause::Overloaded { retry_after: wait(1.0) })
            }
            Ailment::Capacity { per_s } => {
                let over = self.memory.rate.0 / per_s;
                let lost = if over > 1.0 { (1.0 - 1.0 / (over * over)).min(0.95) } else { 0.0 };
                (unit(&mut self.random) < lost)
                    .then_some(FailureCause::Overloaded { retry_after: None })
            }
            Ailment::Relapse { above } => {
                (self.memory.share > above).then_some(FailureCause::TargetError { status: 500 })
            }
            Ailment::Fault(_) | Ailment::Slower { .. } => None,
        }
    }

    fn refused(&self, cause: FailureCause) -> Steps {
        let attempt = self.attempt;
        let failed = (secs(REFUSAL), Input::Failed { attempt, cause });
        vec![(secs(CONNECT), Input::Connected { attempt }), failed]
    }

    /// The seconds until the first token of a good answer.
    fn first(&mut self, factor: f64) -> f64 {
        let thinking = if self.wish.reasoning { self.load.thinking_s } else { 0.0 };
        CONNECT + factor * log_normal(&mut self.random, self.median_s, FIRST_SPREAD) + thinking
    }

    fn answer(&mut self, first_factor: f64, gap_factor: f64) -> Steps {
        let attempt = self.attempt;
        let first = self.first(first_factor);
        let mut steps = vec![(secs(CONNECT), Input::Connected { attempt })];
        let mut ping = HEARD_EVERY;
        while ping < first {
            steps.push((secs(ping), Input::Alive { attempt }));
            ping += HEARD_EVERY;
        }
        let end = first + GAP * gap_factor * f64::from(self.wish.output_tokens);
        if !self.wish.whole {
            let flow = Flow::Text;
            steps.push((secs(first), Input::Content { attempt, flow, tokens: 1 }));
            let tokens = (HEARD_EVERY / (GAP * gap_factor).max(f64::EPSILON)) as u32;
            let mut heard = first + HEARD_EVERY;
            while heard < end {
                steps.push((secs(heard), Input::Content { attempt, flow, tokens }));
                heard += HEARD_EVERY;
            }
        }
        let output_tokens = self.wish.output_tokens;
        steps.push((secs(end), Input::Ended { attempt, output_tokens }));
        steps
    }

    fn faulty(&mut self, fault: Fault) -> Steps {
        let attempt = self.attempt;
        let after = |words: u32| GAP * f64::from(words);
        match fault {
            Fault::BlackHole => vec![(secs(CONNECT), Input::Connected { attempt })],
            Fault::Refuse | Fault::DnsFailure | Fault::TlsFailure => {
                let how = match fault {
                    Fault::DnsFailure => Unreachable::Dns,
                    Fault::TlsFailure => Unreachable::Tls,
                    _ => Unreachable::Tcp,
                };
                let cause = FailureCause::Unreachable(how);
                vec![(secs(CONNECT), Input::Failed { attempt, cause })]
            }
            Fault::DnsStall { ms } => {
                let late = Duration::from_millis(u64::from(ms));
                self.answer(1.0, 1.0).into_iter().map(|(at, input)| (at + late, input)).collect()
            }
            Fault::SlowFirstToken { ms } => {
                let late = Duration::from_millis(u64::from(ms));
                self.answer(1.0, 1.0).into_iter().map(|(at, input)| (at + late, input)).collect()
            }
            Fault::SlowTokens { ms } => self.answer(1.0, f64::from(ms) / 1000.0 / GAP),
            Fault::JsonInsteadOfStream => self.answer(1.0, 0.0),
            Fault::CutStream { after_words, .. } | Fault::NoEnd { after_words, .. } => {
                self.broken(after(after_words), Some(FailureCause::Truncated))
            }
            Fault::Malformed { after_words } => {
                self.broken(after(after_words), Some(FailureCause::Malformed))
            }
            Fault::ErrorEvent { after_words } => {
                let cause = FailureCause::Overloaded { retry_after: None };
                self.broken(after(after_words), Some(cause))
            }
            Fault::Stall { after_words, pings } => {
                let mut steps = self.broken(after(after_words), None);
                if pings {
                    let alive = |n: u64| (Duration::from_secs(10 * n), Input::Alive { attempt });
                    steps.extend((1..60).map(alive));
                }
                steps
            }
            _ => match cause_of(fault) {
                Some(cause) => self.refused(cause),
                None => self.answer(1.0, 1.0),
            },
        }
    }

    /// Some content, and then the failure, or nothing more.
    fn broken(&mut self, after_first: f64, cause: Option<FailureCause>) -> Steps {
        let attempt = self.attempt;
        let mut steps = vec![(secs(CONNECT), Input::Connected { attempt })];
        let first = self.first(1.0);
        if after_first > 0.0 && !self.wish.whole {
            let tokens = (after_first / GAP) as u32;
            steps.push((secs(first), Input::Content { attempt, flow: Flow::Text, tokens }));
        }
        if let Some(cause) = cause {
            steps.push((secs(first + after_first), Input::Failed { attempt, cause }));
        }
        steps
    }
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// Whether what goes wrong strikes an attempt of this replica now; `draw` is the attempt's own.
pub(super) fn strikes(timed: &Timed, now: Duration, replica: usize, draw: f64) -> bool {
    if now < timed.at || now >= timed.until || timed.replica.is_some_and(|r| r != replica) {
        return false;
    }
    let since = now.saturating_sub(timed.at);
    if let Some((on, off)) = timed.flap {
        let phase = since.as_nanos() % (on + off).as_nanos().max(1);
        if phase >= on.as_nanos() {
            return false;
        }
    }
    let length = timed.until.saturating_sub(timed.at).as_secs_f64().max(1e-9);
    let (from, to) = timed.share;
    draw < from + (to - from) * since.as_secs_f64() / length
}
