//! Writing requests of Messages.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::model::{
    effort_for, has_structured_output, max_output, most_output, takes_prefill, takes_sampling,
    thinks_by_effort,
};
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Source, Tool, ToolChoice, Turn};
use crate::dialects::fields::Object;
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::{Unsupported, Written};
use crate::names::{self, NameRules};
use crate::schema;

/// Media types of images that this API accepts.
const IMAGES: &[&str] = &["image/jpeg", "image/png", "image/gif", "image/webp"];

/// Source: wire-formats.md 2.2, tool name rules.
const NAMES: NameRules = NameRules { also: "", len_max: 128, begins_with_letter: false };

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    Written::with_names(chat, &NAMES, |chat| write_named(chat, model))
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut warnings = Vec::new();
    let is_own = chat.origin == super::ANTHROPIC_MESSAGES.name;
    if chat.choices > 1 {
        return Err(Unsupported::new("n", "this API gives one answer at a time"));
    }
    let mut body = Object::default();
    body.set("model", model);
    body.set("max_tokens", limit(chat, model, &mut warnings));
    let system = write_system(chat, model, &mut warnings);
    let mut messages = write_turns(chat, is_own, &mut warnings)?;
    write_prefill(chat, model, &mut messages, &mut warnings);
    if messages.is_empty() {
        body.set("messages", json!([{ "role": "user", "content": system }]));
    } else {
        if !system.is_empty() {
            body.set("system", system);
        }
        body.set("messages", messages);
    }
    if chat.stream {
        body.set("stream", true);
    }
    write_tools(chat, &mut body, &mut warnings);
    write_sampling(chat, model, &mut body, &mut warnings);
    write_thinking_and_format(chat, model, &mut body, &mut warnings);
    if let Some(user) = &chat.user {
        body.set("metadata", json!({ "user_id": opaque(user) }));
    }
    if is_own {
        let is_a_field = |key: &str| key != "tools" && key != "cache_control" && !key.contains('.');
        let extras = chat.extras.iter().filter(|(key, _)| is_a_field(key));
        extras.for_each(|(key, value)| body.set(key, value.clone()));
    } else {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    if chat.wants_caching() {
        // Where others mark single parts, this API finds the places itself.
        body.set("cache_control", json!({ "type": "ephemeral" }));
        warnings.retain(|warning| warning != "dropped:cache_control");
        warnings.push("emulated:cache_control".to_owned());
    }
    let blank: Vec<String> = chat.stop.iter().filter(|stop| is_blank(stop)).cloned().collect();
    Ok(Written::new(body, warnings).stopped_by_us(&blank))
}

/// The limit, which this API demands, within what the model can write.
fn limit(chat: &Chat, model: &str, warnings: &mut Vec<String>) -> u64 {
    let Some(wanted) = chat.max_tokens else { return max_output(model) };
    let most = most_output(model);
    if wanted > most {
        warnings.push("emulated:max_tokens".to_owned());
    }
    wanted.clamp(1, most)
}

/// Older models go on where the last message ends, if it does not end in space; newer ones have to
/// be asked.
fn write_prefill(chat: &Chat, model: &str, messages: &mut Vec<Value>, warnings: &mut Vec<String>) {
    let Some(begun) = chat.prefill() else { return };
    if !takes_prefill(model) {
        warnings.push("emulated:prefill".to_owned());
        let note = json!({ "type": "text", "text": foreign::go_on(&begun) });
        messages.push(json!({ "role": "user", "content": [note] }));
        return;
    }
    let last = messages.last_mut().and_then(|message| message.get_mut("content"));
    let blocks = last.and_then(Value::as_array_mut);
    let text = blocks.and_then(|blocks| blocks.last_mut()).and_then(|block| block.get_mut("text"));
    if let Some(Value::String(text)) = text {
        text.truncate(text.trim_end().len());
    }
}

