//! The classic API of the founding document: a prompt in, an answer out, whoever gives it.

use std::sync::Arc;

use unbroken_wire::chat::{Answer, Chat, StreamEvent};
use unbroken_wire::dialects::{OPENAI_CHAT, StreamReader};
use unbroken_wire::error::ErrorBody;
use unbroken_wire::sse;

use crate::clock::Clock;
use crate::failover::Failover;
use crate::reply::{CallRequest, CallStream, Reply, ReplyBody};

/// An answer and who gave it.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    target: String,
    attempts: u32,
    answer: Answer,
}

impl Generated {
    /// The target that answered: `endpoint/model`.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// How many attempts it took.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        self.answer.text()
    }

    /// The whole answer.
    #[must_use]
    pub const fn answer(&self) -> &Answer {
        &self.answer
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GenerateError {
    /// The HTTP status that a client of the gateway would see.
    pub status: u16,
    /// What happened, for each target, and when to try again.
    pub message: String,
}

/// A stream of text.
#[derive(Debug)]
pub struct TextStream {
    target: String,
    body: CallStream,
    parser: sse::Parser,
    reader: ReaderBox,
    waiting: Vec<StreamEvent>,
    is_over: bool,
}

struct ReaderBox(Box<dyn StreamReader>);

impl std::fmt::Debug for ReaderBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StreamReader")
    }
}

impl TextStream {
    /// The target that answers.
    #[must_use]
    pub fn target(&self) -> &str {
        &self.target
    }

    /// The next piece of text; `None` after the answer's own end.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<String>, GenerateError> {
        loop {
            while !self.waiting.is_empty() {
                match self.waiting.remove(0) {
                    StreamEvent::Text(text) => return Ok(Some(text)),
                    StreamEvent::Error(error) => {
                        self.is_over = true;
                        return Err(broken(error.message));
                    }
                    _ => {}
                }
            }
            if self.is_over {
                return Ok(None);
            }
            match self.body.next().await {
                Some(bytes) => self.read(&bytes)?,
                None if self.reader.0.end().is_ok() => self.is_over = true,
                None => {
                    self.is_over = true;
                    return Err(broken("the answer has no end".to_owned()));
                }
            }
        }
    }

    fn read(&mut self, bytes: &[u8]) -> Result<(), GenerateError> {
        self.parser.push(bytes).map_err(|_| broken("an event is too long".to_owned()))?;
        while let Some(event) = self.parser.next_event() {
            self.reader.0.read(&event, &mut self.waiting).map_err(broken)?;
        }
        Ok(())
    }
}

const fn broken(message: String) -> GenerateError {
    GenerateError { status: 503, message }
}

impl Failover {
    /// Asks the targets of [`Failover::builder`] one prompt and waits for the whole answer.
    ///
    /// # Errors
    /// When no target could answer, or the request is wrong.
    pub async fn generate(&self, prompt: &str) -> Result<Generated, GenerateError> {
        let reply = self.ask(prompt, false).await?;
        let (target, attempts) = (header(&reply, "x-unbroken-target"), attempts(&reply));
        let ReplyBody::Whole(body) = reply.body else {
            return Err(broken("a stream that nobody asked for".to_owned()));
        };
        if reply.status != 200 {
            let message = ErrorBody::read(&body).message;
            return Err(GenerateError { status: reply.status, message });
        }
        let answer = (OPENAI_CHAT.read_answer)(&body);
        let answer = answer.map_err(|fault| broken(format!("{fault:?}")))?;
        Ok(Generated { target, attempts, answer })
    }

    /// Asks the targets of [`Failover::builder`] one prompt and streams the text.
    ///
    /// # Errors
    /// When no target began to answer, or the request is wrong.
    pub async fn stream(&self, prompt: &str) -> Result<TextStream, GenerateError> {
        let reply = self.ask(prompt, true).await?;
        let target = header(&reply, "x-unbroken-target");
        match reply.body {
            ReplyBody::Stream(body) => Ok(TextStream {
                target,
                body,
                parser: sse::Parser::new(),
                reader: ReaderBox((OPENAI_CHAT.stream_reader)()),
                waiting: Vec::new(),
                is_over: false,
            }),
            ReplyBody::Whole(body) => {
                let message = ErrorBody::read(&body).message;
                Err(GenerateError { status: reply.status, message })
            }
        }
    }

    async fn ask(&self, prompt: &str, stream: bool) -> Result<Reply, GenerateError> {
        let Some(route) = self.route() else {
            return Err(GenerateError {
                status: 500,
                message: "this failover has no targets of its own: use `Failover::builder`"
                    .to_owned(),
            });
        };
        let chat = Chat { stream, ..Chat::plain("default", prompt) };
        let written = (OPENAI_CHAT.write_request)(&chat, "default");
        let written = written.map_err(|unsupported| broken(unsupported.reason))?;
        Ok(self.call(request(route.clone(), written.body)).await)
    }
}

pub(crate) fn request(route: Arc<crate::route::Route>, body: Vec<u8>) -> CallRequest {
    CallRequest::new(format!("{:016x}", Clock::seed()), &OPENAI_CHAT, body, route)
}

fn header(reply: &Reply, name: &str) -> String {
    let value = reply.headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

fn attempts(reply: &Reply) -> u32 {
    header(reply, "x-unbroken-attempts").parse().unwrap_or(0)
}
