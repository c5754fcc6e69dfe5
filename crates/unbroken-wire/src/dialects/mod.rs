//! Every dialect that is spoken, and what a dialect is.
//!
//! A new dialect is one folder and one line in [`DIALECTS`], or in [`OF_TARGETS`].

use std::fmt;

use crate::chat::{Answer, Chat, FinishReason, StreamEvent, Usage};
use crate::error::ErrorBody;
use crate::names::{self, NameRules, Renamed};
use crate::raw::{Members, NotAnObject, Outline};
use crate::{seal, sse};

mod anthropic_messages;
mod bedrock_converse;
mod cohere;
mod fields;
mod foreign;
mod gemini;
mod openai_chat;
mod openai_responses;
mod plain;
mod side;

pub use anthropic_messages::ANTHROPIC_MESSAGES;
pub use bedrock_converse::BEDROCK_CONVERSE;
pub use cohere::COHERE_CHAT;
pub use gemini::GEMINI;
pub use openai_chat::OPENAI_CHAT;
pub use openai_responses::OPENAI_RESPONSES;
pub use side::{
    ANTHROPIC_COUNT_TOKENS, GEMINI_COUNT_TOKENS, NOT_ASKED, OPENAI_EMBEDDINGS, OPENAI_INPUT_TOKENS,
    estimated, is_side,
};

/// Every dialect in which clients ask for answers. Targets are spoken to in these, too.
pub const DIALECTS: &[&Dialect] = &[&OPENAI_CHAT, &OPENAI_RESPONSES, &ANTHROPIC_MESSAGES, &GEMINI];

/// Dialects in which only targets are spoken to.
pub const OF_TARGETS: &[&Dialect] = &[&BEDROCK_CONVERSE, &COHERE_CHAT];

/// A body, its outline, a model: the body with that model.
type ReplaceModel = fn(&[u8], Option<&Outline>, &str) -> Result<Vec<u8>, RequestError>;

/// One API's way of saying things. Compare dialects by their `name`.
pub struct Dialect {
    /// Its name in configurations: `openai-chat`, `openai-responses`, `anthropic-messages`,
    /// `gemini`; `bedrock-converse` and `cohere-chat` for targets.
    pub name: &'static str,
    /// Reads a request. Lenient: what a provider might accept is not refused here.
    pub read_request: fn(&RequestHead<'_>, &[u8]) -> Result<Chat, RequestError>,
    /// Writes a request for a target's model.
    pub write_request: fn(&Chat, model: &str) -> Result<Written, Unsupported>,
    /// Replaces the model in a request of this dialect; everything else stays as it is. The outline
    /// is the body's, if it was split before.
    pub replace_model: ReplaceModel,
    /// Reads a whole answer.
    pub read_answer: fn(&[u8]) -> Result<Answer, AnswerFault>,
    /// Writes a whole answer.
    pub write_answer: fn(&Answer, &StreamHead) -> Vec<u8>,
    /// Reads a stream.
    pub stream_reader: fn() -> Box<dyn StreamReader>,
    /// Writes a stream.
    pub stream_writer: fn(&StreamHead) -> Box<dyn StreamWriter>,
    /// The stream's last event, for a stream that is complete but came without it.
    pub terminal: &'static str,
    /// Whether its SDKs skip comments in a stream.
    pub has_comments: bool,
    /// Writes an error.
    pub write_error: fn(&ClientError) -> Vec<u8>,
    /// Writes the list of models.
    pub write_models: fn(&[ModelRow]) -> Vec<u8>,
    /// Writes one model of the list.
    pub write_model: fn(&ModelRow) -> Vec<u8>,
}

impl fmt::Debug for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a request says outside of its body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestHead<'a> {
    /// The model, for dialects that name it in the path.
    pub model_in_path: Option<&'a str>,
    /// Whether the path asks for a stream.
    pub stream_in_path: bool,
    /// Where the body's members stand, if it was split before.
    pub outline: Option<&'a Outline>,
}

/// A request that no provider could read: the client's mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestError {
    /// What is wrong.
    pub message: String,
    /// The field it is about.
    pub param: Option<String>,
}

impl RequestError {
    pub(crate) fn missing(param: &str) -> Self {
        Self::at(param, format!("missing required parameter: '{param}'"))
    }

    pub(crate) fn at(param: &str, message: String) -> Self {
        Self { message, param: Some(param.to_owned()) }
    }
}

