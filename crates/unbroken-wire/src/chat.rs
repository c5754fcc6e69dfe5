//! What is said, in no vendor's words: the neutral form between all dialects.
//!
//! A dialect reads its requests, answers and streams into these types and writes them from these.
//! What has no neutral meaning stays as it came, together with the dialect it came from, and goes
//! only to targets of that dialect.

use serde_json::Value;

use crate::dialects::{Ended, RequestError};
use crate::error::ErrorBody;
use crate::media;

/// A request.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chat {
    /// The dialect it was read from.
    pub origin: &'static str,
    /// The model the client named.
    pub model: String,
    /// Whether the client wants a stream.
    pub stream: bool,
    /// Whether the client wants usage at the end of the stream.
    pub include_usage: bool,
    /// What the system says first.
    pub system: Vec<String>,
    /// The conversation.
    pub turns: Vec<Turn>,
    /// Tools that may be called.
    pub tools: Vec<Tool>,
    /// Whether and which tools must be called.
    pub tool_choice: Option<ToolChoice>,
    /// Whether several tools may be called at once.
    pub parallel_tools: Option<bool>,
    /// What the answer must look like.
    pub output: OutputFormat,
    /// The most tokens that the answer may have.
    pub max_tokens: Option<u64>,
    /// Texts that end the answer.
    pub stop: Vec<String>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// How much the model should think.
    pub effort: Option<Effort>,
    /// Whether the client wants to read what the model thinks.
    pub show_thinking: Option<bool>,
    /// Who the end user is, opaque.
    pub user: Option<String>,
    /// How many answers; 1 unless the client wants more.
    pub choices: u64,
    /// Whether the target is known to go on with an assistant's turn at the end.
    pub is_begun: bool,
    /// Fields of the origin's dialect without a neutral meaning.
    pub extras: Vec<(String, Value)>,
    /// Fields that the origin's dialect repeats in its answers.
    pub echo: Vec<(String, Value)>,
}

/// How tokens are drawn; absent fields are the model's own choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// Randomness.
    pub temperature: Option<f64>,
    /// Nucleus.
    pub top_p: Option<f64>,
    /// The most likely tokens only.
    pub top_k: Option<f64>,
    /// For reproducibility, best effort.
    pub seed: Option<i64>,
    /// Against repeating a subject.
    pub presence_penalty: Option<f64>,
    /// Against repeating words.
    pub frequency_penalty: Option<f64>,
}

/// Whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The end user, or a tool's result.
    User,
    /// The model.
    Assistant,
    /// The operator, in the middle of the conversation.
    System,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Turn {
    /// Whose.
    pub role: Role,
    /// What.
    pub blocks: Vec<Block>,
}

/// A piece of a turn or of an answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// Text.
    Text(String),
    /// The model declined, in words.
    Refusal(String),
    /// An image.
    Image(Source),
    /// A document such as a PDF.
    File {
        /// Where its bytes are.
        source: Source,
        /// Its name.
        name: Option<String>,
    },
    /// The model calls a tool.
    ToolCall(ToolCall),
    /// What a tool returned.
    ToolResult {
        /// The call it belongs to.
        call_id: String,
        /// The tool's name, where the dialect has it.
        name: Option<String>,
        /// What it returned.
        content: Vec<Self>,
        /// Whether it failed.
        is_error: bool,
    },
    /// What the model thought.
    Thinking {
        /// In words, as far as shown.
        text: String,
        /// What lets it travel back to where it came from.
        proof: Option<Proof>,
    },
    /// Something only its own dialect understands.
    Opaque(Value),
}

impl Block {
    /// Its text, if it is text.
    pub(crate) fn into_text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// What only its maker can read, and wants back byte for byte: signed or encrypted thinking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The dialect of its maker; everybody else is spared it.
    pub origin: &'static str,
    /// The block as its maker wrote it, as JSON text.
    pub json: String,
}

/// Where bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Here.
    Base64 {
        /// Their media type.
        media_type: String,
        /// The bytes in base64.
        data: String,
    },
    /// Elsewhere.
    Url(String),
}

impl Source {
    /// Reads a URL; a `data:` URL holds the bytes itself.
    #[must_use]
    pub fn of_url(url: &str) -> Self {
        let inline = url.strip_prefix("data:").and_then(|rest| rest.split_once(";base64,"));
        match inline {
            Some((media_type, data)) => media::inline(media_type, data),
            None => Self::Url(url.to_owned()),
        }
    }

