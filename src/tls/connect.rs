//! TLS towards backends; always verified.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use crate::base::socket::Socket;
use crate::config::plan::{Roots, UpstreamTls};

use super::accept::HTTP_1_1;
use super::error::TlsError;
use super::transport::Transport;
use super::verify::BackendVerifier;

/// A pool's side of TLS handshakes.
#[derive(Clone)]
pub struct Connector {
    connector: TlsConnector,
    server_name: Option<ServerName<'static>>,
}

impl Connector {
    /// A connector for a pool. The system's certificate authorities are read once per process, the
    /// first time a pool trusts them.
    ///
    /// # Errors
    /// The system has no certificate authorities, or `server_name` is no name.
    pub fn build(tls: &UpstreamTls) -> Result<Connector, TlsError> {
        let (roots, pinned) = match &tls.roots {
            Roots::System => (system_roots()?, Vec::new()),
            Roots::File { loaded, .. } => (Arc::clone(&loaded.roots), loaded.certificates.clone()),
        };
        let name = |name: &Arc<str>| {
            ServerName::try_from(name.to_string()).map_err(|_| TlsError::ServerName(name.clone()))
        };
        let server_name = tls.server_name.as_ref().map(name).transpose()?;
        let verifier = BackendVerifier::build(roots, pinned)?;
        let mut config = ClientConfig::builder_with_provider(super::provider())
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![HTTP_1_1.into()];
        Ok(Connector { connector: Arc::new(config).into(), server_name })
    }

    /// Takes the handshake with a backend. The plan's `server_name`, else `host` (a name, or an
    /// address without brackets), is asked for by SNI and must be in its certificate.
    ///
    /// # Errors
    /// The transport's, `InvalidInput` when `host` is no name, or `InvalidData` with a
    /// [`rustls::Error`] inside when the backend is not who it should be.
    pub async fn connect(&self, socket: Socket, host: &str) -> io::Result<Transport> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?,
        };
        let stream = self.connector.connect(name, socket).await?;
        Ok(Transport::Upstream(Box::new(stream)))
    }
}

fn system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    static ROOTS: OnceLock<Result<Arc<RootCertStore>, TlsError>> = OnceLock::new();
    ROOTS.get_or_init(load_system_roots).clone()
}

fn load_system_roots() -> Result<Arc<RootCertStore>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // A system's store may hold odd ones among the good; they are passed over, as others do.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map_or("none found".to_owned(), ToString::to_string);
        return Err(TlsError::NoSystemRoots(why));
    }
    Ok(Arc::new(roots))
}
