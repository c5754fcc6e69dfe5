//! Amazon Bedrock's Converse, as its servers speak it. Events are written as server-sent ones; the
//! line puts them into AWS's frames.

use serde_json::{Value, json};

use super::{Rejection, Script, items, owned, text, texts};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish, pieces};

pub(super) fn read(path: &str, body: &Value) -> Result<Asked, Rejection> {
    let rejection =
        |message: &str| Rejection { kind: "ValidationException", ..Rejection::invalid(message) };
    if let Some(key) = ["model", "modelId", "stream"].iter().find(|key| body.get(**key).is_some()) {
        return Err(rejection(&format!("extraneous key [{key}] is not permitted")));
    }
    let messages = items(body, "messages");
    let turns = turns(messages).map_err(|message| rejection(&message))?;
    let tools = items(body.get("toolConfig").unwrap_or(&Value::Null), "tools");
    if tools.is_empty() && messages.iter().any(|message| !blocks(message, "toolUse").is_empty()) {
        return Err(rejection("The toolConfig field must be defined when using toolUse content."));
    }
    let specs = tools.iter().filter_map(|tool| tool.get("toolSpec"));
    let tool = |tool: &Value| {
        let schema = tool.pointer("/inputSchema/json").cloned().unwrap_or_default();
        (text(tool, "name"), schema)
    };
    let heard = hear(&turns);
    let config = body.get("inferenceConfig").unwrap_or(&Value::Null);
    let system: String = items(body, "system").iter().map(|part| text(part, "text")).collect();
    Ok(Asked {
        is_stored: false,
        model: model_of(path),
        stream: path.ends_with("-stream"),
        include_usage: true,
        wants_json: body.pointer("/outputConfig/textFormat").is_some()
            || system.contains("JSON object"),
        tools: specs.map(tool).collect(),
        wish: heard.wish,
        begun: heard.begun,
        forced_tool: owned(body.pointer("/toolConfig/toolChoice/tool/name")),
        max_words: config.get("maxTokens").and_then(Value::as_u64),
        stops: texts(config.get("stopSequences")),
    })
}

/// The model in a path such as `/model/{id}/converse`, where `:` and `/` are percent-encoded.
pub(in crate::fake_provider) fn model_of(path: &str) -> String {
    let (_, rest) = path.split_once("/model/").unwrap_or_default();
    let (model, _) = rest.split_once('/').unwrap_or_default();
    model.replace("%3A", ":").replace("%2F", "/")
}

fn blocks<'a>(message: &'a Value, kind: &str) -> Vec<&'a Value> {
    items(message, "content").iter().filter_map(|block| block.get(kind)).collect()
}

/// The conversation, if Bedrock would take it: turns alternate, begin with the user's, and every
/// call is answered in the next one.
fn turns(messages: &[Value]) -> Result<Vec<Turn>, String> {
    let mut open: Vec<String> = Vec::new();
    let mut turns: Vec<Turn> = Vec::new();
    if messages.first().is_none_or(|message| text(message, "role") != "user") {
        return Err("A conversation must start with a user message.".to_owned());
    }
    for message in messages {
        let ids = |kind: &str| -> Vec<String> {
            blocks(message, kind).iter().map(|block| text(block, "toolUseId")).collect()
        };
        let results = ids("toolResult");
        if open.iter().any(|id| !results.contains(id)) {
            return Err("Expected toolResult blocks for the following Ids".to_owned());
        }
        open = ids("toolUse");
        if items(message, "content").is_empty() {
            return Err("The content field in the Message object is empty.".to_owned());
        }
        let is_blank = |block: &Value| {
            block.get("text").and_then(Value::as_str).is_some_and(|text| text.trim().is_empty())
        };
        if items(message, "content").iter().any(is_blank) {
            return Err("The text field in the ContentBlock object is blank.".to_owned());
        }
        let role = match (text(message, "role").as_str(), results.is_empty()) {
            ("assistant", _) => Role::Model,
            (_, true) => Role::User,
            (_, false) => Role::Result,
        };
        let is_twice =
            turns.last().is_some_and(|last| (last.role == Role::Model) == (role == Role::Model));
        if is_twice {
            return Err("A conversation must alternate between user and assistant.".to_owned());
        }
        let said = items(message, "content").iter().map(|block| text(block, "text")).collect();
        turns.push(Turn { role, text: said, is_prefix: false });
    }
    Ok(turns)
}

const fn reason(content: &Content) -> &'static str {
    match content.finish {
        Finish::Stop => "end_turn",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Length => "max_tokens",
        Finish::Calls => "tool_use",
    }
}

fn usage(content: &Content) -> Value {
    let output = content.tokens();
    json!({
        "inputTokens": 10, "outputTokens": output, "totalTokens": 10 + output,
        "cacheReadInputTokens": 0, "cacheReadInputTokenCount": 0, "serverToolUsage": {},
    })
}

pub(super) fn whole(content: &Content) -> Value {
    let mut blocks = Vec::new();
    if !content.thinking.is_empty() {
        let thought = json!({ "text": content.thinking.concat(), "signature": "c2lnbmVk" });
        blocks.push(json!({ "reasoningContent": { "reasoningText": thought } }));
    }
    if !content.text.is_empty() {
        blocks.push(json!({ "text": content.text.concat() }));
    }
    for (n, (name, args)) in content.calls.iter().enumerate() {
        let id = format!("tooluse_fake{n}");
        blocks.push(json!({ "toolUse": { "toolUseId": id, "name": name, "input": args } }));
    }
    json!({
        "output": { "message": { "role": "assistant", "content": blocks } },
        "stopReason": reason(content), "usage": usage(content), "metrics": { "latencyMs": 20 },
    })
}

pub(super) fn stream(content: &Content) -> Script {
    let event = |name: &str, data: &Value| format!("event: {name}\ndata: {data}\n\n");
    let delta = |place: usize, delta: Value| {
        let data = json!({ "contentBlockIndex": place, "delta": delta, "p": "abcdefgh" });
        event("contentBlockDelta", &data)
    };
    let close = |place: usize| event("contentBlockStop", &json!({ "contentBlockIndex": place }));
    let start = event("messageStart", &json!({ "role": "assistant", "p": "abc" }));
    let mut script = Script { prelude: vec![start], ..Script::default() };
    let mut place = 0;
    if !content.thinking.is_empty() {
        let say = |word: &String| delta(0, json!({ "reasoningContent": { "text": word } }));
        script.content.extend(content.thinking.iter().map(say));
        let signature = json!({ "reasoningContent": { "signature": "c2lnbmVk" } });
        script.content.push(delta(0, signature));
        script.content.push(close(0));
        place += 1;
    }
    if !content.text.is_empty() {
        let say = |word: &String| delta(place, json!({ "text": word }));
        script.content.extend(content.text.iter().map(say));
        script.end.push(close(place));
        place += 1;
    }
    for (n, (name, args)) in content.calls.iter().enumerate() {
        script.content.append(&mut script.end);
        let call = json!({ "toolUse": { "toolUseId": format!("tooluse_fake{n}"), "name": name } });
        let data = json!({ "contentBlockIndex": place, "start": call });
        script.content.push(event("contentBlockStart", &data));
        let fragments = pieces(&args.to_string(), 5);
        let say = |piece: String| delta(place, json!({ "toolUse": { "input": piece } }));
        script.content.extend(fragments.into_iter().map(say));
        script.end.push(close(place));
        place += 1;
    }
    script.end.push(event("messageStop", &json!({ "stopReason": reason(content) })));
    script.end.push(event("metadata", &json!({ "usage": usage(content), "p": "a" })));
    script
}
