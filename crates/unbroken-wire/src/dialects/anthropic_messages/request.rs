//! Reading requests of Messages.

use serde_json::Value;

use crate::chat::{
    Block, Chat, Effort, OutputFormat, Role, Sampling, Source, Tool, ToolCall, ToolChoice,
};
use crate::dialects::fields::{
    count, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead};

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
        user: body.get("metadata").and_then(|metadata| some_text(metadata, "user_id")),
        choices: 1,
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    for tool in list(&body, "tools").iter().filter(|tool| read_tool(tool).is_none()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    for message in messages {
        let blocks = read_content(message.get("content"));
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
        Some(Value::Array(blocks)) => blocks.iter().filter_map(|b| some_text(b, "text")).collect(),
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
            signature: some_text(block, "signature"),
        },
        // Thinking that only its provider can read: nobody else misses it.
        "redacted_thinking" => Block::Thinking { text: String::new(), signature: None },
        _ => Block::Opaque(block.clone()),
    })
}

fn read_source(block: &Value) -> Option<Source> {
    let source = block.get("source")?;
    match text(source, "type") {
        "base64" => Some(Source::Base64 {
            media_type: text(source, "media_type").to_owned(),
            data: text(source, "data").to_owned(),
        }),
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
