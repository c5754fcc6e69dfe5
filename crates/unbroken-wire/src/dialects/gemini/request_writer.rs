//! Writing requests of `generateContent`.

use serde_json::{Value, json};

use super::request::SKIP_SIGNATURE;
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Source, Tool, ToolChoice, Turn};
use crate::dialects::fields::{Object, some_text};
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::{Unsupported, Written};
use crate::names::NameRules;

/// So many stop texts are taken.
const STOPS_MAX: usize = 5;

/// Source: wire-formats.md 2.2, tool name rules.
const NAMES: NameRules = NameRules { also: ".:", len_max: 64, begins_with_letter: true };

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    Written::with_names(chat, &NAMES, |chat| write_named(chat, model))
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut warnings = Vec::new();
    let is_own = chat.origin == super::GEMINI.name;
    let mut contents: Vec<(bool, Vec<Value>)> = Vec::new();
    if chat.turns.first().is_some_and(|turn| turn.role == Role::Assistant) {
        contents.push((false, vec![json!({ "text": "(conversation continues)" })]));
        warnings.push("emulated:messages".to_owned());
    }
    for turn in &chat.turns {
        let is_model = turn.role == Role::Assistant;
        let mut parts = write_turn(chat, turn, is_own, &mut warnings)?;
        match contents.last_mut() {
            Some((last, so_far)) if *last == is_model => so_far.append(&mut parts),
            _ if parts.is_empty() => {}
            _ => contents.push((is_model, parts)),
        }
    }
    let mut body = Object::default();
    let system = chat.system.join("\n\n");
    if contents.is_empty() {
        contents.push((false, vec![json!({ "text": system })]));
    } else if !system.is_empty() {
        body.set("systemInstruction", json!({ "parts": [{ "text": system }] }));
    }
    let content = |(is_model, parts): (bool, Vec<Value>)| json!({ "role": if is_model { "model" } else { "user" }, "parts": parts });
    body.set("contents", contents.into_iter().map(content).collect::<Vec<_>>());
    write_tools(chat, &mut body, &mut warnings);
    let config = write_config(chat, model, &mut warnings);
    if !config.is_empty() {
        body.set("generationConfig", Value::from(config));
    }
    if !is_own {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    Ok(Written::new(body, warnings).stopped_by_us(chat.stop.get(STOPS_MAX..).unwrap_or_default()))
}

