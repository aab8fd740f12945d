//! Long lives: pings, silence, ends by time; and what is only watched.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::{Backend, Ending, drain, frame, granted, until, within};
use crate::proxy::Proxy;
use crate::site::site;

const MASK: Option<[u8; 4]> = Some([9, 8, 7, 6]);

#[tokio::test]
async fn both_sides_are_pinged_and_our_pongs_go_no_further() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        let ping = read_frame(&mut wire).await;
        assert_eq!(ping[0], 0x89);
        // Our own ping passes, and so does the pong to it.
        wire.write_all(&frame(0x8A, &unmasked(&ping), None)).await.unwrap();
        wire.write_all(&frame(0x89, b"from the backend", None)).await.unwrap();
        loop {
            let answer = read_frame(&mut wire).await;
            if answer[0] == 0x8A {
                assert_eq!(unmasked(&answer), b"from the backend");
                break;
            }
        }
        wire.write_all(&frame(0x81, b"seen", None)).await.unwrap();
        drain(&mut wire).await;
    })
    .await;
    let pings = "relay = { ping_interval = \"200ms\", pong_timeout = \"10s\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(pings)).await;
    let (_, mut wire) = proxy.client().handshake().await;
    let mut pinged = false;
    loop {
        let seen = read_frame(&mut wire).await;
        match (seen[0], &seen[2..]) {
            (0x89, b"from the backend") => {
                let pong = frame(0x8A, b"from the backend", MASK);
                wire.write_all(&pong).await.unwrap();
            }
            (0x89, ours) => {
                pinged = true;
                wire.write_all(&frame(0x8A, ours, MASK)).await.unwrap();
            }
            (0x81, text) => {
                assert_eq!(text, b"seen");
                break;
            }
            other => panic!("{other:?}"),
        }
    }
    while !pinged {
        pinged = read_frame(&mut wire).await[0] == 0x89;
    }
    drop(wire);
    proxy.stop().await;
}

/// A short frame, whole.
async fn read_frame(wire: &mut crate::actors::Wire) -> Vec<u8> {
    let mut bytes = vec![0; 2];
    within("a frame", wire.read_exact(&mut bytes)).await.unwrap();
    let mask = if bytes[1] & 0x80 == 0 { 0 } else { 4 };
    let length = usize::from(bytes[1] & 0x7F) + mask;
    assert!(length < 126 + 4);
    bytes.resize(2 + length, 0);
    within("a payload", wire.read_exact(&mut bytes[2..])).await.unwrap();
    bytes
}

/// The payload of a short masked frame.
fn unmasked(frame: &[u8]) -> Vec<u8> {
    let (mask, payload) = frame[2..].split_at(4);
    payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect()
}

#[tokio::test]
async fn a_backend_that_goes_silent_is_told_to_the_client_as_1012() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        // Reads, and never says a word: not even a pong.
        drain(&mut wire).await;
    })
    .await;
    let pings = "relay = { ping_interval = \"200ms\", pong_timeout = \"300ms\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(pings)).await;
    let ending = proxy.client().open().await.ending().await;
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_that_has_lived_its_time_is_told_to_come_back() {
    let backend = Backend::echo("a").await;
    let life = "relay = { max_lifetime = \"1s\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(life)).await;
    let mut session = proxy.client().open().await;
    session.echo("hello").await;
    let ending = session.ending().await;
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    until("the backend's ending", || backend.endings().len() == 1).await;
    assert!(matches!(backend.endings()[0], Ending::Close(1001, _)));
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_only_observed_passes_and_is_counted() {
    let backend = Backend::script(|head, mut wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        let mut bytes = [0; 3];
        wire.read_exact(&mut bytes).await.unwrap();
        // Without a mask, as it was sent.
        assert_eq!(bytes, [0x81, 1, b'x']);
        wire.write_all(&frame(0x81, b"passed", None)).await.unwrap();
        drain(&mut wire).await;
    })
    .await;
    let observe = "relay = { validation = \"observe\" }";
    let proxy = Proxy::start(&site(&[&backend]).route(observe)).await;
    let mut session = proxy.client().open().await;
    session.wire().write_all(&frame(0x81, b"x", None)).await.unwrap();
    assert_eq!(session.text().await, "passed");
    let metrics = proxy.scrape();
    let counted = |line: &&str| line.contains("violation") && line.ends_with(" 1");
    assert!(metrics.lines().any(|line| counted(&line)), "{metrics}");
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn what_was_relayed_is_counted_and_where_it_ended_is_known() {
    let backend = Backend::echo("a").await;
    let table = "[admin]\naddress = \"127.0.0.1:0\"";
    let proxy = Proxy::start(&site(&[&backend]).table(table)).await;
    let mut session = proxy.client().open().await;
    for _ in 0..3 {
        session.echo("five!").await;
    }
    session.close(4001, "").await;
    let ended = "tidegate_sessions_ended_total{route=\"all\",end=\"client_closed\"} 1\n";
    until("the session's end", || proxy.scrape().contains(ended)).await;
    let (head, metrics) = proxy.admin().path("/metrics").request("GET", "").await;
    assert_eq!(head.status(), 200);
    let value = |parts: &[&str]| {
        let line = metrics.lines().find(|line| parts.iter().all(|part| line.contains(part)));
        line.and_then(|line| line.rsplit(' ').next()).unwrap_or_default().to_owned()
    };
    assert_eq!(value(&["tidegate_messages_total{", "side=\"client\"", "route=\"all\""]), "3");
    assert_eq!(value(&["tidegate_sessions_ended_total{", "end=\"client_closed\""]), "1");
    proxy.stop().await;
}
