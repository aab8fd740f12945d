//! SIGTERM: every client reads a Close with 1012, and nothing it sent before is lost.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpListener;
use tungstenite::Message;

use crate::proxy::Proxy;
use crate::traffic;
use crate::{is_full, scaled};

/// Seconds over which a stop spreads its closes.
fn window() -> Duration {
    Duration::from_secs(scaled(1, 10) as u64)
}

/// The longest pause of a session between two messages, in milliseconds: the backend keeps up.
fn pause_ms() -> u64 {
    scaled(2, 1_000) as u64
}

/// Closes in each tenth of the window may differ from their mean by this share.
const FLAT_PERCENT: usize = 20;

/// What the last client may read its Close after the window: the way to it, and its turn to read.
const LATE_MAX: Duration = Duration::from_millis(500);

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
                    // Polled on, tungstenite answers the Close; then the connection ends, unbroken.
                    drop(send.flush().await);
                    match read.next().await {
                        None => return end,
                        Some(after) => panic!("session {session}: {after:?} after the Close"),
                    }
                }
                Some(Ok(_)) => {}
                other => panic!("session {session} ended with {other:?} after {number} messages"),
            },
            () = tokio::time::sleep(Duration::from_millis(pause_ms())) => {
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
timeout = "{}s"
[limits]
connections_max = 20000
[pools.one]
backends = ["{backend}"]
[[routes]]
path = "/"
pool = "one"
"#,
        window().as_secs(),
        window().as_secs() + 20,
    ))
    .await;
    let sessions = scaled(60, 5_000);
    let open = Arc::new(AtomicUsize::new(0));
    let mut senders = tokio::task::JoinSet::new();
    for session in 0..sessions as u64 {
        let (to, came) = (proxy.plain.clone(), Arc::clone(&open));
        senders.spawn(async move { (session, sender(to, session, came).await) });
        if session % 50 == 49 {
            // Gently: a connect storm is another test.
            proxy.wait("those who came", || open.load(Ordering::Relaxed) as u64 > session).await;
        }
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
    let tenths = tenths(&moments);
    println!("in each tenth of the window: {tenths:?}");
    if is_full() {
        assert!(last.duration_since(first) <= window() + LATE_MAX, "inside the window");
        let flat =
            |count: &usize| (count * 1_000).abs_diff(sessions * 100) <= sessions * FLAT_PERCENT;
        assert!(tenths.iter().all(flat), "flat within {FLAT_PERCENT} %");
    }
}

/// Closes in each tenth of the window that began with the first; who is late counts in the last.
fn tenths(moments: &[Instant]) -> [usize; 10] {
    let mut tenths = [0; 10];
    for moment in moments {
        let share = moment.duration_since(moments[0]).div_duration_f64(window());
        tenths[((share * 10.0) as usize).min(9)] += 1;
    }
    tenths
}
