//! What a client asked and what it is told: requests as they came in, replies as they go out.

use std::fmt::{self, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use unbroken_engine::call::Failure;
use unbroken_engine::cause::FailureCause;
use unbroken_engine::event::CellKind;
use unbroken_engine::fleet::Refusal;
use unbroken_engine::time::Timestamp;
use unbroken_wire::dialects::{ClientError, Dialect, ErrorKind, Framing};
use unbroken_wire::error::ErrorBody;
use unbroken_wire::raw::Outline;

use crate::driver::Driver;
use crate::route::Route;
use crate::upstream::Kept;

/// One client request.
#[derive(Clone, Debug)]
pub struct CallRequest {
    /// Names the request in logs and answers.
    pub id: String,
    /// The dialect the client speaks.
    pub dialect: &'static Dialect,
    /// The model named in the path, for dialects that do so.
    pub model_in_path: Option<String>,
    /// Whether the path asks for a stream, for dialects that do so.
    pub stream_in_path: bool,
    /// How a stream is framed.
    pub framing: Framing,
    /// The client's headers. Only a provider's own allow-list travels on.
    pub headers: HeaderMap,
    /// The body, decoded, without the fields that are ours.
    pub body: Bytes,
    /// Where the body's members stand, if it was split before. Default: it will be split.
    pub outline: Option<Outline>,
    /// Who may answer.
    pub route: Arc<Route>,
}

impl CallRequest {
    /// A request as it stands in its body: no headers, nothing in the path, events as server-sent
    /// ones. `id` names it in logs.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        dialect: &'static Dialect,
        body: impl Into<Bytes>,
        route: Arc<Route>,
    ) -> Self {
        Self {
            id: id.into(),
            dialect,
            model_in_path: None,
            stream_in_path: false,
            framing: Framing::Sse,
            headers: HeaderMap::new(),
            body: body.into(),
            outline: None,
            route,
        }
    }
}

/// What the client is told.
#[derive(Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers, with `x-unbroken-target` and `x-unbroken-attempts`.
    pub headers: HeaderMap,
    /// The body.
    pub body: ReplyBody,
}

/// A reply's body.
#[derive(Debug)]
pub enum ReplyBody {
    /// Everything at once.
    Whole(Bytes),
    /// Events as they come.
    Stream(CallStream),
}

/// The body of a stream. Dropping it ends the call: the client has left.
pub struct CallStream {
    bytes: Pin<Box<dyn Stream<Item = Bytes> + Send>>,
    /// Set at the end, if the answer was whole.
    is_complete: Arc<AtomicBool>,
}

impl fmt::Debug for CallStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallStream")
    }
}

impl CallStream {
    fn new(driver: Driver) -> Self {
        let is_complete = Arc::new(AtomicBool::new(false));
        let (at_end, start) = (is_complete.clone(), driver);
        let bytes = stream::unfold((start, at_end), |(mut driver, at_end)| async move {
            let Some(bytes) = driver.next_bytes().await else {
                at_end.store(driver.is_complete(), Ordering::Relaxed);
                return None;
            };
            Some((bytes, (driver, at_end)))
        });
        Self { bytes: Box::pin(bytes), is_complete }
    }

    /// Somebody else's reading of a call.
    pub(crate) fn of(bytes: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        Self { bytes: Box::pin(bytes), is_complete: Arc::default() }
    }

    /// Whether it has come to its end, and the answer was whole.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_complete.load(Ordering::Relaxed)
    }

    /// The next bytes; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        std::future::poll_fn(|context| self.bytes.as_mut().poll_next(context)).await
    }
}

