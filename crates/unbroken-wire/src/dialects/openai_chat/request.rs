//! Requests of Chat Completions.

use serde_json::{Value, json};

use crate::chat::{
    Block, Chat, Effort, OutputFormat, Role, Sampling, Source, Tool, ToolCall, ToolChoice, Turn,
};
use crate::dialects::fields::{
    Object, count, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead, Unsupported, Written};

/// Fields with a neutral meaning. `store` is only a wish about the provider's own records.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "stop",
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "user",
    "safety_identifier",
    "n",
    "store",
];

pub(super) fn read(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err(RequestError::missing("messages"));
    };
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    let mut chat = Chat {
        origin: super::OPENAI_CHAT.name,
        model: some_text(&body, "model")
            .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned()),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        tools: list(&body, "tools").iter().filter_map(read_tool).collect(),
        tool_choice: body.get("tool_choice").and_then(read_tool_choice),
        parallel_tools: body.get("parallel_tool_calls").and_then(Value::as_bool),
        output: read_output(body.get("response_format")),
        max_tokens: count(&body, "max_completion_tokens").or_else(|| count(&body, "max_tokens")),
        stop: texts(body.get("stop")).into_iter().filter(|text| !text.is_empty()).collect(),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("top_p"),
            top_k: number("top_k"),
            seed: body.get("seed").and_then(Value::as_i64),
            presence_penalty: number("presence_penalty"),
            frequency_penalty: number("frequency_penalty"),
        },
        effort: Effort::read(text(&body, "reasoning_effort")),
        user: some_text(&body, "safety_identifier").or_else(|| some_text(&body, "user")),
        choices: count(&body, "n").unwrap_or(1),
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    for tool in list(&body, "tools").iter().filter(|tool| read_tool(tool).is_none()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    for message in messages {
        read_message(&mut chat, message);
    }
    chat.checked()
}

fn read_message(chat: &mut Chat, message: &Value) {
    let content = read_content(message.get("content"));
    match text(message, "role") {
        "system" | "developer" if chat.turns.is_empty() => {
            chat.system.extend(content.into_iter().filter_map(into_text));
        }
        "system" | "developer" => chat.push(Role::System, content),
        "assistant" => {
            let blocks = read_assistant(message, content);
            if !blocks.is_empty() {
                chat.push(Role::Assistant, blocks);
            }
        }
        "tool" | "function" => {
            let result = Block::ToolResult {
                call_id: text(message, "tool_call_id").to_owned(),
                name: some_text(message, "name"),
                content,
                is_error: false,
            };
            chat.push(Role::User, vec![result]);
        }
        "user" => chat.push(Role::User, content),
        _ => chat.push(Role::User, vec![Block::Opaque(message.clone())]),
    }
}

fn into_text(block: Block) -> Option<String> {
    match block {
        Block::Text(text) => Some(text),
        _ => None,
    }
}

fn read_assistant(message: &Value, content: Vec<Block>) -> Vec<Block> {
    let mut blocks = Vec::new();
    if let Some(text) = some_text(message, "reasoning_content") {
        blocks.push(Block::Thinking { text, signature: None });
    }
    blocks.extend(content);
    blocks.extend(some_text(message, "refusal").map(Block::Refusal));
    blocks.extend(list(message, "tool_calls").iter().map(read_tool_call));
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        let (name, arguments) = (text(call, "name").to_owned(), read_arguments(call));
        blocks.push(Block::ToolCall(ToolCall { id: name.clone(), name, arguments }));
    }
    blocks
}

/// A tool call of a message or a whole answer.
pub(super) fn read_tool_call(call: &Value) -> Block {
    let Some(function) = call.get("function").filter(|function| function.is_object()) else {
        return Block::Opaque(call.clone());
    };
    Block::ToolCall(ToolCall {
        id: text(call, "id").to_owned(),
        name: text(function, "name").to_owned(),
        arguments: read_arguments(function),
    })
}

