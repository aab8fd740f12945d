//! Takes clients' TLS handshakes.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::SingleCertAndKey;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig, version};

use crate::base::socket::Socket;
use crate::config::plan::{ClientCertificates, ServerTls, TlsVersion};
use crate::wire::client_cert::ClientCertificate;

use super::challenge::ACME_TLS_1;
use super::engine::{Engine, RECORD_BYTES_MAX};
use super::error::{AcceptError, TlsError};
use super::issued::{self, IssuedCertificates};
use super::resolver::{self, Resolver};
use super::server_stream::{ServerStream, Spoken, looks_like_http};
use super::tickets;

/// A protocol's name in ALPN (RFC 7301).
pub type Alpn = &'static str;

/// HTTP/1.1 (RFC 9112).
pub const HTTP_1_1: Alpn = "http/1.1";

/// HTTP/2 (RFC 9113).
pub const HTTP_2: Alpn = "h2";

/// TLS 1.3 tickets sent after a full or resumed handshake. One is what the next connection needs,
/// and that one brings its own successor; rustls' two cost every handshake another record.
const TICKETS: usize = 1;

/// A record's head, and the type of those that carry handshake messages (RFC 8446 §5.1).
const RECORD_HEAD_BYTES: usize = 5;
const HANDSHAKE_RECORD: u8 = 22;

/// A listener's side of TLS handshakes.
#[derive(Clone, Debug)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    alpn: &'static [Alpn],
}

/// What a handshake agreed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Greeting {
    /// The name the client asked for, lower case; `None` when it asked for none.
    pub sni: Option<Arc<str>>,
    /// The protocol; `None` when the client offered none, which means HTTP/1.1.
    pub alpn: Option<Alpn>,
    /// The version.
    pub version: TlsVersion,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
    /// The client's certificate, where it was asked for one and has shown it.
    pub certificate: Option<Arc<ClientCertificate>>,
}

impl Acceptor {
    /// An acceptor for a listener; `alpn` are the protocols it speaks, the preferred first, and
    /// `issued` the certificates that come while it is at work.
    ///
    /// Clients resume over reloads and upgrades, renewed certificates too: see `tickets`.
    ///
    /// # Errors
    /// There is no certificate, or rustls refuses.
    pub fn build(
        tls: &ServerTls,
        alpn: &'static [Alpn],
        issued: &Arc<IssuedCertificates>,
    ) -> Result<Acceptor, TlsError> {
        Acceptor::with(super::provider(), tls, alpn, issued)
    }

