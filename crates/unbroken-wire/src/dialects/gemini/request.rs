//! Reading requests of `generateContent`. Google accepts camelCase and snake_case; so do we.

use serde_json::{Value, json};

use crate::chat::{
    Block, Chat, Effort, OutputFormat, Proof, Role, Sampling, Source, Tool, ToolCall, ToolChoice,
};
use crate::dialects::fields::{
    either, list, object_schema, others, read_body, some_text, text, texts,
};
use crate::dialects::{RequestError, RequestHead};
use crate::{media, schema, seal};

/// Makes Gemini 3 accept a call that another model made; proves nothing.
///
/// Source: wire-formats.md 2.4 (11 recorded answers with status 200).
pub(super) const SKIP_SIGNATURE: &str = "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=";

const KNOWN: &[&str] = &[
    "contents",
    "systemInstruction",
    "system_instruction",
    "generationConfig",
    "generation_config",
    "tools",
    "toolConfig",
    "tool_config",
    "model",
    "safetySettings",
    "safety_settings",
];
const KNOWN_CONFIG: &[&str] = &[
    "temperature",
    "topP",
    "top_p",
    "topK",
    "top_k",
    "candidateCount",
    "candidate_count",
    "maxOutputTokens",
    "max_output_tokens",
    "stopSequences",
    "stop_sequences",
    "seed",
    "presencePenalty",
    "presence_penalty",
    "frequencyPenalty",
    "frequency_penalty",
    "responseMimeType",
    "response_mime_type",
    "responseSchema",
    "response_schema",
    "responseJsonSchema",
    "response_json_schema",
    "thinkingConfig",
    "thinking_config",
];

pub(super) fn read(head: &RequestHead<'_>, body: &[u8]) -> Result<Chat, RequestError> {
    let body = read_body(body)?;
    if !body.get("contents").is_some_and(|contents| contents.is_array() || contents.is_object()) {
        return Err(RequestError::missing("contents"));
    }
    let none = Value::Null;
    let config = either(&body, "generationConfig", "generation_config").unwrap_or(&none);
    let number = |one: &str, other: &str| either(config, one, other).and_then(Value::as_f64);
    let count = |one: &str, other: &str| number(one, other).map(|n| n.max(0.0) as u64);
    let mut chat = Chat {
        origin: super::GEMINI.name,
        model: head.model_in_path.unwrap_or_else(|| text(&body, "model")).to_owned(),
        stream: head.stream_in_path,
        include_usage: true,
        system: read_system(either(&body, "systemInstruction", "system_instruction")),
        tools: list(&body, "tools").iter().flat_map(read_tools).collect(),
        tool_choice: read_tool_choice(&body),
        output: read_output(config),
        max_tokens: count("maxOutputTokens", "max_output_tokens"),
        stop: texts(either(config, "stopSequences", "stop_sequences")),
        sampling: Sampling {
            temperature: number("temperature", "temperature"),
            top_p: number("topP", "top_p"),
            top_k: number("topK", "top_k"),
            seed: config.get("seed").and_then(Value::as_i64),
            presence_penalty: number("presencePenalty", "presence_penalty"),
            frequency_penalty: number("frequencyPenalty", "frequency_penalty"),
        },
        effort: read_effort(config),
        show_thinking: either(config, "thinkingConfig", "thinking_config")
            .and_then(|thinking| either(thinking, "includeThoughts", "include_thoughts"))
            .and_then(Value::as_bool),
        choices: count("candidateCount", "candidate_count").unwrap_or(1),
        extras: others(&body, KNOWN),
        ..Chat::default()
    };
    chat.extras.extend(others(config, KNOWN_CONFIG));
    let foreign = list(&body, "tools").iter().filter(|tool| read_tools(tool).is_empty());
    chat.extras.extend(foreign.map(|tool| ("tools".to_owned(), tool.clone())));
    match body.get("contents") {
        Some(Value::Array(contents)) => {
            contents
                .iter()
                .enumerate()
                .for_each(|(n, content)| read_content(&mut chat, n, content));
        }
        Some(content) => read_content(&mut chat, 0, content),
        None => {}
    }
    chat.checked()
}

fn read_system(system: Option<&Value>) -> Vec<String> {
    match system {
        Some(Value::String(text)) => vec![text.clone()],
        Some(content) => {
            list(content, "parts").iter().filter_map(|p| some_text(p, "text")).collect()
        }
        None => vec![],
    }
}

