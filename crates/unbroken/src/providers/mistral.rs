//! Mistral.
//!
//! Source: docs.mistral.ai/api and its SDK (wire-formats.md 2.1, 5.1), read 2026-11-22.
//! Recorded replies: `fixtures/recordings/mistral/`.

use unbroken_engine::cause::FailureCause;

use super::{COMPATIBLE, ErrorReply, Fit, Provider, classify_by_status, retry_after};

/// Mistral.
pub static PROVIDER: Provider = Provider {
    name: "mistral",
    base_url: "https://api.mistral.ai/v1",
    key_env: &["MISTRAL_API_KEY"],
    fits: &[
        // Unknown fields are a 422 ("Extra inputs are not permitted").
        Fit::drop("stream_options"),
        Fit::drop("user"),
        Fit::drop("store"),
        Fit::drop("verbosity"),
        Fit::drop("safety_identifier"),
        Fit::refuse("logit_bias"),
        Fit::rename("seed", "random_seed"),
        Fit::rename("max_completion_tokens", "max_tokens"),
    ],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match (reply.effective_status(), body.code.as_str()) {
        (400, "1500") => FailureCause::ModelGone,
        (400 | 429, "1300") => FailureCause::RateLimited { retry_after: retry_after(reply) },
        // The tier has no room for this model, whatever the type says.
        (429 | 503, _) if body.mentions("capacity exceeded") => {
            FailureCause::Overloaded { retry_after: retry_after(reply) }
        }
        _ => classify_by_status(reply),
    }
}
