//! One attempt on the wire: sends the request, reads what comes back, and says what it means.
//!
//! Nothing is decided here: bytes become [`News`], failures become causes (by the provider's
//! `classify`), and what the client may get later is kept as [`Piece`]s until the engine says so.

use std::collections::VecDeque;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use unbroken_engine::call::AttemptId;
use unbroken_engine::cause::{FailureCause, Limitation};
use unbroken_engine::headroom::Left;
use unbroken_engine::resume::{Flow, How};
use unbroken_wire::chat::{Answer, Chat, FinishReason, OutputFormat, StreamEvent};
use unbroken_wire::dialects::{
    AnswerFault, Dialect, Ended, Framing, StreamReader, Truncated, is_side,
};
use unbroken_wire::error::ErrorBody;
use unbroken_wire::promised::keep_promise;
use unbroken_wire::resume::estimated_tokens;
use unbroken_wire::undo::Undo;
use unbroken_wire::{event_stream, sse};

use crate::asked;
use crate::capabilities::Needs;
use crate::capabilities::lessons::{Lesson, lesson};
use crate::clock::Clock;
use crate::endpoint::Endpoint;
use crate::http::{Exchange, HttpClient, Progress};
use crate::providers::{self, ErrorReply, Fit, Phase};
use crate::reply::CallRequest;
use crate::route::Choice;

mod hold;
mod joint;
mod request;
mod sending;
mod taken;
mod tally;

pub(crate) use joint::{Resume, Stored};

use hold::Hold;
use joint::Joint;
use sending::Sending;
use taken::Taken;
use tally::Tally;

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
    /// The provider stores the answer, and its id is known.
    Stored,
    /// Content came: of which kind, and about how many tokens.
    Content(Flow, u32),
    /// Text came of which it is not certain yet that it fits what was delivered before.
    Joining,
    /// The finish reason came.
    Finishing,
    /// The protocol's own end came.
    Ended,
    /// It failed.
    Failed(FailureCause),
}

/// Something for the client: one event of the target's stream.
#[derive(Debug)]
pub(crate) struct Piece {
    /// The event as it came, if the client speaks the target's dialect.
    pub(crate) raw: Option<RawEvent>,
    /// What it means.
    pub(crate) events: Vec<StreamEvent>,
}

impl Piece {
    fn is_finishing(&self) -> bool {
        self.events.iter().any(|event| matches!(event, StreamEvent::Finish(_)))
    }
}

/// An event as it came.
#[derive(Debug)]
pub(crate) struct RawEvent {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// The `event:` field.
    pub(crate) name: Option<String>,
    /// The `data:` field.
    pub(crate) data: String,
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
#[derive(Debug, Default)]
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
    sending: Sending,
    exchange: Option<Exchange>,
    endpoint: std::sync::Arc<Endpoint>,
    /// In which dialect the target is spoken to.
    dialect: &'static Dialect,
    /// Whether the client speaks the target's dialect.
    speaks_alike: bool,
    /// Whether the answer passes as it comes.
    is_native: bool,
    how: How,
    joint: Option<Joint>,
    hold: Hold,
    wants_stream: bool,
    body: Body,
    headers: HeaderMap,
    warnings: Vec<String>,
    rate_limits: Vec<Left>,
    needs: Needs,
    lessons: Vec<Lesson>,
    /// Whether the provider stores the answer, and its id there once it is known.
    is_stored: bool,
    stored_id: Option<String>,
    /// The form of the answer, if it was asked for in words only.
    promised: OutputFormat,
    /// What has to be undone in the answer.
    undo: Undo,
    news: VecDeque<News>,
    pieces: Vec<Piece>,
    prelude: usize,
    /// Whether the client has the finish reason, as it came.
    has_told_finish: bool,
    end: Option<End>,
    words: Option<Kept>,
    tally: Tally,
}

/// What the client asked.
#[derive(Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// As it came.
    pub(crate) request: &'a CallRequest,
    /// In the neutral form.
    pub(crate) chat: &'a Chat,
    /// What it takes to carry it.
    pub(crate) needs: Needs,
    /// Fields that the target was learned to refuse.
    pub(crate) learned: &'a [Fit],
}

