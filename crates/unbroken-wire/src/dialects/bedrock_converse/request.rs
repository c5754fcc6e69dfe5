//! Reading requests of Converse: what was written, and what was recorded.

use serde_json::Value;

use super::answer::{read_block, runs_there};
use super::media::read_source;
use crate::chat::{Block, Chat, Effort, OutputFormat, Role, Sampling, Tool, ToolChoice};
use crate::dialects::fields::{
    count, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead};

const KNOWN: &[&str] = &[
    "model",
    "modelId",
    "messages",
    "system",
    "inferenceConfig",
    "toolConfig",
    "outputConfig",
    "additionalModelRequestFields",
];

pub(super) fn read(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    let Some(messages) = body.get("messages").and_then(Value::as_array) else {
        return Err(RequestError::missing("messages"));
    };
    let null = &Value::Null;
    let config = body.get("inferenceConfig").unwrap_or(null);
    let tools = body.get("toolConfig").unwrap_or(null);
    let more = body.get("additionalModelRequestFields").unwrap_or(null);
    let number = |key: &str| config.get(key).and_then(Value::as_f64);
    let mut chat = Chat {
        origin: super::BEDROCK_CONVERSE.name,
        model: some_text(&body, "modelId")
            .unwrap_or_else(|| head.model_in_path.unwrap_or_default().to_owned()),
        stream: head.stream_in_path,
        include_usage: true,
        system: list(&body, "system").iter().filter_map(|part| some_text(part, "text")).collect(),
        tools: list(tools, "tools").iter().filter_map(read_tool).collect(),
        tool_choice: tools.get("toolChoice").and_then(read_tool_choice),
        output: read_output(&body),
        max_tokens: count(config, "maxTokens"),
        stop: texts(config.get("stopSequences")),
        sampling: Sampling {
            temperature: number("temperature"),
            top_p: number("topP"),
            top_k: more
                .get("top_k")
                .or_else(|| more.pointer("/inferenceConfig/topK"))
                .and_then(Value::as_f64),
            ..Sampling::default()
        },
        effort: read_effort(&body, more),
        choices: 1,
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    for tool in list(tools, "tools").iter().filter(|tool| tool.get("systemTool").is_some()) {
        chat.extras.push(("tools".to_owned(), tool.clone()));
    }
    for message in messages {
        let blocks = list(message, "content").iter().flat_map(read_part).collect();
        match text(message, "role") {
            "assistant" => chat.push(Role::Assistant, blocks),
            "system" => chat.push(Role::System, blocks),
            _ => chat.push(Role::User, blocks),
        }
    }
    chat.checked()
}

/// A block of a message: one of an answer, or one that only requests have.
fn read_part(part: &Value) -> Vec<Block> {
    if let Some(image) = part.get("image") {
        return read_source(image).map(Block::Image).into_iter().collect();
    }
    if let Some(document) = part.get("document") {
        let name = some_text(document, "name");
        return read_source(document)
            .map(|source| Block::File { source, name })
            .into_iter()
            .collect();
    }
    if let Some(result) = part.get("toolResult").filter(|result| text(*result, "type").is_empty()) {
        return vec![Block::ToolResult {
            call_id: text(result, "toolUseId").to_owned(),
            name: None,
            content: list(result, "content").iter().flat_map(read_result).collect(),
            is_error: text(result, "status") == "error",
        }];
    }
    if part.get("toolUse").is_some_and(runs_there) || part.get("cachePoint").is_some() {
        return vec![];
    }
    read_block(part)
}

fn read_result(part: &Value) -> Vec<Block> {
    match part.get("json") {
        Some(json) => vec![Block::Text(json.to_string())],
        None => read_part(part),
    }
}

fn read_tool(tool: &Value) -> Option<Tool> {
    let tool = tool.get("toolSpec")?;
    Some(Tool {
        name: text(tool, "name").to_owned(),
        description: some_text(tool, "description"),
        schema: object_schema(tool.pointer("/inputSchema/json")),
        strict: tool.get("strict").and_then(Value::as_bool),
        is_custom: false,
    })
}

fn read_tool_choice(choice: &Value) -> Option<ToolChoice> {
    if choice.get("auto").is_some() {
        return Some(ToolChoice::Auto);
    }
    if choice.get("any").is_some() {
        return Some(ToolChoice::Required);
    }
    choice.get("tool").and_then(|tool| some_text(tool, "name")).map(ToolChoice::Named)
}

/// The schema is JSON in a string.
fn read_output(body: &Value) -> OutputFormat {
    let schema = body.pointer("/outputConfig/textFormat/structure/jsonSchema");
    let Some(schema) = schema else { return OutputFormat::Text };
    OutputFormat::Schema {
        name: some_text(schema, "name").unwrap_or_else(|| "answer".to_owned()),
        schema: serde_json::from_str(text(schema, "schema")).unwrap_or_default(),
        strict: None,
    }
}

fn read_effort(body: &Value, more: &Value) -> Option<Effort> {
    let told = body.pointer("/outputConfig/effort").and_then(Value::as_str);
    let thinking = more.get("thinking").unwrap_or(&Value::Null);
    let budget = || count(thinking, "budget_tokens").map(Effort::of_budget);
    let word = || {
        ["reasoning_config", "reasoning_effort"]
            .iter()
            .find_map(|key| more.get(*key).and_then(Value::as_str))
    };
    let nova = || more.pointer("/reasoningConfig/maxReasoningEffort").and_then(Value::as_str);
    told.and_then(Effort::read)
        .or_else(budget)
        .or_else(|| word().or_else(nova).and_then(Effort::read))
}
