//! Every way to ask a proxy for something: HTTP/1.1 and HTTP/2, in clear text and over TLS, for a
//! page and for a WebSocket.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, Request};
use rustls::pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use crate::actors::{Certificates, Client, within};
use crate::http2::Streams;
use crate::proxy::Proxy;
use crate::site::Site;

/// A client, by what it says and where it comes from.
#[derive(Clone)]
pub struct Asker<'a> {
    plain: SocketAddr,
    secure: SocketAddr,
    certificates: &'a Certificates,
    source: IpAddr,
    path: String,
    fields: Vec<(String, String)>,
}

/// Both listeners speak both versions of HTTP.
pub fn both(site: Site, certificates: &Certificates) -> Site {
    site.listener("http2.h2c = true").https(&[certificates], "")
}

impl<'a> Asker<'a> {
    /// A client of the listeners that [`both`] makes.
    pub fn new(proxy: &Proxy, certificates: &'a Certificates) -> Asker<'a> {
        Asker {
            plain: proxy.client().address(),
            secure: proxy.client_of("https").address(),
            certificates,
            source: Ipv4Addr::LOCALHOST.into(),
            path: "/".to_owned(),
            fields: Vec::new(),
        }
    }

    /// From this address.
    pub fn from(&self, source: &str) -> Asker<'a> {
        Asker { source: source.parse().unwrap(), ..self.clone() }
    }

    /// For this path and query.
    pub fn path(&self, path: &str) -> Asker<'a> {
        Asker { path: path.to_owned(), ..self.clone() }
    }

    /// With this field, too.
    pub fn field(&self, name: &str, value: &str) -> Asker<'a> {
        let mut asker = self.clone();
        asker.fields.push((name.to_owned(), value.to_owned()));
        asker
    }

    /// A client of HTTP/1.1.
    pub fn client(&self, is_secure: bool) -> Client {
        let client = match is_secure {
            true => Client::to(self.secure).tls(self.certificates),
            false => Client::to(self.plain),
        };
        let fields = self.fields.iter();
        let client = client.from(self.source).path(&self.path);
        fields.fold(client, |client, (name, value)| client.field(name, value))
    }

    /// A connection of HTTP/2.
    pub async fn streams(&self, is_secure: bool) -> Streams {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((self.source, 0).into()).unwrap();
        let address = if is_secure { self.secure } else { self.plain };
        let tcp = within("a connection", socket.connect(address)).await.unwrap();
        if !is_secure {
            return Streams::on(tcp).await;
        }
        let mut config = (*self.certificates.client()).clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let tls = TlsConnector::from(Arc::new(config)).connect(name, tcp);
        Streams::on(within("a TLS handshake", tls).await.unwrap()).await
    }

    /// A handshake on a stream of HTTP/2.
    pub fn handshake(&self) -> Request<()> {
        self.with_fields(Streams::handshake(&self.path))
    }

    fn with_fields(&self, mut request: Request<()>) -> Request<()> {
        for (name, value) in &self.fields {
            let name = HeaderName::from_bytes(name.to_lowercase().as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    /// The statuses of a page and of a WebSocket over each version of HTTP, in clear text and over
    /// TLS: what opens a WebSocket is 101 here, whatever the version says.
    pub async fn statuses(&self) -> Vec<u16> {
        let mut statuses = Vec::new();
        for is_secure in [false, true] {
            let client = self.client(is_secure);
            statuses.push(client.request("GET", "").await.0.status());
            statuses.push(client.handshake().await.0.status());
            let mut streams = self.streams(is_secure).await;
            let page = Request::get(format!("http://localhost{}", self.path)).body(()).unwrap();
            statuses.push(streams.status(self.with_fields(page)).await.0);
            let (answer, _sending) = streams.ask(self.handshake(), false).await.unwrap();
            let status = answer.status().as_u16();
            statuses.push(if status == 200 { 101 } else { status });
        }
        statuses
    }
}

/// What [`Asker::statuses`] gives where both kinds of request are answered so.
pub fn everywhere(page: u16, websocket: u16) -> Vec<u16> {
    [page, websocket].repeat(4)
}
