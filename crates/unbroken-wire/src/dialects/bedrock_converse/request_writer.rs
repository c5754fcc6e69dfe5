//! Writing requests of Converse.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::media::{write_document, write_image};
use super::model::{self, Thinking};
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Tool, ToolChoice, Turn};
use crate::dialects::fields::Object;
use crate::dialects::foreign::{self, Verdict};
use crate::dialects::{Unsupported, Written};
use crate::names::{self, NameRules};
use crate::schema;

/// Source: wire-formats.md 2.1 (BC), limits.
const NAMES: NameRules = NameRules { also: "", len_max: 64, begins_with_letter: false };

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    Written::with_names(chat, &NAMES, |chat| write_named(chat, model))
}

fn write_named(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
    if chat.choices > 1 {
        return Err(Unsupported::new("n", "this API gives one answer at a time"));
    }
    let mut warnings = Vec::new();
    let mut body = Object::default();
    let is_forbidden = chat.tool_choice == Some(ToolChoice::None);
    let system = write_system(chat, model, is_forbidden, &mut warnings);
    let mut writer = Writer { model, documents: 0, warnings: &mut warnings };
    let mut messages = writer.messages(chat)?;
    write_prefill(chat, model, &mut messages, &mut warnings);
    let mut system: Vec<Value> = system.into_iter().map(|text| json!({ "text": text })).collect();
    if messages.is_empty() {
        messages.push(("user", std::mem::take(&mut system)));
    }
    let is_cached = chat.wants_caching() && model::has_cache_points(model);
    if is_cached {
        mark_caches(&mut system, &mut messages);
    }
    let message = |(role, content): (&str, Vec<Value>)| json!({ "role": role, "content": content });
    body.set("messages", messages.into_iter().map(message).collect::<Vec<_>>());
    if !system.is_empty() {
        body.set("system", system);
    }
    write_tools(chat, &mut body, &mut warnings);
    write_settings(chat, model, &mut body, &mut warnings);
    if chat.origin != super::BEDROCK_CONVERSE.name {
        foreign::weigh_extras(chat, &mut warnings)?;
    }
    if is_cached {
        warnings.retain(|warning| warning != "dropped:cache_control");
        warnings.push("emulated:cache_control".to_owned());
    }
    let blank: Vec<String> = chat.stop.iter().filter(|stop| is_blank(stop)).cloned().collect();
    Ok(Written::new(body, warnings).stopped_by_us(&blank))
}

fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// What has no place of its own is said in words.
fn write_system(
    chat: &Chat,
    model: &str,
    is_forbidden: bool,
    warnings: &mut Vec<String>,
) -> Vec<String> {
    let mut system: Vec<String> = chat.system.iter().filter(|t| !is_blank(t)).cloned().collect();
    match &chat.output {
        OutputFormat::Json => {
            system.push("Answer with one JSON object and nothing else.".to_owned());
            warnings.push("emulated:response_format".to_owned());
        }
        OutputFormat::Schema { schema, .. } if !model::has_structured_output(model) => {
            system.push(format!(
                "Answer with one JSON object and nothing else. \
                 It must match this JSON Schema: {schema}"
            ));
            warnings.push("emulated:response_format".to_owned());
        }
        OutputFormat::Schema { .. } | OutputFormat::Text => {}
    }
    if is_forbidden && !used_tools(chat).is_empty() {
        system.push("Do not call any tool in this turn.".to_owned());
        warnings.push("emulated:tool_choice".to_owned());
    }
    system
}

/// Where the places of a prompt cache are not known, the ends of the instructions and of the
/// conversation are marked: a mark stands behind what it keeps.
fn mark_caches(system: &mut Vec<Value>, messages: &mut [(&str, Vec<Value>)]) {
    let mark = || json!({ "cachePoint": { "type": "default" } });
    if !system.is_empty() {
        system.push(mark());
    }
    if let Some((_, content)) = messages.iter_mut().rev().find(|(role, _)| *role == "user") {
        content.push(mark());
    }
}

fn write_prefill(
    chat: &Chat,
    model: &str,
    messages: &mut Vec<(&str, Vec<Value>)>,
    warnings: &mut Vec<String>,
) {
    if let Some(begun) = chat.prefill()
        && !model::takes_prefill(model)
    {
        warnings.push("emulated:prefill".to_owned());
        messages.push(("user", vec![json!({ "text": foreign::go_on(&begun) })]));
        return;
    }
    // A beginning must not end in white space.
    let Some(("assistant", last)) = messages.last_mut().map(|(role, last)| (*role, last)) else {
        return;
    };
    if let Some(Value::String(text)) = last.last_mut().and_then(|block| block.get_mut("text")) {
        text.truncate(text.trim_end().len());
    }
}

