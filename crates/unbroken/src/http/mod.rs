//! How bytes travel to targets and back: pooled connections, and one exchange at a time.
//!
//! An [`Exchange`] says what happened in the order in which it happened, and whose fault a failure
//! was as far as the connection can tell. It decides nothing.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use unbroken_engine::cause::FailureCause;

mod connect;

use connect::{Connector, Uses};

use crate::background;

/// An HTTP/2 connection in use is pinged this often, and has this long to answer.
const HTTP2_PING: Duration = Duration::from_secs(5);

/// What comes after an answer's end is waited for this long.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Settings of the connections to targets.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// An idle connection is kept this long. Default: 60 s.
    pub idle: Duration,
    /// Idle connections kept per host. Default: 64.
    pub idle_per_host: usize,
    /// Certificates to trust beside the bundled ones, as PEM.
    pub roots: Option<Arc<str>>,
    /// Who finds addresses. Default: the system.
    pub resolver: Option<Arc<dyn Resolve>>,
}

/// Finds the addresses of hosts.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// The addresses of `host`, in the order in which they are tried.
    ///
    /// # Errors
    /// When the name has none, or nobody knows.
    fn resolve(&self, host: &str, port: u16) -> Resolving;
}

/// An address that is being looked for.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

impl Default for HttpConfig {
    fn default() -> Self {
        Self { idle: Duration::from_secs(60), idle_per_host: 64, roots: None, resolver: None }
    }
}

/// Sends requests over pooled connections. Cheap to clone.
#[derive(Clone)]
pub struct HttpClient {
    http1: Client<Connector, Full<Bytes>>,
    http2: Client<Connector, Full<Bytes>>,
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HttpClient")
    }
}

impl HttpClient {
    /// A client with an empty pool. Roots that cannot be read add nothing.
    #[must_use]
    pub fn new(config: &HttpConfig) -> Self {
        let build = |allow_http2| {
            Client::builder(TokioExecutor::new())
                .pool_timer(TokioTimer::new())
                .timer(TokioTimer::new())
                .pool_idle_timeout(config.idle)
                .pool_max_idle_per_host(config.idle_per_host)
                // A connection that has died in silence would fail every call that shares it.
                .http2_keep_alive_interval(HTTP2_PING)
                .http2_keep_alive_timeout(HTTP2_PING)
                .build(Connector::new(config, allow_http2))
        };
        Self { http1: build(false), http2: build(true) }
    }

    /// Sends a request; `http2` allows HTTP/2 where the target offers it.
    #[must_use]
    pub fn send(&self, request: Request<Bytes>, http2: bool) -> Exchange {
        let client = if http2 { &self.http2 } else { &self.http1 };
        let mut request = request.map(Full::new);
        let connection = capture_connection(&mut request);
        let response = Box::pin(client.request(request));
        Exchange { state: State::Sending { response, connection, is_reused: None } }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Progress {
    /// A connection is there; the request is on its way.
    Connected {
        /// Whether the connection had served a request before.
        reused: bool,
    },
    /// The answer's head came.
    Head(http::response::Parts),
    /// Bytes of its body came.
    Bytes(Bytes),
    /// The body ended as it should.
    End,
    /// It failed.
    Failed(FailureCause),
}

/// One request and its answer. Dropping it closes the connection, if the answer is not whole.
pub struct Exchange {
    state: State,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
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
    Body(Incoming),
    Over,
}

impl Exchange {
    /// What happens next. Cancel-safe; after the end it never comes back.
    pub async fn next(&mut self) -> Progress {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    /// Reads what is left after the answer's own end: only a body that was read to its end leaves
    /// its connection for the next request.
    pub(crate) fn let_go(mut self) {
        let mut context = Context::from_waker(Waker::noop());
        if !matches!(self.state, State::Body(_)) || self.is_read_out(&mut context) {
            return;
        }
        drop(background::spawn("last bytes", async move {
            let rest = std::future::poll_fn(|context| {
                if self.is_read_out(context) { Poll::Ready(()) } else { Poll::Pending }
            });
            drop(tokio::time::timeout(LAST_BYTES, rest).await);
        }));
    }

    /// Reads what is there; whether nothing more will come. What a target says after its end is
    /// taken one piece at a time, so that it cannot keep us busy.
    fn is_read_out(&mut self, context: &mut Context<'_>) -> bool {
        match self.poll_next(context) {
            Poll::Pending => false,
            Poll::Ready(Progress::Bytes(_)) => {
                context.waker().wake_by_ref();
                false
            }
            Poll::Ready(
                Progress::End
                | Progress::Failed(_)
                | Progress::Head(_)
                | Progress::Connected { .. },
            ) => true,
        }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Progress> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Sending { response, connection, is_reused } => {
                self.poll_sending(response, connection, is_reused, context)
            }
            State::Head(response) => {
                let (head, body) = response.into_parts();
                self.state = State::Body(body);
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

    fn poll_body(&mut self, mut body: Incoming, context: &mut Context<'_>) -> Poll<Progress> {
        loop {
            match Pin::new(&mut body).poll_frame(context) {
                Poll::Pending => {
                    self.state = State::Body(body);
                    return Poll::Pending;
                }
                Poll::Ready(None) => return Poll::Ready(Progress::End),
                Poll::Ready(Some(Err(_))) => {
                    return Poll::Ready(Progress::Failed(FailureCause::Truncated));
                }
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that is needed here.
                    let Ok(bytes) = frame.into_data() else { continue };
                    if !bytes.is_empty() {
                        self.state = State::Body(body);
                        return Poll::Ready(Progress::Bytes(bytes));
                    }
                }
            }
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

/// Shared by all connections of a client.
type SharedTls = Arc<rustls::ClientConfig>;