fn read_content(chat: &mut Chat, turn: usize, content: &Value) {
    let role = if text(content, "role") == "model" { Role::Assistant } else { Role::User };
    let mut blocks = Vec::new();
    for (place, part) in list(content, "parts").iter().enumerate() {
        let id = format!("call_{turn}_{place}");
        for mut block in read_part(part, &id) {
            name_result(chat, &blocks, &mut block);
            blocks.push(block);
        }
    }
    if !blocks.is_empty() {
        chat.push(role, blocks);
    }
}

/// Calls often have no id: a result belongs to the first call of its name without a result.
fn name_result(chat: &Chat, siblings: &[Block], block: &mut Block) {
    let Block::ToolResult { call_id, name: Some(name), .. } = block else { return };
    if !call_id.is_empty() {
        return;
    }
    let has_result = |id: &str| {
        let turns = chat.turns.iter().flat_map(|turn| &turn.blocks);
        turns
            .chain(siblings)
            .any(|block| matches!(block, Block::ToolResult { call_id, .. } if call_id == id))
    };
    let calls = chat.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match block {
        Block::ToolCall(call) if call.name == *name => Some(call.id.clone()),
        _ => None,
    });
    let id = { calls }.find(|id| !has_result(id));
    *call_id = id.unwrap_or_else(|| format!("call_{name}"));
}

/// The blocks of a part of a request or an answer. `id` names a call that has none. A signature
/// is a block of its own, before the call or after the text that it belongs to.
pub(super) fn read_part(part: &Value, id: &str) -> Vec<Block> {
    let signature = either(part, "thoughtSignature", "thought_signature").and_then(Value::as_str);
    if let Some(call) = either(part, "functionCall", "function_call") {
        let id = some_text(call, "id").unwrap_or_else(|| id.to_owned());
        let proof = signature.and_then(|signature| {
            read_proof(
                signature,
                &|signature| json!({ "callId": id, "thoughtSignature": signature }),
            )
        });
        let signed = proof.map(|proof| Block::Thinking { text: String::new(), proof: Some(proof) });
        let call = Block::ToolCall(ToolCall {
            name: text(call, "name").to_owned(),
            arguments: call
                .get("args")
                .filter(|args| !args.is_null())
                .map_or_else(|| "{}".to_owned(), Value::to_string),
            id,
        });
        return signed.into_iter().chain([call]).collect();
    }
    if part.get("thought") == Some(&Value::Bool(true)) {
        let proof = signature.and_then(|signature| read_proof(signature, &|_| part.clone()));
        let text = text(part, "text").to_owned();
        let is_nothing = text.is_empty() && proof.is_none();
        return if is_nothing { vec![] } else { vec![Block::Thinking { text, proof }] };
    }
    let proof = signature.and_then(|signature| {
        read_proof(signature, &|signature| json!({ "text": "", "thoughtSignature": signature }))
    });
    let signed = proof.map(|proof| Block::Thinking { text: String::new(), proof: Some(proof) });
    let said = read_content_part(part, signature.is_some());
    said.into_iter().chain(signed).collect()
}

/// A proof of our own making is opened; any other is one of this dialect.
fn read_proof(signature: &str, json_of: &dyn Fn(&str) -> Value) -> Option<Proof> {
    if seal::is_sealed(signature) {
        return seal::open(signature);
    }
    if signature == SKIP_SIGNATURE {
        return None;
    }
    Some(Proof { origin: super::GEMINI.name, json: json_of(signature).to_string() })
}

fn read_content_part(part: &Value, is_signed: bool) -> Option<Block> {
    if let Some(result) = either(part, "functionResponse", "function_response") {
        return Some(read_result(result));
    }
    if let Some(data) = either(part, "inlineData", "inline_data") {
        return Some(read_inline(data));
    }
    if let Some(file) = either(part, "fileData", "file_data") {
        let uri = either(file, "fileUri", "file_uri").and_then(Value::as_str).unwrap_or_default();
        let media_type = either(file, "mimeType", "mime_type").and_then(Value::as_str);
        let source = Source::Url(uri.to_owned());
        let is_image = media_type.is_some_and(|media| media.starts_with("image/"));
        let is_web = uri.starts_with("http") && !uri.contains("googleapis.com");
        return Some(match (is_web, is_image) {
            (true, true) => Block::Image(source),
            (true, false) => Block::File { source, name: None },
            (false, _) => Block::Opaque(part.clone()),
        });
    }
    match part.get("text").and_then(Value::as_str) {
        Some("") => None,
        Some(text) => Some(Block::Text(text.to_owned())),
        None if part.as_object().is_none_or(|part| part.len() <= usize::from(is_signed)) => None,
        None => Some(Block::Opaque(part.clone())),
    }
}

