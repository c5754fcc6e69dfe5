//! The port: accepts, refuses, routes, and takes commands.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::answer::{Answering, fault_name, models, whole};
use super::dialect::{FakeDialect, Rejection};
use super::frames::Framing;
use super::stored;
use super::words::Asked;
use super::{Armed, Mannered, State, clouds};
use crate::background;
use crate::fault::Fault;

/// A request may not be larger.
const REQUEST_MAX: usize = 64 << 20;

pub(super) type Outgoing = Response<BoxBody<Bytes, io::Error>>;

/// The connection under a request: lets a fault decide how it ends.
#[derive(Clone)]
pub(super) struct Line {
    socket: Arc<std::net::TcpStream>,
    /// How many faults had been set when it was opened.
    faults: u64,
}

impl Line {
    /// Whether it was opened after the last fault was set.
    pub(super) fn is_newer_than_faults(&self, state: &State) -> bool {
        self.faults == state.inner().faults
    }

    /// When the connection closes, it is by a reset.
    pub(super) fn reset_on_close(&self) {
        let linger = Some(Duration::ZERO);
        drop(socket2::SockRef::from(self.socket.as_ref()).set_linger(linger));
    }
}

/// Serves until aborted.
pub(super) async fn run(
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
    state: Arc<State>,
) {
    let mut refuses = state.refuses.subscribe();
    let mut listener = Some(listener);
    loop {
        if *refuses.borrow_and_update() {
            listener = None;
            if refuses.changed().await.is_err() {
                return;
            }
            continue;
        }
        let Some(open) = &listener else {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            continue;
        };
        tokio::select! {
            changed = refuses.changed() => if changed.is_err() { return },
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    let _ = background::spawn(serve(stream, tls.clone(), state.clone()));
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, tls: Option<TlsAcceptor>, state: Arc<State>) {
    drop(stream.set_nodelay(true));
    state.inner().connections += 1;
    let Ok(line) = socket2::SockRef::from(&stream).try_clone() else { return };
    let line = Line { socket: Arc::new(line.into()), faults: state.inner().faults };
    match tls {
        None => speak(TokioIo::new(stream), state, line).await,
        // What comes is read, and nothing that TLS knows is said.
        Some(_) if state.peek() == Some(Fault::TlsFailure) => drop(stream),
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                speak(TokioIo::new(stream), state, line).await;
            }
        }
    }
}

async fn speak<S>(stream: S, state: Arc<State>, line: Line)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let (state, line) = (state.clone(), line.clone());
        async move { handle(request, state, line).await }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    drop(builder.serve_connection(stream, service).await);
}

async fn handle(request: Request<Incoming>, state: Arc<State>, line: Line) -> io::Result<Outgoing> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_MAX).collect().await;
    let body = body.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?.to_bytes();
    let path = head.uri.path();
    if path.starts_with("/fake/") {
        return Ok(
            command(&head.method, path, &body, &state).unwrap_or_else(|never| match never {})
        );
    }
    if let Some(given) = clouds::answer(&head.method, path, &head.headers, &body, &state) {
        return Ok(given);
    }
    if let Some(rest) = stored::pick_up(&state, &head) {
        return Ok(rest);
    }
    if head.method == Method::GET {
        // What ails the whole provider ails its list of models, too.
        match state.peek() {
            Some(Fault::BlackHole) => return std::future::pending().await,
            Some(Fault::Reset | Fault::Close | Fault::Refuse | Fault::TlsFailure) => {
                line.reset_on_close();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            _ => return Ok(whole(200, "application/json", models(path).to_string())),
        }
    }
    if let Some(answer) = aside(path, &body) {
        return Ok(match state.peek() {
            None => whole(200, "application/json", answer.to_string()),
            Some(_) => whole(503, "application/json", "{\"error\":{\"message\":\"down\"}}"),
        });
    }
    let Some(dialect) = dialect_of(path) else {
        return Ok(whole(404, "application/json", json!({ "error": "no such path" }).to_string()));
    };
    answer(dialect, path, &head.headers, &body, state, line).await
}

/// What is asked besides answers: counts of tokens, and vectors of two numbers.
fn aside(path: &str, body: &[u8]) -> Option<Value> {
    let asked: Value = serde_json::from_slice(body).unwrap_or_default();
    let is_packed = asked.get("encoding_format").and_then(Value::as_str) == Some("base64");
    let place = path.rsplit(['/', ':']).next()?;
    Some(match place {
        "count_tokens" => json!({ "input_tokens": 10 }),
        "input_tokens" => json!({ "object": "response.input_tokens", "input_tokens": 10 }),
        "countTokens" => json!({ "totalTokens": 10 }),
        "embeddings" => {
            // 0.5 and 0.25, as they are or as little-endian bytes.
            let vector = if is_packed { json!("AAAAPwAAgD4=") } else { json!([0.5, 0.25]) };
            json!({
                "object": "list", "model": asked.get("model"),
                "data": [{ "object": "embedding", "index": 0, "embedding": vector }],
                "usage": { "prompt_tokens": 2, "total_tokens": 2 },
            })
        }
        _ => return None,
    })
}

