//! How bytes travel to targets and back: pooled connections, and one exchange at a time.
//!
//! An [`Exchange`] says what happened in the order in which it happened, and whose fault a failure
//! was as far as the connection can tell. It decides nothing.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use unbroken_engine::cause::FailureCause;

mod body;
mod connect;
mod own;
mod pool;
mod shared;

use own::Own;
use pool::Pool;
use shared::{Shared, SharedClient};

use crate::background;

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
///
/// HTTP/1.1 has a connection for each exchange, driven by whoever waits for it; HTTP/2 shares one
/// per host.
#[derive(Clone)]
pub struct HttpClient {
    pool: Arc<Pool>,
    http2: SharedClient,
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
        Self { pool: Pool::new(config), http2: shared::client(config) }
    }

    /// Sends a request; `http2` allows HTTP/2 where the target offers it.
    #[must_use]
    pub fn send(&self, request: Request<Bytes>, http2: bool) -> Exchange {
        let kind = if http2 {
            Kind::Shared(Shared::send(&self.http2, request))
        } else {
            Kind::Own(Box::new(Own::send(&self.pool, request)))
        };
        Exchange { kind }
    }
}

/// The small answer of a helper may not be larger.
const FETCHED_MAX: usize = 1 << 20;

impl HttpClient {
    /// Sends a request and reads its whole answer: for small ones, of helpers and not of targets.
    ///
    /// # Errors
    /// When there is none, or it is large.
    pub(crate) async fn fetch(
        &self,
        request: Request<Bytes>,
    ) -> Result<(u16, Bytes), FailureCause> {
        let mut exchange = self.send(request, false);
        let (mut status, mut body) = (0, Vec::new());
        loop {
            match exchange.next().await {
                Progress::Connected { .. } => {}
                Progress::Head(head) => status = head.status.as_u16(),
                Progress::Bytes(bytes) if body.len() + bytes.len() <= FETCHED_MAX => {
                    body.extend_from_slice(&bytes);
                }
                Progress::Bytes(_) => return Err(FailureCause::Malformed),
                Progress::End => return Ok((status, body.into())),
                Progress::Failed(cause) => return Err(cause),
            }
        }
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
    /// Bytes of its body came: all that had arrived.
    Bytes(Bytes),
    /// The body ended as it should.
    End,
    /// It failed.
    Failed(FailureCause),
}

/// One request and its answer. Dropping it closes the connection, if the answer is not whole.
pub struct Exchange {
    kind: Kind,
}

enum Kind {
    Own(Box<Own>),
    Shared(Shared),
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange")
    }
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
        if !self.is_in_body() || self.is_read_out(&mut context) {
            return;
        }
        drop(background::spawn("last bytes", async move {
            let rest = std::future::poll_fn(|context| {
                if self.is_read_out(context) { Poll::Ready(()) } else { Poll::Pending }
            });
            drop(tokio::time::timeout(LAST_BYTES, rest).await);
        }));
    }

    const fn is_in_body(&self) -> bool {
        match &self.kind {
            Kind::Own(own) => own.is_in_body(),
            Kind::Shared(shared) => shared.is_in_body(),
        }
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
        match &mut self.kind {
            Kind::Own(own) => own.poll_next(context),
            Kind::Shared(shared) => shared.poll_next(context),
        }
    }
}

/// Shared by all connections of a client.
type SharedTls = Arc<rustls::ClientConfig>;
