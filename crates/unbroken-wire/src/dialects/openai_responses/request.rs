//! Reading requests of Responses.

use serde_json::Value;

use crate::chat::{Block, Chat, Effort, OutputFormat, Proof, Role, Sampling, Tool, ToolChoice};
use crate::dialects::fields::{
    count, custom_tool_schema, list, object_schema, others, read_body, some_text, text,
};
use crate::dialects::openai_chat::{as_custom_input, read_content};
use crate::dialects::{RequestError, RequestHead};
use crate::seal;

/// Fields with a neutral meaning, or with none for anybody else: `store` and `include` are wishes
/// about the provider's own records and about what it shows of them.
const KNOWN: &[&str] = &[
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "max_output_tokens",
    "temperature",
    "top_p",
    "reasoning",
    "user",
    "safety_identifier",
    "store",
    "include",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
];
/// Fields that a response repeats.
const ECHOED: &[&str] = &[
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "truncation",
    "user",
    "safety_identifier",
    "prompt_cache_key",
];

pub(super) fn read(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let has_prompt = body.get("prompt").is_some_and(Value::is_object);
    let is_readable = |input: &Value| input.is_string() || input.is_array();
    // What is continued or stored at the provider needs no input here.
    let continues = ["previous_response_id", "conversation"].map(|key| body.get(key));
    if !body.get("input").is_some_and(is_readable)
        && !has_prompt
        && continues.iter().flatten().all(|value| value.is_null())
    {
        return Err(RequestError::missing("input"));
    }
    of_body(head, &body)
}

/// Reads a body of this dialect, wherever it was sent.
pub(in crate::dialects) fn of_body(
    head: &RequestHead<'_>,
    body: &Value,
) -> Result<Chat, RequestError> {
    let number = |key: &str| body.get(key).and_then(Value::as_f64);
    let reasoning = body.get("reasoning").unwrap_or(&Value::Null);
    let effort = Effort::read(text(reasoning, "effort"));
    let mut chat = Chat {
        origin: super::OPENAI_RESPONSES.name,
        model: some_text(body, "model")
            .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned()),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: true,
        system: some_text(body, "instructions").into_iter().collect(),
        tools: list(body, "tools").iter().filter_map(read_tool).collect(),
        tool_choice: body.get("tool_choice").and_then(read_tool_choice),
        parallel_tools: body.get("parallel_tool_calls").and_then(Value::as_bool),
        output: read_output(body.pointer("/text/format")),
        max_tokens: count(body, "max_output_tokens"),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("top_p"),
            ..Sampling::default()
        },
        effort,
        show_thinking: some_text(reasoning, "summary").map(|_| true),
        user: some_text(body, "safety_identifier").or_else(|| some_text(body, "user")),
        choices: 1,
        extras: others(body, KNOWN),
        echo: ECHOED
            .iter()
            .filter_map(|key| Some(((*key).to_owned(), body.get(*key)?.clone())))
            .collect(),
        ..Chat::default()
    };
    note_extras(&mut chat, body);
    match body.get("input") {
        Some(Value::String(prompt)) => chat.push(Role::User, vec![Block::Text(prompt.clone())]),
        Some(Value::Array(items)) => items.iter().for_each(|item| read_item(&mut chat, item)),
        Some(_) | None => {}
    }
    chat.checked()
}