    /// The URL; a `data:` URL for bytes that are here.
    #[must_use]
    pub fn to_url(&self) -> String {
        match self {
            Self::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            Self::Url(url) => url.clone(),
        }
    }
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// Names the call.
    pub id: String,
    /// The tool.
    pub name: String,
    /// The arguments, as JSON text exactly as the model wrote them.
    pub arguments: String,
}

impl ToolCall {
    /// The arguments as an object: empty arguments are `{}`, another value stands under `value`; what
    /// cannot be read is kept as text under `_raw`, and `false` says so.
    #[must_use]
    pub fn input(&self) -> (Value, bool) {
        match serde_json::from_str(&self.arguments) {
            Ok(Value::Object(object)) => (Value::Object(object), true),
            Ok(Value::Null) => (Value::Object(serde_json::Map::new()), true),
            Err(_) if self.arguments.trim().is_empty() => {
                (Value::Object(serde_json::Map::new()), true)
            }
            Ok(
                other @ (Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)),
            ) => (serde_json::json!({ "value": other }), true),
            Err(_) => (serde_json::json!({ "_raw": self.arguments }), false),
        }
    }
}

/// A tool that may be called.
#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// The JSON Schema of its arguments.
    pub schema: Value,
    /// Whether arguments must match the schema exactly.
    pub strict: Option<bool>,
    /// Whether its input is free text, which travels as the one argument `input`.
    pub is_custom: bool,
}

/// Whether and which tools must be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolChoice {
    /// As the model likes.
    Auto,
    /// None.
    None,
    /// At least one.
    Required,
    /// This one.
    Named(String),
    /// At least one of these.
    OneOf(Vec<String>),
}

/// What the answer must look like.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OutputFormat {
    /// Text.
    #[default]
    Text,
    /// Any JSON object.
    Json,
    /// JSON that matches a schema.
    Schema {
        /// The schema's name.
        name: String,
        /// The JSON Schema.
        schema: Value,
        /// Whether the answer must match exactly.
        strict: Option<bool>,
    },
}

/// How much the model should think, from not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Not at all.
    None,
    /// As little as it can.
    Minimal,
    /// A little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    XHigh,
    /// As much as it can.
    Max,
}

impl Effort {
    /// Reads the word that most dialects use.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "minimal" => Self::Minimal,
            "low" => Self::Low,
            "medium" => Self::Medium,
            "high" => Self::High,
            "xhigh" => Self::XHigh,
            "max" => Self::Max,
            _ => return None,
        })
    }

    /// The word that most dialects use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Minimal => "minimal",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::XHigh => "xhigh",
            Self::Max => "max",
        }
    }

    /// The budget in tokens, for dialects that have one. Source: wire-formats.md 2.3.
    #[must_use]
    pub const fn budget(self) -> u64 {
        match self {
            Self::None => 0,
            Self::Minimal | Self::Low => 1_024,
            Self::Medium => 8_192,
            Self::High => 16_384,
            Self::XHigh | Self::Max => 32_000,
        }
    }

    /// The nearest effort of a budget in tokens.
    #[must_use]
    pub const fn of_budget(tokens: u64) -> Self {
        match tokens {
            0 => Self::None,
            1..=2_048 => Self::Low,
            2_049..=8_192 => Self::Medium,
            8_193..=24_576 => Self::High,
            _ => Self::XHigh,
        }
    }
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or a stop text came.
    #[default]
    Stop,
    /// The token limit.
    Length,
    /// The context is full.
    Context,
    /// Tools are to be called.
    ToolCalls,
    /// A content filter cut it.
    Filter,
    /// The model declined.
    Refusal,
    /// The provider pauses a long turn; the client sends it back to go on.
    Pause,
    /// The provider failed to finish.
    Error,
}

/// Tokens used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt, cached parts included.
    pub input: u64,
    /// Of these, read from a cache.
    pub cached: u64,
    /// Of these, written to a cache.
    pub cache_written: u64,
    /// Answer, thinking included.
    pub output: u64,
    /// Of these, thinking.
    pub reasoning: u64,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Its id.
    pub id: String,
    /// The model that answered.
    pub model: String,
    /// What it says.
    pub blocks: Vec<Block>,
    /// Why it ended.
    pub finish: FinishReason,
    /// Tokens used.
    pub usage: Option<Usage>,
}

