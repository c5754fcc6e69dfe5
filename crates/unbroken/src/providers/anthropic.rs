//! Anthropic.
//!
//! Source: engine.md 3.2 and wire-formats.md 1, 5.1 (vendor documentation and SDKs), read
//! 2026-11-22. Recorded replies: `fixtures/recordings/anthropic/`.

use unbroken_engine::cause::FailureCause;
use unbroken_wire::dialects::ANTHROPIC_MESSAGES;

use super::{Auth, COMPATIBLE, ErrorReply, Provider, classify_by_status};

/// Anthropic.
pub static PROVIDER: Provider = Provider {
    name: "anthropic",
    dialect: &ANTHROPIC_MESSAGES,
    base_url: "https://api.anthropic.com",
    key_env: &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"],
    base_url_env: &["ANTHROPIC_BASE_URL"],
    chat_path: |_| "/v1/messages".to_owned(),
    auth: Auth::Header("x-api-key"),
    // The version in which every field that we translate exists.
    headers: &[("anthropic-version", "2023-06-01")],
    pass_headers: &["anthropic-version", "anthropic-beta", "anthropic-workspace-id"],
    health_path: "/v1/models?limit=1",
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    // Money and limits that the operator has set come as 400, too.
    let is_money = ["credit balance", "spend limit", "usage limits"];
    if reply.status == 400 && is_money.iter().any(|words| reply.body.mentions(words)) {
        return FailureCause::QuotaExhausted { retry_after: None };
    }
    classify_by_status(reply)
}
