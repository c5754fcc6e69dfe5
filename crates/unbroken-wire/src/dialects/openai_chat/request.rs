//! Reading requests of Chat Completions.

use serde_json::{Value, json};

use super::part::{read_arguments, read_content, read_tool_call};
use super::plain::{self, Message};
use crate::chat::{
    Block, Chat, Effort, OutputFormat, Proof, Role, Sampling, Tool, ToolCall, ToolChoice,
};
use crate::dialects::fields::{
    FewFields, Fields as _, count, custom_tool_schema, list, object_schema, read_body, some_text,
    text, texts,
};
use crate::dialects::{RequestError, RequestHead, openai_responses};
use crate::seal;

/// Fields with a neutral meaning. `store` is only a wish about the provider's own records.
const KNOWN: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "functions",
    "function_call",
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
    let Some((rest, messages)) = plain::split(body, head.outline) else {
        return read_without_messages(head, &read_body(body)?);
    };
    let chat = read_with(head, &rest, &messages);
    // Its words are nobody's business, not even in a panic.
    debug_assert!(chat == read_in_full(head, body), "both readers agree");
    chat
}

/// The same with every message as JSON, to compare with.
fn read_in_full(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let messages: Vec<_> = list(&body, "messages").iter().cloned().map(Message::Full).collect();
    read_with(head, &FewFields::from(body), &messages)
}

fn read_without_messages(head: &RequestHead<'_>, body: &Value) -> Result<Chat, RequestError> {
    // Some clients send a body of Responses here, and expect an answer as from here.
    if body.get("input").is_some_and(|input| input.is_string() || input.is_array()) {
        openai_responses::read_body(head, body)
    } else {
        Err(RequestError::missing("messages"))
    }
}

/// Reads the body without its messages, and these.
fn read_with(
    head: &RequestHead<'_>,
    body: &FewFields,
    messages: &[Message<'_>],
) -> Result<Chat, RequestError> {
    let number = |key: &str| body.field(key).and_then(Value::as_f64);
    let mut chat = Chat {
        origin: super::OPENAI_CHAT.name,
        model: some_text(body, "model")
            .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned()),
        stream: body.field("stream").and_then(Value::as_bool).unwrap_or(false),
        include_usage: wants_usage(body),
        tools: read_tools(body),
        tool_choice: body
            .field("tool_choice")
            .or_else(|| body.field("function_call"))
            .and_then(read_tool_choice),
        parallel_tools: body.field("parallel_tool_calls").and_then(Value::as_bool),
        output: read_output(body.field("response_format")),
        max_tokens: count(body, "max_completion_tokens").or_else(|| count(body, "max_tokens")),
        stop: texts(body.field("stop")).into_iter().filter(|text| !text.is_empty()).collect(),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("top_p"),
            top_k: number("top_k"),
            seed: body.field("seed").and_then(Value::as_i64),
            presence_penalty: number("presence_penalty"),
            frequency_penalty: number("frequency_penalty"),
        },
        effort: Effort::read(text(body, "reasoning_effort")),
        user: some_text(body, "safety_identifier").or_else(|| some_text(body, "user")),
        choices: count(body, "n").unwrap_or(1),
        extras: body.others(KNOWN),
        // Whoever asks with `functions` is answered with `function_call`.
        echo: body
            .field("functions")
            .map(|_| ("functions".to_owned(), true.into()))
            .into_iter()
            .collect(),
        ..Chat::default()
    };
    for tool in list(body, "tools").iter().filter(|tool| read_tool(tool).is_none()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    let full = messages.iter().filter_map(|message| match message {
        Message::Full(message) => Some(message),
        Message::Plain { .. } => None,
    });
    note_hints(&mut chat, body, full);
    let mut ids = Ids::default();
    for message in messages {
        read_message(&mut chat, message, &mut ids);
    }
    chat.checked()
}

fn wants_usage(body: &FewFields) -> bool {
    let options = body.field("stream_options");
    options.and_then(|options| options.get("include_usage")) == Some(&Value::Bool(true))
}

/// Hints that stand inside of messages and tools.
fn note_hints<'a>(
    chat: &mut Chat,
    body: &'a FewFields,
    messages: impl Iterator<Item = &'a Value> + Clone,
) {
    let is_named =
        |message: &Value| text(message, "role") == "user" && some_text(message, "name").is_some();
    if messages.clone().any(is_named) {
        chat.extras.push(("messages.name".to_owned(), Value::Bool(true)));
    }
    let is_marked = |value: &Value| value.get("cache_control").is_some_and(Value::is_object);
    let in_parts = messages.clone().flat_map(|message| list(message, "content"));
    if messages.chain(in_parts).chain(list(body, "tools")).any(is_marked) {
        chat.extras.push(("cache_control".to_owned(), Value::Bool(true)));
    }
}

/// Ids of calls whose client gave none, or the same twice in one turn; their results belong to
/// them in their order.
#[derive(Default)]
struct Ids {
    minted: usize,
    /// Calls of the last turn: what the client called them, and what we do.
    open: Vec<(String, String)>,
}

impl Ids {
    fn begin_turn(&mut self) {
        self.open.clear();
    }

