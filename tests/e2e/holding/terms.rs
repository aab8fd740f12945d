//! What a new upstream must agree on, and what nobody but tidegate says.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::{Ending, Session, Wire, granted};

/// Answers the first handshake with `fields` added to its 101, and closes it when spoken to;
/// then does with each later one what `later` says.
async fn changes_its_mind(fields: &'static str, later: &'static str) -> Backend {
    let heads = Arc::new(AtomicUsize::new(0));
    Backend::script(move |head, mut wire: Wire| {
        let earlier = heads.fetch_add(1, Relaxed);
        async move {
            if earlier > 0 {
                let answer = match later.strip_prefix("101") {
                    Some(fields) => with(&granted(&head), fields),
                    None => format!("HTTP/1.1 {later}\r\nContent-Length: 0\r\n\r\n"),
                };
                wire.write_all(answer.as_bytes()).await.unwrap();
                crate::actors::drain(&mut wire).await;
                return;
            }
            wire.write_all(with(&granted(&head), fields).as_bytes()).await.unwrap();
            let mut session = Session::server(wire).await;
            if session.next().await.is_ok() {
                session.reset();
            }
        }
    })
    .await
}

/// A 101 with more fields, each with its line's end.
fn with(granted: &str, fields: &str) -> String {
    format!("{}{fields}\r\n", granted.strip_suffix("\r\n").unwrap())
}

#[tokio::test]
async fn a_backend_that_agrees_on_something_else_cannot_have_the_session() {
    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    const NARROW: &str =
        "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9\r\n";
    const CHAT: &str = "Sec-WebSocket-Protocol: chat\r\n";
    const NEWS: &str = "Sec-WebSocket-Protocol: news\r\n";
    for (first, later) in [(DEFLATE, ""), ("", DEFLATE), (DEFLATE, NARROW), (CHAT, NEWS)] {
        let second: &'static str = Box::leak(format!("101{later}").into_boxed_str());
        let heads = Arc::new(AtomicUsize::new(0));
        let backend = Backend::script(move |head, mut wire: Wire| {
            let fields = if heads.fetch_add(1, Relaxed) == 0 { first } else { &second[3..] };
            async move {
                // Without the subprotocol it would choose by itself.
                let accept = granted(&head);
                let accept: String = accept
                    .split_inclusive("\r\n")
                    .filter(|line| !line.to_lowercase().starts_with("sec-websocket-protocol"))
                    .collect();
                wire.write_all(with(&accept, fields).as_bytes()).await.unwrap();
                let mut session = Session::server(wire).await;
                if session.next().await.is_ok() {
                    session.reset();
                }
            }
        })
        .await;
        let proxy = Proxy::start(&holding(&[&backend], "")).await;
        let client = proxy.client();
        let client = client.field("sec-websocket-protocol", "chat, news");
        let mut session =
            client.field("sec-websocket-extensions", "permessage-deflate").open().await;
        session.send("go").await;
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{first} {later}: {ending:?}");
        assert_eq!(backend.connections(), 2);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_refusal_ends_the_hold_at_once_and_a_server_error_does_not() {
    for refusal in ["401 Unauthorized", "404 Not Found", "302 Found"] {
        let backend = changes_its_mind("", refusal).await;
        let proxy = Proxy::start(&holding(&[&backend], "timeout = \"1h\"")).await;
        let mut session = proxy.client().open().await;
        session.send("go").await;
        let ending = session.ending().await;
        assert!(matches!(ending, Ending::Close(1012, _)), "{refusal}: {ending:?}");
        assert_eq!(backend.connections(), 2);
        proxy.stop().await;
    }
    for error in ["500 Internal Server Error", "503 Service Unavailable"] {
        let backend = changes_its_mind("", error).await;
        let proxy = Proxy::start(&holding(&[&backend], "")).await;
        let mut session = proxy.client().open().await;
        session.send("go").await;
        until("more attempts", || backend.connections() >= 4).await;
        let attempts: Vec<u32> = backend.heads()[1..].iter().map(|head| resumed(head).1).collect();
        let counted: Vec<u32> = (1..=attempts.len() as u32).collect();
        assert_eq!(attempts, counted);
        let address = backend.kill().await;
        let _backend = Backend::echo_at("b", address).await;
        session.echo("after").await;
        drop(session);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn compression_is_agreed_on_so_that_it_outlives_a_backend() {
    const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate; \
                           client_max_window_bits=12\r\n";
    let backend = changes_its_mind(DEFLATE, "101").await;
    let proxy = Proxy::start(&holding(&[&backend], "replay_first = 1, swallow_first = 1")).await;
    let offer = "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits";
    let (answer, _wire) = proxy.client().field("sec-websocket-extensions", offer).handshake().await;
    assert_eq!(
        answer.get("sec-websocket-extensions"),
        "permessage-deflate; client_max_window_bits=12; client_no_context_takeover"
    );
    assert_eq!(
        backend.head().get("sec-websocket-extensions"),
        "permessage-deflate; client_max_window_bits; client_no_context_takeover; \
         server_no_context_takeover"
    );
    drop(_wire);
    proxy.stop().await;
}

#[tokio::test]
async fn nobody_but_tidegate_says_whose_session_it_is() {
    let forged = ["Tidegate-Session", "tidegate-resume", "Tidegate_Session"];
    for keys in ["", "hold = {}"] {
        let backend = Backend::script(|head, mut wire: Wire| async move {
            let told = "Tidegate-Session: leaked\r\nTidegate-Resume: leaked\r\n";
            let answer = match head.is_upgrade() {
                true => with(&granted(&head), told),
                false => with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", told),
            };
            wire.write_all(answer.as_bytes()).await.unwrap();
            crate::actors::drain(&mut wire).await;
        })
        .await;
        let proxy = Proxy::start(&site(&[&backend]).route(keys)).await;
        let forging = || forged.iter().fold(proxy.client(), |to, name| to.field(name, "forged"));
        let (answer, wire) = forging().handshake().await;
        let (plain, _) = forging().request("GET", "").await;
        for answer in [answer, plain] {
            assert!(!format!("{answer:?}").contains("leaked"), "{answer:?}");
        }
        for head in backend.heads() {
            assert!(!format!("{head:?}").contains("forged"), "{head:?}");
        }
        drop(wire);
        proxy.stop().await;
    }
}
