//! What the client gets: bytes of the answer in the client's own dialect, and the honest headers.
//!
//! One answer may be made of the answers of several attempts. Events of the first one pass as they
//! came, if it speaks the client's dialect; the writer takes note of them, so that it can go on
//! where they stop. The client sees one id, one beginning and one end.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use unbroken_engine::call::AttemptId;
use unbroken_engine::cause::FailureCause;
use unbroken_engine::resume::{Delivered, How};
use unbroken_wire::chat::{Chat, StreamEvent};
use unbroken_wire::dialects::{
    ClientError, Dialect, Ended, ErrorKind, Framing, StreamHead, StreamWriter,
};

use crate::asked;
use crate::clock::Clock;
use crate::delivered::Ledger;
use crate::reply::CallRequest;
use crate::upstream::{End, Piece, Upstream};

/// Headers of the provider's answer that its own SDK shows to programs.
const PROVIDER_HEADERS: &[&str] = &["openai-", "anthropic-", "x-ratelimit-", "request-id"];

/// What goes to the client of one call.
pub(crate) struct Relay {
    dialect: &'static Dialect,
    head: StreamHead,
    is_stream: bool,
    /// Whether a stream with a seam says so before its end.
    has_trail: bool,
    writer: Box<dyn StreamWriter>,
    /// Whose answer goes to the client.
    attempt: Option<AttemptId>,
    is_native: bool,
    /// What the client may have.
    out: Vec<u8>,
    /// What precedes the first content; not for the client before that.
    prelude: Vec<u8>,
    ledger: Ledger,
    /// Whether the answer is stored where it is made, and the number of the last event of it.
    is_stored: bool,
    last_event: Option<u64>,
    /// About how many tokens going on has cost beside the answer.
    added_tokens: u64,
    /// Whether the client has the head of a stream.
    is_committed: bool,
    headers: HeaderMap,
    warnings: Vec<String>,
}

impl Relay {
    pub(crate) fn new(request: &CallRequest, chat: &Chat) -> Self {
        let created = Clock::unix_seconds();
        let head = StreamHead::of(chat, &request.id, created, request.framing);
        Self {
            dialect: request.dialect,
            is_stream: chat.stream,
            has_trail: request.route.stream.trail,
            writer: (request.dialect.stream_writer)(&head),
            head,
            attempt: None,
            is_native: false,
            out: Vec::new(),
            prelude: Vec::new(),
            ledger: Ledger::new(chat),
            is_stored: asked::is_stored(request, chat),
            last_event: None,
            added_tokens: 0,
            is_committed: false,
            headers: HeaderMap::new(),
            warnings: Vec::new(),
        }
    }

    /// Whether there is something for the client to see.
    pub(crate) fn has_begun(&self) -> bool {
        if self.is_stream { self.ledger.is_visible() } else { self.attempt.is_some() }
    }

    /// Whose answer goes to the client, once one does.
    pub(crate) const fn attempt(&self) -> Option<AttemptId> {
        self.attempt
    }

    /// The client gets the head of a stream: what was made for it so far is delivered.
    pub(crate) const fn commit(&mut self) {
        self.is_committed = true;
    }

    /// Whether the client has the head of a stream.
    pub(crate) const fn is_committed(&self) -> bool {
        self.is_committed
    }

    /// What the client has of the answer.
    pub(crate) fn delivered(&self) -> Delivered {
        if self.is_committed { self.ledger.delivered() } else { Delivered::Nothing }
    }

    /// The number of the last event that went to the client, of an answer that is stored.
    pub(crate) fn last_event(&self) -> Option<u64> {
        self.last_event.filter(|_| self.has_begun())
    }

    /// What the client has of the answer, in detail.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The attempt that was relayed failed before the client saw anything of it.
    pub(crate) fn start_over(&mut self) {
        self.attempt = None;
        self.out.clear();
        self.prelude.clear();
        self.last_event = None;
        self.ledger.forget();
        self.writer = (self.dialect.stream_writer)(&self.head);
        self.headers.clear();
        self.warnings.clear();
    }

    /// Somebody is asked to go on: the input is paid for once more, and what is sent along with it.
    pub(crate) fn asked_to_go_on(&mut self, how: How) {
        let sent_along = match how {
            How::Prefix | How::Instructed => self.ledger.tokens(),
            How::Fresh | How::Restart | How::PickedUp => 0,
        };
        self.added_tokens += self.head.input_tokens_estimate + sent_along;
    }

