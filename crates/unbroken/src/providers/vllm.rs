//! A vLLM server.
//!
//! Source: docs.vllm.ai/en/latest/serving/openai_compatible_server.html and wire-formats.md 1, 5.1, read
//! 2026-11-22. Its errors have a number for a code and a class name for a type; the test has them.

use super::{COMPATIBLE, Provider};

/// A vLLM server.
pub static PROVIDER: Provider =
    Provider { name: "vllm", base_url: "http://127.0.0.1:8000/v1", is_local: true, ..COMPATIBLE };

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::{FailureCause as F, Limitation};

    use crate::providers::replies::classified;

    #[test]
    fn its_errors_are_understood_in_both_envelopes() {
        let of = |status, body| classified(&super::PROVIDER, status, &[], body);
        let long = r#"{"object":"error","message":"This model's maximum context length is 4096 tokens. However, you requested 9000 tokens","type":"BadRequestError","param":null,"code":400}"#;
        assert_eq!(of(400, long), F::TargetCannot(Limitation::Context));
        let gone = r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","param":null,"code":404}}"#;
        assert_eq!(of(404, gone), F::ModelGone);
        let tools = r#"{"error":{"message":"\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set","type":"BadRequestError","param":null,"code":400}}"#;
        assert_eq!(of(400, tools), F::TargetCannot(Limitation::Feature));
        assert_eq!(of(503, ""), F::EdgeError { status: 503 });
    }
}
