//! Reading requests of Cohere's chat: what was written, and what was recorded.

use serde_json::Value;

use super::answer::{read_call, read_content};
use crate::base64;
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Sampling, Source, Tool, ToolChoice};
use crate::dialects::fields::{
    count, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead};

const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "tools",
    "tool_choice",
    "documents",
    "response_format",
    "max_tokens",
    "stop_sequences",
    "temperature",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "k",
    "p",
    "thinking",
];

pub(super) fn read(_: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err(RequestError::missing("messages"));
    };
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    let mut chat = Chat {
        origin: super::COHERE_CHAT.name,
        model: text(&body, "model").to_owned(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: true,
        tools: list(&body, "tools").iter().map(read_tool).collect(),
        tool_choice: match text(&body, "tool_choice") {
            "REQUIRED" => Some(ToolChoice::Required),
            "NONE" => Some(ToolChoice::None),
            _ => None,
        },
        output: read_output(&body),
        max_tokens: count(&body, "max_tokens"),
        stop: texts(body.get("stop_sequences")),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("p"),
            top_k: number("k"),
            seed: body.get("seed").and_then(Value::as_i64),
            presence_penalty: number("presence_penalty"),
            frequency_penalty: number("frequency_penalty"),
        },
        effort: read_effort(&body),
        choices: 1,
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    for message in messages {
        read_message(message, &mut chat);
    }
    let documents: Vec<Block> = list(&body, "documents").iter().map(read_document).collect();
    if !documents.is_empty() {
        chat.push(Role::User, documents);
    }
    chat.checked()
}

fn read_message(message: &Value, chat: &mut Chat) {
    let mut blocks = read_content(message.get("content"));
    match text(message, "role") {
        "assistant" => {
            blocks.extend(some_text(message, "tool_plan").map(Block::Text));
            blocks.extend(list(message, "tool_calls").iter().map(read_call).map(Block::ToolCall));
            chat.push(Role::Assistant, blocks);
        }
        "system" if chat.turns.is_empty() => {
            chat.system.extend(blocks.into_iter().filter_map(Block::into_text));
        }
        "system" => chat.push(Role::System, blocks),
        "tool" => {
            let call_id = text(message, "tool_call_id").to_owned();
            let result =
                Block::ToolResult { call_id, name: None, content: blocks, is_error: false };
            chat.push(Role::User, vec![result]);
        }
        _ => chat.push(Role::User, blocks),
    }
}

/// A document is its text, or an object of fields.
fn read_document(document: &Value) -> Block {
    let data = document.get("data").unwrap_or(document);
    let name = some_text(data, "title");
    let words = match (data.as_str(), some_text(data, "text")) {
        (Some(words), _) => words.to_owned(),
        (None, Some(words)) => words,
        (None, None) => data.to_string(),
    };
    let (media_type, data) = ("text/plain".to_owned(), base64::encode(words.as_bytes()));
    Block::File { source: Source::Base64 { media_type, data }, name }
}

fn read_tool(tool: &Value) -> Tool {
    let function = tool.get("function").unwrap_or(&Value::Null);
    Tool {
        name: text(function, "name").to_owned(),
        description: some_text(function, "description"),
        schema: object_schema(function.get("parameters")),
        strict: None,
        is_custom: false,
    }
}

fn read_output(body: &Value) -> OutputFormat {
    let format = body.get("response_format").unwrap_or(&Value::Null);
    let schema = format.get("json_schema").or_else(|| format.get("schema"));
    match (text(format, "type"), schema) {
        ("json_object", Some(schema)) => {
            OutputFormat::Schema { name: "answer".to_owned(), schema: schema.clone(), strict: None }
        }
        ("json_object", None) => OutputFormat::Json,
        _ => OutputFormat::Text,
    }
}

fn read_effort(body: &Value) -> Option<Effort> {
    let thinking = body.get("thinking")?;
    match text(thinking, "type") {
        "disabled" => Some(Effort::None),
        _ => Some(count(thinking, "token_budget").map_or(Effort::High, Effort::of_budget)),
    }
}
