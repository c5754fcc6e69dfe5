//! Items of a response: what every one of them looks like, read and written.

use serde_json::{Value, json};

use super::request::read_arguments;
use crate::chat::{Block, Proof, ToolCall};
use crate::dialects::fields::{some_text, text};
use crate::seal;

/// A call of a function or of a tool that takes free text.
pub(super) fn read_call(item: &Value) -> Block {
    Block::ToolCall(ToolCall {
        id: some_text(item, "call_id").unwrap_or_else(|| text(item, "id").to_owned()),
        name: text(item, "name").to_owned(),
        arguments: read_arguments(item),
    })
}

/// A message of the model.
pub(super) fn message(id: &str, status: &str, content: &[Value]) -> Value {
    json!({
        "id": id, "type": "message", "status": status, "role": "assistant", "content": content,
    })
}

/// A part of a message: text.
pub(super) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": text })
}

/// A part of a message: the model declines.
pub(super) fn refusal_part(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

/// Thinking. Its maker's proof is sealed into the place where this dialect keeps its own.
pub(super) fn reasoning(id: &str, words: &str, proof: Option<&Proof>) -> Value {
    let summary = if words.is_empty() {
        json!([])
    } else {
        json!([{ "type": "summary_text", "text": words }])
    };
    json!({
        "id": id, "type": "reasoning", "summary": summary,
        "encrypted_content": proof.map_or_else(seal::nothing, seal::seal),
    })
}

/// A call of a function, or of a tool that takes free text.
pub(super) fn call(id: &str, status: &str, call: &ToolCall, is_custom: bool) -> Value {
    if is_custom {
        json!({
            "id": id, "type": "custom_tool_call", "status": status, "call_id": call.id,
            "name": call.name, "input": custom_input(&call.arguments),
        })
    } else {
        json!({
            "id": id, "type": "function_call", "status": status, "arguments": call.arguments,
            "call_id": call.id, "name": call.name,
        })
    }
}

/// The free text in the arguments of a tool that takes it.
pub(super) fn custom_input(arguments: &str) -> String {
    let parsed: Option<Value> = serde_json::from_str(arguments).ok();
    match parsed.as_ref().and_then(|arguments| arguments.get("input")) {
        Some(Value::String(text)) => text.clone(),
        _ => arguments.to_owned(),
    }
}
