//! How is one request answered?

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Either, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use unbroken::reply::{CallRequest, CallStream, Reply, ReplyBody};
use unbroken::{Clock, Failover};
use unbroken_wire::dialects::{ClientError, Dialect, ErrorKind, ModelRow, is_side};
use unbroken_wire::raw::{Members, without_lone_surrogates};

use super::paths::{self, Asked, Wanted};
use super::{Current, encoding, health, side};
use crate::metrics::Metrics;
use crate::routing::{LIST_MAX, Routing};

/// What all requests share.
pub(super) struct Responder {
    pub(super) failover: Failover,
    pub(super) current: Arc<Current>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) is_draining: AtomicBool,
    run: u64,
    count: AtomicU64,
}

pub(super) type Outgoing = Response<Either<Full<Bytes>, CallStream>>;

/// A body that takes longer to come is not waited for: it holds memory meanwhile.
const BODY_TIMEOUT: Duration = Duration::from_secs(120);
/// Our own fields of a body: read, and not sent on.
const OWN_FIELDS: &[&str] = &["models"];

impl Responder {
    pub(super) fn new(failover: Failover, current: Arc<Current>, metrics: Arc<Metrics>) -> Self {
        for route in current.get().plan().routes.values() {
            failover.know(route);
        }
        let is_draining = AtomicBool::new(false);
        Self {
            failover,
            current,
            metrics,
            is_draining,
            run: Clock::seed(),
            count: AtomicU64::new(0),
        }
    }

    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Outgoing, Infallible> {
        let id = self.request_id(request.headers());
        let is_call = request.method() == Method::POST;
        let mut response = self.answer(request, &id).await;
        if is_call {
            // What was refused before anybody was asked says so.
            let headers = response.headers_mut();
            headers.entry("x-unbroken-target").or_insert(HeaderValue::from_static("none"));
            headers.entry("x-unbroken-attempts").or_insert(HeaderValue::from_static("0"));
        }
        if let Ok(id) = HeaderValue::try_from(&id) {
            response.headers_mut().insert("x-request-id", id.clone());
            response.headers_mut().insert("x-unbroken-request-id", id);
        }
        Ok(response)
    }

    /// The client's own id, if it can stand in a log, or a new one.
    fn request_id(&self, headers: &HeaderMap) -> String {
        let given = headers.get("x-request-id").and_then(|value| value.to_str().ok());
        let is_sane = |id: &&str| {
            (1..=128).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
        };
        given.filter(is_sane).map_or_else(
            || {
                let number = self.count.fetch_add(1, Ordering::Relaxed);
                format!("{:08x}{number:08x}", self.run & 0xffff_ffff)
            },
            ToOwned::to_owned,
        )
    }

    async fn answer(&self, request: Request<Incoming>, id: &str) -> Outgoing {
        let uri = request.uri().clone();
        let query = uri.query().unwrap_or_default();
        match paths::read(request.method(), uri.path(), query, request.headers()) {
            Asked::Call(wanted) => self.call(wanted, request, id).await,
            Asked::Models(dialect) => json(200, (dialect.write_models)(&self.model_rows())),
            Asked::Model(dialect, name) => self.model(dialect, &name),
            Asked::Socket(dialect) => {
                error(dialect, 426, "sockets are not spoken here: send the same as a POST", None)
            }
            Asked::Stored(dialect) => error(dialect, 404, NOT_KEPT, Some("not_kept_here")),
            Asked::Live | Asked::Root => text(200, "ok\n"),
            Asked::Ready if self.is_draining.load(Ordering::Relaxed) => text(503, "draining\n"),
            Asked::Ready => text(200, "ready\n"),
            Asked::Health => {
                let is_draining = self.is_draining.load(Ordering::Relaxed);
                json(200, health::page(&self.failover, is_draining).to_string())
            }
            Asked::Metrics => {
                let mut response = text(200, self.metrics.page());
                let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
                response
            }
            Asked::WrongMethod(dialect) => wrong_method(dialect, request.method(), uri.path()),
            Asked::Unknown(dialect) => {
                let message = format!("there is nothing at {}; {PLACES}", shortened(uri.path()));
                error(dialect, 404, &message, Some("unknown_path"))
            }
        }
    }