struct Writer<'a> {
    model: &'a str,
    /// Documents so far: each needs a name of its own.
    documents: usize,
    warnings: &'a mut Vec<String>,
}

impl Writer<'_> {
    /// Turns alternate and begin with the user's; every call is answered in the next turn.
    fn messages(&mut self, chat: &Chat) -> Result<Vec<(&'static str, Vec<Value>)>, Unsupported> {
        let mut messages: Vec<(&str, Vec<Value>)> = Vec::new();
        let mut open_calls: Vec<String> = Vec::new();
        for turn in &chat.turns {
            let mut blocks = self.turn(turn, &open_calls)?;
            let role = if turn.role == Role::Assistant { "assistant" } else { "user" };
            if messages.is_empty() && role == "assistant" {
                messages.push(("user", vec![json!({ "text": "(conversation continues)" })]));
                self.warnings.push("emulated:messages".to_owned());
            }
            let calls = turn.blocks.iter().filter_map(|block| match block {
                Block::ToolCall(call) => Some(call.id.clone()),
                _ => None,
            });
            open_calls = calls.collect();
            match messages.last_mut() {
                Some((last, so_far)) if *last == role => so_far.append(&mut blocks),
                _ if blocks.is_empty() => {}
                _ => messages.push((role, blocks)),
            }
        }
        Ok(messages)
    }

    /// Results first, in the order of their calls; a call without one gets one that says so.
    fn turn(&mut self, turn: &Turn, open_calls: &[String]) -> Result<Vec<Value>, Unsupported> {
        let mut blocks = Vec::new();
        let is_answer_to = |block: &&Block, id: &String| matches!(block, Block::ToolResult { call_id, .. } if call_id == id);
        if turn.role != Role::Assistant {
            for id in open_calls {
                match turn.blocks.iter().find(|block| is_answer_to(block, id)) {
                    Some(result) => blocks.extend(self.block(result)?),
                    None => {
                        self.warnings.push("emulated:tool_result".to_owned());
                        blocks.push(self.result(id, vec![json!({ "text": "(no result)" })], true));
                    }
                }
            }
        }
        for block in &turn.blocks {
            match block {
                Block::ToolResult { call_id, .. } if open_calls.contains(call_id) => {}
                Block::Text(text) if turn.role == Role::System => {
                    self.warnings.push("emulated:system".to_owned());
                    blocks.push(json!({ "text": format!("<system>{text}</system>") }));
                }
                other => blocks.extend(self.block(other)?),
            }
        }
        let has = |key: &str| blocks.iter().any(|block| block.get(key).is_some());
        if has("document") && !has("text") {
            // A document does not stand alone here.
            blocks.push(json!({ "text": "(see the document)" }));
            self.warnings.push("emulated:messages.document".to_owned());
        }
        Ok(blocks)
    }

    fn block(&mut self, block: &Block) -> Result<Option<Value>, Unsupported> {
        Ok(match block {
            Block::Text(text) | Block::Refusal(text) => {
                (!is_blank(text)).then(|| json!({ "text": text }))
            }
            Block::Image(source) => Some(write_image(source)?),
            Block::File { source, name } => {
                let document = write_document(source, name.as_deref(), self.documents)?;
                self.documents += 1;
                Some(document)
            }
            Block::ToolCall(call) => {
                let (input, is_valid) = call.input();
                if !is_valid {
                    self.warnings.push("emulated:tool_calls.arguments".to_owned());
                }
                let id = fit_id(&call.id);
                Some(json!({ "toolUse": { "toolUseId": id, "name": call.name, "input": input } }))
            }
            Block::ToolResult { call_id, content, is_error, .. } => {
                let mut inner = Vec::new();
                for block in content {
                    inner.extend(self.block(block)?);
                }
                if inner.is_empty() {
                    inner.push(json!({ "text": "(empty)" }));
                }
                Some(self.result(call_id, inner, *is_error))
            }
            Block::Thinking { proof: Some(proof), .. }
                if proof.origin == super::BEDROCK_CONVERSE.name && model::is_claude(self.model) =>
            {
                serde_json::from_str(&proof.json).ok()
            }
            // Thinking without its proof, or another model's, is refused by this API.
            Block::Thinking { .. } => {
                self.warnings.push("dropped:thinking".to_owned());
                None
            }
            Block::Opaque(value) => match foreign::verdict(value) {
                Verdict::Text(text) => {
                    self.warnings.push(foreign::warning("emulated", value));
                    Some(json!({ "text": text }))
                }
                Verdict::Drop => {
                    self.warnings.push(foreign::warning("dropped", value));
                    None
                }
                Verdict::Refuse(why) => return Err(why),
            },
        })
    }

    /// Only some models know that a tool may fail; the others read it.
    fn result(&mut self, id: &str, mut content: Vec<Value>, is_error: bool) -> Value {
        let mut result = Object::default();
        result.set("toolUseId", fit_id(id));
        if is_error && model::has_result_status(self.model) {
            result.set("status", "error");
        } else if is_error {
            self.warnings.push("emulated:tool_result.is_error".to_owned());
            content.insert(0, json!({ "text": "Error:" }));
        }
        result.set("content", content);
        json!({ "toolResult": Value::from(result) })
    }
}

