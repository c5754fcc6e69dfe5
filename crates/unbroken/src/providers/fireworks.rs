//! Fireworks AI.
//!
//! Source: docs.fireworks.ai/guides/inference-error-codes, read 2026-11-25. No reply of it is recorded; the
//! test at the bottom has the documented ones.

use unbroken_engine::cause::FailureCause;

use super::{COMPATIBLE, ErrorReply, Fit, Provider, classify_by_status};

/// Fireworks AI.
pub static PROVIDER: Provider = Provider {
    name: "fireworks",
    base_url: "https://api.fireworks.ai/inference/v1",
    key_env: &["FIREWORKS_API_KEY"],
    fits: &[Fit::rename("max_completion_tokens", "max_tokens")],
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    match reply.effective_status() {
        // The account is suspended, or a LoRA cannot be loaded: only the first has such words.
        412 if reply.body.mentions("lora") => FailureCause::ModelGone,
        412 => FailureCause::QuotaExhausted { retry_after: None },
        _ => classify_by_status(reply),
    }
}

#[cfg(test)]
mod tests {
    use unbroken_engine::cause::FailureCause as F;

    use crate::providers::replies::classified;

    #[test]
    fn documented_errors_mean_what_its_page_says() {
        let of = |status, body| classified(&super::PROVIDER, status, &[], body);
        let suspended =
            r#"{"error":{"message":"Account is suspended","code":"PRECONDITION_FAILED"}}"#;
        assert_eq!(of(412, suspended), F::QuotaExhausted { retry_after: None });
        assert_eq!(of(412, r#"{"error":"the LoRA failed to load"}"#), F::ModelGone);
        assert_eq!(
            of(
                404,
                r#"{"error":{"message":"Model not found, inaccessible, and/or not deployed"}}"#
            ),
            F::ModelGone
        );
        assert_eq!(of(402, ""), F::QuotaExhausted { retry_after: None });
    }
}
