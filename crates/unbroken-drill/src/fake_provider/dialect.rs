//! The three dialects as a provider speaks them: requests in, events and bodies out.

use serde::Serialize;
use serde_json::{Value, json};

use super::words::{Asked, Content};

/// A dialect of the fake provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FakeDialect {
    /// `POST /v1/chat/completions`.
    OpenaiChat,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// `POST /v1beta/models/{model}:generateContent`.
    Gemini,
}

/// A stream, event by event.
#[derive(Clone, Debug, Default)]
pub(super) struct Script {
    /// Before the first content.
    pub(super) prelude: Vec<String>,
    /// One per word, or the pieces of tool calls.
    pub(super) content: Vec<String>,
    /// After the last content.
    pub(super) end: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Rejection {
    pub(super) status: u16,
    pub(super) kind: &'static str,
    pub(super) message: String,
}

impl Rejection {
    fn invalid(message: &str) -> Self {
        let message = message.to_owned();
        Self { status: 400, kind: "invalid_request_error", message }
    }
}

impl FakeDialect {
    /// Reads a request as strictly as the real API does.
    pub(super) fn read(self, path: &str, body: &[u8]) -> Result<Asked, Rejection> {
        let body: Value = serde_json::from_slice(body)
            .map_err(|_| Rejection::invalid("We could not parse the JSON body of your request."))?;
        match self {
            Self::OpenaiChat => read_chat(&body),
            Self::AnthropicMessages => read_messages(&body),
            Self::Gemini => read_gemini(path, &body),
        }
    }

    /// An error body.
    pub(super) fn error(self, status: u16, kind: &str, code: &str, message: &str) -> Value {
        match self {
            Self::OpenaiChat => json!({ "error": {
                "message": message, "type": kind, "param": null,
                "code": if code.is_empty() { Value::Null } else { code.into() },
            }}),
            Self::AnthropicMessages => json!({
                "type": "error", "error": { "type": kind, "message": message },
                "request_id": "req_fake",
            }),
            Self::Gemini => json!({ "error": {
                "code": status, "message": message, "status": kind,
            }}),
        }
    }

    /// An error event inside a stream.
    pub(super) fn error_event(self) -> String {
        match self {
            Self::OpenaiChat => {
                let error = self.error(500, "server_error", "", "The server had an error");
                format!("data: {error}\n\n")
            }
            Self::AnthropicMessages => {
                let error = self.error(529, "overloaded_error", "", "Overloaded");
                format!("event: error\ndata: {error}\n\n")
            }
            Self::Gemini => {
                let error = self.error(503, "UNAVAILABLE", "", "The model is overloaded.");
                format!("data: {error}\r\n\r\n")
            }
        }
    }

    /// A sign of life.
    pub(super) const fn ping(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::Gemini => ": ping\n\n",
            Self::AnthropicMessages => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        }
    }

    /// A whole answer.
    pub(super) fn whole(self, asked: &Asked, content: &Content) -> Value {
        match self {
            Self::OpenaiChat => whole_chat(asked, content),
            Self::AnthropicMessages => whole_messages(asked, content),
            Self::Gemini => gemini_chunk(asked, &gemini_parts(content), Some("STOP")),
        }
    }

    /// A stream.
    pub(super) fn script(self, asked: &Asked, content: &Content) -> Script {
        match self {
            Self::OpenaiChat => stream_chat(asked, content),
            Self::AnthropicMessages => stream_messages(asked, content),
            Self::Gemini => stream_gemini(asked, content),
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text of a message's content, string or parts.
fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text(part, "text")).collect(),
        _ => String::new(),
    }
}

