//! `OpenAI`.
//!
//! Source: engine.md 3.2 and wire-formats.md 1, 5.1 (vendor documentation and SDKs), read
//! 2026-11-22. Recorded replies: `fixtures/recordings/openai/`.

use unbroken_wire::dialects::OPENAI_CHAT;

use super::{Provider, bearer, classify_by_status};

/// `OpenAI`.
pub static PROVIDER: Provider = Provider {
    name: "openai",
    dialect: &OPENAI_CHAT,
    base_url: "https://api.openai.com/v1",
    key_env: &["OPENAI_API_KEY"],
    base_url_env: &["OPENAI_BASE_URL"],
    chat_path: |_, _| "/chat/completions".to_owned(),
    authorize: bearer,
    pass_headers: &["openai-organization", "openai-project", "openai-beta"],
    health_path: "/models",
    classify: classify_by_status,
};