    fn model_rows(&self) -> Vec<ModelRow> {
        let row = |id| ModelRow { id, owned_by: "unbroken".to_owned(), created_unix: 0 };
        self.current.get().model_names().into_iter().map(row).collect()
    }

    fn model(&self, dialect: &Dialect, name: &str) -> Outgoing {
        let rows = self.model_rows();
        match rows.iter().find(|row| row.id == name) {
            Some(row) => json(200, (dialect.write_model)(row)),
            None => {
                let message = format!("the model `{}` is not known here", shortened(name));
                error(dialect, 404, &message, Some("model_not_found"))
            }
        }
    }

    async fn call(&self, wanted: Wanted, request: Request<Incoming>, id: &str) -> Outgoing {
        let dialect = wanted.dialect;
        let routing = self.current.get();
        let (head, body) = request.into_parts();
        let limit = routing.plan().server.body_max;
        let body = match read_body(dialect, &head.headers, body, limit).await {
            // Half a character, which some clients cut off, would make the body unreadable.
            Ok(body) => without_lone_surrogates(&body).map_or(body, Bytes::from),
            Err(response) => return *response,
        };
        match self.prepare(&routing, wanted, head.headers, &body, id) {
            Ok(call) if side::is_count(dialect) => {
                let estimate = side::estimate(&call);
                side::counted(self.failover.call(call).await, dialect, estimate)
            }
            Ok(call) => reply(self.failover.call(call).await),
            Err(response) => *response,
        }
    }

    /// Reads the model, finds the route, and takes our own fields out.
    fn prepare(
        &self,
        routing: &Routing,
        wanted: Wanted,
        headers: HeaderMap,
        body: &Bytes,
        id: &str,
    ) -> Result<CallRequest, Box<Outgoing>> {
        let Wanted { dialect, model_in_path, stream_in_path, framing, foreign_fields } = wanted;
        let members = Members::split(body)
            .map_err(|wrong| Box::new(error(dialect, 400, &wrong.to_string(), None)))?;
        let models = models(model_in_path.as_deref(), &members)
            .map_err(|message| Box::new(error(dialect, 400, message, None)))?;
        let forbids = headers.get("x-unbroken-substitute").is_some_and(|value| value == "false");
        let may_substitute = routing.plan().server.substitute && !forbids;
        let route = routing
            .resolve(&models, may_substitute)
            .map_err(|message| Box::new(error(dialect, 404, &message, Some("model_not_found"))))?;
        let route = if is_side(dialect) { side::same_model(&route) } else { route };
        let strange: Vec<&str> = OWN_FIELDS.iter().chain(foreign_fields).copied().collect();
        let is_there = strange.iter().any(|field| members.get(field).is_some());
        let mut outline = (!is_there).then(|| members.outline());
        let mut body = if is_there { members.without(&strange).into() } else { body.clone() };
        // A list without a model names its first.
        if let (true, None, Some(first)) =
            (model_in_path.is_none(), members.get_str("model"), models.first())
        {
            (body, outline) = (with_model(&body, first), None);
        }
        Ok(CallRequest {
            id: id.to_owned(),
            dialect,
            model_in_path,
            stream_in_path,
            framing,
            headers,
            body,
            outline,
            route,
        })
    }
}

/// The whole body, decompressed, within the limit and in time.
async fn read_body(
    dialect: &Dialect,
    headers: &HeaderMap,
    body: Incoming,
    limit: usize,
) -> Result<Bytes, Box<Outgoing>> {
    let refuse = |status, message: &str| Err(Box::new(error(dialect, status, message, None)));
    let too_large = format!("the body is larger than {limit} bytes (`body_max` in `[server]`)");
    // A body that announces itself as too large is not waited for.
    if hyper::body::Body::size_hint(&body).lower() > limit as u64 {
        return refuse(413, &too_large);
    }
    let whole = Limited::new(body, limit).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, whole).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(failed)) if failed.is::<LengthLimitError>() => return refuse(413, &too_large),
        Ok(Err(_)) => return refuse(400, "the body could not be read to its end"),
        Err(_) => {
            let message = format!("the body did not come within {} s", BODY_TIMEOUT.as_secs());
            return refuse(408, &message);
        }
    };
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(body) };
    // A large body unfolds for milliseconds: not where others wait for their turn.
    let encoding = encoding.to_str().unwrap_or("unreadable").to_owned();
    let decoding = move || encoding::decode(body, &encoding, limit);
    match tokio::task::spawn_blocking(decoding).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(encoding::Fault::TooLarge)) => {
            refuse(413, &format!("once it is decompressed, {too_large}"))
        }
        Ok(Err(encoding::Fault::Unsupported(name))) => {
            let known = "gzip, deflate, br and zstd are";
            let name = shortened(&name);
            refuse(415, &format!("bodies in `{name}` are not accepted; {known}"))
        }
        Ok(Err(encoding::Fault::Invalid(why))) => {
            refuse(400, &format!("the compressed body could not be read: {why}"))
        }
        Err(_) => refuse(400, "the compressed body could not be read"),
    }
}

