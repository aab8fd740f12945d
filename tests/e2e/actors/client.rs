//! A client: raw bytes, plain HTTP, or a WebSocket; over TCP or TLS.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::certificates::trusting;
use super::{Certificates, Head, Io, Session, Wire, within};

/// What to ask, and of whom.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    source: Option<IpAddr>,
    tls: Option<Arc<ClientConfig>>,
    host: String,
    path: String,
    fields: Vec<(String, String)>,
}

impl Client {
    /// A plain client of `address`, asking `localhost` for `/`.
    pub fn to(address: SocketAddr) -> Client {
        let (host, path) = ("localhost".to_owned(), "/".to_owned());
        Client { address, source: None, tls: None, host, path, fields: Vec::new() }
    }

    /// Where it connects to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From this address of the machine.
    pub fn from(mut self, source: IpAddr) -> Client {
        self.source = Some(source);
        self
    }

    /// Over TLS, trusting these.
    pub fn tls(self, certificates: &Certificates) -> Client {
        self.trusting(&certificates.ca())
    }

    /// Over TLS, trusting the authority in this file and no other.
    pub fn trusting(mut self, ca: &Path) -> Client {
        self.tls = Some(trusting(ca));
        self
    }

    /// Over TLS as this says, with a certificate of its own perhaps.
    // For end-to-end tests.
    #[allow(dead_code)]
    pub fn showing(mut self, config: Arc<ClientConfig>) -> Client {
        self.tls = Some(config);
        self
    }

    /// Asks this host, by SNI too.
    pub fn host(mut self, host: &str) -> Client {
        self.host = host.to_owned();
        self
    }

    /// Asks for this path.
    pub fn path(mut self, path: &str) -> Client {
        self.path = path.to_owned();
        self
    }

    /// Sends this field, too.
    pub fn field(mut self, name: &str, value: &str) -> Client {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A connection on which nothing was said yet.
    ///
    /// # Errors
    /// The system's or TLS's, when there is none to be had.
    pub async fn connect(&self) -> std::io::Result<Wire> {
        let socket = match self.address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        if let Some(source) = self.source {
            socket.bind((source, 0).into())?;
        }
        let tcp = within("a connection", socket.connect(self.address)).await?;
        tcp.set_nodelay(true)?;
        let io: Box<dyn Io> = match &self.tls {
            None => Box::new(tcp),
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).unwrap();
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(within("a TLS handshake", connector.connect(name, tcp)).await?)
            }
        };
        Ok(BufReader::new(io))
    }

    /// A request's head.
    pub fn head(&self, method: &str, more: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.host);
        let own = self.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(more.iter().copied()) {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        head + "\r\n"
    }

    /// Says `bytes` on a new connection; gives the head that comes back.
    pub async fn say(&self, bytes: &[u8]) -> (Option<Head>, Wire) {
        let mut wire = self.connect().await.unwrap();
        // Who answers early may close before all was said: the answer decides.
        let _ = wire.write_all(bytes).await;
        (within("an answer", Head::read(&mut wire)).await, wire)
    }

    /// A plain request; gives the answer's head and body.
    pub async fn request(&self, method: &str, body: &str) -> (Head, String) {
        let length = body.len().to_string();
        let mut bytes = self.head(method, &[("Content-Length", &length)]);
        bytes.push_str(body);
        let (head, mut wire) = self.say(bytes.as_bytes()).await;
        let head = head.expect("an answer");
        let body = within("a body", read_body(&head, &mut wire)).await;
        (head, body)
    }

    /// Asks for a WebSocket; gives the answer and the wire behind it, whatever the answer.
    pub async fn handshake(&self) -> (Head, Wire) {
        let key = generate_key();
        let (head, wire) = self.say(self.upgrade(&key).as_bytes()).await;
        let head = head.expect("an answer to the handshake");
        if head.status() == 101 {
            assert_eq!(head.get("sec-websocket-accept"), derive_accept_key(key.as_bytes()));
        }
        (head, wire)
    }

    /// The head of a handshake with this key (RFC 6455 §4.1).
    pub fn upgrade(&self, key: &str) -> String {
        let fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", key),
            ("Sec-WebSocket-Version", "13"),
        ];
        self.head("GET", &fields)
    }

    /// A WebSocket; the test fails when there is none to be had.
    pub async fn open(&self) -> Session {
        let (head, wire) = self.handshake().await;
        assert_eq!(head.status(), 101, "{head:?}");
        Session::client(wire).await
    }
}

/// A body by its `Content-Length`, in chunks, or to the end (RFC 9112 §6.3).
pub async fn read_body(head: &Head, wire: &mut Wire) -> String {
    let mut body = Vec::new();
    if head.get("transfer-encoding").eq_ignore_ascii_case("chunked") {
        while let Some(chunk) = read_chunk(wire).await {
            body.extend(chunk);
        }
    } else if let Ok(length) = head.get("content-length").parse() {
        body.resize(length, 0);
        wire.read_exact(&mut body).await.unwrap();
    } else {
        wire.read_to_end(&mut body).await.unwrap();
    }
    String::from_utf8(body).unwrap()
}

/// The next chunk (RFC 9112 §7.1); `None` after the last.
pub async fn read_chunk(wire: &mut Wire) -> Option<Vec<u8>> {
    use tokio::io::AsyncBufReadExt;
    let mut line = String::new();
    wire.read_line(&mut line).await.unwrap();
    let length = usize::from_str_radix(line.trim_end(), 16).unwrap();
    let mut chunk = vec![0; length + 2];
    wire.read_exact(&mut chunk).await.unwrap();
    chunk.truncate(length);
    (length > 0).then_some(chunk)
}
