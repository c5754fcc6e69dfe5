//! One exchange over a connection of its own: HTTP/1.1.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use unbroken_engine::cause::{FailureCause, Unreachable};

use super::Progress;
use super::body::{End, Incomings};
use super::connect::Failed;
use super::pool::{Line, Pool};

type Opening = Pin<Box<dyn Future<Output = Result<Line, Failed>> + Send>>;
type Answering = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

/// The exchange.
pub(super) struct Own {
    pool: Arc<Pool>,
    state: State,
}

enum State {
    Opening {
        opening: Opening,
        request: Box<Request<Full<Bytes>>>,
    },
    Opened {
        line: Box<Line>,
        request: Box<Request<Full<Bytes>>>,
    },
    Waiting {
        line: Box<Line>,
        answering: Answering,
    },
    /// The connection is over, if there is none.
    Body {
        line: Option<Box<Line>>,
        body: Incomings,
    },
    Failed(FailureCause),
    Over,
}

impl Own {
    pub(super) fn send(pool: &Arc<Pool>, request: Request<Bytes>) -> Self {
        // Nothing can be connected to without a host.
        let nowhere = State::Failed(FailureCause::Unreachable(Unreachable::Dns));
        let state = in_origin_form(request).map_or(nowhere, |(uri, request)| {
            let request = Box::new(request);
            match pool.idle_line(&uri) {
                Some(line) => State::Opened { line: Box::new(line), request },
                None => {
                    let pool = pool.clone();
                    let opening = Box::pin(async move { pool.open(&uri).await });
                    State::Opening { opening, request }
                }
            }
        });
        Self { pool: pool.clone(), state }
    }

    pub(super) const fn is_in_body(&self) -> bool {
        matches!(self.state, State::Body { .. })
    }

    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Progress> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Opening { opening, request } => self.poll_opening(opening, request, context),
            State::Opened { line, request } => Poll::Ready(self.ask(line, *request)),
            State::Waiting { line, answering } => self.poll_waiting(line, answering, context),
            State::Body { line, body } => self.poll_body(line, body, context),
            State::Failed(cause) => Poll::Ready(Progress::Failed(cause)),
            State::Over => Poll::Pending,
        }
    }

    fn poll_opening(
        &mut self,
        mut opening: Opening,
        request: Box<Request<Full<Bytes>>>,
        context: &mut Context<'_>,
    ) -> Poll<Progress> {
        match opening.as_mut().poll(context) {
            Poll::Pending => {
                self.state = State::Opening { opening, request };
                Poll::Pending
            }
            Poll::Ready(Err(Failed(unreachable))) => {
                Poll::Ready(Progress::Failed(FailureCause::Unreachable(unreachable)))
            }
            Poll::Ready(Ok(line)) => Poll::Ready(self.ask(Box::new(line), *request)),
        }
    }

    fn ask(&mut self, mut line: Box<Line>, request: Request<Full<Bytes>>) -> Progress {
        let reused = line.is_used;
        let answering = Box::pin(line.sender.send_request(request));
        self.state = State::Waiting { line, answering };
        Progress::Connected { reused }
    }

    fn poll_waiting(
        &mut self,
        mut line: Box<Line>,
        mut answering: Answering,
        context: &mut Context<'_>,
    ) -> Poll<Progress> {
        let is_over = line.drive(context).is_ready();
        match answering.as_mut().poll(context) {
            Poll::Ready(Ok(response)) => {
                let (head, body) = response.into_parts();
                let line = (!is_over).then_some(line);
                self.state = State::Body { line, body: Incomings::new(body) };
                Poll::Ready(Progress::Head(head))
            }
            Poll::Ready(Err(error)) => {
                Poll::Ready(Progress::Failed(cause_of(&error, line.is_used)))
            }
            // The connection is over, and nobody said how: that cannot be waited for.
            Poll::Pending if is_over => Poll::Ready(Progress::Failed(lost(line.is_used))),
            Poll::Pending => {
                self.state = State::Waiting { line, answering };
                Poll::Pending
            }
        }
    }

    fn poll_body(
        &mut self,
        mut line: Option<Box<Line>>,
        mut body: Incomings,
        context: &mut Context<'_>,
    ) -> Poll<Progress> {
        loop {
            match body.poll(context) {
                Poll::Ready(Ok(bytes)) => {
                    self.state = State::Body { line, body };
                    return Poll::Ready(Progress::Bytes(bytes));
                }
                Poll::Ready(Err(End::Whole)) => {
                    if let Some(line) = line {
                        self.pool.give_back(*line, context);
                    }
                    return Poll::Ready(Progress::End);
                }
                Poll::Ready(Err(End::Broken)) => {
                    return Poll::Ready(Progress::Failed(FailureCause::Truncated));
                }
                Poll::Pending => {}
            }
            // Nothing has been read yet: the connection may have something.
            let Some(open) = &mut line else {
                self.state = State::Body { line, body };
                return Poll::Pending;
            };
            if open.drive(context).is_ready() {
                line = None;
                continue;
            }
            let polled = body.poll(context);
            match polled {
                Poll::Pending => {
                    self.state = State::Body { line, body };
                    return Poll::Pending;
                }
                Poll::Ready(Ok(bytes)) => {
                    self.state = State::Body { line, body };
                    return Poll::Ready(Progress::Bytes(bytes));
                }
                Poll::Ready(Err(_)) => {}
            }
        }
    }
}

/// A request as it stands on a connection: the path alone, and the host as a header.
fn in_origin_form(request: Request<Bytes>) -> Option<(Uri, Request<Full<Bytes>>)> {
    let uri = request.uri().clone();
    let authority = uri.authority()?;
    // Credentials of a URL are not a host.
    let host = authority.as_str().rsplit('@').next()?;
    let host = HeaderValue::try_from(host).ok()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = request.map(Full::new);
    request.headers_mut().entry(HOST).or_insert(host);
    *request.uri_mut() = path.parse().ok()?;
    Some((uri, request))
}

/// Whose fault it was that no answer came.
fn cause_of(error: &hyper::Error, was_used: bool) -> FailureCause {
    if error.is_parse() { FailureCause::Malformed } else { lost(was_used) }
}

/// A connection that had been idle may have been closed by the server in the same moment.
const fn lost(was_used: bool) -> FailureCause {
    if was_used { FailureCause::StaleConnection } else { FailureCause::ConnectionLost }
}
