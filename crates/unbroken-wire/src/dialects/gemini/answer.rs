//! Whole answers of `generateContent`.

use serde_json::{Value, json};

use super::request::read_part;
use crate::chat::{Answer, Block, FinishReason, Usage};
use crate::dialects::AnswerFault;
use crate::dialects::fields::{Object, count, list, read_answer_body, some_text, text};

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let usage = body.get("usageMetadata").map(read_usage);
    let (id, model) =
        (text(&body, "responseId").to_owned(), text(&body, "modelVersion").to_owned());
    let Some(candidate) = list(&body, "candidates").first() else {
        return if is_blocked(&body) {
            let finish = FinishReason::Filter;
            Ok(Answer { id, model, finish, usage, blocks: vec![] })
        } else {
            Err(AnswerFault::Empty)
        };
    };
    let parts = candidate.get("content").map_or(&[][..], |content| list(content, "parts"));
    let read = |(place, part): (usize, &Value)| read_part(part, &format!("call_{place}"));
    let blocks: Vec<Block> = parts.iter().enumerate().filter_map(read).collect();
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(candidate, "finishReason");
    let finish = finish_reason(native, has_calls);
    if finish == FinishReason::Error {
        return Err(AnswerFault::Malformed(format!("finishReason is {native}")));
    }
    if native.is_empty() && blocks.is_empty() {
        return Err(AnswerFault::Empty);
    }
    Ok(Answer { id, model, finish, usage, blocks })
}

/// The prompt was refused: there is no candidate, and none will come.
pub(super) fn is_blocked(body: &Value) -> bool {
    body.get("promptFeedback").and_then(|feedback| some_text(feedback, "blockReason")).is_some()
}

pub(super) fn finish_reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY" | "RECITATION" | "LANGUAGE" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII"
        | "MODEL_ARMOR" | "ESCALATION" => FinishReason::Filter,
        image if image.starts_with("IMAGE_") => FinishReason::Filter,
        "CONTINUATION" => FinishReason::Pause,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MISSING_THOUGHT_SIGNATURE"
        | "MALFORMED_RESPONSE"
        | "OTHER"
        | "NO_IMAGE" => FinishReason::Error,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

pub(super) const fn native_finish(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Pause => "STOP",
        FinishReason::Length | FinishReason::Context => "MAX_TOKENS",
        FinishReason::Filter | FinishReason::Refusal => "SAFETY",
        FinishReason::Error => "OTHER",
    }
}

pub(super) fn read_usage(usage: &Value) -> Usage {
    let get = |key| count(usage, key).unwrap_or_default();
    Usage {
        input: get("promptTokenCount") + get("toolUsePromptTokenCount"),
        cached: get("cachedContentTokenCount"),
        cache_written: 0,
        output: get("candidatesTokenCount") + get("thoughtsTokenCount"),
        reasoning: get("thoughtsTokenCount"),
    }
}

pub(super) fn write_usage(usage: &Usage) -> Value {
    let mut object = Object::default();
    object.set("promptTokenCount", usage.input);
    // Some hosts count more reasoning than output.
    let reasoning = usage.reasoning.min(usage.output);
    object.set("candidatesTokenCount", usage.output - reasoning);
    object.set("totalTokenCount", usage.input + usage.output);
    if reasoning > 0 {
        object.set("thoughtsTokenCount", reasoning);
    }
    if usage.cached > 0 {
        object.set("cachedContentTokenCount", usage.cached);
    }
    object.into()
}

pub(super) fn write(answer: &Answer, _: u64) -> Vec<u8> {
    let parts: Vec<Value> = answer.blocks.iter().filter_map(write_part).collect();
    let candidate = json!({
        "content": { "role": "model", "parts": parts },
        "finishReason": native_finish(answer.finish),
        "index": 0,
    });
    let mut body = Object::default();
    body.set("candidates", vec![candidate]);
    body.set_some("usageMetadata", answer.usage.as_ref().map(write_usage));
    body.set("modelVersion", answer.model.as_str());
    body.set("responseId", answer.id.as_str());
    Value::from(body).to_string().into_bytes()
}

fn write_part(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(json!({ "text": text })),
        Block::Thinking { text, .. } if !text.is_empty() => {
            Some(json!({ "text": text, "thought": true }))
        }
        Block::ToolCall(call) => Some(json!({ "functionCall": {
            "id": call.id, "name": call.name, "args": call.input().0,
        }})),
        Block::Image(crate::chat::Source::Base64 { media_type, data }) => {
            Some(json!({ "inlineData": { "mimeType": media_type, "data": data } }))
        }
        Block::Opaque(value) => Some(value.clone()),
        Block::Thinking { .. }
        | Block::Image(_)
        | Block::File { .. }
        | Block::ToolResult { .. } => None,
    }
}
