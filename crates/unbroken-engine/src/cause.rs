//! Why did an attempt fail, and what may be done about it?
//!
//! Each provider's words are translated to one [`FailureCause`] once (`classify`, in the
//! `unbroken` crate). What follows from a cause is decided here, in [`FailureCause::remedy`] and
//! [`FailureCause::blame`], and nowhere else.

use core::fmt;
use core::time::Duration;

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureCause {
    /// No connection: DNS, TCP or TLS failed or took too long. Nothing was sent.
    Unreachable(Unreachable),
    /// A pooled connection turned out to be closed before the target answered on it.
    StaleConnection,
    /// The connection was lost after the request was sent and before the answer's first byte.
    ConnectionLost,
    /// The target accepted the request and then said nothing useful for too long.
    Silent,
    /// The target answered with a failure of its own (HTTP 5xx, 408, 424 and kin).
    TargetError {
        /// The HTTP status, or the one that an error inside a 200 stands for.
        status: u16,
    },
    /// Something in front of the target failed: an HTML page or an empty body with a 5xx.
    EdgeError {
        /// The HTTP status.
        status: u16,
    },
    /// The target has no room at the moment (HTTP 529, 503 "overloaded", capacity 429).
    Overloaded {
        /// The wait that the target asked for, if it named one.
        retry_after: Option<Duration>,
    },
    /// This key may not send more for now (HTTP 429 and kin).
    RateLimited {
        /// The wait that the target asked for, if it named one.
        retry_after: Option<Duration>,
    },
    /// The key's account is out of quota or money; waiting a little does not help.
    QuotaExhausted {
        /// The wait until the quota is renewed, if the target named one.
        retry_after: Option<Duration>,
    },
    /// The target does not accept the key (HTTP 401, 403 and kin).
    KeyRejected,
    /// The target does not have the model, or not for this key.
    ModelGone,
    /// The answer cannot be read: not JSON, a malformed chunk, a failure to finish.
    Malformed,
    /// The answer claims success and holds nothing.
    EmptyAnswer,
    /// The answer's bytes ended before the answer did.
    Truncated,
    /// The stream stopped moving after its first content.
    Stalled,
    /// The request is more than this target can take: context, size, a parameter, an image.
    TargetCannot(Limitation),
    /// The target refused for reasons of content policy.
    PolicyRefused {
        /// The HTTP status.
        status: u16,
    },
    /// The request itself is wrong; every target would say so.
    InvalidRequest {
        /// The HTTP status.
        status: u16,
    },
    /// The target is configured wrongly: a redirect, an unknown path, an unknown deployment.
    Misconfigured {
        /// The HTTP status, or 0 if the request could not even be built.
        status: u16,
    },
    /// The target does not take the beginning of an answer as a part of the request.
    PrefixRefused,
    /// What the target said does not go on from what was delivered before.
    Unjoinable,
    /// The call's own time is up.
    OutOfTime,
}

/// What kept us from connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// The name did not resolve.
    Dns,
    /// The port refused or the network failed.
    Tcp,
    /// No secure connection could be agreed on.
    Tls,
    /// Connecting took longer than its limit.
    TimedOut,
}

/// Why a target cannot take a request that another may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limitation {
    /// The prompt is longer than the model's context.
    Context,
    /// The body is larger than the target accepts.
    Size,
    /// A parameter, block type or schema that this target does not know.
    Feature,
}

/// What may be done about a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Send to the same target at once: nothing was sent before, or the request is put another
    /// way. It is free.
    Resend,
    /// Go on to another target; if only a different model is left, the same target may be tried
    /// once more first, after a short pause.
    RetryOrFailOver,
    /// Go on to another target; this one is not asked again within the call.
    FailOver,
    /// Go on to another target; if none can serve, the client hears this target's own words.
    FailOverOrTell,
    /// Tell the client: no target could do better.
    Tell,
}

/// Which cell of the fleet learns from the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Nobody: the target did nothing wrong.
    Nobody,
    /// The endpoint's network and edge.
    Endpoint,
    /// The endpoint's service of this model: the breaker.
    Serving,
    /// Both the endpoint and its service of the model.
    EndpointAndServing,
    /// Capacity of this key for this model: blocked until a known time, never a breaker strike.
    Capacity {
        /// How long, if the target said so.
        retry_after: Option<Duration>,
    },
    /// The service of this model, and no traffic until the time it named.
    ServingUntil {
        /// How long, if the target said so.
        retry_after: Option<Duration>,
    },
    /// Quota of the key, for every model.
    Quota {
        /// How long, if the target said so.
        retry_after: Option<Duration>,
    },
    /// The key itself.
    Key,
    /// This endpoint's claim to have the model.
    Model,
}