/// What is being read.
enum Body {
    Nothing,
    Error {
        status: u16,
        bytes: Vec<u8>,
    },
    Whole(Vec<u8>),
    Stream {
        frames: Option<event_stream::Decoder>,
        parser: sse::Parser,
        reader: Box<dyn StreamReader>,
    },
    Done,
}

impl Upstream {
    pub(crate) fn start(
        http: &HttpClient,
        attempt: AttemptId,
        choice: &Choice,
        asked: Asked<'_>,
        resume: Resume,
    ) -> Self {
        let Asked { request, chat, needs, .. } = asked;
        let (dialect, _) = providers::served_in(&choice.endpoint, request.dialect, &choice.model);
        let speaks_alike = speaks_alike(request, chat, dialect);
        let how = resume.how;
        let mut upstream = Self {
            attempt,
            sending: Sending::default(),
            exchange: None,
            endpoint: choice.endpoint.clone(),
            dialect,
            speaks_alike,
            is_native: speaks_alike && matches!(how, How::Fresh | How::PickedUp),
            how,
            joint: None,
            hold: Hold::new(chat.stream && request.route.stream.hold_tool_calls),
            wants_stream: chat.stream,
            body: Body::Nothing,
            headers: HeaderMap::new(),
            warnings: Vec::new(),
            rate_limits: Vec::new(),
            needs,
            lessons: Vec::new(),
            is_stored: speaks_alike && asked::is_stored(request, chat),
            stored_id: resume.stored.as_ref().map(|stored| stored.id.clone()),
            promised: OutputFormat::Text,
            undo: Undo::default(),
            news: VecDeque::new(),
            pieces: Vec::new(),
            prelude: 0,
            has_told_finish: false,
            end: None,
            words: None,
            tally: Tally::default(),
        };
        upstream.begin(http, choice, asked, resume);
        upstream
    }

    /// Writes the request and sends it.
    fn begin(&mut self, http: &HttpClient, choice: &Choice, asked: Asked<'_>, resume: Resume) {
        let how = self.how;
        let prepared = self.prepare(choice, asked, &resume);
        let has_joint = !matches!(how, How::Fresh | How::PickedUp);
        self.joint = has_joint.then(|| Joint::new(resume, asked.chat));
        match prepared {
            Ok(request) => self.open(http, request),
            Err(cause) => self.news.push_back(News::Failed(cause)),
        }
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

    /// The answer's id at the provider that stores it, once it is known.
    pub(crate) fn stored_id(&self) -> Option<&str> {
        self.stored_id.as_deref().filter(|_| self.is_stored)
    }

    /// Takes what the answer's head said of the key's rate limits.
    pub(crate) fn take_rate_limits(&mut self) -> Vec<Left> {
        std::mem::take(&mut self.rate_limits)
    }

    /// Takes what a refusal has taught of the target.
    pub(crate) fn take_lessons(&mut self) -> Vec<Lesson> {
        std::mem::take(&mut self.lessons)
    }

    /// What the translation had to leave out or emulate.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Takes what has come for the client since the last time.
    pub(crate) fn take_pieces(&mut self) -> Vec<Piece> {
        self.has_told_finish |= self.pieces.iter().any(|p| p.raw.is_some() && p.is_finishing());
        std::mem::take(&mut self.pieces)
    }

    /// Takes the end of the answer, once it came, or once its finish reason has.
    pub(crate) fn take_end(&mut self) -> Option<End> {
        if let (None, Body::Stream { reader, .. }) = (&self.end, &mut self.body) {
            let ended = reader.end().ok()?;
            self.end = Some(End { ended: Some(ended), is_marked: false, answer: None });
        }
        self.end.take()
    }

    /// Of the text that it has said, how much goes to the client; in bytes.
    pub(crate) fn joined(&self) -> Option<(usize, usize)> {
        self.joint.as_ref().map(Joint::passed_of_said)
    }

    /// Whether it has nothing more to say.
    pub(crate) const fn has_failed(&self) -> bool {
        self.exchange.is_none() && self.sending.opening.is_none()
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
            if let Some(opening) = &mut self.sending.opening {
                let opened = opening.await;
                self.sending.opening = None;
                match opened {
                    Ok(exchange) => self.exchange = Some(exchange),
                    Err(cause) => self.fail(cause),
                }
                continue;
            }
            let Some(exchange) = &mut self.exchange else {
                // Everything was said; the engine has what it needs to go on.
                return std::future::pending().await;
            };
            let progress = exchange.next().await;
            self.take_in(progress);
        }
    }

