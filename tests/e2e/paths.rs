//! Paths that a route changes on their way to a pool, and what leads back in answers.

use std::future::Future;

use tokio::io::AsyncWriteExt;

use crate::actors::{Backend, Certificates, Head, Session, Wire, granted, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::versions::{BOTH, SPEAKS_BOTH, get, handshake};

/// What an application says that believes to stand at the root of its host.
const LEADING: &str = "Location: /home?x=1\r\nContent-Location: http://localhost/page\r\n\
                       Refresh: 5; url=/later\r\nSet-Cookie: id=7; Path=/; HttpOnly\r\n\
                       Set-Cookie: deep=8; path=/admin\r\n";

async fn leading(head: Head, mut wire: Wire) {
    if head.is_upgrade() {
        let answer = granted(&head).replacen("\r\n\r\n", "\r\nSet-Cookie: id=7; Path=/\r\n\r\n", 1);
        wire.write_all(answer.as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
        return;
    }
    let answer = format!("HTTP/1.1 302 Found\r\n{LEADING}Content-Length: 0\r\n\r\n");
    let _ = wire.write_all(answer.as_bytes()).await;
}

/// Two backends that do so with each request.
async fn two<F>(script: fn(Head, Wire) -> F) -> [Backend; 2]
where
    F: Future<Output = ()> + Send + 'static,
{
    [Backend::script(script).await, Backend::script(script).await]
}

/// The head of a request for this path, at whichever backend it came.
fn asked(backends: &[Backend], target: &str) -> Head {
    let heads: Vec<Head> = backends.iter().flat_map(Backend::heads).collect();
    let found = heads.iter().rev().find(|head| head.second() == target);
    found.unwrap_or_else(|| panic!("{target}: {heads:?}")).clone()
}

fn toolsite(backends: &[Backend; 2]) -> Site {
    let [one, other] = backends;
    site(&[one, other]).listener(SPEAKS_BOTH).route("path = \"/tool\"\nstrip_prefix = true")
}

#[tokio::test]
async fn below_a_stripped_prefix_the_backend_is_told_it_and_its_answers_lead_back() {
    let backends = two(leading).await;
    let certificates = Certificates::new(&["localhost"]);
    let proxy = Proxy::start(&toolsite(&backends).https(&[&certificates], "")).await;
    let address = proxy.client().address();
    for (number, version) in BOTH.into_iter().enumerate() {
        let answer = get(version, address, &format!("/tool/page{number}"), &[]).await;
        assert_eq!((answer.status, answer.get("location")), (302, "/tool/home?x=1"), "{version:?}");
        assert_eq!(answer.get("content-location"), "http://localhost/tool/page");
        assert_eq!(answer.get("refresh"), "5; url=/tool/later");
        let cookies: Vec<_> = answer.headers.get_all("set-cookie").iter().collect();
        assert_eq!(cookies, ["id=7; Path=/tool; HttpOnly", "deep=8; path=/tool/admin"]);
        let head = asked(&backends, &format!("/page{number}"));
        assert_eq!(head.get("x-forwarded-prefix"), "/tool");
        assert_eq!(head.get("x-real-ip"), "127.0.0.1");
        let answer = handshake(version, address, &format!("/tool/ws{number}"), &[]).await;
        assert_eq!((answer.status, answer.get("set-cookie")), (101, "id=7; Path=/tool"));
        let head = asked(&backends, &format!("/ws{number}"));
        assert_eq!((head.get("x-forwarded-prefix"), head.get("x-real-ip")), ("/tool", "127.0.0.1"));
    }
    let secure = proxy.client_of("https").tls(&certificates).path("/tool/secure");
    let (head, _) = secure.request("GET", "").await;
    assert_eq!(head.get("location"), "/tool/home?x=1");
    secure.path("/tool/wss").open().await.echo("hello").await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_stripped_prefix_without_its_slash_is_led_to_it_but_no_post_and_no_websocket() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let proxy = Proxy::start(&toolsite(&backends)).await;
    let client = proxy.client();
    for version in BOTH {
        let answer = get(version, client.address(), "/tool?a=/b", &[]).await;
        assert_eq!((answer.status, answer.get("location")), (301, "/tool/?a=/b"), "{version:?}");
        assert_eq!(handshake(version, client.address(), "/tool", &[]).await.status, 101);
    }
    let asking = client.clone().path("/tool").head("HEAD", &[]);
    let head = client.say(asking.as_bytes()).await.0.unwrap();
    assert_eq!((head.status(), head.get("location")), (301, "/tool/"));
    let (head, body) = client.clone().path("/tool").request("POST", "hello").await;
    assert_eq!((head.status(), &body[1..]), (200, " POST / HTTP/1.1\nhello"));
    let (head, _) = client.path("/tool/").request("GET", "").await;
    assert_eq!(head.status(), 200);
    proxy.stop().await;
}

#[tokio::test]
async fn a_trusted_proxys_prefix_goes_before_and_a_strangers_is_nothing() {
    let backends = two(leading).await;
    let trusting = toolsite(&backends).listener("trusted_proxies = \"127.0.0.0/8\"");
    let told = [("X-Forwarded-Prefix", "/a"), ("X-Forwarded-For", "198.51.100.7")];
    for (site, prefix, client) in
        [(trusting, "/a/tool", "198.51.100.7"), (toolsite(&backends), "/tool", "127.0.0.1")]
    {
        let proxy = Proxy::start(&site).await;
        let address = proxy.client().address();
        for version in BOTH {
            let path = format!("/x-{}-{version:?}", prefix.len());
            get(version, address, &format!("/tool{path}"), &told).await;
            let head = asked(&backends, &path);
            assert_eq!((head.get("x-forwarded-prefix"), head.get("x-real-ip")), (prefix, client));
            let answer = get(version, address, "/tool", &told).await;
            assert_eq!(answer.get("location"), format!("{prefix}/"));
        }
        proxy.stop().await;
    }
}

#[tokio::test]
async fn x_real_ip_can_be_set_and_removed() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend])
        .route("path = \"/set\"\nrequest_headers.set.X-Real-IP = \"{header.X-Me}\"")
        .route("[[routes]]\npool = \"chat\"\nrequest_headers.remove = \"X-Real-IP\"");
    let proxy = Proxy::start(&toml).await;
    let client = proxy.client().field("X-Me", "192.0.2.9").field("X-Real-IP", "6.6.6.6");
    client.clone().path("/set").request("GET", "").await;
    client.path("/gone").request("GET", "").await;
    let heads = backend.heads();
    assert_eq!(heads[0].all("x-real-ip").collect::<Vec<_>>(), ["192.0.2.9"]);
    assert_eq!(heads[1].all("x-real-ip").count(), 0);
    proxy.stop().await;
}

