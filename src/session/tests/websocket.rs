//! WebSockets: from the handshake to the end of the session.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::actors::backend::granted;
use super::actors::client::read_body;
use super::actors::{Ending, Head, Session, Wire, frame, within};
use super::*;
use crate::config::plan::{FieldChanges, Origins, WebSocketMode};
use crate::pool::Standing;
use crate::registry::tests::{ALONE, at_once};

#[tokio::test]
async fn messages_and_close_codes_pass_both_ways() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let mut session = proxy.client().path("/chat?a=%20b").open().await;
    session.echo("hello").await;
    session.echo(vec![7u8; 100_000]).await;
    session.echo("").await;
    let ending = session.close(4001, "enough").await;
    assert_eq!(ending, Ending::Close(4001, "enough".into()));
    let head = backend.head();
    assert_eq!(head.second(), "/chat?a=%20b");
    until("the backend's end", || !backend.endings().is_empty()).await;
    assert_eq!(backend.endings()[0], Ending::Close(4001, "enough".into()));
    proxy.is_quiet().await;
    let cells = std::sync::Arc::clone(&proxy.app.live.now().routes[0].cells);
    assert_eq!(cells.live(), 0);
    assert_eq!(cells.totals.ended.get("client_closed"), 1);
}

#[tokio::test]
async fn the_backend_sees_a_clean_head() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| {
        let set = (http::header::HeaderName::from_static("x-set"), "ours".parse().unwrap());
        let remove = vec![http::header::COOKIE];
        let changes = FieldChanges { set: vec![set], remove, ..FieldChanges::default() };
        route_of(plan).request_headers = changes.into();
    })
    .await;
    let client = proxy
        .client()
        .field("Origin", "http://example.com")
        .field("Sec-WebSocket-Protocol", "chat, superchat")
        .field("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .field("Connection", "keep-alive, X-Hop")
        .field("X-Hop", "1")
        .field("Tidegate_User", "admin")
        .field("X-Forwarded-For", "6.6.6.6")
        .field("Forwarded", "for=6.6.6.6")
        .field("Cookie", "secret")
        .field("X-Set", "theirs");
    let (answer, _wire) = client.handshake().await;
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.get("sec-websocket-protocol"), "chat");
    let head = backend.head();
    assert_eq!(head.get("host"), "localhost");
    assert_eq!(head.get("origin"), "http://example.com");
    assert_eq!(head.get("sec-websocket-protocol"), "chat, superchat");
    assert_eq!(head.get("sec-websocket-version"), "13");
    assert_eq!(head.get("upgrade"), "websocket");
    assert_eq!(head.get("connection"), "Upgrade");
    assert_eq!(head.get("x-set"), "ours");
    assert_eq!(head.get("x-forwarded-for"), "127.0.0.1");
    assert_eq!(head.get("x-forwarded-proto"), "http");
    assert!(head.get("forwarded").starts_with("for=127.0.0.1"));
    for gone in ["x-hop", "tidegate_user", "cookie"] {
        assert_eq!(head.get(gone), "", "{gone}");
    }
}

