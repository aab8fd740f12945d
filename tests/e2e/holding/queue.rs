//! Handshakes that come while no backend is up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::{Wire, drain, granted, within};

async fn until_queued(proxy: &Proxy, handshakes: u64) {
    until("handshakes to wait", || {
        sample(proxy, "tidegate_handshakes_queued", "all") == Some(handshakes)
    })
    .await;
}

#[tokio::test]
async fn who_comes_while_no_backend_is_up_waits_for_one() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let address = backend.kill().await;
    let client = proxy.client();
    let opening = tokio::spawn(async move { client.open().await });
    until_queued(&proxy, 1).await;
    let backend = Backend::echo_at("b", address).await;
    let mut session = within("a session", opening).await.unwrap();
    session.echo("at last").await;
    let head = backend.head();
    assert_eq!(head.get("tidegate-session").len(), 32);
    assert_eq!(head.get("tidegate-resume"), "");
    until_queued(&proxy, 0).await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn the_queue_is_bounded_and_a_client_that_leaves_frees_its_place() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "queue_max = 1")).await;
    let address = backend.kill().await;
    let client = proxy.client();
    let waiting = tokio::spawn(async move { client.handshake().await });
    until_queued(&proxy, 1).await;
    let (answer, _) = proxy.client().handshake().await;
    // The one that waits may have had the backend ejected by now.
    let seconds: u64 = answer.get("retry-after").parse().unwrap();
    assert_eq!((answer.status(), (1..=5).contains(&seconds)), (503, true), "{seconds}");
    waiting.abort();
    until_queued(&proxy, 0).await;
    let client = proxy.client();
    let opening = tokio::spawn(async move { client.open().await });
    until_queued(&proxy, 1).await;
    let _backend = Backend::echo_at("b", address).await;
    within("a session", opening).await.unwrap().echo("in its place").await;
    proxy.stop().await;
}

#[tokio::test]
async fn who_waits_in_vain_is_told_so_and_where_nobody_may_wait_at_once() {
    let backend = Backend::echo("a").await;
    let short = holding(&[&backend], "queue_timeout = \"200ms\"");
    let none = holding(&[&backend], "queue_max = 0");
    backend.kill().await;
    for toml in [short, none] {
        let proxy = Proxy::start(&toml).await;
        let (answer, _) = proxy.client().handshake().await;
        // At the latest when the backend may be tried again.
        let seconds: u64 = answer.get("retry-after").parse().unwrap();
        assert_eq!((answer.status(), (1..=5).contains(&seconds)), (503, true), "{seconds}");
        until_queued(&proxy, 0).await;
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_reload_finds_those_who_wait() {
    let (gone, other) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&gone], "")).await;
    gone.kill().await;
    let client = proxy.client();
    let opening = tokio::spawn(async move { client.open().await });
    until_queued(&proxy, 1).await;
    proxy.reload(&holding(&[&other], "")).await.unwrap();
    let mut session = within("a session", opening).await.unwrap();
    session.echo("elsewhere").await;
    drop(session);
    proxy.stop().await;
}

/// Answers every handshake but those from the `from`th on with 503 and these fields.
async fn unavailable(fields: &'static str, from: usize) -> Backend {
    let heads = Arc::new(AtomicUsize::new(0));
    Backend::script(move |head, mut wire: Wire| {
        let earlier = heads.fetch_add(1, Relaxed);
        async move {
            if earlier + 1 >= from {
                wire.write_all(granted(&head).as_bytes()).await.unwrap();
                let mut session = Session::server(wire).await;
                while session.forward().await.is_ok() {}
                return;
            }
            let answer =
                format!("HTTP/1.1 503 Service Unavailable\r\n{fields}Content-Length: 0\r\n\r\n");
            wire.write_all(answer.as_bytes()).await.unwrap();
            drain(&mut wire).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_backend_that_answers_is_asked_once() {
    let answers = unavailable("", usize::MAX).await;
    let closes = Backend::script(|_head, wire: Wire| async move { drop(wire) }).await;
    for (backend, status) in [(answers, 503), (closes, 502)] {
        let proxy = Proxy::start(&holding(&[&backend], "")).await;
        let (answer, _) = proxy.client().handshake().await;
        assert_eq!((answer.status(), backend.connections()), (status, 1));
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_backend_that_says_when_is_asked_again_then() {
    let backend = unavailable("Retry-After: 1\r\n", 2).await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let since = std::time::Instant::now();
    let mut session = proxy.client().open().await;
    assert!(since.elapsed() >= std::time::Duration::from_secs(1));
    session.echo("at last").await;
    assert_eq!(backend.heads().len(), 2);
    drop(session);
    proxy.stop().await;
    // Later than it may wait: the answer is for the client.
    let backend = unavailable("Retry-After: 60\r\n", 2).await;
    let proxy = Proxy::start(&holding(&[&backend], "")).await;
    let (answer, _) = proxy.client().handshake().await;
    assert_eq!((answer.status(), answer.get("retry-after"), backend.heads().len()), (503, "60", 1));
    proxy.stop().await;
}

#[tokio::test]
async fn no_client_takes_all_places_of_the_queue() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&holding(&[&backend], "queue_max = 4")).await;
    backend.kill().await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let client = proxy.client();
            tokio::spawn(async move { client.handshake().await })
        })
        .collect();
    until_queued(&proxy, 2).await;
    let (answer, _) = proxy.client().handshake().await;
    assert_eq!(answer.status(), 503);
    until_queued(&proxy, 2).await;
    waiting.into_iter().for_each(|one| one.abort());
    until_queued(&proxy, 0).await;
    proxy.stop().await;
}
