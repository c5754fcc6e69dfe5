//! How available was it, and what did failover do? Made from the sums of the ledger.
//!
//! Source: engine.md 6 and 8.1.

use serde::Serialize;
use serde_json::Value as Json;

mod dates;
mod gather;
pub(crate) mod html;
mod incidents;
mod share;
pub(crate) mod text;

pub(crate) use gather::{Window, gather};
pub(crate) use share::{Budget, Money, Share};

/// Columns of the chart, at most.
pub(crate) const BINS: u64 = 60;

/// A report of a span of time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// From when, in milliseconds since 1970: the beginning of a minute.
    pub(crate) since_ms: u64,
    /// Up to when.
    pub(crate) until_ms: u64,
    /// For how long of it a gateway was running.
    pub(crate) covered_ms: u64,
    /// How often a gateway ended without saying so.
    pub(crate) unclean_stops: u64,
    /// All routes together.
    pub(crate) total: RouteReport,
    pub(crate) routes: Vec<RouteReport>,
    pub(crate) targets: Vec<TargetReport>,
    /// What failover cost, by what for: `failed`, `hedge`, `continuation`, `left`.
    pub(crate) extra: Vec<Extra>,
    /// The middle and the longest time from a first failure to its detection.
    pub(crate) detect_ms: Option<Times>,
    /// From the first failure to the end.
    pub(crate) recover_ms: Option<Times>,
    /// The newest first.
    pub(crate) incidents: Vec<IncidentReport>,
    /// Calls over time, the oldest first.
    pub(crate) over_time: Vec<Bin>,
}

/// One route, or all of them.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct RouteReport {
    pub(crate) route: String,
    /// The share of valid calls that clients are to see answered.
    pub(crate) slo: f64,
    pub(crate) calls: u64,
    /// Calls that are neither their client's own mistake nor left by it.
    pub(crate) valid: u64,
    /// What clients saw: the share of valid calls that was answered.
    pub(crate) seen: Share,
    /// What they would have seen of the preferred targets alone.
    pub(crate) without_failover: Share,
    /// Answered after an attempt had failed.
    pub(crate) rescued: u64,
    /// Answered elsewhere at once, because the preferred targets were down.
    pub(crate) avoided: u64,
    /// Both together.
    pub(crate) saved: u64,
    /// Nobody answered.
    pub(crate) failed: u64,
    /// The answer broke, and its client was told so.
    pub(crate) broken: u64,
    /// The client's own mistake.
    pub(crate) client_errors: u64,
    /// The client left.
    pub(crate) client_gone: u64,
    /// Attempts per call.
    pub(crate) amplification: f64,
    /// Tokens of broken answers that were not lost.
    pub(crate) saved_tokens: u64,
    pub(crate) budget: Budget,
    /// Tokens in and out that went into answers, and their cost.
    pub(crate) answers: Money,
    /// The same that went elsewhere: what failover cost.
    pub(crate) extra: Money,
}

/// One target.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct TargetReport {
    pub(crate) target: String,
    pub(crate) attempts: u64,
    pub(crate) answered: u64,
    /// Attempts that failed through its fault.
    pub(crate) failed: u64,
    /// The share of attempts that it answered, of those that ended by its doing.
    pub(crate) available: Share,
    pub(crate) incidents: u64,
    pub(crate) detect_ms: Option<Times>,
    pub(crate) recover_ms: Option<Times>,
    pub(crate) used: Money,
}

/// What failover used for one purpose.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Extra {
    pub(crate) purpose: String,
    #[serde(flatten)]
    pub(crate) used: Money,
}

/// The middle and the longest of several times, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Times {
    pub(crate) median: u64,
    pub(crate) longest: u64,
}

/// One incident.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IncidentReport {
    pub(crate) cell: String,
    pub(crate) name: String,
    pub(crate) words: String,
    pub(crate) began_ms: u64,
    pub(crate) detected_ms: u64,
    /// Absent while it goes on, or if the gateway ended before it.
    pub(crate) ended_ms: Option<u64>,
    /// Whether it goes on at a gateway that runs.
    pub(crate) is_open: bool,
    /// Attempts that failed because of it.
    pub(crate) victims: u64,
    pub(crate) client_failures: u64,
    /// Who answered instead, and how often.
    pub(crate) moved: Json,
    /// Its lines: `at_ms` and `text`.
    pub(crate) timeline: Json,
}

/// A column of the chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Bin {
    pub(crate) from_ms: u64,
    /// Valid calls.
    pub(crate) valid: u64,
    pub(crate) saved: u64,
    /// Clients that saw a failure.
    pub(crate) failed: u64,
}

#[cfg(test)]
mod tests;