/// Arguments are text; some hosts write an object.
pub(super) fn read_arguments(function: &Value) -> String {
    match function.get("arguments") {
        Some(Value::String(text)) => text.clone(),
        Some(object @ (Value::Object(_) | Value::Array(_))) => object.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => String::new(),
    }
}

/// Content: text, parts, or nothing. Empty texts say nothing.
pub(super) fn read_content(content: Option<&Value>) -> Vec<Block> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => vec![Block::Text(text.clone())],
        Some(Value::Array(parts)) => parts.iter().filter_map(read_part).collect(),
        Some(_) | None => vec![],
    }
}

fn read_part(part: &Value) -> Option<Block> {
    if let Value::String(text) = part {
        return (!text.is_empty()).then(|| Block::Text(text.clone()));
    }
    Some(match text(part, "type") {
        "text" | "input_text" | "output_text" => {
            return some_text(part, "text").map(Block::Text);
        }
        "refusal" => Block::Refusal(text(part, "refusal").to_owned()),
        "image_url" => {
            let url = part.pointer("/image_url/url").or_else(|| part.get("image_url"));
            Block::Image(Source::of_url(url.and_then(Value::as_str).unwrap_or_default()))
        }
        "file" => {
            let data = part.pointer("/file/file_data").and_then(Value::as_str);
            match data.map(Source::of_url) {
                Some(source @ Source::Base64 { .. }) => Block::File {
                    source,
                    name: part.get("file").and_then(|file| some_text(file, "filename")),
                },
                Some(Source::Url(_)) | None => Block::Opaque(part.clone()),
            }
        }
        "thinking" => Block::Thinking {
            text: list(part, "thinking").iter().map(|t| text(t, "text")).collect(),
            signature: None,
        },
        _ => Block::Opaque(part.clone()),
    })
}

fn read_tool(tool: &Value) -> Option<Tool> {
    let function = tool.get("function").filter(|function| function.is_object())?;
    Some(Tool {
        name: text(function, "name").to_owned(),
        description: some_text(function, "description"),
        schema: object_schema(function.get("parameters")),
        strict: function.get("strict").and_then(Value::as_bool),
    })
}

fn read_tool_choice(choice: &Value) -> Option<ToolChoice> {
    match choice.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required" | "any") => return Some(ToolChoice::Required),
        Some(_) | None => {}
    }
    match text(choice, "type") {
        "function" => some_text(choice.get("function")?, "name").map(ToolChoice::Named),
        "allowed_tools" => {
            let tools = choice.pointer("/allowed_tools/tools")?.as_array()?;
            let name = |tool: &Value| some_text(tool.get("function")?, "name");
            Some(ToolChoice::OneOf(tools.iter().filter_map(name).collect()))
        }
        _ => None,
    }
}

fn read_output(format: Option<&Value>) -> OutputFormat {
    let Some(format) = format else { return OutputFormat::Text };
    match text(format, "type") {
        "json_object" => OutputFormat::Json,
        "json_schema" => {
            let inner = format.get("json_schema").unwrap_or(&Value::Null);
            OutputFormat::Schema {
                name: some_text(inner, "name").unwrap_or_else(|| "answer".to_owned()),
                schema: inner.get("schema").cloned().unwrap_or_else(|| json!({})),
                strict: inner.get("strict").and_then(Value::as_bool),
            }
        }
        _ => OutputFormat::Text,
    }
}

/// Fields of other dialects that change the meaning of the answer; the rest are hints.
pub(crate) const CONSTRAINTS: &[&str] = &[
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "audio",
    "modalities",
    "web_search_options",
    "functions",
    "function_call",
    "tools",
    "cachedContent",
    "responseModalities",
    "responseLogprobs",
    "mcp_servers",
    "container",
    "previous_response_id",
    "conversation",
    "speechConfig",
    "imageConfig",
];