fn read_chat(body: &Value) -> Result<Asked, Rejection> {
    let messages = items(body, "messages");
    if messages.is_empty() {
        return Err(Rejection::invalid("Missing required parameter: 'messages'."));
    }
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        match text(message, "role").as_str() {
            "system" | "developer" | "user" => {}
            "assistant" => {
                open = items(message, "tool_calls").iter().map(|call| text(call, "id")).collect();
            }
            "tool" if open.contains(&text(message, "tool_call_id")) => {}
            "tool" => {
                return Err(Rejection::invalid(
                    "messages with role 'tool' must be a response to a preceding message with \
                     'tool_calls'.",
                ));
            }
            role => return Err(Rejection::invalid(&format!("Invalid value: '{role}'."))),
        }
    }
    let tool = |tool: &Value| {
        let function = tool.get("function").unwrap_or(&Value::Null);
        (text(function, "name"), function.get("parameters").cloned().unwrap_or_default())
    };
    let last = messages.last().filter(|message| text(message, "role") == "user");
    let limit = body.get("max_completion_tokens").or_else(|| body.get("max_tokens"));
    Ok(Asked {
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true)),
        wants_json: body.get("response_format").is_some_and(|f| text(f, "type") != "text"),
        tools: items(body, "tools").iter().map(tool).collect(),
        last_text: last.map(|message| content_text(message.get("content").unwrap_or(&Value::Null))),
        forced_tool: body
            .pointer("/tool_choice/function/name")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
        max_words: limit.and_then(Value::as_u64),
    })
}

fn read_messages(body: &Value) -> Result<Asked, Rejection> {
    let messages = items(body, "messages");
    if messages.is_empty() {
        return Err(Rejection::invalid("messages: Field required"));
    }
    let Some(max_tokens) = body.get("max_tokens").and_then(Value::as_u64) else {
        return Err(Rejection::invalid("max_tokens: Field required"));
    };
    let mut open: Vec<String> = Vec::new();
    for message in messages {
        let blocks = items(message, "content");
        let of_kind = |kind: &str, key: &str| -> Vec<String> {
            blocks.iter().filter(|b| text(b, "type") == kind).map(|b| text(b, key)).collect()
        };
        let results = of_kind("tool_result", "tool_use_id");
        if open.iter().any(|id| !results.contains(id)) {
            return Err(Rejection::invalid(
                "`tool_use` ids were found without `tool_result` blocks immediately after",
            ));
        }
        open = of_kind("tool_use", "id");
        if blocks.iter().any(|b| text(b, "type") == "text" && text(b, "text").is_empty()) {
            return Err(Rejection::invalid("messages: text content blocks must be non-empty"));
        }
    }
    let tool =
        |tool: &Value| (text(tool, "name"), tool.get("input_schema").cloned().unwrap_or_default());
    let is_result = |message: &&Value| {
        items(message, "content").iter().any(|block| text(block, "type") == "tool_result")
    };
    let last = messages.last().filter(|m| text(m, "role") == "user" && !is_result(m));
    let instructions = content_text(body.get("system").unwrap_or(&Value::Null));
    Ok(Asked {
        model: text(body, "model"),
        stream: body.get("stream") == Some(&Value::Bool(true)),
        include_usage: true,
        wants_json: body.pointer("/output_config/format").is_some()
            || instructions.contains("JSON object"),
        tools: items(body, "tools").iter().map(tool).collect(),
        last_text: last.map(|message| content_text(message.get("content").unwrap_or(&Value::Null))),
        forced_tool: body
            .pointer("/tool_choice/name")
            .and_then(Value::as_str)
            .map(ToOwned::to_owned),
        max_words: Some(max_tokens),
    })
}

fn read_gemini(path: &str, body: &Value) -> Result<Asked, Rejection> {
    let rejection = |message: &str| Rejection {
        status: 400,
        kind: "INVALID_ARGUMENT",
        message: message.to_owned(),
    };
    let contents = items(body, "contents");
    if contents.is_empty() {
        return Err(rejection("* GenerateContentRequest.contents: contents is not specified"));
    }
    let (_, tail) = path.rsplit_once("/models/").unwrap_or_default();
    let (model, verb) = tail.rsplit_once(':').unwrap_or_default();
    let declarations = items(body, "tools").iter().flat_map(|t| items(t, "functionDeclarations"));
    let tool = |declaration: &Value| {
        let schema = declaration
            .get("parametersJsonSchema")
            // Google accepts both spellings, and its Python SDK sends this one.
            .or_else(|| declaration.get("parameters_json_schema"))
            .or_else(|| declaration.get("parameters"))
            .cloned();
        (text(declaration, "name"), schema.unwrap_or_default())
    };
    let is_result = |content: &&Value| {
        items(content, "parts").iter().any(|part| part.get("functionResponse").is_some())
    };
    let last = contents.last().filter(|c| text(c, "role") != "model" && !is_result(c));
    let config = body.get("generationConfig").unwrap_or(&Value::Null);
    let allowed = body.pointer("/toolConfig/functionCallingConfig/allowedFunctionNames/0");
    Ok(Asked {
        model: model.to_owned(),
        stream: verb.starts_with("stream"),
        include_usage: true,
        wants_json: text(config, "responseMimeType") == "application/json",
        tools: declarations.map(tool).collect(),
        last_text: last
            .map(|content| items(content, "parts").iter().map(|part| text(part, "text")).collect()),
        forced_tool: allowed.and_then(Value::as_str).map(ToOwned::to_owned),
        max_words: config.get("maxOutputTokens").and_then(Value::as_u64),
    })
}

