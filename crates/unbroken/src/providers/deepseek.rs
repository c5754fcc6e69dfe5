//! DeepSeek.
//!
//! Source: api-docs.deepseek.com/quick_start/error_codes and wire-formats.md 4.1, 5.1, read 2026-11-22.
//! Recorded replies: `fixtures/recordings/deepseek/`.

use super::{COMPATIBLE, Fit, Provider};

/// DeepSeek.
pub static PROVIDER: Provider = Provider {
    name: "deepseek",
    base_url: "https://api.deepseek.com",
    key_env: &["DEEPSEEK_API_KEY"],
    fits: &[Fit::rename("max_completion_tokens", "max_tokens"), Fit::only("n", "1")],
    ..COMPATIBLE
};
