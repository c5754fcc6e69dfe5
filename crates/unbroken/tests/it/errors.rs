//! Every recorded error is classified as its recorder labelled it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use unbroken::providers::{
    ANTHROPIC, BEDROCK_ANTHROPIC, ErrorReply, GEMINI, OPENAI_COMPATIBLE, PROVIDERS, Phase, Provider,
};
use unbroken_engine::cause::FailureCause;
use unbroken_wire::error::{BodyShape, ErrorBody};

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            found.push(path);
        }
    }
}

fn recordings() -> Vec<(String, Value)> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let mut found = Vec::new();
    files(&fixtures, &mut found);
    #[expect(clippy::disallowed_methods, reason = "where a test finds its data")]
    if let Ok(folder) = std::env::var("UNBROKEN_RECORDINGS") {
        files(Path::new(&folder), &mut found);
    }
    found.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem()?.to_string_lossy().into_owned();
        Some((name, serde_json::from_slice(&fs::read(&path).ok()?).ok()?))
    };
    found.into_iter().filter_map(read).collect()
}

/// Who said it, and in which of its dialects: `None` for what we do not call.
fn provider_of(recording: &Value) -> Option<&'static Provider> {
    let provider = recording["provider"].as_str().unwrap_or_default();
    match recording["api"].as_str()? {
        "chat_completions" | "responses" => {
            let known = PROVIDERS.iter().copied().find(|known| known.name == provider);
            let known = known.filter(|known| known.dialect.name == "openai-chat");
            Some(known.unwrap_or(&OPENAI_COMPATIBLE))
        }
        "messages" if matches!(provider, "anthropic" | "vertex" | "azure") => Some(&ANTHROPIC),
        "generate_content" => Some(&GEMINI),
        "invoke_model" | "invoke_model_stream" | "converse" | "converse_stream" => {
            Some(&BEDROCK_ANTHROPIC)
        }
        _ => None,
    }
}

fn body_of(response: &Value) -> Vec<u8> {
    if let Some(text) = response["body_text"].as_str() {
        return text.as_bytes().to_vec();
    }
    if let Some(lines) = response["sse"].as_array() {
        return lines.iter().filter_map(Value::as_str).collect::<String>().into_bytes();
    }
    match &response["body"] {
        Value::Null => Vec::new(),
        body => body.to_string().into_bytes(),
    }
}

fn headers_of(response: &Value) -> HeaderMap {
    let headers = response["headers"].as_object();
    headers
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| {
            let name = HeaderName::try_from(name.as_str()).ok()?;
            Some((name, HeaderValue::try_from(value.as_str()?).ok()?))
        })
        .collect()
}

/// What a label means, by the name of its cause.
fn meant(label: &str, body: &ErrorBody, status: u16) -> &'static str {
    let is_edge = matches!(body.shape, BodyShape::Html | BodyShape::Empty);
    match label {
        "auth" | "permission" => "key_rejected",
        "not_found" => "model_gone",
        "invalid_request" => "invalid_request",
        "context_length" => "context_too_long",
        "too_large" => "request_too_large",
        "content_filter" => "policy_refused",
        "rate_limit" => "rate_limited",
        "quota_or_billing" => "quota_exhausted",
        "overloaded_or_unavailable" => "overloaded",
        "timeout" | "server_error" | "mid_stream_error" | "error" if is_edge && status >= 500 => {
            "edge_error"
        }
        "timeout" | "server_error" | "mid_stream_error" | "error" => "target_error",
        other => panic!("a label that this test does not know: {other}"),
    }
}