fn note_extras(chat: &mut Chat, body: &Value) {
    // The default of the API, which nobody else has a word for.
    chat.extras.retain(|(key, value)| !(key == "truncation" && value == "disabled"));
    for tool in list(body, "tools").iter().filter(|tool| read_tool(tool).is_none()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    let is_foreign = |choice: &&Value| choice.is_object() && read_tool_choice(choice).is_none();
    if let Some(choice) = body.get("tool_choice").filter(is_foreign) {
        chat.extras.push(("tool_choice".to_owned(), choice.clone()));
    }
    if let Some(verbosity) = body.get("text").and_then(|format| some_text(format, "verbosity")) {
        chat.extras.push(("verbosity".to_owned(), verbosity.into()));
    }
    let wants_logprobs = |wanted: &Value| wanted.as_str() == Some("message.output_text.logprobs");
    if list(body, "include").iter().any(wants_logprobs) {
        chat.extras.push(("logprobs".to_owned(), Value::Bool(true)));
    }
}

fn read_item(chat: &mut Chat, item: &Value) {
    match text(item, "type") {
        "" | "message" => read_message(chat, item),
        "reasoning" => chat.push(Role::Assistant, vec![read_reasoning(item)]),
        "function_call" | "custom_tool_call" => {
            chat.push(Role::Assistant, vec![super::item::read_call(item)]);
        }
        "function_call_output" | "custom_tool_call_output" => {
            let result = Block::ToolResult {
                call_id: text(item, "call_id").to_owned(),
                name: None,
                content: read_content(item.get("output")),
                is_error: false,
            };
            chat.push(Role::User, vec![result]);
        }
        _ => chat.push(Role::Assistant, vec![Block::Opaque(item.clone())]),
    }
}

fn read_message(chat: &mut Chat, item: &Value) {
    let content = read_content(item.get("content"));
    match text(item, "role") {
        "system" | "developer" if chat.turns.is_empty() => {
            chat.system.extend(content.into_iter().filter_map(Block::into_text));
        }
        "system" | "developer" => chat.push(Role::System, content),
        "assistant" if content.is_empty() => {}
        "assistant" => chat.push(Role::Assistant, content),
        _ => chat.push(Role::User, content),
    }
}

/// Thinking, in words as far as they are shown, and as the sealed or encrypted original.
pub(super) fn read_reasoning(item: &Value) -> Block {
    let texts = |key: &str| -> Vec<&str> {
        list(item, key).iter().map(|part| text(part, "text")).collect()
    };
    let words = [texts("summary"), texts("content")].concat().join("\n\n");
    let proof = match item.get("encrypted_content").and_then(Value::as_str) {
        Some(sealed) if seal::is_sealed(sealed) => seal::open(sealed),
        Some(_) => Some(Proof { origin: super::OPENAI_RESPONSES.name, json: item.to_string() }),
        None => None,
    };
    Block::Thinking { text: words, proof }
}

/// A tool of the client's own; tools that run at the provider have another `type`. Some clients
/// nest the function as Chat Completions does.
fn read_tool(tool: &Value) -> Option<Tool> {
    let inner = tool.get("function").filter(|function| function.is_object()).unwrap_or(tool);
    match text(tool, "type") {
        "function" => Some(Tool {
            name: some_text(inner, "name")?,
            description: some_text(inner, "description"),
            schema: object_schema(inner.get("parameters")),
            strict: inner.get("strict").and_then(Value::as_bool),
            is_custom: false,
        }),
        "custom" => Some(Tool {
            name: some_text(tool, "name")?,
            description: some_text(tool, "description"),
            schema: custom_tool_schema(),
            strict: None,
            is_custom: true,
        }),
        _ => None,
    }
}

fn read_tool_choice(choice: &Value) -> Option<ToolChoice> {
    match choice.as_str() {
        Some("auto") => return Some(ToolChoice::Auto),
        Some("none") => return Some(ToolChoice::None),
        Some("required") => return Some(ToolChoice::Required),
        Some(_) | None => {}
    }
    let name_of = |value: &Value| {
        some_text(value, "name").or_else(|| some_text(value.get("function")?, "name"))
    };
    match text(choice, "type") {
        "function" | "custom" => name_of(choice).map(ToolChoice::Named),
        "allowed_tools" if text(choice, "mode") == "required" => {
            Some(ToolChoice::OneOf(list(choice, "tools").iter().filter_map(name_of).collect()))
        }
        _ => None,
    }
}

fn read_output(format: Option<&Value>) -> OutputFormat {
    let Some(format) = format else { return OutputFormat::Text };
    match text(format, "type") {
        "json_object" => OutputFormat::Json,
        "json_schema" => OutputFormat::Schema {
            name: some_text(format, "name").unwrap_or_else(|| "answer".to_owned()),
            schema: format.get("schema").cloned().unwrap_or_else(|| serde_json::json!({})),
            strict: format.get("strict").and_then(Value::as_bool),
        },
        _ => OutputFormat::Text,
    }
}

/// The arguments of a call, as JSON text; free text becomes the one argument `input`.
pub(super) fn read_arguments(item: &Value) -> String {
    match item.get("arguments").or_else(|| item.get("input")) {
        Some(Value::String(text)) if item.get("arguments").is_none() => as_custom_input(text),
        Some(Value::String(text)) => text.clone(),
        Some(other @ (Value::Object(_) | Value::Array(_))) => other.to_string(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => String::new(),
    }
}
