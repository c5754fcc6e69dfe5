//! One exchange over a connection that others use, too: HTTP/2, where the target offers it.

use std::error::Error as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use unbroken_engine::cause::FailureCause;

use super::body::{End, Incomings};
use super::connect::{self, Connector, Uses};
use super::{HttpConfig, Progress};

/// A connection in use is pinged this often, and has this long to answer.
const PING: Duration = Duration::from_secs(5);

/// Connections by host.
pub(super) type SharedClient = Client<Connector, Full<Bytes>>;

/// A client with an empty pool.
pub(super) fn client(config: &HttpConfig) -> SharedClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(config.idle)
        .pool_max_idle_per_host(config.idle_per_host)
        // A connection that has died in silence would fail every call that shares it.
        .http2_keep_alive_interval(PING)
        .http2_keep_alive_timeout(PING)
        .build(Connector::new(config, true))
}

/// The exchange.
pub(super) struct Shared {
    state: State,
}

type ResponseFuture = Pin<Box<dyn Future<Output = Result<Response<Incoming>, Error>> + Send>>;

enum State {
    Sending {
        response: ResponseFuture,
        connection: CaptureConnection,
        is_reused: Option<bool>,
    },
    /// The head came before anybody was told of the connection.
    Head(Box<Response<Incoming>>),
    Body(Incomings),
    Over,
}

impl Shared {
    pub(super) fn send(client: &SharedClient, request: Request<Bytes>) -> Self {
        let mut request = request.map(Full::new);
        let connection = capture_connection(&mut request);
        let response = Box::pin(client.request(request));
        Self { state: State::Sending { response, connection, is_reused: None } }
    }

    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body(_))
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Progress> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Sending { response, connection, is_reused } => {
                self.poll_sending(response, connection, is_reused, context)
            }
            State::Head(response) => {
                let (head, body) = response.into_parts();
                self.state = State::Body(Incomings::new(body));
                Poll::Ready(Progress::Head(head))
            }
            State::Body(body) => self.poll_body(body, context),
            State::Over => Poll::Pending,
        }
    }

    fn poll_sending(
        &mut self,
        mut response: ResponseFuture,
        connection: CaptureConnection,
        is_reused: Option<bool>,
        context: &mut Context<'_>,
    ) -> Poll<Progress> {
        let polled = response.as_mut().poll(context);
        let now_reused = is_reused.or_else(|| Uses::count(&connection));
        match polled {
            Poll::Ready(Ok(response)) => {
                self.state = State::Head(Box::new(response));
                if is_reused.is_none() {
                    return Poll::Ready(Progress::Connected { reused: now_reused == Some(true) });
                }
                self.poll_next(context)
            }
            Poll::Ready(Err(error)) => {
                Poll::Ready(Progress::Failed(cause_of(&error, now_reused == Some(true))))
            }
            Poll::Pending => {
                self.state = State::Sending { response, connection, is_reused: now_reused };
                match (is_reused, now_reused) {
                    (None, Some(reused)) => Poll::Ready(Progress::Connected { reused }),
                    _ => Poll::Pending,
                }
            }
        }
    }

    fn poll_body(&mut self, mut body: Incomings, context: &mut Context<'_>) -> Poll<Progress> {
        match body.poll(context) {
            Poll::Pending => {
                self.state = State::Body(body);
                Poll::Pending
            }
            Poll::Ready(Ok(bytes)) => {
                self.state = State::Body(body);
                Poll::Ready(Progress::Bytes(bytes))
            }
            Poll::Ready(Err(End::Whole)) => Poll::Ready(Progress::End),
            Poll::Ready(Err(End::Broken)) => Poll::Ready(Progress::Failed(FailureCause::Truncated)),
        }
    }
}

/// Whose fault it was that no answer came.
fn cause_of(error: &Error, was_reused: bool) -> FailureCause {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(connect::Failed(unreachable)) = inner.downcast_ref() {
            return FailureCause::Unreachable(*unreachable);
        }
        if inner.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return FailureCause::Malformed;
        }
        if let Some(stream) = inner.downcast_ref::<h2::Error>() {
            return cause_of_http2(stream, was_reused);
        }
        source = inner.source();
    }
    if was_reused { FailureCause::StaleConnection } else { FailureCause::ConnectionLost }
}

/// A connection that goes away, or refuses a stream, has not processed it; a stream that is reset
/// on a connection that lives has failed.
///
/// Source: RFC 9113 sections 6.8 and 8.7, read 2026-11-24.
fn cause_of_http2(error: &h2::Error, was_reused: bool) -> FailureCause {
    let is_unprocessed = error.reason() == Some(h2::Reason::REFUSED_STREAM)
        || (error.is_go_away() && error.is_remote())
        || (error.is_io() && was_reused);
    if is_unprocessed { FailureCause::StaleConnection } else { FailureCause::ConnectionLost }
}
