//! Cohere, by its OpenAI-compatible address.
//!
//! Source: docs.cohere.com/docs/compatibility-api and wire-formats.md 1, 5.1 and 5.2, read
//! 2026-11-22. The test has errors as recorded at its own API; its v2 dialect is not spoken.

use unbroken_engine::cause::{FailureCause, Limitation};

use super::{COMPATIBLE, ErrorReply, Fit, Provider, classify_by_status};

/// Cohere, by its OpenAI-compatible address.
pub static PROVIDER: Provider = Provider {
    name: "cohere",
    base_url: "https://api.cohere.ai/compatibility/v1",
    key_env: &["CO_API_KEY", "COHERE_API_KEY"],
    fits: &[
        Fit::rename("max_completion_tokens", "max_tokens"),
        Fit::refuse("logit_bias"),
        Fit::only("n", "1"),
    ],
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
