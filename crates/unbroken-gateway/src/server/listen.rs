//! The port: accepts connections within bounds, and stops without losing a call.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use unbroken::Failover;

use super::Current;
use super::respond::Responder;
use super::socket::{Patience, Socket};
use crate::metrics::Metrics;

/// Connections that wait to be accepted, at most; the kernel's `somaxconn` may be less. With the
/// usual 128 a fleet of clients that comes back at once is reset by the kernel, unseen by anybody.
const BACKLOG: u32 = 4_096;
/// A client that sends its headers more slowly than this is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// A client that reads nothing for two minutes has most likely forgotten its answer.
const PATIENCE: Patience =
    Patience { first_byte: HEADER_TIMEOUT, unread: Duration::from_secs(120) };

/// A server that listens.
pub(crate) struct Server {
    listener: TcpListener,
    responder: Arc<Responder>,
    address: SocketAddr,
}

/// How a server stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// Every call was answered to its end.
    Drained,
    /// Calls were open when the time was up.
    CutOff,
}

impl Server {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub(crate) async fn bind(
        failover: Failover,
        current: Arc<Current>,
        metrics: Arc<Metrics>,
    ) -> io::Result<Self> {
        let listener = listen(current.get().plan().listen)?;
        let address = listener.local_addr()?;
        let responder = Arc::new(Responder::new(failover, current, metrics));
        Ok(Self { listener, responder, address })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then lets open calls end, within the drain limit.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> Stopped {
        let Self { listener, responder, .. } = self;
        let plan = responder.current.get().plan().server.clone();
        let places = Arc::new(Semaphore::new(plan.connections_max as usize));
        let graceful = GracefulShutdown::new();
        let mut stop = std::pin::pin!(stop);
        loop {
            let place = tokio::select! {
                () = &mut stop => break,
                place = places.clone().acquire_owned() => place,
            };
            let accepted = tokio::select! {
                () = &mut stop => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => serve(stream, responder.clone(), &graceful, place),
                Err(error) => {
                    // Out of file descriptors, most likely: let some be given back.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
        responder.is_draining.store(true, Ordering::Relaxed);
        drop(listener);
        let drain = responder.current.get().plan().server.drain;
        match tokio::time::timeout(drain, graceful.shutdown()).await {
            Ok(()) => Stopped::Drained,
            Err(_) => Stopped::CutOff,
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A gateway that is started anew need not wait for the connections of the one before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn serve<P: Send + 'static>(
    stream: TcpStream,
    responder: Arc<Responder>,
    graceful: &GracefulShutdown,
    place: P,
) {
    // Without this a small event may wait 40 ms for an acknowledgement.
    drop(stream.set_nodelay(true));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).max_concurrent_streams(256);
    let service = service_fn(move |request| responder.clone().respond(request));
    let connection =
        builder.serve_connection(TokioIo::new(Socket::new(stream, PATIENCE)), service).into_owned();
    let connection = graceful.watch(connection);
    drop(unbroken::spawn("connection", async move {
        // A client that breaks its connection is the client's matter.
        drop(connection.await);
        drop(place);
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn clients_that_come_at_once_are_not_turned_away_before_they_are_accepted() {
        let listener = listen(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        // Nobody accepts. A connection that does not fit is tried again by the kernel after 1 s.
        for n in 0..400 {
            let connecting = TcpStream::connect(address);
            let connected = tokio::time::timeout(Duration::from_millis(900), connecting).await;
            waiting.push(connected.unwrap_or_else(|_| panic!("connection {n}")).unwrap());
        }
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(accepted.peer_addr().unwrap(), waiting[0].local_addr().unwrap());
    }
}
