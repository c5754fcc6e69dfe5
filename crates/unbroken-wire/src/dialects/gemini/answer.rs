//! Whole answers of `generateContent`.

use serde_json::{Value, json};

use super::request::read_part;
use super::stream_reader::Reader;
use crate::chat::{Answer, Block, FinishReason, Proof, StreamEvent, Usage};
use crate::dialects::fields::{Object, count, list, read_answer_body, some_text, text};
use crate::dialects::{AnswerFault, StreamHead, StreamReader as _};
use crate::seal;

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    if let Value::Array(chunks) = &body {
        return read_chunks(chunks);
    }
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
    let blocks: Vec<Block> = parts.iter().enumerate().flat_map(read).collect();
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = native_reason(candidate);
    let finish = finish_reason(native, has_calls);
    if finish == FinishReason::Error {
        return Err(AnswerFault::Malformed(format!("finishReason is {native}")));
    }
    if native.is_empty() && blocks.is_empty() {
        return Err(AnswerFault::Empty);
    }
    Ok(Answer { id, model, finish, usage, blocks })
}

/// A stream without `alt=sse` is one JSON array of chunks.
fn read_chunks(chunks: &[Value]) -> Result<Answer, AnswerFault> {
    let mut reader = Reader::default();
    let mut events = Vec::new();
    chunks.iter().for_each(|chunk| reader.read_value(chunk, &mut events));
    let error = events.iter().find_map(|event| match event {
        StreamEvent::Error(error) => Some(error.clone()),
        _ => None,
    });
    match (error, reader.end()) {
        (Some(error), _) => Err(AnswerFault::Error(Box::new(error))),
        (None, Err(_)) => Err(AnswerFault::Malformed("the chunks have no end".to_owned())),
        (None, Ok(_)) => Ok(Answer::of_events(&events)),
    }
}

/// The prompt was refused: there is no candidate, and none will come.
pub(super) fn is_blocked(body: &Value) -> bool {
    body.get("promptFeedback").and_then(|feedback| some_text(feedback, "blockReason")).is_some()
}

/// The reason's name; some clients of Google's write its number in the protocol instead.
pub(super) fn native_reason(candidate: &Value) -> &str {
    match candidate.get("finishReason").and_then(Value::as_u64) {
        Some(1) => "STOP",
        Some(2) => "MAX_TOKENS",
        Some(3) => "SAFETY",
        Some(4) => "RECITATION",
        Some(6..=8) => "PROHIBITED_CONTENT",
        Some(1..) => "OTHER",
        Some(0) | None => text(candidate, "finishReason"),
    }
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

pub(super) fn write(answer: &Answer, head: &StreamHead) -> Vec<u8> {
    let parts: Vec<Value> = answer.blocks.iter().filter_map(write_part).collect();
    let candidate = json!({
        "content": { "role": "model", "parts": parts },
        "finishReason": native_finish(answer.finish),
        "index": 0,
    });
    let mut body = Object::default();
    body.set("candidates", vec![candidate]);
    body.set_some("usageMetadata", answer.usage.as_ref().map(write_usage));
    let model = if answer.model.is_empty() { &head.model } else { &answer.model };
    body.set("modelVersion", model.as_str());
    body.set("responseId", head.id.as_str());
    Value::from(body).to_string().into_bytes()
}

fn write_part(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(json!({ "text": text })),
        Block::Thinking { text, proof } => Some(write_thinking(text, proof.as_ref())),
        Block::ToolCall(call) => Some(json!({ "functionCall": {
            "id": call.id, "name": call.name, "args": call.input().0,
        }})),
        Block::Image(crate::chat::Source::Base64 { media_type, data }) => {
            Some(json!({ "inlineData": { "mimeType": media_type, "data": data } }))
        }
        // What another provider ran at its own place has no meaning here.
        Block::Image(_) | Block::File { .. } | Block::ToolResult { .. } | Block::Opaque(_) => None,
    }
}

/// Thinking, signed with what its maker wants back.
pub(super) fn write_thinking(words: &str, proof: Option<&Proof>) -> Value {
    json!({
        "text": words, "thought": true,
        "thoughtSignature": proof.map_or_else(seal::nothing, seal::seal),
    })
}
