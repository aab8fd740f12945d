//! Clients that are slow, broken or too many.

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Certificates, Head, Wire, drain, until, within};
use crate::proxy::Proxy;
use crate::site::site;

/// The status of the answer, or 0 when the connection is closed without one.
async fn answer(wire: &mut Wire) -> u16 {
    within("an answer or the end", Head::read(wire)).await.map_or(0, |head| head.status())
}

#[tokio::test]
async fn garbage_is_answered_or_closed_and_harms_nobody() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend]).https(&[&certificates], "")).await;
    let (plain, https) = (proxy.client(), proxy.client_of("https"));
    let mut session = https.clone().tls(&certificates).open().await;

    for garbage in [&b"\x16\x03\x01\x00\x05hello\r\n\r\n"[..], b"GET\r\n\r\n", b"\0\0\0\0\r\n\r\n"]
    {
        let mut wire = plain.connect().await.unwrap();
        wire.write_all(garbage).await.unwrap();
        assert!([0, 400].contains(&answer(&mut wire).await), "{garbage:?}");
        // An HTTP client on the TLS port, and worse.
        let mut wire = https.connect().await.unwrap();
        wire.write_all(garbage).await.unwrap();
        drain(&mut wire).await;
    }
    session.echo("still here").await;
    session.close(1000, "").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_answered_431() {
    let backend = Backend::echo("a").await;
    let limits = "limits = { head_bytes_max = \"8KiB\", headers_max = 20 }";
    let proxy = Proxy::start(&site(&[&backend]).listener(limits)).await;
    let mut many = proxy.client();
    for number in 0..30 {
        many = many.field(&format!("X-{number}"), "1");
    }
    let large = proxy.client().field("X-Large", &"x".repeat(20_000));
    for client in [many, large] {
        let (head, _) = client.say(client.head("GET", &[]).as_bytes()).await;
        assert_eq!(head.unwrap().status(), 431);
    }
    assert_eq!(backend.connections(), 0);
    proxy.stop().await;
}

#[tokio::test]
async fn a_head_that_does_not_come_in_time_is_not_waited_for() {
    let backend = Backend::echo("a").await;
    let limits = "limits = { head_timeout = \"300ms\" }";
    let proxy = Proxy::start(&site(&[&backend]).listener(limits)).await;
    let mut wire = proxy.client().connect().await.unwrap();
    wire.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    assert!([0, 408].contains(&answer(&mut wire).await));
    drain(&mut wire).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_tls_handshake_that_does_not_come_in_time_is_not_waited_for() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let limits = "limits = { tls_handshake_timeout = \"300ms\" }";
    let proxy = Proxy::start(&site(&[&backend]).tls(&certificates).listener(limits)).await;
    let mut wire = proxy.client().connect().await.unwrap();
    wire.write_all(b"\x16\x03").await.unwrap();
    drain(&mut wire).await;
    proxy.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_come_back_when_others_leave() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend]).table("[limits]\nconnections_per_address_max = 2");
    let proxy = Proxy::start(&toml).await;
    let one = proxy.client().open().await;
    let mut two = proxy.client().open().await;
    let mut third = proxy.client().connect().await.unwrap();
    drain(&mut third).await;
    two.echo("hello").await;
    one.close(1000, "").await;
    let client = proxy.client();
    let again = async {
        loop {
            let (head, wire) =
                client.say(client.upgrade("dGhlIHNhbXBsZSBub25jZQ==").as_bytes()).await;
            if head.is_some_and(|head| head.status() == 101) {
                return wire;
            }
            tokio::task::yield_now().await;
        }
    };
    drop(within("a free place", again).await);
    drop(two);
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_when_it_shows_no_life() {
    let backend = Backend::sessions(|mut session| async move {
        // More than all buffers on the way hold.
        for _ in 0..256 {
            if session.try_send(vec![0; 1 << 20]).await.is_err() {
                return;
            }
        }
    })
    .await;
    let pings = "relay = { ping_interval = \"200ms\", pong_timeout = \"300ms\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(pings)).await;
    let (head, wire) = proxy.client().handshake().await;
    assert_eq!(head.status(), 101);
    // Before it has begun there is no session either.
    let ended = "tidegate_sessions_ended_total{route=\"all\",";
    until("a session to end", || proxy.scrape().contains(ended)).await;
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn a_proxy_header_is_taken_from_the_trusted_only() {
    let backend = Backend::echo("a").await;
    let expected = |trusted: &str| format!("proxy_protocol = {{ trusted = \"{trusted}\" }}");
    let v1 = "PROXY TCP4 203.0.113.7 127.0.0.1 40000 443\r\n";
    let v2 =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\xC6\x33\x64\x05\x7F\x00\x00\x01\x9C\x40\x01\xBB";
    let proxy = Proxy::start(&site(&[&backend]).listener(&expected("127.0.0.0/8"))).await;
    let client = proxy.client();
    let head = client.head("GET", &[]);
    for header in [v1.as_bytes(), v2] {
        let (answer, _) = client.say(&[header, head.as_bytes()].concat()).await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    let told: Vec<String> =
        backend.heads().iter().map(|head| head.get("x-forwarded-for").to_owned()).collect();
    assert_eq!(told, ["203.0.113.7", "198.51.100.5"]);
    // No header at all.
    let (answer, _) = client.say(head.as_bytes()).await;
    assert!(answer.is_none_or(|head| head.status() == 400));
    proxy.stop().await;

    let proxy = Proxy::start(&site(&[&backend]).listener(&expected("10.0.0.0/8"))).await;
    let client = proxy.client();
    let (answer, _) = client.say(&[v1.as_bytes(), head.as_bytes()].concat()).await;
    assert_eq!(answer, None);
    assert_eq!(backend.heads().len(), 2);
    proxy.stop().await;
}