/// Where the label says less than the words: another target may serve it, or the words name a
/// more exact cause.
const EXACTER: &[(&str, &str, &str)] = &[
    ("permission", "access to the model", "model_gone"),
    ("invalid_request", "model identifier is invalid", "model_gone"),
    ("invalid_request", "on-demand throughput", "model_gone"),
    ("invalid_request", "doesn't support", "unsupported"),
    ("permission", "violates usage", "policy_refused"),
    ("invalid_request", "user location", "key_rejected"),
    ("invalid_request", "failed_precondition", "key_rejected"),
    ("invalid_request", "unreadable token", "key_rejected"),
    ("invalid_request", "too_many_prompt_tokens", "context_too_long"),
    ("invalid_request", "invalid_model", "model_gone"),
    ("invalid_request", "decommissioned", "model_gone"),
    ("invalid_request", "not a valid model", "model_gone"),
    ("invalid_request", "model doesn't exist", "model_gone"),
    ("invalid_request", "not enabled for", "unsupported"),
    ("invalid_request", "not supported", "unsupported"),
    ("invalid_request", "unsupported", "unsupported"),
    ("invalid_request", "does not support", "unsupported"),
    ("invalid_request", "schema is too complex", "unsupported"),
    ("invalid_request", "invalid schema", "unsupported"),
    ("invalid_request", "too many strict tools", "unsupported"),
    ("invalid_request", "tool_use_failed", "unsupported"),
    ("invalid_request", "unknown variant", "unsupported"),
    ("invalid_request", "content blocks are expected", "unsupported"),
    ("invalid_request", "is only supported", "unsupported"),
    ("invalid_request", "provider returned error", "unsupported"),
    ("not_found", "not supported in this model", "unsupported"),
    ("not_found", "that support tool use", "unsupported"),
    ("not_found", "cache content", "invalid_request"),
    ("not_found", "previous_response_not_found", "invalid_request"),
    ("not_found", "resource not found", "misconfigured"),
    ("server_error", "is not supported", "unsupported"),
    ("server_error", "cannot use both", "unsupported"),
    ("server_error", "worker local total request limit", "target_error"),
    ("mid_stream_error", "overloaded", "overloaded"),
    ("mid_stream_error", "token limit reached", "context_too_long"),
];

fn agrees(label: &str, cause: FailureCause, body: &ErrorBody, status: u16) -> bool {
    let exacter = EXACTER.iter().filter(|(l, words, _)| *l == label && body.mentions(words));
    // A 404 without a word about models says that there is no such path.
    let is_bare = label == "not_found" && body.shape == BodyShape::Empty;
    cause.name() == meant(label, body, status)
        || exacter.into_iter().any(|(_, _, name)| *name == cause.name())
        || (is_bare && cause.name() == "misconfigured")
}

/// The error reply of a recording: the whole body, or the error inside of an answer.
fn error_of(response: &Value, status: u16) -> Option<(ErrorBody, Phase)> {
    if status >= 400 {
        return Some((ErrorBody::read(&body_of(response)), Phase::Head));
    }
    let lines = response["sse"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let data = lines.filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok());
    let whole = std::iter::once(response["body"].clone());
    let found = data.chain(whole).find(|value: &Value| ErrorBody::is_in(value))?;
    Some((ErrorBody::of(&found), Phase::InBody))
}

#[test]
fn recorded_errors_are_classified_as_labelled() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    let mut inside = 0;
    for (name, recording) in recordings() {
        let Some(provider) = provider_of(&recording) else { continue };
        let response = &recording["response"];
        let status = response["status"].as_u64().and_then(|s| u16::try_from(s).ok());
        let (Some(status), Some(label)) = (status, recording["error"]["class"].as_str()) else {
            continue;
        };
        let Some((body, phase)) = error_of(response, status) else { continue };
        let headers = headers_of(response);
        let reply = ErrorReply { status, headers: &headers, body: &body, phase };
        let cause = (provider.classify)(&reply);
        *counts.entry(label.to_owned()).or_default() += 1;
        inside += u32::from(phase == Phase::InBody);
        if !agrees(label, cause, &body, reply.effective_status()) {
            let message: String = body.message.chars().take(160).collect();
            wrong.push(format!(
                "{name}: {status} {label} -> {} ({} {}) {message}",
                cause.name(),
                body.kind,
                body.code
            ));
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let all: u32 = counts.values().sum();
    assert!(all >= 60, "only {all} errors");
    assert!(inside >= 5, "only {inside} errors inside of answers");
    assert!(counts.len() >= 8, "only {counts:?}");
}
