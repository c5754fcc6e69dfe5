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
//! An operator may force it open or closed, or drain it; what is forced is left by way of a probe.
//!
//! The wait starts at `recovery`, doubles with every trip in a row and is capped at
//! `recovery_max`, jitter included: many short probes cost little, one long wait costs an outage
//! its length again. The share grows with evidence, not with time, so a target that relapses under
//! load hurts a few calls only; one call per step may always come, however little traffic there is.
//!
//! | state | what is let through | left for | when |
//! |---|---|---|---|
//! | closed | everything | open | the detector says so |
//! | open | nothing, for 5 s, doubling with every trip in a row up to 15 s | half-open | the wait is over and somebody asks |
//! | half-open | one probe, with a lease of 30 s | ramp | it delivers its first content |
//! | | | open | it fails, for longer; it is cancelled, for no time at all |
//! | ramp | 10 %, half as much more with a success, every 2 s at most | closed | the share is whole, with 6 successes; or ten minutes without traffic |
//! | | | open | one whole failure below half of the traffic, half of what trips above |
//!
//! Invariants, checked by the tests for every short history:
//! - at most one probe is in flight, and its lease ends by itself;
//! - a target is refused only with a time at which asking again makes sense;
//! - a result is counted only for the state in which its permit was given (the epoch);
//! - one failure of one call never opens a closed breaker whose threshold is above one;
//! - hints from outside (other replicas, a provider's status page) arm the trigger, but never pull
//!   it: one failure of our own is always needed.
//!
//! Sources: seed document, "circuit breaker pattern"; engine.md 4.4 (T1 to T9), 4.12.

use core::time::Duration;

use crate::detector::{Detector, DetectorConfig, WHOLE};
use crate::random::{Random, scaled};
use crate::time::Timestamp;

/// Settings of one breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerConfig {
    /// What counts as failing. Default: the sequential detector.
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

    /// For a key: one rejection makes it suspect, for 30 s and up to a minute; a key that was
    /// rejected for ten minutes waits longer (`fleet/guard.rs`).
    ///
    /// Source: engine.md 4.2, rule C1.
    #[must_use]
    pub fn key() -> Self {
        Self {
            detector: DetectorConfig::consecutive(1),
            recovery: Duration::from_secs(30),
            recovery_max: Duration::from_secs(60),
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
    is_probe: bool,
}

impl Permit {
    /// Whether it is the one leave to probe.
    #[must_use]
    pub const fn is_probe(self) -> bool {
        self.is_probe
    }
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

/// What an operator wants, whatever the evidence says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forced {
    /// No work, until released.
    Open,
    /// Work flows, until released; not even failures stop it.
    Closed,
    /// No new work; what is under way ends as it may.
    Drain,
}

impl Forced {
    /// Its name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "forced_open",
            Self::Closed => "forced_closed",
            Self::Drain => "draining",
        }
    }
}