/// What another dialect's extra fields mean for a target that does not know them.
pub(crate) fn weigh_extras(chat: &Chat, warnings: &mut Vec<String>) -> Result<(), Unsupported> {
    for (field, value) in &chat.extras {
        let is_harmless = matches!(value, Value::Bool(false))
            || value.as_array().is_some_and(Vec::is_empty)
            || (field == "modalities" && *value == json!(["text"]))
            || (field == "responseModalities" && *value == json!(["TEXT"]));
        if CONSTRAINTS.contains(&field.as_str()) && !is_harmless {
            return Err(Unsupported::new(field, "this target's API has nothing like it"));
        }
        warnings.push(format!("dropped:{field}"));
    }
    Ok(())
}

pub(super) fn write(chat: &Chat, model: &str) -> Result<Written, Unsupported> {
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
    body.set("messages", messages);
    if chat.stream {
        body.set("stream", true);
        body.set("stream_options", json!({ "include_usage": true }));
    }
    write_tools(chat, &mut body, &mut warnings);
    write_settings(chat, model, &mut body);
    if is_own {
        let extras = chat.extras.iter().filter(|(key, _)| key != "tools");
        extras.for_each(|(key, value)| body.set(key, value.clone()));
    } else {
        weigh_extras(chat, &mut warnings)?;
    }
    Ok(Written { body: Value::from(body).to_string().into_bytes(), warnings })
}

fn write_settings(chat: &Chat, model: &str, body: &mut Object) {
    let sampling = &chat.sampling;
    let limit = if wants_completion_tokens(model) { "max_completion_tokens" } else { "max_tokens" };
    body.set_some(limit, chat.max_tokens);
    body.set_some("temperature", sampling.temperature);
    body.set_some("top_p", sampling.top_p);
    body.set_some("seed", sampling.seed);
    body.set_some("presence_penalty", sampling.presence_penalty);
    body.set_some("frequency_penalty", sampling.frequency_penalty);
    body.set_some("reasoning_effort", chat.effort.map(Effort::word));
    body.set_some("user", chat.user.clone());
    if !chat.stop.is_empty() {
        body.set("stop", chat.stop.clone());
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
            inner.set_some("strict", *strict);
            let format = json!({ "type": "json_schema", "json_schema": Value::from(inner) });
            body.set("response_format", format);
        }
    }
}

/// OpenAI's reasoning models refuse `max_tokens`; many compatible hosts know nothing else.
fn wants_completion_tokens(model: &str) -> bool {
    let name = model.rsplit('/').next().unwrap_or(model);
    ["o1", "o3", "o4", "gpt-5", "gpt-6"].iter().any(|prefix| name.starts_with(prefix))
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
        function.set_some("strict", tool.strict);
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
            let text: Vec<String> = turn.blocks.iter().cloned().filter_map(into_text).collect();
            messages.push(json!({ "role": "system", "content": text.join("\n\n") }));
        }
        Role::Assistant => messages.push(write_assistant(&turn.blocks, is_own, warnings)?),
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
                text.insert_str(0, "Error: ");
            }
            messages.push(json!({ "role": "tool", "tool_call_id": call_id, "content": text }));
        }
    }
    for block in blocks.iter().filter(|block| !matches!(block, Block::ToolResult { .. })) {
        parts.extend(write_part(block, is_own)?);
    }
    match parts.as_slice() {
        [] => {}
        [only] if text(only, "type") == "text" => {
            messages.push(json!({ "role": "user", "content": text(only, "text") }));
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
            Block::Opaque(value) => texts.push(value.to_string()),
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
) -> Result<Value, Unsupported> {
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
            Block::Opaque(value) => {
                let kind = text(value, "type");
                return Err(Unsupported::new("messages", &format!("a block of type '{kind}'")));
            }
        }
    }
    let content = if texts.is_empty() { Value::Null } else { texts.concat().into() };
    message.set("content", content);
    if !calls.is_empty() {
        message.set("tool_calls", calls);
    }
    Ok(message.into())
}

fn arguments_text(call: &ToolCall) -> &str {
    if call.arguments.trim().is_empty() { "{}" } else { &call.arguments }
}