fn dialect_of(path: &str) -> Option<FakeDialect> {
    if path.ends_with("/chat/completions") {
        Some(FakeDialect::OpenaiChat)
    } else if path.ends_with("/responses") {
        Some(FakeDialect::OpenaiResponses)
    } else if path.ends_with("/messages") || path.ends_with("awPredict") {
        Some(FakeDialect::AnthropicMessages)
    } else if path.starts_with("/model/") && path.contains("/converse") {
        Some(FakeDialect::BedrockConverse)
    } else if path.starts_with("/model/") && path.contains("/invoke") {
        Some(FakeDialect::AnthropicMessages)
    } else if path.ends_with("/v2/chat") {
        Some(FakeDialect::CohereChat)
    } else if path.ends_with(":generateContent") || path.ends_with(":streamGenerateContent") {
        Some(FakeDialect::Gemini)
    } else {
        None
    }
}

/// How a stream of this path is framed.
fn framing_of(path: &str) -> Framing {
    match (path.starts_with("/model/"), path.contains("/invoke")) {
        (false, _) => Framing::Sse,
        (true, false) => Framing::Events,
        (true, true) => Framing::Chunks,
    }
}

async fn answer(
    dialect: FakeDialect,
    path: &str,
    headers: &HeaderMap,
    body: &[u8],
    state: Arc<State>,
    line: Line,
) -> io::Result<Outgoing> {
    let is_let_in = clouds::lets_in(path, headers, &state);
    if !is_let_in || !has_key(headers, state.config.key.as_deref()) {
        state.note(dialect, &Asked::default(), "rejected");
        let kind =
            if dialect == FakeDialect::Gemini { "UNAUTHENTICATED" } else { "authentication_error" };
        let error = dialect.error(401, kind, "invalid_api_key", "Incorrect API key provided");
        return Ok(whole(401, "application/json", error.to_string()));
    }
    let unwrapped = clouds::unwrapped(path, body).map_err(|message| Rejection::invalid(&message));
    let read = unwrapped.and_then(|own| dialect.read(path, own.as_deref().unwrap_or(body)));
    let asked = match read {
        Ok(asked) => asked,
        Err(rejection) => {
            state.note(dialect, &Asked::default(), "rejected");
            let error = dialect.error(rejection.status, rejection.kind, "", &rejection.message);
            return Ok(whole(rejection.status, "application/json", error.to_string()));
        }
    };
    let fault = state.strike(&asked.model);
    let outcome = fault.map_or_else(|| "answered".to_owned(), fault_name);
    let entry = state.note(dialect, &asked, &outcome);
    let leaving = Leaving { state: state.clone(), entry, is_done: false };
    let manner = state.manner(&asked.model);
    let framing = framing_of(path);
    let answering = Answering { state, dialect, framing, asked, manner, entry, line };
    let answered = answering.respond(fault).await;
    leaving.done();
    answered
}

/// Notes when the client closes the connection before the answer's head.
struct Leaving {
    state: Arc<State>,
    entry: usize,
    is_done: bool,
}

impl Leaving {
    fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        if !self.is_done {
            self.state.amend(self.entry, |entry| entry.client_left = true);
        }
    }
}

fn has_key(headers: &HeaderMap, key: Option<&str>) -> bool {
    let Some(key) = key else { return true };
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = header("authorization").and_then(|value| value.strip_prefix("Bearer "));
    [bearer, header("x-api-key"), header("x-goog-api-key")].contains(&Some(key))
}

/// `PUT` and `DELETE /fake/fault`, `PUT /fake/manner`, `GET` and `DELETE /fake/journal`.
fn command(
    method: &Method,
    path: &str,
    body: &[u8],
    state: &State,
) -> Result<Outgoing, Infallible> {
    Ok(match (method, path) {
        (&Method::PUT, "/fake/fault") => match serde_json::from_slice::<Armed>(body) {
            Ok(armed) => {
                state.arm(armed);
                whole(204, "text/plain", "")
            }
            Err(error) => whole(400, "text/plain", error.to_string()),
        },
        (&Method::DELETE, "/fake/fault") => {
            state.disarm(None);
            whole(204, "text/plain", "")
        }
        (&Method::PUT, "/fake/manner") => match serde_json::from_slice::<Mannered>(body) {
            Ok(Mannered { model, manner }) => {
                state.inner().manners.insert(model, manner);
                whole(204, "text/plain", "")
            }
            Err(error) => whole(400, "text/plain", error.to_string()),
        },
        (&Method::GET, "/fake/journal") => {
            let journal = serde_json::to_string(&state.inner().journal).unwrap_or_default();
            whole(200, "application/json", journal)
        }
        (&Method::DELETE, "/fake/journal") => {
            state.inner().journal.clear();
            whole(204, "text/plain", "")
        }
        _ => whole(404, "text/plain", "no such command"),
    })
}

impl State {
    /// The fault that is set for every model, if one is.
    pub(super) fn peek(&self) -> Option<Fault> {
        let inner = self.inner();
        let strikes = |armed: &&Armed| armed.model == "*" && armed.times != Some(0);
        inner.armed.iter().rev().find(strikes).map(|armed| armed.fault)
    }
}
