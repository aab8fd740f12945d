//! Pages in place of the bodies of errors, ours and backends'; a maintenance page.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Certificates, Head, read_body};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{Answer, BOTH, SPEAKS_BOTH, get, handshake};

const AWAY: &str = "<h1>away</h1>";

/// A directory with two pages.
fn pages() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("away.html"), AWAY).unwrap();
    fs::write(dir.path().join("404.json"), "{}").unwrap();
    dir
}

fn errors(dir: &Path, more: &str) -> String {
    let dir = dir.display();
    format!("errors = {{ \"500-599\" = \"{dir}/away.html\", 404 = \"{dir}/404.json\"{more} }}")
}

fn is_away(answer: &Answer, status: u16) {
    assert_eq!((answer.status, answer.body.as_str()), (status, AWAY));
    assert_eq!(answer.get("content-type"), "text/html; charset=utf-8");
    assert_eq!(answer.get("content-length"), AWAY.len().to_string());
}

/// Backends that are not there.
async fn dead() -> [Backend; 2] {
    let backends = [Backend::silent().await, Backend::silent().await];
    for backend in &backends {
        backend.refuse().await;
    }
    backends
}

fn pool_site(backends: &[Backend; 2]) -> Site {
    site(&[&backends[0], &backends[1]]).listener(SPEAKS_BOTH)
}

#[tokio::test]
async fn a_backend_that_is_away_has_a_page_but_for_websockets_that_read_none() {
    let (backends, dir) = (dead().await, pages());
    let certificates = Certificates::new(&["localhost"]);
    let toml = pool_site(&backends).route(&errors(dir.path(), ""));
    let proxy = Proxy::start(&toml.https(&[&certificates], "")).await;
    let address = proxy.client().address();
    for version in BOTH {
        let answer = get(version, address, "/x", &[]).await;
        is_away(&answer, 503);
        assert!(!answer.get("retry-after").is_empty(), "{version:?}");
        assert!(!answer.get("x-request-id").is_empty());
        let refused = handshake(version, address, "/x", &[]).await;
        assert_eq!(
            (refused.status, refused.get("content-type")),
            (503, "text/plain; charset=utf-8")
        );
        let html = [("Accept", "application/json, text/html;q=0.9")];
        let refused = handshake(version, address, "/x", &html).await;
        assert_eq!(
            (refused.status, refused.get("content-type")),
            (503, "text/html; charset=utf-8")
        );
        let none = [("Accept", "*/*, text/html;q=0")];
        let refused = handshake(version, address, "/x", &none).await;
        assert_eq!(refused.get("content-type"), "text/plain; charset=utf-8");
    }
    let (head, _) = proxy.client().say(proxy.client().head("HEAD", &[]).as_bytes()).await;
    let head = head.unwrap();
    assert_eq!((head.status(), head.get("content-length")), (503, "13"));
    let (head, body) = proxy.client_of("https").tls(&certificates).request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (503, AWAY));
    proxy.stop().await;
}

const MISSING: &str = "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Type: text/plain\r\n\
                       Content-Length: 4\r\nETag: \"x\"\r\nContent-Encoding: gzip\r\n\
                       X-Own: 1\r\n\r\nmine";

#[tokio::test]
async fn errors_of_backends_have_pages_where_the_route_says_so() {
    let backends = [Backend::answering(MISSING).await, Backend::answering(MISSING).await];
    let dir = pages();
    let toml = pool_site(&backends).route("path = \"/ours\"").route(&errors(dir.path(), "")).route(
        &format!("[[routes]]\npool = \"chat\"\n{}", errors(dir.path(), ", from_backend = true")),
    );
    let proxy = Proxy::start(&toml).await;
    let address = proxy.client().address();
    for version in BOTH {
        let answer = get(version, address, "/ours", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "mine"), "{version:?}");
        let answer = get(version, address, "/theirs", &[]).await;
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"), "{version:?}");
        assert_eq!((answer.get("content-type"), answer.get("x-own")), ("application/json", "1"));
        assert_eq!((answer.get("etag"), answer.get("content-encoding")), ("", ""));
        let refused = handshake(version, address, "/theirs", &[]).await;
        assert_eq!((refused.status, refused.get("content-type")), (404, "text/plain"));
    }
    proxy.stop().await;
}

