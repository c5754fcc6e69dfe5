//! A llama.cpp server.
//!
//! Source: github.com/ggml-org/llama.cpp, tools/server/README.md, and wire-formats.md 1, 5.1, read
//! 2026-11-22. Recorded replies: `fixtures/recordings/llamacpp/`.

use unbroken_engine::cause::{FailureCause, Limitation};

use super::{COMPATIBLE, ErrorReply, Provider, classify_by_status};

/// A llama.cpp server.
pub static PROVIDER: Provider = Provider {
    name: "llamacpp",
    base_url: "http://127.0.0.1:8080/v1",
    is_local: true,
    classify,
    ..COMPATIBLE
};

fn classify(reply: &ErrorReply<'_>) -> FailureCause {
    let body = reply.body;
    match reply.effective_status() {
        // What it was not built or started for is a 500 or a 501.
        500 | 501
            if body.mentions("not support")
                || body.mentions("cannot use both")
                || body.mentions("failed to parse grammar") =>
        {
            FailureCause::TargetCannot(Limitation::Feature)
        }
        500 if body.mentions("too large to process") => {
            FailureCause::TargetCannot(Limitation::Context)
        }
        _ => classify_by_status(reply),
    }
}