impl From<NotAnObject> for RequestError {
    fn from(error: NotAnObject) -> Self {
        Self { message: error.to_string(), param: None }
    }
}

/// A request in a target's dialect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The body.
    pub body: Vec<u8>,
    /// What was left out (`dropped:seed`) or done another way (`emulated:response_format`).
    pub warnings: Vec<String>,
    /// Texts that end the answer, which the target does not know: whoever reads its answer has to
    /// end it there.
    pub stop: Vec<String>,
    /// Tools that the target knows under another name.
    pub renamed: Renamed,
}

impl Written {
    fn new(body: fields::Object, mut warnings: Vec<String>) -> Self {
        warnings.sort();
        warnings.dedup();
        let body = serde_json::Value::from(body).to_string().into_bytes();
        Self { body, warnings, ..Self::default() }
    }

    /// Writes a request with names of tools that the target accepts.
    fn with_names(
        chat: &Chat,
        rules: &NameRules,
        write: impl Fn(&Chat) -> Result<Self, Unsupported>,
    ) -> Result<Self, Unsupported> {
        if names::has_twins(chat) {
            return Err(Unsupported::new("tools", "two different tools have the same name"));
        }
        let (fitted, renamed) = names::fit(chat, rules);
        let mut written = write(&fitted)?;
        if !renamed.is_empty() {
            written.warnings.push("emulated:tools.name".to_owned());
        }
        if chat.tools.iter().any(|tool| tool.is_custom) {
            written.warnings.push("emulated:tools.custom".to_owned());
        }
        Ok(Self { renamed, ..written })
    }

    fn stopped_by_us(mut self, stop: &[String]) -> Self {
        if !stop.is_empty() {
            self.warnings.push("emulated:stop".to_owned());
            self.stop = stop.to_vec();
        }
        self
    }
}

/// The dialect cannot express something in the request: its targets are no candidates for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsupported {
    /// The field.
    pub field: String,
    /// Why not.
    pub reason: String,
}

impl Unsupported {
    pub(crate) fn new(field: &str, reason: &str) -> Self {
        Self { field: field.to_owned(), reason: reason.to_owned() }
    }
}

/// What claims to be a whole answer is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerFault {
    /// It cannot be read; says why.
    Malformed(String),
    /// It holds an error.
    Error(Box<ErrorBody>),
    /// It holds nothing.
    Empty,
}

/// What an answer says of itself, whole or as a stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StreamHead {
    /// The answer's id, without the dialect's prefix.
    pub id: String,
    /// The model that the client named; the target's own name replaces it once known.
    pub model: String,
    /// Seconds since 1970.
    pub created_unix: u64,
    /// Whether the client asked for usage.
    pub include_usage: bool,
    /// How events are framed.
    pub framing: Framing,
    /// For dialects that tell the input's size before the model has.
    pub input_tokens_estimate: u64,
    /// Tools whose input is free text.
    pub custom_tools: Vec<String>,
    /// Fields of the request that the dialect repeats in its answers.
    pub echo: Vec<(String, serde_json::Value)>,
}

impl StreamHead {
    /// The head of the answer to a request.
    #[must_use]
    pub fn of(chat: &Chat, id: &str, created_unix: u64, framing: Framing) -> Self {
        let custom = chat.tools.iter().filter(|tool| tool.is_custom);
        Self {
            id: id.to_owned(),
            model: chat.model.clone(),
            created_unix,
            include_usage: chat.include_usage,
            framing,
            input_tokens_estimate: chat.estimated_input_tokens(),
            custom_tools: custom.map(|tool| tool.name.clone()).collect(),
            echo: chat.echo.clone(),
        }
    }
}

/// How a stream's events are framed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events.
    #[default]
    Sse,
    /// One JSON array, element by element (Gemini without `alt=sse`).
    JsonArray,
}

