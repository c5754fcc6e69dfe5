//! One attempt on the wire: sends the request, reads what comes back, and says what it means.
//!
//! Nothing is decided here: bytes become [`News`], failures become causes (by the provider's
//! `classify`), and what the client may get later is kept as [`Piece`]s until the engine says so.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, Request};
use unbroken_engine::call::AttemptId;
use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_wire::chat::{Answer, Chat, StreamEvent};
use unbroken_wire::dialects::{AnswerFault, Dialect, Ended, Framing, StreamReader, Truncated};
use unbroken_wire::error::ErrorBody;
use unbroken_wire::sse;

use crate::endpoint::Endpoint;
use crate::http::{Exchange, HttpClient, Progress};
use crate::providers::{ErrorReply, Phase};
use crate::reply::CallRequest;
use crate::route::Choice;

/// A whole answer may not be larger. Bound: images come inside answers.
const ANSWER_MAX: usize = 64 << 20;
/// An error body is read up to here; what follows is not needed to understand it.
const ERROR_MAX: usize = 1 << 20;
/// Events before the first content may not take more than this.
const PRELUDE_MAX: usize = 4 << 20;

/// What an attempt has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// The request is on its way.
    Connected,
    /// Something came that is not content.
    Alive,
    /// Content came.
    Content,
    /// The protocol's own end came.
    Ended,
    /// It failed.
    Failed(FailureCause),
}

/// Something for the client.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Bytes of the client's own dialect, untouched.
    Raw(Bytes),
    /// An event to be written in the client's dialect.
    Event(StreamEvent),
}

/// What a failed attempt was told.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body, as it came.
    pub(crate) body: Bytes,
    /// The dialect of the body.
    pub(crate) dialect: &'static Dialect,
    /// Its content type.
    pub(crate) content_type: Option<HeaderValue>,
}

/// How the answer ended.
#[derive(Debug)]
pub(crate) struct End {
    /// The proof that it did.
    pub(crate) ended: Option<Ended>,
    /// Whether the protocol's last event was among the pieces.
    pub(crate) is_marked: bool,
    /// A whole answer.
    pub(crate) answer: Option<Box<Answer>>,
}

/// One attempt.
pub(crate) struct Upstream {
    attempt: AttemptId,
    exchange: Option<Exchange>,
    endpoint: std::sync::Arc<Endpoint>,
    is_native: bool,
    wants_stream: bool,
    body: Body,
    headers: HeaderMap,
    warnings: Vec<String>,
    news: VecDeque<News>,
    pieces: Vec<Piece>,
    prelude: usize,
    end: Option<End>,
    words: Option<Kept>,
}

/// What is being read.
enum Body {
    Nothing,
    Error { status: u16, bytes: Vec<u8> },
    Whole(Vec<u8>),
    Stream { parser: sse::Parser, reader: Box<dyn StreamReader> },
    Done,
}

impl Upstream {
    pub(crate) fn start(
        http: &HttpClient,
        attempt: AttemptId,
        choice: &Choice,
        request: &CallRequest,
        chat: &Chat,
    ) -> Self {
        let endpoint = choice.endpoint.clone();
        let is_native = is_native(request, &endpoint);
        let mut upstream = Self {
            attempt,
            exchange: None,
            endpoint,
            is_native,
            wants_stream: chat.stream,
            body: Body::Nothing,
            headers: HeaderMap::new(),
            warnings: Vec::new(),
            news: VecDeque::new(),
            pieces: Vec::new(),
            prelude: 0,
            end: None,
            words: None,
        };
        match upstream.prepare(choice, request, chat) {
            Ok(request) => upstream.exchange = Some(http.send(request, choice.endpoint.http2)),
            Err(cause) => upstream.news.push_back(News::Failed(cause)),
        }
        upstream
    }

    pub(crate) const fn attempt(&self) -> AttemptId {
        self.attempt
    }

    /// Whether the client speaks the target's dialect, so that bytes pass untouched.
    pub(crate) const fn is_native(&self) -> bool {
        self.is_native
    }

    /// The answer's headers.
    pub(crate) const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// What the translation had to leave out or emulate.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Takes what has come for the client since the last time.
    pub(crate) fn take_pieces(&mut self) -> Vec<Piece> {
        std::mem::take(&mut self.pieces)
    }

