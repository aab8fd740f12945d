use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;

use super::*;

type Visitor = WebSocketStream<TcpStream>;

/// A visitor of a backend, and the subprotocol it was given.
async fn visit(backend: SocketAddr, protocols: &'static str) -> (Visitor, Option<String>) {
    let tcp = TcpStream::connect(backend).await.unwrap();
    let mut request = "ws://localhost/socket".into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    let (visitor, answer) = client_async(request, tcp).await.unwrap();
    let given = answer.headers().get("sec-websocket-protocol");
    (visitor, given.map(|given| given.to_str().unwrap().to_owned()))
}

async fn next(visitor: &mut Visitor) -> Message {
    visitor.next().await.unwrap().unwrap()
}

#[tokio::test]
async fn a_backend_echoes_and_lets_visitors_of_both_hear_each_other() {
    let workers = Workers::start(1).unwrap();
    let backends = open_backends(&workers).unwrap();
    let (mut one, given) = visit(backends[0], "one, two").await;
    assert_eq!(given.as_deref(), Some("one"));
    let (mut two, given) = visit(backends[1], "one, two").await;
    assert_eq!(given.as_deref(), Some("two"));

    for text in ["hello".to_owned(), String::new(), "x".repeat(126), "é".repeat(40_000)] {
        one.send(Message::text(&text)).await.unwrap();
        assert_eq!(next(&mut one).await, Message::text(&text));
        let heard = next(&mut two).await.into_text().unwrap();
        assert_eq!(heard, format!("a visitor of backend one: {text}"));
    }
    // Binary is for the sender alone.
    two.send(Message::binary(vec![7; 70_000])).await.unwrap();
    assert_eq!(next(&mut two).await, Message::binary(vec![7; 70_000]));
    two.send(Message::text("/who")).await.unwrap();
    assert_eq!(next(&mut two).await, Message::text("backend two"));

    one.send(Message::text("/close 4001 as you wish")).await.unwrap();
    let close = CloseFrame { code: 4001.into(), reason: "as you wish".into() };
    assert_eq!(next(&mut one).await, Message::Close(Some(close)));
    two.send(Message::text("/crash")).await.unwrap();
    assert!(two.next().await.unwrap().is_err());
}

#[tokio::test]
async fn a_visitor_that_breaks_the_rules_is_told() {
    let workers = Workers::start(1).unwrap();
    let backends = open_backends(&workers).unwrap();
    for (frame, code) in [
        (&[0x81, 1, b'x'][..], 1002),
        (&[0x82, 0xFF, 0, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4], 1009),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007),
    ] {
        let (mut visitor, _) = visit(backends[0], "one").await;
        visitor.get_mut().write_all(frame).await.unwrap();
        let Message::Close(Some(close)) = next(&mut visitor).await else { panic!("no Close") };
        assert_eq!(u16::from(close.code), code);
    }
    let (mut visitor, _) = visit(backends[0], "one").await;
    visitor.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(next(&mut visitor).await, Message::Pong("are you there".into()));
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let workers = Workers::start(1).unwrap();
    let backends = open_backends(&workers).unwrap();
    let mut tcp = TcpStream::connect(backends[1]).await.unwrap();
    tcp.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:.200}");
    assert!(answer.contains("content-security-policy: default-src 'none'"));
    assert!(!answer.contains("src=\"http") && !answer.contains("href=\"http"));
}
