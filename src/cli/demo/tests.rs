use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, client_async};
use tungstenite::Message;
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;

use super::*;

type Visitor = WebSocketStream<TcpStream>;

/// A visitor, as soon as the backend takes one.
async fn visit(backend: SocketAddr) -> Visitor {
    loop {
        if let Ok(tcp) = TcpStream::connect(backend).await {
            let request = "ws://localhost/socket".into_client_request().unwrap();
            // One that was killed meanwhile takes nobody from its queue.
            if let Ok((visitor, _)) = client_async(request, tcp).await {
                return visitor;
            }
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn next(visitor: &mut Visitor) -> Message {
    visitor.next().await.unwrap().unwrap()
}

/// What is answered to this head.
async fn asked(address: SocketAddr, head: &str) -> String {
    let mut tcp = TcpStream::connect(address).await.unwrap();
    let head = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_backend_echoes_and_closes_as_it_is_asked() {
    let workers = Workers::start(1).unwrap();
    let (backends, _) = open_backends(&workers).unwrap();
    let (mut one, mut two) = (visit(backends[0]).await, visit(backends[1]).await);
    for text in ["hello".to_owned(), String::new(), "x".repeat(126), "é".repeat(40_000)] {
        one.send(Message::text(&text)).await.unwrap();
        assert_eq!(next(&mut one).await, Message::text(&text));
    }
    two.send(Message::binary(vec![7; 70_000])).await.unwrap();
    assert_eq!(next(&mut two).await, Message::binary(vec![7; 70_000]));
    two.send(Message::text("/who")).await.unwrap();
    assert_eq!(next(&mut two).await, Message::text("backend two"));
    one.send(Message::text("/close 4001 as you wish")).await.unwrap();
    let close = CloseFrame { code: 4001.into(), reason: "as you wish".into() };
    assert_eq!(next(&mut one).await, Message::Close(Some(close)));
}

#[tokio::test]
async fn a_restart_cuts_every_session_and_the_backends_come_back() {
    let workers = Workers::start(1).unwrap();
    let (backends, restarts) = open_backends(&workers).unwrap();
    for _ in 0..2 {
        let mut visitors = Vec::new();
        for backend in &backends {
            let mut visitor = visit(*backend).await;
            visitor.send(Message::text("hello")).await.unwrap();
            assert_eq!(next(&mut visitor).await, Message::text("hello"));
            visitors.push(visitor);
        }
        restarts.restart();
        for visitor in &mut visitors {
            assert!(visitor.next().await.is_none_or(|end| end.is_err()), "no Close");
        }
    }
}

#[tokio::test]
async fn a_visitor_that_breaks_the_rules_is_told() {
    let workers = Workers::start(1).unwrap();
    let (backends, _) = open_backends(&workers).unwrap();
    for (frame, code) in [
        (&[0x81, 1, b'x'][..], 1002),
        (&[0x82, 0xFF, 0, 0, 0, 0, 0, 0x20, 0, 0, 1, 2, 3, 4], 1009),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007),
    ] {
        let mut visitor = visit(backends[0]).await;
        visitor.get_mut().write_all(frame).await.unwrap();
        let Message::Close(Some(close)) = next(&mut visitor).await else { panic!("no Close") };
        assert_eq!(u16::from(close.code), code);
    }
    let mut visitor = visit(backends[0]).await;
    visitor.send(Message::Ping("are you there".into())).await.unwrap();
    assert_eq!(next(&mut visitor).await, Message::Pong("are you there".into()));
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere_and_only_it_restarts_the_backends() {
    let workers = Workers::start(1).unwrap();
    let restarts = Restarts::new();
    let facts = page::PageFacts {
        backend: None,
        resume: "always",
        path: "/socket".into(),
        tunnel: Some(7),
        push: None,
        commands: vec![("what lives here", "tidegate status".into())],
    };
    let page = on_worker(&workers, move || page::open(&facts, Some(restarts))).unwrap();
    for path in ["/", "/demo/demo.js", "/demo/demo.css"] {
        let answer = asked(page, &format!("GET {path} HTTP/1.1")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer:.200}");
        assert!(answer.contains("content-security-policy: default-src 'none'"));
        assert!(!answer.contains("src=\"http") && !answer.contains("href=\"http"));
        assert!(
            !answer.contains("onclick=") && !answer.contains("style="),
            "the policy forbids it"
        );
    }
    let facts = asked(page, "GET /demo/facts.json HTTP/1.1").await;
    assert!(facts.contains(r#""tunnel":7"#) && facts.contains("tidegate status"), "{facts}");
    for (site, status) in [("cross-site", 403), ("same-site", 403), ("same-origin", 200)] {
        let head = format!("POST /demo/restart HTTP/1.1\r\nSec-Fetch-Site: {site}");
        let answer = asked(page, &head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{site}: {answer:.200}");
    }
    assert!(asked(page, "GET /demo/restart HTTP/1.1").await.starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_visitors_backend_is_named_as_people_name_it() {
    for (own, dialled) in [
        ("127.0.0.1:3000", Some("127.0.0.1:3000")),
        ("ws://localhost:3000/chat?room=1", Some("localhost:3000")),
        ("http://[::1]:3000", Some("[::1]:3000")),
        ("unix:/run/app.sock", None),
    ] {
        assert_eq!(Behind::of(own).dialled().as_deref(), dialled, "{own}");
    }
}
