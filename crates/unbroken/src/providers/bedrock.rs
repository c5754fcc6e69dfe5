//! Amazon Bedrock, by Converse: one API for the models of Amazon, Anthropic, Meta, Mistral, Qwen,
//! `DeepSeek`, Cohere and others there.
//!
//! Source: wire-formats.md 1, 1.2, 1.3, 2.1 (BC), 4.5, 5.1 (botocore, bedrock-runtime 2023-09-30),
//! read 2026-11-22. Recorded replies: `fixtures/recordings/bedrock/`.
//!
//! Every attempt is signed anew (`cloud/sigv4.rs`), unless there is a Bedrock API key. Streams come
//! in AWS's framing (`event_stream.rs`). The model is the id or the ARN of an inference profile.
//! Claude loses less by `bedrock-anthropic`, which speaks its own API.

use unbroken_wire::dialects::BEDROCK_CONVERSE;

use super::{Auth, COMPATIBLE, Place, Provider, bedrock_anthropic, encode_all};

/// Amazon Bedrock, by Converse.
pub static PROVIDER: Provider = Provider {
    name: "bedrock",
    dialect: &BEDROCK_CONVERSE,
    base_url: "https://bedrock-runtime.{region}.amazonaws.com",
    key_env: &["AWS_BEARER_TOKEN_BEDROCK"],
    region_env: &["AWS_REGION", "AWS_DEFAULT_REGION"],
    auth: Auth::Aws { service: "bedrock" },
    chat_path,
    health_path: "/",
    classify: bedrock_anthropic::classify,
    ..COMPATIBLE
};

fn chat_path(place: &Place<'_>) -> String {
    let verb = if place.stream { "converse-stream" } else { "converse" };
    format!("/model/{}/{verb}", encode_all(place.model))
}

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::{FailureCause as F, Limitation};

    use super::*;
    use crate::providers::replies::classified;

    #[test]
    fn the_model_may_be_an_arn_and_is_encoded_once() {
        let path = |model, stream| chat_path(&Place { model, stream, ..Place::default() });
        assert_eq!(
            path("us.amazon.nova-lite-v1:0", false),
            "/model/us.amazon.nova-lite-v1%3A0/converse"
        );
        assert_eq!(path("arn:aws:x/y", true), "/model/arn%3Aaws%3Ax%2Fy/converse-stream");
    }

    #[test]
    fn its_errors_mean_what_they_say_in_the_head_and_inside_a_stream() {
        let of = |status, kind, message: &str| {
            let body = format!("{{\"message\":\"{message}\"}}");
            classified(&PROVIDER, status, &[("x-amzn-errortype", kind)], &body)
        };
        let throttled = F::RateLimited { retry_after: None };
        assert_eq!(of(429, "ThrottlingException:http://x/", "Too many requests"), throttled);
        let long = "The model returned the following errors: Input Tokens Exceeded: too many";
        let cannot = F::TargetCannot(Limitation::Context);
        assert_eq!(of(400, "ValidationException:http://x/", long), cannot);
        let video = "This model doesn't support the video content block that you provided.";
        let cannot = F::TargetCannot(Limitation::Feature);
        assert_eq!(of(400, "ValidationException", video), cannot);
        let inside =
            r#"{"type":"error","error":{"type":"throttlingException","message":"m","status":429}}"#;
        assert_eq!(classified(&PROVIDER, 200, &[], inside), throttled);
        let inside = r#"{"type":"error","error":{"type":"modelStreamErrorException","message":"m","status":424}}"#;
        assert_eq!(classified(&PROVIDER, 200, &[], inside), F::TargetError { status: 424 });
    }
}
