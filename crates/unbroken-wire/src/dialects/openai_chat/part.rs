//! Parts of messages: content, tool calls and their arguments. Clients mix the names of Chat
//! Completions and Responses, so both are read everywhere.

use serde_json::{Value, json};

use crate::chat::{Block, Source, ToolCall};
use crate::dialects::fields::{list, some_text, text};
use crate::media;

/// A tool call of a message or a whole answer.
pub(super) fn read_tool_call(call: &Value) -> Block {
    if let Some(custom) = call.get("custom").filter(|custom| custom.is_object()) {
        return Block::ToolCall(ToolCall {
            id: text(call, "id").to_owned(),
            name: text(custom, "name").to_owned(),
            arguments: as_custom_input(text(custom, "input")),
        });
    }
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

/// Free text as the one argument `input`.
pub(in crate::dialects) fn as_custom_input(text: &str) -> String {
    json!({ "input": text }).to_string()
}

/// A text as it stands between the quotes of a JSON string.
pub(in crate::dialects) fn escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

/// Content: text, parts, or nothing. Empty texts say nothing.
pub(in crate::dialects) fn read_content(content: Option<&Value>) -> Vec<Block> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => vec![Block::Text(text.clone())],
        Some(Value::Array(parts)) => parts.iter().filter_map(read_part).collect(),
        Some(one @ Value::Object(_)) => read_part(one).into_iter().collect(),
        Some(_) | None => vec![],
    }
}

fn read_part(part: &Value) -> Option<Block> {
    if let Value::String(text) = part {
        return (!text.is_empty()).then(|| Block::Text(text.clone()));
    }
    Some(match text(part, "type") {
        "text" | "input_text" | "output_text" | "summary_text" => {
            return some_text(part, "text").map(Block::Text);
        }
        // Shown thinking, where a host mixes it into the content.
        "reasoning_text" => Block::Thinking { text: text(part, "text").to_owned(), proof: None },
        "refusal" => Block::Refusal(text(part, "refusal").to_owned()),
        "image_url" | "input_image" | "image" => read_image(part),
        "file" | "input_file" => read_file(part),
        "thinking" => Block::Thinking { text: read_thinking(part), proof: None },
        _ => Block::Opaque(part.clone()),
    })
}

/// An image by URL or in the body; a PDF that was put in an image's place is a document.
fn read_image(part: &Value) -> Block {
    let url = part.pointer("/image_url/url").or_else(|| part.get("image_url"));
    match url.and_then(Value::as_str).map(Source::of_url) {
        Some(source @ Source::Base64 { .. }) if !media::is_image(&source) => {
            Block::File { source, name: None }
        }
        Some(source) => Block::Image(source),
        None => Block::Opaque(part.clone()),
    }
}

/// A document in the body or by URL; one that is kept at a provider is only understood there.
fn read_file(part: &Value) -> Block {
    let inner = part.get("file").filter(|file| file.is_object()).unwrap_or(part);
    let name = some_text(inner, "filename");
    let data = some_text(inner, "file_data").map(|data| Source::of_url(&data));
    match (data, some_text(inner, "file_url")) {
        (Some(source @ Source::Base64 { .. }), _) => Block::File { source, name },
        (_, Some(url)) => Block::File { source: Source::of_url(&url), name },
        (Some(Source::Url(_)) | None, None) => Block::Opaque(part.clone()),
    }
}

/// Mistral's thinking is a list of texts, others' one text.
fn read_thinking(part: &Value) -> String {
    match part.get("thinking") {
        Some(Value::String(text)) => text.clone(),
        Some(_) => list(part, "thinking").iter().map(|t| text(t, "text")).collect(),
        None => text(part, "text").to_owned(),
    }
}
