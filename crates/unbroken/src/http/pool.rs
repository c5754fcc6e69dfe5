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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::super::{HttpClient, Progress};
    use super::*;

    /// A server that answers `ok`, counts its connections, and closes each after so many answers.
    async fn server(answers: usize) -> (String, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        drop(background::spawn("server", async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                drop(background::spawn("connection", async move {
                    let mut buffer = [0; 1024];
                    for _ in 0..answers {
                        if !matches!(stream.read(&mut buffer).await, Ok(1..)) {
                            return;
                        }
                        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                        stream.write_all(answer).await.unwrap();
                    }
                }));
            }
        }));
        (url, count)
    }

    /// One exchange; whether its connection was a used one.
    async fn ask(client: &HttpClient, url: &str) -> bool {
        let mut exchange = client.send(Request::get(url).body(Bytes::new()).unwrap(), false);
        let mut was_used = None;
        loop {
            match exchange.next().await {
                Progress::Connected { reused } => was_used = Some(reused),
                Progress::Head(head) => assert_eq!(head.status, 200),
                Progress::Bytes(bytes) => assert_eq!(bytes, "ok"),
                Progress::End => return was_used.unwrap(),
                Progress::Failed(cause) => panic!("{cause}"),
            }
        }
    }

    #[tokio::test]
    async fn an_idle_connection_is_used_again_until_it_is_too_old() {
        let (url, count) = server(10).await;
        let idle = Duration::from_millis(300);
        let client = HttpClient::new(&HttpConfig { idle, ..HttpConfig::default() });
        assert!(!ask(&client, &url).await);
        assert!(ask(&client, &url).await && ask(&client, &url).await);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        tokio::time::sleep(idle * 2).await;
        assert!(!ask(&client, &url).await, "it was closed by then");
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_meanwhile_is_not_used() {
        let (url, count) = server(1).await;
        let client = HttpClient::new(&HttpConfig::default());
        for calls in 1..5 {
            assert!(!ask(&client, &url).await);
            assert_eq!(count.load(Ordering::Relaxed), calls);
            // Until the close has arrived.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    #[tokio::test]
    async fn no_more_than_the_bound_stay_idle() {
        let (url, count) = server(10).await;
        let client = HttpClient::new(&HttpConfig { idle_per_host: 1, ..HttpConfig::default() });
        let both = || async { tokio::join!(ask(&client, &url), ask(&client, &url)) };
        assert_eq!(both().await, (false, false));
        let (one, other) = both().await;
        assert!(one != other, "one was kept, one was not");
        assert_eq!(count.load(Ordering::Relaxed), 3);
    }
}
