//! Whole answers of Chat Completions.

use serde_json::{Value, json};

use super::request::{read_content, read_tool_call};
use crate::chat::{Answer, Block, FinishReason, Usage};
use crate::dialects::AnswerFault;
use crate::dialects::fields::{Object, count, list, read_answer_body, some_text, text};

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let Some(choice) = list(&body, "choices").first() else { return Err(AnswerFault::Empty) };
    let Some(message) = choice.get("message").filter(|message| message.is_object()) else {
        return Err(AnswerFault::Malformed("a choice without a message".to_owned()));
    };
    let mut blocks = Vec::new();
    let thinking =
        some_text(message, "reasoning_content").or_else(|| some_text(message, "reasoning"));
    blocks.extend(thinking.map(|text| Block::Thinking { text, signature: None }));
    blocks.extend(read_content(message.get("content")));
    blocks.extend(some_text(message, "refusal").map(Block::Refusal));
    blocks.extend(list(message, "tool_calls").iter().map(read_tool_call));
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        blocks.push(read_tool_call(&json!({ "id": text(call, "name"), "function": call })));
    }
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(choice, "finish_reason");
    if native == "error" || native == "insufficient_system_resource" {
        return Err(AnswerFault::Malformed(format!("finish_reason is {native}")));
    }
    Ok(Answer {
        id: text(&body, "id").to_owned(),
        model: text(&body, "model").to_owned(),
        finish: finish_reason(native, has_calls),
        usage: body.get("usage").and_then(read_usage),
        blocks,
    })
}

/// The reason; calls count for more than the flag, which some hosts set wrongly.
pub(super) fn finish_reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "length" | "model_length" | "max_tokens" => FinishReason::Length,
        "content_filter" => FinishReason::Filter,
        "error" | "insufficient_system_resource" => FinishReason::Error,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

pub(super) const fn native_finish(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Stop | FinishReason::Refusal | FinishReason::Pause => "stop",
        FinishReason::Length | FinishReason::Context => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Filter => "content_filter",
        FinishReason::Error => "error",
    }
}

pub(super) fn read_usage(usage: &Value) -> Option<Usage> {
    let input = count(usage, "prompt_tokens")?;
    let output = count(usage, "completion_tokens").unwrap_or_default();
    let prompt = usage.get("prompt_tokens_details").unwrap_or(&Value::Null);
    let completion = usage.get("completion_tokens_details").unwrap_or(&Value::Null);
    let reasoning = count(completion, "reasoning_tokens").unwrap_or_default();
    let total = count(usage, "total_tokens").unwrap_or_default();
    // xAI does not count reasoning in `completion_tokens`, but in the total.
    let is_apart = reasoning > 0 && total == input + output + reasoning;
    Some(Usage {
        input,
        cached: count(prompt, "cached_tokens")
            .or_else(|| count(usage, "prompt_cache_hit_tokens"))
            .unwrap_or_default(),
        cache_written: count(prompt, "cache_write_tokens").unwrap_or_default(),
        output: if is_apart { output + reasoning } else { output },
        reasoning,
    })
}

pub(super) fn write_usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.input + usage.output,
        "prompt_tokens_details": { "cached_tokens": usage.cached, "audio_tokens": 0 },
        "completion_tokens_details": { "reasoning_tokens": usage.reasoning, "audio_tokens": 0 },
    })
}

pub(super) fn write(answer: &Answer, created_unix: u64) -> Vec<u8> {
    let mut message = Object::default();
    message.set("role", "assistant");
    let text = answer.text();
    message.set("content", if text.is_empty() { Value::Null } else { text.into() });
    let refusals = answer.blocks.iter().filter_map(|block| match block {
        Block::Refusal(text) => Some(text.as_str()),
        _ => None,
    });
    let refusal: String = refusals.collect();
    message.set("refusal", if refusal.is_empty() { Value::Null } else { refusal.into() });
    let thoughts = answer.blocks.iter().filter_map(|block| match block {
        Block::Thinking { text, .. } => Some(text.as_str()),
        _ => None,
    });
    let thinking: String = thoughts.collect();
    if !thinking.is_empty() {
        message.set("reasoning_content", thinking);
    }
    let call = |call: &crate::chat::ToolCall| {
        json!({
            "id": call.id,
            "type": "function",
            "function": { "name": call.name, "arguments": call.arguments },
        })
    };
    let calls: Vec<Value> = answer.tool_calls().map(call).collect();
    if !calls.is_empty() {
        message.set("tool_calls", calls);
    }
    let mut body = Object::default();
    body.set("id", answer.id.as_str());
    body.set("object", "chat.completion");
    body.set("created", created_unix);
    body.set("model", answer.model.as_str());
    let choice = json!({
        "index": 0,
        "message": Value::from(message),
        "logprobs": null,
        "finish_reason": native_finish(answer.finish),
    });
    body.set("choices", vec![choice]);
    body.set_some("usage", answer.usage.as_ref().map(write_usage));
    Value::from(body).to_string().into_bytes()
}
