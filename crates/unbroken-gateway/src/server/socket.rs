//! How long does the server wait for a client? A connection that says nothing, or that takes none of
//! what it asked for, is closed: it would hold its place, its call and the target's connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a client may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// To its first byte. What follows has limits of its own: headers, body.
    pub(super) first_byte: Duration,
    /// To take any byte of what waits for it.
    pub(super) unread: Duration,
}

/// A client's connection.
pub(super) struct Socket<S> {
    inner: S,
    patience: Patience,
    /// Runs until the first byte came.
    first_byte: Option<Pin<Box<Sleep>>>,
    /// Runs while something waits to be taken.
    unread: Option<Pin<Box<Sleep>>>,
}

impl<S> Socket<S> {
    pub(super) fn new(inner: S, patience: Patience) -> Self {
        let first_byte = Some(Box::pin(tokio::time::sleep(patience.first_byte)));
        Self { inner, patience, first_byte, unread: None }
    }

    /// Passes on what a write came to, unless it has waited for too long.
    fn taken<T>(
        &mut self,
        polled: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.unread = None;
            return polled;
        }
        let limit = self.patience.unread;
        let unread = self.unread.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        ready!(unread.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.inner).poll_read(context, buffer);
        if polled.is_ready() {
            self.first_byte = None;
        } else if let Some(first_byte) = &mut self.first_byte {
            ready!(first_byte.as_mut().poll(context));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write(context, bytes);
        self.taken(polled, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.inner).poll_write_vectored(context, buffers);
        self.taken(polled, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);
    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_client_that_says_nothing_is_not_waited_for() {
        let (server, mut client) = duplex(8);
        let mut socket = Socket::new(server, Patience { first_byte: SHORT, unread: LONG });
        let error = socket.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let (server, mut other) = duplex(8);
        std::mem::swap(&mut client, &mut other);
        let mut socket = Socket::new(server, Patience { first_byte: SHORT, unread: LONG });
        client.write_all(b"x").await.unwrap();
        assert_eq!(socket.read_u8().await.unwrap(), b'x');
        let second = tokio::time::timeout(SHORT * 3, socket.read_u8()).await;
        assert!(second.is_err(), "after its first byte a client has other limits");
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_not_waited_for() {
        let (server, mut client) = duplex(8);
        let mut socket = Socket::new(server, Patience { first_byte: LONG, unread: SHORT });
        socket.write_all(b"12345678").await.unwrap();
        let error = socket.write_all(b"9").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(client.read_u8().await.unwrap(), b'1');
        socket.write_all(b"9").await.unwrap();
    }
}
