//! Together AI.
//!
//! Source: docs.together.ai/docs/error-codes, engine.md 3.2, read 2026-11-25. Recorded replies:
//! `fixtures/recordings/together/`.

use unbroken_engine::cause::{FailureCause, Limitation};

use super::{COMPATIBLE, ErrorReply, Fit, Provider, classify_by_status};

/// Together AI.
pub static PROVIDER: Provider = Provider {
    name: "together",
    base_url: "https://api.together.xyz/v1",
    key_env: &["TOGETHER_API_KEY"],
    base_url_env: &["TOGETHER_BASE_URL"],
    fits: &[Fit::rename("max_completion_tokens", "max_tokens")],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        // Its page of errors: input and `max_tokens` together are more than the context.
        403 if body.mentions("token") || body.mentions("context") => {
            FailureCause::TargetCannot(Limitation::Context)
        }
        _ => classify_by_status(reply),
    }
}
