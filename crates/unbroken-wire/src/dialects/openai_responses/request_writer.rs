//! Writing requests of Responses: the whole conversation as items, nothing kept at the provider.

use serde_json::{Value, json};

use super::item::custom_input;
use crate::chat::{
    Block, Chat, Effort, OutputFormat, Role, Source, Tool, ToolCall, ToolChoice, Turn,
};
use crate::dialects::fields::Object;
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::openai_chat::{effort, thinks};
use crate::dialects::{Unsupported, Written};
use crate::names::NameRules;
use crate::schema;

/// The least that this API accepts as a limit. Source: wire-formats.md case 61.
const MAX_TOKENS_MIN: u64 = 16;

/// Extras that stand elsewhere than at the top of a body.
const NOT_FIELDS: &[&str] = &["tools", "tool_choice", "verbosity", "logprobs"];

/// Source: wire-formats.md 2.2, tool name rules.
const NAMES: NameRules = NameRules { also: "", len_max: 64, begins_with_letter: false };

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut written = Written::with_names(chat, &NAMES, |chat| write_named(chat, model))?;
    // This API has tools that take free text.
    written.warnings.retain(|warning| warning != "emulated:tools.custom");
    Ok(written)
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut warnings = Vec::new();
    let is_own = chat.origin == super::OPENAI_RESPONSES.name;
    if chat.choices > 1 {
        return Err(Unsupported::new("n", "this API gives one answer at a time"));
    }
    let mut body = Object::default();
    body.set("model", model);
    let mut input = Vec::new();
    for turn in &chat.turns {
        write_turn(turn, is_own, &chat.tools, &mut input, &mut warnings)?;
    }
    if let Some(begun) = chat.prefill() {
        input.push(json!({ "role": "user", "content": foreign::go_on(&begun) }));
        warnings.push("emulated:prefill".to_owned());
    }
    let system = chat.system.join("\n\n");
    if input.is_empty() {
        input.push(json!({ "role": "user", "content": system }));
    } else if !system.is_empty() {
        body.set("instructions", system);
    }
    body.set("input", input);
    body.set("store", false);
    if chat.stream {
        body.set("stream", true);
    }
    write_tools(chat, &mut body);
    write_settings(chat, model, &mut body, &mut warnings);
    if is_own {
        let extras = chat.extras.iter().filter(|(key, _)| !NOT_FIELDS.contains(&&**key));
        extras.for_each(|(key, value)| body.set(key, value.clone()));
    } else {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    Ok(Written::new(body, warnings).stopped_by_us(&chat.stop))
}

fn write_turn(
    turn: &Turn,
    is_own: bool,
    tools: &[Tool],
    input: &mut Vec<Value>,
    warnings: &mut Vec<String>,
) -> Result<(), Unsupported> {
    let mut parts = Vec::new();
    let is_result = |block: &&Block| matches!(block, Block::ToolResult { .. });
    for block in turn.blocks.iter().filter(is_result) {
        if let Block::ToolResult { call_id, content, is_error, .. } = block {
            input.push(write_result(call_id, content, *is_error, is_own)?);
        }
    }
    for block in turn.blocks.iter().filter(|block| !is_result(block)) {
        let item = match block {
            Block::Thinking { proof, .. } => {
                let own = proof.as_ref().filter(|p| p.origin == super::OPENAI_RESPONSES.name);
                let Some(own) = own else {
                    warnings.push("dropped:thinking".to_owned());
                    continue;
                };
                serde_json::from_str(&own.json).unwrap_or(Value::Null)
            }
            Block::ToolCall(call) => write_call(call, tools),
            Block::Opaque(value) if is_own => value.clone(),
            Block::Opaque(value) => match foreign::verdict(value) {
                Verdict::Text(text) => {
                    warnings.push(foreign::warning("emulated", value));
                    parts.push(json!({ "type": part_type(turn.role), "text": text }));
                    continue;
                }
                Verdict::Drop => {
                    warnings.push(foreign::warning("dropped", value));
                    continue;
                }
                Verdict::Refuse(why) => return Err(why),
            },
            other => {
                parts.extend(write_part(turn.role, other)?);
                continue;
            }
        };
        flush(turn.role, &mut parts, input);
        if !item.is_null() {
            input.push(item);
        }
    }
    flush(turn.role, &mut parts, input);
    Ok(())
}

fn flush(role: Role, parts: &mut Vec<Value>, input: &mut Vec<Value>) {
    if parts.is_empty() {
        return;
    }
    let role = match role {
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::System => "system",
    };
    input.push(json!({ "type": "message", "role": role, "content": std::mem::take(parts) }));
}

/// What the model said is output, everything else is input.
const fn part_type(role: Role) -> &'static str {
    match role {
        Role::Assistant => "output_text",
        Role::User | Role::System => "input_text",
    }
}

fn write_part(role: Role, block: &Block) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match (block, role) {
        (Block::Text(text), _) if text.is_empty() => return Ok(None),
        (Block::Refusal(text), Role::Assistant) => json!({ "type": "refusal", "refusal": text }),
        (Block::Text(text) | Block::Refusal(text), _) => {
            json!({ "type": part_type(role), "text": text })
        }
        (Block::Image(_) | Block::File { .. }, Role::Assistant) => {
            return Err(Unsupported::new("input", "media in an assistant's turn"));
        }
        (Block::Image(source), _) => {
            json!({ "type": "input_image", "image_url": source.to_url(), "detail": "auto" })
        }
        (Block::File { source: Source::Url(url), .. }, _) => {
            json!({ "type": "input_file", "file_url": url })
        }
        (Block::File { source, name }, _) => {
            let name = name.clone().unwrap_or_else(|| "document.pdf".to_owned());
            json!({ "type": "input_file", "file_data": source.to_url(), "filename": name })
        }
        (
            Block::ToolCall(_)
            | Block::ToolResult { .. }
            | Block::Thinking { .. }
            | Block::Opaque(_),
            _,
        ) => return Ok(None),
    }))
}