/// A call that is refused by an operator is told to come back after this.
const FORCED_ASK_AGAIN: Duration = Duration::from_secs(60);
/// What other replicas have seen counts for so long. Source: engine.md 4.12.
const HINTS_LAST: Duration = Duration::from_secs(10);
/// Hints alone stay this far below what trips.
const HINTS_STOP_BELOW: f64 = 0.01;
/// In the first half of its ramp a target is shut again by this much evidence, in thousandths of
/// a whole failure.
const EARLY_RAMP_MILLI: u32 = WHOLE;
/// The end of that half, in thousandths of its traffic.
const EARLY_RAMP: u32 = 500;

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
    detector: Detector,
    forced: Option<Forced>,
    /// Evidence of other replicas, as a share of what trips, and when it was heard.
    armed: Option<(f64, Timestamp)>,
    /// Whether the provider itself reports an incident: half of the evidence is enough.
    is_suspected: bool,
    /// Probes in a row that ended without a verdict.
    lost_probes: u32,
    changed_at: Timestamp,
    admitted_at: Timestamp,
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig, now: Timestamp) -> Self {
        Self {
            config,
            state: State::Closed { since: now },
            epoch: 0,
            trips: 0,
            detector: Detector::default(),
            forced: None,
            armed: None,
            is_suspected: false,
            lost_probes: 0,
            changed_at: now,
            admitted_at: Timestamp::ZERO,
        }
    }

    /// What it is doing.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What it would say to one more attempt at `now`. Changes nothing.
    #[must_use]
    pub fn standing(&self, now: Timestamp) -> Standing {
        match self.forced {
            Some(Forced::Open | Forced::Drain) => {
                return Standing::Refused { retry_at: now + FORCED_ASK_AGAIN };
            }
            Some(Forced::Closed) => return Standing::Ready,
            None => {}
        }
        match self.state {
            State::Closed { .. } => Standing::Ready,
            State::Ramp { active_at, .. } if now.since(active_at) >= IDLE_RAMP_CLOSES_AFTER => {
                Standing::Ready
            }
            State::Ramp { share_per_mille, .. } if share_per_mille >= 1000 => Standing::Ready,
            // A share of little traffic is nothing: one call per step may always come.
            State::Ramp { .. } if now.since(self.admitted_at) >= self.config.ramp_step => {
                Standing::Ready
            }
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
        self.admitted_at = now;
        if self.is_probing(now) || self.forced.is_some() {
            // A probe that is in flight is joined, not replaced: nobody else is left to ask.
            return (Permit { epoch: self.epoch, is_probe: false }, None);
        }
        let change = match self.state {
            State::Closed { .. } => None,
            State::Ramp { active_at, .. } if now.since(active_at) >= IDLE_RAMP_CLOSES_AFTER => {
                Some(self.close(now))
            }
            State::Ramp { .. } => None,
            State::Open { .. } | State::HalfOpen { .. } => {
                let probe_until = now + self.config.probe_timeout;
                Some(self.enter(State::HalfOpen { probe_until }, now))
            }
        };
        let is_probe = matches!(self.state, State::HalfOpen { .. });
        (Permit { epoch: self.epoch, is_probe }, change)
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
        self.detector.reset();
        let change = if self.config.ramp_start_per_mille >= 1000 && self.config.ramp_successes == 0
        {
            self.close(now)
        } else {
            let share_per_mille = self.config.ramp_start_per_mille.clamp(1, 1000);
            self.enter(
                State::Ramp { share_per_mille, successes: 0, grown_at: now, active_at: now },
                now,
            )
        };
        self.lost_probes = 0;
        (Permit { epoch: self.epoch, is_probe: false }, Some(change))
    }

    /// The attempt ended well.
    pub fn succeeded(&mut self, permit: Permit, now: Timestamp) -> Option<Change> {
        // A probe that ends without a first-content event (a whole answer) proves both at once.
        let (permit, first) = self.delivered(permit, now);
        if permit.epoch != self.epoch {
            return None;
        }
        self.detector.succeeded(self.config.detector, now);
        match &mut self.state {
            State::Closed { since } => {
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

    /// The attempt failed in a way that this breaker's cell is to blame for, with `weight`
    /// thousandths. `at_least` is a wait that the target asked for.
    pub fn failed(
        &mut self,
        permit: Permit,
        weight: u32,
        at_least: Option<Duration>,
        now: Timestamp,
        random: &mut Random,
    ) -> Option<Change> {
        if permit.epoch != self.epoch {
            return None;
        }
        self.detector.failed(self.config.detector, weight, now);
        let is_enough = match self.state {
            State::Closed { .. } => self.level(now) >= 1.0,
            State::HalfOpen { .. } => true,
            State::Ramp { share_per_mille, .. } if share_per_mille <= EARLY_RAMP => {
                self.detector.in_row_milli() >= EARLY_RAMP_MILLI
            }
            State::Ramp { .. } => self.level(now) >= 0.5,
            State::Open { .. } => false,
        };
        let is_free = self.forced != Some(Forced::Closed);
        (is_enough && is_free).then(|| self.trip(at_least, now, random))
    }

    /// How much of what trips is there, hints included: 1 and above trips.
    #[must_use]
    pub fn level(&self, now: Timestamp) -> f64 {
        let own = self.detector.level(self.config.detector);
        let own = if self.is_suspected { own * 2.0 } else { own };
        match self.armed {
            // The last own failure is what trips: hints stand in for the ones before it.
            Some((hints, heard_at)) if now.since(heard_at) < HINTS_LAST && own > 0.0 => {
                let step = self.detector.in_row_milli().min(WHOLE);
                let step = f64::from(step) / f64::from(WHOLE) * 2.0 * HINTS_STOP_BELOW;
                own.max(hints.min(1.0 - HINTS_STOP_BELOW) + step)
            }
            _ => own,
        }
    }

    /// The evidence of our own, without hints, as a share of what trips.
    #[must_use]
    pub fn own_level(&self) -> f64 {
        self.detector.level(self.config.detector)
    }

    /// What other replicas have seen, as a share of what trips.
    pub const fn arm(&mut self, hints: f64, now: Timestamp) {
        self.armed = Some((hints, now));
    }

    /// Many other replicas have tripped: do so, too, for the time that is left to them.
    pub fn adopt_open(&mut self, left: Duration, now: Timestamp) -> Option<Change> {
        match self.state {
            State::Closed { .. } | State::Ramp { .. } => {
                let wait = left.min(self.config.recovery_max);
                self.trips = self.trips.saturating_add(1);
                Some(self.enter_for(State::Open { until: now + wait }, wait, now))
            }
            State::Open { .. } | State::HalfOpen { .. } => None,
        }
    }

    /// Another replica has seen it well, or our own network was to blame: probe now.
    pub fn probe_now(&mut self, now: Timestamp) {
        if let State::Open { until } = &mut self.state {
            *until = (*until).min(now);
        }
    }

    /// Whether the provider reports an incident of its own.
    pub const fn suspect(&mut self, is_suspected: bool) {
        self.is_suspected = is_suspected;
    }

    /// An operator decides; `None` releases. What was forced is left by way of a probe.
    pub fn force(&mut self, forced: Option<Forced>, now: Timestamp) -> Option<Change> {
        if forced == self.forced {
            return None;
        }
        let from = self.state_name();
        self.forced = forced;
        self.state = State::Open { until: now };
        self.detector.reset();
        self.epoch += 1;
        Some(Change { from, to: self.state_name(), wait: Duration::ZERO, trips: self.trips })
    }

    /// What an operator wants of it.
    #[must_use]
    pub const fn forced(&self) -> Option<Forced> {
        self.forced
    }

    /// The state's name, what is forced included.
    #[must_use]
    pub const fn state_name(&self) -> &'static str {
        match self.forced {
            Some(forced) => forced.name(),
            None => self.state.name(),
        }
    }

    /// Goes on with other settings; what is known is kept.
    pub fn reconfigure(&mut self, config: BreakerConfig) {
        self.config = config;
        self.detector.reconfigure(config.detector);
    }

    /// The target has changed (another address, another key): what was known is not about it.
    pub fn start_over(&mut self, now: Timestamp) -> Change {
        self.detector = Detector::default();
        self.trips = 0;
        let share_per_mille = self.config.ramp_start_per_mille.clamp(1, 1000);
        self.enter(
            State::Ramp { share_per_mille, successes: 0, grown_at: now, active_at: now },
            now,
        )
    }

    /// Trips in a row, forgiven one by one in quiet times.
    #[must_use]
    pub const fn trips(&self) -> u32 {
        self.trips
    }

    /// When its state changed last.
    #[must_use]
    pub const fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// Probes in a row that ended without a verdict: the next one should be given more time.
    #[must_use]
    pub const fn lost_probes(&self) -> u32 {
        self.lost_probes
    }

    /// Counts every change of state.
    #[must_use]
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The evidence of our own.
    #[must_use]
    pub const fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Since when it is closed, without having been open before or after a recovery; `None` if it
    /// is not closed.
    #[must_use]
    pub const fn closed_since(&self) -> Option<Timestamp> {
        match self.state {
            State::Closed { since } => Some(since),
            State::Open { .. } | State::HalfOpen { .. } | State::Ramp { .. } => None,
        }
    }

    /// The attempt proved nothing: cancelled, the client left, or another cell was to blame. A
    /// probe's lease is given back at once.
    pub fn censored(&mut self, permit: Permit, now: Timestamp) -> Option<Change> {
        if permit.epoch != self.epoch || !permit.is_probe {
            return None;
        }
        self.lost_probes = self.lost_probes.saturating_add(1);
        // Not a failure: the next call may probe right away.
        Some(self.enter(State::Open { until: now }, now))
    }

    /// Evidence from outside the calls (a health check) that the cell is well.
    pub fn proved_well(&mut self, now: Timestamp) -> Option<Change> {
        match &mut self.state {
            State::Closed { .. } => {
                self.detector.succeeded(self.config.detector, now);
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
                self.failed(Permit { epoch: self.epoch, is_probe: false }, WHOLE, None, now, random)
            }
            // The probe that is in flight knows better.
            State::HalfOpen { .. } => None,
        }
    }

    /// Whether nothing would be lost by forgetting this breaker.
    #[must_use]
    pub fn is_forgettable(&self) -> bool {
        match &self.state {
            State::Closed { .. } => self.forced.is_none() && self.own_level() < 0.01,
            State::Open { .. } | State::HalfOpen { .. } | State::Ramp { .. } => false,
        }
    }

    fn close(&mut self, now: Timestamp) -> Change {
        self.detector.reset();
        self.enter(State::Closed { since: now }, now)
    }

    fn trip(&mut self, at_least: Option<Duration>, now: Timestamp, random: &mut Random) -> Change {
        self.trips = self.trips.saturating_add(1);
        self.detector.reset();
        let wait = self.open_time(random).max(at_least.unwrap_or_default());
        self.enter_for(State::Open { until: now + wait }, wait, now)
    }

    /// `recovery * 2^(trips - 1)`, moved by up to 15 % and capped.
    fn open_time(&self, random: &mut Random) -> Duration {
        let doublings = self.trips.saturating_sub(1).min(16);
        let wait = scaled(self.config.recovery, 1 << doublings, 1).min(self.config.recovery_max);
        random.jittered(wait, 150).min(self.config.recovery_max)
    }

    fn enter(&mut self, state: State, now: Timestamp) -> Change {
        self.enter_for(state, Duration::ZERO, now)
    }

    fn enter_for(&mut self, state: State, wait: Duration, now: Timestamp) -> Change {
        self.changed_at = now;
        let from = self.state_name();
        self.state = state;
        self.epoch += 1;
        Change { from, to: self.state_name(), wait, trips: self.trips }
    }
}

#[cfg(test)]
mod tests;
