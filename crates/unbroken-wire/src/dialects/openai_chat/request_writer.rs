//! Writing requests of Chat Completions.

use serde_json::{Value, json};

use super::model::{self, thinks};
use crate::chat::{Block, Chat, OutputFormat, Role, Source, Tool, ToolCall, ToolChoice, Turn};
use crate::dialects::fields::{Object, text};
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::{Unsupported, Written};
use crate::names::NameRules;
use crate::schema;

/// Source: wire-formats.md 2.2, tool name rules.
const NAMES: NameRules = NameRules { also: "", len_max: 64, begins_with_letter: false };

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    Written::with_names(chat, &NAMES, |chat| write_named(chat, model))
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut warnings = Vec::new();
    let is_own = chat.origin == super::OPENAI_CHAT.name;
    let mut body = Object::default();
    body.set("model", model);
    let mut messages = Vec::new();
    if !chat.system.is_empty() {
        messages.push(json!({ "role": "system", "content": chat.system.join("\n\n") }));
    }
    for turn in &chat.turns {
        write_turn(turn, is_own, &mut messages, &mut warnings)?;
    }
    if let Some(begun) = chat.prefill() {
        messages.push(json!({ "role": "user", "content": foreign::go_on(&begun) }));
        warnings.push("emulated:prefill".to_owned());
    }
    body.set("messages", messages);
    if chat.stream {
        body.set("stream", true);
        body.set("stream_options", json!({ "include_usage": true }));
    }
    write_tools(chat, &mut body, &mut warnings);
    write_settings(chat, model, &mut body, &mut warnings);
    if is_own {
        let is_a_field = |key: &str| key != "tools" && key != "cache_control" && !key.contains('.');
        let extras = chat.extras.iter().filter(|(key, _)| is_a_field(key));
        extras.for_each(|(key, value)| body.set(key, value.clone()));
    } else {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    let taken = taken_stops(chat, model).len();
    Ok(Written::new(body, warnings).stopped_by_us(chat.stop.get(taken..).unwrap_or_default()))
}

fn write_settings(chat: &Chat, model: &str, body: &mut Object, warnings: &mut Vec<String>) {
    let sampling = &chat.sampling;
    let limit = if thinks(model) { "max_completion_tokens" } else { "max_tokens" };
    body.set_some(limit, chat.max_tokens);
    body.set_some("temperature", sampling.temperature);
    body.set_some("top_p", sampling.top_p);
    if sampling.top_k.is_some() {
        warnings.push("dropped:top_k".to_owned());
    }
    body.set_some("seed", sampling.seed);
    body.set_some("presence_penalty", sampling.presence_penalty);
    body.set_some("frequency_penalty", sampling.frequency_penalty);
    if let Some(effort) = chat.effort {
        match model::effort(model, effort) {
            Some(taken) => body.set("reasoning_effort", taken.word()),
            None => warnings.push("dropped:reasoning_effort".to_owned()),
        }
    }
    body.set_some("user", chat.user.clone());
    let stops = taken_stops(chat, model);
    if !stops.is_empty() {
        body.set("stop", stops.to_vec());
    }
    if chat.choices > 1 {
        body.set("n", chat.choices);
    }
    match &chat.output {
        OutputFormat::Text => {}
        OutputFormat::Json => body.set("response_format", json!({ "type": "json_object" })),
        OutputFormat::Schema { name, schema, strict } => {
            let mut inner = Object::default();
            inner.set("name", name.as_str());
            inner.set("schema", schema.clone());
            // Others are strict about schemas that this API would refuse.
            inner.set_some("strict", strict.map(|strict| strict && schema::is_strict(schema)));
            let format = json!({ "type": "json_schema", "json_schema": Value::from(inner) });
            body.set("response_format", format);
        }
    }
}

/// This API takes four stop texts; OpenAI's models that think take none.
const STOPS_MAX: usize = 4;

fn taken_stops<'a>(chat: &'a Chat, model: &str) -> &'a [String] {
    let count = if thinks(model) { 0 } else { STOPS_MAX.min(chat.stop.len()) };
    chat.stop.get(..count).unwrap_or_default()
}

fn write_tools(chat: &Chat, body: &mut Object, warnings: &mut Vec<String>) {
    if chat.tools.is_empty() {
        return;
    }
    let tool = |tool: &Tool| {
        let mut function = Object::default();
        function.set("name", tool.name.as_str());
        function.set_some("description", tool.description.clone());
        function.set("parameters", tool.schema.clone());
        function.set_some(
            "strict",
            tool.strict.map(|strict| strict && schema::is_strict(&tool.schema)),
        );
        json!({ "type": "function", "function": Value::from(function) })
    };
    let mut tools: Vec<&Tool> = chat.tools.iter().collect();
    if let Some(ToolChoice::OneOf(names)) = &chat.tool_choice {
        tools.retain(|tool| names.contains(&tool.name));
        warnings.push("emulated:tool_choice".to_owned());
    }
    body.set("tools", tools.into_iter().map(tool).collect::<Vec<_>>());
    body.set_some("tool_choice", chat.tool_choice.as_ref().map(write_tool_choice));
    body.set_some("parallel_tool_calls", chat.parallel_tools);
}

fn write_tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required | ToolChoice::OneOf(_) => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

