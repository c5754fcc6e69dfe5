//! Every recorded error is classified as its recorder labelled it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use unbroken::providers::{ANTHROPIC, ErrorReply, GEMINI, OPENAI_COMPATIBLE, Phase, Provider};
use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_wire::error::ErrorBody;

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

fn provider_of(recording: &Value) -> Option<&'static Provider> {
    let provider = recording["provider"].as_str().unwrap_or_default();
    match recording["api"].as_str()? {
        "chat_completions" => Some(&OPENAI_COMPATIBLE),
        "messages" if matches!(provider, "anthropic" | "vertex" | "azure") => Some(&ANTHROPIC),
        "generate_content" => Some(&GEMINI),
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

/// Whether our cause means what the label says.
fn agrees(label: &str, cause: FailureCause, status: u16) -> bool {
    use FailureCause as F;
    match label {
        // A wrong key may also be seen as a lack of permission.
        "auth" | "permission" => {
            matches!(
                cause,
                F::KeyRejected
                    | F::ModelGone
                    | F::QuotaExhausted { .. }
                    | F::EdgeError { .. }
                    | F::TargetCannot(Limitation::Feature)
            )
        }
        "not_found" => matches!(
            cause,
            F::ModelGone | F::Misconfigured { .. } | F::InvalidRequest { .. } | F::TargetCannot(_)
        ),
        // Many 400s are about what this model cannot do, or does not have.
        "invalid_request" => matches!(
            cause,
            F::InvalidRequest { .. } | F::TargetCannot(_) | F::ModelGone | F::Misconfigured { .. }
        ),
        "context_length" => {
            cause == F::TargetCannot(Limitation::Context)
                || cause == F::TargetCannot(Limitation::Size)
        }
        "too_large" => matches!(cause, F::TargetCannot(_) | F::RateLimited { .. }),
        "content_filter" => matches!(cause, F::PolicyRefused { .. }),
        "rate_limit" => {
            matches!(cause, F::RateLimited { .. } | F::QuotaExhausted { .. } | F::Overloaded { .. })
        }
        "quota_or_billing" => matches!(cause, F::QuotaExhausted { .. }),
        "overloaded_or_unavailable" => {
            matches!(cause, F::Overloaded { .. } | F::EdgeError { .. } | F::TargetError { .. })
        }
        "timeout" | "server_error" | "mid_stream_error" => {
            matches!(cause, F::TargetError { .. } | F::EdgeError { .. } | F::Overloaded { .. })
                || status < 500
        }
        other => panic!("a label that this test does not know: {other}"),
    }
}

#[test]
fn recorded_errors_are_classified_as_labelled() {
    let mut counts: BTreeMap<String, (u32, u32)> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (name, recording) in recordings() {
        let Some(provider) = provider_of(&recording) else { continue };
        let response = &recording["response"];
        let Some(status) = response["status"].as_u64().and_then(|s| u16::try_from(s).ok()) else {
            continue;
        };
        let Some(label) = recording["error"]["class"].as_str() else { continue };
        if status < 400 {
            continue;
        }
        let body = ErrorBody::read(&body_of(response));
        let headers = headers_of(response);
        let reply = ErrorReply { status, headers: &headers, body: &body, phase: Phase::Head };
        let cause = (provider.classify)(&reply);
        let (right, all) = counts.entry(label.to_owned()).or_default();
        *all += 1;
        // Google's word for a region or an account that may not use the API: another provider may.
        let is_precondition = body.status_word == "FAILED_PRECONDITION";
        if agrees(label, cause, status) || (is_precondition && cause == FailureCause::KeyRejected) {
            *right += 1;
        } else {
            let message: String = body.message.chars().take(160).collect();
            wrong.push(format!(
                "{name}: {status} {label} -> {cause:?} ({} {}) {message}",
                body.kind, body.code
            ));
        }
    }
    println!("{counts:#?}");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    let all: u32 = counts.values().map(|(_, all)| all).sum();
    assert!(all >= 60, "only {all} errors");
    assert!(counts.len() >= 8, "only {counts:?}");
}
