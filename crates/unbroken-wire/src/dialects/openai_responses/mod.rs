//! `OpenAI` Responses, over HTTP and SSE, for stateless use: what a provider keeps for its client
//! (`previous_response_id`, conversations, background) stays with that provider.
//!
//! Source: wire-formats.md 2.1 (RS), 2.2, 3, 4.2, 4.9; recordings of 12 providers.

use super::openai_chat;
use super::{Dialect, splice_model};

mod answer;
mod item;
mod request;
mod request_writer;
mod stream_reader;
mod stream_writer;

pub(super) use answer::of_body as read_answer;
pub(super) use request::of_body as read_body;

/// `OpenAI` Responses.
pub static OPENAI_RESPONSES: Dialect = Dialect {
    name: "openai-responses",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model: splice_model,
    read_answer: answer::read,
    write_answer: answer::write,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    stream_writer: |head| Box::new(stream_writer::Writer::new(head)),
    // Without its last event a response is not complete, so nothing can be added to it.
    terminal: "",
    has_comments: true,
    write_error: openai_chat::write_error,
    write_models: openai_chat::write_models,
    write_model: |model| openai_chat::row(model).to_string().into_bytes(),
};
