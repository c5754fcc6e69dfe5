//! Whole answers, as strictly as streams.

use serde_json::Value;

use super::calls::Calls;
use super::gemini::{take_finish, take_part};
use super::{Verdict, gemini as of_gemini, number, responses as of_responses, text};

pub(super) fn chat(body: &Value, verdict: &mut Verdict) {
    verdict.hold(text(body, "/object") == Some("chat.completion"), "an answer without its object");
    verdict.hold(text(body, "/id").is_some_and(|id| !id.is_empty()), "no id");
    verdict.hold(number(body, "/created").is_some(), "no time of creation");
    named(body, "/model", verdict);
    let message = body.pointer("/choices/0/message").unwrap_or(&Value::Null);
    verdict.hold(text(message, "/role") == Some("assistant"), "no assistant");
    let content = message.get("content").unwrap_or(&Value::Null);
    verdict.hold(content.is_string() || content.is_null(), "a text that is no text");
    verdict.text.push_str(content.as_str().unwrap_or_default());
    verdict.thinking.push_str(text(message, "/reasoning_content").unwrap_or_default());
    let mut calls = Calls::default();
    for call in message.get("tool_calls").and_then(Value::as_array).into_iter().flatten() {
        calls.add(text(call, "/id"), text(call, "/function/name"), verdict);
        if let (Some(last), Some(said)) = (calls.0.last_mut(), text(call, "/function/arguments")) {
            said.clone_into(&mut last.arguments);
        }
    }
    calls.finish(verdict);
    finished(text(body, "/choices/0/finish_reason"), &["tool_calls"], &["stop"], verdict);
    let of = |key: &str| number(body, key);
    let (prompt, output) = (of("/usage/prompt_tokens"), of("/usage/completion_tokens"));
    let is_sum = prompt.zip(output).map(|(p, o)| p + o) == of("/usage/total_tokens");
    verdict.hold(is_sum && output.is_some(), "usage that does not add up");
    verdict.output_tokens = output;
}

pub(super) fn messages(body: &Value, verdict: &mut Verdict) {
    verdict.hold(text(body, "/type") == Some("message"), "an answer without its type");
    verdict.hold(text(body, "/id").is_some_and(|id| !id.is_empty()), "no id");
    verdict.hold(text(body, "/role") == Some("assistant"), "no assistant");
    named(body, "/model", verdict);
    let blocks = body.get("content").and_then(Value::as_array);
    verdict.hold(blocks.is_some(), "no content");
    for block in blocks.into_iter().flatten() {
        match text(block, "/type").unwrap_or_default() {
            "text" => verdict.text.push_str(text(block, "/text").unwrap_or_default()),
            "thinking" => verdict.thinking.push_str(text(block, "/thinking").unwrap_or_default()),
            "tool_use" => {
                let input = block.get("input").cloned().unwrap_or_default();
                verdict.hold(input.is_object(), "arguments that are no object");
                let name = text(block, "/name").unwrap_or_default();
                let is_called = !name.is_empty() && text(block, "/id").is_some();
                verdict.hold(is_called, "a call without an id or a name");
                verdict.calls.push((name.to_owned(), input));
            }
            "" => verdict.broken("a block without its type"),
            _ => {}
        }
    }
    finished(text(body, "/stop_reason"), &["tool_use"], &["end_turn"], verdict);
    verdict.output_tokens = number(body, "/usage/output_tokens");
    let has_usage =
        number(body, "/usage/input_tokens").is_some() && verdict.output_tokens.is_some();
    verdict.hold(has_usage, "an end without usage");
}

pub(super) fn gemini(body: &Value, verdict: &mut Verdict) {
    named(body, "/modelVersion", verdict);
    let candidate = body.pointer("/candidates/0").unwrap_or(&Value::Null);
    verdict.hold(candidate.is_object(), "a chunk without a candidate");
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array);
    for part in parts.into_iter().flatten() {
        take_part(part, verdict);
    }
    match text(candidate, "/finishReason") {
        Some(reason) => take_finish(reason, verdict),
        None => verdict.broken("no finish reason"),
    }
    of_gemini::take_usage(body.get("usageMetadata"), verdict);
}

pub(super) fn responses(body: &Value, verdict: &mut Verdict) {
    verdict.hold(text(body, "/object") == Some("response"), "an answer without its object");
    verdict.hold(text(body, "/id").is_some_and(|id| !id.is_empty()), "no id");
    named(body, "/model", verdict);
    for item in body.get("output").and_then(Value::as_array).into_iter().flatten() {
        let parts = |key: &str| {
            let parts = item.get(key).and_then(Value::as_array).into_iter().flatten();
            parts.filter_map(|part| text(part, "/text")).collect::<String>()
        };
        match text(item, "/type").unwrap_or_default() {
            "message" => verdict.text.push_str(&parts("content")),
            "reasoning" => verdict.thinking.push_str(&parts("summary")),
            "function_call" => {
                let said = text(item, "/arguments").unwrap_or_default();
                let arguments = serde_json::from_str::<Value>(said).ok().filter(Value::is_object);
                verdict.hold(arguments.is_some(), "arguments that are no object");
                let name = text(item, "/name").unwrap_or_default();
                let is_called = !name.is_empty() && text(item, "/call_id").is_some();
                verdict.hold(is_called, "a call without an id or a name");
                verdict.calls.push((name.to_owned(), arguments.unwrap_or_default()));
            }
            "" => verdict.broken("an item without its type"),
            _ => {}
        }
    }
    let status = text(body, "/status").unwrap_or_default();
    verdict.hold(matches!(status, "completed" | "incomplete"), "no finish reason");
    verdict.is_whole = matches!(status, "completed" | "incomplete");
    verdict.finish = Some(status.to_owned());
    of_responses::take_usage(body.get("usage"), verdict);
}

fn named(body: &Value, path: &str, verdict: &mut Verdict) {
    verdict.model = text(body, path).map(ToOwned::to_owned);
    verdict.hold(verdict.model.as_ref().is_some_and(|model| !model.is_empty()), "no model");
}

/// The finish reason, which must fit the calls.
fn finished(reason: Option<&str>, of_calls: &[&str], of_text: &[&str], verdict: &mut Verdict) {
    let Some(reason) = reason else { return verdict.broken("no finish reason") };
    let has_calls = !verdict.calls.is_empty();
    let is_of_calls = of_calls.contains(&reason);
    verdict.hold(has_calls || !is_of_calls, "a finish for calls, and no calls");
    verdict.hold(!has_calls || !of_text.contains(&reason), "calls, and another finish");
    verdict.finish = Some(reason.to_owned());
    verdict.is_whole = true;
}