/// One event of a stream.
#[derive(Clone, Debug, PartialEq)]
pub enum StreamEvent {
    /// It begins.
    Start {
        /// The answer's id.
        id: String,
        /// The model that answers.
        model: String,
    },
    /// More text.
    Text(String),
    /// More of a refusal.
    Refusal(String),
    /// More thinking.
    Thinking(String),
    /// The proof of the thinking so far; alone, it is thinking that nobody may read.
    Proof(Proof),
    /// A tool call begins.
    ToolStart {
        /// Counts the calls of this answer from 0.
        index: u32,
        /// Names the call.
        id: String,
        /// The tool.
        name: String,
    },
    /// More arguments of a call.
    ToolArguments {
        /// Which call.
        index: u32,
        /// The next piece of their JSON text.
        fragment: String,
    },
    /// The arguments of a call are complete. Not every dialect says so.
    ToolEnd {
        /// Which call.
        index: u32,
    },
    /// Tokens used so far; the last one counts.
    Usage(Usage),
    /// Why it ends.
    Finish(FinishReason),
    /// A sign of life.
    Ping,
    /// An error instead of an end.
    Error(ErrorBody),
}

impl StreamEvent {
    /// Whether the client would see something of an answer in it.
    #[must_use]
    pub const fn is_content(&self) -> bool {
        match self {
            Self::Text(text)
            | Self::Refusal(text)
            | Self::Thinking(text)
            | Self::ToolArguments { fragment: text, .. } => !text.is_empty(),
            Self::ToolStart { .. } => true,
            Self::Start { .. }
            | Self::Proof(_)
            | Self::ToolEnd { .. }
            | Self::Usage(_)
            | Self::Finish(_)
            | Self::Ping
            | Self::Error(_) => false,
        }
    }
}

impl Chat {
    /// A request with one prompt.
    #[must_use]
    pub fn plain(model: &str, prompt: &str) -> Self {
        let blocks = vec![Block::Text(prompt.to_owned())];
        Self {
            model: model.to_owned(),
            turns: vec![Turn { role: Role::User, blocks }],
            choices: 1,
            ..Self::default()
        }
    }

    /// Whether the model may think for long before it says anything.
    #[must_use]
    pub fn asks_for_reasoning(&self) -> bool {
        self.effort.is_some_and(|effort| effort > Effort::Minimal)
    }

    /// About how many tokens the prompt has: a token for four bytes of text.
    #[must_use]
    pub fn estimated_input_tokens(&self) -> u64 {
        let system: usize = self.system.iter().map(String::len).sum();
        let turns: usize = self.turns.iter().flat_map(|turn| &turn.blocks).map(text_size).sum();
        let tools: usize = self.tools.iter().map(|tool| tool.schema.to_string().len()).sum();
        (system + turns + tools).div_ceil(4) as u64
    }

    /// The name of the tool that a call id belongs to.
    #[must_use]
    pub fn tool_name_of(&self, call_id: &str) -> Option<&str> {
        self.turns.iter().flat_map(|turn| &turn.blocks).find_map(|block| match block {
            Block::ToolCall(call) if call.id == call_id => Some(call.name.as_str()),
            _ => None,
        })
    }

    /// Adds a turn; one of the same role as the last is merged into it.
    pub(crate) fn push(&mut self, role: Role, blocks: Vec<Block>) {
        match self.turns.last_mut() {
            Some(last) if last.role == role && role != Role::System => last.blocks.extend(blocks),
            _ => self.turns.push(Turn { role, blocks }),
        }
    }

    /// Makes sure that there is something to answer.
    pub(crate) fn checked(mut self) -> Result<Self, RequestError> {
        if self.model.is_empty() {
            return Err(RequestError::missing("model"));
        }
        // The same tool twice is the same tool.
        let mut tools: Vec<Tool> = Vec::with_capacity(self.tools.len());
        for tool in std::mem::take(&mut self.tools) {
            if !tools.contains(&tool) {
                tools.push(tool);
            }
        }
        self.tools = tools;
        Ok(self)
    }

    /// Whether its client marks what should be kept in a prompt cache.
    pub(crate) fn wants_caching(&self) -> bool {
        self.extras.iter().any(|(field, _)| field == "cache_control")
    }

    /// The text that an assistant has begun, if the conversation ends with it and it is not certain
    /// that the target goes on with it.
    pub(crate) fn prefill(&self) -> Option<String> {
        if self.is_begun {
            return None;
        }
        let last = self.turns.last().filter(|turn| turn.role == Role::Assistant)?;
        let has_call = last.blocks.iter().any(|block| matches!(block, Block::ToolCall(_)));
        let texts = last.blocks.iter().cloned().filter_map(Block::into_text);
        let text: String = texts.collect();
        (!has_call && !text.is_empty()).then_some(text)
    }
}

