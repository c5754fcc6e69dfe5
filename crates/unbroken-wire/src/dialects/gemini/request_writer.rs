//! Writing requests of `generateContent`.

use serde_json::{Value, json};

use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Source, Tool, ToolChoice, Turn};
use crate::dialects::fields::{Object, text};
use crate::dialects::openai_chat::weigh_extras;
use crate::dialects::{Unsupported, Written};

/// Makes Gemini 3 accept a call that another model made.
///
/// Source: wire-formats.md 2.4 (11 recorded answers with status 200).
const SKIP_SIGNATURE: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    let mut warnings = Vec::new();
    let is_own = chat.origin == super::GEMINI.name;
    let mut contents: Vec<(bool, Vec<Value>)> = Vec::new();
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
        weigh_extras(chat, &mut warnings)?;
    }
    Ok(Written { body: Value::from(body).to_string().into_bytes(), warnings })
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
    let mut has_call = false;
    for block in turn.blocks.iter().filter(|block| !is_result(block)) {
        if let (Role::System, Block::Text(text)) = (turn.role, block) {
            warnings.push("emulated:system".to_owned());
            parts.push(json!({ "text": format!("<system>{text}</system>") }));
            continue;
        }
        let mut written = write_block(chat, block, is_own, warnings)?;
        if let (Some(Value::Object(part)), Block::ToolCall(_)) = (&mut written, block) {
            // The first call of a step carries the proof; a foreign one has none.
            if !has_call {
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
        Block::Thinking { text, signature: Some(signature) } if is_own => {
            json!({ "text": text, "thought": true, "thoughtSignature": signature })
        }
        Block::Thinking { .. } => {
            warnings.push("dropped:thinking".to_owned());
            return Ok(None);
        }
        Block::Opaque(value) if is_own => value.clone(),
        Block::Opaque(value) => {
            let kind = text(value, "type");
            return Err(Unsupported::new("messages", &format!("a block of type '{kind}'")));
        }
    }))
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
            Block::Text(text) => texts.push(text.as_str()),
            _ => warnings.push("dropped:tool_result".to_owned()),
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
        config.set("stopSequences", chat.stop.iter().take(5).cloned().collect::<Vec<_>>());
        if chat.stop.len() > 5 {
            warnings.push("dropped:stop".to_owned());
        }
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
        config.set("thinkingConfig", write_effort(effort, model));
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
