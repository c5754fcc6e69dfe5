//! The operators' door: an HTTP server of its own with the admin API and the dashboard.
//!
//! Off unless configured, on the loopback address by default. Pages without data (the dashboard's
//! own files, the description of the API) are open; everything else needs the token.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use unbroken::Failover;

use crate::alerts::Alerts;
use crate::config::AdminPlan;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::metrics::Metrics;
use crate::reload::Reloader;
use crate::server::Current;

mod answer;
mod live;
mod openapi;
mod paths;
mod schemas;
mod view;
mod what_if;

/// Operators are few; the bound keeps a mistake of theirs small.
const CONNECTIONS_MAX: usize = 64;
/// A client that sends its headers more slowly than this is cut off.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// What the admin API shows and changes.
pub(crate) struct Admin {
    pub(crate) failover: Failover,
    pub(crate) current: Arc<Current>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) ledger: Option<Ledger>,
    pub(crate) alerts: Arc<Alerts>,
    pub(crate) reloader: Arc<Reloader>,
    pub(crate) metrics: Arc<Metrics>,
    /// Where calls are served.
    pub(crate) serves_at: SocketAddr,
    /// When the program started, in milliseconds since 1970.
    pub(crate) started_ms: u64,
}

/// A listener that has not begun to serve.
pub(crate) struct Door {
    listener: TcpListener,
    address: SocketAddr,
    token: SecretString,
}

impl Door {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub(crate) async fn bind(plan: &AdminPlan) -> io::Result<Self> {
        let listener = TcpListener::bind(plan.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, token: plan.token.clone() })
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves for as long as the program runs, also while it drains.
    pub(crate) async fn serve(self, admin: Arc<Admin>) {
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let token = Arc::new(self.token);
        loop {
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            drop(stream.set_nodelay(true));
            let (admin, token) = (admin.clone(), token.clone());
            let service = service_fn(move |request| {
                let (admin, token) = (admin.clone(), token.clone());
                async move { Ok::<_, Infallible>(answer::answer(&admin, &token, request).await) }
            });
            let mut builder = hyper::server::conn::http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            drop(unbroken::spawn("admin connection", async move {
                drop(connection.await);
                drop(place);
            }));
        }
    }
}
