//! Claude on Amazon Bedrock, by InvokeModel: Anthropic's own API in an envelope of AWS.
//!
//! Source: wire-formats.md 1, 1.2, 1.3, 4.6, 5.1 and engine.md 3.2 (botocore, bedrock-runtime
//! 2023-09-30), read 2026-11-22. Recorded replies: `fixtures/recordings/bedrock/`.
//!
//! Every attempt is signed anew (`cloud/sigv4.rs`), unless there is a Bedrock API key. Streams come
//! in AWS's framing (`event_stream.rs`). The model is the id or the ARN of an inference profile.

use http::HeaderMap;
use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_wire::dialects::ANTHROPIC_MESSAGES;
use unbroken_wire::raw::{Members, NotAnObject};

use super::{
    Auth, COMPATIBLE, ErrorReply, Place, Provider, classify_by_status, encode_all, retry_after,
};

/// Claude on Amazon Bedrock.
pub static PROVIDER: Provider = Provider {
    name: "bedrock-anthropic",
    dialect: &ANTHROPIC_MESSAGES,
    base_url: "https://bedrock-runtime.{region}.amazonaws.com",
    key_env: &["AWS_BEARER_TOKEN_BEDROCK"],
    region_env: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    auth: Auth::Aws { service: "bedrock" },
    chat_path,
    pass_headers: &["anthropic-beta"],
    envelope: Some(envelope),
    health_path: "/",
    classify,
    ..COMPATIBLE
};

fn chat_path(place: &Place<'_>) -> String {
    let verb = if place.stream { "invoke-with-response-stream" } else { "invoke" };
    format!("/model/{}/{verb}", encode_all(place.model))
}

/// The model and the wish for a stream stand in the path, the version and the betas in the body.
fn envelope(body: &[u8], headers: &mut HeaderMap) -> Result<Vec<u8>, NotAnObject> {
    let betas = headers.remove("anthropic-beta");
    headers.remove("anthropic-version");
    let mut wrapped = Members::split(body)?.without(&["model", "stream"]);
    if Members::split(&wrapped)?.get("anthropic_version").is_none() {
        wrapped = Members::split(&wrapped)?.with("anthropic_version", "\"bedrock-2023-05-31\"");
    }
    if let Some(betas) = betas.as_ref().and_then(|betas| betas.to_str().ok()) {
        let betas: Vec<&str> = betas.split(',').map(str::trim).collect();
        let betas = serde_json::Value::from(betas).to_string();
        wrapped = Members::split(&wrapped)?.with("anthropic_beta", &betas);
    }
    Ok(wrapped)
}

/// The exception's name is in a header, up to a colon; in a stream it is the error's type.
pub(super) fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    let header = reply.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
    let name = header.unwrap_or(&body.kind);
    let name = name.split(':').next().unwrap_or_default().to_ascii_lowercase();
    let wait = retry_after(reply);
    match name.rsplit('#').next().unwrap_or_default().trim_end_matches("exception") {
        "throttling" | "servicequotaexceeded" => FailureCause::RateLimited { retry_after: wait },
        // A cold model, and one that has no room.
        "modelnotready" => FailureCause::Overloaded { retry_after: wait },
        "serviceunavailable" if body.mentions("throttled") => {
            FailureCause::RateLimited { retry_after: wait }
        }
        "serviceunavailable" => FailureCause::Overloaded { retry_after: wait },
        "accessdenied" if body.mentions("access to the model") => FailureCause::ModelGone,
        "accessdenied"
        | "unrecognizedclient"
        | "invalidsignature"
        | "expiredtoken"
        | "incompletesignature"
        | "requestexpired" => FailureCause::KeyRejected,
        "resourcenotfound" => FailureCause::ModelGone,
        "modeltimeout" => FailureCause::TargetError { status: 408 },
        "modelerror" | "modelstreamerror" => FailureCause::TargetError { status: 424 },
        "internalserver" => FailureCause::TargetError { status: 500 },
        _ => validation(reply),
    }
}

/// Refusals without a name of their own: some replies have lost the header on their way.
fn validation(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    if body.mentions("input tokens exceeded") {
        return FailureCause::TargetCannot(Limitation::Context);
    }
    // The apostrophe is a typographic one in some of them.
    let gone = ["model identifier is invalid", "on-demand throughput isn"];
    if gone.iter().any(|words| body.mentions(words)) {
        return FailureCause::ModelGone;
    }
    let cannot = ["doesn't support", "does not match any of the expected tags"];
    if cannot.iter().any(|words| body.mentions(words)) {
        return FailureCause::TargetCannot(Limitation::Feature);
    }
    classify_by_status(reply)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::replies::head;

    #[test]
    fn the_model_may_be_an_arn_and_is_encoded_once() {
        let path = |model, stream| chat_path(&Place { model, stream, ..Place::default() });
        assert_eq!(
            path("us.anthropic.claude-haiku-4-5-20251001-v1:0", true),
            "/model/us.anthropic.claude-haiku-4-5-20251001-v1%3A0/invoke-with-response-stream"
        );
        assert_eq!(path("arn:aws:bedrock:x/y", false), "/model/arn%3Aaws%3Abedrock%3Ax%2Fy/invoke");
    }

    #[test]
    fn the_envelope_moves_what_stands_elsewhere_and_touches_nothing_else() {
        let mut headers =
            head(&[("anthropic-beta", "a-1, b-2"), ("anthropic-version", "2023-06-01")]);
        let body = br#"{"model":"m","max_tokens":1.0,"stream":true,"messages":[ ]}"#;
        let wrapped = String::from_utf8(envelope(body, &mut headers).unwrap()).unwrap();
        assert_eq!(
            wrapped,
            r#"{"anthropic_beta":["a-1","b-2"],"anthropic_version":"bedrock-2023-05-31","max_tokens":1.0,"messages":[ ]}"#
        );
        assert!(headers.is_empty());
    }
}
