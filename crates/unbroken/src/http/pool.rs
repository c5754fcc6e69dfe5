//! Which connection carries the next HTTP/1.1 request? An idle one to the same host, the one used
//! last, or a new one.
//!
//! A connection has no task of its own: whoever uses it drives it. That saves two hand-overs
//! between threads per call, and one dropped exchange is one closed connection. What an idle one
//! missed in the meantime (the server closed it) is found out when it is taken.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::client::conn::http1::{Connection, SendRequest, handshake};
use unbroken_engine::cause::Unreachable;
use unbroken_engine::time::Timestamp;

use super::HttpConfig;
use super::connect::{Connector, Failed, Opened};
use crate::background;
use crate::clock::Clock;

/// Scheme, host and port.
type Place = (String, String);

/// Idle connections, by where they lead.
pub(super) struct Pool {
    connector: Connector,
    clock: Clock,
    idle_for: Duration,
    idle_per_host: usize,
    idle: Mutex<BTreeMap<Place, Vec<Idle>>>,
}

struct Idle {
    line: Line,
    since: Timestamp,
}

/// A connection, and the one who may send on it.
pub(super) struct Line {
    pub(super) sender: SendRequest<Full<Bytes>>,
    connection: Pin<Box<Connection<Opened, Full<Bytes>>>>,
    place: Place,
    /// Whether it has carried a request before.
    pub(super) is_used: bool,
}

impl Pool {
    pub(super) fn new(config: &HttpConfig) -> Arc<Self> {
        Arc::new(Self {
            connector: Connector::new(config, false),
            clock: Clock::start(),
            idle_for: config.idle,
            idle_per_host: config.idle_per_host,
            idle: Mutex::default(),
        })
    }

    /// A connection that has carried a request, and may carry another.
    pub(super) fn idle_line(&self, uri: &Uri) -> Option<Line> {
        let place = place(uri);
        loop {
            let mut line = self.take(&place)?;
            if line.is_open() {
                return Some(line);
            }
        }
    }

    /// A new connection.
    pub(super) async fn open(&self, uri: &Uri) -> Result<Line, Failed> {
        let opened = self.connector.open(uri).await?;
        let (sender, connection) = handshake(opened).await.map_err(|_| Failed(Unreachable::Tcp))?;
        let connection = Box::pin(connection);
        Ok(Line { sender, connection, place: place(uri), is_used: false })
    }

    /// An exchange on it is over: it may carry the next one.
    pub(super) fn give_back(self: &Arc<Self>, mut line: Line, context: &mut Context<'_>) {
        // What is left to do on it takes one look, or it is closed.
        if line.drive(context).is_ready() || !line.sender.is_ready() {
            return;
        }
        line.is_used = true;
        let now = self.clock.now();
        let mut idle = self.idle();
        let is_first = idle.is_empty();
        let lines = idle.entry(line.place.clone()).or_default();
        lines.retain(|idle| now.since(idle.since) < self.idle_for);
        if lines.len() < self.idle_per_host {
            lines.push(Idle { line, since: now });
        }
        drop(idle);
        if is_first {
            drop(background::spawn("idle connections", sweep(Arc::downgrade(self))));
        }
    }

    /// The one used last: the others may then grow old and be closed.
    fn take(&self, place: &Place) -> Option<Line> {
        let mut idle = self.idle();
        let lines = idle.get_mut(place)?;
        let newest = lines.pop()?;
        if self.clock.now().since(newest.since) >= self.idle_for {
            // The others are older.
            lines.clear();
            return None;
        }
        Some(newest.line)
    }

    fn idle(&self) -> MutexGuard<'_, BTreeMap<Place, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// Reads and writes what there is to; ready when the connection is over.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.connection.as_mut().poll(context).map(drop)
    }

    /// Whether it is still there, as far as a look can tell.
    fn is_open(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        self.drive(&mut context).is_pending() && self.sender.is_ready()
    }
}

fn place(uri: &Uri) -> Place {
    let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
    (text(uri.scheme_str()), text(uri.authority().map(http::uri::Authority::as_str)))
}

/// Closes what nobody used for too long, until nothing is idle.
async fn sweep(pool: Weak<Pool>) {
    loop {
        let Some(wait) = pool.upgrade().map(|pool| pool.idle_for) else { return };
        tokio::time::sleep(wait.max(Duration::from_secs(1))).await;
        let Some(pool) = pool.upgrade() else { return };
        let now = pool.clock.now();
        let mut idle = pool.idle();
        for lines in idle.values_mut() {
            lines.retain(|idle| now.since(idle.since) < pool.idle_for);
        }
        idle.retain(|_, lines| !lines.is_empty());
        if idle.is_empty() {
            return;
        }
    }
}
