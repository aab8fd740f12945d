//! Plain requests, which take the same way.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::actors::client::read_chunk;
use super::actors::{Head, within};
use super::*;
use crate::live::tests::plan::respond;

#[tokio::test]
async fn requests_with_and_without_a_body_reach_the_pool_and_its_connection_is_kept() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    for _ in 0..3 {
        let (head, body) = proxy.client().path("/a//b?c").request("POST", "hello").await;
        assert_eq!((head.status(), head.get("x-backend")), (200, "one"));
        assert_eq!(body, "one POST /a//b?c HTTP/1.1\nhello");
    }
    assert_eq!(backend.connections(), 1);
    assert_eq!(backend.heads()[0].get("x-forwarded-for"), "127.0.0.1");
    proxy.is_quiet().await;
}

#[tokio::test]
async fn an_upgrade_to_anything_else_is_not_heard() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let client =
        proxy.client().field("Upgrade", "h2c").field("Connection", "Upgrade, HTTP2-Settings");
    let (head, _) = client.field("HTTP2-Settings", "AAMAAABk").request("GET", "").await;
    assert_eq!(head.status(), 200);
    let seen = backend.head();
    assert_eq!((seen.get("upgrade"), seen.get("http2-settings")), ("", ""));
}

#[tokio::test]
async fn a_stream_of_events_is_not_held_back() {
    let (told, hears) = tokio::sync::watch::channel(false);
    let backend = Backend::script(move |_, mut wire| {
        let mut hears = hears.clone();
        async move {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";
            wire.write_all(head.as_bytes()).await.unwrap();
            wire.write_all(b"data: one\n\n").await.unwrap();
            // The second event is sent only after the client has read the first.
            hears.wait_for(|told| *told).await.unwrap();
            wire.write_all(b"data: two\n\n").await.unwrap();
        }
    })
    .await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, mut wire) = proxy.client().say(proxy.client().head("GET", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().get("content-type"), "text/event-stream");
    let first = within("the first event", read_chunk(&mut wire)).await.unwrap();
    assert_eq!(first, b"data: one\n\n");
    // An answer that lasts keeps no old configuration alive.
    proxy.reload(|plan| remove_cookies(route_of(plan)));
    assert_eq!(proxy.app.live.now().alive(), 1);
    told.send(true).unwrap();
    let second = within("the second event", read_chunk(&mut wire)).await.unwrap();
    assert_eq!(second, b"data: two\n\n");
    drop(wire);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_body_survives_a_dial_that_failed() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| {
        let dead = pool("pool", &[nowhere()]).backends;
        pool_of(plan).backends.extend(dead);
    })
    .await;
    for _ in 0..4 {
        let (head, body) = proxy.client().request("POST", "kept").await;
        assert_eq!((head.status(), body.ends_with("\nkept")), (200, true));
    }
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_post_is_not_repeated_when_its_backend_breaks() {
    let broken = Backend::script(|_, wire| async move { drop(wire) }).await;
    let proxy = Proxy::before(&[&broken], |_| {}).await;
    let (head, text) = proxy.client().request("POST", "once").await;
    assert_eq!((head.status(), text.as_str()), (502, "the backend closed without an answer\n"));
    assert_eq!(broken.connections(), 1);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_backend_that_never_answers_is_a_504() {
    let silent = Backend::silent().await;
    let proxy = Proxy::before(&[&silent], |plan| {
        pool_of(plan).response_timeout = Duration::from_millis(50);
    })
    .await;
    let (head, text) = proxy.client().request("GET", "").await;
    assert_eq!((head.status(), text.as_str()), (504, "the backend did not answer in time\n"));
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_stalls_in_its_body_is_a_408() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| {
        // The backend is dialled within it as well, and a dial that is slower is a 504.
        pool_of(plan).response_timeout = Duration::from_secs(1);
    })
    .await;
    let head = proxy.client().head("POST", &[("Content-Length", "10")]);
    let (answer, _wire) = proxy.client().say((head + "half").as_bytes()).await;
    assert_eq!(answer.unwrap().status(), 408);
}

