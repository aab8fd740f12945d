//! Files beside a pool: compressed ones, how long they are kept, and what is no file.

use std::fs;

use tempfile::TempDir;

use crate::actors::{Backend, Certificates, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{BOTH, SPEAKS_BOTH, get, handshake};

fn www() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("index.html", "page"),
        ("app.js", "plain text"),
        ("app.js.br", "brotli"),
        ("app.js.gz", "gzipped"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// A site of files, and of two backends for what is none.
fn fallback_site(dir: &TempDir, backends: &[Backend; 2]) -> Site {
    let files = format!(
        "[[routes]]\nname = \"files\"\nhost = \"localhost\"\nwebsocket = true\nhold = {{ resume = \
         \"always\" }}\nrequest_headers.set.X-Route = \"{{route}}\"\n[routes.files]\nroot = \
         \"{}\"\nfallback = \"pool:chat\"\nprecompressed = true\ncache = {{ html = \"no-cache\", \
         \"*\" = \"max-age=9\" }}",
        dir.path().display()
    );
    site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .route("path = \"/other\"")
        .route(&files)
}

#[tokio::test]
async fn what_is_no_file_goes_to_the_pool_with_websockets_and_other_methods() {
    let (dir, backends) = (www(), [Backend::echo("a").await, Backend::echo("b").await]);
    let certificates = Certificates::new(&["localhost"]);
    let toml = fallback_site(&dir, &backends).https(&[&certificates], "");
    let proxy = Proxy::start(&toml).await;
    let client = proxy.client();
    for version in BOTH {
        let page = get(version, client.address(), "/", &[]).await;
        assert_eq!((page.status, page.body.as_str()), (200, "page"), "{version:?}");
        let other = get(version, client.address(), "/api/x?y", &[]).await;
        assert_eq!((other.status, &other.body[1..]), (200, " GET /api/x?y HTTP/1.1\n"));
        assert_eq!(other.get("cache-control"), "");
        let hidden = get(version, client.address(), "/.env", &[]).await;
        assert_eq!(&hidden.body[1..], " GET /.env HTTP/1.1\n");
        assert_eq!(handshake(version, client.address(), "/index.html", &[]).await.status, 101);
    }
    let (_, body) = client.clone().path("/index.html").request("POST", "hello").await;
    assert_eq!(&body[1..], " POST /index.html HTTP/1.1\nhello");
    let secure = proxy.client_of("https").tls(&certificates);
    assert_eq!(secure.request("GET", "").await.1, "page");
    secure.path("/ws").open().await.echo("hello").await;
    let heads = backends.iter().flat_map(Backend::heads);
    assert!(heads.into_iter().all(|head| head.get("x-route") == "files"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_beside_files_is_held_and_goes_on_at_the_other_backend() {
    let dir = www();
    let (one, other) = (Backend::echo("a").await, Backend::echo("b").await);
    let backends = [one, other];
    let proxy = Proxy::start(&fallback_site(&dir, &backends)).await;
    let mut session = proxy.client().path("/ws").open().await;
    session.echo("before").await;
    let [one, other] = backends;
    let (lost, left) = if one.heads().is_empty() { (other, one) } else { (one, other) };
    lost.kill().await;
    until("the session to go on", || left.heads().len() == 1).await;
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn compressed_files_are_served_with_their_own_tags_and_cached_as_the_ending_says() {
    let (dir, backends) = (www(), [Backend::echo("a").await, Backend::echo("b").await]);
    let proxy = Proxy::start(&fallback_site(&dir, &backends)).await;
    let address = proxy.client().address();
    for version in BOTH {
        for (accepts, coding, body) in
            [("gzip, br", "br", "brotli"), ("gzip", "gzip", "gzipped"), ("x", "", "plain text")]
        {
            let answer = get(version, address, "/app.js", &[("Accept-Encoding", accepts)]).await;
            assert_eq!((answer.get("content-encoding"), &*answer.body), (coding, body));
            assert_eq!(answer.get("vary"), "Accept-Encoding");
            assert_eq!(answer.get("cache-control"), "max-age=9");
            assert_eq!(answer.get("content-type"), "text/javascript; charset=utf-8");
            let client = proxy.client().path("/app.js").field("Accept-Encoding", accepts);
            let again = client.head("GET", &[("If-None-Match", answer.get("etag"))]);
            let again = client.say(again.as_bytes()).await.0.unwrap();
            assert_eq!((again.status(), again.get("cache-control")), (304, "max-age=9"));
            assert_eq!(again.get("vary"), "Accept-Encoding");
        }
        assert_eq!(get(version, address, "/", &[]).await.get("cache-control"), "no-cache");
    }
    proxy.stop().await;
}
