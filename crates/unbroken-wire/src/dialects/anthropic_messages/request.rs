//! Reading requests of Messages.

use serde_json::Value;

use crate::chat::{
    Block, Chat, Effort, OutputFormat, Proof, Role, Sampling, Source, Tool, ToolCall, ToolChoice,
};
use crate::dialects::fields::{
    count, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead};
use crate::{media, seal};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "system",
    "max_tokens",
    "stop_sequences",
    "stream",
    "metadata",
    "tools",
    "tool_choice",
    "thinking",
    "output_config",
    "temperature",
    "top_p",
    "top_k",
];

pub(super) fn read(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err(RequestError::missing("messages"));
    };
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    let choice = body.get("tool_choice").unwrap_or(&Value::Null);
    let mut chat = Chat {
        origin: super::ANTHROPIC_MESSAGES.name,
        model: some_text(&body, "model")
            .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned()),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: true,
        system: read_system(body.get("system")),
        tools: list(&body, "tools").iter().filter_map(read_tool).collect(),
        tool_choice: read_tool_choice(choice),
        parallel_tools: choice
            .get("disable_parallel_tool_use")
            .and_then(Value::as_bool)
            .map(|disabled| !disabled),
        output: read_output(&body),
        max_tokens: count(&body, "max_tokens"),
        stop: texts(body.get("stop_sequences")),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("top_p"),
            top_k: number("top_k"),
            ..Sampling::default()
        },
        effort: read_effort(&body),
        show_thinking: read_display(&body),
        user: body.get("metadata").and_then(|metadata| some_text(metadata, "user_id")),
        choices: 1,
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    for tool in list(&body, "tools").iter().filter(|tool| read_tool(tool).is_none()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    let in_parts = messages.iter().flat_map(|message| list(message, "content"));
    let in_system = list(&body, "system").iter().chain(list(&body, "tools"));
    let mut markable = in_parts.chain(in_system);
    if markable.any(|block| block.get("cache_control").is_some()) {
        chat.extras.push(("cache_control".to_owned(), Value::Bool(true)));
    }
    for message in messages {
        let mut blocks = read_content(message.get("content"));
        if blocks.is_empty() && text(message, "role") == "user" {
            // Nobody takes a turn without anything in it.
            blocks.push(Block::Text(".".to_owned()));
            chat.extras.push(("messages.content".to_owned(), Value::Bool(true)));
        }
        match text(message, "role") {
            "assistant" => chat.push(Role::Assistant, blocks),
            "system" => chat.push(Role::System, blocks),
            _ => chat.push(Role::User, blocks),
        }
    }
    chat.checked()
}

fn read_system(system: Option<&Value>) -> Vec<String> {
    match system {
        Some(Value::String(text)) => vec![text.clone()],
        // A coding agent tells the vendor whom to bill here; it changes with every request.
        Some(Value::Array(blocks)) => blocks
            .iter()
            .filter_map(|block| some_text(block, "text"))
            .filter(|text| !text.starts_with("x-anthropic-billing-header"))
            .collect(),
        Some(_) | None => vec![],
    }
}

fn read_content(content: Option<&Value>) -> Vec<Block> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => vec![Block::Text(text.clone())],
        Some(Value::Array(blocks)) => blocks.iter().filter_map(read_block).collect(),
        Some(_) | None => vec![],
    }
}

/// A block of a request or an answer. Empty texts say nothing.
pub(super) fn read_block(block: &Value) -> Option<Block> {
    Some(match text(block, "type") {
        "text" => return some_text(block, "text").map(Block::Text),
        "image" => read_source(block).map_or_else(|| Block::Opaque(block.clone()), Block::Image),
        "document" => match read_source(block) {
            Some(source) => Block::File { source, name: some_text(block, "title") },
            None => Block::Opaque(block.clone()),
        },
        "tool_use" => Block::ToolCall(ToolCall {
            id: text(block, "id").to_owned(),
            name: text(block, "name").to_owned(),
            arguments: block.get("input").map_or_else(|| "{}".to_owned(), Value::to_string),
        }),
        "tool_result" => Block::ToolResult {
            call_id: text(block, "tool_use_id").to_owned(),
            name: None,
            content: read_content(block.get("content")),
            is_error: block.get("is_error").and_then(Value::as_bool).unwrap_or(false),
        },
        "thinking" => Block::Thinking {
            text: text(block, "thinking").to_owned(),
            proof: read_proof(block, "signature"),
        },
        // Thinking that only its provider can read: nobody else misses it.
        "redacted_thinking" => {
            Block::Thinking { text: String::new(), proof: read_proof(block, "data") }
        }
        _ => Block::Opaque(block.clone()),
    })
}

/// A proof of our own making is opened; any other makes the block one of this dialect.
fn read_proof(block: &Value, key: &str) -> Option<Proof> {
    let proof = some_text(block, key)?;
    if seal::is_sealed(&proof) {
        return seal::open(&proof);
    }
    Some(Proof { origin: super::ANTHROPIC_MESSAGES.name, json: block.to_string() })
}

fn read_source(block: &Value) -> Option<Source> {
    let source = block.get("source")?;
    match text(source, "type") {
        "base64" => Some(media::inline(text(source, "media_type"), text(source, "data"))),
        "url" => Some(Source::Url(text(source, "url").to_owned())),
        _ => None,
    }
}

/// A tool of the client's own; tools that run at the provider have another `type`.
fn read_tool(tool: &Value) -> Option<Tool> {
    if !matches!(text(tool, "type"), "" | "custom") {
        return None;
    }
    Some(Tool {
        name: text(tool, "name").to_owned(),
        description: some_text(tool, "description"),
        schema: object_schema(tool.get("input_schema")),
        strict: tool.get("strict").and_then(Value::as_bool),
        is_custom: false,
    })
}

fn read_tool_choice(choice: &Value) -> Option<ToolChoice> {
    match text(choice, "type") {
        "auto" => Some(ToolChoice::Auto),
        "none" => Some(ToolChoice::None),
        "any" => Some(ToolChoice::Required),
        "tool" => some_text(choice, "name").map(ToolChoice::Named),
        _ => None,
    }
}

fn read_output(body: &Value) -> OutputFormat {
    let format = body.pointer("/output_config/format").unwrap_or(&Value::Null);
    match text(format, "type") {
        "json_schema" => OutputFormat::Schema {
            name: "answer".to_owned(),
            schema: format.get("schema").cloned().unwrap_or_default(),
            strict: Some(true),
        },
        _ => OutputFormat::Text,
    }
}

fn read_display(body: &Value) -> Option<bool> {
    let thinking = body.get("thinking")?;
    match (text(thinking, "type"), text(thinking, "display")) {
        (_, "summarized") => Some(true),
        (_, "omitted") | ("disabled", _) => Some(false),
        // The older form always showed it.
        ("enabled", _) => Some(true),
        _ => None,
    }
}

fn read_effort(body: &Value) -> Option<Effort> {
    let thinking = body.get("thinking").unwrap_or(&Value::Null);
    let effort = body.pointer("/output_config/effort").and_then(Value::as_str);
    match text(thinking, "type") {
        "disabled" => Some(Effort::None),
        "enabled" => Some(Effort::of_budget(count(thinking, "budget_tokens").unwrap_or(8_192))),
        "adaptive" => Some(effort.and_then(Effort::read).unwrap_or(Effort::High)),
        _ => effort.and_then(Effort::read),
    }
}