/// The same id for the same call in every turn. Source: wire-formats.md 2.1 (BC), 3.4.
fn fit_id(id: &str) -> String {
    let is_ok = |c: char| c.is_ascii_alphanumeric() || "_.:-".contains(c);
    let fits = (1..=64).contains(&id.len()) && id.chars().all(is_ok);
    if fits { id.to_owned() } else { format!("call_{:016x}", names::stable_hash(id)) }
}

/// The tools that the history calls: they must be declared.
fn used_tools(chat: &Chat) -> BTreeSet<&str> {
    let blocks = chat.turns.iter().flat_map(|turn| &turn.blocks);
    let names = blocks.filter_map(|block| match block {
        Block::ToolCall(call) => Some(call.name.as_str()),
        _ => None,
    });
    names.collect()
}

fn write_tools(chat: &Chat, body: &mut Object, warnings: &mut Vec<String>) {
    let used = used_tools(chat);
    let is_forbidden = chat.tool_choice == Some(ToolChoice::None);
    if is_forbidden && used.is_empty() {
        return;
    }
    let mut tools: Vec<&Tool> = chat.tools.iter().collect();
    if let Some(ToolChoice::OneOf(names)) = &chat.tool_choice {
        tools.retain(|tool| names.contains(&tool.name));
        warnings.push("emulated:tool_choice".to_owned());
    }
    let write = |tool: &Tool| {
        let mut spec = Object::default();
        spec.set("name", tool.name.as_str());
        spec.set_some("description", tool.description.clone().filter(|text| !text.is_empty()));
        spec.set("inputSchema", json!({ "json": tool.schema }));
        json!({ "toolSpec": Value::from(spec) })
    };
    let mut specs: Vec<Value> = tools.iter().map(|tool| write(tool)).collect();
    if specs.is_empty() && !used.is_empty() {
        let bare = |name: &&str| {
            let schema = json!({ "type": "object", "properties": {} });
            json!({ "toolSpec": { "name": name, "inputSchema": { "json": schema } } })
        };
        specs = used.iter().map(bare).collect();
        warnings.push("emulated:tools".to_owned());
    }
    if specs.is_empty() {
        return;
    }
    let mut config = Object::default();
    config.set("tools", specs);
    match &chat.tool_choice {
        Some(ToolChoice::Auto) => config.set("toolChoice", json!({ "auto": {} })),
        Some(ToolChoice::Required | ToolChoice::OneOf(_)) => {
            config.set("toolChoice", json!({ "any": {} }));
        }
        Some(ToolChoice::Named(name)) => {
            config.set("toolChoice", json!({ "tool": { "name": name } }));
        }
        Some(ToolChoice::None) | None => {}
    }
    if chat.parallel_tools == Some(false) {
        warnings.push("dropped:parallel_tool_calls".to_owned());
    }
    body.set("toolConfig", Value::from(config));
}

