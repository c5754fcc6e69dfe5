//! Groq.
//!
//! Source: console.groq.com/docs/openai and /docs/errors, wire-formats.md 5.1 and 5.2, read 2026-11-25.
//! Recorded replies: `fixtures/recordings/groq/`.

use unbroken_engine::cause::FailureCause;

use super::{COMPATIBLE, ErrorReply, Fit, Provider, classify_by_status, retry_after};

/// Groq.
pub static PROVIDER: Provider = Provider {
    name: "groq",
    base_url: "https://api.groq.com/openai/v1",
    key_env: &["GROQ_API_KEY"],
    fits: &[
        // All of them are a 400 there; who asks for probabilities needs them.
        Fit::refuse("logprobs"),
        Fit::refuse("top_logprobs"),
        Fit::refuse("logit_bias"),
        Fit::only("n", "1"),
    ],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    match reply.effective_status() {
        // The flex tier has no room.
        498 => FailureCause::Overloaded { retry_after: retry_after(reply) },
        _ => classify_by_status(reply),
    }
}
