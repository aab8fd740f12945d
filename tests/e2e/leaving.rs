//! A client that leaves while its request or handshake is pending is noticed at once, whatever it
//! sent behind it: the backend is left, and its permits are free for the next client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use http::Request;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::actors::{Backend, Certificates, Client, frame, read_body, reset, until, within};
use crate::http2::{Front, Streams};
use crate::proxy::Proxy;
use crate::site::site;

/// One request at a time, and one handshake: who holds a permit keeps the next from the backend.
const ONE_EACH: &str = "requests_in_flight_max = 1\nhandshakes_in_flight_max = 1\n\
                        handshake_timeout = \"1m\"\nconnect_timeout = \"20s\"\n\
                        response_timeout = \"1m\"";

/// Bytes that the proxy's system takes of a client, whatever the proxy reads of them.
const TAKEN_MAX: usize = 60_000;

const ANSWER: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAA==";

/// A backend that answers nothing below `/silent`, and how many wait there for it.
async fn backend() -> (Backend, Arc<AtomicUsize>) {
    let waiting = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&waiting);
    let backend = Backend::script(move |head, mut wire| {
        let count = Arc::clone(&count);
        async move {
            if !head.second().starts_with("/silent") {
                let _ = wire.write_all(ANSWER.as_bytes()).await;
                return;
            }
            if !head.get("content-length").is_empty() {
                // Of a body it takes nothing: what the proxy has of it backs up to the client.
                std::future::pending::<()>().await;
            }
            count.fetch_add(1, SeqCst);
            while matches!(wire.read(&mut [0; 1024]).await, Ok(1..)) {}
            count.fetch_sub(1, SeqCst);
        }
    })
    .await;
    (backend, waiting)
}

/// What a client asks, and what it sent behind it before it leaves.
fn pending(client: &Client) -> Vec<(&'static str, Vec<u8>)> {
    let silent = client.clone().path("/silent");
    let get = silent.head("GET", &[]).into_bytes();
    let upgrade = silent.upgrade(KEY).into_bytes();
    let text = frame(0x81, b"hello", Some([1, 2, 3, 4]));
    let body = silent.head("POST", &[("Content-Length", "50000000")]).into_bytes();
    vec![
        ("a request", get.clone()),
        ("a request, another behind it", [&get[..], &get].concat()),
        ("a request, half of another behind it", [&get[..], b"GET /half HT"].concat()),
        ("a request, many behind it", [&get[..], &get.repeat(1200)].concat()),
        ("a handshake", upgrade.clone()),
        ("a handshake, a frame behind it", [&upgrade[..], &text].concat()),
        ("a handshake, many frames behind it", [&upgrade[..], &text.repeat(4_000)].concat()),
        ("a body that is begun", [&body[..], &[b'x'; 40_000]].concat()),
        ("a body that is not taken", [&body[..], &vec![b'x'; 48_000_000]].concat()),
    ]
}

/// Plays each on a connection of its own, left by a FIN and by a reset.
async fn plays(proxy: &Proxy, client: &Client, waiting: &AtomicUsize) {
    for (what, bytes) in pending(client) {
        for is_reset in [false, true] {
            // A FIN behind what the proxy does not take stays with the client's system.
            if !is_reset && bytes.len() > TAKEN_MAX {
                continue;
            }
            let mut wire = client.connect().await.unwrap();
            let mut left = &bytes[..];
            // More than is taken is not sent.
            while let Ok(Ok(sent)) = timeout(Duration::from_millis(200), wire.write(left)).await {
                left = &left[sent..];
                if left.is_empty() {
                    break;
                }
            }
            assert_eq!(left.is_empty(), bytes.len() <= TAKEN_MAX, "{what}");
            if !what.contains("body") {
                until(&format!("{what} to arrive"), || waiting.load(SeqCst) == 1).await;
            }
            match is_reset {
                true => reset(wire),
                false => drop(wire),
            }
            until(&format!("{what} to be given up"), || {
                waiting.load(SeqCst) == 0
                    && proxy.scrape().lines().any(|line| {
                        line.starts_with("tidegate_connections_open") && line.ends_with(" 0")
                    })
            })
            .await;
            let (head, mut wire) = client.say(client.head("GET", &[]).as_bytes()).await;
            let head = head.unwrap();
            assert_eq!(head.status(), 200, "{what}: the next client");
            read_body(&head, &mut wire).await;
            let (head, _) = client.say(client.upgrade(KEY).as_bytes()).await;
            assert_eq!(head.unwrap().status(), 200, "{what}: the next handshake");
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_behind_what_it_sent() {
    let (backend, waiting) = backend().await;
    let proxy = Proxy::start(&site(&[&backend]).pool(ONE_EACH)).await;
    plays(&proxy, &proxy.client(), &waiting).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_over_tls() {
    let certificates = Certificates::new(&["localhost"]);
    let (backend, waiting) = backend().await;
    let site = site(&[&backend]).pool(ONE_EACH).tls(&certificates);
    let proxy = Proxy::start(&site).await;
    plays(&proxy, &proxy.client().tls(&certificates), &waiting).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_that_closes_its_half_only_has_left() {
    let (backend, waiting) = backend().await;
    let proxy = Proxy::start(&site(&[&backend]).pool(ONE_EACH)).await;
    let client = proxy.client().path("/silent");
    let mut wire = client.connect().await.unwrap();
    wire.write_all(client.head("GET", &[]).as_bytes()).await.unwrap();
    until("the request to arrive", || waiting.load(SeqCst) == 1).await;
    wire.shutdown().await.unwrap();
    assert_eq!(within("the end", wire.read(&mut [0])).await.unwrap(), 0);
    until("the backend to be left", || waiting.load(SeqCst) == 0).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_reset_and_a_connection_that_is_gone_leave_the_backend() {
    let (backend, waiting) = backend().await;
    let front = Front::clear(&backend, "");
    for what in ["a request", "a handshake", "a handshake, frames behind it"] {
        for is_reset in [false, true] {
            let mut client = front.client().await;
            let request = match what {
                "a request" => Request::get("http://localhost/silent").body(()).unwrap(),
                _ => Streams::handshake("/silent"),
            };
            let (answer, mut sending) = client.begin(request).await;
            if what.contains("frames") {
                for _ in 0..100 {
                    sending.send_data(Bytes::from_static(b"early"), false).unwrap();
                }
            }
            until(&format!("{what} to arrive"), || waiting.load(SeqCst) == 1).await;
            if is_reset {
                sending.send_reset(Reason::CANCEL);
            } else {
                client.abort();
            }
            until(&format!("{what} to be given up"), || waiting.load(SeqCst) == 0).await;
            drop((answer, sending));
        }
    }
    front.stop().await;
}
