//! Answers compressed on their way, and those that are not.

use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Certificates, Head, Wire, read_chunk, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{BOTH, SPEAKS_BOTH, get, handshake};

/// Says what its target asks for: `/KIND/BYTES`, a body of that type and length; with `chunked` in
/// the query, of no length.
async fn saying(head: Head, mut wire: Wire) {
    if head.is_upgrade() {
        wire.write_all(crate::actors::granted(&head).as_bytes()).await.unwrap();
        return;
    }
    let (path, query) = head.second().split_once('?').unwrap_or((head.second(), ""));
    let mut parts = path[1..].split('/');
    let kind = match parts.next().unwrap() {
        "json" => "application/json",
        "html" => "text/html; charset=utf-8",
        "png" => "image/png",
        other => panic!("{other}"),
    };
    let body = "again ".repeat(parts.next().unwrap().parse::<usize>().unwrap() / 6);
    let (framing, body) = match query {
        "chunked" => {
            let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
            ("Transfer-Encoding: chunked".to_owned(), chunk)
        }
        _ => (format!("Content-Length: {}", body.len()), body),
    };
    let more = match query {
        "cookie" => "Set-Cookie: a=b\r\n",
        "no-transform" => "Cache-Control: no-transform\r\n",
        "encoded" => "Content-Encoding: x\r\n",
        _ => "",
    };
    let (first, body) = match query {
        "part" => ("206 Partial Content\r\nContent-Range: bytes 0-5999/9999", body),
        _ => ("200 OK", body),
    };
    let head = format!(
        "HTTP/1.1 {first}\r\nContent-Type: {kind}\r\nETag: \"x\"\r\n{more}{framing}\r\n\r\n"
    );
    let _ = wire.write_all(head.as_bytes()).await;
    let _ = wire.write_all(body.as_bytes()).await;
}

async fn two() -> [Backend; 2] {
    [Backend::script(saying).await, Backend::script(saying).await]
}

fn compressing(backends: &[Backend; 2]) -> Site {
    site(&[&backends[0], &backends[1]]).listener(SPEAKS_BOTH).route("compress = {}")
}

/// A browser's field.
const TAKES: (&str, &str) = ("Accept-Encoding", "gzip, deflate, br, zstd");

