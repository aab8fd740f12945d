//! The same request over HTTP/1.1 and over HTTP/2: the same outcome, but for what each version
//! spells in its own way.

use std::net::SocketAddr;

use http::{HeaderMap, Method, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::actors::{Backend, Session, granted, within};

/// What a backend answers, and what both clients must see of it: the status, and the length that is
/// announced.
const ANSWERS: [(&str, &str, u16, Option<&str>); 9] = [
    ("GET", "200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, Some("3")),
    ("GET", "200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, None),
    ("HEAD", "200 OK\r\nContent-Length: 3\r\n\r\n", 200, Some("3")),
    ("GET", "204 No Content\r\n\r\n", 204, None),
    ("GET", "204 No Content\r\nContent-Length: 0\r\n\r\n", 204, None),
    ("GET", "304 Not Modified\r\nETag: \"a\"\r\n\r\n", 304, None),
    ("GET", "404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, Some("0")),
    ("GET", "302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", 302, Some("0")),
    ("GET", "426 Upgrade Required\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n", 426, Some("0")),
];

/// Fields that one version has and the other does not, or that each answer has of its own.
const OF_A_VERSION: [&str; 6] =
    ["connection", "upgrade", "transfer-encoding", "keep-alive", "date", "x-request-id"];

fn comparable(headers: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut fields: Vec<_> = headers.filter(|(name, _)| !OF_A_VERSION.contains(&&**name)).collect();
    fields.sort();
    fields
}

fn fields(headers: &HeaderMap) -> impl Iterator<Item = (String, String)> {
    headers.iter().map(|(name, value)| {
        (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
    })
}

/// The status and the fields of an answer over HTTP/1.1.
async fn over_http1(address: SocketAddr, method: &str) -> (u16, Vec<(String, String)>) {
    let mut client = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    client.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the answer", client.read_to_string(&mut answer)).await.unwrap();
    let (head, _) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    (status, fields.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect())
}

#[tokio::test]
async fn an_answer_is_the_same_over_both_versions() {
    for (method, answer, status, length) in ANSWERS {
        let answer = answer.replacen("\r\n", "\r\nConnection: close\r\n", 1);
        let backend = Backend::answering(format!("HTTP/1.1 {answer}")).await;
        let front = Front::clear(&backend, "");
        let (first, first_fields) = over_http1(front.address(), method).await;
        let mut streams = front.client().await;
        let request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri("http://localhost/")
            .body(())
            .unwrap();
        let (second, _) = streams.ask(request, true).await.unwrap();
        assert_eq!((first, second.status().as_u16()), (status, status), "{answer:?}");
        let second_fields = comparable(fields(second.headers()));
        assert_eq!(comparable(first_fields.into_iter()), second_fields, "{answer:?}");
        let announced = second.headers().get("content-length");
        assert_eq!(announced.map(|length| length.to_str().unwrap()), length, "{answer:?}");
        drop(streams);
        front.stop().await;
    }
}

#[tokio::test]
async fn a_websockets_200_has_no_length_whatever_its_101_had() {
    let backend = Backend::script(|head, mut wire| async move {
        let granted = granted(&head);
        let granted = granted.replacen("\r\n", "\r\nContent-Length: 0\r\n", 1);
        let _ = wire.write_all(granted.as_bytes()).await;
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
    })
    .await;
    let front = Front::clear(&backend, "");
    let mut streams = front.client().await;
    let (answer, _sending) = streams.ask(Streams::handshake("/"), false).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-length")), (200, None));
}

#[tokio::test]
async fn a_websocket_with_a_length_is_refused_before_it_begins() {
    let backend = Backend::echo("one").await;
    let front = Front::clear(&backend, "");
    let mut streams = front.client().await;
    let mut request = Streams::handshake("/");
    request.headers_mut().insert("content-length", "0".parse().unwrap());
    let (answer, _sending) = streams.ask(request, false).await.unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn authority_and_host_are_one_after_normalisation() {
    let backend = Backend::echo("one").await;
    let front = Front::clear(&backend, "");
    for (authority, host, is_one) in [
        ("a.example:80", "a.example", true),
        ("a.example", "a.example:80", true),
        ("A.example", "a.EXAMPLE:", true),
        ("a.example.", "a.example", true),
        ("a.example:8080", "a.example", false),
        ("a.example", "b.example", false),
    ] {
        let mut streams = front.client().await;
        let request = Request::builder()
            .uri(format!("http://{authority}/"))
            .header("host", host)
            .body(())
            .unwrap();
        let answered = streams.ask(request, true).await;
        let status = answered.as_ref().map(|(answer, _)| answer.status().as_u16());
        assert_eq!(status.is_ok(), is_one, "{authority} beside {host}: {status:?}");
    }
}
