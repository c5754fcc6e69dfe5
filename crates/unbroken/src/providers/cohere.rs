//! Cohere, by its own chat, version 2.
//!
//! Source: wire-formats.md 1, 2.1 (CO), 4.7, 5.1 and 5.2, read 2026-11-22. Recorded replies:
//! `fixtures/recordings/cohere/`.

use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_wire::dialects::COHERE_CHAT;

use super::{COMPATIBLE, ErrorReply, Provider, classify_by_status};

/// Cohere.
pub static PROVIDER: Provider = Provider {
    name: "cohere",
    dialect: &COHERE_CHAT,
    base_url: "https://api.cohere.com",
    key_env: &["CO_API_KEY", "COHERE_API_KEY"],
    base_url_env: &["CO_API_URL"],
    chat_path: |_| "/v2/chat".to_owned(),
    health_path: "/v1/models",
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        400 if body.mentions("too many tokens") => FailureCause::TargetCannot(Limitation::Context),
        // The month of a trial key is over.
        429 if body.mentions("calls / month") || body.mentions("trial key") => {
            FailureCause::QuotaExhausted { retry_after: None }
        }
        498 => FailureCause::KeyRejected,
        _ => classify_by_status(reply),
    }
}

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::{FailureCause as F, Limitation};

    use crate::providers::replies::classified;

    #[test]
    fn documented_errors_mean_what_they_say() {
        let of = |status, body| classified(&super::PROVIDER, status, &[], body);
        let long = r#"{"message":"too many tokens: size limit exceeded by 25836 tokens. The limit for this model is 288000 tokens."}"#;
        assert_eq!(of(400, long), F::TargetCannot(Limitation::Context));
        assert_eq!(of(401, r#"{"message":"Incorrect API key provided"}"#), F::KeyRejected);
        let gone = r#"{"message":"model 'command-does-not-exist' not found, make sure the correct model ID was used"}"#;
        assert_eq!(of(404, gone), F::ModelGone);
        assert_eq!(of(498, ""), F::KeyRejected);
        assert_eq!(of(429, r#"{"message":"rate limited"}"#), F::RateLimited { retry_after: None });
    }
}
