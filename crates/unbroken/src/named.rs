//! One call for any number of requests with the same `Idempotency-Key`: the effects.
//!
//! The engine's `idempotency.rs` says whether a request is the first of its name. Here is what
//! several clients can read at once: a recording that is written by whoever reads furthest. A
//! client that leaves is replaced by another one, or by nobody: then the call goes on to its end
//! in the background, because a client that named its call will ask for its answer again.

use std::collections::hash_map::RandomState;
use std::future::Future;
use std::hash::BuildHasher as _;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue};
use unbroken_engine::idempotency::{Claim, Flight, IdempotencyConfig, Named};
use unbroken_wire::dialects::{ClientError, Dialect, ErrorKind};

use crate::background;
use crate::clock::Clock;
use crate::reply::{CallRequest, CallStream, Reply, ReplyBody};

/// The header, as in the IETF draft "The Idempotency-Key HTTP header field".
const HEADER: &str = "idempotency-key";
/// A key is not longer, in bytes.
const KEY_MAX: usize = 255;
/// A recording that somebody still reads is not longer; who reads it then has to do without its
/// rest.
const RECORDING_MAX: usize = 64 << 20;
/// Headers that tell clients apart.
const CLIENT_HEADERS: &[&str] = &["authorization", "x-api-key", "x-goog-api-key", "api-key"];

pub(crate) type Running = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Everything that named calls share.
pub(crate) struct NamedCalls {
    calls: Mutex<Named<Arc<Recording>>>,
    hasher: RandomState,
    clock: Clock,
}

/// One call, as several clients read it.
pub(crate) struct Recording {
    /// Whoever holds it makes the call go on.
    source: tokio::sync::Mutex<Source>,
    tape: Mutex<Tape>,
    readers: AtomicUsize,
}

enum Source {
    Calling(Running),
    Streaming(CallStream),
    Nothing,
}

#[derive(Default)]
struct Tape {
    flight: Option<Flight>,
    head: Option<(u16, HeaderMap)>,
    is_stream: bool,
    chunks: Vec<Bytes>,
    size: usize,
    is_over: bool,
}

impl NamedCalls {
    pub(crate) fn new(clock: Clock) -> Self {
        let calls = Mutex::new(Named::new(IdempotencyConfig::default()));
        Self { calls, hasher: RandomState::new(), clock }
    }

    /// Whether a request has a name.
    pub(crate) fn is_named(request: &CallRequest) -> bool {
        request.headers.contains_key(HEADER)
    }

    /// The reply to a request that may have a name; `run` makes the call.
    pub(crate) async fn call(
        self: &Arc<Self>,
        request: CallRequest,
        run: impl FnOnce(CallRequest) -> Running,
    ) -> Reply {
        let Some(key) = request.headers.get(HEADER) else { return run(request).await };
        let dialect = request.dialect;
        let Some(key) = key.to_str().ok().filter(|key| (1..=KEY_MAX).contains(&key.len())) else {
            let message = format!("an idempotency-key has 1 to {KEY_MAX} printable characters");
            return refuse(dialect, 400, message, "invalid_idempotency_key");
        };
        let name = (self.client(&request), Arc::from(key));
        let fingerprint = self.fingerprint(&request);
        let mut running = Some(run(request));
        let make = |flight| Arc::new(Recording::new(flight, running.take()));
        let claim = self.calls().claim(&name, fingerprint, self.clock.now(), make);
        match claim {
            Claim::Untracked => match running {
                Some(running) => running.await,
                None => refuse(dialect, 500, "the call was lost".to_owned(), "internal"),
            },
            Claim::Mismatch => {
                let message = "this idempotency-key was used for another request".to_owned();
                refuse(dialect, 409, message, "idempotency_key_reused")
            }
            Claim::First(recording) => Reader::new(self, &recording).reply().await,
            Claim::Again(recording) => {
                let mut reply = Reader::new(self, &recording).reply().await;
                let replayed = HeaderValue::from_static("true");
                reply.headers.insert("x-unbroken-replayed", replayed);
                reply
            }
        }
    }

    /// Tells clients apart without remembering their keys.
    fn client(&self, request: &CallRequest) -> u64 {
        let header = |name: &&str| request.headers.get(*name).map(HeaderValue::as_bytes);
        let headers: Vec<Option<&[u8]>> = CLIENT_HEADERS.iter().map(header).collect();
        self.hasher.hash_one((request.dialect.name, headers))
    }

    /// Tells requests apart: everything that the answer depends on.
    fn fingerprint(&self, request: &CallRequest) -> u64 {
        let is_array = matches!(request.framing, unbroken_wire::dialects::Framing::JsonArray);
        let path = (&request.model_in_path, request.stream_in_path, is_array);
        self.hasher.hash_one((path, &request.route.name, &request.body[..]))
    }