fn joined(words: &[String]) -> String {
    words.concat()
}

fn chat_usage(content: &Content) -> Value {
    let output = size(content);
    json!({ "prompt_tokens": 10, "completion_tokens": output, "total_tokens": 10 + output })
}

const fn size(content: &Content) -> usize {
    match content {
        Content::Words(words) => words.len(),
        Content::Calls(calls) => calls.len() * 10,
    }
}

fn whole_chat(asked: &Asked, content: &Content) -> Value {
    let (message, reason) = match content {
        Content::Words(words) => {
            (json!({ "role": "assistant", "content": joined(words), "refusal": null }), "stop")
        }
        Content::Calls(calls) => {
            let call = |(n, (name, args)): (usize, &(String, Value))| {
                let function = json!({ "name": name, "arguments": args.to_string() });
                json!({ "id": format!("call_fake{n}"), "type": "function", "function": function })
            };
            let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
            let message = json!({
                "role": "assistant", "content": null, "refusal": null, "tool_calls": calls,
            });
            (message, "tool_calls")
        }
    };
    json!({
        "id": "chatcmpl-fake", "object": "chat.completion", "created": 1_700_000_000,
        "model": asked.model,
        "choices": [{ "index": 0, "message": message, "logprobs": null, "finish_reason": reason }],
        "usage": chat_usage(content), "system_fingerprint": null,
    })
}

fn stream_chat(asked: &Asked, content: &Content) -> Script {
    let chunk = |choices: Value, usage: Value| {
        let mut chunk = json!({
            "id": "chatcmpl-fake", "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": asked.model, "system_fingerprint": null, "choices": choices,
            "obfuscation": "aXk2",
        });
        if let (true, Value::Object(chunk)) = (asked.include_usage, &mut chunk) {
            chunk.insert("usage".to_owned(), usage);
        }
        format!("data: {chunk}\n\n")
    };
    let delta = |delta: Value, reason: Value| {
        let choice =
            json!([{ "index": 0, "delta": delta, "logprobs": null, "finish_reason": reason }]);
        chunk(choice, Value::Null)
    };
    let role = json!({ "role": "assistant", "content": "", "refusal": null });
    let mut script = Script { prelude: vec![delta(role, Value::Null)], ..Script::default() };
    let reason = match content {
        Content::Words(words) => {
            let word = |word: &String| delta(json!({ "content": word }), Value::Null);
            script.content.extend(words.iter().map(word));
            "stop"
        }
        Content::Calls(calls) => {
            for (n, (name, args)) in calls.iter().enumerate() {
                let function = json!({ "name": name, "arguments": "" });
                let id = format!("call_fake{n}");
                let call =
                    json!({ "index": n, "id": id, "type": "function", "function": function });
                script.content.push(delta(json!({ "tool_calls": [call] }), Value::Null));
                for piece in pieces(&args.to_string()) {
                    let call = json!({ "index": n, "function": { "arguments": piece } });
                    script.content.push(delta(json!({ "tool_calls": [call] }), Value::Null));
                }
            }
            "tool_calls"
        }
    };
    script.end.push(delta(json!({}), reason.into()));
    if asked.include_usage {
        script.end.push(chunk(json!([]), chat_usage(content)));
    }
    script.end.push("data: [DONE]\n\n".to_owned());
    script
}

fn pieces(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    chars.chunks(5).map(|piece| piece.iter().collect()).collect()
}

