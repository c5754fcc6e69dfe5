//! Writing requests of Cohere's chat.

use serde_json::{Value, json};

use crate::base64;
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Source, Tool, ToolChoice, Turn};
use crate::dialects::fields::Object;
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::{Unsupported, Written};
use crate::media;
use crate::names::NameRules;

/// As at those whom its clients come from.
const NAMES: NameRules = NameRules { also: "", len_max: 64, begins_with_letter: false };
/// So many stop texts are taken.
const STOPS_MAX: usize = 5;

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    Written::with_names(chat, &NAMES, |chat| write_named(chat, model))
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    if chat.choices > 1 {
        return Err(Unsupported::new("n", "this API gives one answer at a time"));
    }
    let mut warnings = Vec::new();
    let mut body = Object::default();
    body.set("model", model);
    body.set("stream", chat.stream);
    let mut writer = Writer { documents: Vec::new(), warnings: &mut warnings };
    let mut messages = Vec::new();
    for turn in &chat.turns {
        writer.turn(turn, &mut messages)?;
    }
    let documents = writer.documents;
    if let Some(begun) = chat.prefill() {
        messages.push(json!({ "role": "user", "content": foreign::go_on(&begun) }));
        warnings.push("emulated:prefill".to_owned());
    }
    // A form of the answer, tools and documents exclude each other.
    let is_plain = documents.is_empty() && chat.tools.is_empty();
    let system = write_system(chat, is_plain, &mut warnings);
    if messages.is_empty() {
        messages.push(json!({ "role": "user", "content": system }));
    } else if !system.is_empty() {
        messages.insert(0, json!({ "role": "system", "content": system }));
    }
    body.set("messages", messages);
    if !documents.is_empty() {
        body.set("documents", documents);
    }
    write_tools(chat, &mut body, &mut warnings);
    write_settings(chat, model, is_plain, &mut body, &mut warnings);
    if chat.origin != super::COHERE_CHAT.name {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    Ok(Written::new(body, warnings).stopped_by_us(chat.stop.get(STOPS_MAX..).unwrap_or_default()))
}

fn write_system(chat: &Chat, is_plain: bool, warnings: &mut Vec<String>) -> String {
    let mut parts = chat.system.clone();
    let instruction = match &chat.output {
        OutputFormat::Text => None,
        _ if is_plain => None,
        OutputFormat::Json => Some("Answer with one JSON object and nothing else.".to_owned()),
        OutputFormat::Schema { schema, .. } => Some(format!(
            "Answer with one JSON object and nothing else. It must match this JSON Schema: {schema}"
        )),
    };
    if let Some(instruction) = instruction {
        parts.push(instruction);
        warnings.push("emulated:response_format".to_owned());
    }
    parts.join("\n\n")
}

struct Writer<'a> {
    documents: Vec<Value>,
    warnings: &'a mut Vec<String>,
}