fn read_result(result: &Value) -> Block {
    let response = result.get("response").unwrap_or(&Value::Null);
    let is_error = response.as_object().is_some_and(|r| r.len() == 1 && r.contains_key("error"));
    // Our own wrapping of plain text is taken off again.
    let plain = response.as_object().filter(|r| r.len() == 1).and_then(|response| {
        ["result", "output", "error"].iter().find_map(|key| response.get(*key)?.as_str())
    });
    let content = plain.map_or_else(|| response.to_string(), ToOwned::to_owned);
    Block::ToolResult {
        call_id: text(result, "id").to_owned(),
        name: some_text(result, "name"),
        content: vec![Block::Text(content)],
        is_error,
    }
}

fn read_inline(data: &Value) -> Block {
    let media_type = either(data, "mimeType", "mime_type").and_then(Value::as_str);
    let source = media::inline(media_type.unwrap_or_default(), text(data, "data"));
    let is_document =
        matches!(&source, Source::Base64 { media_type, .. } if media_type == "application/pdf");
    if media::is_image(&source) {
        Block::Image(source)
    } else if is_document {
        Block::File { source, name: None }
    } else {
        Block::Opaque(json!({ "inlineData": data }))
    }
}

fn read_tools(tool: &Value) -> Vec<Tool> {
    let declarations = either(tool, "functionDeclarations", "function_declarations");
    let declarations = declarations.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let read = |declaration: &Value| {
        let real = either(declaration, "parametersJsonSchema", "parameters_json_schema");
        let mut schema = object_schema(real.or_else(|| declaration.get("parameters")));
        schema::from_google(&mut schema);
        Tool {
            name: text(declaration, "name").to_owned(),
            description: some_text(declaration, "description"),
            schema,
            strict: None,
            is_custom: false,
        }
    };
    declarations.iter().map(read).collect()
}

fn read_tool_choice(body: &Value) -> Option<ToolChoice> {
    let config = either(body, "toolConfig", "tool_config")?;
    let calling = either(config, "functionCallingConfig", "function_calling_config")?;
    let allowed = texts(either(calling, "allowedFunctionNames", "allowed_function_names"));
    match (text(calling, "mode").to_ascii_uppercase().as_str(), allowed.as_slice()) {
        ("AUTO" | "VALIDATED", _) => Some(ToolChoice::Auto),
        ("NONE", _) => Some(ToolChoice::None),
        ("ANY", []) => Some(ToolChoice::Required),
        ("ANY", [only]) => Some(ToolChoice::Named(only.clone())),
        ("ANY", _) => Some(ToolChoice::OneOf(allowed)),
        _ => None,
    }
}

fn read_output(config: &Value) -> OutputFormat {
    let media_type = either(config, "responseMimeType", "response_mime_type");
    if media_type.and_then(Value::as_str) != Some("application/json") {
        return OutputFormat::Text;
    }
    let schema = either(config, "responseJsonSchema", "response_json_schema")
        .or_else(|| either(config, "responseSchema", "response_schema"));
    schema.map_or(OutputFormat::Json, |schema| {
        let mut schema = schema.clone();
        schema::from_google(&mut schema);
        OutputFormat::Schema { name: "answer".to_owned(), schema, strict: None }
    })
}

fn read_effort(config: &Value) -> Option<Effort> {
    let thinking = either(config, "thinkingConfig", "thinking_config")?;
    let level = either(thinking, "thinkingLevel", "thinking_level").and_then(Value::as_str);
    let budget = either(thinking, "thinkingBudget", "thinking_budget").and_then(Value::as_i64);
    match (level, budget) {
        (Some(level), _) => Effort::read(level),
        (None, Some(budget)) => {
            Some(u64::try_from(budget).map_or(Effort::Medium, Effort::of_budget))
        }
        (None, None) => None,
    }
}
