//! Google's Gemini, as its servers speak it.

use serde_json::{Value, json};

use super::{Rejection, Script, items, owned, text, texts};
use crate::fake_provider::conversation::{Role, Turn, hear};
use crate::fake_provider::words::{Asked, Content, Finish};

pub(super) fn read(path: &str, body: &Value) -> Result<Asked, Rejection> {
    let rejection =
        |message: &str| Rejection { kind: "INVALID_ARGUMENT", ..Rejection::invalid(message) };
    let contents = items(body, "contents");
    if contents.is_empty() {
        return Err(rejection("* GenerateContentRequest.contents: contents is not specified"));
    }
    let (_, tail) = path.rsplit_once("/models/").unwrap_or_default();
    let (model, verb) = tail.rsplit_once(':').unwrap_or_default();
    let declarations = items(body, "tools").iter().flat_map(|t| items(t, "functionDeclarations"));
    let tool = |declaration: &Value| {
        let schema = declaration
            .get("parametersJsonSchema")
            // Google accepts both spellings, and its Python SDK sends this one.
            .or_else(|| declaration.get("parameters_json_schema"))
            .or_else(|| declaration.get("parameters"))
            .cloned();
        (text(declaration, "name"), schema.unwrap_or_default())
    };
    let heard = hear(&contents.iter().map(turn).collect::<Vec<_>>());
    let config = body.get("generationConfig").unwrap_or(&Value::Null);
    Ok(Asked {
        is_stored: false,
        model: model.to_owned(),
        stream: verb.starts_with("stream"),
        include_usage: true,
        wants_json: text(config, "responseMimeType") == "application/json",
        tools: declarations.map(tool).collect(),
        wish: heard.wish,
        begun: heard.begun,
        forced_tool: owned(
            body.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames/0"),
        ),
        max_words: config.get("maxOutputTokens").and_then(Value::as_u64),
        stops: texts(config.get("stopSequences")),
    })
}

fn turn(content: &Value) -> Turn {
    let parts = items(content, "parts");
    let is_result = parts.iter().any(|part| part.get("functionResponse").is_some());
    let role = match text(content, "role").as_str() {
        "model" => Role::Model,
        _ if is_result => Role::Result,
        _ => Role::User,
    };
    let is_thought = |part: &&Value| part.get("thought") == Some(&Value::Bool(true));
    let said = parts.iter().filter(|part| !is_thought(part)).map(|part| text(part, "text"));
    Turn { role, text: said.collect(), is_prefix: false }
}

const fn reason(content: &Content) -> &'static str {
    match content.finish {
        Finish::Stop | Finish::Sequence(_) | Finish::Calls => "STOP",
        Finish::Length => "MAX_TOKENS",
    }
}

fn chunk(asked: &Asked, content: &Content, parts: &[Value], reason: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let (Some(reason), Value::Object(candidate)) = (reason, &mut candidate) {
        candidate.insert("finishReason".to_owned(), reason.into());
    }
    let thoughts = content.thinking.len();
    let tokens = content.tokens() - thoughts;
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 10, "candidatesTokenCount": tokens,
            "thoughtsTokenCount": thoughts, "totalTokenCount": 10 + tokens + thoughts,
        },
        "modelVersion": asked.model, "responseId": "fake",
    })
}

fn calls(content: &Content) -> impl Iterator<Item = Value> {
    let call =
        |(name, args): &(String, Value)| json!({ "functionCall": { "name": name, "args": args } });
    content.calls.iter().map(call)
}

fn thought(text: &str) -> Value {
    json!({ "text": text, "thought": true })
}

pub(super) fn whole(asked: &Asked, content: &Content) -> Value {
    let mut parts = Vec::new();
    if !content.thinking.is_empty() {
        parts.push(thought(&content.thinking.concat()));
    }
    if !content.text.is_empty() {
        parts.push(json!({ "text": content.text.concat() }));
    }
    parts.extend(calls(content));
    chunk(asked, content, &parts, Some(reason(content)))
}

pub(super) fn stream(asked: &Asked, content: &Content) -> Script {
    let event = |part: Value, reason: Option<&str>| {
        format!("data: {}\r\n\r\n", chunk(asked, content, &[part], reason))
    };
    let mut script = Script::default();
    script.content.extend(content.thinking.iter().map(|word| event(thought(word), None)));
    script.content.extend(content.text.iter().map(|word| event(json!({ "text": word }), None)));
    script.content.extend(calls(content).map(|call| event(call, None)));
    script.end.push(event(json!({ "text": "" }), Some(reason(content))));
    script
}
