//! Amazon Bedrock's Converse: one API for the models of many vendors. Spoken to targets only.
//!
//! Streams are read behind [`crate::event_stream`], which turns AWS's frames into server-sent
//! events. Source: wire-formats.md 2.1 (BC), 2.2, 3, 4.5, 4.9; recordings.

use super::{Dialect, OPENAI_CHAT, RequestError};
use crate::raw::{Members, Outline};

mod answer;
mod media;
mod model;
mod request;
mod request_writer;
mod stream_reader;

/// Amazon Bedrock's Converse.
pub static BEDROCK_CONVERSE: Dialect = Dialect {
    name: "bedrock-converse",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model,
    read_answer: answer::read,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    // No client is answered in it.
    ..OPENAI_CHAT
};

/// The model and the wish for a stream are in the path.
fn replace_model(body: &[u8], outline: Option<&Outline>, _: &str) -> Result<Vec<u8>, RequestError> {
    let members = Members::of(body, outline)?;
    let is_clean = members.get("model").is_none() && members.get("modelId").is_none();
    Ok(if is_clean { body.to_vec() } else { members.without(&["model", "modelId"]) })
}
