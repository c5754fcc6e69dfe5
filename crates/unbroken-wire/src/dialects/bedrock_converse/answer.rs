//! Whole answers of Converse.

use serde_json::Value;

use super::BEDROCK_CONVERSE;
use crate::chat::{Answer, Block, FinishReason, Proof, ToolCall, Usage};
use crate::dialects::AnswerFault;
use crate::dialects::fields::{count, list, read_answer_body, some_text, text};

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    let Some(message) = body.pointer("/output/message") else {
        return Err(AnswerFault::Malformed("an answer without output".to_owned()));
    };
    let blocks: Vec<Block> = list(message, "content").iter().flat_map(read_block).collect();
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(&body, "stopReason");
    let finish = finish_reason(native, has_calls);
    if finish == FinishReason::Error {
        return Err(AnswerFault::Malformed(format!("stopReason is {native}")));
    }
    if native.is_empty() && blocks.is_empty() {
        return Err(AnswerFault::Empty);
    }
    Ok(Answer {
        // It says neither: whoever tells the client fills them in.
        id: String::new(),
        model: String::new(),
        finish,
        usage: body.get("usage").map(read_usage),
        blocks,
    })
}

/// A block of a request or an answer. Texts with citations are texts.
pub(super) fn read_block(block: &Value) -> Vec<Block> {
    if let Some(words) = block.get("text").and_then(Value::as_str) {
        return if words.is_empty() { vec![] } else { vec![Block::Text(words.to_owned())] };
    }
    if let Some(cited) = block.get("citationsContent") {
        let words = list(cited, "content").iter().filter_map(|part| some_text(part, "text"));
        return words.map(Block::Text).collect();
    }
    if let Some(call) = block.get("toolUse").filter(|call| !runs_there(call)) {
        return vec![Block::ToolCall(ToolCall {
            id: text(call, "toolUseId").to_owned(),
            name: text(call, "name").to_owned(),
            arguments: call.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
        })];
    }
    if let Some(thought) = block.get("reasoningContent") {
        return vec![read_thinking(thought)];
    }
    vec![Block::Opaque(block.clone())]
}

/// Whether it is a tool of its own, which it ran itself.
pub(super) fn runs_there(call: &Value) -> bool {
    text(call, "type") == "server_tool_use"
}

/// Thinking, with the proof that its maker wants back, if there is one.
fn read_thinking(thought: &Value) -> Block {
    let inner = thought.get("reasoningText").unwrap_or(&Value::Null);
    let is_proved =
        !text(inner, "signature").is_empty() || thought.get("redactedContent").is_some();
    let proof = is_proved.then(|| proof(thought));
    Block::Thinking { text: text(inner, "text").to_owned(), proof }
}

/// The block as it goes back.
pub(super) fn proof(thought: &Value) -> Proof {
    let json = serde_json::json!({ "reasoningContent": thought }).to_string();
    Proof { origin: BEDROCK_CONVERSE.name, json }
}

pub(super) fn finish_reason(native: &str, has_calls: bool) -> FinishReason {
    match native {
        "max_tokens" => FinishReason::Length,
        "model_context_window_exceeded" => FinishReason::Context,
        "content_filtered" | "guardrail_intervened" => FinishReason::Filter,
        "malformed_model_output" | "malformed_tool_use" => FinishReason::Error,
        _ if has_calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }
}

/// Cached tokens are not among `inputTokens`, and stand there under two names.
pub(super) fn read_usage(usage: &Value) -> Usage {
    let either = |one, other| count(usage, one).or_else(|| count(usage, other)).unwrap_or(0);
    let cached = either("cacheReadInputTokens", "cacheReadInputTokenCount");
    let cache_written = either("cacheWriteInputTokens", "cacheWriteInputTokenCount");
    let plain = count(usage, "inputTokens").unwrap_or(0);
    Usage {
        input: plain.saturating_add(cached).saturating_add(cache_written),
        cached,
        cache_written,
        output: count(usage, "outputTokens").unwrap_or(0),
        reasoning: 0,
    }
}
