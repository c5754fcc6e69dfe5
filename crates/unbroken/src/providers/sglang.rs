//! An SGLang server.
//!
//! Source: docs.sglang.ai/basic_usage/openai_api_completions.html, read 2026-11-22. Its errors are vLLM's.

use super::{COMPATIBLE, Provider};

/// An SGLang server.
pub static PROVIDER: Provider = Provider {
    name: "sglang",
    base_url: "http://127.0.0.1:30000/v1",
    is_local: true,
    ..COMPATIBLE
};

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::{FailureCause as F, Limitation};

    use crate::providers::replies::classified;

    #[test]
    fn its_errors_are_understood() {
        let long = r#"{"object":"error","message":"The input (9000 tokens) is longer than the model's context length (8192 tokens).","type":"BadRequestError","param":null,"code":400}"#;
        let cause = classified(&super::PROVIDER, 400, &[], long);
        assert_eq!(cause, F::TargetCannot(Limitation::Context));
    }
}
