//! What does an error reply mean? Words first, the status second.
//!
//! Providers misuse statuses: a wrong key is 400 at two of them, a full prompt 403 at a third, and
//! a used-up account 429 at most. What they say in the body is more reliable.
//!
//! Source: engine.md 3.1 and 3.2, wire-formats.md 5.3, the recordings and `fixtures/quoted-errors`.

use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_wire::error::{BodyShape, ErrorBody};

use super::{ErrorReply, Phase, retry_after};

/// The prompt does not fit, in the words of some fifteen engines.
const CONTEXT: &[&str] = &[
    "context_length",
    "context length",
    "context window",
    "context_window",
    "maximum context",
    "prompt is too long",
    "input is too long",
    "input length and `max_tokens` exceed",
    "too many tokens",
    "exceeds the maximum number of tokens",
    "exceed_context_size",
    "input token count",
    "reduce the length",
    "tokens exceed",
    "longer than the model",
    "maximum allowed number of input tokens",
    "request too large for model",
    "string too long",
    "string_above_max_length",
    "prompt too long",
    "larger than the maximum context",
    "max_prompt_tokens",
    "maximum prompt length",
    "too_many_prompt_tokens",
    "too_many_tokens",
    "token limit reached",
    "of all messages is too long",
];
/// No money or quota is left, and a little patience will not bring it back.
const QUOTA: &[&str] = &[
    "insufficient_quota",
    "credit_balance",
    "credit balance",
    "insufficient balance",
    "insufficient credits",
    "billing_error",
    "billing_hard_limit",
    "exceeded your current quota",
    "spend_limit",
    "spend limit",
    "usage_limit_exceeded",
    "out of credits",
    "payment required",
    "payment_required",
    "quota_exceeded",
    "requires more credits",
    "insufficient funds",
    "enforced_spend_limit",
    "arrearage",
    "no credits",
    "add credits",
    "exceeded your quota",
    "billing_not_active",
    "account is not active",
];
/// The key is wrong or may not be used.
const KEY: &[&str] = &[
    "invalid_api_key",
    "incorrect api key",
    "invalid api key",
    "api key not valid",
    "api_key_invalid",
    "authentication_error",
    "invalid x-api-key",
    "unauthorized",
    "unauthenticated",
    "invalid authentication",
    "no auth credentials",
    "api key expired",
    "invalid token",
    "unreadable token",
    "invalid_token",
];
/// The content, not the request, is refused.
const POLICY: &[&str] = &[
    "content_filter",
    "content_policy",
    "responsibleaipolicyviolation",
    "content management policy",
    "safety system",
    "moderation",
    "flagged",
    "invalid_prompt",
    "bio_policy",
    "usage policies",
    "usage policy",
    "prohibited_content",
    "datainspectionfailed",
    "content policy",
];
/// No room at the moment.
const OVERLOAD: &[&str] = &[
    "overloaded",
    "server_is_overloaded",
    "over capacity",
    "high demand",
    "no capacity",
    "capacity exceeded",
    "service_unavailable",
    "model is loading",
    "loading model",
    "temporarily unavailable",
    "servers are busy",
    "server is busy",
    "queue full",
];
/// There is no such model here.
const MODEL: &[&str] = &[
    "model_not_found",
    "model not found",
    "deploymentnotfound",
    "does not exist or you do not have",
    "unknown model",
    "no such model",
    "model_not_available",
    "not a valid model",
    "model does not exist",
    "invalid model",
    "model_decommissioned",
    "has been deprecated",
    "is not found for api version",
    "unsupported model",
    "model_not_supported",
    "no endpoints found",
    "not supported for generatecontent",
    "the requested model",
    "model doesn't exist",
];
/// This target cannot do what others may.
const FEATURE: &[&str] = &[
    "unsupported_parameter",
    "unsupported_value",
    "unsupported parameter",
    "unsupported value",
    "does not support",
    "not supported",
    "is not available for",
    "extra inputs are not permitted",
    "unknown parameter",
    "unrecognized request argument",
    "unknown name",
    "unsupported_file",
    "thinking",
    "signature",
    // Reasoning that another account or provider has encrypted.
    "encrypted_content",
    "encrypted content",
    "prefill",
    "schema is too complex",
    "invalid_function_parameters",
    "invalid schema for",
    "unsupported_country",
    "not enabled for",
    "only supported",
    "requires at least",
    "image exceeds",
    "image_too_large",
    "is not allowed for this model",
    "unsupported media",
    "tool_use_failed",
    "failed to call a function",
    "must be one of",
    "tool choice requires",
    "too many strict tools",
    "unknown variant",
    "unsupported content",
    "content blocks are expected",
];

/// What an error reply means, for a provider without words of its own.
#[must_use]
pub fn classify_by_status(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    let status = reply.effective_status();
    match status {
        0 => inside_an_answer(reply),
        300..=399 => FailureCause::Misconfigured { status },
        400 | 409 | 422 => wrong_request(reply, status),
        401 => FailureCause::KeyRejected,
        402 => out_of_money(reply),
        403 => forbidden(reply),
        404 | 410 => not_found(body, status),
        405 | 406 | 411 | 415 | 421 | 426 => FailureCause::Misconfigured { status },
        413 if says(body, &["tokens per minute", "tpm"]) => rate_limited(reply),
        413 => FailureCause::TargetCannot(Limitation::Size),
        429 => too_many(reply),
        498 if says(body, &["token"]) => FailureCause::KeyRejected,
        498 => FailureCause::Overloaded { retry_after: retry_after(reply) },
        503 | 529 => unavailable(reply, status),
        408 | 424 | 425 | 499 => FailureCause::TargetError { status },
        500..=599 => failed(body, status),
        _ => FailureCause::InvalidRequest { status },
    }
}