    /// An acceptor that answers an authority which asks whether `name` is ours (TLS-ALPN-01, RFC
    /// 8737): `digest` is the key authorization's SHA-256. It speaks nothing else.
    ///
    /// # Errors
    /// The certificate cannot be made.
    pub fn answering(name: &str, digest: &[u8]) -> Result<Acceptor, TlsError> {
        let certificate = issued::answering(name, digest)?;
        let mut config = ServerConfig::builder_with_provider(super::provider())
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
        config.alpn_protocols = vec![ACME_TLS_1.into()];
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Acceptor { config: Arc::new(config), alpn: &[ACME_TLS_1] })
    }

    pub(super) fn with(
        provider: Arc<CryptoProvider>,
        tls: &ServerTls,
        alpn: &'static [Alpn],
        issued: &Arc<IssuedCertificates>,
    ) -> Result<Acceptor, TlsError> {
        if tls.certificates.is_empty() && tls.acme.is_empty() {
            return Err(TlsError::NoCertificate);
        }
        let versions = match tls.version_min {
            TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12][..],
            TlsVersion::V1_3 => &[&version::TLS13],
        };
        let resolver = Resolver::new(tls, issued)?;
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?;
        let builder = match &tls.clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(verifier(clients, provider)?),
        };
        let mut config = builder.with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        if tls.resumption {
            config.ticketer = match tls.clients {
                None => tickets::shared()?,
                // rustls asks for a certificate in a full handshake only, and takes a ticket's word
                // for it in others (CVE-2025-23419 was of this kind).
                Some(_) => tickets::of_one_listener()?,
            };
            config.send_tls13_tickets = TICKETS;
        }
        Ok(Acceptor { config: Arc::new(config), alpn })
    }

    /// Takes one handshake; `early`, up to [`RECORD_BYTES_MAX`] bytes, was read from the socket
    /// already. The caller sets the time.
    ///
    /// # Errors
    /// See [`AcceptError`]; the client was sent an alert where there is one for it.
    pub async fn accept(
        &self,
        socket: Socket,
        early: &[u8],
    ) -> Result<(Box<ServerStream>, Greeting), AcceptError> {
        if looks_like_http(early) {
            return Err(AcceptError::PlainHttp(socket));
        }
        if early.len() > RECORD_BYTES_MAX {
            return Err(AcceptError::Io(io::ErrorKind::InvalidInput.into()));
        }
        let mut engine = self.engine()?;
        engine.hold(early);
        let mut stream = Box::new(ServerStream::new(socket, engine));
        let mut sni = None;
        let spoken = poll_fn(|cx| {
            let polled = stream.poll_handshake(cx);
            // Taken within the poll: the next one on this thread may be another connection's.
            sni = resolver::take_heard().or(sni.take());
            polled
        });
        match spoken.await {
            Ok(Spoken::Tls) => {}
            Ok(Spoken::PlainHttp) => return Err(AcceptError::PlainHttp(stream.into_socket())),
            Err(error) => return Err(why(error)),
        }
        let greeting = self.greeting(stream.engine(), sni);
        Ok((stream, greeting))
    }

    /// The TLS state of a connection about to begin.
    pub(super) fn engine(&self) -> Result<Engine, rustls::Error> {
        Engine::new(Arc::clone(&self.config))
    }

    fn greeting(&self, engine: &Engine, sni: Option<Arc<str>>) -> Greeting {
        let agreed = |&&name: &&Alpn| engine.alpn() == Some(name.as_bytes());
        Greeting {
            sni,
            alpn: self.alpn.iter().find(agreed).copied(),
            version: match engine.version() {
                Some(ProtocolVersion::TLSv1_2) => TlsVersion::V1_2,
                _ => TlsVersion::V1_3,
            },
            resumed: engine.handshake_kind() == Some(HandshakeKind::Resumed),
            certificate: engine
                .client_certificate()
                .and_then(ClientCertificate::read)
                .map(Arc::new),
        }
    }
}

/// Who verifies clients' certificates (RFC 5280 §6), with the lists of the revoked ones. A list
/// whose successor is overdue says nothing of what was revoked since: nobody passes by it.
fn verifier(
    clients: &ClientCertificates,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let roots = Arc::clone(&clients.roots);
    let builder = WebPkiClientVerifier::builder_with_provider(roots, provider)
        .with_crls(clients.crls.iter().map(|(_, list)| list.der.clone()))
        .enforce_revocation_expiration();
    let builder = if clients.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| TlsError::Refused(rustls::Error::General(error.to_string())))
}

/// Waits until a client's first record is there as a whole, which has its ClientHello, or shows
/// that it is none, or the client has closed. Nothing is taken; the caller sets the time.
pub async fn client_hello(socket: &Socket) {
    let mut head = [0; RECORD_HEAD_BYTES];
    let is_whole = |head: &[u8], come: usize| match *head {
        // RFC 8446 §5.1: type, version, length.
        [HANDSHAKE_RECORD, _, _, high, low] => {
            come >= RECORD_HEAD_BYTES + usize::from(u16::from_be_bytes([high, low]))
        }
        [HANDSHAKE_RECORD, ..] | [] => false,
        _ => true,
    };
    // What is wrong with the socket, the handshake finds out.
    let _ = socket.peek_until(&mut head, is_whole).await;
}

fn why(error: io::Error) -> AcceptError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        return AcceptError::Eof;
    }
    match error.downcast::<rustls::Error>() {
        Ok(error) => error.into(),
        Err(error) => AcceptError::Io(error),
    }
}
