//! Anthropic Messages.
//!
//! Source: wire-formats.md 2.1 (AM), 3, 4.3, 4.9; recordings.

use serde_json::{Value, json};

use super::{ClientError, Dialect, ErrorKind, ModelRow, RequestError, splice_model};
use crate::raw::{Members, Outline};

mod answer;
pub(super) mod model;
mod request;
mod request_writer;
mod stream_reader;
mod stream_writer;

/// Anthropic Messages.
pub static ANTHROPIC_MESSAGES: Dialect = Dialect {
    name: "anthropic-messages",
    read_request: request::read,
    write_request: request_writer::write,
    replace_model,
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

/// Thinking that another model began, or that broke off, has no proof, and this API refuses it when
/// it comes back. Everything else stays byte for byte as it is.
fn replace_model(
    body: &[u8],
    outline: Option<&Outline>,
    model: &str,
) -> Result<Vec<u8>, RequestError> {
    let members = Members::of(body, outline)?;
    let messages = members.get("messages").unwrap_or_default();
    if messages.contains("\"thinking\"")
        && let Ok(mut messages) = serde_json::from_str::<Value>(messages)
        && drop_unsigned(&mut messages)
    {
        return splice_model(&members.with("messages", &messages.to_string()), None, model);
    }
    splice_model(body, outline, model)
}

/// Takes thinking without a signature out; `true` if there was some.
fn drop_unsigned(messages: &mut Value) -> bool {
    let is_unsigned = |block: &Value| {
        let signature = block.get("signature").and_then(Value::as_str).unwrap_or_default();
        block.get("type").and_then(Value::as_str) == Some("thinking") && signature.is_empty()
    };
    let mut has_dropped = false;
    for message in messages.as_array_mut().into_iter().flatten() {
        let Some(blocks) = message.get_mut("content").and_then(Value::as_array_mut) else {
            continue;
        };
        let before = blocks.len();
        // A message must not be empty.
        if blocks.iter().all(is_unsigned) {
            continue;
        }
        blocks.retain(|block| !is_unsigned(block));
        has_dropped |= blocks.len() < before;
    }
    has_dropped
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinking_without_its_proof_does_not_go_back() {
        let signed = r#"{"model":"a","messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"t","signature":"s"},{"type":"text","text":"x"}]}], "n":1.0}"#;
        let expected = signed.replace("\"a\"", "\"b\"");
        assert_eq!(replace_model(signed.as_bytes(), None, "b").unwrap(), expected.into_bytes());
        let unsigned = signed.replace("\"signature\":\"s\"", "\"signature\":\"\"");
        let out = replace_model(unsigned.as_bytes(), None, "b").unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        let left = json!([{ "type": "text", "text": "x" }]);
        assert_eq!(out.pointer("/messages/0/content"), Some(&left));
        let missing = unsigned.replace(",\"signature\":\"\"", "");
        let out = replace_model(missing.as_bytes(), None, "b").unwrap();
        let out: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(out.pointer("/messages/0/content"), Some(&left));
    }
}
