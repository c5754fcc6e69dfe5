//! What the client gets: bytes of the answer in the client's own dialect, and the honest headers.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use unbroken_engine::call::AttemptId;
use unbroken_engine::cause::FailureCause;
use unbroken_wire::chat::Chat;
use unbroken_wire::dialects::{ClientError, Dialect, ErrorKind, Framing, StreamHead, StreamWriter};

use crate::clock::Clock;
use crate::reply::CallRequest;
use crate::upstream::{Piece, Upstream};

/// Headers of the provider's answer that its own SDK shows to programs.
const PROVIDER_HEADERS: &[&str] = &["openai-", "anthropic-", "x-ratelimit-", "request-id"];

/// What goes to the client of one call.
pub(crate) struct Relay {
    dialect: &'static Dialect,
    framing: Framing,
    is_stream: bool,
    writer: Box<dyn StreamWriter>,
    /// Whose answer goes to the client.
    attempt: Option<AttemptId>,
    is_native: bool,
    out: Vec<u8>,
    headers: HeaderMap,
    warnings: Vec<String>,
}

impl Relay {
    pub(crate) fn new(request: &CallRequest, chat: &Chat) -> Self {
        let head = StreamHead {
            id: request.id.clone(),
            model: chat.model.clone(),
            created_unix: Clock::unix_seconds(),
            include_usage: chat.include_usage,
            framing: request.framing,
            input_tokens_estimate: chat.estimated_input_tokens(),
        };
        Self {
            dialect: request.dialect,
            framing: request.framing,
            is_stream: chat.stream,
            writer: (request.dialect.stream_writer)(&head),
            attempt: None,
            is_native: false,
            out: Vec::new(),
            headers: HeaderMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether anything of an answer was passed on.
    pub(crate) const fn has_begun(&self) -> bool {
        self.attempt.is_some()
    }

    /// Whose answer goes to the client, once one does.
    pub(crate) const fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// From now on this attempt's content goes to the client.
    pub(crate) fn begin(&mut self, upstream: &Upstream) {
        self.attempt = Some(upstream.attempt());
        self.is_native = upstream.is_native();
        self.warnings = upstream.warnings().to_vec();
        if self.is_native {
            let is_shown = |name: &HeaderName| {
                PROVIDER_HEADERS.iter().any(|prefix| name.as_str().starts_with(prefix))
            };
            let shown = upstream.headers().iter().filter(|(name, _)| is_shown(name));
            self.headers.extend(shown.map(|(name, value)| (name.clone(), value.clone())));
        }
    }

    /// Passes on what has come.
    pub(crate) fn pass_on(&mut self, upstream: &mut Upstream) {
        for piece in upstream.take_pieces() {
            match piece {
                Piece::Raw(bytes) => self.out.extend_from_slice(&bytes),
                Piece::Event(event) => self.writer.write(&event, &mut self.out),
            }
        }
    }

    /// The answer is whole.
    pub(crate) fn finish(&mut self, upstream: &mut Upstream) {
        self.pass_on(upstream);
        let Some(end) = upstream.take_end() else { return };
        if !self.is_stream {
            if let (false, Some(answer)) = (self.is_native, end.answer) {
                self.out.extend((self.dialect.write_answer)(&answer, Clock::unix_seconds()));
            }
        } else if !self.is_native {
            if let Some(ended) = end.ended {
                self.writer.end(&ended, &mut self.out);
            }
        } else if !end.is_marked {
            // Complete, but its last event never came: the client's SDK waits for it.
            self.out.extend_from_slice(self.dialect.terminal.as_bytes());
        }
    }

    /// The answer broke after its first content: say so, and never end it as if it were whole.
    pub(crate) fn break_off(&mut self, cause: FailureCause) {
        let error = ClientError {
            status: 503,
            kind: ErrorKind::Unavailable,
            message: format!("the answer broke off: {cause}"),
            code: Some("stream_interrupted".to_owned()),
            param: None,
        };
        self.writer.error(&error, &mut self.out);
    }

    /// Takes the bytes that wait for the client.
    pub(crate) fn take(&mut self) -> Bytes {
        Bytes::from(std::mem::take(&mut self.out))
    }

    /// The answer's headers.
    pub(crate) fn head(&self, attempts: usize, target: String) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type()));
        if self.is_stream {
            let no_buffering = HeaderValue::from_static("no-cache, no-transform");
            headers.insert(CACHE_CONTROL, no_buffering);
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        let mut set = |name: &'static str, value: String| {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        };
        set("x-unbroken-target", target);
        set("x-unbroken-attempts", attempts.to_string());
        if !self.warnings.is_empty() {
            set("x-unbroken-warnings", self.warnings.join(";"));
        }
        headers
    }

    const fn content_type(&self) -> &'static str {
        match (self.is_stream, self.framing) {
            (true, Framing::Sse) => "text/event-stream; charset=utf-8",
            (true, Framing::JsonArray) | (false, _) => "application/json",
        }
    }
}
