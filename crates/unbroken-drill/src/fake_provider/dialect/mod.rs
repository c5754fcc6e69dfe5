//! The dialects as a provider speaks them: requests in, events and bodies out.

use serde::Serialize;
use serde_json::{Value, json};

use super::manner::Manner;
use super::words::{Asked, Content, decide};

mod chat;
mod cohere;
mod converse;
mod gemini;
mod messages;
mod responses;

pub(super) use converse::model_of;

/// A dialect of the fake provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FakeDialect {
    /// `POST /v1/chat/completions`.
    OpenaiChat,
    /// `POST /v1/responses`.
    OpenaiResponses,
    /// `POST /v1/messages`.
    AnthropicMessages,
    /// `POST /v1beta/models/{model}:generateContent`.
    Gemini,
    /// `POST /model/{model}/converse`.
    BedrockConverse,
    /// `POST /v2/chat`.
    CohereChat,
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
    pub(super) fn invalid(message: &str) -> Self {
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
            Self::OpenaiChat => chat::read(&body),
            Self::OpenaiResponses => responses::read(&body),
            Self::AnthropicMessages => messages::read(&body),
            Self::Gemini => gemini::read(path, &body),
            Self::BedrockConverse => converse::read(path, &body),
            Self::CohereChat => cohere::read(&body),
        }
    }

    /// How an assistant's message at the end is refused.
    pub(super) fn refuse_prefill(self) -> Rejection {
        match self {
            Self::OpenaiChat
            | Self::OpenaiResponses
            | Self::AnthropicMessages
            | Self::BedrockConverse
            | Self::CohereChat => Rejection::invalid(
                "This model does not support assistant message prefill. The conversation must end \
                 with a user message.",
            ),
            Self::Gemini => Rejection {
                kind: "INVALID_ARGUMENT",
                ..Rejection::invalid(
                    "Please ensure that multiturn requests end with a user role or a function \
                     response.",
                )
            },
        }
    }

    /// An error body.
    pub(super) fn error(self, status: u16, kind: &str, code: &str, message: &str) -> Value {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses => json!({ "error": {
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
            // The kind is in a header.
            Self::BedrockConverse | Self::CohereChat => json!({ "message": message }),
        }
    }

    /// An error event inside a stream.
    #[must_use]
    pub fn error_event(self) -> String {
        match self {
            Self::OpenaiChat => {
                let error = self.error(500, "server_error", "", "The server had an error");
                format!("data: {error}\n\n")
            }
            Self::OpenaiResponses => {
                let error = json!({
                    "type": "error", "code": "server_error", "param": null, "sequence_number": 0,
                    "message": "The server had an error",
                });
                format!("event: error\ndata: {error}\n\n")
            }
            Self::AnthropicMessages => {
                let error = self.error(529, "overloaded_error", "", "Overloaded");
                format!("event: error\ndata: {error}\n\n")
            }
            Self::Gemini => {
                let error = self.error(503, "UNAVAILABLE", "", "The model is overloaded.");
                format!("data: {error}\r\n\r\n")
            }
            Self::BedrockConverse => {
                let kind = "modelStreamErrorException";
                let error = json!({ "error": { "type": kind, "message": "The model broke." } });
                format!("event: error\ndata: {error}\n\n")
            }
            Self::CohereChat => {
                let delta = json!({ "finish_reason": "ERROR", "error": "internal server error" });
                let end = json!({ "type": "message-end", "delta": delta });
                format!("event: message-end\ndata: {end}\n\n")
            }
        }
    }

    /// An event whose JSON is broken.
    #[must_use]
    pub const fn broken_event(self) -> &'static str {
        match self {
            Self::OpenaiChat => "data: {\"choices\": [{\"delta\": \n\n",
            Self::OpenaiResponses => {
                "event: response.output_text.delta\ndata: {\"type\": \"response.out\n\n"
            }
            Self::AnthropicMessages => {
                "event: content_block_delta\ndata: {\"type\": \"content_block_delta\", \"index\n\n"
            }
            Self::Gemini => "data: {\"candidates\": [{\"content\r\n\r\n",
            Self::BedrockConverse => "event: contentBlockDelta\ndata: {\"delta\": {\"te\n\n",
            Self::CohereChat => "event: content-delta\ndata: {\"type\": \"content-de\n\n",
        }
    }

    /// A whole stream as bytes, to be played as a tape: what a model of this manner says, ended by
    /// a call of `weather` if it `calls`.
    #[must_use]
    pub fn recording(self, manner: &Manner, words: u32, calls: bool) -> String {
        let schema = json!({ "properties": {
            "city": { "type": "string" }, "days": { "type": "integer" },
        }});
        let asked = Asked {
            model: "recorded".to_owned(),
            include_usage: true,
            tools: vec![("weather".to_owned(), schema)],
            wish: calls.then(|| "call weather".to_owned()),
            ..Asked::default()
        };
        let script = self.script(&asked, &decide(&asked, manner, words));
        [script.prelude, script.content, script.end].concat().concat()
    }

    /// A sign of life.
    pub(super) const fn ping(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses | Self::Gemini | Self::CohereChat => {
                ": ping\n\n"
            }
            // A frame of a kind that nobody knows.
            Self::BedrockConverse => "event: ping\ndata: {}\n\n",
            Self::AnthropicMessages => "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        }
    }

    /// A whole answer.
    pub(super) fn whole(self, asked: &Asked, content: &Content) -> Value {
        match self {
            Self::OpenaiChat => chat::whole(asked, content),
            Self::OpenaiResponses => responses::whole(asked, content),
            Self::AnthropicMessages => messages::whole(asked, content),
            Self::Gemini => gemini::whole(asked, content),
            Self::BedrockConverse => converse::whole(content),
            Self::CohereChat => cohere::whole(content),
        }
    }

    /// A stream.
    pub(super) fn script(self, asked: &Asked, content: &Content) -> Script {
        match self {
            Self::OpenaiChat => chat::stream(asked, content),
            Self::OpenaiResponses => responses::stream(asked, content),
            Self::AnthropicMessages => messages::stream(asked, content),
            Self::Gemini => gemini::stream(asked, content),
            Self::BedrockConverse => converse::stream(content),
            Self::CohereChat => cohere::stream(content),
        }
    }
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn items<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn owned(value: Option<&Value>) -> Option<String> {
    value.and_then(Value::as_str).map(ToOwned::to_owned)
}

/// One text or a list of them.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(|text| owned(Some(text))).collect(),
        _ => Vec::new(),
    }
}

/// The text of a message's content, string or parts.
fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().map(|part| text(part, "text")).collect(),
        _ => String::new(),
    }
}
