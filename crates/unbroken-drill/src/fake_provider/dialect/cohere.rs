//! Cohere's chat, as its servers speak it.

use serde_json::{Value, json};

use super::{Rejection, Script, content_text, items, text, texts};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish, pieces};

pub(super) fn read(body: &Value) -> Result<Asked, Rejection> {
    let messages = items(body, "messages");
    if messages.is_empty() {
        return Err(Rejection::invalid("messages must be at least one message"));
    }
    for key in ["n", "stream_options", "max_completion_tokens", "logit_bias", "user", "stop"] {
        if body.get(key).is_some() {
            let message = format!("unknown field: parameter '{key}' is not a valid field");
            return Err(Rejection { status: 422, ..Rejection::invalid(&message) });
        }
    }
    let tools = items(body, "tools");
    let wants_json = body.pointer("/response_format/type").is_some();
    if wants_json && !tools.is_empty() {
        return Err(Rejection::invalid("cannot specify response_format with tools"));
    }
    let is_said = |message: &&Value| text(message, "role") != "system";
    let heard = hear(&messages.iter().filter(is_said).map(turn).collect::<Vec<_>>());
    let system: String = messages
        .iter()
        .filter(|message| !is_said(message))
        .map(|message| content_text(message.get("content").unwrap_or(&Value::Null)))
        .collect();
    let tool = |tool: &Value| {
        let function = tool.get("function").unwrap_or(&Value::Null);
        (text(function, "name"), function.get("parameters").cloned().unwrap_or_default())
    };
    let tools: Vec<(String, Value)> = tools.iter().map(tool).collect();
    let is_forced = text(body, "tool_choice") == "REQUIRED";
    Ok(Asked {
        is_stored: false,
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        wants_json: wants_json || system.contains("JSON object"),
        forced_tool: tools.first().filter(|_| is_forced).map(|(name, _)| name.clone()),
        tools,
        wish: heard.wish,
        begun: heard.begun,
        max_words: body.get("max_tokens").and_then(Value::as_u64),
        stops: texts(body.get("stop_sequences")),
    })
}

fn turn(message: &Value) -> Turn {
    let role = match text(message, "role").as_str() {
        "assistant" => Role::Model,
        "tool" => Role::Result,
        _ => Role::User,
    };
    let said = content_text(message.get("content").unwrap_or(&Value::Null));
    Turn { role, text: said + &text(message, "tool_plan"), is_prefix: false }
}

const fn reason(content: &Content) -> &'static str {
    match content.finish {
        Finish::Stop => "COMPLETE",
        Finish::Sequence(_) => "STOP_SEQUENCE",
        Finish::Length => "MAX_TOKENS",
        Finish::Calls => "TOOL_CALL",
    }
}

/// Numbers are floats, and what is billed is not what was read.
fn usage(content: &Content) -> Value {
    let output = content.tokens() as f64;
    json!({
        "billed_units": { "input_tokens": 3.0, "output_tokens": output },
        "tokens": { "input_tokens": 10.0, "output_tokens": output },
    })
}

fn call(n: usize, name: &str, arguments: &str) -> Value {
    let function = json!({ "name": name, "arguments": arguments });
    json!({ "id": format!("{name}_fake{n}"), "type": "function", "function": function })
}

pub(super) fn whole(content: &Content) -> Value {
    let mut parts = Vec::new();
    if !content.thinking.is_empty() {
        parts.push(json!({ "type": "thinking", "thinking": content.thinking.concat() }));
    }
    let text = content.text.concat();
    let mut message = serde_json::Map::new();
    message.insert("role".to_owned(), "assistant".into());
    if !text.is_empty() && content.calls.is_empty() {
        parts.push(json!({ "type": "text", "text": text }));
    } else if !text.is_empty() {
        message.insert("tool_plan".to_owned(), text.into());
    }
    message.insert("content".to_owned(), parts.into());
    let calls = content.calls.iter().enumerate();
    let calls: Vec<Value> =
        calls.map(|(n, (name, args))| call(n, name, &args.to_string())).collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    json!({
        "id": "fake", "message": message, "finish_reason": reason(content), "usage": usage(content),
    })
}

pub(super) fn stream(content: &Content) -> Script {
    let event = |kind: &str, place: usize, message: Value| {
        let data = json!({ "type": kind, "index": place, "delta": { "message": message } });
        format!("event: {kind}\ndata: {data}\n\n")
    };
    let start = json!({ "type": "message-start", "id": "fake",
        "delta": { "message": { "role": "assistant", "content": [], "tool_plan": "" } } });
    let mut script = Script {
        prelude: vec![format!("event: message-start\ndata: {start}\n\n")],
        ..Script::default()
    };
    let mut place = 0;
    let mut say = |script: &mut Script, key: &str, words: &[String]| {
        if words.is_empty() {
            return;
        }
        let start = json!({ "content": { "type": key, key: "" } });
        script.content.push(event("content-start", place, start));
        let delta =
            |word: &String| event("content-delta", place, json!({ "content": { key: word } }));
        script.content.extend(words.iter().map(delta));
        script.content.push(event("content-end", place, json!({})));
        place += 1;
    };
    say(&mut script, "thinking", &content.thinking);
    if content.calls.is_empty() {
        say(&mut script, "text", &content.text);
    } else {
        let plan = |word: &String| event("tool-plan-delta", 0, json!({ "tool_plan": word }));
        script.content.extend(content.text.iter().map(plan));
    }
    for (n, (name, args)) in content.calls.iter().enumerate() {
        script.content.push(event(
            "tool-call-start",
            n,
            json!({ "tool_calls": call(n, name, "") }),
        ));
        for piece in pieces(&args.to_string(), 5) {
            let more = json!({ "tool_calls": { "function": { "arguments": piece } } });
            script.content.push(event("tool-call-delta", n, more));
        }
        script.content.push(event("tool-call-end", n, json!({})));
    }
    let end = json!({ "type": "message-end",
        "delta": { "finish_reason": reason(content), "usage": usage(content) } });
    script.end.push(format!("event: message-end\ndata: {end}\n\n"));
    script
}