/// An error inside an answer, without a status: its words and types say what it is.
fn inside_an_answer(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match body.kind.as_str() {
        "rate_limit_error" => return rate_limited(reply),
        "authentication_error" => return FailureCause::KeyRejected,
        "permission_error" => return forbidden(reply),
        "not_found_error" => return FailureCause::ModelGone,
        "api_error" | "server_error" | "timeout_error" => {
            return FailureCause::TargetError { status: 500 };
        }
        _ => {}
    }
    if says(body, QUOTA) {
        out_of_money(reply)
    } else if says(body, OVERLOAD) {
        FailureCause::Overloaded { retry_after: retry_after(reply) }
    } else if says(body, &["rate_limit", "rate limit", "too many requests", "resource_exhausted"]) {
        rate_limited(reply)
    } else if body.kind == "invalid_request_error" || body.status_word == "INVALID_ARGUMENT" {
        wrong_request(reply, 400)
    } else if says(body, POLICY) {
        FailureCause::PolicyRefused { status: 400 }
    } else {
        FailureCause::TargetError { status: 500 }
    }
}

fn wrong_request(reply: &ErrorReply<'_>, status: u16) -> FailureCause {
    let body = reply.body;
    if says(body, QUOTA) {
        out_of_money(reply)
    } else if says(body, KEY) {
        FailureCause::KeyRejected
    } else if says(body, POLICY) {
        FailureCause::PolicyRefused { status }
    } else if says(body, CONTEXT) {
        FailureCause::TargetCannot(Limitation::Context)
    } else if says(body, MODEL) {
        FailureCause::ModelGone
    } else if says(body, OVERLOAD) {
        FailureCause::Overloaded { retry_after: retry_after(reply) }
    } else if body.shape == BodyShape::Html {
        // No API answers a bad request with a page.
        FailureCause::EdgeError { status }
    } else if says(body, FEATURE) {
        FailureCause::TargetCannot(Limitation::Feature)
    } else {
        FailureCause::InvalidRequest { status }
    }
}

fn forbidden(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    if says(body, QUOTA) {
        out_of_money(reply)
    } else if says(body, CONTEXT) {
        FailureCause::TargetCannot(Limitation::Context)
    } else if says(body, POLICY) {
        FailureCause::PolicyRefused { status: 403 }
    } else if body.shape == BodyShape::Html {
        // A challenge page of something in front.
        FailureCause::EdgeError { status: 403 }
    } else {
        FailureCause::KeyRejected
    }
}

/// What a 404 may be about, if not about a model: things that live at one provider only.
const THINGS: &[&str] = &[
    "cache",
    "file",
    "previous response",
    "previous_response",
    "response with id",
    "conversation",
    "container",
    "vector store",
];
/// The model is there, but nobody serves it with this feature.
const NOT_THERE: &[&str] =
    &["is not supported in this model", "is not supported with this model", "that support "];

fn not_found(body: &ErrorBody, status: u16) -> FailureCause {
    if says(body, NOT_THERE) {
        return FailureCause::TargetCannot(Limitation::Feature);
    }
    if says(body, THINGS) && !body.mentions("model") {
        return FailureCause::InvalidRequest { status };
    }

    let is_about_a_model = says(body, MODEL)
        || body.kind == "not_found_error"
        || body.status_word == "NOT_FOUND"
        || body.mentions("model");
    if is_about_a_model { FailureCause::ModelGone } else { FailureCause::Misconfigured { status } }
}

fn too_many(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    if says(body, CONTEXT) && !says(body, &["per minute", "per day", "rate limit", "tpm"]) {
        FailureCause::TargetCannot(Limitation::Context)
    } else if says(body, QUOTA) {
        out_of_money(reply)
    } else if says(body, &["high demand", "over capacity", "overloaded", "no capacity"]) {
        FailureCause::Overloaded { retry_after: retry_after(reply) }
    } else {
        rate_limited(reply)
    }
}

fn unavailable(reply: &ErrorReply<'_>, status: u16) -> FailureCause {
    let body = reply.body;
    let wait = retry_after(reply);
    match body.shape {
        BodyShape::Html | BodyShape::Empty if status == 503 && wait.is_none() => {
            FailureCause::EdgeError { status }
        }
        BodyShape::Html | BodyShape::Empty | BodyShape::Json | BodyShape::Text => {
            FailureCause::Overloaded { retry_after: wait }
        }
    }
}

fn failed(body: &ErrorBody, status: u16) -> FailureCause {
    match body.shape {
        BodyShape::Json | BodyShape::Text if !(520..=530).contains(&status) => {
            FailureCause::TargetError { status }
        }
        BodyShape::Json | BodyShape::Text | BodyShape::Html | BodyShape::Empty => {
            FailureCause::EdgeError { status }
        }
    }
}

/// A temporary shortage that only looks like one of money (OpenRouter).
fn out_of_money(reply: &ErrorReply<'_>) -> FailureCause {
    let wait = retry_after(reply);
    if reply.body.mentions("in_flight_budget") {
        FailureCause::RateLimited { retry_after: wait }
    } else {
        FailureCause::QuotaExhausted { retry_after: wait }
    }
}

fn rate_limited(reply: &ErrorReply<'_>) -> FailureCause {
    // A header on a 200 belongs to that answer, not to the error inside it.
    let wait = match reply.phase {
        Phase::Head => retry_after(reply),
        Phase::InBody => reply.body.retry_delay,
    };
    FailureCause::RateLimited { retry_after: wait }
}

fn says(body: &ErrorBody, words: &[&str]) -> bool {
    words.iter().any(|word| body.mentions(word))
}
