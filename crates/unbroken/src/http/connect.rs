//! How is a target reached? Name, TCP and TLS, each with its own failure.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

use http::{Extensions, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{CaptureConnection, Connected, Connection};
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use unbroken_engine::cause::Unreachable;

use super::{HttpConfig, Resolve, SharedTls};

/// No connection, and why not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Failed(pub(super) Unreachable);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no connection: {:?}", self.0)
    }
}

impl std::error::Error for Failed {}

/// Opens connections.
#[derive(Clone)]
pub(super) struct Connector {
    tls: SharedTls,
    resolver: Option<Arc<dyn Resolve>>,
}

impl Connector {
    pub(super) fn new(settings: &HttpConfig, allow_http2: bool) -> Self {
        let mut store = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        let own = settings.roots.as_deref().unwrap_or_default();
        let own = CertificateDer::pem_slice_iter(own.as_bytes());
        store.add_parsable_certificates(own.flatten());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let mut config = match builder.with_safe_default_protocol_versions() {
            Ok(builder) => builder.with_root_certificates(store).with_no_client_auth(),
            // The bundled provider supports the default versions; nothing else can be done here.
            Err(_) => ClientConfig::builder().with_root_certificates(store).with_no_client_auth(),
        };
        config.alpn_protocols = if allow_http2 {
            vec![b"h2".to_vec(), b"http/1.1".to_vec()]
        } else {
            vec![b"http/1.1".to_vec()]
        };
        Self { tls: Arc::new(config), resolver: settings.resolver.clone() }
    }
}

impl tower_service::Service<Uri> for Connector {
    type Response = Opened;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Opened, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move { connector.open(&uri).await })
    }
}

impl Connector {
    pub(super) async fn open(&self, uri: &Uri) -> Result<Opened, Failed> {
        let is_tls = uri.scheme_str() == Some("https");
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let addresses = match &self.resolver {
            Some(resolver) => resolver.resolve(host, port).await,
            None => tokio::net::lookup_host((host, port)).await.map(Iterator::collect),
        };
        let addresses: Vec<SocketAddr> = addresses.map_err(|_| Failed(Unreachable::Dns))?;
        if addresses.is_empty() {
            return Err(Failed(Unreachable::Dns));
        }
        let mut failure = Failed(Unreachable::Tcp);
        // A host may have several addresses: one that fails is not the host's failure.
        for address in addresses.into_iter().take(8) {
            let Ok(tcp) = TcpStream::connect(address).await else { continue };
            // Without this a small write may wait 40 ms for an acknowledgement.
            drop(tcp.set_nodelay(true));
            if !is_tls {
                return Ok(Opened::new(Box::new(tcp), false));
            }
            match secure(tcp, host, self.tls.clone()).await {
                Ok(connected) => return Ok(connected),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

async fn secure(tcp: TcpStream, host: &str, tls: SharedTls) -> Result<Opened, Failed> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| Failed(Unreachable::Tls))?;
    let stream = TlsConnector::from(tls).connect(name, tcp).await;
    let stream = stream.map_err(|_| Failed(Unreachable::Tls))?;
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    Ok(Opened::new(Box::new(stream), is_http2))
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// One open connection.
pub(super) struct Opened {
    io: TokioIo<Box<dyn Stream>>,
    is_http2: bool,
    uses: Uses,
}

impl Opened {
    fn new(stream: Box<dyn Stream>, is_http2: bool) -> Self {
        Self { io: TokioIo::new(stream), is_http2, uses: Uses::default() }
    }
}

/// How many requests a connection has carried.
#[derive(Clone, Debug, Default)]
pub(super) struct Uses(Arc<AtomicU32>);

impl Uses {
    /// Counts one more request on the connection that was captured, if there is one yet: whether
    /// it had carried one before.
    pub(super) fn count(connection: &CaptureConnection) -> Option<bool> {
        let connected = connection.connection_metadata();
        let connected = connected.as_ref()?;
        let mut extras = Extensions::new();
        connected.get_extras(&mut extras);
        let uses = extras.get::<Self>()?;
        Some(uses.0.fetch_add(1, Ordering::Relaxed) > 0)
    }
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.uses.clone());
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

impl Write for Opened {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}
