//! Circuit breaker: stop sending work to a target that keeps failing, notice cheaply when it is
//! well again, and give it its traffic back step by step.
//!
//! ```text
//!          detector says so           wait has passed             first content
//!  Closed -----------------> Open ----------------------> HalfOpen ------------> Ramp
//!    ^                        ^ ^                            |                     |
//!    |                        | +------- probe fails --------+                     |
//!    |                        +------------- a failure ---------------------------+|
//!    +---------------- share is whole again, and enough successes -----------------+
//! ```
//!
//! The wait starts at `recovery`, doubles with every trip in a row and is capped at
//! `recovery_max`, jitter included: many short probes cost little, one long wait costs an outage
//! its length again. A share that grows with evidence, not with time, keeps a target that relapses
//! under load from hurting more than a few calls.
//!
//! Invariants, checked by the tests for every short history:
//! - at most one probe is in flight, and its lease ends by itself;
//! - a target is refused only with a time at which asking again makes sense;
//! - a result is counted only for the state in which its permit was given (the epoch);
//! - one failure of one call never opens a closed breaker whose threshold is above one.
//!
//! Sources: seed document, "circuit breaker pattern"; engine.md 4.4 (T1, T2, T5, T6).

use core::time::Duration;

use crate::detector::{Detector, DetectorConfig};
use crate::random::{Random, scaled};
use crate::time::Timestamp;

/// Settings of one breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// What counts as failing. Default: three failures in a row.
    pub detector: DetectorConfig,
    /// The first open time; doubles with every trip in a row. Default: 5 s.
    ///
    /// Source: engine.md section 0, decision 4. The seed document has a fixed 60 s: set this and
    /// `recovery_max` to it for the same behaviour.
    pub recovery: Duration,
    /// No open time is longer, jitter included. Default: 15 s.
    pub recovery_max: Duration,
    /// How long a probe may stay unanswered before another may be sent. Default: 30 s.
    pub probe_timeout: Duration,
    /// The share of its traffic that a recovered target starts with, in thousandths; 1000 gives
    /// all of it back at once. Default: 100.
    pub ramp_start_per_mille: u32,
    /// The share grows by half with a success, but not more often than this. Default: 2 s.
    pub ramp_step: Duration,
    /// Successes that a whole share needs before the breaker closes. Default: 6.
    pub ramp_successes: u32,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            detector: DetectorConfig::default(),
            recovery: Duration::from_secs(5),
            recovery_max: Duration::from_secs(15),
            probe_timeout: Duration::from_secs(30),
            ramp_start_per_mille: 100,
            ramp_step: Duration::from_secs(2),
            ramp_successes: 6,
        }
    }
}

impl BreakerConfig {
    /// For an endpoint's network: two failures, short waits, no ramp.
    ///
    /// Source: engine.md 4.4, T2 and T3 (2 s, 15 s, two connection failures).
    #[must_use]
    pub fn endpoint() -> Self {
        Self {
            detector: DetectorConfig::consecutive(2),
            recovery: Duration::from_secs(2),
            ramp_start_per_mille: 1000,
            ramp_successes: 0,
            ..Self::default()
        }
    }

    /// For a key: one rejection makes it suspect, for 30 s and up to 15 min.
    ///
    /// Source: engine.md 4.2, rule C1.
    #[must_use]
    pub fn key() -> Self {
        Self {
            detector: DetectorConfig::consecutive(1),
            recovery: Duration::from_secs(30),
            recovery_max: Duration::from_secs(900),
            ramp_start_per_mille: 1000,
            ramp_successes: 0,
            ..Self::default()
        }
    }
}

/// Without a relapse for this long, one trip is forgiven. Source: engine.md 4.4, T2.
const FORGIVE_A_TRIP_AFTER: Duration = Duration::from_secs(600);
/// A ramp that sees no traffic for this long closes. Source: engine.md 4.4, T6.
const IDLE_RAMP_CLOSES_AFTER: Duration = Duration::from_secs(600);

/// What a breaker is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Work flows.
    Closed {
        /// Counts the evidence.
        detector: Detector,
        /// Since when.
        since: Timestamp,
    },
    /// Work is refused until `until`.
    Open {
        /// When a probe may be sent.
        until: Timestamp,
    },
    /// One probe is in flight.
    HalfOpen {
        /// When the probe counts as lost.
        probe_until: Timestamp,
    },
    /// A growing share of work flows.
    Ramp {
        /// The share, in thousandths.
        share_per_mille: u32,
        /// Successes so far.
        successes: u32,
        /// When the share grew last.
        grown_at: Timestamp,
        /// When a result was last seen.
        active_at: Timestamp,
    },
}