impl Writer<'_> {
    fn turn(&mut self, turn: &Turn, messages: &mut Vec<Value>) -> Result<(), Unsupported> {
        match turn.role {
            Role::System => {
                let texts = turn.blocks.iter().cloned().filter_map(Block::into_text);
                let text = texts.collect::<Vec<_>>().join("\n\n");
                messages.push(json!({ "role": "system", "content": text }));
                Ok(())
            }
            Role::Assistant => self.assistant(&turn.blocks, messages),
            Role::User => self.user(&turn.blocks, messages),
        }
    }

    /// Before calls, what is said is the plan for them.
    fn assistant(&mut self, blocks: &[Block], out: &mut Vec<Value>) -> Result<(), Unsupported> {
        let mut texts: Vec<String> = Vec::new();
        let mut calls = Vec::new();
        for block in blocks {
            match block {
                Block::Text(text) | Block::Refusal(text) => texts.push(text.clone()),
                Block::ToolCall(call) => {
                    let (input, is_valid) = call.input();
                    if !is_valid {
                        self.warnings.push("emulated:tool_calls.arguments".to_owned());
                    }
                    let is_object = call.arguments.trim_start().starts_with('{') && is_valid;
                    let arguments =
                        if is_object { call.arguments.clone() } else { input.to_string() };
                    let function = json!({ "name": call.name, "arguments": arguments });
                    calls.push(json!({ "id": call.id, "type": "function", "function": function }));
                }
                other => texts.extend(self.words(other)?),
            }
        }
        let text = texts.join("\n");
        let mut message = Object::default();
        message.set("role", "assistant");
        if calls.is_empty() && text.trim().is_empty() {
            return Ok(());
        }
        if !text.trim().is_empty() {
            message.set(if calls.is_empty() { "content" } else { "tool_plan" }, text);
        }
        if !calls.is_empty() {
            message.set("tool_calls", calls);
        }
        out.push(Value::from(message));
        Ok(())
    }

    /// Results first, each a message of its own; then what the user says.
    fn user(&mut self, blocks: &[Block], out: &mut Vec<Value>) -> Result<(), Unsupported> {
        let mut parts = Vec::new();
        for block in blocks {
            if let Block::ToolResult { call_id, content, is_error, .. } = block {
                let text = self.result(call_id, content, *is_error, &mut parts)?;
                out.push(json!({ "role": "tool", "tool_call_id": call_id, "content": text }));
            }
        }
        for block in blocks.iter().filter(|block| !matches!(block, Block::ToolResult { .. })) {
            parts.extend(self.part(block)?);
        }
        if !parts.is_empty() {
            out.push(json!({ "role": "user", "content": parts }));
        }
        Ok(())
    }

    /// A result is text; what is no text follows in the user's message, labelled.
    fn result(
        &mut self,
        call_id: &str,
        content: &[Block],
        is_error: bool,
        parts: &mut Vec<Value>,
    ) -> Result<String, Unsupported> {
        let mut texts: Vec<String> = Vec::new();
        for block in content {
            match block {
                Block::Text(text) | Block::Refusal(text) => texts.push(text.clone()),
                Block::Image(_) => {
                    self.warnings.push("emulated:tool_result".to_owned());
                    texts.push("[see below]".to_owned());
                    parts.push(json!({ "type": "text", "text": format!("[result of {call_id}]") }));
                    parts.extend(self.part(block)?);
                }
                Block::File { source, name } => texts.push(words_of(source, name.as_deref())?),
                other => texts.extend(self.words(other)?),
            }
        }
        let text = texts.join("\n");
        if !is_error {
            return Ok(text);
        }
        // This API has no flag for it.
        let said = if text.is_empty() { "(empty)" } else { "" };
        Ok(format!("Error: {text}{said}"))
    }

    fn part(&mut self, block: &Block) -> Result<Option<Value>, Unsupported> {
        Ok(match block {
            Block::Text(text) | Block::Refusal(text) => {
                (!text.is_empty()).then(|| json!({ "type": "text", "text": text }))
            }
            Block::Image(source) => {
                let url = source.to_url();
                Some(json!({ "type": "image_url", "image_url": { "url": url } }))
            }
            // An image that came as a file.
            Block::File { source, .. } if is_image(source) => {
                let url = source.to_url();
                Some(json!({ "type": "image_url", "image_url": { "url": url } }))
            }
            Block::File { source, name } => {
                let text = words_of(source, None)?;
                let place = self.documents.len();
                let mut data = Object::default();
                data.set_some("title", name.clone());
                data.set("text", text);
                let id = format!("doc:{place}");
                self.documents.push(json!({ "id": id, "data": Value::from(data) }));
                None
            }
            other => self.words(other)?.map(|text| json!({ "type": "text", "text": text })),
        })
    }

    /// What only another dialect understands, as far as it can be said in words.
    fn words(&mut self, block: &Block) -> Result<Option<String>, Unsupported> {
        let Block::Opaque(value) = block else {
            // Thinking goes back to its maker only.
            self.warnings.push("dropped:thinking".to_owned());
            return Ok(None);
        };
        match foreign::verdict(value) {
            Verdict::Text(text) => {
                self.warnings.push(foreign::warning("emulated", value));
                Ok(Some(text))
            }
            Verdict::Drop => {
                self.warnings.push(foreign::warning("dropped", value));
                Ok(None)
            }
            Verdict::Refuse(why) => Err(why),
        }
    }
}

fn is_image(source: &Source) -> bool {
    matches!(source, Source::Base64 { .. }) && media::is_image(source)
}

