//! Any server that speaks `OpenAI`'s dialect; what most providers have in common.
//!
//! Source: wire-formats.md 1 and 5.1, read 2026-11-22. Recorded replies of 30 hosts:
//! `fixtures/recordings/`.

use unbroken_wire::dialects::OPENAI_CHAT;

use super::{Auth, Provider, classify_by_status};

/// What a provider has that says nothing else: `OpenAI`'s paths, key and words.
pub(super) const COMPATIBLE: Provider = Provider {
    name: "openai-compatible",
    dialect: &OPENAI_CHAT,
    base_url: "",
    key_env: &[],
    base_url_env: &[],
    api_version_env: &[],
    region_env: &[],
    in_region: |base_url, region| base_url.replace("{region}", region),
    is_local: false,
    auth: Auth::Bearer,
    headers: &[],
    chat_path: |_| "/chat/completions".to_owned(),
    envelope: None,
    pass_headers: &[],
    health_path: "/models",
    fits: &[],
    classify: classify_by_status,
};

/// Any server that speaks `OpenAI`'s dialect; its address must be configured.
pub static PROVIDER: Provider =
    Provider { pass_headers: &["http-referer", "x-title"], ..COMPATIBLE };