/// Reads one stream.
pub trait StreamReader: Send {
    /// Reads one event.
    ///
    /// # Errors
    /// When the event cannot be read; says why.
    fn read(&mut self, event: &sse::Event<'_>, out: &mut Vec<StreamEvent>) -> Result<(), String>;

    /// The stream is over: was the answer?
    ///
    /// # Errors
    /// When the protocol's own end was not seen.
    fn end(&mut self) -> Result<Ended, Truncated>;

    /// Whether the protocol's last event was seen, so that nothing more needs to be waited for.
    fn is_ended(&self) -> bool;

    /// Whether the end that was seen is one even if the connection broke right behind it. Some
    /// hosts give a finish reason with every chunk.
    fn is_certain(&self) -> bool {
        true
    }
}

/// Writes one stream.
pub trait StreamWriter: Send {
    /// Writes an event.
    fn write(&mut self, event: &StreamEvent, out: &mut Vec<u8>);
    /// Writes the end.
    fn end(&mut self, ended: &Ended, out: &mut Vec<u8>);
    /// Writes an error instead of an end.
    fn error(&mut self, error: &ClientError, out: &mut Vec<u8>);
    /// Writes a sign of life.
    fn keep_alive(&mut self, out: &mut Vec<u8>);
    /// Takes note of an event that went to the client as it came, so that this writer can go on
    /// where it stopped: ids, indices, what is open.
    fn adopt(&mut self, name: Option<&str>, data: &str);
    /// What comes from now on is another attempt's: closes what must not be gone on with.
    fn seam(&mut self, out: &mut Vec<u8>);
    /// Everything went to the client as it came, but its last events are missing: writes the usage,
    /// if it was asked for and belongs into an event of its own.
    fn missing_usage(&mut self, _usage: &Usage, _out: &mut Vec<u8>) {}
}

/// The proof that an answer ended as its protocol ends answers. Made by readers, or where the
/// request's own limits say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    finish: FinishReason,
    usage: Option<Usage>,
}

impl Ended {
    pub(crate) const fn new(finish: FinishReason, usage: Option<Usage>) -> Self {
        Self { finish, usage }
    }

    /// Why it ended.
    #[must_use]
    pub const fn finish(&self) -> FinishReason {
        self.finish
    }

    /// Tokens used.
    #[must_use]
    pub const fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The same end with the tokens of all attempts that it took.
    #[must_use]
    pub const fn with_usage(self, usage: Usage) -> Self {
        Self { finish: self.finish, usage: Some(usage) }
    }

    /// The end of an answer that has all the tokens which its request allows.
    #[must_use]
    pub const fn at_the_limit(usage: Usage) -> Self {
        Self { finish: FinishReason::Length, usage: Some(usage) }
    }

    /// The end of an answer by a stop text of its request that stands across a seam.
    #[must_use]
    pub const fn at_a_stop(usage: Option<Usage>) -> Self {
        Self { finish: FinishReason::Stop, usage }
    }
}

/// The stream stopped before the answer's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

/// An error as a client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientError {
    /// The HTTP status.
    pub status: u16,
    /// What kind of error.
    pub kind: ErrorKind,
    /// What happened, whose fault it was, what to do.
    pub message: String,
    /// A word for programs.
    pub code: Option<String>,
    /// The field it is about.
    pub param: Option<String>,
}

/// Kinds of errors that every dialect has a word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request is wrong.
    InvalidRequest,
    /// The key is wrong.
    Authentication,
    /// The key may not do this.
    Permission,
    /// There is no such thing.
    NotFound,
    /// The body is too large.
    TooLarge,
    /// Too many requests.
    RateLimited,
    /// No room at the moment.
    Overloaded,
    /// Nobody can answer.
    Unavailable,
    /// It took too long.
    Timeout,
    /// Our own fault.
    Internal,
}

impl ErrorKind {
    /// The kind that an HTTP status stands for.
    #[must_use]
    pub const fn of_status(status: u16) -> Self {
        match status {
            401 => Self::Authentication,
            402 | 403 => Self::Permission,
            404 => Self::NotFound,
            408 | 504 => Self::Timeout,
            413 => Self::TooLarge,
            429 => Self::RateLimited,
            529 => Self::Overloaded,
            502 | 503 => Self::Unavailable,
            500..=599 => Self::Internal,
            _ => Self::InvalidRequest,
        }
    }
}

/// One row of a list of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelRow {
    /// What clients send as `model`.
    pub id: String,
    /// Whose it is.
    pub owned_by: String,
    /// Seconds since 1970.
    pub created_unix: u64,
}

/// For dialects that name the model in the body.
fn splice_model(
    body: &[u8],
    outline: Option<&Outline>,
    model: &str,
) -> Result<Vec<u8>, RequestError> {
    let json = serde_json::Value::from(model).to_string();
    Ok(match seal::without_sealed(body) {
        Some(bare) => Members::split(&bare)?.with("model", &json),
        None => Members::of(body, outline)?.with("model", &json),
    })
}