/// Answers each request on a connection with 500 and this body, as a server that keeps it open.
async fn failing(body: Vec<u8>, is_chunked: bool) -> Backend {
    let body = Arc::new(body);
    Backend::script(move |_, mut wire| {
        let body = Arc::clone(&body);
        async move {
            loop {
                let length = body.len();
                let (field, begin, end) = match is_chunked {
                    true => (
                        "Transfer-Encoding: chunked".into(),
                        format!("{length:x}\r\n"),
                        "\r\n0\r\n\r\n",
                    ),
                    false => (format!("Content-Length: {length}"), String::new(), ""),
                };
                let head = format!("HTTP/1.1 500 No\r\n{field}\r\n\r\n{begin}");
                let answer = [head.as_bytes(), body.as_slice(), end.as_bytes()].concat();
                if wire.write_all(&answer).await.is_err() || Head::read(&mut wire).await.is_none() {
                    return;
                }
            }
        }
    })
    .await
}

/// Asks so often, one after the other, on one connection; each time there is our page.
async fn ask_often(proxy: &Proxy, times: usize) {
    let client = proxy.client();
    let mut wire = client.connect().await.unwrap();
    for _ in 0..times {
        wire.write_all(client.head("GET", &[]).as_bytes()).await.unwrap();
        let head = Head::read(&mut wire).await.unwrap();
        assert_eq!((head.status(), &*read_body(&head, &mut wire).await), (500, AWAY));
    }
}

#[tokio::test]
async fn a_short_page_of_a_backend_that_is_replaced_costs_no_connection() {
    const TIMES: usize = 8;
    let dir = pages();
    let errors = errors(dir.path(), ", from_backend = true");
    for (bytes, is_chunked) in [(9, false), (40 << 10, false), (9, true), (40 << 10, true)] {
        let backends = [failing(vec![b'x'; bytes], is_chunked).await, Backend::silent().await];
        backends[1].refuse().await;
        let proxy = Proxy::start(&pool_site(&backends).route(&errors)).await;
        ask_often(&proxy, TIMES).await;
        // The last bytes of a page may come after the next request.
        let connections = backends[0].connections();
        assert!(connections <= TIMES / 2, "{bytes} {is_chunked}: {connections} connections");
        proxy.stop().await;
    }
    // One that is long, or does not end.
    let endless = "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n";
    let backends = [failing(vec![b'x'; 1 << 20], false).await, Backend::answering(endless).await];
    let proxy = Proxy::start(&pool_site(&backends).route(&errors)).await;
    ask_often(&proxy, TIMES).await;
    assert_eq!(backends.iter().map(Backend::connections).sum::<usize>(), TIMES);
    proxy.stop().await;
}

#[tokio::test]
async fn a_page_is_read_again_by_a_reload_and_a_bad_one_is_refused() {
    let (backends, dir) = (dead().await, pages());
    let toml = pool_site(&backends).route(&errors(dir.path(), ""));
    let proxy = Proxy::start(&toml).await;
    let (_, body) = proxy.client().request("GET", "").await;
    assert_eq!(body, AWAY);
    fs::write(dir.path().join("away.html"), "soon").unwrap();
    proxy.reload_files().await.unwrap();
    assert_eq!(proxy.client().request("GET", "").await.1, "soon");
    fs::write(dir.path().join("away.html"), vec![b'a'; 64 * 1024 + 1]).unwrap();
    proxy.reload_files().await.unwrap_err();
    assert_eq!(proxy.client().request("GET", "").await.1, "soon");
    proxy.stop().await;
}

#[tokio::test]
async fn a_maintenance_page_is_a_response_of_a_file() {
    let (backends, dir) = (dead().await, pages());
    let respond = format!("{{ status = 503, file = \"{}/away.html\" }}", dir.path().display());
    let toml = pool_site(&backends).route("path = \"/pool\"").route(&format!(
        "[[routes]]\nrespond = {respond}\nresponse_headers.set.Retry-After = \"600\""
    ));
    let proxy = Proxy::start(&toml).await;
    for version in BOTH {
        let answer = get(version, proxy.client().address(), "/any", &[]).await;
        is_away(&answer, 503);
        assert_eq!(answer.get("retry-after"), "600");
    }
    proxy.stop().await;
}