    /// Takes the end of the answer, once it came.
    pub(crate) const fn take_end(&mut self) -> Option<End> {
        self.end.take()
    }

    /// The size of the answer, in tokens; zero if the target did not say.
    pub(crate) fn output_tokens(&self) -> u32 {
        let Some(end) = &self.end else { return 0 };
        let of_stream = end.ended.as_ref().and_then(Ended::usage);
        let usage = of_stream.or_else(|| end.answer.as_ref()?.usage);
        usage.map_or(0, |usage| u32::try_from(usage.output).unwrap_or(u32::MAX))
    }

    /// Whether it has nothing more to say.
    pub(crate) const fn has_failed(&self) -> bool {
        self.exchange.is_none()
    }

    /// Its answer is whole: its connection may serve the next call.
    pub(crate) fn let_go(self) {
        if let Some(exchange) = self.exchange {
            exchange.let_go();
        }
    }

    /// What it was told, if it failed with words.
    pub(crate) fn into_words(self) -> Option<Kept> {
        self.words
    }

    /// What happens next. Cancel-safe.
    pub(crate) async fn next(&mut self) -> News {
        loop {
            if let Some(news) = self.news.pop_front() {
                return news;
            }
            let Some(exchange) = &mut self.exchange else {
                // Everything was said; the engine has what it needs to go on.
                return std::future::pending().await;
            };
            let progress = exchange.next().await;
            self.take_in(progress);
        }
    }

    fn prepare(
        &mut self,
        choice: &Choice,
        request: &CallRequest,
        chat: &Chat,
    ) -> Result<Request<Bytes>, FailureCause> {
        let provider = self.endpoint.provider;
        let body = if self.is_native {
            (provider.dialect.replace_model)(&request.body, &choice.model)
                .map_err(|_| FailureCause::InvalidRequest { status: 400 })?
        } else {
            let written = (provider.dialect.write_request)(chat, &choice.model);
            let written = written.map_err(|unsupported| self.cannot(&unsupported))?;
            self.warnings = written.warnings;
            written.body
        };
        let path = (provider.chat_path)(&choice.model, chat.stream);
        let misconfigured = |_| FailureCause::Misconfigured { status: 0 };
        let mut built = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{path}", self.endpoint.base_url))
            .body(Bytes::from(body))
            .map_err(misconfigured)?;
        self.write_headers(built.headers_mut(), request);
        Ok(built)
    }

    /// The request cannot be written for this target: keep the words that explain it.
    fn cannot(&mut self, unsupported: &unbroken_wire::dialects::Unsupported) -> FailureCause {
        let message = format!("{}: {}", unsupported.field, unsupported.reason);
        let error = serde_json::json!({ "error": {
            "message": message,
            "type": "invalid_request_error",
            "param": unsupported.field,
            "code": "unsupported_by_all_targets",
        }});
        self.words = Some(Kept {
            status: 400,
            body: error.to_string().into(),
            dialect: &unbroken_wire::dialects::OPENAI_CHAT,
            content_type: Some(HeaderValue::from_static("application/json")),
        });
        FailureCause::TargetCannot(Limitation::Feature)
    }

