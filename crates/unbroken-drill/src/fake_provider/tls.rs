//! A certificate of one's own, made when the provider starts and trusted by whoever is told of it.

use std::io;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

/// What a provider needs to speak TLS.
pub(super) struct Tls {
    pub(super) acceptor: TlsAcceptor,
    pub(super) certificate_pem: String,
}

impl Tls {
    /// A new certificate for the loopback address and for names below `fake.test`.
    pub(super) fn generate() -> io::Result<Self> {
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned(), "*.fake.test".to_owned()];
        let made = rcgen::generate_simple_self_signed(names).map_err(io::Error::other)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
        let key = key.map_err(io::Error::other)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key)
            });
        let mut config = config.map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Self { acceptor, certificate_pem: made.cert.pem() })
    }
}
