//! Forward authentication: another server says who may pass.

use std::sync::{Arc, Mutex};

use tokio::io::AsyncWriteExt;

use super::denied;
use super::tokens::now;
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, Ending, Head, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{BOTH, SPEAKS_BOTH, get};

/// An auth server of this answer; nothing: it says no word.
struct AuthServer {
    answer: Arc<Mutex<Option<Vec<u8>>>>,
    server: Backend,
}

impl AuthServer {
    async fn new(answer: &str) -> AuthServer {
        let answer = Arc::new(Mutex::new(Some(answer.as_bytes().to_vec())));
        let said = Arc::clone(&answer);
        let server = Backend::script(move |_, mut wire| {
            let answer = said.lock().unwrap().clone();
            async move {
                match answer {
                    Some(answer) => drop(wire.write_all(&answer).await),
                    None => std::future::pending().await,
                }
                let _ = wire.shutdown().await;
            }
        });
        AuthServer { answer, server: server.await }
    }

    fn says(&self, answer: impl Into<Vec<u8>>) {
        *self.answer.lock().unwrap() = Some(answer.into());
    }

    fn is_silent(&self) {
        *self.answer.lock().unwrap() = None;
    }

    fn guard(&self, site: Site, more: &str) -> Site {
        let address = self.server.address();
        site.table(&format!(
            "[pools.auth]\nbackends = [\"{address}\"]\nretry.attempts_max = 1\n\
             [access.sso.forward]\npool = \"auth\"\npath = \"/verify?a=b\"\n{more}"
        ))
        .route("access = \"sso\"")
    }
}

const OK: &str = "HTTP/1.1 200 OK\r\nRemote-User: ada\r\nRemote-Groups: a\r\nRemote-Groups: b\r\n\
                  X-Other: c\r\nSet-Cookie: s=1; Path=/\r\nSet-Cookie: t=2\r\n\
                  Content-Length: 2\r\n\r\nok";

const COPY: &str = "copy = [\"Remote-User\", \"Remote-Groups\", \"Remote-Email\"]";

fn cookies(head: &Head) -> Vec<&str> {
    head.all("set-cookie").collect()
}