impl FailureCause {
    /// Every cause once, for tables and tests.
    pub const ALL: &'static [Self] = &[
        Self::Unreachable(Unreachable::Dns),
        Self::Unreachable(Unreachable::Tcp),
        Self::Unreachable(Unreachable::Tls),
        Self::Unreachable(Unreachable::TimedOut),
        Self::StaleConnection,
        Self::ConnectionLost,
        Self::Silent,
        Self::TargetError { status: 500 },
        Self::EdgeError { status: 502 },
        Self::Overloaded { retry_after: None },
        Self::RateLimited { retry_after: None },
        Self::QuotaExhausted { retry_after: None },
        Self::KeyRejected,
        Self::ModelGone,
        Self::Malformed,
        Self::EmptyAnswer,
        Self::Truncated,
        Self::Stalled,
        Self::TargetCannot(Limitation::Context),
        Self::TargetCannot(Limitation::Size),
        Self::TargetCannot(Limitation::Feature),
        Self::PolicyRefused { status: 400 },
        Self::InvalidRequest { status: 400 },
        Self::Misconfigured { status: 404 },
        Self::PrefixRefused,
        Self::Unjoinable,
        Self::OutOfTime,
    ];

    /// What may be done about it, as long as the client has seen nothing of the answer.
    #[must_use]
    pub const fn remedy(self) -> Remedy {
        // No `_` arm: whoever adds a cause decides here, or the build fails.
        match self {
            Self::StaleConnection | Self::PrefixRefused => Remedy::Resend,
            Self::ConnectionLost | Self::TargetError { .. } | Self::Overloaded { .. } => {
                Remedy::RetryOrFailOver
            }
            // A rate limit may be waited for on the same target when it is short.
            Self::RateLimited { .. } => Remedy::RetryOrFailOver,
            Self::Unreachable(_)
            | Self::Silent
            | Self::EdgeError { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::Unjoinable
            | Self::Misconfigured { .. } => Remedy::FailOver,
            Self::TargetCannot(_) | Self::ModelGone => Remedy::FailOverOrTell,
            Self::PolicyRefused { .. } | Self::InvalidRequest { .. } | Self::OutOfTime => {
                Remedy::Tell
            }
        }
    }

    /// Who learns from it.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::Unreachable(_) => Blame::Endpoint,
            Self::EdgeError { .. } => Blame::EndpointAndServing,
            Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled => Blame::Serving,
            Self::Overloaded { retry_after } => Blame::ServingUntil { retry_after },
            Self::RateLimited { retry_after } => Blame::Capacity { retry_after },
            Self::QuotaExhausted { retry_after } => Blame::Quota { retry_after },
            Self::KeyRejected | Self::Misconfigured { status: 401 | 403 } => Blame::Key,
            Self::ModelGone | Self::Misconfigured { .. } => Blame::Model,
            Self::StaleConnection
            | Self::TargetCannot(_)
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::PrefixRefused
            | Self::Unjoinable
            | Self::OutOfTime => Blame::Nobody,
        }
    }

    /// Whether the target may be asked once more within the same call when nobody else is left.
    #[must_use]
    pub const fn may_revisit(self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            // Only an answer that is half told stalls: to go on with it is worth another try.
            | Self::Stalled
            | Self::PrefixRefused => true,
            // A silent target has cost its time already (engine.md section 0, decision 5).
            Self::Silent
            | Self::Unjoinable
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::TargetCannot(_)
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::Misconfigured { .. }
            | Self::OutOfTime => false,
        }
    }

    /// Whether the target has certainly not processed the request: then even a request with
    /// effects of its own may be sent elsewhere.
    #[must_use]
    pub const fn is_unprocessed(self) -> bool {
        match self {
            Self::Unreachable(_)
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::TargetCannot(_)
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::PrefixRefused
            | Self::Misconfigured { .. } => true,
            Self::StaleConnection
            | Self::Unjoinable
            | Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::OutOfTime => false,
        }
    }

    /// How much the failure weighs as evidence against its cell, in thousandths.
    ///
    /// Source: engine.md 3.1 and 4.2.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            // Transient by their own words.
            Self::TargetError { status: 408 | 425 | 499 } => 500,
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::TargetCannot(_)
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::Misconfigured { .. }
            | Self::PrefixRefused
            | Self::Unjoinable
            | Self::OutOfTime => 1000,
        }
    }

    /// The wait that the target asked for, if it named one.
    #[must_use]
    pub const fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Overloaded { retry_after }
            | Self::RateLimited { retry_after }
            | Self::QuotaExhausted { retry_after } => retry_after,
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::TargetCannot(_)
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::Misconfigured { .. }
            | Self::PrefixRefused
            | Self::Unjoinable
            | Self::OutOfTime => None,
        }
    }

    /// Whether the failure shows that the endpoint's network and edge work.
    #[must_use]
    pub const fn proves_reachable(self) -> bool {
        match self {
            Self::TargetError { .. }
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::PrefixRefused
            | Self::Unjoinable
            | Self::Misconfigured { .. } => true,
            // `TargetCannot` may have been found out without sending anything.
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::Silent
            | Self::EdgeError { .. }
            | Self::TargetCannot(_)
            | Self::OutOfTime => false,
        }
    }

    /// Whether the failure shows that the target accepts the key.
    #[must_use]
    pub const fn proves_key(self) -> bool {
        match self {
            Self::RateLimited { .. } | Self::PolicyRefused { .. } | Self::Unjoinable => true,
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::Overloaded { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::TargetCannot(_)
            | Self::InvalidRequest { .. }
            | Self::Misconfigured { .. }
            | Self::PrefixRefused
            | Self::OutOfTime => false,
        }
    }

    /// Whether the failure shows that the target serves the model: it understood and said no.
    #[must_use]
    pub const fn proves_serving(self) -> bool {
        match self {
            Self::PolicyRefused { .. }
            | Self::InvalidRequest { .. }
            | Self::PrefixRefused
            | Self::Unjoinable => true,
            Self::Unreachable(_)
            | Self::StaleConnection
            | Self::ConnectionLost
            | Self::Silent
            | Self::TargetError { .. }
            | Self::EdgeError { .. }
            | Self::Overloaded { .. }
            | Self::RateLimited { .. }
            | Self::QuotaExhausted { .. }
            | Self::KeyRejected
            | Self::ModelGone
            | Self::Malformed
            | Self::EmptyAnswer
            | Self::Truncated
            | Self::Stalled
            | Self::TargetCannot(_)
            | Self::Misconfigured { .. }
            | Self::OutOfTime => false,
        }
    }

    /// The cause's short name, for logs, metrics and headers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unreachable(Unreachable::Dns) => "dns_failed",
            Self::Unreachable(Unreachable::Tcp) => "connect_failed",
            Self::Unreachable(Unreachable::Tls) => "tls_failed",
            Self::Unreachable(Unreachable::TimedOut) => "connect_timeout",
            Self::StaleConnection => "stale_connection",
            Self::ConnectionLost => "connection_lost",
            Self::Silent => "silent",
            Self::TargetError { .. } => "target_error",
            Self::EdgeError { .. } => "edge_error",
            Self::Overloaded { .. } => "overloaded",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::KeyRejected => "key_rejected",
            Self::ModelGone => "model_gone",
            Self::Malformed => "malformed",
            Self::EmptyAnswer => "empty_answer",
            Self::Truncated => "truncated",
            Self::Stalled => "stalled",
            Self::TargetCannot(Limitation::Context) => "context_too_long",
            Self::TargetCannot(Limitation::Size) => "request_too_large",
            Self::TargetCannot(Limitation::Feature) => "unsupported",
            Self::PolicyRefused { .. } => "policy_refused",
            Self::InvalidRequest { .. } => "invalid_request",
            Self::Misconfigured { .. } => "misconfigured",
            Self::PrefixRefused => "prefix_refused",
            Self::Unjoinable => "unjoinable",
            Self::OutOfTime => "out_of_time",
        }
    }
}

