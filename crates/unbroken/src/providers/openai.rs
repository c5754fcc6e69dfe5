//! `OpenAI`.
//!
//! Source: engine.md 3.2 and wire-formats.md 1, 5.1 (vendor documentation and SDKs), read
//! 2026-11-22. Recorded replies: `fixtures/recordings/openai/`.

use super::{COMPATIBLE, Provider};

/// `OpenAI`.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    base_url: "https://api.openai.com/v1",
    key_env: &["OPENAI_API_KEY"],
    base_url_env: &["OPENAI_BASE_URL"],
    pass_headers: &["openai-organization", "openai-project", "openai-beta"],
    ..COMPATIBLE
};
