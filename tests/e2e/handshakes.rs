//! What backends may answer, and what clients may ask.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::{Backend, drain, granted, reset, within};
use crate::proxy::Proxy;
use crate::site::site;

#[tokio::test]
async fn any_other_answer_passes_as_the_answer_it_is() {
    for status in [200, 400, 401, 404, 426, 500] {
        let answer = format!(
            "HTTP/1.1 {status} Own Words\r\nContent-Length: 4\r\nX-Why: because\r\n\r\nbody"
        );
        let backend = Backend::answering(answer).await;
        let proxy = Proxy::start(&site(&[&backend])).await;
        let (head, mut wire) = proxy.client().handshake().await;
        assert_eq!((head.status(), head.get("x-why")), (status, "because"));
        let mut body = [0; 4];
        within("a body", wire.read_exact(&mut body)).await.unwrap();
        assert_eq!(&body, b"body");
        drop(wire);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn an_answer_that_is_no_handshake_is_refused_with_502() {
    type Wrong = fn(&str) -> String;
    let answers: [(&str, Wrong); 6] = [
        ("a wrong key", |right| right.replace("Accept: ", "Accept: x")),
        ("no key", |right| right.replace("Sec-WebSocket-Accept", "X-Accept")),
        ("no upgrade", |right| right.replace("Upgrade: websocket\r\n", "")),
        ("no connection", |right| right.replace("Connection: Upgrade\r\n", "")),
        ("a subprotocol nobody offered", |right| {
            right.replace("Upgrade: w", "Sec-WebSocket-Protocol: other\r\nUpgrade: w")
        }),
        ("an extension nobody offered", |right| {
            right.replace("Upgrade: w", "Sec-WebSocket-Extensions: x-own\r\nUpgrade: w")
        }),
    ];
    for (what, wrong) in answers {
        let backend = Backend::script(move |head, mut wire| async move {
            wire.write_all(wrong(&granted(&head)).as_bytes()).await.unwrap();
            // Nothing the client says may reach a backend that did not grant a WebSocket.
            assert_eq!(drain(&mut wire).await, b"", "{what}");
        })
        .await;
        let proxy = Proxy::start(&site(&[&backend])).await;
        let (head, _) = proxy.client().handshake().await;
        assert_eq!(head.status(), 502, "{what}: {head:?}");
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_backend_that_fails_is_tried_no_longer_and_another_answers() {
    let living = Backend::echo("b").await;
    let dead = Backend::echo("a").await;
    let address = dead.address();
    dead.kill().await;
    let busy = Backend::answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").await;
    let mute = Backend::script(|_head, wire| async move { drop(wire) }).await;
    let cross = Backend::script(|_head, wire| async move { reset(wire) }).await;
    for failing in [&busy, &mute, &cross] {
        let proxy = Proxy::start(&site(&[failing, &living])).await;
        for _ in 0..4 {
            proxy.client().open().await.echo("hello").await;
        }
        assert!(failing.connections() > 0);
        proxy.stop().await;
    }
    let toml =
        site(&[&living]).toml().replace("backends = [", &format!("backends = [\"{address}\", "));
    let proxy = Proxy::start_with(&toml);
    for _ in 0..4 {
        proxy.client().open().await.echo("hello").await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_backend_that_never_answers_is_given_up() {
    let silent = Backend::silent().await;
    let patience = "handshake_timeout = \"300ms\"\nretry = { attempts_max = 1 }";
    let proxy = Proxy::start(&site(&[&silent]).pool(patience)).await;
    assert_eq!(proxy.client().handshake().await.0.status(), 504);
    proxy.stop().await;
}

#[tokio::test]
async fn without_a_backend_the_answer_is_503_and_when_to_come_back() {
    let dead = Backend::echo("a").await;
    let toml = site(&[&dead]).pool("health = { failures_max = 1 }");
    dead.kill().await;
    let proxy = Proxy::start(&toml).await;
    let first = proxy.client().handshake().await.0;
    let mut last = first.clone();
    for _ in 0..3 {
        last = proxy.client().handshake().await.0;
    }
    let (request, _) = proxy.client().request("GET", "").await;
    for head in [first, last, request] {
        assert_eq!(head.status(), 503, "{head:?}");
        let after: u32 = head.get("retry-after").parse().unwrap();
        assert!((1..=3600).contains(&after));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_handshake_that_breaks_the_rules_is_refused_here() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let client = proxy.client();
    let good = client.upgrade("dGhlIHNhbXBsZSBub25jZQ==");
    let bad = [
        (426, good.replace("Version: 13", "Version: 8")),
        (426, good.replace("Sec-WebSocket-Version: 13\r\n", "")),
        (400, good.replace("dGhlIHNhbXBsZSBub25jZQ==", "short")),
        (400, good.replace("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "")),
    ];
    for (status, head) in bad {
        let (answer, _) = client.say(head.as_bytes()).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), status, "{head}\n{answer:?}");
        if status == 426 {
            assert_eq!(answer.get("sec-websocket-version"), "13");
        }
    }
    assert_eq!(backend.connections(), 0);
    // Any case, several lines, and other words beside.
    let odd = good
        .replace("Upgrade: websocket", "uPGRADE: foo, WebSocket")
        .replace("Connection: Upgrade", "Connection: keep-alive\r\nConnection: x, upGrade");
    assert_eq!(client.say(odd.as_bytes()).await.0.unwrap().status(), 101);
    proxy.stop().await;
}

#[tokio::test]
async fn only_allowed_origins_may_open_a_websocket() {
    let backend = Backend::echo("a").await;
    let allowed = "allowed_origins = [\"https://example.com\", \"https://*.example.org\"]";
    let proxy = Proxy::start(&site(&[&backend]).route(allowed)).await;
    for (origin, status) in [
        ("https://example.com", 101),
        ("https://a.example.org", 101),
        ("https://example.org", 403),
        ("http://example.com", 403),
        ("https://evil.com", 403),
        ("null", 403),
    ] {
        let (head, _) = proxy.client().field("Origin", origin).handshake().await;
        assert_eq!(head.status(), status, "{origin}");
    }
    // Not a browser.
    proxy.client().open().await.echo("hello").await;
    proxy.stop().await;
}
