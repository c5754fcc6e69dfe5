//! An Ollama server.
//!
//! Source: github.com/ollama/ollama, docs/openai.md, and wire-formats.md 1, 5.1, read 2026-11-22.
//! Recorded replies: `fixtures/recordings/ollama/`. A model that was not pulled is a 404.

use super::{COMPATIBLE, Fit, Provider};

/// An Ollama server.
pub static PROVIDER: Provider = Provider {
    name: "ollama",
    base_url: "http://127.0.0.1:11434/v1",
    is_local: true,
    fits: &[
        Fit::rename("max_completion_tokens", "max_tokens"),
        Fit::refuse("logit_bias"),
        Fit::only("n", "1"),
    ],
    ..COMPATIBLE
};