impl fmt::Display for FailureCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(Unreachable::Dns) => f.write_str("its name did not resolve"),
            Self::Unreachable(Unreachable::Tcp) => f.write_str("it could not be connected to"),
            Self::Unreachable(Unreachable::Tls) => {
                f.write_str("no TLS connection to it was agreed")
            }
            Self::Unreachable(Unreachable::TimedOut) => {
                f.write_str("connecting to it took too long")
            }
            Self::StaleConnection => f.write_str("a pooled connection to it was already closed"),
            Self::ConnectionLost => f.write_str("the connection was lost before it answered"),
            Self::Silent => f.write_str("it stayed silent for too long"),
            Self::TargetError { status } => write!(f, "it failed with status {status}"),
            Self::EdgeError { status } => write!(f, "its edge failed with status {status}"),
            Self::Overloaded { .. } => f.write_str("it is overloaded"),
            Self::RateLimited { .. } => f.write_str("it limits the rate of this key"),
            Self::QuotaExhausted { .. } => f.write_str("the account's quota or credit is used up"),
            Self::KeyRejected => f.write_str("it does not accept the key"),
            Self::ModelGone => f.write_str("it does not have the model"),
            Self::Malformed => f.write_str("its answer could not be read"),
            Self::EmptyAnswer => f.write_str("its answer was empty"),
            Self::Truncated => f.write_str("its answer broke off"),
            Self::Stalled => f.write_str("its answer stalled"),
            Self::TargetCannot(Limitation::Context) => f.write_str("the prompt is too long for it"),
            Self::TargetCannot(Limitation::Size) => f.write_str("the request is too large for it"),
            Self::TargetCannot(Limitation::Feature) => {
                f.write_str("it cannot express something in the request")
            }
            Self::PolicyRefused { .. } => f.write_str("it refused for reasons of content policy"),
            Self::InvalidRequest { .. } => f.write_str("the request is not valid"),
            Self::Misconfigured { status: 0 } => f.write_str("it is configured wrongly"),
            Self::Misconfigured { status } => {
                write!(f, "it is configured wrongly (status {status})")
            }
            Self::PrefixRefused => f.write_str("it does not take the beginning of an answer"),
            Self::Unjoinable => f.write_str("what it said did not go on from what was there"),
            Self::OutOfTime => f.write_str("the call's time was up"),
        }
    }
}