impl State {
    /// The state's name, for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Closed { .. } => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen { .. } => "half_open",
            Self::Ramp { .. } => "ramp",
        }
    }
}

/// Leave to send one attempt; goes back with the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    epoch: u64,
}

/// What a breaker would say to one more attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Send.
    Ready,
    /// Send if asked for as one of this share of the traffic, in thousandths.
    Share(u32),
    /// Send as the one probe.
    Probe,
    /// Do not send before `retry_at`.
    Refused {
        /// When asking again makes sense.
        retry_at: Timestamp,
    },
}

/// A change of state, for logs and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state that was left.
    pub from: &'static str,
    /// The state that was entered.
    pub to: &'static str,
    /// How long work is refused from now on; zero unless `to` is `open`.
    pub wait: Duration,
    /// Trips in a row, this one included.
    pub trips: u32,
}

/// One circuit breaker.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
    epoch: u64,
    trips: u32,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig, now: Timestamp) -> Self {
        let state = State::Closed { detector: Detector::default(), since: now };
        Self { config, state, epoch: 0, trips: 0 }
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What it would say to one more attempt at `now`. Changes nothing.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.state {
            State::Closed { .. } => Standing::Ready,
            State::Ramp { active_at, .. } if now.since(active_at) >= IDLE_RAMP_CLOSES_AFTER => {
                Standing::Ready
            }
            State::Ramp { share_per_mille, .. } if share_per_mille >= 1000 => Standing::Ready,
            State::Ramp { share_per_mille, .. } => Standing::Share(share_per_mille),
            State::Open { until: retry_at } | State::HalfOpen { probe_until: retry_at }
                if now < retry_at =>
            {
                Standing::Refused { retry_at }
            }
            State::Open { .. } | State::HalfOpen { .. } => Standing::Probe,
        }
    }

    /// Takes leave for one attempt; the caller has asked [`Breaker::standing`] before. An open
    /// breaker whose wait is not over is probed early: for calls that have no other target left.
    pub fn admit(&mut self, now: Timestamp) -> (Permit, Option<Change>) {
        let change = match self.state {
            State::Closed { .. } => None,
            State::Ramp { active_at, .. } if now.since(active_at) >= IDLE_RAMP_CLOSES_AFTER => {
                Some(self.close(now))
            }
            State::Ramp { .. } => None,
            State::Open { .. } | State::HalfOpen { .. } => {
                let probe_until = now + self.config.probe_timeout;
                Some(self.enter(State::HalfOpen { probe_until }))
            }
        };
        (Permit { epoch: self.epoch }, change)
    }

    /// Whether a probe is in flight: then not even a call without other targets may send.
    #[must_use]
    pub fn is_probing(&self, now: Timestamp) -> bool {
        matches!(self.state, State::HalfOpen { probe_until } if now < probe_until)
    }

    /// The attempt delivered its first content. A probe has proved its point; the permit that
    /// comes back covers the rest of the attempt.
    pub fn delivered(&mut self, permit: Permit, now: Timestamp) -> (Permit, Option<Change>) {
        let is_current_probe =
            permit.epoch == self.epoch && matches!(self.state, State::HalfOpen { .. });
        if !is_current_probe {
            return (permit, None);
        }
        let change = if self.config.ramp_start_per_mille >= 1000 && self.config.ramp_successes == 0
        {
            self.close(now)
        } else {
            let share_per_mille = self.config.ramp_start_per_mille.clamp(1, 1000);
            self.enter(State::Ramp { share_per_mille, successes: 0, grown_at: now, active_at: now })
        };
        (Permit { epoch: self.epoch }, Some(change))
    }

    /// The attempt ended well.
    pub fn succeeded(&mut self, permit: Permit, now: Timestamp) -> Option<Change> {
        // A probe that ends without a first-content event (a whole answer) proves both at once.
        let (permit, first) = self.delivered(permit, now);
        if permit.epoch != self.epoch {
            return None;
        }
        match &mut self.state {
            State::Closed { detector, since } => {
                detector.succeeded();
                if self.trips > 0 && now.since(*since) >= FORGIVE_A_TRIP_AFTER {
                    self.trips -= 1;
                    *since = now;
                }
                first
            }
            State::Ramp { share_per_mille, successes, grown_at, active_at } => {
                *successes = successes.saturating_add(1);
                *active_at = now;
                if now.since(*grown_at) >= self.config.ramp_step {
                    *share_per_mille = (*share_per_mille + *share_per_mille / 2 + 1).min(1000);
                    *grown_at = now;
                }
                let done = *share_per_mille >= 1000 && *successes >= self.config.ramp_successes;
                if done { Some(self.close(now)) } else { first }
            }
            State::Open { .. } | State::HalfOpen { .. } => first,
        }
    }

    /// The attempt failed in a way that this breaker's cell is to blame for. `at_least` is a wait
    /// that the target asked for.
    pub fn failed(
        &mut self,
        permit: Permit,
        at_least: Option<Duration>,
        now: Timestamp,
        random: &mut Random,
    ) -> Option<Change> {
        if permit.epoch != self.epoch {
            return None;
        }
        match &mut self.state {
            State::Closed { detector, .. } => {
                if detector.failed(self.config.detector) {
                    Some(self.trip(at_least, now, random))
                } else {
                    None
                }
            }
            State::HalfOpen { .. } | State::Ramp { .. } => Some(self.trip(at_least, now, random)),
            State::Open { .. } => None,
        }
    }

    /// The attempt proved nothing: cancelled, the client left, or another cell was to blame. A
    /// probe's lease is given back at once.
    pub fn censored(&mut self, permit: Permit, now: Timestamp) -> Option<Change> {
        if permit.epoch != self.epoch || !matches!(self.state, State::HalfOpen { .. }) {
            return None;
        }
        // Not a failure: the next call may probe right away.
        Some(self.enter(State::Open { until: now }))
    }

    /// Evidence from outside the calls (a health check) that the cell is well.
    pub fn proved_well(&mut self, now: Timestamp) -> Option<Change> {
        match &mut self.state {
            State::Closed { detector, .. } => {
                detector.succeeded();
                None
            }
            State::Open { .. } | State::HalfOpen { .. } | State::Ramp { .. } => {
                Some(self.close(now))
            }
        }
    }

    /// Evidence from outside the calls that the cell is not well. An open breaker stays open for
    /// another wait, so that no call is spent on a probe that is bound to fail.
    pub fn proved_ill(&mut self, now: Timestamp, random: &mut Random) -> Option<Change> {
        match &mut self.state {
            State::Open { until } => {
                *until = (*until).max(now + self.config.recovery_max);
                None
            }
            State::Closed { .. } | State::Ramp { .. } => {
                self.failed(Permit { epoch: self.epoch }, None, now, random)
            }
            // The probe that is in flight knows better.
            State::HalfOpen { .. } => None,
        }
    }

    /// Whether nothing would be lost by forgetting this breaker.
    #[must_use]
    pub fn is_forgettable(&self) -> bool {
        match &self.state {
            State::Closed { detector, .. } => detector.failures_in_row() == 0,
            State::Open { .. } | State::HalfOpen { .. } | State::Ramp { .. } => false,
        }
    }

    fn close(&mut self, now: Timestamp) -> Change {
        self.enter(State::Closed { detector: Detector::default(), since: now })
    }

    fn trip(&mut self, at_least: Option<Duration>, now: Timestamp, random: &mut Random) -> Change {
        self.trips = self.trips.saturating_add(1);
        let wait = self.open_time(random).max(at_least.unwrap_or_default());
        self.enter_for(State::Open { until: now + wait }, wait)
    }

    /// `recovery * 2^(trips - 1)`, moved by up to 15 % and capped.
    fn open_time(&self, random: &mut Random) -> Duration {
        let doublings = self.trips.saturating_sub(1).min(16);
        let wait = scaled(self.config.recovery, 1 << doublings, 1).min(self.config.recovery_max);
        random.jittered(wait, 150).min(self.config.recovery_max)
    }

    fn enter(&mut self, state: State) -> Change {
        self.enter_for(state, Duration::ZERO)
    }

    fn enter_for(&mut self, state: State, wait: Duration) -> Change {
        let from = self.state.name();
        self.state = state;
        self.epoch += 1;
        Change { from, to: self.state.name(), wait, trips: self.trips }
    }
}

#[cfg(test)]
mod tests;
