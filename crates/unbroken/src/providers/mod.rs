//! Every provider that is known by name, and what a provider is.
//!
//! A new provider is one file and one line in [`PROVIDERS`]. One that is compatible with a known
//! one needs neither: it is configuration.

use std::fmt;

use http::{HeaderMap, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use unbroken_engine::cause::FailureCause;
use unbroken_wire::dialects::Dialect;
use unbroken_wire::error::ErrorBody;
use unbroken_wire::raw::NotAnObject;

mod anthropic;
mod azure;
mod bedrock;
mod bedrock_anthropic;
mod cerebras;
mod classify;
mod cohere;
mod deepseek;
mod fireworks;
mod fit;
mod gemini;
mod groq;
mod llamacpp;
mod mistral;
mod ollama;
mod openai;
mod openai_compatible;
mod openai_responses;
mod openrouter;
mod prefix;
mod rate_limits;
#[cfg(test)]
mod replies;
mod retry_after;
mod sglang;
mod surfaces;
mod together;
mod vertex;
mod vertex_anthropic;
mod vllm;
mod xai;

pub use anthropic::PROVIDER as ANTHROPIC;
pub use azure::PROVIDER as AZURE;
pub use bedrock::PROVIDER as BEDROCK;
pub use bedrock_anthropic::PROVIDER as BEDROCK_ANTHROPIC;
pub use cerebras::PROVIDER as CEREBRAS;
pub use classify::classify_by_status;
pub use cohere::PROVIDER as COHERE;
pub use deepseek::PROVIDER as DEEPSEEK;
pub use fireworks::PROVIDER as FIREWORKS;
pub use fit::{Fit, Fitted, How, fit};
pub use gemini::PROVIDER as GEMINI;
pub use groq::PROVIDER as GROQ;
pub use llamacpp::PROVIDER as LLAMACPP;
pub use mistral::PROVIDER as MISTRAL;
pub use ollama::PROVIDER as OLLAMA;
pub use openai::PROVIDER as OPENAI;
use openai_compatible::COMPATIBLE;
pub use openai_compatible::PROVIDER as OPENAI_COMPATIBLE;
pub use openai_responses::PROVIDER as OPENAI_RESPONSES_COMPATIBLE;
pub use openrouter::PROVIDER as OPENROUTER;
pub(crate) use prefix::prefill;
pub use rate_limits::rate_limits;
pub use retry_after::retry_after;
pub use sglang::PROVIDER as SGLANG;
pub(crate) use surfaces::served_in;
pub use together::PROVIDER as TOGETHER;
pub use vertex::PROVIDER as VERTEX;
pub use vertex_anthropic::PROVIDER as VERTEX_ANTHROPIC;
pub use vllm::PROVIDER as VLLM;
pub use xai::PROVIDER as XAI;

/// Every provider that is known by name.
pub const PROVIDERS: &[&Provider] = &[
    &OPENAI,
    &ANTHROPIC,
    &GEMINI,
    &VERTEX,
    &VERTEX_ANTHROPIC,
    &AZURE,
    &BEDROCK_ANTHROPIC,
    &BEDROCK,
    &MISTRAL,
    &GROQ,
    &TOGETHER,
    &FIREWORKS,
    &DEEPSEEK,
    &XAI,
    &OPENROUTER,
    &CEREBRAS,
    &COHERE,
    &VLLM,
    &LLAMACPP,
    &OLLAMA,
    &SGLANG,
    &OPENAI_COMPATIBLE,
    &OPENAI_RESPONSES_COMPATIBLE,
];

/// How one vendor's API is reached and understood.
pub struct Provider {
    /// Its name in configurations.
    pub name: &'static str,
    /// The dialect it speaks.
    pub dialect: &'static Dialect,
    /// Where it is; empty if that must be configured.
    pub base_url: &'static str,
    /// Names of the environment variables that hold its key; the first that is set counts.
    pub key_env: &'static [&'static str],
    /// Names of the environment variables that hold another address.
    pub base_url_env: &'static [&'static str],
    /// Names of the environment variables that hold the version of its API.
    pub api_version_env: &'static [&'static str],
    /// Names of the environment variables that hold its region, for addresses with `{region}`.
    pub region_env: &'static [&'static str],
    /// Fills a region into an address.
    pub in_region: fn(base_url: &str, region: &str) -> String,
    /// Whether it is a server of one's own, which needs no key.
    pub is_local: bool,
    /// How it wants to see the key.
    pub auth: Auth,
    /// Headers that it demands; those of the client come first.
    pub headers: &'static [(&'static str, &'static str)],
    /// Path and query below the address.
    pub chat_path: fn(&Place<'_>) -> String,
    /// Wraps a body of the dialect, and its headers, where the API stands inside another one.
    pub envelope: Option<Envelope>,
    /// Headers of a client that speaks this dialect which travel on.
    pub pass_headers: &'static [&'static str],
    /// A cheap request that shows whether it is there.
    pub health_path: &'static str,
    /// Fields of its dialect that it treats in its own way.
    pub fits: &'static [Fit],
    /// What its error replies mean.
    pub classify: fn(&ErrorReply<'_>) -> FailureCause,
}