#[tokio::test]
async fn the_server_says_who_may_pass_and_what_goes_along() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let auth = AuthServer::new(OK).await;
    let proxy =
        Proxy::start(&auth.guard(both(site(&backends.each_ref()), &certificates), COPY)).await;
    let asker = Asker::new(&proxy, &certificates).path("/room/7?token=x");
    let asker = asker.field("Cookie", "login=1").field("Authorization", "Bearer y");
    let asker = asker.field("Remote-User", "root").field("Remote_Email", "root@example.com");
    let asker = asker.field("Remote-Email", "root@example.com").field("If-None-Match", "\"z\"");
    assert_eq!(asker.statuses().await, everywhere(200, 101));
    let asked = auth.server.heads();
    assert_eq!(asked.len(), 8);
    for (number, head) in asked.iter().enumerate() {
        let proto = if number < 4 { "http" } else { "https" };
        assert_eq!(head.first, "GET /verify?a=b HTTP/1.1");
        let host = head.get("host");
        for (name, value) in [
            ("x-forwarded-method", "GET"),
            ("x-forwarded-proto", proto),
            ("x-forwarded-host", host),
            ("x-forwarded-uri", "/room/7?token=x"),
            ("x-forwarded-for", "127.0.0.1"),
            ("x-original-method", "GET"),
            ("x-original-url", &format!("{proto}://{host}/room/7?token=x")),
            ("cookie", "login=1"),
            ("authorization", "Bearer y"),
            ("upgrade", ""),
            ("sec-websocket-key", ""),
            ("sec-websocket-version", ""),
            ("remote-user", ""),
            ("remote-email", ""),
            ("if-none-match", ""),
            ("content-length", ""),
        ] {
            assert_eq!(head.get(name), value, "{number} {name}: {head:?}");
        }
        assert!(!head.get("connection").to_lowercase().contains("upgrade"), "{head:?}");
    }
    let heads: Vec<_> = backends.iter().flat_map(|backend| backend.heads()).collect();
    assert_eq!(heads.len(), 8);
    for head in heads {
        assert_eq!(head.get("remote-user"), "ada");
        assert_eq!(head.all("remote-groups").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((head.get("remote-email"), head.get("x-other")), ("", ""));
        assert!(!format!("{head:?}").contains("root"), "{head:?}");
    }
    // Each line of its cookies, whatever the answer is.
    for is_secure in [false, true] {
        let client = asker.client(is_secure);
        let both = ["s=1; Path=/", "t=2"];
        let (page, _) = client.request("GET", "").await;
        assert_eq!(cookies(&page), both);
        assert_eq!(page.get("cache-control"), "private");
        assert_eq!(cookies(&client.handshake().await.0), both);
        let mut streams = asker.streams(is_secure).await;
        let (answer, _sending) = streams.ask(asker.handshake(), false).await.unwrap();
        let lines = answer.headers().get_all("set-cookie").iter();
        assert_eq!(lines.collect::<Vec<_>>(), both);
    }
    // The server's TLS, health and name are its pool's: a reload that changes it changes the rule.
    let other = AuthServer::new("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno").await;
    let next = other.guard(both(site(&backends.each_ref()), &certificates), COPY);
    let mut session = asker.client(false).open().await;
    proxy.reload(&next).await.unwrap();
    assert_eq!(asker.statuses().await, everywhere(403, 403));
    session.echo("one that is there stays").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn what_a_client_shows_the_server_reaches_it_where_the_backend_is_given_another() {
    let certificates = Certificates::new(&["localhost"]);
    let backend = Backend::echo("a").await;
    let auth = AuthServer::new(
        "HTTP/1.1 200 OK\r\nAuthorization: Bearer inside\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    let guarded = auth.guard(both(site(&[&backend]), &certificates), "copy = \"Authorization\"");
    let proxy = Proxy::start(&guarded).await;
    let asker = Asker::new(&proxy, &certificates).field("Authorization", "Bearer outside");
    assert_eq!(asker.statuses().await, everywhere(200, 101));
    for head in auth.server.heads() {
        assert_eq!(head.get("authorization"), "Bearer outside");
    }
    for head in backend.heads() {
        assert_eq!(head.all("authorization").collect::<Vec<_>>(), ["Bearer inside"]);
    }
    proxy.stop().await;
}

#[tokio::test]
async fn who_may_not_pass_is_given_the_servers_own_answer() {
    let backend = Backend::echo("a").await;
    let auth = AuthServer::new("").await;
    let proxy = Proxy::start(&auth.guard(site(&[&backend]), "")).await;
    let client = proxy.client();
    auth.says(
        "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"sso\"\r\n\
         Connection: X-Hop\r\n\
         X-Hop: 1\r\nTidegate-Session: x\r\nSet-Cookie: csrf=1\r\nContent-Type: text/html\r\n\
         Content-Length: 5\r\n\r\nlogin",
    );
    let (head, body) = client.request("GET", "").await;
    assert_eq!((head.status(), &*body), (401, "login"));
    assert_eq!(head.get("www-authenticate"), "Basic realm=\"sso\"");
    assert_eq!((head.get("content-type"), head.get("set-cookie")), ("text/html", "csrf=1"));
    assert_eq!((head.get("x-hop"), head.get("tidegate-session")), ("", ""));
    assert_eq!(client.handshake().await.0.status(), 401);
    let redirect = "HTTP/1.1 302 Found\r\nLocation: https://login.example.com/?rd=x\r\n\
                    Content-Length: 0\r\n\r\n";
    auth.says(redirect);
    let (head, _) = client.request("GET", "").await;
    assert_eq!((head.status(), head.get("location")), (302, "https://login.example.com/?rd=x"));
    let (head, _) = client.handshake().await;
    assert_eq!((head.status(), head.get("location")), (401, ""), "no browser follows it there");
    // A page that is none, without end.
    let long = format!("HTTP/1.1 403 Forbidden\r\nContent-Length: {}\r\n\r\n", 1_u64 << 30);
    auth.says([long.into_bytes(), vec![b'x'; 100 << 10]].concat());
    let (head, body) = client.request("GET", "").await;
    assert_eq!((head.status(), &*body), (403, ""));
    assert!(backend.heads().is_empty());
    assert_eq!(denied(&proxy, "sso", "auth_denied"), 5);
    proxy.stop().await;
}

#[tokio::test]
async fn the_servers_own_page_is_not_the_routes_error() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("no.html"), "ours").unwrap();
    let file = dir.path().join("no.html");
    let auth = AuthServer::new("").await;
    for more in ["", ", from_backend = true"] {
        let errors = format!("errors = {{ \"400-599\" = \"{}\"{more} }}", file.display());
        let site = site(&backends.each_ref()).listener(SPEAKS_BOTH);
        let proxy = Proxy::start(&auth.guard(site, "").route(&errors)).await;
        for version in BOTH {
            let answer = async || get(version, proxy.client().address(), "/", &[]).await;
            auth.says("HTTP/1.1 401 No\r\nContent-Length: 5\r\n\r\nlogin");
            let login = answer().await;
            assert_eq!((login.status, &*login.body), (401, "login"), "{version:?}");
            auth.says("HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n");
            let away = answer().await;
            assert_eq!((away.status, away.get("location"), &*away.body), (302, "/login", ""));
            // It shows nothing, or cannot be asked: the page is ours.
            auth.says("HTTP/1.1 403 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
            let no = answer().await;
            assert_eq!((no.status, &*no.body), (403, "ours"));
            assert_eq!(no.get("www-authenticate"), "Basic");
            auth.says("what");
            let away = answer().await;
            assert_eq!((away.status, &*away.body), (503, "ours"));
        }
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_server_that_says_nothing_lets_nobody_pass_and_holds_up_no_other() {
    let backend = Backend::echo("a").await;
    let auth = AuthServer::new("").await;
    let open = "[[routes]]\npath = \"/open\"\npool = \"chat\"";
    let with = |more: &str| auth.guard(site(&[&backend]), more).route(open);
    let proxy = Proxy::start(&with("timeout = \"200ms\"\ncopy = \"Remote-User\"")).await;
    let client = proxy.client().field("Remote-User", "root");
    let mut neighbour = proxy.client().path("/open").open().await;
    for wrong in [
        "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf",
        "SSH-2.0-garbage\r\n",
        "",
    ] {
        auth.says(wrong);
        let (head, text) = client.request("GET", "").await;
        assert_eq!((head.status(), head.get("retry-after")), (503, "1"), "{wrong}: {text}");
        assert_eq!(client.handshake().await.0.status(), 503, "{wrong}");
    }
    auth.is_silent();
    let waiting = client.clone();
    let waiting = tokio::spawn(async move { waiting.handshake().await.0.status() });
    neighbour.echo("meanwhile").await;
    assert_eq!(within("an answer", waiting).await.unwrap(), 503);
    assert_eq!(backend.heads().len(), 1, "the neighbour's");
    // It is written that everybody may, and then as nobody.
    proxy
        .reload(&with("on_error = \"pass\"\ntimeout = \"200ms\"\ncopy = \"Remote-User\""))
        .await
        .unwrap();
    assert_eq!(client.request("GET", "").await.0.status(), 200);
    assert_eq!(backend.heads().last().unwrap().get("remote-user"), "");
    proxy.reload(&with("on_error = 500\ntimeout = \"200ms\"")).await.unwrap();
    assert_eq!(client.request("GET", "").await.0.status(), 500);
    auth.server.kill().await;
    assert_eq!(client.request("GET", "").await.0.status(), 500);
    drop(neighbour);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_ends_when_the_server_says() {
    let backend = Backend::echo("a").await;
    let auth = AuthServer::new("").await;
    let site = auth.guard(site(&[&backend]), "expires = \"header:X-Ends\"");
    let proxy = Proxy::start(&site).await;
    let says = |ends: &str| {
        auth.says(format!("HTTP/1.1 204 No Content\r\nX-Ends: {ends}\r\n\r\n"));
    };
    says(&(now() as u64 + 4).to_string());
    let ends = proxy.client().open().await;
    auth.says("HTTP/1.1 204 No Content\r\n\r\n");
    let mut stays = proxy.client().open().await;
    assert_eq!(ends.ending().await, Ending::Close(4403, "expired".into()));
    stays.echo("after").await;
    says("tomorrow");
    assert_eq!(proxy.client().handshake().await.0.status(), 503);
    drop(stays);
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_is_not_for_the_server_and_reaches_the_backend_whole() {
    let backend = Backend::echo("a").await;
    let auth = AuthServer::new(OK).await;
    let proxy = Proxy::start(&auth.guard(site(&[&backend]), "timeout = \"2s\"")).await;
    let (head, body) = proxy.client().request("POST", "what is said").await;
    assert_eq!((head.status(), &*body), (200, "a POST / HTTP/1.1\nwhat is said"));
    let asked = auth.server.head();
    assert_eq!(asked.first, "GET /verify?a=b HTTP/1.1");
    assert_eq!((asked.get("x-forwarded-method"), asked.get("content-length")), ("POST", ""));
    proxy.stop().await;
}
