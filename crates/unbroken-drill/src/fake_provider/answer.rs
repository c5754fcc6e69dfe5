//! How is a request answered, with and without a fault?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::State;
use super::dialect::{FakeDialect, Script};
use super::serve::{Line, Outgoing};
use super::words::{Asked, decide};
use crate::background;
use crate::fault::{BodyKind, CutKind, Fault};

/// What to do about one request.
pub(super) struct Answering {
    pub(super) state: Arc<State>,
    pub(super) dialect: FakeDialect,
    pub(super) asked: Asked,
    pub(super) entry: usize,
    pub(super) line: Line,
}

/// A body that is here.
pub(super) fn whole(status: u16, kind: &str, body: impl Into<Bytes>) -> Outgoing {
    let body = Full::new(body.into()).map_err(|never| match never {}).boxed();
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert("content-type", kind);
    }
    response
}

fn with_retry_after(mut response: Outgoing, seconds: Option<u32>) -> Outgoing {
    if let Some(seconds) = seconds {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// A name for the journal.
pub(super) fn fault_name(fault: Fault) -> String {
    let value = serde_json::to_value(fault).unwrap_or_default();
    value.get("do").and_then(Value::as_str).unwrap_or("fault").to_owned()
}

impl Answering {
    /// The answer; an error closes the connection.
    pub(super) async fn respond(self, fault: Option<Fault>) -> io::Result<Outgoing> {
        let Some(fault) = fault else { return Ok(self.answer(Playing::default()).await) };
        match fault {
            // Connections from before the fault are closed; whoever comes after it is served.
            Fault::DnsFailure | Fault::DnsStall { .. } | Fault::TlsFailure | Fault::Refuse
                if self.line.is_newer_than_faults(&self.state) =>
            {
                Ok(self.answer(Playing::default()).await)
            }
            Fault::DnsFailure
            | Fault::DnsStall { .. }
            | Fault::TlsFailure
            | Fault::Refuse
            | Fault::Close => Err(io::ErrorKind::ConnectionAborted.into()),
            Fault::Reset => {
                self.line.reset_on_close();
                Err(io::ErrorKind::ConnectionReset.into())
            }
            Fault::BlackHole => std::future::pending().await,
            Fault::Status { status, body, retry_after } => {
                Ok(with_retry_after(self.status(status, body), retry_after))
            }
            Fault::Unauthorized => Ok(self.unauthorized()),
            Fault::RateLimit { retry_after } => {
                Ok(with_retry_after(self.rate_limit(), retry_after))
            }
            Fault::Quota => Ok(self.quota()),
            Fault::Overloaded => Ok(self.overloaded()),
            Fault::ModelGone => Ok(self.model_gone()),
            Fault::UnsupportedParameter => {
                Ok(self.refuse_400("unsupported_parameter", "Unsupported parameter: 'top_k'"))
            }
            Fault::ContextTooLong => Ok(self.refuse_400(
                "context_length_exceeded",
                "This model's maximum context length is 8 tokens. Please reduce the length.",
            )),
            Fault::InvalidRequest => {
                Ok(self.refuse_400("invalid_value", "Invalid 'temperature': must be a number."))
            }
            Fault::Empty200 => Ok(whole(200, "application/json", "")),
            Fault::ErrorIn200 => Ok(self.error_in_200()),
            Fault::JsonInsteadOfStream => Ok(self.json()),
            Fault::SlowFirstToken { ms } => {
                let first_token = Some(Duration::from_millis(u64::from(ms)));
                Ok(self.answer(Playing { first_token, ..Playing::default() }).await)
            }
            Fault::SlowTokens { ms } => {
                let gap = Some(Duration::from_millis(u64::from(ms)));
                Ok(self.answer(Playing { gap, ..Playing::default() }).await)
            }
            Fault::CutStream { after_words, how } => {
                Ok(self.cut(after_words, Stop::Cut(how)).await)
            }
            Fault::NoEnd { after_words } => Ok(self.cut(after_words, Stop::End).await),
            Fault::Stall { after_words, pings } => {
                Ok(self.cut(after_words, Stop::Stall { pings }).await)
            }
            Fault::Malformed { after_words } => Ok(self.cut(after_words, Stop::Malformed).await),
            Fault::ErrorEvent { after_words } => Ok(self.cut(after_words, Stop::Error).await),
        }
    }

    async fn cut(self, after_words: u32, stop: Stop) -> Outgoing {
        let after = usize::try_from(after_words).unwrap_or(usize::MAX);
        self.answer(Playing { stop: Some((after, stop)), ..Playing::default() }).await
    }

    async fn answer(self, playing: Playing) -> Outgoing {
        if self.asked.stream {
            return self.stream(playing);
        }
        let content = decide(&self.asked, self.state.config.words);
        let wait = playing.first_token.unwrap_or(self.state.config.first_token);
        tokio::time::sleep(wait).await;
        if let Some((after, stop)) = playing.stop {
            return self.broken_whole(after, stop);
        }
        self.state.amend(self.entry, |entry| entry.words_sent = self.state.config.words);
        whole(200, "application/json", self.dialect.whole(&self.asked, &content).to_string())
    }

    /// What breaks a stream breaks a whole answer in the middle of its body.
    fn broken_whole(&self, after: usize, stop: Stop) -> Outgoing {
        match stop {
            Stop::Error => self.status(500, BodyKind::Json),
            Stop::Malformed => whole(200, "application/json", "{\"choices\": [{"),
            Stop::Cut(_) | Stop::End | Stop::Stall { .. } => {
                let content = decide(&self.asked, self.state.config.words);
                let text = self.dialect.whole(&self.asked, &content).to_string();
                let half = text.get(..(text.len() / 2 + after).min(text.len() - 1));
                let script =
                    Script { content: vec![half.unwrap_or("{").to_owned()], ..Script::default() };
                let mut response =
                    self.play(script, Playing { stop: Some((1, stop)), ..Playing::default() });
                let json = http::HeaderValue::from_static("application/json");
                response.headers_mut().insert("content-type", json);
                response
            }
        }
    }

    fn stream(&self, playing: Playing) -> Outgoing {
        let content = decide(&self.asked, self.state.config.words);
        let script = self.dialect.script(&self.asked, &content);
        self.play(script, playing)
    }

    fn play(&self, script: Script, playing: Playing) -> Outgoing {
        let (sender, receiver) = mpsc::channel(1);
        let player = Player {
            state: self.state.clone(),
            dialect: self.dialect,
            entry: self.entry,
            line: self.line.clone(),
            sender,
            first_token: playing.first_token.unwrap_or(self.state.config.first_token),
            gap: playing.gap.unwrap_or(self.state.config.gap),
            stop: playing.stop,
        };
        let _ = background::spawn(player.play(script));
        let mut response = Response::new(body_of(receiver));
        let kind = http::HeaderValue::from_static("text/event-stream; charset=utf-8");
        response.headers_mut().insert("content-type", kind);
        response
    }

    fn error(&self, status: u16, kinds: [&str; 3], code: &str, message: &str) -> Outgoing {
        let kind = match self.dialect {
            FakeDialect::OpenaiChat => kinds[0],
            FakeDialect::AnthropicMessages => kinds[1],
            FakeDialect::Gemini => kinds[2],
        };
        let body = self.dialect.error(status, kind, code, message);
        whole(status, "application/json", body.to_string())
    }

    fn status(&self, status: u16, body: BodyKind) -> Outgoing {
        match body {
            BodyKind::Json => self.error(
                status,
                ["server_error", "api_error", "INTERNAL"],
                "",
                "The server had an error while processing your request.",
            ),
            BodyKind::Html => whole(
                status,
                "text/html; charset=UTF-8",
                format!(
                    "<!DOCTYPE html><html><head><title>{status}: Web server</title></head></html>"
                ),
            ),
            BodyKind::Empty => whole(status, "text/plain", ""),
        }
    }

    fn unauthorized(&self) -> Outgoing {
        let kinds = ["invalid_request_error", "authentication_error", "INVALID_ARGUMENT"];
        let message = "Incorrect API key provided. API key not valid.";
        // Google answers a wrong key with a 400.
        let status = if self.dialect == FakeDialect::Gemini { 400 } else { 401 };
        self.error(status, kinds, "invalid_api_key", message)
    }

    fn rate_limit(&self) -> Outgoing {
        let kinds = ["requests", "rate_limit_error", "RESOURCE_EXHAUSTED"];
        self.error(429, kinds, "rate_limit_exceeded", "Rate limit reached for requests.")
    }

    fn quota(&self) -> Outgoing {
        let kinds = ["insufficient_quota", "billing_error", "RESOURCE_EXHAUSTED"];
        let message = "You exceeded your current quota, please check your plan and billing.";
        self.error(429, kinds, "insufficient_quota", message)
    }

    fn overloaded(&self) -> Outgoing {
        let kinds = ["service_unavailable_error", "overloaded_error", "UNAVAILABLE"];
        let status = if self.dialect == FakeDialect::AnthropicMessages { 529 } else { 503 };
        self.error(status, kinds, "server_is_overloaded", "Overloaded")
    }

    fn model_gone(&self) -> Outgoing {
        let kinds = ["invalid_request_error", "not_found_error", "NOT_FOUND"];
        let message = format!("The model `{}` does not exist.", self.asked.model);
        self.error(404, kinds, "model_not_found", &message)
    }

    fn refuse_400(&self, code: &str, message: &str) -> Outgoing {
        let kinds = ["invalid_request_error", "invalid_request_error", "INVALID_ARGUMENT"];
        self.error(400, kinds, code, message)
    }

    fn error_in_200(&self) -> Outgoing {
        if self.asked.stream {
            whole(200, "text/event-stream", self.dialect.error_event())
        } else {
            let error = self.dialect.error(503, "server_error", "", "upstream failed");
            whole(200, "application/json", error.to_string())
        }
    }

    fn json(&self) -> Outgoing {
        let content = decide(&self.asked, self.state.config.words);
        whole(200, "application/json", self.dialect.whole(&self.asked, &content).to_string())
    }
}

/// How a stream is played.
#[derive(Clone, Copy, Debug, Default)]
struct Playing {
    first_token: Option<Duration>,
    gap: Option<Duration>,
    stop: Option<(usize, Stop)>,
}

/// How a stream stops before its end.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Cut(CutKind),
    End,
    Stall { pings: bool },
    Malformed,
    Error,
}

type Piece = Result<Frame<Bytes>, io::Error>;

fn body_of(receiver: mpsc::Receiver<Piece>) -> BoxBody<Bytes, io::Error> {
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    BoxBody::new(StreamBody::new(OneReader(std::sync::Mutex::new(Box::pin(pieces)))))
}

/// `BoxBody` wants to be shared between threads; a stream is only ever polled by one of them.
struct OneReader<S>(std::sync::Mutex<std::pin::Pin<Box<S>>>);

impl<S: futures_util::Stream> futures_util::Stream for OneReader<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        let inner = self.0.get_mut().unwrap_or_else(std::sync::PoisonError::into_inner);
        inner.as_mut().poll_next(context)
    }
}