/// An end user's name as this API wants it: never one that a person could be known by.
fn opaque(user: &str) -> String {
    let is_number = |c: char| c.is_ascii_digit() || "+-() ".contains(c);
    let tells = user.contains('@') || (user.len() >= 7 && user.chars().all(is_number));
    if tells { format!("user_{:016x}", names::stable_hash(user)) } else { user.to_owned() }
}

/// Texts of nothing but white space stop nothing at this API.
fn is_blank(stop: &str) -> bool {
    stop.trim().is_empty()
}

fn write_system(chat: &Chat, model: &str, warnings: &mut Vec<String>) -> String {
    let mut parts = chat.system.clone();
    let instruction = match &chat.output {
        OutputFormat::Json => Some("Answer with one JSON object and nothing else.".to_owned()),
        OutputFormat::Schema { schema, .. } if !has_structured_output(model) => Some(format!(
            "Answer with one JSON object and nothing else. It must match this JSON Schema: {schema}"
        )),
        OutputFormat::Schema { .. } | OutputFormat::Text => None,
    };
    if let Some(instruction) = instruction {
        parts.push(instruction);
        warnings.push("emulated:response_format".to_owned());
    }
    parts.join("\n\n")
}

/// Turns alternate and begin with the user's; every tool call is answered in the next turn.
fn write_turns(
    chat: &Chat,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, Unsupported> {
    let mut messages: Vec<(Role, Vec<Value>)> = Vec::new();
    let mut open_calls: Vec<String> = Vec::new();
    for turn in &chat.turns {
        let mut blocks = write_turn(turn, is_own, &open_calls, warnings)?;
        let role = if turn.role == Role::Assistant { Role::Assistant } else { Role::User };
        if messages.is_empty() && role == Role::Assistant {
            let opening = json!({ "type": "text", "text": "(conversation continues)" });
            messages.push((Role::User, vec![opening]));
            warnings.push("emulated:messages".to_owned());
        }
        open_calls = calls_of(turn);
        match messages.last_mut() {
            Some((last, so_far)) if *last == role => so_far.append(&mut blocks),
            _ if blocks.is_empty() => {}
            _ => messages.push((role, blocks)),
        }
    }
    let message = |(role, blocks): (Role, Vec<Value>)| {
        let role = if role == Role::Assistant { "assistant" } else { "user" };
        json!({ "role": role, "content": blocks })
    };
    Ok(messages.into_iter().map(message).collect())
}

fn calls_of(turn: &Turn) -> Vec<String> {
    let ids = turn.blocks.iter().filter_map(|block| match block {
        Block::ToolCall(call) => Some(call.id.clone()),
        _ => None,
    });
    ids.collect()
}

/// The blocks of a turn. Results come first, in the order of their calls; a call without a result
/// gets one that says so.
fn write_turn(
    turn: &Turn,
    is_own: bool,
    open_calls: &[String],
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, Unsupported> {
    let mut blocks = Vec::new();
    let result_of = |id: &str| {
        turn.blocks
            .iter()
            .find(|block| matches!(block, Block::ToolResult { call_id, .. } if call_id == id))
    };
    if turn.role != Role::Assistant {
        for id in open_calls {
            if let Some(result) = result_of(id) {
                blocks.extend(write_block(result, is_own, warnings)?);
            } else {
                warnings.push("emulated:tool_result".to_owned());
                blocks.push(json!({
                    "type": "tool_result", "tool_use_id": id, "is_error": true,
                    "content": "(no result)",
                }));
            }
        }
    }
    for block in &turn.blocks {
        match block {
            Block::ToolResult { call_id, .. } if open_calls.contains(call_id) => {}
            Block::Text(text) if turn.role == Role::System => {
                warnings.push("emulated:system".to_owned());
                let text = format!("<system>{text}</system>");
                blocks.push(json!({ "type": "text", "text": text }));
            }
            other => blocks.extend(write_block(other, is_own, warnings)?),
        }
    }
    Ok(blocks)
}

fn write_block(
    block: &Block,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match block {
        Block::Text(text) | Block::Refusal(text) => {
            if text.is_empty() {
                return Ok(None);
            }
            json!({ "type": "text", "text": text })
        }
        Block::Image(source) => {
            json!({ "type": "image", "source": write_source(source, Some(IMAGES))? })
        }
        Block::File { source, name } => {
            let mut document = Object::default();
            document.set("type", "document");
            document.set("source", write_source(source, Some(&["application/pdf"]))?);
            document.set_some("title", name.clone());
            document.into()
        }
        Block::ToolCall(call) => {
            let (input, is_valid) = call.input();
            if !is_valid {
                warnings.push("emulated:tool_calls.arguments".to_owned());
            }
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": input })
        }
        Block::ToolResult { call_id, content, is_error, .. } => {
            let mut inner = Vec::new();
            for block in content {
                inner.extend(write_block(block, is_own, warnings)?);
            }
            json!({
                "type": "tool_result", "tool_use_id": call_id, "content": inner,
                "is_error": is_error,
            })
        }
        Block::Thinking { proof: Some(proof), .. }
            if proof.origin == super::ANTHROPIC_MESSAGES.name =>
        {
            return Ok(serde_json::from_str(&proof.json).ok());
        }
        // Thinking without its proof, or another model's, is refused by this API.
        Block::Thinking { .. } => {
            warnings.push("dropped:thinking".to_owned());
            return Ok(None);
        }
        Block::Opaque(value) if is_own => value.clone(),
        Block::Opaque(value) => match foreign::verdict(value) {
            Verdict::Text(text) => {
                warnings.push(foreign::warning("emulated", value));
                json!({ "type": "text", "text": text })
            }
            Verdict::Drop => {
                warnings.push(foreign::warning("dropped", value));
                return Ok(None);
            }
            Verdict::Refuse(why) => return Err(why),
        },
    }))
}

