//! Anthropic Messages, as Anthropic's servers speak it.

use serde_json::{Value, json};

use super::{Rejection, Script, content_text, items, owned, text, texts};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish, pieces};

pub(super) fn read(body: &Value) -> Result<Asked, Rejection> {
    let messages = items(body, "messages");
    if messages.is_empty() {
        return Err(Rejection::invalid("messages: Field required"));
    }
    let Some(max_tokens) = body.get("max_tokens").and_then(Value::as_u64) else {
        return Err(Rejection::invalid("max_tokens: Field required"));
    };
    let heard = hear(&turns(messages)?);
    let tool =
        |tool: &Value| (text(tool, "name"), tool.get("input_schema").cloned().unwrap_or_default());
    let instructions = content_text(body.get("system").unwrap_or(&Value::Null));
    Ok(Asked {
        is_stored: false,
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        wants_json: body.pointer("/output_config/format").is_some()
            || instructions.contains("JSON object"),
        tools: items(body, "tools").iter().map(tool).collect(),
        wish: heard.wish,
        begun: heard.begun,
        forced_tool: owned(body.pointer("/tool_choice/name")),
        max_words: Some(max_tokens),
        stops: texts(body.get("stop_sequences")),
    })
}

/// The conversation, if Anthropic would take it.
fn turns(messages: &[Value]) -> Result<Vec<Turn>, Rejection> {
    let mut open: Vec<String> = Vec::new();
    let mut turns = Vec::new();
    for (n, message) in messages.iter().enumerate() {
        let blocks = items(message, "content");
        let of_kind = |kind: &str, key: &str| -> Vec<String> {
            blocks.iter().filter(|b| text(b, "type") == kind).map(|b| text(b, key)).collect()
        };
        let results = of_kind("tool_result", "tool_use_id");
        if open.iter().any(|id| !results.contains(id)) {
            return Err(Rejection::invalid(
                "`tool_use` ids were found without `tool_result` blocks immediately after",
            ));
        }
        open = of_kind("tool_use", "id");
        if blocks.iter().any(|b| text(b, "type") == "text" && text(b, "text").is_empty()) {
            return Err(Rejection::invalid("messages: text content blocks must be non-empty"));
        }
        let is_model = text(message, "role") == "assistant";
        let said = content_text(message.get("content").unwrap_or(&Value::Null));
        if is_model && n + 1 == messages.len() {
            check_last(blocks, &said)?;
        }
        let role = match (is_model, results.is_empty()) {
            (true, _) => Role::Model,
            (false, true) => Role::User,
            (false, false) => Role::Result,
        };
        turns.push(Turn { role, text: said, is_prefix: false });
    }
    Ok(turns)
}

/// What an assistant's message at the end may not be.
fn check_last(blocks: &[Value], said: &str) -> Result<(), Rejection> {
    if said.ends_with(char::is_whitespace) {
        return Err(Rejection::invalid(
            "messages: final assistant content cannot end with trailing whitespace",
        ));
    }
    let is_thinking = |block: &Value| text(block, "type").ends_with("thinking");
    if blocks.last().is_some_and(is_thinking) {
        return Err(Rejection::invalid(
            "messages: the final block in an assistant message cannot be `thinking`.",
        ));
    }
    Ok(())
}

const fn reason(content: &Content) -> &'static str {
    match content.finish {
        Finish::Stop => "end_turn",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn sequence(content: &Content) -> Value {
    match &content.finish {
        Finish::Sequence(stop) => stop.as_str().into(),
        Finish::Stop | Finish::Length | Finish::Calls => Value::Null,
    }
}

pub(super) fn whole(asked: &Asked, content: &Content) -> Value {
    let mut blocks = Vec::new();
    if !content.thinking.is_empty() {
        let thinking = content.thinking.concat();
        blocks.push(json!({ "type": "thinking", "thinking": thinking, "signature": "c2lnbmVk" }));
    }
    if !content.text.is_empty() {
        blocks.push(json!({ "type": "text", "text": content.text.concat() }));
    }
    for (n, (name, args)) in content.calls.iter().enumerate() {
        let id = format!("toolu_fake{n}");
        blocks.push(json!({ "type": "tool_use", "id": id, "name": name, "input": args }));
    }
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": asked.model,
        "content": blocks, "stop_reason": reason(content), "stop_sequence": sequence(content),
        "usage": { "input_tokens": 10, "output_tokens": content.tokens() },
    })
}

fn event(name: &str, data: &Value) -> String {
    format!("event: {name}\ndata: {data}\n\n")
}

fn open(n: usize, block: &Value) -> String {
    let data = json!({ "type": "content_block_start", "index": n, "content_block": block });
    event("content_block_start", &data)
}

fn delta(n: usize, delta: &Value) -> String {
    let data = json!({ "type": "content_block_delta", "index": n, "delta": delta });
    event("content_block_delta", &data)
}

fn close(n: usize) -> String {
    event("content_block_stop", &json!({ "type": "content_block_stop", "index": n }))
}

pub(super) fn stream(asked: &Asked, content: &Content) -> Script {
    let message = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": asked.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 1 },
    });
    let start = json!({ "type": "message_start", "message": message });
    let mut script = Script { prelude: vec![event("message_start", &start)], ..Script::default() };
    blocks(content, &mut script);
    let end = json!({
        "type": "message_delta",
        "delta": { "stop_reason": reason(content), "stop_sequence": sequence(content) },
        "usage": { "output_tokens": content.tokens() },
    });
    script.end.push(event("message_delta", &end));
    script.end.push(event("message_stop", &json!({ "type": "message_stop" })));
    script
}

/// The blocks of an answer, one after the other: what opens the first one is no content, and what
/// closes the last one belongs to the end.
fn blocks(content: &Content, script: &mut Script) {
    let mut n = 0;
    let mut add = |start: Value, deltas: Vec<Value>| {
        let is_first = script.content.is_empty();
        if is_first && start.get("type") != Some(&"tool_use".into()) {
            script.prelude.push(open(n, &start));
            script.prelude.push(event("ping", &json!({ "type": "ping" })));
        } else {
            script.content.push(open(n, &start));
        }
        script.content.extend(deltas.iter().map(|more| delta(n, more)));
        script.content.push(close(n));
        n += 1;
    };
    if !content.thinking.is_empty() {
        let say = |word: &String| json!({ "type": "thinking_delta", "thinking": word });
        let mut deltas: Vec<Value> = content.thinking.iter().map(say).collect();
        deltas.push(json!({ "type": "signature_delta", "signature": "c2lnbmVk" }));
        add(json!({ "type": "thinking", "thinking": "", "signature": "" }), deltas);
    }
    if !content.text.is_empty() {
        let say = |word: &String| json!({ "type": "text_delta", "text": word });
        let deltas = content.text.iter().map(say).collect();
        add(json!({ "type": "text", "text": "" }), deltas);
    }
    for (number, (name, args)) in content.calls.iter().enumerate() {
        let id = format!("toolu_fake{number}");
        let say = |piece: &String| json!({ "type": "input_json_delta", "partial_json": piece });
        let deltas = pieces(&args.to_string(), 5).iter().map(say).collect();
        add(json!({ "type": "tool_use", "id": id, "name": name, "input": {} }), deltas);
    }
    script.end.extend(script.content.pop());
}
