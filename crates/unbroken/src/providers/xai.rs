//! xAI.
//!
//! Source: docs.x.ai/docs/guides/reasoning and wire-formats.md 5.1, read 2026-11-22. Recorded replies:
//! `fixtures/recordings/xai/`. A wrong key is a 400 there, an old model a 404.

use unbroken_engine::cause::FailureCause;

use super::{COMPATIBLE, ErrorReply, Provider, classify_by_status};

/// xAI.
pub static PROVIDER: Provider = Provider {
    name: "xai",
    base_url: "https://api.x.ai/v1",
    key_env: &["XAI_API_KEY"],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        403 if body.mentions("content violates usage") => {
            FailureCause::PolicyRefused { status: 403 }
        }
        403 if body.mentions("credits") || body.mentions("spending limit") => {
            FailureCause::QuotaExhausted { retry_after: None }
        }
        _ => classify_by_status(reply),
    }
}
