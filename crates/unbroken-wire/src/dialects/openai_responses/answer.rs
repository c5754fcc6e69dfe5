//! Whole answers of Responses.

use serde_json::{Map, Value, json};

use super::item;
use super::request::read_reasoning;
use crate::chat::{Answer, Block, FinishReason, Usage};
use crate::dialects::fields::{count, list, read_answer_body, text};
use crate::dialects::openai_chat::{self, read_content};
use crate::dialects::{AnswerFault, StreamHead};
use crate::error::ErrorBody;
use crate::seal;

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    // Some hosts answer in the older form.
    if body.get("output").is_none() && body.get("choices").is_some() {
        return openai_chat::read_answer(&body);
    }
    of_body(&body)
}

pub(in crate::dialects) fn of_body(body: &Value) -> Result<Answer, AnswerFault> {
    if !body.get("output").is_some_and(Value::is_array) {
        return Err(AnswerFault::Malformed("a response without output".to_owned()));
    }
    let status = text(body, "status");
    match status {
        "failed" | "cancelled" => {
            return Err(AnswerFault::Error(Box::new(ErrorBody::of(body))));
        }
        // The answer is not there yet, and only who asked for that can fetch it.
        "queued" | "in_progress" if body.get("background") != Some(&Value::Bool(true)) => {
            return Err(AnswerFault::Malformed(format!("the response is {status}")));
        }
        _ => {}
    }
    let blocks: Vec<Block> = list(body, "output").iter().flat_map(read_item).collect();
    Ok(Answer {
        id: text(body, "id").to_owned(),
        model: text(body, "model").to_owned(),
        finish: finish_reason(body, &blocks),
        usage: body.get("usage").and_then(read_usage),
        blocks,
    })
}

pub(super) fn read_item(item: &Value) -> Vec<Block> {
    match text(item, "type") {
        "message" => read_content(item.get("content")),
        "reasoning" => vec![read_reasoning(item)],
        "function_call" | "custom_tool_call" => vec![item::read_call(item)],
        _ => vec![Block::Opaque(item.clone())],
    }
}

pub(super) fn finish_reason(body: &Value, blocks: &[Block]) -> FinishReason {
    let reason = body.pointer("/incomplete_details/reason").and_then(Value::as_str);
    match (text(body, "status"), reason) {
        ("incomplete", Some("content_filter")) => FinishReason::Filter,
        ("incomplete", _) => FinishReason::Length,
        _ if blocks.iter().any(|block| matches!(block, Block::ToolCall(_))) => {
            FinishReason::ToolCalls
        }
        _ if blocks.iter().any(|block| matches!(block, Block::Refusal(_))) => FinishReason::Refusal,
        _ => FinishReason::Stop,
    }
}

pub(super) fn read_usage(usage: &Value) -> Option<Usage> {
    let input_details = usage.get("input_tokens_details").unwrap_or(&Value::Null);
    let output_details = usage.get("output_tokens_details").unwrap_or(&Value::Null);
    Some(Usage {
        input: count(usage, "input_tokens")?,
        cached: count(input_details, "cached_tokens").unwrap_or_default(),
        cache_written: count(input_details, "cache_write_tokens").unwrap_or_default(),
        output: count(usage, "output_tokens").unwrap_or_default(),
        reasoning: count(output_details, "reasoning_tokens").unwrap_or_default(),
    })
}

pub(super) fn write_usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output,
        "output_tokens_details": { "reasoning_tokens": usage.reasoning },
        "total_tokens": usage.input + usage.output,
    })
}

/// The status, and why it is incomplete.
pub(super) fn status(finish: FinishReason) -> (&'static str, Value) {
    match finish {
        FinishReason::Stop
        | FinishReason::ToolCalls
        | FinishReason::Refusal
        | FinishReason::Pause => ("completed", Value::Null),
        FinishReason::Length | FinishReason::Context => {
            ("incomplete", json!({ "reason": "max_output_tokens" }))
        }
        FinishReason::Filter => ("incomplete", json!({ "reason": "content_filter" })),
        FinishReason::Error => ("failed", Value::Null),
    }
}

