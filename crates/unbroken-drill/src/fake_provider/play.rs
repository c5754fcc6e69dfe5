//! How do the events of one stream reach the client, and how do they stop?

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body::Frame;
use http_body_util::StreamBody;
use http_body_util::combinators::BoxBody;
use tokio::sync::mpsc;

use super::State;
use super::dialect::{FakeDialect, Script};
use super::frames::Framing;
use super::serve::{Line, Outgoing};
use crate::background;
use crate::fault::{CutKind, StreamEnd};

/// Between pings.
const PING_EVERY: Duration = Duration::from_secs(1);
/// What was sent before a reset must arrive before it.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// How a stream stops before its end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Cut { how: CutKind, inside_event: bool },
    End { inside_event: bool },
    Stall { pings: bool },
    Malformed,
    Error,
}

type Piece = Result<Frame<Bytes>, io::Error>;

/// An answer whose body comes piece by piece.
pub(super) fn streamed(kind: &str, receiver: mpsc::Receiver<Piece>) -> Outgoing {
    let pieces = futures_util::stream::unfold(receiver, |mut receiver| async move {
        Some((receiver.recv().await?, receiver))
    });
    let body = BoxBody::new(StreamBody::new(OneReader(std::sync::Mutex::new(Box::pin(pieces)))));
    let mut response = Response::new(body);
    if let Ok(kind) = kind.parse() {
        response.headers_mut().insert("content-type", kind);
    }
    response
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
pub(super) struct Player {
    pub(super) state: Arc<State>,
    pub(super) dialect: FakeDialect,
    pub(super) framing: Framing,
    pub(super) entry: usize,
    pub(super) line: Line,
    pub(super) first_token: Duration,
    pub(super) gap: Duration,
    /// Bytes per network write.
    pub(super) write_bytes: Option<usize>,
    /// After so many tokens, if it stops before its end.
    pub(super) stop: Option<(usize, Stop)>,
    /// How many of the last events are left out, and how the stream ends then.
    pub(super) ending: (usize, StreamEnd),
}

impl Player {
    /// Starts to play a script in the background.
    pub(super) fn start(self, kind: &str, script: Script) -> Outgoing {
        let (sender, receiver) = mpsc::channel(1);
        let _ = background::spawn(async move {
            if self.send_all(&sender, script).await.is_none() {
                self.state.amend(self.entry, |entry| entry.client_left = true);
            }
        });
        streamed(kind, receiver)
    }

    /// Starts to send bytes as they are.
    pub(super) fn start_tape(self, kind: &str, bytes: Bytes, then: StreamEnd) -> Outgoing {
        let (sender, receiver) = mpsc::channel(1);
        let _ = background::spawn(async move {
            let sent = async {
                self.write(&sender, bytes).await?;
                self.end(&sender, then).await
            };
            if sent.await.is_none() {
                self.state.amend(self.entry, |entry| entry.client_left = true);
            }
        });
        streamed(kind, receiver)
    }

    /// `None` when the client has left.
    async fn send_all(&self, to: &mpsc::Sender<Piece>, script: Script) -> Option<()> {
        if self.stops_after(0) {
            let next = script.prelude.first().or_else(|| script.content.first());
            if self.stop_now(to, next).await? {
                return Some(());
            }
        }
        for event in script.prelude {
            self.send(to, event).await?;
        }
        self.sleep(to, self.first_token).await?;
        let count = script.content.len();
        for (n, event) in script.content.into_iter().enumerate() {
            if n > 0 {
                if self.stops_after(n) {
                    if self.stop_now(to, Some(&event)).await? {
                        return Some(());
                    }
                    // The broken event stood for this one.
                    continue;
                }
                self.sleep(to, self.gap).await?;
            }
            self.send(to, event).await?;
            self.state.amend(self.entry, |entry| entry.words_sent += 1);
        }
        let is_late = self.stop.is_some_and(|(after, _)| after > 0 && after >= count);
        if is_late && self.stop_now(to, script.end.first()).await? {
            return Some(());
        }
        let (missing, then) = self.ending;
        let count = script.end.len().saturating_sub(missing);
        for event in script.end.into_iter().take(count) {
            self.send(to, event).await?;
        }
        self.end(to, then).await
    }

    fn stops_after(&self, n: usize) -> bool {
        self.stop.is_some_and(|(after, _)| after == n)
    }

    async fn send(&self, to: &mpsc::Sender<Piece>, event: String) -> Option<()> {
        self.write(to, self.framing.wrap(&event).into()).await
    }

    async fn write(&self, to: &mpsc::Sender<Piece>, mut bytes: Bytes) -> Option<()> {
        let size = self.write_bytes.unwrap_or(usize::MAX).max(1);
        while !bytes.is_empty() {
            let piece = bytes.split_to(size.min(bytes.len()));
            to.send(Ok(Frame::data(piece))).await.ok()?;
        }
        Some(())
    }

    /// Sleeps, unless the client leaves meanwhile.
    async fn sleep(&self, to: &mpsc::Sender<Piece>, wait: Duration) -> Option<()> {
        if wait.is_zero() {
            return Some(());
        }
        tokio::select! {
            () = to.closed() => None,
            () = tokio::time::sleep(wait) => Some(()),
        }
    }

    /// Stops as the fault says; false to go on with the rest.
    async fn stop_now(&self, to: &mpsc::Sender<Piece>, next: Option<&String>) -> Option<bool> {
        let Some((_, stop)) = self.stop else { return Some(false) };
        match stop {
            Stop::Cut { how, inside_event } => {
                self.send_half(to, next.filter(|_| inside_event)).await?;
                self.end(to, how.into()).await?;
                Some(true)
            }
            Stop::End { inside_event } => {
                self.send_half(to, next.filter(|_| inside_event)).await?;
                Some(true)
            }
            Stop::Malformed => {
                self.send(to, self.dialect.broken_event().to_owned()).await?;
                Some(false)
            }
            Stop::Error => {
                self.send(to, self.dialect.error_event()).await?;
                Some(true)
            }
            Stop::Stall { pings } => {
                self.end(to, if pings { StreamEnd::Pings } else { StreamEnd::Silence }).await?;
                Some(true)
            }
        }
    }

    /// The first half of an event.
    async fn send_half(&self, to: &mpsc::Sender<Piece>, event: Option<&String>) -> Option<()> {
        let Some(event) = event else { return Some(()) };
        let framed = Bytes::from(self.framing.wrap(event));
        let half = framed.slice(..framed.len() / 2);
        self.write(to, half).await
    }

    /// Ends the body as told.
    async fn end(&self, to: &mpsc::Sender<Piece>, then: StreamEnd) -> Option<()> {
        match then {
            StreamEnd::Clean => Some(()),
            StreamEnd::Close | StreamEnd::Reset => {
                if then == StreamEnd::Reset {
                    self.line.reset_on_close();
                }
                self.sleep(to, BEFORE_RESET).await?;
                let error: io::Error = io::ErrorKind::ConnectionReset.into();
                to.send(Err(error)).await.ok()
            }
            StreamEnd::Silence => {
                to.closed().await;
                None
            }
            StreamEnd::Pings => loop {
                self.sleep(to, PING_EVERY).await?;
                self.send(to, self.dialect.ping().to_owned()).await?;
            },
        }
    }
}
