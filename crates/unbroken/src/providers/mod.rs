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

mod anthropic;
mod classify;
mod gemini;
mod openai;
mod openai_compatible;
mod prefix;
mod retry_after;

pub use anthropic::PROVIDER as ANTHROPIC;
pub use classify::classify_by_status;
pub use gemini::PROVIDER as GEMINI;
pub use openai::PROVIDER as OPENAI;
pub use openai_compatible::PROVIDER as OPENAI_COMPATIBLE;
pub(crate) use prefix::prefill;
pub use retry_after::retry_after;

/// Every provider that is known by name.
pub const PROVIDERS: &[&Provider] = &[&OPENAI, &ANTHROPIC, &GEMINI, &OPENAI_COMPATIBLE];

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
    /// Path and query below the address, for a model and for a stream or not.
    pub chat_path: fn(model: &str, stream: bool) -> String,
    /// Puts the key where the provider wants it, and headers that it demands.
    pub authorize: fn(&mut HeaderMap, Option<&SecretString>),
    /// Headers of a client that speaks this dialect which travel on.
    pub pass_headers: &'static [&'static str],
    /// A cheap request that shows whether it is there.
    pub health_path: &'static str,
    /// What its error replies mean.
    pub classify: fn(&ErrorReply<'_>) -> FailureCause,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
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

/// `Authorization: Bearer`.
fn bearer(headers: &mut HeaderMap, key: Option<&SecretString>) {
    let value = key.map(|key| format!("Bearer {}", key.expose_secret()));
    insert_secret(headers, "authorization", value.as_deref());
}

/// Inserts a header that no log shows.
fn insert_secret(headers: &mut HeaderMap, name: &'static str, value: Option<&str>) {
    if let Some(Ok(mut value)) = value.map(HeaderValue::from_str) {
        value.set_sensitive(true);
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn providers_have_unique_names_and_secure_addresses() {
        let names: BTreeSet<&str> = PROVIDERS.iter().map(|provider| provider.name).collect();
        assert_eq!(names.len(), PROVIDERS.len());
        for provider in PROVIDERS {
            let url = provider.base_url;
            assert!(url.is_empty() || url.starts_with("https://"), "{}", provider.name);
            assert!(!url.ends_with('/'), "{}", provider.name);
            assert!(provider.health_path.starts_with('/'), "{}", provider.name);
        }
    }

    #[test]
    fn keys_are_marked_as_secrets() {
        let key = SecretString::from("sk-secret");
        for provider in PROVIDERS {
            let mut headers = HeaderMap::new();
            (provider.authorize)(&mut headers, Some(&key));
            let secret: Vec<&HeaderValue> =
                headers.values().filter(|v| v.as_bytes().ends_with(b"sk-secret")).collect();
            assert_eq!(secret.len(), 1, "{}", provider.name);
            assert!(secret.iter().all(|value| value.is_sensitive()), "{}", provider.name);
            assert!(!format!("{headers:?}").contains("sk-secret"), "{}", provider.name);
        }
    }
}