/// Results first, then what is said.
fn write_turn(
    chat: &Chat,
    turn: &Turn,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, Unsupported> {
    let mut parts = Vec::new();
    let is_result = |block: &&Block| matches!(block, Block::ToolResult { .. });
    for block in turn.blocks.iter().filter(is_result) {
        parts.extend(write_block(chat, block, is_own, warnings)?);
    }
    for block in turn.blocks.iter().filter(is_result) {
        parts.extend(write_media(block, is_own, warnings)?);
    }
    let signatures: Vec<(String, Value)> = turn.blocks.iter().filter_map(signature).collect();
    let mut has_call = false;
    for block in turn.blocks.iter().filter(|block| !is_result(block)) {
        if let (Role::System, Block::Text(text)) = (turn.role, block) {
            warnings.push("emulated:system".to_owned());
            parts.push(json!({ "text": format!("<system>{text}</system>") }));
            continue;
        }
        let mut written = write_block(chat, block, is_own, warnings)?;
        if let (Some(Value::Object(part)), Block::ToolCall(call)) = (&mut written, block) {
            let own = signatures.iter().find(|(id, _)| *id == call.id);
            if let Some((_, signature)) = own {
                part.insert("thoughtSignature".to_owned(), signature.clone());
            } else if !has_call {
                // The first call of a step carries the proof; a foreign one has none.
                part.insert("thoughtSignature".to_owned(), SKIP_SIGNATURE.into());
            }
            has_call = true;
        }
        parts.extend(written);
    }
    Ok(parts)
}

fn write_block(
    chat: &Chat,
    block: &Block,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Option<Value>, Unsupported> {
    Ok(Some(match block {
        Block::Text(text) | Block::Refusal(text) => json!({ "text": text }),
        Block::Image(source) | Block::File { source, .. } => write_source(source, is_own)?,
        Block::ToolCall(call) => {
            let (args, is_valid) = call.input();
            if !is_valid {
                warnings.push("emulated:tool_calls.arguments".to_owned());
            }
            json!({ "functionCall": { "name": call.name, "args": args } })
        }
        Block::ToolResult { call_id, name, content, is_error } => {
            let known = chat.tool_name_of(call_id).map(ToOwned::to_owned);
            let name = known.or_else(|| name.clone()).unwrap_or_else(|| call_id.clone());
            let response = write_response(content, *is_error, warnings);
            json!({ "functionResponse": { "name": name, "response": response } })
        }
        Block::Thinking { proof: Some(proof), .. } if proof.origin == super::GEMINI.name => {
            // The proof of a call is written with the call.
            let part: Option<Value> = serde_json::from_str(&proof.json).ok();
            return Ok(part.filter(|part| part.get("callId").is_none()));
        }
        Block::Thinking { .. } => {
            warnings.push("dropped:thinking".to_owned());
            return Ok(None);
        }
        Block::Opaque(value) if is_own => value.clone(),
        Block::Opaque(value) => match foreign::verdict(value) {
            Verdict::Text(text) => {
                warnings.push(foreign::warning("emulated", value));
                json!({ "text": text })
            }
            Verdict::Drop => {
                warnings.push(foreign::warning("dropped", value));
                return Ok(None);
            }
            Verdict::Refuse(why) => return Err(why),
        },
    }))
}

/// The call and the signature of a proof that belongs to a call.
fn signature(block: &Block) -> Option<(String, Value)> {
    let Block::Thinking { proof: Some(proof), .. } = block else { return None };
    let proof: Value = serde_json::from_str(&proof.json).ok()?;
    Some((some_text(&proof, "callId")?, proof.get("thoughtSignature")?.clone()))
}

/// What a tool returned besides text follows the results, labelled.
fn write_media(
    block: &Block,
    is_own: bool,
    warnings: &mut Vec<String>,
) -> Result<Vec<Value>, Unsupported> {
    let Block::ToolResult { call_id, content, .. } = block else { return Ok(vec![]) };
    let mut parts = Vec::new();
    for block in content {
        if let Block::Image(source) | Block::File { source, .. } = block {
            warnings.push("emulated:tool_result".to_owned());
            parts.push(json!({ "text": format!("[result of {call_id}]") }));
            parts.push(write_source(source, is_own)?);
        }
    }
    Ok(parts)
}

fn write_source(source: &Source, is_own: bool) -> Result<Value, Unsupported> {
    match source {
        Source::Base64 { media_type, data } => {
            Ok(json!({ "inlineData": { "mimeType": media_type, "data": data } }))
        }
        Source::Url(uri) if is_own => Ok(json!({ "fileData": { "fileUri": uri } })),
        // For others Google fetches its own files only.
        Source::Url(_) => Err(Unsupported::new("messages", "media by URL")),
    }
}

/// A response must be an object: JSON objects stay, everything else is wrapped.
fn write_response(content: &[Block], is_error: bool, warnings: &mut Vec<String>) -> Value {
    let mut texts = Vec::new();
    for block in content {
        match block {
            Block::Text(text) => texts.push(text.clone()),
            Block::Image(_) | Block::File { .. } => texts.push("[see below]".to_owned()),
            Block::Opaque(value) => texts.push(foreign::as_text(value)),
            Block::Refusal(_)
            | Block::ToolCall(_)
            | Block::ToolResult { .. }
            | Block::Thinking { .. } => warnings.push("dropped:tool_result".to_owned()),
        }
    }
    let text = texts.join("\n");
    if is_error {
        return json!({ "error": text });
    }
    match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Value::Object(object),
        _ => json!({ "result": text }),
    }
}

fn write_tools(chat: &Chat, body: &mut Object, warnings: &mut Vec<String>) {
    if chat.tools.is_empty() {
        return;
    }
    let declare = |tool: &Tool| {
        let mut declaration = Object::default();
        declaration.set("name", tool.name.as_str());
        declaration.set_some("description", tool.description.clone());
        declaration.set("parametersJsonSchema", tool.schema.clone());
        Value::from(declaration)
    };
    let declarations: Vec<Value> = chat.tools.iter().map(declare).collect();
    body.set("tools", json!([{ "functionDeclarations": declarations }]));
    if chat.parallel_tools == Some(false) {
        warnings.push("dropped:parallel_tool_calls".to_owned());
    }
    let calling = match &chat.tool_choice {
        None => return,
        Some(ToolChoice::Auto) => json!({ "mode": "AUTO" }),
        Some(ToolChoice::None) => json!({ "mode": "NONE" }),
        Some(ToolChoice::Required) => json!({ "mode": "ANY" }),
        Some(ToolChoice::Named(name)) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
        Some(ToolChoice::OneOf(names)) => json!({ "mode": "ANY", "allowedFunctionNames": names }),
    };
    body.set("toolConfig", json!({ "functionCallingConfig": calling }));
}

fn write_config(chat: &Chat, model: &str, warnings: &mut Vec<String>) -> Object {
    let sampling = &chat.sampling;
    let mut config = Object::default();
    config.set_some("temperature", sampling.temperature);
    config.set_some("topP", sampling.top_p);
    config.set_some("topK", sampling.top_k);
    config.set_some("seed", sampling.seed);
    config.set_some("presencePenalty", sampling.presence_penalty);
    config.set_some("frequencyPenalty", sampling.frequency_penalty);
    config.set_some("maxOutputTokens", chat.max_tokens);
    if !chat.stop.is_empty() {
        let taken = chat.stop.iter().take(STOPS_MAX).cloned();
        config.set("stopSequences", taken.collect::<Vec<_>>());
    }
    if chat.choices > 1 {
        config.set("candidateCount", chat.choices);
    }
    if chat.user.is_some() {
        warnings.push("dropped:user".to_owned());
    }
    match &chat.output {
        OutputFormat::Text => {}
        OutputFormat::Json => config.set("responseMimeType", "application/json"),
        OutputFormat::Schema { schema, .. } => {
            config.set("responseMimeType", "application/json");
            config.set("responseJsonSchema", schema.clone());
        }
    }
    if let Some(effort) = chat.effort {
        let mut thinking = write_effort(effort, model);
        if let (Some(true), Value::Object(thinking)) = (chat.show_thinking, &mut thinking) {
            thinking.insert("includeThoughts".to_owned(), true.into());
        }
        config.set("thinkingConfig", thinking);
    }
    config
}

/// Gemini 2.5 takes a budget, later ones a level. Source: wire-formats.md 2.3.
fn write_effort(effort: Effort, model: &str) -> Value {
    if model.contains("gemini-2") {
        let floor = if model.contains("pro") { 128 } else { 0 };
        return json!({ "thinkingBudget": effort.budget().clamp(floor, 24_576) });
    }
    let level = match effort {
        Effort::None | Effort::Minimal => "MINIMAL",
        Effort::Low => "LOW",
        Effort::Medium => "MEDIUM",
        Effort::High | Effort::XHigh | Effort::Max => "HIGH",
    };
    json!({ "thinkingLevel": level })
}
