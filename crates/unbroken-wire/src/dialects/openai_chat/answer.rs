//! Whole answers of Chat Completions.

use serde_json::{Value, json};

use super::part::{read_arguments, read_content, read_tool_call};
use super::plain;
use super::request::read_reasoning;
use crate::chat::{Answer, Block, FinishReason, Proof, ToolCall, Usage};
use crate::dialects::fields::{Object, count, list, read_answer_body, some_text, text};
use crate::dialects::{AnswerFault, GEMINI, StreamHead, openai_responses};
use crate::seal;

pub(super) fn read(body: &[u8]) -> Result<Answer, AnswerFault> {
    let Some(answer) = plain::answer(body) else { return read_in_full(body) };
    // Its words are nobody's business, not even in a panic.
    debug_assert!(read_in_full(body).ok().as_ref() == Some(&answer), "both readers agree");
    Ok(answer)
}

fn read_in_full(body: &[u8]) -> Result<Answer, AnswerFault> {
    let body = read_answer_body(body)?;
    if body.get("choices").is_none() && text(&body, "object") == "response" {
        return openai_responses::read_answer(&body);
    }
    of_body(&body)
}

pub(in crate::dialects) fn of_body(body: &Value) -> Result<Answer, AnswerFault> {
    let Some(choice) = list(body, "choices").first() else { return Err(AnswerFault::Empty) };
    // Azure leaves the message out when its filter has taken all of it.
    let is_filtered = text(choice, "finish_reason") == "content_filter";
    let nothing = json!({});
    let message = match choice.get("message").filter(|message| message.is_object()) {
        Some(message) => message,
        None if is_filtered => &nothing,
        None => return Err(AnswerFault::Malformed("a choice without a message".to_owned())),
    };
    let mut blocks = read_reasoning(message);
    blocks.extend(read_content(message.get("content")));
    blocks.extend(some_text(message, "refusal").map(Block::Refusal));
    blocks.extend(list(message, "tool_calls").iter().map(read_tool_call));
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        let (name, arguments) = (text(call, "name").to_owned(), read_arguments(call));
        blocks.push(Block::ToolCall(ToolCall { id: format!("call_{name}"), name, arguments }));
    }
    let has_calls = blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
    let native = text(choice, "finish_reason");
    if native == "error" || native == "insufficient_system_resource" {
        return Err(AnswerFault::Malformed(format!("finish_reason is {native}")));
    }
    Ok(Answer {
        id: text(body, "id").to_owned(),
        model: text(body, "model").to_owned(),
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

pub(super) const fn native_finish(finish: FinishReason, is_legacy: bool) -> &'static str {
    match finish {
        FinishReason::ToolCalls if is_legacy => "function_call",
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

pub(super) fn write(answer: &Answer, head: &StreamHead) -> Vec<u8> {
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
    write_thinking(answer, &mut message);
    let calls: Vec<&ToolCall> = answer.tool_calls().collect();
    let is_legacy = wants_function_call(head);
    if let (true, Some(call)) = (is_legacy, calls.first()) {
        let call = json!({ "name": call.name, "arguments": call.arguments });
        message.set("function_call", call);
    } else if !calls.is_empty() {
        let calls = calls.into_iter().map(|call| write_call(call, answer, head));
        message.set("tool_calls", calls.collect::<Vec<_>>());
    }
    let mut body = Object::default();
    body.set("id", format!("chatcmpl-{}", head.id));
    body.set("object", "chat.completion");
    body.set("created", head.created_unix);
    let model = if answer.model.is_empty() { &head.model } else { &answer.model };
    body.set("model", model.as_str());
    let choice = json!({
        "index": 0,
        "message": Value::from(message),
        "logprobs": null,
        "finish_reason": native_finish(answer.finish, is_legacy),
    });
    body.set("choices", vec![choice]);
    body.set_some("usage", answer.usage.as_ref().map(write_usage));
    Value::from(body).to_string().into_bytes()
}

/// Whether the request was in the form that came before tools.
pub(super) fn wants_function_call(head: &StreamHead) -> bool {
    head.echo.iter().any(|(key, _)| key == "functions")
}

/// Thinking in words, and its makers' proofs as details that come back with the conversation.
fn write_thinking(answer: &Answer, message: &mut Object) {
    let (mut words, mut details) = (String::new(), Vec::new());
    for block in &answer.blocks {
        if let Block::Thinking { text, proof } = block {
            words.push_str(text);
            details.extend(proof.as_ref().map(|proof| write_detail(proof, details.len())));
        }
    }
    if !words.is_empty() {
        message.set("reasoning_content", words);
    }
    if !details.is_empty() {
        message.set("reasoning_details", details);
    }
}

pub(super) fn write_detail(proof: &Proof, index: usize) -> Value {
    json!({
        "type": "reasoning.encrypted", "data": seal::seal(proof), "format": "unbroken-v1",
        "id": null, "index": index,
    })
}

fn write_call(call: &ToolCall, answer: &Answer, head: &StreamHead) -> Value {
    if head.custom_tools.contains(&call.name) {
        let input: Option<Value> = serde_json::from_str(&call.arguments).ok();
        let input = input.as_ref().and_then(|arguments| some_text(arguments, "input"));
        let custom = json!({ "name": call.name, "input": input.unwrap_or_default() });
        return json!({ "id": call.id, "type": "custom", "custom": custom });
    }
    let mut written = json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    });
    let signature = answer.blocks.iter().find_map(|block| match block {
        Block::Thinking { proof: Some(proof), .. } => signature_of(proof, &call.id),
        _ => None,
    });
    if let (Some(signature), Value::Object(written)) = (signature, &mut written) {
        let google = json!({ "google": { "thought_signature": signature } });
        written.insert("extra_content".to_owned(), google);
    }
    written
}

/// Gemini's proof of a call, which its own shim for this dialect carries in the call.
pub(super) fn signature_of(proof: &Proof, call_id: &str) -> Option<String> {
    if proof.origin != GEMINI.name {
        return None;
    }
    let proof: Value = serde_json::from_str(&proof.json).ok()?;
    (text(&proof, "callId") == call_id).then(|| some_text(&proof, "thoughtSignature"))?
}