fn whole_messages(asked: &Asked, content: &Content) -> Value {
    let (blocks, reason) = match content {
        Content::Words(words) => {
            (vec![json!({ "type": "text", "text": joined(words) })], "end_turn")
        }
        Content::Calls(calls) => {
            let call = |(n, (name, args)): (usize, &(String, Value))| {
                let id = format!("toolu_fake{n}");
                json!({ "type": "tool_use", "id": id, "name": name, "input": args })
            };
            (calls.iter().enumerate().map(call).collect(), "tool_use")
        }
    };
    json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": asked.model,
        "content": blocks, "stop_reason": reason, "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": size(content) },
    })
}

fn stream_messages(asked: &Asked, content: &Content) -> Script {
    let event = |name: &str, data: &Value| format!("event: {name}\ndata: {data}\n\n");
    let message = json!({
        "id": "msg_fake", "type": "message", "role": "assistant", "model": asked.model,
        "content": [], "stop_reason": null, "stop_sequence": null,
        "usage": { "input_tokens": 10, "output_tokens": 1 },
    });
    let start = json!({ "type": "message_start", "message": message });
    let mut script = Script { prelude: vec![event("message_start", &start)], ..Script::default() };
    let block = |n: usize, block: Value| {
        let data = json!({ "type": "content_block_start", "index": n, "content_block": block });
        event("content_block_start", &data)
    };
    let delta = |n: usize, delta: Value| {
        let data = json!({ "type": "content_block_delta", "index": n, "delta": delta });
        event("content_block_delta", &data)
    };
    let stop = |n: usize| {
        event("content_block_stop", &json!({ "type": "content_block_stop", "index": n }))
    };
    let reason = match content {
        Content::Words(words) => {
            script.prelude.push(block(0, json!({ "type": "text", "text": "" })));
            script.prelude.push(event("ping", &json!({ "type": "ping" })));
            let word = |word: &String| delta(0, json!({ "type": "text_delta", "text": word }));
            script.content.extend(words.iter().map(word));
            script.end.push(stop(0));
            "end_turn"
        }
        Content::Calls(calls) => {
            for (n, (name, args)) in calls.iter().enumerate() {
                let id = format!("toolu_fake{n}");
                let start = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                script.content.push(block(n, start));
                for piece in pieces(&args.to_string()) {
                    let piece = json!({ "type": "input_json_delta", "partial_json": piece });
                    script.content.push(delta(n, piece));
                }
                script.content.push(stop(n));
            }
            "tool_use"
        }
    };
    let end = json!({
        "type": "message_delta", "delta": { "stop_reason": reason, "stop_sequence": null },
        "usage": { "output_tokens": size(content) },
    });
    script.end.push(event("message_delta", &end));
    script.end.push(event("message_stop", &json!({ "type": "message_stop" })));
    script
}

fn gemini_parts(content: &Content) -> Value {
    match content {
        Content::Words(words) => json!([{ "text": joined(words) }]),
        Content::Calls(calls) => {
            let call = |(name, args): &(String, Value)| json!({ "functionCall": { "name": name, "args": args } });
            Value::Array(calls.iter().map(call).collect())
        }
    }
}

fn gemini_chunk(asked: &Asked, parts: &Value, reason: Option<&str>) -> Value {
    let mut candidate = json!({ "content": { "parts": parts, "role": "model" }, "index": 0 });
    if let (Some(reason), Value::Object(candidate)) = (reason, &mut candidate) {
        candidate.insert("finishReason".to_owned(), reason.into());
    }
    json!({
        "candidates": [candidate],
        "usageMetadata": {
            "promptTokenCount": 10, "candidatesTokenCount": 60, "totalTokenCount": 70,
        },
        "modelVersion": asked.model, "responseId": "fake",
    })
}

fn stream_gemini(asked: &Asked, content: &Content) -> Script {
    let event = |json: &Value| format!("data: {json}\r\n\r\n");
    let mut script = Script::default();
    match content {
        Content::Words(words) => {
            let word =
                |word: &String| event(&gemini_chunk(asked, &json!([{ "text": word }]), None));
            script.content.extend(words.iter().map(word));
        }
        Content::Calls(_) => {
            script.content.push(event(&gemini_chunk(asked, &gemini_parts(content), None)));
        }
    }
    script.end.push(event(&gemini_chunk(asked, &json!([{ "text": "" }]), Some("STOP"))));
    script
}