/// A response object. Every member that SDKs read is there.
pub(super) fn envelope(head: &StreamHead, status: &str, output: &[Value]) -> Map<String, Value> {
    let is_over = status != "in_progress";
    let mut body = Map::new();
    let mut set = |key: &str, value: Value| {
        body.insert(key.to_owned(), value);
    };
    set("id", format!("resp_{}", head.id).into());
    set("object", "response".into());
    set("created_at", head.created_unix.into());
    set("status", status.into());
    set("background", false.into());
    let completed = is_over && status == "completed";
    set("completed_at", if completed { head.created_unix.into() } else { Value::Null });
    set("error", Value::Null);
    set("incomplete_details", Value::Null);
    set("instructions", Value::Null);
    set("max_output_tokens", Value::Null);
    set("metadata", json!({}));
    set("model", head.model.as_str().into());
    set("output", output.into());
    set("parallel_tool_calls", true.into());
    set("previous_response_id", Value::Null);
    set("reasoning", json!({ "effort": null, "summary": null }));
    set("store", false.into());
    set("temperature", 1.0.into());
    set("text", json!({ "format": { "type": "text" } }));
    set("tool_choice", "auto".into());
    set("tools", json!([]));
    set("top_p", 1.0.into());
    set("truncation", "disabled".into());
    set("usage", Value::Null);
    set("user", Value::Null);
    for (key, value) in &head.echo {
        set(key, value.clone());
    }
    body
}

pub(super) fn write(answer: &Answer, head: &StreamHead) -> Vec<u8> {
    let mut output: Vec<Value> = Vec::new();
    let mut parts: Vec<Value> = Vec::new();
    for block in &answer.blocks {
        let id =
            |prefix: &str| item_id(prefix, &head.id, output.len() + usize::from(!parts.is_empty()));
        let item = match block {
            Block::Text(text) => {
                parts.push(item::text_part(text));
                continue;
            }
            Block::Refusal(text) => {
                parts.push(item::refusal_part(text));
                continue;
            }
            Block::ToolCall(call) => {
                let is_custom = head.custom_tools.contains(&call.name);
                item::call(&id(call_prefix(is_custom)), "completed", call, is_custom)
            }
            Block::Thinking { text, proof } => item::reasoning(&id("rs"), text, proof.as_ref()),
            // What another provider ran at its own place has no meaning here.
            Block::Image(_) | Block::File { .. } | Block::ToolResult { .. } | Block::Opaque(_) => {
                continue;
            }
        };
        flush(&mut parts, head, &mut output);
        output.push(item);
    }
    flush(&mut parts, head, &mut output);
    let (status, why) = status(answer.finish);
    let mut body = envelope(head, status, &output);
    if !answer.model.is_empty() {
        body.insert("model".to_owned(), answer.model.as_str().into());
    }
    body.insert("incomplete_details".to_owned(), why);
    body.insert("usage".to_owned(), write_usage(&answer.usage.unwrap_or_default()));
    Value::Object(body).to_string().into_bytes()
}

/// Texts in a row are one message.
fn flush(parts: &mut Vec<Value>, head: &StreamHead, output: &mut Vec<Value>) {
    if !parts.is_empty() {
        let id = item_id("msg", &head.id, output.len());
        output.push(item::message(&id, "completed", &std::mem::take(parts)));
    }
}

/// The id of an item, from its place; recognised when it comes back.
pub(super) fn item_id(prefix: &str, answer_id: &str, place: usize) -> String {
    format!("{prefix}{}{answer_id}{place:04x}", seal::OWN_ID)
}

pub(super) const fn call_prefix(is_custom: bool) -> &'static str {
    if is_custom { "ctc" } else { "fc" }
}