    fn calls(&self) -> MutexGuard<'_, Named<Arc<Recording>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sending the same again would not help.
fn refuse(dialect: &Dialect, status: u16, message: String, code: &str) -> Reply {
    let (kind, code) = (ErrorKind::InvalidRequest, Some(code.to_owned()));
    let error = ClientError { status, kind, message, code, param: None };
    let mut reply = Reply::error(dialect, &error);
    reply.headers.insert("x-should-retry", HeaderValue::from_static("false"));
    reply
}

impl Recording {
    fn new(flight: Flight, running: Option<Running>) -> Self {
        let source = tokio::sync::Mutex::new(running.map_or(Source::Nothing, Source::Calling));
        let tape = Mutex::new(Tape { flight: Some(flight), ..Tape::default() });
        Self { source, tape, readers: AtomicUsize::new(0) }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One client of a recording.
struct Reader {
    calls: Arc<NamedCalls>,
    recording: Arc<Recording>,
    /// Chunks that it has read.
    read: usize,
}

impl Reader {
    fn new(calls: &Arc<NamedCalls>, recording: &Arc<Recording>) -> Self {
        recording.readers.fetch_add(1, Ordering::Relaxed);
        Self { calls: calls.clone(), recording: recording.clone(), read: 0 }
    }

    /// The reply, once there is one.
    async fn reply(mut self) -> Reply {
        loop {
            let head = self.recording.tape().head.clone();
            if let Some((status, headers)) = head {
                let is_stream = self.recording.tape().is_stream;
                let body = if is_stream {
                    ReplyBody::Stream(self.into_stream())
                } else {
                    ReplyBody::Whole(self.next().await.unwrap_or_default())
                };
                return Reply { status, headers, body };
            }
            self.go_on().await;
        }
    }

    fn into_stream(self) -> CallStream {
        CallStream::of(stream::unfold(self, |mut reader| async move {
            let bytes = reader.next().await?;
            Some((bytes, reader))
        }))
    }

    /// The next chunk; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            {
                let tape = self.recording.tape();
                if let Some(chunk) = tape.chunks.get(self.read) {
                    self.read += 1;
                    return Some(chunk.clone());
                }
                if tape.is_over {
                    return None;
                }
            }
            self.go_on().await;
        }
    }

    /// Makes the call go on by one step, or waits for somebody who does. Cancel-safe: the call
    /// itself stays in the recording.
    async fn go_on(&self) {
        let seen = self.recording.tape().progress();
        let mut source = self.recording.source.lock().await;
        if self.recording.tape().progress() != seen {
            return;
        }
        match &mut *source {
            Source::Calling(running) => {
                let reply = running.as_mut().await;
                *source = self.begin(reply);
            }
            Source::Streaming(stream) => match stream.next().await {
                Some(chunk) if self.record(&chunk) => {}
                Some(_) => {
                    *source = Source::Nothing;
                    self.end(false);
                }
                None => {
                    let is_good = stream.is_complete();
                    *source = Source::Nothing;
                    self.end(is_good);
                }
            },
            Source::Nothing => self.end(false),
        }
    }

    fn begin(&self, reply: Reply) -> Source {
        let is_stream = matches!(reply.body, ReplyBody::Stream(_));
        {
            let mut tape = self.recording.tape();
            tape.head = Some((reply.status, reply.headers));
            tape.is_stream = is_stream;
        }
        match reply.body {
            ReplyBody::Stream(stream) => Source::Streaming(stream),
            ReplyBody::Whole(bytes) => {
                self.record(&bytes);
                self.end(reply.status == 200);
                Source::Nothing
            }
        }
    }

    /// False if the recording has become too long for anybody.
    fn record(&self, chunk: &Bytes) -> bool {
        let (flight, size) = {
            let mut tape = self.recording.tape();
            tape.size = tape.size.saturating_add(chunk.len());
            let grown = (tape.flight.clone(), tape.size);
            tape.chunks.push(chunk.clone());
            grown
        };
        let is_kept = flight.is_some_and(|flight| self.calls.calls().grew(&flight, chunk.len()));
        if !is_kept {
            self.recording.tape().flight = None;
        }
        size <= RECORDING_MAX
    }

    fn end(&self, is_good: bool) {
        let flight = {
            let mut tape = self.recording.tape();
            tape.is_over = true;
            tape.head.get_or_insert_with(|| (503, HeaderMap::new()));
            tape.flight.take()
        };
        if let Some(flight) = flight {
            self.calls.calls().ended(&flight, is_good, self.calls.clock.now());
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let was_last = self.recording.readers.fetch_sub(1, Ordering::Relaxed) == 1;
        let is_wanted = {
            let tape = self.recording.tape();
            !tape.is_over && tape.flight.is_some()
        };
        if was_last && is_wanted && tokio::runtime::Handle::try_current().is_ok() {
            let mut reader = Self::new(&self.calls, &self.recording);
            drop(background::spawn("named call", async move {
                while reader.recording.tape().head.is_none() {
                    reader.go_on().await;
                }
                while reader.next().await.is_some() {}
            }));
        }
    }
}

impl Tape {
    /// Changes whenever anything does.
    fn progress(&self) -> (bool, usize, bool) {
        (self.head.is_some(), self.chunks.len(), self.is_over)
    }
}