fn text_size(block: &Block) -> usize {
    match block {
        Block::Text(text) | Block::Refusal(text) | Block::Thinking { text, .. } => text.len(),
        Block::ToolCall(call) => call.arguments.len() + call.name.len(),
        Block::ToolResult { content, .. } => content.iter().map(text_size).sum(),
        // A picture costs about a thousand tokens whatever its bytes.
        Block::Image(_) | Block::File { .. } => 4_000,
        Block::Opaque(value) => value.to_string().len(),
    }
}

impl Answer {
    /// All its text.
    #[must_use]
    pub fn text(&self) -> String {
        let texts = self.blocks.iter().filter_map(|block| match block {
            Block::Text(text) => Some(text.as_str()),
            _ => None,
        });
        texts.collect()
    }

    /// Its tool calls.
    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.blocks.iter().filter_map(|block| match block {
            Block::ToolCall(call) => Some(call),
            _ => None,
        })
    }

    /// The proof that it ended: only a reader makes answers from the wire.
    #[must_use]
    pub const fn ended(&self) -> Ended {
        Ended::new(self.finish, self.usage)
    }

    /// The same as a stream.
    #[must_use]
    pub fn to_events(&self) -> Vec<StreamEvent> {
        let start = StreamEvent::Start { id: self.id.clone(), model: self.model.clone() };
        let mut events = vec![start];
        let mut calls = 0;
        for block in &self.blocks {
            match block {
                Block::Text(text) => events.push(StreamEvent::Text(text.clone())),
                Block::Refusal(text) => events.push(StreamEvent::Refusal(text.clone())),
                Block::Thinking { text, proof } => {
                    if !text.is_empty() {
                        events.push(StreamEvent::Thinking(text.clone()));
                    }
                    events.extend(proof.clone().map(StreamEvent::Proof));
                }
                Block::ToolCall(call) => {
                    let (id, name) = (call.id.clone(), call.name.clone());
                    events.push(StreamEvent::ToolStart { index: calls, id, name });
                    let fragment = call.arguments.clone();
                    events.push(StreamEvent::ToolArguments { index: calls, fragment });
                    events.push(StreamEvent::ToolEnd { index: calls });
                    calls += 1;
                }
                Block::Image(_)
                | Block::File { .. }
                | Block::ToolResult { .. }
                | Block::Opaque(_) => {}
            }
        }
        events.extend(self.usage.map(StreamEvent::Usage));
        events.push(StreamEvent::Finish(self.finish));
        events
    }

    /// Puts the events of a stream together again.
    #[must_use]
    pub fn of_events(events: &[StreamEvent]) -> Self {
        let mut answer = Self::default();
        for event in events {
            answer.take(event);
        }
        answer
    }

    fn take(&mut self, event: &StreamEvent) {
        match event {
            StreamEvent::Start { id, model } => {
                self.id.clone_from(id);
                self.model.clone_from(model);
            }
            StreamEvent::Text(more) => match self.blocks.last_mut() {
                Some(Block::Text(text)) => text.push_str(more),
                _ => self.blocks.push(Block::Text(more.clone())),
            },
            StreamEvent::Refusal(more) => match self.blocks.last_mut() {
                Some(Block::Refusal(text)) => text.push_str(more),
                _ => self.blocks.push(Block::Refusal(more.clone())),
            },
            StreamEvent::Thinking(more) => match self.blocks.last_mut() {
                Some(Block::Thinking { text, proof: None }) => text.push_str(more),
                _ => self.blocks.push(Block::Thinking { text: more.clone(), proof: None }),
            },
            StreamEvent::Proof(more) => match self.blocks.last_mut() {
                Some(Block::Thinking { proof: proof @ None, .. }) => *proof = Some(more.clone()),
                _ => self
                    .blocks
                    .push(Block::Thinking { text: String::new(), proof: Some(more.clone()) }),
            },
            StreamEvent::ToolStart { id, name, .. } => {
                let (id, name) = (id.clone(), name.clone());
                self.blocks.push(Block::ToolCall(ToolCall { id, name, arguments: String::new() }));
            }
            StreamEvent::ToolArguments { index, fragment } => {
                let calls = self.blocks.iter_mut().filter_map(|block| match block {
                    Block::ToolCall(call) => Some(call),
                    _ => None,
                });
                let index = usize::try_from(*index).unwrap_or(usize::MAX);
                if let Some(call) = { calls }.nth(index) {
                    call.arguments.push_str(fragment);
                }
            }
            StreamEvent::Usage(usage) => self.usage = Some(*usage),
            StreamEvent::Finish(finish) => self.finish = *finish,
            StreamEvent::Ping | StreamEvent::ToolEnd { .. } | StreamEvent::Error(_) => {}
        }
    }
}
