//! Pages in place of the bodies of errors, ours and backends'; a maintenance page.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::actors::{Backend, Certificates};
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

const MISSING: &str = "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\
                       ETag: \"x\"\r\nContent-Encoding: gzip\r\nX-Own: 1\r\n\r\nmine";

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