/// The words of a text file. It reads no other ones.
fn words_of(source: &Source, name: Option<&str>) -> Result<String, Unsupported> {
    let Source::Base64 { media_type, data } = source else {
        return Err(Unsupported::new("messages", "files by URL"));
    };
    let is_text = media_type.starts_with("text/") || media_type == "application/json";
    let bytes = base64::decode(data).filter(|_| is_text);
    let Some(text) = bytes.and_then(|bytes| String::from_utf8(bytes).ok()) else {
        return Err(Unsupported::new("messages", &format!("files of type '{media_type}'")));
    };
    Ok(name.map_or_else(|| text.clone(), |name| format!("{name}:\n{text}")))
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
        json!({ "type": "function", "function": Value::from(function) })
    };
    let mut tools: Vec<&Tool> = chat.tools.iter().collect();
    let only = match &chat.tool_choice {
        Some(ToolChoice::Named(name)) => Some(std::slice::from_ref(name)),
        Some(ToolChoice::OneOf(names)) => Some(names.as_slice()),
        Some(ToolChoice::Auto | ToolChoice::None | ToolChoice::Required) | None => None,
    };
    if let Some(names) = only {
        // A tool cannot be named here; but it may be the only one.
        tools.retain(|tool| names.contains(&tool.name));
        warnings.push("emulated:tool_choice".to_owned());
    }
    body.set("tools", tools.into_iter().map(tool).collect::<Vec<_>>());
    match &chat.tool_choice {
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::OneOf(_)) => {
            body.set("tool_choice", "REQUIRED");
        }
        Some(ToolChoice::None) => body.set("tool_choice", "NONE"),
        Some(ToolChoice::Auto) | None => {}
    }
    if chat.parallel_tools == Some(false) {
        warnings.push("dropped:parallel_tool_calls".to_owned());
    }
}

fn write_settings(
    chat: &Chat,
    model: &str,
    is_plain: bool,
    body: &mut Object,
    warnings: &mut Vec<String>,
) {
    let sampling = &chat.sampling;
    body.set_some("max_tokens", chat.max_tokens);
    if sampling.temperature.is_some_and(|t| t > 1.0) {
        warnings.push("dropped:temperature>1".to_owned());
    }
    body.set_some("temperature", sampling.temperature.map(|t| t.clamp(0.0, 1.0)));
    body.set_some("p", sampling.top_p.map(|p| p.clamp(0.01, 0.99)));
    body.set_some("k", sampling.top_k.map(|k| k.clamp(0.0, 500.0) as u64));
    body.set_some("seed", sampling.seed);
    // It knows no penalties below zero.
    let penalties = [
        ("presence_penalty", sampling.presence_penalty),
        ("frequency_penalty", sampling.frequency_penalty),
    ];
    for (name, penalty) in penalties {
        match penalty {
            Some(penalty) if penalty < 0.0 => warnings.push(format!("dropped:{name}")),
            penalty => body.set_some(name, penalty.map(|p| p.min(1.0))),
        }
    }
    if !chat.stop.is_empty() {
        let taken = chat.stop.iter().take(STOPS_MAX).cloned();
        body.set("stop_sequences", taken.collect::<Vec<_>>());
    }
    match &chat.output {
        OutputFormat::Json if is_plain => {
            body.set("response_format", json!({ "type": "json_object" }));
        }
        OutputFormat::Schema { schema, .. } if is_plain => {
            let format = json!({ "type": "json_object", "json_schema": schema });
            body.set("response_format", format);
        }
        OutputFormat::Json | OutputFormat::Schema { .. } | OutputFormat::Text => {}
    }
    write_effort(chat, model, body, warnings);
    if chat.user.is_some() {
        warnings.push("dropped:user".to_owned());
    }
}

/// Some of its models think, and can be told not to.
fn write_effort(chat: &Chat, model: &str, body: &mut Object, warnings: &mut Vec<String>) {
    let thinks = ["reasoning", "command-a-plus"].iter().any(|name| model.contains(name));
    match chat.effort {
        None => {}
        Some(effort) if thinks && effort <= Effort::Minimal => {
            body.set("thinking", json!({ "type": "disabled" }));
        }
        Some(effort) if thinks => {
            let budget = effort.budget();
            body.set("thinking", json!({ "type": "enabled", "token_budget": budget }));
        }
        Some(effort) if effort <= Effort::Minimal => {}
        Some(_) => warnings.push("dropped:reasoning_effort".to_owned()),
    }
}
