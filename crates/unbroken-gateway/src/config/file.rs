//! The configuration file, as typed.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Visitor};
use toml::Spanned;
use unbroken_wire::resume::Prefill;

/// `unbroken.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) provider: Vec<ProviderFile>,
    #[serde(default)]
    pub(super) route: Vec<RouteFile>,
    #[serde(default)]
    pub(super) limits: LimitsFile,
    #[serde(default)]
    pub(super) breaker: BreakerFile,
    #[serde(default)]
    pub(super) retry: RetryFile,
    #[serde(default)]
    pub(super) health: HealthFile,
    #[serde(default)]
    pub(super) server: ServerFile,
    pub(super) admin: Option<AdminFile>,
    pub(super) slo: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) ledger: LedgerFile,
    #[serde(default)]
    pub(super) alerts: AlertsFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProviderFile {
    pub(super) name: Spanned<String>,
    pub(super) provider: Option<Spanned<String>>,
    pub(super) dialect: Option<Spanned<String>>,
    pub(super) base_url: Option<Spanned<String>>,
    pub(super) key: Option<Spanned<String>>,
    pub(super) key_file: Option<Spanned<String>>,
    pub(super) api_version: Option<Spanned<String>>,
    pub(super) region: Option<Spanned<String>>,
    pub(super) project: Option<String>,
    pub(super) credentials_file: Option<Spanned<String>>,
    pub(super) profile: Option<Spanned<String>>,
    #[serde(default)]
    pub(super) metadata: bool,
    #[serde(default)]
    pub(super) models: Vec<ModelFile>,
    #[serde(default)]
    pub(super) http2: bool,
    pub(super) status_url: Option<Spanned<String>>,
    pub(super) prefill: Option<PrefillFile>,
}

/// How the beginning of an answer is sent along.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PrefillFile {
    ContinueFinalMessage,
    Prefix,
    Partial,
    Trailing,
}

impl PrefillFile {
    pub(super) const fn meant(self) -> Prefill {
        match self {
            Self::ContinueFinalMessage => Prefill::ContinueField,
            Self::Prefix => Prefill::PrefixField,
            Self::Partial => Prefill::PartialField,
            Self::Trailing => Prefill::Trailing,
        }
    }
}

/// What the models of a provider can carry, where the program's table is wrong or silent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ModelFile {
    pub(super) name: String,
    #[serde(default)]
    pub(super) lacks: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) has: Vec<Spanned<String>>,
    pub(super) context: Option<Spanned<u64>>,
    pub(super) price: Option<Spanned<PriceFile>>,
}

/// What a model costs, in US dollars per million tokens.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceFile {
    pub(super) input: f64,
    /// Input that was read from a cache.
    pub(super) cached: Option<f64>,
    pub(super) output: f64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LedgerFile {
    pub(super) enabled: Option<bool>,
    pub(super) path: Option<Spanned<String>>,
    pub(super) max_size: Option<Spanned<String>>,
    pub(super) max_age: Option<Spanned<String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AlertsFile {
    pub(super) webhook: Option<Spanned<String>>,
    pub(super) redundancy_after: Option<Span>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RouteFile {
    pub(super) name: Spanned<String>,
    #[serde(default)]
    pub(super) targets: Vec<Spanned<String>>,
    #[serde(default)]
    /// A target is its name, or a table with a weight.
    pub(super) tiers: Vec<Vec<Spanned<toml::Value>>>,
    #[serde(default)]
    pub(super) order: OrderFile,
    #[serde(default)]
    pub(super) limits: LimitsFile,
    #[serde(default)]
    pub(super) stream: StreamFile,
    pub(super) slo: Option<Spanned<f64>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamFile {
    #[serde(rename = "continue")]
    pub(super) continues: Option<bool>,
    pub(super) hold_tool_calls: Option<bool>,
    pub(super) commit_hold: Option<Spanned<Span<true>>>,
    pub(super) keep_alive: Option<Span>,
    pub(super) early_keep_alive: Option<bool>,
    pub(super) trail: Option<bool>,
}

/// A target with a weight.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WeightedFile {
    pub(super) target: String,
    #[serde(default = "one")]
    pub(super) weight: u32,
}

const fn one() -> u32 {
    1
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OrderFile {
    #[default]
    Balanced,
    Weighted,
    Rotate,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsFile {
    pub(super) connect: Option<Span>,
    pub(super) first_token: Option<Span>,
    pub(super) first_token_reasoning: Option<Span>,
    pub(super) answer: Option<Span>,
    pub(super) silence: Option<Span>,
    pub(super) between_tokens: Option<Span>,
    pub(super) stall: Option<Span>,
    pub(super) total: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakerFile {
    pub(super) failure_threshold: Option<Spanned<u32>>,
    pub(super) recovery: Option<Span>,
    pub(super) recovery_max: Option<Spanned<Span>>,
    pub(super) probe_timeout: Option<Span>,
    pub(super) ramp_start: Option<Spanned<f64>>,
    pub(super) ramp_step: Option<Span>,
    pub(super) ramp_successes: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RetryFile {
    pub(super) max_attempts: Option<Spanned<u32>>,
    pub(super) revisits: Option<Spanned<u32>>,
    pub(super) patience: Option<Span<true>>,
    pub(super) backoff: Option<Span>,
    pub(super) backoff_max: Option<Span>,
    pub(super) budget: Option<Spanned<u32>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthFile {
    pub(super) enabled: Option<bool>,
    pub(super) interval: Option<Span>,
    pub(super) timeout: Option<Span>,
    pub(super) probes: Option<bool>,
    pub(super) probes_per_day: Option<Spanned<u32>>,
    pub(super) exercise: Option<Span>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServerFile {
    pub(super) body_max: Option<Spanned<String>>,
    pub(super) drain: Option<Span>,
    pub(super) substitute: Option<bool>,
    pub(super) connections_max: Option<Spanned<u32>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AdminFile {
    pub(super) listen: Option<Spanned<String>>,
    pub(super) token: Option<Spanned<String>>,
    pub(super) token_file: Option<Spanned<String>>,
}

/// A duration as people write it: `250ms`, `10s`, `5m`, `1h`; zero only where that means "off".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<const MAY_BE_ZERO: bool = false>(pub(super) Duration);

impl<'de, const MAY_BE_ZERO: bool> Deserialize<'de> for Span<MAY_BE_ZERO> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpanVisitor<const MAY_BE_ZERO: bool>;
        impl<const MAY_BE_ZERO: bool> Visitor<'_> for SpanVisitor<MAY_BE_ZERO> {
            type Value = Span<MAY_BE_ZERO>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let above = if MAY_BE_ZERO { "" } else { ", above zero" };
                write!(f, "a duration such as \"250ms\", \"10s\" or \"5m\"{above}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                let has_unit = text.ends_with(|c: char| c.is_ascii_alphabetic());
                let read = unbroken_wire::error::read_duration(text).filter(|_| has_unit);
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                let read = read.filter(|span| MAY_BE_ZERO || !span.is_zero());
                let span = read.filter(|span| *span <= DAY).ok_or_else(wrong)?;
                Ok(Span(span))
            }
        }
        deserializer.deserialize_str(SpanVisitor::<MAY_BE_ZERO>).map_err(D::Error::custom)
    }
}

/// No duration in a configuration is longer.
const DAY: Duration = Duration::from_secs(86_400);
