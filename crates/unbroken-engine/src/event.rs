//! What happened that is worth seeing? One vocabulary for logs, metrics and drills.
//!
//! Observers match without a `_` arm: a new variant has a line and a counter, or the build fails.

use alloc::sync::Arc;
use core::time::Duration;

use crate::breaker::Change;
use crate::cause::FailureCause;
use crate::resume::{Delivered, How};

/// Something that happened in the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An attempt was started.
    AttemptStarted {
        /// The call, numbered by the fleet.
        call: u64,
        /// The attempt within the call, from 1.
        attempt: u32,
        /// The target's label.
        target: Arc<str>,
        /// Why it was started.
        why: Why,
    },
    /// An attempt delivered its first content.
    AttemptDelivered {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u32,
        /// The target's label.
        target: Arc<str>,
        /// Time since the attempt was started.
        after: Duration,
    },
    /// An attempt is over.
    AttemptEnded {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u32,
        /// The target's label.
        target: Arc<str>,
        /// How it ended.
        result: AttemptResult,
        /// How far it had come.
        phase: Phase,
        /// Time since the attempt was started.
        took: Duration,
        /// What it has used; absent if it used nothing that is known of.
        spent: Option<Spent>,
    },
    /// An answer broke after its first content.
    StreamBroke {
        /// The call.
        call: u64,
        /// The attempt.
        attempt: u32,
        /// The target's label.
        target: Arc<str>,
        /// Why.
        cause: FailureCause,
        /// What the client had of it.
        delivered: Delivered,
    },
    /// A broken answer goes on: what another attempt says fits what was delivered.
    StreamContinued {
        /// The call.
        call: u64,
        /// The attempt that goes on.
        attempt: u32,
        /// The target's label.
        target: Arc<str>,
        /// How it was asked.
        how: How,
        /// From the break to the first content after it.
        gap: Duration,
    },
    /// A call waits before it goes on.
    CallWaits {
        /// The call.
        call: u64,
        /// For how long.
        wait: Duration,
    },
    /// The retry budget refused another attempt.
    RetryRefused {
        /// The call.
        call: u64,
    },
    /// A breaker changed its state.
    BreakerChanged {
        /// What kind of cell it guards.
        cell: CellKind,
        /// The cell's name.
        name: Arc<str>,
        /// From what to what.
        change: Change,
        /// What tipped the balance.
        reason: ChangeReason,
    },
    /// A cell is blocked until a known time.
    CellBlocked {
        /// What kind of cell.
        cell: CellKind,
        /// The cell's name.
        name: Arc<str>,
        /// For how long.
        wait: Duration,
        /// Why.
        cause: FailureCause,
    },
    /// A model at an endpoint has become slow, or is quick again.
    SlownessChanged {
        /// The target's label.
        name: Arc<str>,
        /// Whether others are preferred from now on.
        is_degraded: bool,
    },
    /// Two targets were asked at once, and one has won.
    HedgeDecided {
        /// The call.
        call: u64,
        /// Whether the later one won.
        won: bool,
    },
    /// Almost everything became unreachable at once: our own network is to blame, not the targets.
    LocalFault {
        /// Whether it begins or ends.
        begins: bool,
    },
    /// Several keys of one endpoint were rejected at once: the provider is to blame, not the keys.
    KeysCleared {
        /// The endpoint's name.
        endpoint: Arc<str>,
    },
    /// A key was rejected for ten minutes: someone must look at it.
    KeyDead {
        /// The key's name.
        key: Arc<str>,
    },
    /// A target refuses valid requests as invalid.
    TargetBlamed {
        /// The target's label.
        name: Arc<str>,
    },
    /// A model has vanished at several endpoints.
    ModelWithdrawn {
        /// The model's name, without its host.
        model: Arc<str>,
        /// For how long it is not asked for anywhere.
        wait: Duration,
    },
    /// A call was turned away because every target is shut and most calls fail.
    CallThrottled {
        /// The call.
        call: u64,
    },
    /// A health check came back.
    HealthChecked {
        /// The endpoint's name.
        endpoint: Arc<str>,
        /// What it showed.
        health: Health,
    },
    /// A call is over.
    CallEnded {
        /// The call.
        call: u64,
        /// How it ended.
        outcome: Outcome,
        /// Attempts made.
        attempts: u32,
        /// Time since the call began.
        took: Duration,
    },
}