fn write_call(call: &ToolCall, tools: &[Tool]) -> Value {
    if tools.iter().any(|tool| tool.is_custom && tool.name == call.name) {
        return json!({
            "type": "custom_tool_call", "call_id": call.id, "name": call.name,
            "input": custom_input(&call.arguments),
        });
    }
    let arguments = if call.arguments.trim().is_empty() { "{}" } else { &call.arguments };
    json!({
        "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments,
    })
}

/// A result is text, or a list of parts if there is more in it.
fn write_result(
    call_id: &str,
    content: &[Block],
    is_error: bool,
    is_own: bool,
) -> Result<Value, Unsupported> {
    let prefix = if is_error { "Error: " } else { "" };
    let texts: Option<Vec<&str>> = content
        .iter()
        .map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    let output = if let Some(texts) = texts {
        let text = texts.join("\n");
        let text = if is_error && text.is_empty() { "(empty)".to_owned() } else { text };
        Value::from(format!("{prefix}{text}"))
    } else {
        let mut parts = Vec::new();
        if is_error {
            parts.push(json!({ "type": "input_text", "text": prefix }));
        }
        for block in content {
            match block {
                Block::Opaque(value) if is_own => parts.push(value.clone()),
                Block::Opaque(value) => {
                    parts.push(json!({ "type": "input_text", "text": foreign::as_text(value) }));
                }
                other => parts.extend(write_part(Role::User, other)?),
            }
        }
        parts.into()
    };
    Ok(json!({ "type": "function_call_output", "call_id": call_id, "output": output }))
}

fn write_tools(chat: &Chat, body: &mut Object) {
    if chat.tools.is_empty() {
        return;
    }
    let tool = |tool: &Tool| {
        let mut object = Object::default();
        object.set("type", if tool.is_custom { "custom" } else { "function" });
        object.set("name", tool.name.as_str());
        object.set_some("description", tool.description.clone());
        if !tool.is_custom {
            object.set("parameters", tool.schema.clone());
            // This API takes nothing for true.
            object.set("strict", tool.strict == Some(true) && schema::is_strict(&tool.schema));
        }
        Value::from(object)
    };
    body.set("tools", chat.tools.iter().map(tool).collect::<Vec<_>>());
    let choice = chat.tool_choice.as_ref().map(|choice| match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": kind_of(chat, name), "name": name }),
        ToolChoice::OneOf(names) => {
            let tools =
                names.iter().map(|name| json!({ "type": kind_of(chat, name), "name": name }));
            let tools: Vec<Value> = tools.collect();
            json!({ "type": "allowed_tools", "mode": "required", "tools": tools })
        }
    });
    body.set_some("tool_choice", choice);
    body.set_some("parallel_tool_calls", chat.parallel_tools);
}

fn kind_of(chat: &Chat, name: &str) -> &'static str {
    let is_custom = chat.tools.iter().any(|tool| tool.is_custom && tool.name == name);
    if is_custom { "custom" } else { "function" }
}

fn write_settings(chat: &Chat, model: &str, body: &mut Object, warnings: &mut Vec<String>) {
    let sampling = &chat.sampling;
    let mut drop_if = |is_there: bool, field: &str| {
        if is_there {
            warnings.push(format!("dropped:{field}"));
        }
    };
    drop_if(sampling.seed.is_some(), "seed");
    drop_if(sampling.top_k.is_some(), "top_k");
    drop_if(sampling.presence_penalty.is_some(), "presence_penalty");
    drop_if(sampling.frequency_penalty.is_some(), "frequency_penalty");
    // Models that think refuse to be told how to draw.
    let thinks = thinks(model) && chat.effort != Some(Effort::None);
    drop_if(thinks && sampling.temperature.is_some(), "temperature");
    drop_if(thinks && sampling.top_p.is_some(), "top_p");
    if !thinks {
        body.set_some("temperature", sampling.temperature);
        body.set_some("top_p", sampling.top_p);
    }
    if let Some(limit) = chat.max_tokens {
        if limit < MAX_TOKENS_MIN {
            warnings.push("emulated:max_tokens".to_owned());
        }
        body.set("max_output_tokens", limit.max(MAX_TOKENS_MIN));
    }
    let mut reasoning = Object::default();
    if let Some(wanted) = chat.effort {
        match effort(model, wanted) {
            Some(taken) => reasoning.set("effort", taken.word()),
            None => warnings.push("dropped:reasoning_effort".to_owned()),
        }
    }
    if thinks && chat.show_thinking == Some(true) {
        reasoning.set("summary", "auto");
    }
    if !reasoning.is_empty() {
        body.set("reasoning", Value::from(reasoning));
    }
    if thinks {
        body.set("include", json!(["reasoning.encrypted_content"]));
    }
    body.set_some("safety_identifier", chat.user.clone());
    let format = match &chat.output {
        OutputFormat::Text => return,
        OutputFormat::Json => json!({ "type": "json_object" }),
        OutputFormat::Schema { name, schema, strict } => json!({
            "type": "json_schema", "name": name, "schema": schema,
            "strict": *strict == Some(true) && schema::is_strict(schema),
        }),
    };
    body.set("text", json!({ "format": format }));
}
