//! Where clients go, and how they get there.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs as crypto;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use crate::codec;
use crate::scenario::Over;

use super::wire::{H2Stream, Wire, read_head};

/// WebSockets on one HTTP/2 connection, which every peer allows by default.
const STREAMS_PER_CONNECTION: usize = 64;

/// Bytes an HTTP/2 stream, and all of a connection, may have on the way to a client.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;

/// How clients reach the proxy.
#[derive(Clone)]
pub struct Target {
    /// The proxy's address.
    pub address: SocketAddr,
    /// How it is spoken to.
    pub over: Over,
    /// Its certificate.
    pub trust: CertificateDer<'static>,
}

/// An open WebSocket.
pub struct Opened {
    /// Its bytes.
    pub stream: Box<dyn Wire>,
    /// What came behind the answer already.
    pub early: Vec<u8>,
    /// How the TLS handshake went, on a connection of its own.
    pub tls: Option<HandshakeKind>,
}

/// Opens WebSockets.
pub struct Connector {
    target: Target,
    tls: tokio_rustls::TlsConnector,
    h2: Mutex<Option<(h2::client::SendRequest<Bytes>, usize)>>,
}

impl Connector {
    /// Clients of that target.
    pub fn new(target: Target) -> Rc<Connector> {
        let tls = tokio_rustls::TlsConnector::from(Arc::new(config(&target)));
        Rc::new(Connector { target, tls, h2: Mutex::new(None) })
    }

    /// Opens one.
    pub async fn open(&self) -> io::Result<Opened> {
        let (mut stream, tls): (Box<dyn Wire>, _) = match self.target.over {
            Over::Plain => (Box::new(self.tcp().await?), None),
            Over::H2 => {
                let stream = Box::new(self.h2_stream().await?);
                return Ok(Opened { stream, early: Vec::new(), tls: None });
            }
            Over::Tls | Over::Resumed => {
                let stream = self.tls_connection().await?;
                let kind = stream.get_ref().1.handshake_kind();
                (Box::new(stream), kind)
            }
        };
        stream.write_all(codec::REQUEST).await?;
        stream.flush().await?;
        let (_, early) = read_head(&mut *stream).await?;
        Ok(Opened { stream, early, tls })
    }

    async fn tcp(&self) -> io::Result<TcpStream> {
        let tcp = TcpStream::connect(self.target.address).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    async fn tls_connection(&self) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let name = ServerName::try_from("bench.test").expect("cannot fail: it is a DNS name");
        self.tls.connect(name, self.tcp().await?).await
    }

    async fn h2_stream(&self) -> io::Result<H2Stream> {
        let mut shared = self.h2.lock().await;
        let full = shared.as_ref().is_none_or(|(_, used)| *used >= STREAMS_PER_CONNECTION);
        if full {
            *shared = Some((self.h2_connection().await?, 0));
        }
        let Some((sender, used)) = shared.as_mut() else { unreachable!("it was just filled") };
        *used += 1;
        let sender = sender.clone();
        drop(shared);
        let request = http::Request::builder()
            .method(http::Method::CONNECT)
            .uri("https://bench.test/socket")
            .header("sec-websocket-version", "13")
            .extension(h2::ext::Protocol::from_static("websocket"))
            .body(())
            .map_err(io::Error::other)?;
        let mut sender = sender.ready().await.map_err(io::Error::other)?;
        let (answer, sending) = sender.send_request(request, false).map_err(io::Error::other)?;
        let answer = answer.await.map_err(io::Error::other)?;
        if answer.status() != http::StatusCode::OK {
            return Err(io::Error::other(format!("answered {}", answer.status())));
        }
        Ok(H2Stream::new(sending, answer.into_body()))
    }

    async fn h2_connection(&self) -> io::Result<h2::client::SendRequest<Bytes>> {
        let stream = self.tls_connection().await?;
        let mut builder = h2::client::Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let (sender, connection) = builder.handshake(stream).await.map_err(io::Error::other)?;
        tokio::task::spawn_local(async move { drop(connection.await) });
        // The settings that allow extended CONNECT come with the server's first words.
        for _ in 0..1_000 {
            if sender.is_extended_connect_protocol_enabled() {
                return Ok(sender);
            }
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        Err(io::Error::other("it does not announce extended CONNECT (RFC 8441)"))
    }
}

/// Everybody is offered the same cipher and key exchange, so that nobody is charged for a stronger
/// one.
fn config(target: &Target) -> ClientConfig {
    let provider = rustls::crypto::CryptoProvider {
        cipher_suites: vec![crypto::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![crypto::kx_group::X25519],
        ..crypto::default_provider()
    };
    let mut roots = RootCertStore::empty();
    roots.add(target.trust.clone()).expect("the bench's own certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("cannot fail: the suite is of TLS 1.3");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    match target.over {
        // Each client has its own: the ticket its connection before this one was given, however
        // few a server gives.
        Over::Resumed => config.resumption = Resumption::in_memory_sessions(64),
        _ => config.resumption = Resumption::disabled(),
    }
    if target.over == Over::H2 {
        config.alpn_protocols = vec![b"h2".to_vec()];
    }
    config
}