impl Event {
    /// The call to which it happened, if it happened to one.
    #[must_use]
    pub const fn call(&self) -> Option<u64> {
        match self {
            Self::AttemptStarted { call, .. }
            | Self::AttemptDelivered { call, .. }
            | Self::AttemptEnded { call, .. }
            | Self::StreamBroke { call, .. }
            | Self::StreamContinued { call, .. }
            | Self::CallWaits { call, .. }
            | Self::RetryRefused { call }
            | Self::HedgeDecided { call, .. }
            | Self::CallThrottled { call }
            | Self::CallEnded { call, .. } => Some(*call),
            Self::BreakerChanged { .. }
            | Self::CellBlocked { .. }
            | Self::SlownessChanged { .. }
            | Self::LocalFault { .. }
            | Self::KeysCleared { .. }
            | Self::KeyDead { .. }
            | Self::TargetBlamed { .. }
            | Self::ModelWithdrawn { .. }
            | Self::HealthChecked { .. } => None,
        }
    }
}

/// What an attempt has used, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Prompt, cached parts included.
    pub input: u64,
    /// Of these, read from a cache.
    pub cached: u64,
    /// Answer, thinking included.
    pub output: u64,
    /// Whether its target did not say, so that these are estimates.
    pub is_estimated: bool,
}

/// Why an attempt was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The call's first choice.
    First,
    /// The target before it failed.
    Failover,
    /// The same target once more.
    Retry,
    /// A pooled connection was stale; nothing was lost.
    Resend,
    /// The attempt before it is late: both go on, and the first content wins.
    Hedge,
    /// The attempt before it is a probe, which must not cost its caller much.
    Shadow,
    /// One more opinion: the target before it refused the request as invalid.
    Doubt,
    /// A broken answer is to go on.
    Continue,
}

impl Why {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Failover => "failover",
            Self::Retry => "retry",
            Self::Resend => "resend",
            Self::Hedge => "hedge",
            Self::Shadow => "shadow",
            Self::Doubt => "doubt",
            Self::Continue => "continue",
        }
    }
}

/// How far an attempt had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// No connection yet.
    Connecting,
    /// Connected, nothing useful received.
    Waiting,
    /// Content was received.
    Delivering,
}

impl Phase {
    /// The phase's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Delivering => "delivering",
        }
    }
}

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// The protocol's own end was seen.
    Answered,
    /// It failed.
    Failed(FailureCause),
    /// We ended it; nobody is blamed.
    Cancelled,
    /// It was late, and another one delivered first.
    LostRace,
}

impl AttemptResult {
    /// The result's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed(cause) => cause.name(),
            Self::Cancelled => "cancelled",
            Self::LostRace => "lost_race",
        }
    }
}

/// What kind of cell learned something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellKind {
    /// An endpoint's network and edge.
    Endpoint,
    /// An endpoint's service of one model.
    Serving,
    /// A key.
    Key,
    /// What a key may send to one model.
    Capacity,
    /// What a key's account may spend.
    Quota,
    /// Whether an endpoint has a model.
    Model,
    /// Whether anybody has a model.
    Family,
}

impl CellKind {
    /// The kind's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Endpoint => "endpoint",
            Self::Serving => "serving",
            Self::Key => "key",
            Self::Capacity => "capacity",
            Self::Quota => "quota",
            Self::Model => "model",
            Self::Family => "family",
        }
    }
}

/// What tipped the balance of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeReason {
    /// An attempt failed.
    Failed(FailureCause),
    /// An attempt was let through.
    Probing,
    /// An attempt delivered.
    Delivered,
    /// A probe was cancelled and proved nothing.
    Censored,
    /// A health check.
    HealthCheck,
    /// Another target delivered while this one was late.
    LostRace,
    /// An operator.
    Operator,
    /// Other replicas.
    Peers,
    /// A new configuration.
    Reload,
}

impl ChangeReason {
    /// The reason's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed(cause) => cause.name(),
            Self::Probing => "probing",
            Self::Delivered => "delivered",
            Self::Censored => "probe_cancelled",
            Self::HealthCheck => "health_check",
            Self::LostRace => "lost_race",
            Self::Operator => "operator",
            Self::Peers => "peers",
            Self::Reload => "reload",
        }
    }
}

/// What a health check showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// The endpoint answered.
    Well,
    /// The endpoint could not be reached or stayed silent.
    Ill,
    /// Neither (it answered with a failure of its own).
    Unclear,
}

impl Health {
    /// Its name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Ill => "ill",
            Self::Unclear => "unclear",
        }
    }
}

/// How a call ended, as its client saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The first attempt answered.
    Answered,
    /// A later attempt answered: without failover the client would have seen a failure.
    Rescued,
    /// The client was told what is wrong with its own request.
    Told,
    /// No target could answer.
    Failed,
    /// The answer broke after its first content and the client was told so.
    Broken,
    /// The client left.
    ClientGone,
}

impl Outcome {
    /// The outcome's name, for logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Rescued => "rescued",
            Self::Told => "client_error",
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::ClientGone => "client_gone",
        }
    }
}
