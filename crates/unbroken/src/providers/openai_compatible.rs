//! Any server that speaks `OpenAI`'s dialect: vLLM, llama.cpp, Ollama, and dozens of hosts.
//!
//! Source: wire-formats.md 1 and 5.1, read 2026-11-22. Recorded replies of 30 hosts:
//! `fixtures/recordings/`.

use unbroken_wire::dialects::OPENAI_CHAT;

use super::{Provider, bearer, classify_by_status};

/// Any server that speaks `OpenAI`'s dialect; its address must be configured.
pub static PROVIDER: Provider = Provider {
    name: "openai-compatible",
    dialect: &OPENAI_CHAT,
    base_url: "",
    key_env: &[],
    base_url_env: &[],
    chat_path: |_, _| "/chat/completions".to_owned(),
    authorize: bearer,
    pass_headers: &["http-referer", "x-title"],
    health_path: "/models",
    classify: classify_by_status,
};