#[tokio::test]
async fn text_is_compressed_as_the_client_takes_it_with_a_weak_tag() {
    let backends = two().await;
    let certificates = Certificates::new(&["localhost"]);
    let proxy = Proxy::start(&compressing(&backends).https(&[&certificates], "")).await;
    let client = proxy.client();
    for (accepts, coding) in [("gzip, br", "br"), ("gzip", "gzip")] {
        for path in ["/json/60000", "/html/60000?chunked"] {
            let client = client.clone().path(path).field("Accept-Encoding", accepts);
            let (head, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
            let head = head.unwrap();
            assert_eq!(head.get("content-encoding"), coding, "{path}");
            assert_eq!((head.get("vary"), head.get("etag")), ("Accept-Encoding", "W/\"x\""));
            assert_eq!(head.get("content-length"), "");
            let mut body = Vec::new();
            while let Some(chunk) = within("a chunk", read_chunk(&mut wire)).await {
                body.extend(chunk);
            }
            assert!(body.len() < 2000, "{} bytes of {path}", body.len());
        }
    }
    let secure = proxy.client_of("https").tls(&certificates).path("/json/60000");
    let secure = secure.field(TAKES.0, TAKES.1);
    let (head, _wire) = secure.say(secure.head("GET", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().get("content-encoding"), "br");
    for version in BOTH {
        let plain = get(version, client.address(), "/json/60000", &[]).await;
        assert_eq!((plain.get("content-encoding"), plain.body.len()), ("", 60000), "{version:?}");
        assert_eq!((plain.get("vary"), plain.get("etag")), ("Accept-Encoding", "\"x\""));
        assert_eq!(handshake(version, client.address(), "/ws", &[TAKES]).await.status, 101);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_small_a_part_or_not_text_is_sent_as_it_is() {
    let backends = two().await;
    let proxy = Proxy::start(&compressing(&backends)).await;
    let address = proxy.client().address();
    for version in BOTH {
        for path in [
            "/json/600",
            "/png/6000",
            "/json/6000?cookie",
            "/json/6000?no-transform",
            "/json/6000?part",
        ] {
            let answer = get(version, address, path, &[TAKES]).await;
            assert_eq!(answer.get("content-encoding"), "", "{path} {version:?}");
            assert_eq!((answer.get("etag"), answer.get("vary")), ("\"x\"", ""), "{path}");
        }
        let encoded = get(version, address, "/json/6000?encoded", &[TAKES]).await;
        assert_eq!((encoded.get("content-encoding"), encoded.body.len()), ("x", 6000));
    }
    let client = proxy.client().path("/json/6000").field(TAKES.0, TAKES.1);
    let (head, _) = client.say(client.head("HEAD", &[]).as_bytes()).await;
    let head = head.unwrap();
    assert_eq!((head.get("content-encoding"), head.get("content-length")), ("", "6000"));
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_that_finds_no_encoder_is_sent_as_it_is() {
    let backends = two().await;
    let none = compressing(&backends).table("[limits]\ncompress_bytes_max = \"1023KiB\"");
    let proxy = Proxy::start(&none).await;
    for version in BOTH {
        let answer = get(version, proxy.client().address(), "/json/60000", &[TAKES]).await;
        assert_eq!((answer.get("content-encoding"), answer.body.len()), ("", 60000));
        assert_eq!(answer.get("vary"), "Accept-Encoding", "{version:?}");
    }
    proxy.stop().await;
}

/// A backend that sends a piece of a body of this type whenever it is told to.
async fn pieces(kind: &'static str) -> (Backend, tokio::sync::watch::Sender<u32>) {
    let (more, next) = tokio::sync::watch::channel(0);
    let script = move |_head, mut wire: Wire| {
        let mut next = next.clone();
        async move {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
            );
            wire.write_all(head.as_bytes()).await.unwrap();
            while next.changed().await.is_ok() {
                wire.write_all(b"9\r\ndata: x\n\n\r\n").await.unwrap();
            }
            wire.write_all(b"0\r\n\r\n").await.unwrap();
        }
    };
    (Backend::script(script).await, more)
}

/// In how many rounds events are timed.
const ROUNDS: u32 = 10;

#[tokio::test]
async fn an_event_stream_is_neither_compressed_nor_held_back() {
    let (backend, more) = pieces("text/event-stream").await;
    let proxy = Proxy::start(&site(&[&backend]).route("compress = { types = \"text/*\" }")).await;
    let client = proxy.client().field(TAKES.0, TAKES.1);
    let (head, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().get("content-encoding"), "");
    // Each of them, in one round of several: the machine may be late in any, but an event that is
    // held back is late in all.
    let mut latest = Vec::new();
    for round in 0..ROUNDS {
        let mut late = Duration::ZERO;
        for number in 1..20 {
            let sent = Instant::now();
            more.send(round * 20 + number).unwrap();
            let event = within("an event", read_chunk(&mut wire)).await;
            assert_eq!(event.as_deref(), Some(&b"data: x\n\n"[..]));
            late = late.max(sent.elapsed());
        }
        latest.push(late);
    }
    assert!(latest.iter().any(|late| *late < Duration::from_millis(50)), "{latest:?}");
    drop(more);
    assert_eq!(within("the end", read_chunk(&mut wire)).await, None);
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_that_comes_piece_by_piece_goes_out_piece_by_piece() {
    for accepts in ["gzip", "br"] {
        let (backend, more) = pieces("application/json").await;
        let proxy = Proxy::start(&site(&[&backend]).route("compress = {}")).await;
        let client = proxy.client().field("Accept-Encoding", accepts);
        let (head, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
        assert_eq!(head.unwrap().get("content-encoding"), accepts);
        for number in 1..4 {
            more.send(number).unwrap();
            let piece = within("a piece", read_chunk(&mut wire)).await;
            assert!(piece.is_some_and(|piece| !piece.is_empty()), "{accepts}");
        }
        drop(more);
        while within("the end", read_chunk(&mut wire)).await.is_some() {}
        drop(wire);
        proxy.stop().await;
    }
}