    fn write_headers(&self, headers: &mut HeaderMap, request: &CallRequest) {
        let provider = self.endpoint.provider;
        for name in ["traceparent", "tracestate"]
            .iter()
            .chain(provider.pass_headers.iter().filter(|_| self.is_native))
        {
            if let Some(value) = request.headers.get(*name) {
                headers.insert(*name, value.clone());
            }
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let accept = if self.wants_stream { "text/event-stream" } else { "application/json" };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        headers.insert(
            USER_AGENT,
            HeaderValue::from_static(concat!("unbroken/", env!("CARGO_PKG_VERSION"))),
        );
        self.endpoint.authorize(headers);
    }

    fn take_in(&mut self, progress: Progress) {
        match progress {
            Progress::Connected { .. } => self.news.push_back(News::Connected),
            Progress::Head(head) => self.take_head(head),
            Progress::Bytes(bytes) => self.take_bytes(&bytes),
            Progress::End => self.take_end_of_body(),
            Progress::Failed(cause) => self.take_failure(cause),
        }
    }

    fn take_head(&mut self, head: http::response::Parts) {
        let status = head.status.as_u16();
        self.headers = head.headers;
        let is_event_stream = self.content_type().starts_with("text/event-stream");
        self.body = if !head.status.is_success() {
            Body::Error { status, bytes: Vec::new() }
        } else if self.wants_stream && is_event_stream {
            let reader = (self.endpoint.provider.dialect.stream_reader)();
            Body::Stream { parser: sse::Parser::new(), reader }
        } else {
            Body::Whole(Vec::new())
        };
        self.news.push_back(News::Alive);
    }

    fn content_type(&self) -> &str {
        self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn take_bytes(&mut self, bytes: &Bytes) {
        match &mut self.body {
            Body::Nothing | Body::Done => {}
            Body::Error { bytes: so_far, .. } => {
                let room = ERROR_MAX.saturating_sub(so_far.len());
                so_far.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
                self.news.push_back(News::Alive);
                if so_far.len() >= ERROR_MAX {
                    // The rest may never end.
                    self.take_end_of_body();
                }
            }
            Body::Whole(so_far) if so_far.len() + bytes.len() <= ANSWER_MAX => {
                so_far.extend_from_slice(bytes);
                self.news.push_back(News::Alive);
            }
            Body::Whole(_) => self.fail(FailureCause::Malformed),
            Body::Stream { .. } => self.take_events(bytes),
        }
    }

    fn take_events(&mut self, bytes: &Bytes) {
        let Body::Stream { parser, reader } = &mut self.body else { return };
        let mut taken = Taken::new(self.is_native);
        let fault = match parser.push(bytes) {
            Ok(()) => loop {
                let Some(event) = parser.next_event() else { break None };
                if let Some(fault) = taken.read(&event, reader.as_mut()) {
                    break Some(fault);
                }
                if reader.is_ended() {
                    break None;
                }
            },
            Err(_) => Some(Fault::Malformed),
        };
        let ended = reader.is_ended().then(|| reader.end());
        self.note(taken, fault, ended);
    }

    /// Turns what was read into news and pieces.
    fn note(
        &mut self,
        taken: Taken,
        fault: Option<Fault>,
        ended: Option<Result<Ended, Truncated>>,
    ) {
        let has_delivered = self.prelude == usize::MAX;
        self.pieces.extend(taken.pieces);
        self.news.push_back(if taken.has_content { News::Content } else { News::Alive });
        if taken.has_content {
            self.prelude = usize::MAX;
        } else if !has_delivered {
            self.prelude = self.prelude.saturating_add(taken.size);
        }
        match (fault, ended) {
            (Some(Fault::Malformed), _) => self.fail(FailureCause::Malformed),
            (Some(Fault::Error(error)), _) => self.fail_with(&error),
            (None, Some(Ok(ended))) => self.finish(ended, true),
            (None, Some(Err(_))) => self.fail(FailureCause::Truncated),
            (None, None) if self.prelude != usize::MAX && self.prelude > PRELUDE_MAX => {
                self.fail(FailureCause::Malformed);
            }
            (None, None) => {}
        }
    }

    fn finish(&mut self, ended: Ended, is_marked: bool) {
        self.end = Some(End { ended: Some(ended), is_marked, answer: None });
        self.body = Body::Done;
        // An answer without any content is no answer.
        let has_content = self.prelude == usize::MAX;
        self.news.push_back(if has_content {
            News::Ended
        } else {
            News::Failed(FailureCause::EmptyAnswer)
        });
    }

    fn take_end_of_body(&mut self) {
        match std::mem::replace(&mut self.body, Body::Done) {
            Body::Nothing => self.fail(FailureCause::Malformed),
            Body::Done => {}
            Body::Error { status, bytes } => self.take_error(status, bytes),
            Body::Whole(bytes) => self.take_whole(&Bytes::from(bytes)),
            Body::Stream { mut parser, mut reader } => {
                let mut taken = Taken::new(self.is_native);
                let tail = parser.finish();
                let fault = tail.and_then(|event| taken.read(&event, reader.as_mut()));
                let is_marked = reader.is_ended();
                if let Some(fault) = fault {
                    self.note(taken, Some(fault), None);
                    return;
                }
                self.note(taken, None, None);
                match reader.end() {
                    Ok(ended) => self.finish(ended, is_marked),
                    Err(_) => self.fail(FailureCause::Truncated),
                }
            }
        }
    }

    fn take_whole(&mut self, bytes: &Bytes) {
        if bytes.is_empty() {
            return self.fail(FailureCause::EmptyAnswer);
        }
        match (self.endpoint.provider.dialect.read_answer)(bytes) {
            Ok(answer) => {
                if self.wants_stream {
                    // The target answered at once although a stream was asked for.
                    self.is_native = false;
                    self.pieces.extend(answer.to_events().into_iter().map(Piece::Event));
                    self.news.push_back(News::Content);
                } else if self.is_native {
                    self.pieces.push(Piece::Raw(bytes.clone()));
                }
                let ended = Some(answer.ended());
                self.end = Some(End { ended, is_marked: false, answer: Some(Box::new(answer)) });
                self.news.push_back(News::Ended);
            }
            Err(AnswerFault::Empty) => self.fail(FailureCause::EmptyAnswer),
            Err(AnswerFault::Malformed(_)) => self.fail(FailureCause::Malformed),
            Err(AnswerFault::Error(error)) => self.fail_with(&error),
        }
    }

    fn take_error(&mut self, status: u16, bytes: Vec<u8>) {
        let error = ErrorBody::read(&bytes);
        let phase = Phase::Head;
        let reply = ErrorReply { status, headers: &self.headers, body: &error, phase };
        let cause = (self.endpoint.provider.classify)(&reply);
        self.words = Some(Kept {
            status,
            body: bytes.into(),
            dialect: self.endpoint.provider.dialect,
            content_type: self.headers.get(CONTENT_TYPE).cloned(),
        });
        self.fail(cause);
    }

    /// An error inside a 200.
    fn fail_with(&mut self, error: &ErrorBody) {
        let phase = Phase::InBody;
        let reply = ErrorReply { status: 200, headers: &self.headers, body: error, phase };
        let cause = (self.endpoint.provider.classify)(&reply);
        self.words.get_or_insert_with(|| Kept {
            status: error.inner_status.filter(|s| (400..600).contains(s)).unwrap_or(400),
            body: error.to_body().into(),
            dialect: &unbroken_wire::dialects::OPENAI_CHAT,
            content_type: Some(HeaderValue::from_static("application/json")),
        });
        self.fail(cause);
    }

    /// The connection failed. An error reply that was cut off is still an error reply.
    fn take_failure(&mut self, cause: FailureCause) {
        match std::mem::replace(&mut self.body, Body::Done) {
            Body::Error { status, bytes } => self.take_error(status, bytes),
            Body::Stream { mut reader, .. } if self.prelude == usize::MAX => match reader.end() {
                // Everything was said before the connection broke.
                Ok(ended) => self.finish(ended, false),
                Err(_) => self.fail(cause),
            },
            Body::Nothing | Body::Whole(_) | Body::Stream { .. } | Body::Done => self.fail(cause),
        }
    }

    fn fail(&mut self, cause: FailureCause) {
        self.body = Body::Done;
        self.exchange = None;
        self.news.push_back(News::Failed(cause));
    }
}

/// Whether the client's bytes can travel to the endpoint, and its bytes back, untouched.
fn is_native(request: &CallRequest, endpoint: &Endpoint) -> bool {
    request.dialect.name == endpoint.provider.dialect.name
        && matches!(request.framing, Framing::Sse)
}

enum Fault {
    Malformed,
    Error(ErrorBody),
}

/// What one read brought.
struct Taken {
    is_native: bool,
    pieces: Vec<Piece>,
    has_content: bool,
    size: usize,
}

impl Taken {
    const fn new(is_native: bool) -> Self {
        Self { is_native, pieces: Vec::new(), has_content: false, size: 0 }
    }

    /// Reads one event; says what is wrong with it, if anything. An event that is wrong goes to
    /// nobody.
    fn read(&mut self, event: &sse::Event<'_>, reader: &mut dyn StreamReader) -> Option<Fault> {
        let mut events = Vec::new();
        self.size = self.size.saturating_add(event.raw.len());
        if reader.read(event, &mut events).is_err() {
            return Some(Fault::Malformed);
        }
        let mut fault = None;
        for event in events {
            match event {
                StreamEvent::Error(error) => fault = Some(Fault::Error(error)),
                other => {
                    self.has_content |= other.is_content();
                    if !self.is_native {
                        self.pieces.push(Piece::Event(other));
                    }
                }
            }
        }
        if self.is_native && fault.is_none() {
            self.pieces.push(Piece::Raw(Bytes::copy_from_slice(event.raw)));
        }
        fault
    }
}
