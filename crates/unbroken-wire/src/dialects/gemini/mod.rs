//! Gemini `generateContent`, at Google's AI Studio and Vertex.
//!
//! Source: wire-formats.md 2.1 (GG), 3, 4.4, 4.9; recordings.

use serde_json::{Value, json};

use super::{ClientError, Dialect, ErrorKind, ModelRow, RequestError};
use crate::raw::{Members, Outline};

mod answer;
mod request;
mod request_writer;
mod stream_reader;
mod stream_writer;

/// Gemini `generateContent`.
pub static GEMINI: Dialect = Dialect {
    name: "gemini",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model,
    read_answer: answer::read,
    write_answer: answer::write,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    stream_writer: |head| Box::new(stream_writer::Writer::new(head)),
    // The last chunk has the finish reason; there is nothing after it.
    terminal: "",
    // Google's Python SDK takes a comment for broken JSON.
    has_comments: false,
    write_error,
    write_models,
    write_model: |model| row(model).to_string().into_bytes(),
};

/// The model is in the path; a `model` in the body would contradict it.
fn replace_model(body: &[u8], outline: Option<&Outline>, _: &str) -> Result<Vec<u8>, RequestError> {
    let members = Members::of(body, outline)?;
    let is_clean = members.get("model").is_none();
    Ok(if is_clean { body.to_vec() } else { members.without(&["model"]) })
}

fn write_error(error: &ClientError) -> Vec<u8> {
    error_json(error).to_string().into_bytes()
}

fn error_json(error: &ClientError) -> Value {
    json!({ "error": {
        "code": error.status,
        "message": error.message,
        "status": status_word(error.kind),
    }})
}

const fn status_word(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge => "INVALID_ARGUMENT",
        ErrorKind::Authentication => "UNAUTHENTICATED",
        ErrorKind::Permission => "PERMISSION_DENIED",
        ErrorKind::NotFound => "NOT_FOUND",
        ErrorKind::RateLimited => "RESOURCE_EXHAUSTED",
        ErrorKind::Overloaded | ErrorKind::Unavailable => "UNAVAILABLE",
        ErrorKind::Timeout => "DEADLINE_EXCEEDED",
        ErrorKind::Internal => "INTERNAL",
    }
}

fn write_models(models: &[ModelRow]) -> Vec<u8> {
    let rows: Vec<Value> = models.iter().map(row).collect();
    json!({ "models": rows }).to_string().into_bytes()
}

fn row(model: &ModelRow) -> Value {
    json!({
        "name": format!("models/{}", model.id),
        "displayName": model.id,
        "supportedGenerationMethods": ["generateContent"],
    })
}
