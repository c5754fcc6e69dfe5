//! Cohere's chat, version 2. Spoken to targets only.
//!
//! Source: wire-formats.md 2.1 (CO), 2.2, 3, 4.7, 4.9; recordings.

use super::{Dialect, OPENAI_CHAT};

mod answer;
mod request;
mod request_writer;
mod stream_reader;

/// Cohere's chat, version 2.
pub static COHERE_CHAT: Dialect = Dialect {
    name: "cohere-chat",
    read_request: request::read,
    write_request: request_writer::write,
    read_answer: answer::read,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    // The model is in the body, as in Chat Completions; no client is answered in it.
    ..OPENAI_CHAT
};
