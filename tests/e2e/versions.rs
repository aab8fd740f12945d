//! The same request over HTTP/1.1 and over HTTP/2.

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, Request};
use tokio::net::TcpStream;

use crate::actors::client::read_body;
use crate::actors::{Client, Head, within};
use crate::http2::front::{Streams, rest};

/// The version of HTTP that a client speaks; of HTTP/2 without TLS, with prior knowledge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Version {
    Http1,
    Http2,
}

pub const BOTH: [Version; 2] = [Version::Http1, Version::Http2];

/// The line of a listener that speaks both.
pub const SPEAKS_BOTH: &str = "http2 = { h2c = true }";

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    /// A field's first line; empty without one.
    pub fn get(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks for a path with GET on a connection of its own.
pub async fn get(
    version: Version,
    address: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    match version {
        Version::Http1 => {
            let client = Client::to(address).path(path);
            let (head, mut wire) = client.say(client.head("GET", fields).as_bytes()).await;
            let head = head.unwrap();
            let body = within("a body", read_body(&head, &mut wire)).await;
            Answer { status: head.status(), headers: map(&head), body }
        }
        Version::Http2 => {
            let mut request = Request::get(format!("http://localhost{path}")).body(()).unwrap();
            add(request.headers_mut(), fields);
            ask(address, request, true).await
        }
    }
}

/// Asks for a WebSocket and leaves. What opens one has the status 101 in both versions.
pub async fn handshake(
    version: Version,
    address: SocketAddr,
    path: &str,
    fields: &[(&str, &str)],
) -> Answer {
    match version {
        Version::Http1 => {
            let with = |client: Client, (name, value): &(&str, &str)| client.field(name, value);
            let client = fields.iter().fold(Client::to(address).path(path), with);
            let (head, _wire) = client.handshake().await;
            Answer { status: head.status(), headers: map(&head), body: String::new() }
        }
        Version::Http2 => {
            let mut request = Streams::handshake(path);
            add(request.headers_mut(), fields);
            let mut answer = ask(address, request, false).await;
            answer.status = if answer.status == 200 { 101 } else { answer.status };
            answer
        }
    }
}

async fn ask(address: SocketAddr, request: Request<()>, is_plain: bool) -> Answer {
    let mut streams = Streams::on(TcpStream::connect(address).await.unwrap()).await;
    let (answer, _sending) = streams.ask(request, is_plain).await.unwrap();
    let (head, body) = answer.into_parts();
    let is_open = !is_plain && head.status == 200;
    let body = if is_open { Vec::new() } else { rest(body).await.unwrap() };
    let body = String::from_utf8(body).unwrap();
    Answer { status: head.status.as_u16(), headers: head.headers, body }
}

fn map(head: &Head) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let fields = head.fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    add(&mut headers, &fields.collect::<Vec<_>>());
    headers
}

fn add(headers: &mut HeaderMap, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
}