impl http_body::Body for CallStream {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.bytes.as_mut().poll_next(context).map(|next| next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Reply {
    pub(crate) fn stream(headers: HeaderMap, driver: Driver) -> Self {
        Self { status: 200, headers, body: ReplyBody::Stream(CallStream::new(driver)) }
    }

    pub(crate) const fn whole(headers: HeaderMap, bytes: Bytes) -> Self {
        Self { status: 200, headers, body: ReplyBody::Whole(bytes) }
    }

    /// An error in the client's dialect.
    #[must_use]
    pub fn error(dialect: &Dialect, error: &ClientError) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = ReplyBody::Whole((dialect.write_error)(error).into());
        Self { status: error.status, headers, body }
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &(impl ToString + ?Sized)) {
        if let Ok(value) = HeaderValue::try_from(value.to_string()) {
            self.headers.insert(name, value);
        }
    }
}

/// Who was asked and who was not, when nobody answered.
pub(crate) struct Refused {
    /// Targets that were asked, and why they failed.
    pub(crate) tried: Vec<(String, Option<FailureCause>)>,
    /// Targets that were not asked, and why not.
    pub(crate) refusals: Vec<(String, Refusal)>,
    /// When this was.
    pub(crate) now: Timestamp,
}

/// The reply of a call without an answer.
pub(crate) fn refuse(
    request: &CallRequest,
    failure: Failure,
    told: Option<Kept>,
    refused: &Refused,
) -> Reply {
    let mut reply = match (failure, told) {
        (Failure::Tell { .. }, Some(kept)) => pass_on(request, kept),
        (Failure::Tell { .. }, None) => exhausted(request, false, None, refused),
        (Failure::Exhausted { only_rate_limits, retry_at }, _) => {
            exhausted(request, only_rate_limits, retry_at, refused)
        }
        // A whole answer is relayed at its end only, so it cannot break.
        (Failure::Broken { .. }, _) => exhausted(request, false, None, refused),
    };
    reply.set("x-unbroken-attempts", &refused.tried.len());
    if let Some((target, _)) = refused.tried.last() {
        reply.set("x-unbroken-target", target);
    }
    reply
}

/// The same in words, for a client that has the head of a stream already.
pub(crate) fn message(
    request: &CallRequest,
    failure: Failure,
    told: Option<&Kept>,
    refused: &Refused,
) -> String {
    let wait = match failure {
        Failure::Exhausted { retry_at, .. } => retry_at.map(|at| at.since(refused.now)),
        Failure::Tell { .. } | Failure::Broken { .. } => None,
    };
    let own_words = told.map(|kept| ErrorBody::read(&kept.body).message);
    own_words
        .filter(|words| !words.is_empty())
        .unwrap_or_else(|| explain(&request.route.name, wait, refused))
}

/// The target's own words, untouched if the client speaks its dialect.
fn pass_on(request: &CallRequest, kept: Kept) -> Reply {
    if kept.dialect.name == request.dialect.name {
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(CONTENT_TYPE, kept.content_type.unwrap_or(json));
        headers.insert("x-should-retry", HeaderValue::from_static("false"));
        return Reply { status: kept.status, headers, body: ReplyBody::Whole(kept.body) };
    }
    let body = ErrorBody::read(&kept.body);
    let error = ClientError {
        status: kept.status,
        kind: ErrorKind::of_status(kept.status),
        message: body.message.clone(),
        code: (!body.code.is_empty()).then(|| body.code.clone()),
        param: (!body.param.is_empty()).then(|| body.param.clone()),
    };
    let mut reply = Reply::error(request.dialect, &error);
    reply.set("x-should-retry", "false");
    reply
}

fn exhausted(
    request: &CallRequest,
    only_rate_limits: bool,
    retry_at: Option<Timestamp>,
    refused: &Refused,
) -> Reply {
    let (status, kind) = if only_rate_limits {
        (429, ErrorKind::RateLimited)
    } else {
        (503, ErrorKind::Unavailable)
    };
    let wait = retry_at.map(|at| at.since(refused.now));
    let error = ClientError {
        status,
        kind,
        message: explain(&request.route.name, wait, refused),
        code: Some("all_targets_failed".to_owned()),
        param: None,
    };
    let mut reply = Reply::error(request.dialect, &error);
    match wait {
        Some(wait) => reply.set("retry-after", &whole_seconds(wait)),
        None => reply.set("x-should-retry", "false"),
    }
    reply
}

/// What happened, whose fault it was, and what to do.
fn explain(route: &str, wait: Option<Duration>, refused: &Refused) -> String {
    let mut text = format!("no target of `{route}` could answer");
    let mut separator = ": ";
    for (target, causes) in by_target(&refused.tried) {
        let last = causes.last().map_or_else(String::new, ToString::to_string);
        let _ = write!(text, "{separator}{target}: {last}");
        if causes.len() > 1 {
            let _ = write!(text, " ({} attempts)", causes.len());
        }
        separator = "; ";
    }
    for (target, refusal) in &refused.refusals {
        let wait = whole_seconds(refusal.retry_at.since(refused.now));
        let reason = refusal_reason(refusal.cell);
        let _ = write!(text, "{separator}{target}: not asked, {reason} for another {wait} s");
        separator = "; ";
    }
    if refused.tried.is_empty() && refused.refusals.is_empty() {
        text.push_str(": it has no target that can be used");
    }
    if let Some(wait) = wait {
        let _ = write!(text, ". Try again in {} s", whole_seconds(wait));
    }
    text
}

/// The causes of each target, targets in the order in which they were first asked.
fn by_target(tried: &[(String, Option<FailureCause>)]) -> Vec<(&str, Vec<FailureCause>)> {
    let mut grouped: Vec<(&str, Vec<FailureCause>)> = Vec::new();
    for (target, cause) in tried {
        let Some(cause) = cause else { continue };
        match grouped.iter_mut().find(|(name, _)| name == target) {
            Some((_, causes)) => causes.push(*cause),
            None => grouped.push((target, vec![*cause])),
        }
    }
    grouped
}

const fn refusal_reason(cell: CellKind) -> &'static str {
    match cell {
        CellKind::Endpoint => "its endpoint could not be reached: it rests",
        CellKind::Serving => "it kept failing: it rests",
        CellKind::Key => "its key was rejected: it rests",
        CellKind::Capacity => "its rate limit is used up",
        CellKind::Quota => "its account's quota or credit is used up: blocked",
        CellKind::Model => "it does not have the model: blocked",
        CellKind::Family => "nobody has the model any more: blocked",
    }
}

/// At least one second, so that nobody comes back at once.
fn whole_seconds(wait: Duration) -> u64 {
    wait.as_millis().div_ceil(1000).max(1).try_into().unwrap_or(u64::MAX)
}

/// How often the client's SDK has tried this call before.
pub(crate) fn client_retries(headers: &HeaderMap) -> u32 {
    let header = headers.get("x-stainless-retry-count");
    header.and_then(|value| value.to_str().ok()?.parse().ok()).unwrap_or(0)
}
