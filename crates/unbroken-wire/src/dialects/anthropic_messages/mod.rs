//! Anthropic Messages.
//!
//! Source: wire-formats.md 2.1 (AM), 3, 4.3, 4.9; recordings.

use serde_json::{Value, json};

use super::{ClientError, Dialect, ErrorKind, ModelRow, splice_model};

mod answer;
mod model;
mod request;
mod request_writer;
mod stream_reader;
mod stream_writer;

/// Anthropic Messages.
pub static ANTHROPIC_MESSAGES: Dialect = Dialect {
    name: "anthropic-messages",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model: splice_model,
    read_answer: answer::read,
    write_answer: answer::write,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    stream_writer: |head| Box::new(stream_writer::Writer::new(head)),
    terminal: "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    has_comments: true,
    write_error,
    write_models,
    write_model: |model| row(model).to_string().into_bytes(),
};

fn write_error(error: &ClientError) -> Vec<u8> {
    error_json(error).to_string().into_bytes()
}

fn error_json(error: &ClientError) -> Value {
    json!({
        "type": "error",
        "error": { "type": error_type(error.kind), "message": error.message },
        "request_id": null,
    })
}

const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest => "invalid_request_error",
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::NotFound => "not_found_error",
        ErrorKind::TooLarge => "request_too_large",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Overloaded | ErrorKind::Unavailable => "overloaded_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Internal => "api_error",
    }
}

fn write_models(models: &[ModelRow]) -> Vec<u8> {
    let rows: Vec<Value> = models.iter().map(row).collect();
    let id_of = |model: Option<&ModelRow>| model.map(|model| model.id.clone());
    let list = json!({
        "data": rows,
        "has_more": false,
        "first_id": id_of(models.first()),
        "last_id": id_of(models.last()),
    });
    list.to_string().into_bytes()
}

fn row(model: &ModelRow) -> Value {
    json!({
        "type": "model",
        "id": model.id,
        "display_name": model.id,
        "created_at": "1970-01-01T00:00:00Z",
    })
}
