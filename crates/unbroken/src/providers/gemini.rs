//! Google's Gemini API (AI Studio).
//!
//! Source: engine.md 3.2 and wire-formats.md 1, 5.1 (vendor documentation and SDKs), read
//! 2026-11-22. Recorded replies: `fixtures/recordings/gemini/`.

use unbroken_engine::cause::FailureCause;
use unbroken_wire::dialects;

use super::{
    Auth, COMPATIBLE, ErrorReply, Place, Provider, classify_by_status, encode, retry_after,
};

/// Google's Gemini API.
pub static PROVIDER: Provider = Provider {
    name: "gemini",
    dialect: &dialects::GEMINI,
    base_url: "https://generativelanguage.googleapis.com",
    key_env: &["GOOGLE_API_KEY", "GEMINI_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY"],
    base_url_env: &["GOOGLE_GEMINI_BASE_URL"],
    chat_path,
    auth: Auth::Header("x-goog-api-key"),
    pass_headers: &["x-goog-api-client", "x-server-timeout"],
    health_path: "/v1beta/models?pageSize=1",
    classify,
    ..COMPATIBLE
};

fn chat_path(place: &Place<'_>) -> String {
    let model = place.model.strip_prefix("models/").unwrap_or(place.model);
    let verb = if place.stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("/v1beta/models/{}:{verb}", encode(model))
}

pub(super) fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    if body.reasons.iter().any(|reason| reason == "API_KEY_INVALID")
        || body.mentions("api key not valid")
        || body.mentions("api key expired")
    {
        return FailureCause::KeyRejected;
    }
    match (reply.effective_status(), body.status_word.as_str()) {
        // Region or billing: the account's matter, not the request's.
        (400, "FAILED_PRECONDITION") => FailureCause::KeyRejected,
        (400, _) if body.mentions("thought_signature") => {
            FailureCause::TargetCannot(unbroken_engine::cause::Limitation::Feature)
        }
        (402, _) => FailureCause::QuotaExhausted { retry_after: None },
        (429, _) if is_daily(body) => {
            FailureCause::QuotaExhausted { retry_after: retry_after(reply) }
        }
        _ => classify_by_status(reply),
    }
}

fn is_daily(body: &unbroken_wire::error::ErrorBody) -> bool {
    body.reasons.iter().any(|reason| reason.contains("PerDay")) || body.mentions("limit: 0,")
}