/// Wraps a body, and takes out of the headers what belongs into it.
pub type Envelope = fn(&[u8], &mut HeaderMap) -> Result<Vec<u8>, NotAnObject>;

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// How a provider wants to see the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer`.
    Bearer,
    /// In a header of its own.
    Header(&'static str),
    /// Google Cloud's: a key in a header of its own, or else a token as bearer.
    Google,
    /// A key as bearer, or else a signature of AWS.
    Aws {
        /// The service's name in signatures.
        service: &'static str,
    },
}

impl Auth {
    /// Puts the key where the provider wants it.
    pub(crate) fn show(self, key: &SecretString, headers: &mut HeaderMap) {
        let key = key.expose_secret();
        let (name, value) = match self {
            Self::Bearer | Self::Aws { .. } => {
                ("authorization", HeaderValue::try_from(format!("Bearer {key}")))
            }
            Self::Header(name) => (name, HeaderValue::from_str(key)),
            Self::Google => ("x-goog-api-key", HeaderValue::from_str(key)),
        };
        // A key that no header can hold is as good as none: the provider will say so.
        if let Ok(mut value) = value {
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
}

/// What a path is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place<'a> {
    /// The address in front of it.
    pub base_url: &'a str,
    /// The model.
    pub model: &'a str,
    /// Whether a stream is wanted.
    pub stream: bool,
    /// The version of the API, where it stands in the path.
    pub api_version: Option<&'a str>,
    /// The project, where it stands in the path.
    pub project: Option<&'a str>,
    /// The region, where it stands in the path.
    pub region: Option<&'a str>,
}

/// Percent-encodes what may not stand in a path.
fn encode(path: &str) -> String {
    encode_but(path, b"-._~@/")
}

/// Percent-encodes everything that has a meaning in a path.
fn encode_all(segment: &str) -> String {
    encode_but(segment, b"-._~")
}

fn encode_but(segment: &str, kept: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut path = String::with_capacity(segment.len());
    for byte in segment.bytes() {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            path.push(char::from(byte));
        } else {
            let _ = write!(path, "%{byte:02X}");
        }
    }
    path
}

/// Where an error was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The HTTP status says so.
    Head,
    /// Inside an answer whose status was 200.
    InBody,
}

/// An error reply.
#[derive(Clone, Copy, Debug)]
pub struct ErrorReply<'a> {
    /// The HTTP status; 200 if the error was inside the body.
    pub status: u16,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// What the body says.
    pub body: &'a ErrorBody,
    /// Where it was found.
    pub phase: Phase,
}

impl ErrorReply<'_> {
    /// The status that counts: the inner one, if the outer says 200.
    #[must_use]
    pub fn effective_status(&self) -> u16 {
        match self.phase {
            Phase::Head => self.status,
            Phase::InBody => self.body.inner_status.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests;