    /// From now on this attempt's content goes to the client.
    pub(crate) fn begin(&mut self, upstream: &Upstream, target: String, how: How) {
        self.attempt = Some(upstream.attempt());
        self.is_native = upstream.is_native();
        if how == How::PickedUp && self.has_begun() {
            // The same answer: its own events follow.
            return;
        }
        self.ledger.hop(target, how);
        if !matches!(how, How::Fresh | How::PickedUp) {
            self.writer.seam(&mut self.out);
            return;
        }
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
            self.pass(&piece);
        }
    }

    fn pass(&mut self, piece: &Piece) {
        if let Some(raw) = &piece.raw {
            self.prelude.extend_from_slice(&raw.bytes);
            if self.is_stream {
                self.writer.adopt(raw.name.as_deref(), &raw.data);
            }
            if self.is_stored {
                self.last_event = number_of(&raw.data).or(self.last_event);
            }
        }
        let is_later = self.ledger.hops().len() > 1;
        for event in &piece.events {
            self.ledger.take(event);
            // Ids and the model's name are the first one's.
            let is_known = is_later && matches!(event, StreamEvent::Start { .. });
            if piece.raw.is_none() && !is_known {
                self.writer.write(event, &mut self.prelude);
            }
        }
        if self.has_begun() {
            self.out.append(&mut self.prelude);
        }
    }

    /// The answer is whole. Without an attempt that ended, it is whole by its own limit.
    pub(crate) fn finish(&mut self, mut upstream: Option<&mut Upstream>) {
        let mut end = None;
        let mut joined = None;
        if let Some(upstream) = &mut upstream {
            self.pass_on(upstream);
            end = upstream.take_end();
            joined = upstream.joined();
        }
        self.out.append(&mut self.prelude);
        let End { ended, is_marked, answer } = end.unwrap_or_default();
        if !self.is_stream {
            if let (false, Some(answer)) = (self.is_native, answer) {
                self.out.extend((self.dialect.write_answer)(&answer, &self.head));
            }
            return;
        }
        let estimate = self.head.input_tokens_estimate;
        let has_seam = self.ledger.hops().len() > 1;
        // What was told anew was paid for, too.
        let (passed, said) = joined.unwrap_or_default();
        self.added_tokens += (said.saturating_sub(passed) / 4) as u64;
        let Some(ended) = ended else {
            let usage = self.ledger.usage(None, None, estimate);
            self.write_end(&Ended::at_the_limit(usage));
            return;
        };
        if has_seam {
            let usage = self.ledger.usage(ended.usage(), joined, estimate);
            self.write_end(&ended.with_usage(usage));
        } else if !self.is_native {
            self.write_end(&ended);
        } else if !is_marked {
            // Complete, but its last events never came: the client's SDK waits for them.
            if ended.usage().is_none() {
                let usage = self.ledger.usage(None, None, estimate);
                self.writer.missing_usage(&usage, &mut self.out);
            }
            self.out.extend_from_slice(self.dialect.terminal.as_bytes());
        }
    }

    fn write_end(&mut self, ended: &Ended) {
        if self.has_trail && self.ledger.hops().len() > 1 && self.dialect.has_comments {
            let targets: Vec<&str> =
                self.ledger.hops().iter().map(|hop| hop.target.as_str()).collect();
            let ways: Vec<&str> =
                self.ledger.hops().iter().skip(1).map(|hop| hop.how.name()).collect();
            let trail = format!(
                ": unbroken targets={} seams={} how={} added_tokens={} usage=estimated\n\n",
                targets.join(","),
                ways.len(),
                ways.join(","),
                self.added_tokens,
            );
            self.out.extend_from_slice(trail.as_bytes());
        }
        self.writer.end(ended, &mut self.out);
    }

    /// The answer broke after its first content: say so, and never end it as if it were whole.
    pub(crate) fn break_off(&mut self, cause: FailureCause) {
        self.error(format!("the answer broke off: {cause}"), "stream_interrupted");
    }

    /// Tells an error in a stream whose head the client has.
    pub(crate) fn error(&mut self, message: String, code: &str) {
        let error = ClientError {
            status: 503,
            kind: ErrorKind::Unavailable,
            message,
            code: Some(code.to_owned()),
            param: None,
        };
        self.prelude.clear();
        self.writer.error(&error, &mut self.out);
    }

    /// A sign of life.
    pub(crate) fn keep_alive(&mut self) {
        self.writer.keep_alive(&mut self.out);
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
        match (self.is_stream, self.head.framing) {
            (true, Framing::Sse) => "text/event-stream; charset=utf-8",
            (true, Framing::JsonArray) | (false, _) => "application/json",
        }
    }
}

/// The number of an event of Responses.
fn number_of(data: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(data).ok()?.get("sequence_number")?.as_u64()
}
