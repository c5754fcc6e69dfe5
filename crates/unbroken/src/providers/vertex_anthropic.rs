//! Claude on Google Cloud's Vertex AI: Anthropic's own API in an envelope of Google's.
//!
//! Source: wire-formats.md 1 (Claude on Vertex; anthropic-python 2.12.0) and 5.1, read 2026-11-22.
//! Recorded replies: `fixtures/recordings/vertex/`.

use http::HeaderMap;
use unbroken_engine::cause::FailureCause;
use unbroken_wire::dialects::ANTHROPIC_MESSAGES;
use unbroken_wire::raw::{Members, NotAnObject};

use super::vertex::{in_region, models};
use super::{Auth, COMPATIBLE, ErrorReply, Place, Provider, classify_by_status, encode, gemini};

/// Claude on Vertex AI.
pub static PROVIDER: Provider = Provider {
    name: "vertex-anthropic",
    dialect: &ANTHROPIC_MESSAGES,
    base_url: "https://{region}-aiplatform.googleapis.com",
    base_url_env: &["ANTHROPIC_VERTEX_BASE_URL"],
    region_env: &["CLOUD_ML_REGION", "GOOGLE_CLOUD_LOCATION"],
    in_region,
    auth: Auth::Google,
    chat_path,
    pass_headers: &["anthropic-beta"],
    envelope: Some(envelope),
    health_path: "/",
    classify,
    ..COMPATIBLE
};

fn chat_path(place: &Place<'_>) -> String {
    let verb = if place.stream { "streamRawPredict" } else { "rawPredict" };
    format!("{}/{}:{verb}", models(place, "anthropic", "v1"), encode(place.model))
}

/// The model stands in the path, the version in the body; betas stay in their header.
fn envelope(body: &[u8], headers: &mut HeaderMap) -> Result<Vec<u8>, NotAnObject> {
    headers.remove("anthropic-version");
    let wrapped = Members::split(body)?.without(&["model"]);
    let members = Members::split(&wrapped)?;
    Ok(match members.get("anthropic_version") {
        Some(_) => wrapped,
        None => members.with("anthropic_version", "\"vertex-2023-10-16\""),
    })
}

/// Google refuses in its own words, and passes Anthropic's on.
fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    if reply.body.status_word.is_empty() {
        classify_by_status(reply)
    } else {
        gemini::classify(reply)
    }
}

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::FailureCause as F;

    use super::*;
    use crate::providers::replies::{classified, head};

    #[test]
    fn the_model_is_in_the_path_and_the_version_in_the_body() {
        let place = Place {
            model: "claude-sonnet-4-5@20250929",
            stream: true,
            project: Some("p"),
            region: Some("global"),
            ..Place::default()
        };
        assert_eq!(
            chat_path(&place),
            "/v1/projects/p/locations/global/publishers/anthropic/models/\
             claude-sonnet-4-5@20250929:streamRawPredict"
        );
        let mut headers = head(&[("anthropic-beta", "a-1"), ("anthropic-version", "2023-06-01")]);
        let body = br#"{"model":"m","stream":true,"max_tokens":1.0}"#;
        let wrapped = String::from_utf8(envelope(body, &mut headers).unwrap()).unwrap();
        let told = r#"{"anthropic_version":"vertex-2023-10-16","stream":true,"max_tokens":1.0}"#;
        assert_eq!(wrapped, told);
        assert_eq!(headers.len(), 1, "betas stay");
        let own = br#"{"anthropic_version":"vertex-2026-01-01","max_tokens":1}"#;
        assert_eq!(envelope(own, &mut headers).unwrap(), own);
    }

    #[test]
    fn its_errors_are_googles_or_anthropics() {
        let of = |status, body| classified(&PROVIDER, status, &[], body);
        let google = r#"{"error":{"code":429,"message":"Quota exceeded for aiplatform.googleapis.com/online_prediction_requests_per_base_model","status":"RESOURCE_EXHAUSTED"}}"#;
        assert!(matches!(of(429, google), F::RateLimited { .. } | F::QuotaExhausted { .. }));
        let overloaded =
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
        assert!(matches!(of(529, overloaded), F::Overloaded { .. }));
        let gone = r#"{"error":{"code":404,"message":"Publisher Model `projects/p/locations/l/publishers/anthropic/models/x` was not found","status":"NOT_FOUND"}}"#;
        assert_eq!(of(404, gone), F::ModelGone);
        let token = r#"{"error":{"code":401,"message":"Request had invalid authentication credentials.","status":"UNAUTHENTICATED"}}"#;
        assert_eq!(of(401, token), F::KeyRejected);
    }
}