fn write_source(source: &Source, accepted: Option<&[&str]>) -> Result<Value, Unsupported> {
    match source {
        Source::Base64 { media_type, data } => {
            if accepted.is_some_and(|accepted| !accepted.contains(&media_type.as_str())) {
                let reason = format!("media of type '{media_type}'");
                return Err(Unsupported::new("messages", &reason));
            }
            Ok(json!({ "type": "base64", "media_type": media_type, "data": data }))
        }
        Source::Url(url) => Ok(json!({ "type": "url", "url": url })),
    }
}

fn write_tools(chat: &Chat, body: &mut Object, warnings: &mut Vec<String>) {
    if chat.tools.is_empty() {
        return declare_used(chat, body, warnings);
    }
    let mut tools: Vec<&Tool> = chat.tools.iter().collect();
    if let Some(ToolChoice::OneOf(names)) = &chat.tool_choice {
        tools.retain(|tool| names.contains(&tool.name));
        warnings.push("emulated:tool_choice".to_owned());
    }
    let tool = |tool: &Tool| {
        let mut object = Object::default();
        object.set("name", tool.name.as_str());
        object.set_some("description", tool.description.clone());
        object.set("input_schema", tool.schema.clone());
        Value::from(object)
    };
    body.set("tools", tools.into_iter().map(tool).collect::<Vec<_>>());
    let mut choice = Object::default();
    match &chat.tool_choice {
        Some(ToolChoice::Auto) => choice.set("type", "auto"),
        Some(ToolChoice::None) => choice.set("type", "none"),
        Some(ToolChoice::Required | ToolChoice::OneOf(_)) => choice.set("type", "any"),
        Some(ToolChoice::Named(name)) => {
            choice.set("type", "tool");
            choice.set("name", name.as_str());
        }
        None if chat.parallel_tools == Some(false) => choice.set("type", "auto"),
        None => {}
    }
    if !choice.is_empty() {
        if chat.parallel_tools == Some(false) && chat.tool_choice != Some(ToolChoice::None) {
            choice.set("disable_parallel_tool_use", true);
        }
        body.set("tool_choice", Value::from(choice));
    }
}