fn write_turn(
    turn: &Turn,
    is_own: bool,
    messages: &mut Vec<Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Unsupported> {
    match turn.role {
        Role::System => {
            let text: Vec<String> =
                turn.blocks.iter().cloned().filter_map(Block::into_text).collect();
            messages.push(json!({ "role": "system", "content": text.join("\n\n") }));
        }
        Role::Assistant => messages.extend(write_assistant(&turn.blocks, is_own, warnings)?),
        Role::User => write_user(&turn.blocks, is_own, messages, warnings)?,
    }
    Ok(())
}

/// Tool results first, each a message of its own; then what the user says.
fn write_user(
    blocks: &[Block],
    is_own: bool,
    messages: &mut Vec<Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Unsupported> {
    let mut parts = Vec::new();
    for block in blocks {
        if let Block::ToolResult { call_id, content, is_error, .. } = block {
            let mut text = result_text(content, &mut parts, call_id, warnings);
            if *is_error {
                // This API has no flag for it.
                let said = if text.is_empty() { "(empty)" } else { "" };
                text = format!("Error: {text}{said}");
            }
            messages.push(json!({ "role": "tool", "tool_call_id": call_id, "content": text }));
        }
    }
    for block in blocks.iter().filter(|block| !matches!(block, Block::ToolResult { .. })) {
        parts.extend(match foreign_text(block, is_own, warnings)? {
            Foreign::No => write_part(block, is_own)?,
            Foreign::Text(text) => Some(json!({ "type": "text", "text": text })),
            Foreign::Nothing => None,
        });
    }
    let is_text = |part: &Value| text(part, "type") == "text";
    match parts.as_slice() {
        [] => {}
        // Some hosts take nothing but one text.
        texts if texts.iter().all(is_text) => {
            let texts: Vec<&str> = texts.iter().map(|part| text(part, "text")).collect();
            messages.push(json!({ "role": "user", "content": texts.join("\n") }));
        }
        _ => messages.push(json!({ "role": "user", "content": parts })),
    }
    Ok(())
}

/// The text of a tool's result. What is no text follows in the user's message, labelled.
fn result_text(
    content: &[Block],
    parts: &mut Vec<Value>,
    call_id: &str,
    warnings: &mut Vec<String>,
) -> String {
    let mut texts = Vec::new();
    for block in content {
        match block {
            Block::Text(text) => texts.push(text.clone()),
            Block::Opaque(value) => texts.push(foreign::as_text(value)),
            other => {
                if let Ok(Some(part)) = write_part(other, false) {
                    parts.push(json!({ "type": "text", "text": format!("[result of {call_id}]") }));
                    parts.push(part);
                    texts.push("[see the next message]".to_owned());
                    warnings.push("emulated:tool_result".to_owned());
                }
            }
        }
    }
    texts.join("\n")
}

/// What becomes of a block that only another dialect understands.
enum Foreign {
    /// It is none.
    No,
    Text(String),
    Nothing,
}

fn foreign_text(
    block: &Block,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Foreign, Unsupported> {
    let Block::Opaque(value) = block else { return Ok(Foreign::No) };
    if is_own {
        return Ok(Foreign::No);
    }
    match foreign::verdict(value) {
        Verdict::Text(text) => {
            warnings.push(foreign::warning("emulated", value));
            Ok(Foreign::Text(text))
        }
        Verdict::Drop => {
            warnings.push(foreign::warning("dropped", value));
            Ok(Foreign::Nothing)
        }
        Verdict::Refuse(why) => Err(why),
    }
}

fn write_part(block: &Block, is_own: bool) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match block {
        Block::Text(text) | Block::Refusal(text) => json!({ "type": "text", "text": text }),
        Block::Image(source) => {
            json!({ "type": "image_url", "image_url": { "url": source.to_url() } })
        }
        Block::File { source: source @ Source::Base64 { .. }, name } => {
            let name = name.clone().unwrap_or_else(|| "document.pdf".to_owned());
            json!({ "type": "file", "file": { "file_data": source.to_url(), "filename": name } })
        }
        Block::File { .. } => {
            return Err(Unsupported::new("messages", "a file by URL has no place in this API"));
        }
        Block::Opaque(value) if is_own => value.clone(),
        Block::Opaque(value) => {
            let kind = text(value, "type");
            return Err(Unsupported::new("messages", &format!("a block of type '{kind}'")));
        }
        Block::Thinking { .. } | Block::ToolCall(_) | Block::ToolResult { .. } => return Ok(None),
    }))
}

fn write_assistant(
    blocks: &[Block],
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Value>, Unsupported> {
    let mut message = Object::default();
    message.set("role", "assistant");
    let mut texts = Vec::new();
    let mut calls = Vec::new();
    for block in blocks {
        match block {
            Block::Text(text) => texts.push(text.clone()),
            Block::Refusal(text) => message.set("refusal", text.as_str()),
            Block::ToolCall(call) => calls.push(json!({
                "id": call.id,
                "type": "function",
                "function": { "name": call.name, "arguments": arguments_text(call) },
            })),
            Block::Thinking { text, .. } if is_own => {
                message.set("reasoning_content", text.as_str());
            }
            // Thinking of another model is not passed on.
            Block::Thinking { .. } => warnings.push("dropped:thinking".to_owned()),
            Block::Image(_) | Block::File { .. } | Block::ToolResult { .. } => {
                return Err(Unsupported::new("messages", "media in an assistant's turn"));
            }
            Block::Opaque(_) => match foreign_text(block, false, warnings)? {
                Foreign::Text(text) => texts.push(text),
                Foreign::No | Foreign::Nothing => {}
            },
        }
    }
    let content = if texts.is_empty() { Value::Null } else { texts.concat().into() };
    let says_something = !content.is_null() || !calls.is_empty() || !message.is_only("role");
    message.set("content", content);
    if !calls.is_empty() {
        message.set("tool_calls", calls);
    }
    Ok(says_something.then(|| message.into()))
}

fn arguments_text(call: &ToolCall) -> &str {
    if call.arguments.trim().is_empty() { "{}" } else { &call.arguments }
}