/// The models that a request names, most preferred first: at least one.
fn models(in_path: Option<&str>, members: &Members<'_>) -> Result<Vec<String>, &'static str> {
    let is_there = |field: &str| members.get(field).is_some_and(|value| value != "null");
    let mut models: Vec<String> = match in_path {
        Some(model) => vec![model.to_owned()],
        None => match members.get_str("model") {
            Some(model) => vec![model],
            None if is_there("model") => return Err("'model' must be a string"),
            None => Vec::new(),
        },
    };
    let list = members.get("models").filter(|_| is_there("models")).map(serde_json::from_str);
    let list: Vec<String> = match list {
        None => Vec::new(),
        Some(Ok(list)) => list,
        Some(Err(_)) => return Err("'models' must be a list of model names"),
    };
    for name in list.into_iter().take(LIST_MAX + 1) {
        if !models.contains(&name) {
            models.push(name);
        }
    }
    if models.is_empty() { Err("missing required parameter: 'model'") } else { Ok(models) }
}

fn with_model(body: &Bytes, model: &str) -> Bytes {
    let json = serde_json::Value::from(model).to_string();
    Members::split(body)
        .map_or_else(|_| body.clone(), |members| members.with("model", &json).into())
}

pub(super) fn reply(reply: Reply) -> Outgoing {
    let body = match reply.body {
        ReplyBody::Whole(bytes) => Either::Left(Full::new(bytes)),
        ReplyBody::Stream(stream) => Either::Right(stream),
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = reply.headers;
    response
}

/// For whoever asks for what only its provider has.
const NOT_KEPT: &str = "responses are kept by their providers, not here: ask the provider itself, \
                        or send the whole conversation with `store: false`";

/// What is here, for whoever asked for something else.
const PLACES: &str = "this gateway answers POST /v1/chat/completions and /v1/responses (OpenAI), POST /v1/messages \
                      (Anthropic), POST /v1beta/models/{model}:generateContent and \
                      :streamGenerateContent (Gemini), and GET /v1/models";

fn wrong_method(dialect: &Dialect, method: &Method, path: &str) -> Outgoing {
    let allowed =
        if path.trim_end_matches('/').ends_with("/models") { "GET, HEAD" } else { "POST" };
    let message = format!("{} takes {allowed}, not {method}", shortened(path));
    let mut response = error(dialect, 405, &message, None);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The beginning of something that a client invented.
fn shortened(text: &str) -> &str {
    text.char_indices().nth(100).and_then(|(at, _)| text.get(..at)).unwrap_or(text)
}

/// An error of our own, in the caller's dialect. Sending it again would not help.
fn error(dialect: &Dialect, status: u16, message: &str, code: Option<&str>) -> Outgoing {
    let kind = match status {
        404 => ErrorKind::NotFound,
        408 => ErrorKind::Timeout,
        413 => ErrorKind::TooLarge,
        _ => ErrorKind::InvalidRequest,
    };
    let (message, code) = (message.to_owned(), code.map(ToOwned::to_owned));
    let error = ClientError { status, kind, message, code, param: None };
    let mut response = reply(Reply::error(dialect, &error));
    response.headers_mut().insert("x-should-retry", HeaderValue::from_static("false"));
    response
}

pub(super) fn json(status: u16, body: impl Into<Bytes>) -> Outgoing {
    let mut response = text(status, body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: u16, body: impl Into<Bytes>) -> Outgoing {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::OK);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
