//! Cerebras.
//!
//! Source: inference-docs.cerebras.ai/support/error and /resources/openai, read 2026-11-25. Recorded
//! replies: `fixtures/recordings/cerebras/`. Streams end without `[DONE]`.

use super::{COMPATIBLE, Fit, Provider};

/// Cerebras.
pub static PROVIDER: Provider = Provider {
    name: "cerebras",
    base_url: "https://api.cerebras.ai/v1",
    key_env: &["CEREBRAS_API_KEY"],
    fits: &[
        // Each of them is a 400 there.
        Fit::drop("frequency_penalty"),
        Fit::drop("presence_penalty"),
        Fit::drop("service_tier"),
        Fit::drop("prompt_cache_key"),
        Fit::refuse("logit_bias"),
        Fit::only("n", "1"),
    ],
    ..COMPATIBLE
};
