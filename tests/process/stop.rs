//! SIGTERM: every client reads a Close with 1012, and nothing it sent before is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tungstenite::Message;

use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic;

/// What the backend received: per session, the numbers' count; a gap is a panic.
type Received = Arc<Mutex<HashMap<u64, u64>>>;

/// A backend that takes numbered messages and answers none.
async fn sink(received: Received) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let received = Arc::clone(&received);
            tokio::spawn(async move {
                let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
                while let Some(Ok(message)) = socket.next().await {
                    let Message::Text(text) = message else { continue };
                    let (session, number) = text.split_once(' ').unwrap();
                    let (session, number) = (session.parse().unwrap(), number.parse().unwrap());
                    let mut received = received.lock().unwrap();
                    let before = received.insert(session, number).unwrap_or(0);
                    assert_eq!(number, before + 1, "session {session}: lost or out of order");
                }
            });
        }
    });
    address
}

/// Sends numbers until it reads a Close; gives its code, its moment, and the last number sent.
async fn sender(to: String, session: u64, open: Arc<AtomicUsize>) -> (u16, Instant, u64) {
    let socket = traffic::open(&to, "/").await.unwrap();
    open.fetch_add(1, Ordering::Relaxed);
    let (mut send, mut read) = socket.split();
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            message = read.next() => match message {
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map_or(1005, |frame| frame.code.into());
                    let end = (code, Instant::now(), number);
                    // Polled on, tungstenite answers the Close.
                    drop(send.flush().await);
                    while let Some(Ok(_)) = read.next().await {}
                    return end;
                }
                Some(Ok(_)) => {}
                other => panic!("session {session} ended with {other:?} after {number} messages"),
            },
            () = tokio::time::sleep(Duration::from_millis(scaled(2, 25) as u64)) => {
                number += 1;
                let text = format!("{session} {number}");
                if send.send(Message::text(text)).await.is_err() {
                    number -= 1;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stop_closes_everyone_with_1012_and_loses_no_message() {
    let received = Received::default();
    let backend = sink(Arc::clone(&received)).await;
    let proxy = Proxy::start(&format!(
        r#"
[drain]
delay = "200ms"
window = "{}s"
timeout = "20s"
[pools.one]
backends = ["{backend}"]
[[routes]]
path = "/"
pool = "one"
"#,
        scaled(1, 5)
    ))
    .await;
    let sessions = scaled(60, 1_000);
    let open = Arc::new(AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for session in 0..sessions as u64 {
        let (to, open) = (proxy.plain.clone(), Arc::clone(&open));
        senders.spawn(async move { (session, sender(to, session, open).await) });
    }
    proxy.wait("all sessions", || open.load(Ordering::Relaxed) == sessions).await;
    proxy.signal(libc::SIGTERM);
    let unready = || proxy.get("/readyz").is_none_or(|(status, _)| status == 503);
    proxy.wait("an unready answer", unready).await;
    let mut moments = Vec::new();
    while let Some(done) = senders.join_next().await {
        let (session, (code, moment, sent)) = done.unwrap();
        assert_eq!(code, 1012);
        // What is on its way when the client leaves still has to be read by the backend.
        let got = || received.lock().unwrap().get(&session).copied().unwrap_or(0);
        let what = format!("message {sent} of session {session} at the backend");
        proxy.wait(&what, || got() == sent).await;
        moments.push(moment);
    }
    let status = proxy.exit().await;
    assert_eq!(status.code(), Some(0));
    moments.sort();
    let (first, last) = (moments[0], moments[moments.len() - 1]);
    println!("{sessions} sessions closed with 1012 over {:?}", last.duration_since(first));
    let middle = moments[moments.len() / 2].duration_since(first);
    assert!(middle > Duration::ZERO, "closes are spread, not all at once");
}