    fn take_in(&mut self, progress: Progress) {
        match progress {
            Progress::Connected { .. } => {
                self.tally.sent();
                let is_again = self.sending.repairs > 0;
                self.news.push_back(if is_again { News::Alive } else { News::Connected });
            }
            Progress::Head(head) => self.take_head(head),
            Progress::Bytes(bytes) => self.take_bytes(&bytes),
            Progress::End => self.take_end_of_body(),
            Progress::Failed(cause) => self.take_failure(cause),
        }
    }

    fn take_head(&mut self, head: http::response::Parts) {
        let status = head.status.as_u16();
        self.tally.head(head.status.is_success());
        self.headers = head.headers;
        self.rate_limits = providers::rate_limits(&self.headers, Clock::unix_seconds());
        let frames = is_framed(self.content_type()).then(event_stream::Decoder::new);
        let is_event_stream =
            frames.is_some() || self.content_type().starts_with("text/event-stream");
        self.body = if !head.status.is_success() {
            Body::Error { status, bytes: Vec::new() }
        } else if self.wants_stream && is_event_stream {
            let reader = (self.dialect.stream_reader)();
            Body::Stream { frames, parser: sse::Parser::new(), reader }
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
        let Body::Stream { frames, parser, reader } = &mut self.body else { return };
        let decoded = match frames.as_mut().map(|frames| frames.push(bytes)) {
            Some(Ok(decoded)) => Bytes::from(decoded),
            Some(Err(_)) => return self.fail(FailureCause::Malformed),
            None => bytes.clone(),
        };
        let mut taken = Taken::new(self.is_native);
        let mut said = certain_end(reader.as_mut());
        let fault = match parser.push(&decoded) {
            Ok(()) => loop {
                let Some(event) = parser.next_event() else { break None };
                said = certain_end(reader.as_mut());
                if let Some(fault) = taken.read(event, reader.as_mut()) {
                    break Some(fault);
                }
                if reader.is_ended() {
                    break None;
                }
            },
            Err(_) => Some(Fault::Malformed),
        };
        taken.is_certain = reader.is_certain();
        // If everything was said before the fault, the answer is whole.
        let ended = match fault {
            Some(_) => Some(said),
            None => reader.is_ended().then(|| reader.end()),
        };
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
        self.count(&taken);
        let (size, is_certain) = (taken.size, taken.is_certain);
        let admitted = self.admit(taken.pieces);
        self.news.push_back(match admitted.flow {
            Some(flow) => News::Content(flow, admitted.tokens),
            None if admitted.is_joining => News::Joining,
            None => News::Alive,
        });
        if admitted.flow.is_some() {
            self.prelude = usize::MAX;
        } else if !has_delivered && !admitted.is_joining {
            self.prelude = self.prelude.saturating_add(size);
        }
        if admitted.is_finishing && is_certain && !self.hold.is_in_doubt() {
            self.news.push_back(News::Finishing);
        }
        match (admitted.end, fault, ended) {
            (Some(Err(cause)), ..) => self.fail(cause),
            (Some(Ok(ended)), ..) => self.finish(ended, false),
            (None, Some(fault), Some(Ok(ended))) if self.is_said(&fault, &ended) => {
                self.finish(ended, false);
            }
            (None, Some(Fault::Malformed), _) => self.fail(FailureCause::Malformed),
            (None, Some(Fault::Error(error)), _) => {
                // A finish reason that is not meant is not told.
                let meant = self.pieces.iter().position(Piece::is_finishing);
                self.pieces.truncate(meant.unwrap_or(self.pieces.len()));
                self.fail_with(&error);
            }
            (None, None, Some(Ok(ended))) => self.finish(ended, true),
            (None, None, Some(Err(_))) => self.fail(FailureCause::Truncated),
            (None, None, None) if self.prelude != usize::MAX && self.prelude > PRELUDE_MAX => {
                self.fail(FailureCause::Malformed);
            }
            (None, None, None) => {}
        }
    }

    /// Whether the answer was complete before the fault. Some hosts say that the limit was reached
    /// when they mean the error that follows; but what the client was told cannot be taken back.
    fn is_said(&self, fault: &Fault, ended: &Ended) -> bool {
        let is_length = ended.finish() == FinishReason::Length;
        let is_meant = self.has_told_finish || !(is_length && matches!(fault, Fault::Error(_)));
        self.prelude == usize::MAX && is_meant && !self.hold.is_in_doubt()
    }

    /// Lets through what the client may have: what fits what it has already, and whole tool calls.
    fn admit(&mut self, pieces: Vec<Piece>) -> Admitted {
        let mut admitted = Admitted::default();
        for mut piece in pieces {
            if piece.raw.is_none() {
                self.undo.events(&mut piece.events);
                admitted.end = self.undo.ended().map(Ok);
            }
            if let Some(joint) = &mut self.joint {
                match joint.take(&mut piece.events) {
                    Ok(is_stopped) => {
                        admitted.is_joining |= joint.is_joining();
                        if is_stopped {
                            admitted.end = Some(Ok(Ended::at_a_stop(None)));
                        }
                    }
                    Err(cause) => admitted.end = Some(Err(cause)),
                }
            }
            for event in &piece.events {
                admitted.flow = flow_of(event).or(admitted.flow);
                admitted.tokens = admitted.tokens.saturating_add(tokens_of(event));
                admitted.is_finishing |= matches!(event, StreamEvent::Finish(_));
                admitted.is_finishing &= !matches!(event, StreamEvent::ToolStart { .. });
            }
            let was_in_doubt = self.hold.is_in_doubt();
            if let Err(cause) = self.hold.take(piece, &mut self.pieces) {
                admitted.end.get_or_insert(Err(cause));
            }
            // What followed was no other call.
            admitted.is_finishing |= was_in_doubt && self.hold.is_empty();
            if admitted.end.is_some() {
                break;
            }
        }
        admitted
    }

    fn finish(&mut self, ended: Ended, is_marked: bool) {
        if let Err(cause) = self.hold.release(ended.finish(), &mut self.pieces) {
            return self.fail(cause);
        }
        let mut rest = Vec::new();
        self.undo.flush(&mut rest);
        if let Some(Err(cause)) = self.joint.as_mut().map(|joint| joint.finish(ended, &mut rest)) {
            return self.fail(cause);
        }
        self.pieces.push(Piece { raw: None, events: rest });
        self.end = Some(End { ended: Some(ended), is_marked, answer: None });
        self.body = Body::Done;
        // An answer without any content is no answer, unless all of it was there before.
        let was_there = self.joint.as_ref().is_some_and(Joint::has_text_before);
        let has_content = self.prelude == usize::MAX || was_there;
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
            Body::Stream { mut parser, mut reader, .. } => {
                let mut taken = Taken::new(self.is_native);
                // A line of an event without its data is no event.
                let tail = parser.finish().filter(|event| !event.data.is_empty());
                let said = certain_end(reader.as_mut());
                let fault = tail.and_then(|event| taken.read(event, reader.as_mut()));
                taken.close_last();
                let is_marked = reader.is_ended();
                if let Some(fault) = fault {
                    self.note(taken, Some(fault), Some(said));
                    return;
                }
                self.note(taken, None, None);
                match reader.end() {
                    _ if self.has_failed() || self.end.is_some() => {}
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
        match (self.dialect.read_answer)(bytes) {
            Ok(mut answer) => {
                self.tally.answered(&answer);
                self.undo.answer(&mut answer);
                if !keep_promise(&mut answer, &self.promised) {
                    return self.fail(FailureCause::Malformed);
                }
                if self.wants_stream {
                    // The target answered at once although a stream was asked for.
                    self.is_native = false;
                    let pieces = vec![Piece { raw: None, events: answer.to_events() }];
                    self.note(Taken { pieces, ..Taken::new(false) }, None, None);
                    if !self.has_failed() {
                        self.finish(answer.ended(), false);
                    }
                    return;
                }
                if self.is_native {
                    let (name, data) = (None, String::new());
                    let raw = Some(RawEvent { bytes: bytes.clone(), name, data });
                    self.pieces.push(Piece { raw, events: Vec::new() });
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
        if self.repair(status, &error) {
            return;
        }
        let phase = Phase::Head;
        let reply = ErrorReply { status, headers: &self.headers, body: &error, phase };
        let cause = (self.endpoint.provider.classify)(&reply);
        if let (FailureCause::KeyRejected, Some(cloud)) = (cause, &self.endpoint.cloud) {
            cloud.forget();
        }
        self.lessons.extend(lesson(cause, &error, self.needs));
        let cause = aside(self.dialect, joint::of_form(self.how, cause));
        self.words = Some(Kept {
            status,
            body: bytes.into(),
            dialect: self.dialect,
            content_type: self.headers.get(CONTENT_TYPE).cloned(),
        });
        self.fail(cause);
    }

    /// An error inside a 200.
    fn fail_with(&mut self, error: &ErrorBody) {
        let phase = Phase::InBody;
        let reply = ErrorReply { status: 200, headers: &self.headers, body: error, phase };
        let cause = (self.endpoint.provider.classify)(&reply);
        self.lessons.extend(lesson(cause, error, self.needs));
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
                Ok(ended) if reader.is_certain() && !self.hold.is_in_doubt() => {
                    self.finish(ended, false);
                }
                Ok(_) | Err(_) => self.fail(cause),
            },
            Body::Nothing | Body::Whole(_) | Body::Stream { .. } | Body::Done => self.fail(cause),
        }
    }

    fn fail(&mut self, cause: FailureCause) {
        self.tally.failed();
        self.body = Body::Done;
        self.sending.opening = None;
        self.exchange = None;
        self.news.push_back(News::Failed(cause));
    }
}

/// Whether the client's bytes can travel to the target, and its bytes back, untouched. A body of
/// another dialect than that of its path cannot.
fn speaks_alike(request: &CallRequest, chat: &Chat, dialect: &Dialect) -> bool {
    request.dialect.name == dialect.name
        && chat.origin == dialect.name
        && matches!(request.framing, Framing::Sse)
}

/// A target that does not count tokens or embed may answer well all the same: nobody is blamed.
fn aside(dialect: &Dialect, cause: FailureCause) -> FailureCause {
    match cause {
        FailureCause::Misconfigured { .. } | FailureCause::ModelGone if is_side(dialect) => {
            FailureCause::TargetCannot(Limitation::Feature)
        }
        _ => cause,
    }
}

/// What kind of content an event is, if it is some.
fn flow_of(event: &StreamEvent) -> Option<Flow> {
    if !event.is_content() {
        return None;
    }
    Some(match event {
        StreamEvent::Thinking(_) => Flow::Thinking,
        StreamEvent::ToolStart { .. } | StreamEvent::ToolArguments { .. } => Flow::Call,
        StreamEvent::Text(_)
        | StreamEvent::Refusal(_)
        | StreamEvent::Start { .. }
        | StreamEvent::Proof(_)
        | StreamEvent::ToolEnd { .. }
        | StreamEvent::Usage(_)
        | StreamEvent::Finish(_)
        | StreamEvent::Ping
        | StreamEvent::Error(_) => Flow::Text,
    })
}

/// About how many tokens of text: most providers make a piece of each.
fn tokens_of(event: &StreamEvent) -> u32 {
    let StreamEvent::Text(text) = event else { return 0 };
    let estimated = u32::try_from(estimated_tokens(text)).unwrap_or(u32::MAX);
    if text.is_empty() { 0 } else { estimated.max(1) }
}

/// The end, if it is one even when a fault follows it.
fn certain_end(reader: &mut dyn StreamReader) -> Result<Ended, Truncated> {
    if reader.is_certain() { reader.end() } else { Err(Truncated) }
}

/// Whether a stream comes in AWS's frames.
fn is_framed(content_type: &str) -> bool {
    content_type.starts_with("application/vnd.amazon.eventstream")
}

enum Fault {
    Malformed,
    Error(ErrorBody),
}

/// What became of what was read.
#[derive(Default)]
struct Admitted {
    /// The kind of the last content.
    flow: Option<Flow>,
    /// About how many tokens of text.
    tokens: u32,
    is_joining: bool,
    is_finishing: bool,
    /// Whether it is over, well or not.
    end: Option<Result<Ended, FailureCause>>,
}
