//! OpenAI Chat Completions, as `OpenAI` and everybody who is compatible speaks it.
//!
//! Source: wire-formats.md 2.1 (CC), 3, 4.1, 4.9; recordings of 30 providers.

use serde_json::{Value, json};

use super::{ClientError, Dialect, ErrorKind, ModelRow, splice_model};

mod answer;
mod model;
mod part;
mod plain;
mod request;
mod request_writer;
mod stream_reader;
mod stream_writer;

pub(super) use answer::of_body as read_answer;
pub(super) use model::{effort, thinks};
pub(super) use part::{as_custom_input, escaped, read_content};

/// OpenAI Chat Completions.
pub static OPENAI_CHAT: Dialect = Dialect {
    name: "openai-chat",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model: splice_model,
    read_answer: answer::read,
    write_answer: answer::write,
    stream_reader: || Box::<stream_reader::Reader>::default(),
    stream_writer: |head| Box::new(stream_writer::Writer::new(head)),
    terminal: "data: [DONE]\n\n",
    has_comments: true,
    write_error,
    write_models,
    write_model: |model| row(model).to_string().into_bytes(),
};

pub(super) fn write_error(error: &ClientError) -> Vec<u8> {
    error_json(error).to_string().into_bytes()
}

fn error_json(error: &ClientError) -> Value {
    json!({ "error": {
        "message": error.message,
        "type": error_type(error.kind),
        "param": error.param,
        "code": error.code,
    }})
}

const fn error_type(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidRequest | ErrorKind::TooLarge | ErrorKind::NotFound => {
            "invalid_request_error"
        }
        ErrorKind::Authentication => "authentication_error",
        ErrorKind::Permission => "permission_error",
        ErrorKind::RateLimited => "rate_limit_error",
        ErrorKind::Overloaded | ErrorKind::Unavailable => "service_unavailable_error",
        ErrorKind::Timeout => "timeout_error",
        ErrorKind::Internal => "server_error",
    }
}

pub(super) fn write_models(models: &[ModelRow]) -> Vec<u8> {
    let rows: Vec<Value> = models.iter().map(row).collect();
    json!({ "object": "list", "data": rows }).to_string().into_bytes()
}

/// One model, with the members that clients of the other dialects look for.
pub(super) fn row(model: &ModelRow) -> Value {
    json!({
        "id": model.id,
        "object": "model",
        "type": "model",
        "created": model.created_unix,
        "created_at": "1970-01-01T00:00:00Z",
        "owned_by": model.owned_by,
        "display_name": model.id,
    })
}
