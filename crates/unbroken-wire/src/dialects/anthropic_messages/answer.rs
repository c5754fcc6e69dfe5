//! Whole answers of Messages.

use serde_json::{Value, json};

use super::request::read_block;
use crate::chat::{Answer, Block, FinishReason, Usage};
use crate::dialects::fields::{Object, count, list, read_answer_body, text};
use crate::dialects::{AnswerFault, StreamHead};
use crate::seal;

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    if !body.get("content").is_some_and(Value::is_array) {
        return Err(AnswerFault::Malformed("an answer without content".to_owned()));
    }
    let mut blocks: Vec<Block> = list(&body, "content").iter().filter_map(read_block).collect();
    let finish = finish_reason(text(&body, "stop_reason"));
    if finish == FinishReason::Refusal && blocks.is_empty() {
        let why = body.pointer("/stop_details/explanation").and_then(Value::as_str);
        blocks.extend(why.map(|why| Block::Refusal(why.to_owned())));
    }
    Ok(Answer {
        id: text(&body, "id").to_owned(),
        model: text(&body, "model").to_owned(),
        finish,
        usage: body.get("usage").map(|usage| read_usage(usage, Usage::default())),
        blocks,
    })
}

pub(super) fn finish_reason(native: &str) -> FinishReason {
    match native {
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::Context,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::Refusal,
        "pause_turn" => FinishReason::Pause,
        _ => FinishReason::Stop,
    }
}

pub(super) const fn native_finish(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop | FinishReason::Error => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::Context => "model_context_window_exceeded",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::Filter | FinishReason::Refusal => "refusal",
        FinishReason::Pause => "pause_turn",
    }
}

/// Later numbers replace earlier ones; missing ones keep the old value.
pub(super) fn read_usage(usage: &Value, before: Usage) -> Usage {
    let cached = count(usage, "cache_read_input_tokens").unwrap_or(before.cached);
    let cache_written = count(usage, "cache_creation_input_tokens").unwrap_or(before.cache_written);
    let plain = count(usage, "input_tokens")
        .unwrap_or_else(|| before.input.saturating_sub(before.cached + before.cache_written));
    let details = usage.get("output_tokens_details").unwrap_or(&Value::Null);
    Usage {
        input: plain + cached + cache_written,
        cached,
        cache_written,
        output: count(usage, "output_tokens").unwrap_or(before.output),
        reasoning: count(details, "thinking_tokens").unwrap_or(before.reasoning),
    }
}

pub(super) fn write_usage(usage: &Usage) -> Value {
    // Some hosts count more cached tokens than prompt tokens.
    let cached = usage.cached.min(usage.input);
    let cache_written = usage.cache_written.min(usage.input - cached);
    json!({
        "input_tokens": usage.input - cached - cache_written,
        "cache_creation_input_tokens": cache_written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output,
    })
}

pub(super) fn write(answer: &Answer, head: &StreamHead) -> Vec<u8> {
    let content: Vec<Value> = answer.blocks.iter().filter_map(write_block).collect();
    let mut body = Object::default();
    body.set("id", format!("msg_{}", head.id));
    body.set("type", "message");
    body.set("role", "assistant");
    let model = if answer.model.is_empty() { &head.model } else { &answer.model };
    body.set("model", model.as_str());
    body.set("content", content);
    body.set("stop_reason", native_finish(answer.finish));
    body.set("stop_sequence", Value::Null);
    body.set("usage", write_usage(&answer.usage.unwrap_or_default()));
    Value::from(body).to_string().into_bytes()
}

fn write_block(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) | Block::Refusal(text) => Some(json!({ "type": "text", "text": text })),
        Block::ToolCall(call) => Some(json!({
            "type": "tool_use", "id": call.id, "name": call.name, "input": call.input().0,
        })),
        Block::Thinking { text, proof: Some(proof) } if text.is_empty() => {
            Some(json!({ "type": "redacted_thinking", "data": seal::seal(proof) }))
        }
        Block::Thinking { text, proof } if !text.is_empty() => Some(json!({
            "type": "thinking", "thinking": text,
            "signature": proof.as_ref().map_or_else(seal::nothing, seal::seal),
        })),
        // What another provider ran at its own place has no meaning here.
        Block::Thinking { .. }
        | Block::Image(_)
        | Block::File { .. }
        | Block::ToolResult { .. }
        | Block::Opaque(_) => None,
    }
}
