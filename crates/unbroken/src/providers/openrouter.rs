//! OpenRouter.
//!
//! Source: openrouter.ai/docs/api-reference/errors, engine.md 3.2 and wire-formats.md 5.1, read 2026-11-22.
//! Recorded replies: `fixtures/recordings/openrouter/`. Its `code` is a number; what its own provider
//! said stands in `metadata.raw`; errors come inside a 200, too.

use unbroken_engine::cause::FailureCause;

use super::{COMPATIBLE, ErrorReply, Provider, classify_by_status, retry_after};

/// OpenRouter.
pub static PROVIDER: Provider = Provider {
    name: "openrouter",
    base_url: "https://openrouter.ai/api/v1",
    key_env: &["OPENROUTER_API_KEY"],
    pass_headers: &["http-referer", "x-title"],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        // What the provider behind it said of the content.
        403 if body.mentions("violates usage") || body.mentions("requires moderation") => {
            FailureCause::PolicyRefused { status: 403 }
        }
        // A limit of one model at one key, although it speaks of "high demand".
        429 if body.mentions("limit_rpm") => {
            FailureCause::RateLimited { retry_after: retry_after(reply) }
        }
        // The free models' day is over; a minute's limit says "per-min".
        429 if body.mentions("free-models-per-day") => {
            FailureCause::QuotaExhausted { retry_after: retry_after(reply) }
        }
        _ => classify_by_status(reply),
    }
}