/// A prefix replaced, then what a regex finds in the path rewritten.
const CHANGES: &str = "path = \"/api\"\nreplace_prefix = \"/v2\"\n\
                       rewrite = { from = \"^/v2/u/([0-9]+)$\", to = \"/users/$1\" }";

#[tokio::test]
async fn a_prefix_is_replaced_and_a_path_rewritten_for_requests_and_websockets() {
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let toml = site(&[&backends[0], &backends[1]]).listener(SPEAKS_BOTH).route(CHANGES);
    let proxy = Proxy::start(&toml).await;
    let address = proxy.client().address();
    for version in BOTH {
        for (path, sent) in [
            ("/api/x%20y?q=/api", "/v2/x%20y?q=/api"),
            ("/api", "/v2"),
            ("/api/", "/v2/"),
            ("/api/u/17?q", "/users/17?q"),
            ("/%61pi/%75/17", "/users/17"),
            ("/api/u/x", "/v2/u/x"),
        ] {
            assert_eq!(get(version, address, path, &[]).await.status, 200, "{path}");
            asked(&backends, sent);
        }
        assert_eq!(handshake(version, address, "/api/u/8", &[]).await.status, 101);
        assert!(asked(&backends, "/users/8").is_upgrade());
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_rewritten_path_that_leads_elsewhere_is_refused() {
    let backend = Backend::echo("a").await;
    let toml = site(&[&backend])
        .route("rewrite = { from = \"^/join/([^/]*)/([^/]*)/(.*)$\", to = \"/in/$1$2/$3\" }");
    let proxy = Proxy::start(&toml).await;
    for path in ["/join/././x", "/join/%2e/./admin", "/join/.a/b./x", "/join/.//./x"] {
        let (head, _) = proxy.client().path(path).request("GET", "").await;
        let sent = backend.heads().last().map(|head| head.second().to_owned());
        let leads = sent.is_none_or(|sent| !sent.contains("/../") && !sent.contains("/./"));
        assert!(head.status() == 200 || head.status() == 400, "{path}");
        assert!(leads, "{path}");
    }
    let (head, _) = proxy.client().path("/join/a/b%0D%0AX-Evil:1/x").request("GET", "").await;
    assert_eq!(head.status(), 400);
    proxy.stop().await;
}

#[tokio::test]
async fn a_held_session_goes_on_with_the_path_that_was_rewritten() {
    let one = Backend::echo("a").await;
    let toml = site(&[&one]).route(CHANGES).route("hold = { resume = \"always\" }");
    let other = Backend::echo("b").await;
    let toml = toml.backend(other.address());
    let proxy = Proxy::start(&toml).await;
    let mut session = proxy.client().path("/api/u/17").open().await;
    session.echo("before").await;
    let (lost, left) = match one.heads().len() {
        1 => (one, other),
        _ => (other, one),
    };
    lost.kill().await;
    until("the session to go on", || left.heads().len() == 1).await;
    session.echo("after").await;
    assert_eq!(left.head().second(), "/users/17");
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn the_origin_of_our_own_pages_follows_the_host_and_no_others_does() {
    let backends = two(leading).await;
    let toml = site(&[&backends[0], &backends[1]])
        .listener(SPEAKS_BOTH)
        .route("upstream_host = \"app.internal:81\"\nupstream_origin = true");
    let proxy = Proxy::start(&toml).await;
    let address = proxy.client().address();
    for version in BOTH {
        for (number, (origin, sent)) in [
            ("http://localhost", "http://app.internal:81"),
            ("http://elsewhere.example", "http://elsewhere.example"),
            ("http://localhost:8443", "http://localhost:8443"),
            ("null", "null"),
        ]
        .into_iter()
        .enumerate()
        {
            let fields = [("Origin", origin)];
            let path = format!("/ws{number}{version:?}");
            assert_eq!(handshake(version, address, &path, &fields).await.status, 101);
            let head = asked(&backends, &path);
            assert_eq!((head.get("host"), head.get("origin")), ("app.internal:81", sent));
            let path = format!("/get{number}{version:?}");
            let answer = get(version, address, &path, &fields).await;
            assert_eq!(answer.get("location"), "/home?x=1");
            assert_eq!(asked(&backends, &path).get("origin"), sent);
        }
    }
    proxy.stop().await;
}
