//! Any server that speaks `OpenAI`'s Responses and nothing older.
//!
//! Source: wire-formats.md 1 and 4.2, read 2026-11-22. Recorded replies:
//! `responses/` in the folders of `fixtures/recordings/`.

use unbroken_wire::dialects::OPENAI_RESPONSES;

use super::Provider;
use super::openai_compatible::COMPATIBLE;

/// Any server that speaks `OpenAI`'s Responses; its address must be configured.
pub static PROVIDER: Provider = Provider {
    name: "openai-responses-compatible",
    dialect: &OPENAI_RESPONSES,
    chat_path: |_| "/responses".to_owned(),
    pass_headers: &["openai-beta", "session_id", "conversation_id", "originator"],
    ..COMPATIBLE
};