/// Sends the events of one stream in their time.
struct Player {
    state: Arc<State>,
    dialect: FakeDialect,
    entry: usize,
    line: Line,
    sender: mpsc::Sender<Piece>,
    first_token: Duration,
    gap: Duration,
    stop: Option<(usize, Stop)>,
}

impl Player {
    async fn play(self, script: Script) {
        if self.send_all(script).await.is_none() {
            self.state.amend(self.entry, |entry| entry.client_left = true);
        }
    }

    /// `None` when the client has left.
    async fn send_all(&self, script: Script) -> Option<()> {
        if self.stop.is_some_and(|(after, _)| after == 0) && self.stop_now().await? {
            return Some(());
        }
        for event in script.prelude {
            self.send(event).await?;
        }
        self.sleep(self.first_token).await?;
        for (n, event) in script.content.into_iter().enumerate() {
            if self.stop.is_some_and(|(after, _)| after == n && n > 0) && self.stop_now().await? {
                return Some(());
            }
            if n > 0 {
                self.sleep(self.gap).await?;
            }
            self.send(event).await?;
            self.state.amend(self.entry, |entry| entry.words_sent += 1);
        }
        if self.stop.is_some() && self.stop_now().await? {
            return Some(());
        }
        for event in script.end {
            self.send(event).await?;
        }
        Some(())
    }

