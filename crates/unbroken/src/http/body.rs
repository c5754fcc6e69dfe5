//! How much of a body is taken at once? All that has arrived, and nothing is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;

/// No more is joined at once, in bytes: what is passed on early need not be held.
const JOINED_MAX: usize = 64 << 10;

/// The body of an answer.
pub(super) struct Incomings {
    body: Incoming,
    /// How it ended, behind bytes that had to be handed over first.
    end: Option<End>,
}

/// How a body ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// Before its end.
    Broken,
}

impl Incomings {
    pub(super) const fn new(body: Incoming) -> Self {
        Self { body, end: None }
    }

    /// The bytes that are there, joined; or how the body ended.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Bytes, End>> {
        if let Some(end) = self.end {
            return Poll::Ready(Err(end));
        }
        let mut first = Bytes::new();
        let mut joined = BytesMut::new();
        loop {
            let end = match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Pending => break,
                Poll::Ready(None) => End::Whole,
                Poll::Ready(Some(Err(_))) => End::Broken,
                Poll::Ready(Some(Ok(frame))) => {
                    // Trailers say nothing that is needed here.
                    let Ok(bytes) = frame.into_data() else { continue };
                    if first.is_empty() {
                        first = bytes;
                    } else {
                        if joined.is_empty() {
                            joined.extend_from_slice(&first);
                        }
                        joined.extend_from_slice(&bytes);
                    }
                    if first.len().max(joined.len()) >= JOINED_MAX {
                        break;
                    }
                    continue;
                }
            };
            self.end = Some(end);
            break;
        }
        let bytes = if joined.is_empty() { first } else { joined.freeze() };
        match self.end {
            _ if !bytes.is_empty() => Poll::Ready(Ok(bytes)),
            Some(end) => Poll::Ready(Err(end)),
            None => Poll::Pending,
        }
    }
}