    fn of_call(&mut self, given: &str) -> String {
        let is_unique = !given.is_empty() && self.open.iter().all(|(theirs, _)| theirs != given);
        let ours = if is_unique {
            given.to_owned()
        } else {
            self.minted += 1;
            format!("call_legacy_{}", self.minted)
        };
        self.open.push((given.to_owned(), ours.clone()));
        ours
    }

    fn of_result(&mut self, given: &str) -> String {
        match self.open.iter().position(|(theirs, _)| theirs == given) {
            Some(place) => self.open.remove(place).1,
            None => given.to_owned(),
        }
    }
}

fn read_message(chat: &mut Chat, message: &Message<'_>, ids: &mut Ids) {
    let nothing = Value::Null;
    let (message_role, message, content) = match message {
        Message::Plain { role, text } if text.is_empty() => (role.as_ref(), &nothing, vec![]),
        Message::Plain { role, text } => {
            (role.as_ref(), &nothing, vec![Block::Text(text.as_ref().to_owned())])
        }
        Message::Full(full) => (text(full, "role"), full, read_content(full.get("content"))),
    };
    match message_role {
        "system" | "developer" if chat.turns.is_empty() => {
            chat.system.extend(content.into_iter().filter_map(Block::into_text));
        }
        "system" | "developer" => chat.push(Role::System, content),
        "assistant" => {
            let blocks = read_assistant(message, content, ids);
            if !blocks.is_empty() {
                chat.push(Role::Assistant, blocks);
            }
        }
        role @ ("tool" | "function") => {
            // The old form names the function instead of the call.
            let key = if role == "tool" { "tool_call_id" } else { "name" };
            let result = Block::ToolResult {
                call_id: ids.of_result(text(message, key)),
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

fn read_assistant(message: &Value, content: Vec<Block>, ids: &mut Ids) -> Vec<Block> {
    let mut blocks = read_reasoning(message);
    blocks.extend(content);
    blocks.extend(some_text(message, "refusal").map(Block::Refusal));
    ids.begin_turn();
    for call in list(message, "tool_calls") {
        blocks.extend(read_signature(call));
        let mut call = read_tool_call(call);
        if let Block::ToolCall(call) = &mut call {
            call.id = ids.of_call(&call.id);
        }
        blocks.push(call);
    }
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        let (name, arguments) = (text(call, "name").to_owned(), read_arguments(call));
        // An id that no client can have given: the result will name the function.
        ids.minted += 1;
        let id = format!("call_legacy_{}", ids.minted);
        ids.open.push((name.clone(), id.clone()));
        blocks.push(Block::ToolCall(ToolCall { id, name, arguments }));
    }
    blocks
}

/// Thinking: in words, and as the sealed blocks of its makers.
pub(super) fn read_reasoning(message: &Value) -> Vec<Block> {
    let words = some_text(message, "reasoning_content").or_else(|| some_text(message, "reasoning"));
    let details = list(message, "reasoning_details").iter();
    let proofs = details.filter_map(|detail| seal::open(text(detail, "data")));
    let mut proofs = proofs.map(Some).collect::<Vec<Option<Proof>>>().into_iter();
    let mut blocks = Vec::new();
    if let Some(text) = words {
        blocks.push(Block::Thinking { text, proof: proofs.next().flatten() });
    }
    blocks.extend(proofs.map(|proof| Block::Thinking { text: String::new(), proof }));
    blocks
}

/// Gemini's proof of a call, as its own shim for this dialect carries it.
fn read_signature(call: &Value) -> Option<Block> {
    let signature = call.pointer("/extra_content/google/thought_signature")?.as_str()?;
    let json = json!({ "callId": text(call, "id"), "thoughtSignature": signature }).to_string();
    let proof = Some(Proof { origin: crate::dialects::GEMINI.name, json });
    Some(Block::Thinking { text: String::new(), proof })
}

fn read_tools(body: &FewFields) -> Vec<Tool> {
    let legacy = list(body, "functions").iter().filter_map(read_function);
    list(body, "tools").iter().filter_map(read_tool).chain(legacy).collect()
}

/// A function, as in Chat Completions or flat as in Responses; or a tool that takes free text.
fn read_tool(tool: &Value) -> Option<Tool> {
    if text(tool, "type") == "custom" {
        let inner = tool.get("custom").filter(|custom| custom.is_object()).unwrap_or(tool);
        return Some(Tool {
            name: some_text(inner, "name")?,
            description: some_text(inner, "description"),
            schema: custom_tool_schema(),
            strict: None,
            is_custom: true,
        });
    }
    match tool.get("function").filter(|function| function.is_object()) {
        Some(function) => read_function(function),
        None if text(tool, "type") == "function" => read_function(tool),
        None => None,
    }
}

fn read_function(function: &Value) -> Option<Tool> {
    Some(Tool {
        name: some_text(function, "name")?,
        description: some_text(function, "description"),
        schema: object_schema(function.get("parameters")),
        strict: function.get("strict").and_then(Value::as_bool),
        is_custom: false,
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
        "function" | "custom" => {
            let inner = choice.get("function").or_else(|| choice.get("custom")).unwrap_or(choice);
            some_text(inner, "name").map(ToolChoice::Named)
        }
        "" => some_text(choice, "name").map(ToolChoice::Named),
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