fn write_settings(chat: &Chat, model: &str, body: &mut Object, warnings: &mut Vec<String>) {
    let mut more = Object::default();
    let mut output = Object::default();
    let mut config = write_sampling(chat, model, &mut more, warnings);
    if let Some(effort) = chat.effort {
        write_effort(chat, model, effort, (&mut config, &mut more, &mut output), warnings);
    }
    if let OutputFormat::Schema { name, schema, .. } = &chat.output
        && model::has_structured_output(model)
    {
        let mut schema = schema.clone();
        if schema::close(&mut schema) {
            warnings.push("emulated:response_format.schema".to_owned());
        }
        // The schema is JSON in a string.
        let inner = json!({ "name": name, "schema": schema.to_string() });
        let format = json!({ "type": "json_schema", "structure": { "jsonSchema": inner } });
        output.set("textFormat", format);
    }
    for (name, object) in [
        ("inferenceConfig", config),
        ("additionalModelRequestFields", more),
        ("outputConfig", output),
    ] {
        if !object.is_empty() {
            body.set(name, Value::from(object));
        }
    }
    if chat.user.is_some() {
        warnings.push("dropped:user".to_owned());
    }
}

fn write_sampling(
    chat: &Chat,
    model: &str,
    more: &mut Object,
    warnings: &mut Vec<String>,
) -> Object {
    let sampling = &chat.sampling;
    let mut config = Object::default();
    config.set_some("maxTokens", chat.max_tokens.map(|tokens| tokens.max(1)));
    let is_taken = model::takes_sampling(model);
    let both = sampling.temperature.is_some() && sampling.top_p.is_some();
    let top_p_taken = is_taken && (!both || model::takes_both(model));
    let is_nova = model::is_nova(model);
    let top_k_taken = is_taken && (is_nova || model::is_claude(model));
    let mut drop_if = |is_there: bool, field: &str| {
        if is_there {
            warnings.push(format!("dropped:{field}"));
        }
    };
    drop_if(sampling.seed.is_some(), "seed");
    drop_if(sampling.presence_penalty.is_some(), "presence_penalty");
    drop_if(sampling.frequency_penalty.is_some(), "frequency_penalty");
    drop_if(!is_taken && sampling.temperature.is_some(), "temperature");
    drop_if(is_taken && sampling.temperature.is_some_and(|t| t > 1.0), "temperature>1");
    drop_if(!top_p_taken && sampling.top_p.is_some(), "top_p");
    drop_if(!top_k_taken && sampling.top_k.is_some(), "top_k");
    if is_taken {
        config.set_some("temperature", sampling.temperature.map(|t| t.clamp(0.0, 1.0)));
    }
    config.set_some("topP", sampling.top_p.filter(|_| top_p_taken));
    match sampling.top_k.filter(|_| top_k_taken).map(|k| k as u64) {
        Some(top_k) if is_nova => more.set("inferenceConfig", json!({ "topK": top_k })),
        top_k => more.set_some("top_k", top_k),
    }
    let stops: Vec<&String> = chat.stop.iter().filter(|stop| !is_blank(stop)).collect();
    if !stops.is_empty() {
        config.set("stopSequences", json!(stops));
    }
    config
}

/// A forced tool and thinking exclude each other at Claude's; a budget is a part of the limit.
fn write_effort(
    chat: &Chat,
    model: &str,
    effort: Effort,
    (config, more, output): (&mut Object, &mut Object, &mut Object),
    warnings: &mut Vec<String>,
) {
    let is_forced = matches!(
        chat.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named(_) | ToolChoice::OneOf(_))
    );
    let told = model::thinking(model, effort);
    let is_refused = is_forced && model::is_claude(model) && told != Thinking::Nothing;
    match told {
        Thinking::Nothing => {}
        Thinking::Fields(..) if is_refused => {
            warnings.push(format!("dropped:reasoning_effort={}", effort.word()));
        }
        Thinking::Dropped => warnings.push("dropped:reasoning_effort".to_owned()),
        Thinking::Fields(name, value, taken) => {
            if let Some(budget) = value.get("budget_tokens").and_then(Value::as_u64) {
                let limit = chat.max_tokens.unwrap_or(0).max(budget + 1_024);
                config.set("maxTokens", limit);
                // With a budget, only the default temperature is taken.
                for (key, field) in [("temperature", "temperature"), ("topP", "top_p")] {
                    if config.unset(key) {
                        warnings.push(format!("dropped:{field}"));
                    }
                }
            }
            more.set(name, value);
            if taken.is_some_and(|taken| taken != effort) {
                warnings.push("emulated:reasoning_effort".to_owned());
            }
            output.set_some("effort", taken.map(Effort::word));
        }
    }
}