    async fn send(&self, event: String) -> Option<()> {
        self.sender.send(Ok(Frame::data(event.into()))).await.ok()
    }

    /// Sleeps, unless the client leaves meanwhile.
    async fn sleep(&self, wait: Duration) -> Option<()> {
        tokio::select! {
            () = self.sender.closed() => None,
            () = tokio::time::sleep(wait) => Some(()),
        }
    }

    /// Stops as the fault says; false to go on with the rest.
    async fn stop_now(&self) -> Option<bool> {
        let Some((_, stop)) = self.stop else { return Some(false) };
        match stop {
            Stop::Cut(how) => {
                if how == CutKind::Reset {
                    self.line.reset_on_close();
                }
                let error: io::Error = io::ErrorKind::ConnectionReset.into();
                // What was sent before must arrive before the connection ends.
                self.sleep(Duration::from_millis(20)).await?;
                drop(self.sender.send(Err(error)).await);
                Some(true)
            }
            Stop::End => Some(true),
            Stop::Malformed => {
                self.send("data: {\"choices\": [{\"delta\": \n\n".to_owned()).await?;
                Some(false)
            }
            Stop::Error => {
                self.send(self.dialect.error_event()).await?;
                Some(true)
            }
            Stop::Stall { pings } => loop {
                self.sleep(Duration::from_secs(1)).await?;
                if pings {
                    self.send(self.dialect.ping().to_owned()).await?;
                }
            },
        }
    }
}

/// The list of models, in whichever dialect it was asked for.
pub(super) fn models(path: &str) -> Value {
    if path.starts_with("/v1beta") {
        json!({ "models": [{ "name": "models/fake" }] })
    } else {
        json!({ "object": "list", "data": [{ "id": "fake", "object": "model" }], "has_more": false })
    }
}
