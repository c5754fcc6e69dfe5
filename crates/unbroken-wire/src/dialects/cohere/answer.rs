//! Whole answers of Cohere's chat.

use serde_json::Value;

use crate::chat::{Answer, Block, FinishReason, ToolCall, Usage};
use crate::dialects::AnswerFault;
use crate::dialects::fields::{count, list, read_answer_body, some_text, text};

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let Some(message) = body.get("message").filter(|message| message.is_object()) else {
        return Err(AnswerFault::Malformed("an answer without a message".to_owned()));
    };
    let mut blocks: Vec<Block> = read_content(message.get("content"));
    // What it plans to do with its tools is said before it calls them.
    blocks.extend(some_text(message, "tool_plan").map(Block::Text));
    blocks.extend(list(message, "tool_calls").iter().map(read_call).map(Block::ToolCall));
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(&body, "finish_reason");
    let finish = finish_reason(native, has_calls);
    if finish == FinishReason::Error {
        return Err(AnswerFault::Malformed(format!("finish_reason is {native}")));
    }
    if native.is_empty() && blocks.is_empty() {
        return Err(AnswerFault::Empty);
    }
    Ok(Answer {
        id: text(&body, "id").to_owned(),
        model: String::new(),
        finish,
        usage: body.get("usage").map(read_usage),
        blocks,
    })
}

/// Texts and thinking, of a request or an answer.
pub(super) fn read_content(content: Option<&Value>) -> Vec<Block> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => vec![Block::Text(text.clone())],
        Some(Value::Array(parts)) => parts.iter().filter_map(read_part).collect(),
        Some(_) | None => vec![],
    }
}

fn read_part(part: &Value) -> Option<Block> {
    match text(part, "type") {
        "thinking" => some_text(part, "thinking").map(|text| Block::Thinking { text, proof: None }),
        "image_url" => {
            let url = part.pointer("/image_url/url").and_then(Value::as_str)?;
            Some(Block::Image(crate::chat::Source::of_url(url)))
        }
        "document" => part.get("document").map(|document| Block::Text(document_text(document))),
        _ => some_text(part, "text").map(Block::Text),
    }
}

/// The words of a document that a tool returned.
fn document_text(document: &Value) -> String {
    match document.get("data") {
        Some(Value::String(text)) => text.clone(),
        Some(data) => data.to_string(),
        None => document.to_string(),
    }
}

pub(super) fn read_call(call: &Value) -> ToolCall {
    let function = call.get("function").unwrap_or(&Value::Null);
    let arguments = match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        Some(other @ Value::Object(_)) => other.to_string(),
        Some(_) | None => String::new(),
    };
    ToolCall { id: text(call, "id").to_owned(), name: text(function, "name").to_owned(), arguments }
}

pub(super) fn finish_reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "MAX_TOKENS" => FinishReason::Length,
        "ERROR_LIMIT" => FinishReason::Context,
        "ERROR_TOXIC" => FinishReason::Filter,
        "ERROR" | "TIMEOUT" | "USER_CANCEL" => FinishReason::Error,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// What the model read and wrote (`tokens`), not what is on the bill (`billed_units`), unless there
/// is nothing else. Numbers may be floats.
pub(super) fn read_usage(usage: &Value) -> Usage {
    let empty = &Value::Null;
    let counted = usage.get("tokens").or_else(|| usage.get("billed_units")).unwrap_or(empty);
    let get = |key| count(counted, key).unwrap_or(0);
    let input = get("input_tokens").saturating_add(get("image_tokens"));
    Usage {
        input,
        cached: count(usage, "cached_tokens").unwrap_or(0).min(input),
        cache_written: 0,
        output: get("output_tokens"),
        reasoning: get("reasoning_tokens"),
    }
}