#[tokio::test]
async fn a_client_that_breaks_its_body_is_a_400_and_no_fault_of_the_backend() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| pool_of(plan).health.failures_max = 1).await;
    let head = proxy.client().head("POST", &[("Transfer-Encoding", "chunked")]);
    let broken = head + "5\r\nhello\r\nno size";
    for _ in 0..3 {
        let (answer, _) = proxy.client().say(broken.as_bytes()).await;
        assert_eq!(answer.unwrap().status(), 400);
    }
    let (head, _) = proxy.client().request("GET", "").await;
    assert_eq!(head.status(), 200);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_client_is_told_to_go_on_when_its_backend_says_so_or_nothing() {
    let fields = [("Content-Length", "4"), ("Expect", "100-continue")];
    let willing = Backend::script(|_head, mut wire| async move {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.unwrap();
        let mut body = [0; 4];
        wire.read_exact(&mut body).await.unwrap();
        let answer = [&b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"[..], &body].concat();
        wire.write_all(&answer).await.unwrap();
    });
    for backend in [willing.await, Backend::echo("one").await] {
        let proxy = Proxy::before(&[&backend], |_| {}).await;
        let (told, mut wire) =
            proxy.client().say(proxy.client().head("POST", &fields).as_bytes()).await;
        assert_eq!(told.unwrap().status(), 100);
        wire.write_all(b"body").await.unwrap();
        let head = within("the answer", Head::read(&mut wire)).await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(backend.head().get("expect"), "100-continue");
    }
    let unwilling = Backend::answering("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n").await;
    let proxy = Proxy::before(&[&unwilling], |_| {}).await;
    let (told, _) = proxy.client().say(proxy.client().head("POST", &fields).as_bytes()).await;
    assert_eq!(told.unwrap().status(), 413, "the body was not asked for");
    let dead = Proxy::before(&[], |plan| {
        pool_of(plan).backends = pool("pool", &[nowhere()]).backends;
    })
    .await;
    let (told, _) = dead.client().say(dead.client().head("POST", &fields).as_bytes()).await;
    let told = told.unwrap();
    assert_eq!((told.status(), told.get("retry-after")), (503, "1"));
}

#[tokio::test]
async fn an_unasked_101_is_not_passed_on() {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\n\r\n";
    let backend = Backend::answering(answer).await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, _) = proxy.client().request("GET", "").await;
    assert_eq!(head.status(), 502);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_prefix_is_cut() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |plan| strip_prefix(plan, "/api")).await;
    let (_, body) = proxy.client().path("/api/x?y").request("GET", "").await;
    assert!(body.starts_with("one GET /x?y "), "{body}");
    let (head, text) = proxy.client().path("/other").request("GET", "").await;
    assert_eq!((head.status(), text.as_str()), (404, "nothing is served at this address\n"));
    let unrouted = Arc::clone(&proxy.app.live.now().unrouted);
    assert_eq!(unrouted.sum(|cells| &cells.requests[http::StatusCode::NOT_FOUND.into()]), 1);
}

#[tokio::test]
async fn a_bad_host_is_a_400() {
    let proxy = Proxy::of(plan(&[], &[route("/", respond("page"))])).await;
    for host in ["", "Host: a\r\nHost: a\r\n", "Host: user@a\r\n", "Host: a/b\r\n"] {
        let request = format!("GET / HTTP/1.1\r\n{host}\r\n");
        let (head, _) = proxy.client().say(request.as_bytes()).await;
        assert_eq!(head.unwrap().status(), 400, "{host}");
    }
    let (head, body) = proxy.client().request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (200, "page"));
    proxy.is_quiet().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    let silent = Backend::silent().await;
    let proxy = Proxy::before(&[&silent], |plan| {
        pool_of(plan).response_timeout = Duration::from_secs(600);
    })
    .await;
    let mut wire = proxy.client().connect().await.unwrap();
    wire.write_all(proxy.client().head("GET", &[]).as_bytes()).await.unwrap();
    until("the backend to be asked", || silent.heads().len() == 1).await;
    drop(wire);
    proxy.is_quiet().await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_made_whole() {
    let backend = Backend::script(|_, mut wire| async move {
        let part = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart";
        wire.write_all(part.as_bytes()).await.unwrap();
    })
    .await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let (head, mut wire) = proxy.client().say(proxy.client().head("GET", &[]).as_bytes()).await;
    assert_eq!(head.unwrap().get("content-length"), "100");
    let mut body = Vec::new();
    let _ = within("the end", wire.read_to_end(&mut body)).await;
    assert_eq!(body, b"part");
    proxy.is_quiet().await;
}