#[tokio::test]
async fn bytes_that_come_with_either_head_are_not_lost() {
    let backend = Backend::script(|head, mut wire| async move {
        // The answer and a first message in one write.
        let mut bytes = granted(&head).into_bytes();
        bytes.extend(frame(0x81, b"first", None));
        wire.write_all(&bytes).await.unwrap();
        let mut echoed = [0; 11];
        wire.read_exact(&mut echoed).await.unwrap();
        wire.write_all(&frame(0x81, &echoed[6..], None)).await.unwrap();
        let _ = wire.read(&mut [0; 64]).await;
    })
    .await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    let mut bytes = proxy.client().upgrade(key).into_bytes();
    bytes.extend(frame(0x81, b"early", Some([0; 4])));
    let (head, mut wire) = proxy.client().say(&bytes).await;
    assert_eq!(head.unwrap().status(), 101);
    let mut got = [0; 14];
    within("both messages", wire.read_exact(&mut got)).await.unwrap();
    assert_eq!(got, *b"\x81\x05first\x81\x05early");
    drop(wire);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn another_answer_passes_as_it_is_and_its_connection_ends() {
    for (status, text) in [(200, "OK"), (400, "Bad Request"), (426, "Upgrade Required")] {
        let answer = format!(
            "HTTP/1.1 {status} {text}\r\nContent-Length: 4\r\nX-Own: yes\r\n\
             Tidegate-Token: secret\r\nKeep-Alive: 5\r\n\r\nbody"
        );
        let backend = Backend::answering(answer).await;
        let proxy = Proxy::before(&[&backend], |_| {}).await;
        let (head, mut wire) = proxy.client().handshake().await;
        assert_eq!((head.status(), head.get("x-own")), (status, "yes"));
        assert_eq!(head.get("upgrade") == "websocket", status == 426);
        assert_eq!((head.get("tidegate-token"), head.get("keep-alive")), ("", ""));
        let mut body = [0; 4];
        wire.read_exact(&mut body).await.unwrap();
        assert_eq!(&body, b"body");
        drop(wire);
        proxy.is_quiet().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_wrong_is_a_502_in_clear_text() {
    let wrong = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: wrong\r\n\r\n";
    let backend = Backend::answering(wrong).await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, mut wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 502);
    let body = read_body(&head, &mut wire).await;
    assert!(body.contains("Sec-WebSocket-Accept"), "{body}");
    drop(wire);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_a_502() {
    let long = format!("HTTP/1.1 101 X\r\nX-Long: {}\r\n\r\n", "x".repeat(100_000));
    let many = format!("HTTP/1.1 101 X\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    for answer in ["garbage\r\n\r\n".to_owned(), "HTTP/1.1 101 X\r\n".to_owned(), long, many] {
        let backend = Backend::script(move |_, mut wire| {
            let answer = answer.clone();
            // The end of the stream follows at once.
            async move { drop(wire.write_all(answer.as_bytes()).await) }
        })
        .await;
        let proxy = Proxy::before(&[&backend], |_| {}).await;
        assert_eq!(proxy.client().handshake().await.0.status(), 502);
        proxy.is_quiet().await;
    }
}

#[tokio::test]
async fn another_backend_is_tried_while_nothing_was_promised() {
    let gone = Backend::script(|_, wire| async move { drop(wire) }).await;
    let sick = Backend::answering("HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n").await;
    let well = Backend::echo("well").await;
    let proxy = Proxy::before(&[&gone, &sick, &well], |plan| {
        let dead = pool("pool", &[nowhere()]).backends;
        pool_of(plan).backends.extend(dead);
        pool_of(plan).retry.attempts_max = 4;
        pool_of(plan).retry.budget_min_per_second = 1000;
    })
    .await;
    for _ in 0..8 {
        let mut session = proxy.client().open().await;
        session.echo("well").await;
        session.close(1000, "").await;
    }
    proxy.is_quiet().await;
}

#[tokio::test]
async fn the_last_refusal_of_all_backends_is_what_the_client_gets() {
    let sick = Backend::answering("HTTP/1.1 503 Sick\r\nContent-Length: 4\r\n\r\nsick").await;
    let proxy = Proxy::before(&[&sick], |_| {}).await;
    let (head, mut wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 503);
    assert_eq!(read_body(&head, &mut wire).await, "sick");
    let dead = Proxy::before(&[], |plan| {
        pool_of(plan).backends = pool("pool", &[nowhere()]).backends;
    })
    .await;
    let (head, _wire) = dead.client().handshake().await;
    assert_eq!((head.status(), head.get("retry-after")), (503, "1"));
}

#[tokio::test]
async fn what_a_client_causes_is_not_booked_on_a_backend() {
    let answer = |path: &str| match path {
        "/odd" => "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n",
        "/wrong" => "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        _ => "",
    };
    let script = move |head: Head, mut wire: Wire| async move {
        let path = head.first.split(' ').nth(1).unwrap().to_owned();
        if path != "/chat" {
            // As node's `ws` does with a path it does not know, where there is no answer.
            return drop(wire.write_all(answer(&path).as_bytes()).await);
        }
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
    };
    let backends = [Backend::script(script).await, Backend::script(script).await];
    let proxy = Proxy::before(&[&backends[0], &backends[1]], |_| {}).await;
    let mut session = proxy.client().path("/chat").open().await;
    for path in ["/odd", "/wrong", "/unknown"].repeat(20) {
        assert_eq!(proxy.client().path(path).handshake().await.0.status(), 502);
    }
    let pools = proxy.app.live.now().pools.clone();
    for seen in pools["pool"].health(clock::now()) {
        assert_eq!(seen.standing, Standing::Up);
    }
    session.echo("still here").await;
    proxy.client().path("/chat").open().await.echo("as before").await;
    drop((session, pools));
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_backend_that_never_answers_is_a_504() {
    let silent = Backend::silent().await;
    let proxy = Proxy::before(&[&silent], |plan| {
        pool_of(plan).handshake_timeout = Duration::from_millis(50);
    })
    .await;
    assert_eq!(proxy.client().handshake().await.0.status(), 504);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_handshake_along() {
    let silent = Backend::silent().await;
    let proxy = Proxy::before(&[&silent], |plan| {
        pool_of(plan).handshake_timeout = Duration::from_secs(600);
    })
    .await;
    let mut wire = proxy.client().connect().await.unwrap();
    wire.write_all(proxy.client().upgrade("dGhlIHNhbXBsZSBub25jZQ==").as_bytes()).await.unwrap();
    until("the backend to be asked", || silent.heads().len() == 1).await;
    drop(wire);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_route_says_whether_it_takes_websockets() {
    let backend = Backend::echo("one").await;
    let without = Proxy::before(&[&backend], |plan| {
        route_of(plan).websocket = WebSocketMode::Refused;
    })
    .await;
    assert_eq!(without.client().handshake().await.0.status(), 403);
    assert_eq!(without.client().request("GET", "").await.0.status(), 200);
    let only = Proxy::before(&[&backend], |plan| {
        route_of(plan).websocket = WebSocketMode::Only;
    })
    .await;
    let (head, text) = only.client().request("GET", "").await;
    assert_eq!((head.status(), head.get("upgrade")), (426, "websocket"));
    assert_eq!(text, "only WebSockets are served here\n");
    only.client().open().await.echo("x").await;
}

#[tokio::test]
async fn a_handshake_that_is_wrong_reaches_no_backend() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| {
        route_of(plan).allowed_origins =
            Some(Origins { same: false, listed: vec!["https://example.com".into()] });
    })
    .await;
    let ask = |more: &'static [(&str, &str)]| {
        let client = proxy.client();
        async move {
            let (head, _) = client.say(client.head("GET", more).as_bytes()).await;
            head.unwrap()
        }
    };
    let upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let [a, b] = upgrade;
    let key = ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
    let old = ask(Box::leak(Box::new([a, b, key, ("Sec-WebSocket-Version", "8")]))).await;
    assert_eq!((old.status(), old.get("sec-websocket-version")), (426, "13"));
    let keyless = ask(Box::leak(Box::new([a, b, ("Sec-WebSocket-Version", "13")]))).await;
    assert_eq!(keyless.status(), 400);
    let evil = proxy.client().field("Origin", "https://evil.example").handshake().await.0;
    assert_eq!(evil.status(), 403);
    assert_eq!(backend.connections(), 0);
    proxy.client().field("Origin", "https://example.com").open().await.echo("x").await;
}

#[tokio::test]
async fn a_session_lives_on_when_its_snapshot_is_gone() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    proxy.reload(|plan| remove_cookies(route_of(plan)));
    assert_eq!(proxy.app.live.now().alive(), 1);
    session.echo("after").await;
    session.close(1000, "").await;
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_stop_tells_client_and_backend() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    let drain = at_once(Selector::All, crate::end::Reason::Stop);
    let told =
        proxy.workers.queues().ask_all(move |_| registry::drain(&drain, clock::now(), ALONE));
    assert_eq!(told.await, [1]);
    assert_eq!(code(&session.ending().await), Some(1012));
    until("the backend's end", || !backend.endings().is_empty()).await;
    assert_eq!(code(&backend.endings()[0]), Some(1001));
    proxy.is_quiet().await;
}

fn code(ending: &Ending) -> Option<u16> {
    match ending {
        Ending::Close(code, _) => Some(*code),
        Ending::Cut => None,
    }
}