/// A history with calls needs their tools, even if none may be called any more.
fn declare_used(chat: &Chat, body: &mut Object, warnings: &mut Vec<String>) {
    let blocks = chat.turns.iter().flat_map(|turn| &turn.blocks);
    let names = blocks.filter_map(|block| match block {
        Block::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    let names: BTreeSet<&str> = names.collect();
    if names.is_empty() {
        return;
    }
    let tool = |name: &str| json!({ "name": name, "input_schema": { "type": "object" } });
    body.set("tools", names.into_iter().map(tool).collect::<Vec<_>>());
    body.set("tool_choice", json!({ "type": "none" }));
    warnings.push("emulated:tools".to_owned());
}

fn write_sampling(chat: &Chat, model: &str, body: &mut Object, warnings: &mut Vec<String>) {
    let sampling = &chat.sampling;
    let mut drop_if = |is_there: bool, field: &str| {
        if is_there {
            warnings.push(format!("dropped:{field}"));
        }
    };
    let is_taken = takes_sampling(model) && chat.effort.is_none_or(|e| e <= Effort::Minimal);
    drop_if(sampling.seed.is_some(), "seed");
    drop_if(sampling.presence_penalty.is_some(), "presence_penalty");
    drop_if(sampling.frequency_penalty.is_some(), "frequency_penalty");
    drop_if(!is_taken && sampling.temperature.is_some(), "temperature");
    drop_if(is_taken && sampling.temperature.is_some_and(|t| t > 1.0), "temperature>1");
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    drop_if(sampling.top_p.is_some() && (both || !is_taken), "top_p");
    drop_if(!is_taken && sampling.top_k.is_some(), "top_k");
    if is_taken {
        body.set_some("temperature", sampling.temperature.map(|t| t.clamp(0.0, 1.0)));
        body.set_some("top_p", sampling.top_p.filter(|_| !both));
        body.set_some("top_k", sampling.top_k.map(|k| k as u64));
    }
    let stops: Vec<&String> = chat.stop.iter().filter(|stop| !is_blank(stop)).collect();
    if !stops.is_empty() {
        body.set("stop_sequences", json!(stops));
    }
}

fn write_thinking_and_format(
    chat: &Chat,
    model: &str,
    body: &mut Object,
    warnings: &mut Vec<String>,
) {
    let mut config = Object::default();
    let is_forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::OneOf(_))
    );
    match chat.effort {
        Some(effort) if effort > Effort::Minimal && is_forced => {
            // A forced tool and thinking exclude each other here.
            warnings.push(format!("dropped:reasoning_effort={}", effort.word()));
        }
        Some(effort) if effort > Effort::Minimal && thinks_by_effort(model) => {
            let mut thinking = json!({ "type": "adaptive" });
            if let (Some(true), Value::Object(thinking)) = (chat.show_thinking, &mut thinking) {
                thinking.insert("display".to_owned(), "summarized".into());
            }
            body.set("thinking", thinking);
            let taken = effort_for(model, effort);
            if taken != effort {
                warnings.push("emulated:reasoning_effort".to_owned());
            }
            config.set("effort", taken.word());
        }
        Some(effort) if effort > Effort::Minimal => {
            let budget = effort.budget();
            let limit = limit(chat, model, warnings);
            body.set("max_tokens", limit.max(budget + 1_024));
            body.set("thinking", json!({ "type": "enabled", "budget_tokens": budget }));
        }
        Some(_) | None => {}
    }
    if let OutputFormat::Schema { schema, .. } = &chat.output
        && has_structured_output(model)
    {
        let mut schema = schema.clone();
        if schema::close(&mut schema) {
            warnings.push("emulated:response_format.schema".to_owned());
        }
        config.set("format", json!({ "type": "json_schema", "schema": schema }));
    }
    if !config.is_empty() {
        body.set("output_config", Value::from(config));
    }
}
