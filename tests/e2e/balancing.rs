//! Which backend a request goes to: by a hash of what it carries, by its cookie, by what is full.

use std::collections::HashSet;

use crate::actors::{Backend, Certificates, Client, Head, until};
use crate::proxy::Proxy;
use crate::site::site;

/// The name of the backend that answers a plain request.
async fn asked(client: &Client) -> String {
    let (head, _) = client.request("GET", "").await;
    assert_eq!(head.status(), 200, "{head:?}");
    head.get("x-backend").to_owned()
}

#[tokio::test]
async fn requests_and_sessions_of_one_value_meet_on_one_backend() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let by = |hash: &str| {
        let hash = format!("balance = \"hash\"\nhash = \"{hash}\"");
        site(&[&one, &two]).pool(&hash)
    };
    let proxy = Proxy::start(&by("query:room")).await;
    type Ask = fn(Client, &str) -> Client;
    let ways: [(&str, Ask); 4] = [
        ("query:room", |client, room| client.path(&format!("/x?a=b&room={room}&room=other"))),
        ("header:X-Room", |client, room| client.field("X-Room", room)),
        ("cookie:room", |client, room| client.field("Cookie", &format!("a=b; room={room}"))),
        ("path", |client, room| client.path(&format!("/rooms//./{room}"))),
    ];
    for (hash, ask) in ways {
        proxy.reload(&by(hash)).await.unwrap();
        let mut homes = HashSet::new();
        for room in 0..12 {
            let client = ask(proxy.client(), &format!("room-{room}"));
            let home = asked(&client).await;
            let before = (one.connections(), two.connections());
            let session = client.open().await;
            let after = (one.connections(), two.connections());
            let expected = match home.as_str() {
                "one" => (before.0 + 1, before.1),
                _ => (before.0, before.1 + 1),
            };
            assert_eq!(after, expected, "{hash}: room {room} is at home on {home}");
            assert_eq!(asked(&client).await, home, "{hash}");
            session.close(1000, "").await;
            homes.insert(home);
        }
        assert_eq!(homes.len(), 2, "{hash}: twelve rooms on one backend");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn one_client_has_one_backend_while_it_is_there() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let hashed = site(&[&one, &two]).pool("balance = \"hash\"\nhash = \"client\"");
    let hashed = hashed.listener("trusted_proxies = \"127.0.0.1\"");
    let proxy = Proxy::start(&hashed.pool("health.failures_max = 1")).await;
    let from = |ip: &str| proxy.client().field("X-Forwarded-For", ip);
    let mut homes = Vec::new();
    for host in 0..16 {
        let client = from(&format!("192.0.2.{host}"));
        homes.push(asked(&client).await);
        assert_eq!(asked(&client).await, homes[host]);
    }
    // A device changes the second half of its IPv6 address.
    let devices = [from("2001:db8::1"), from("2001:db8::abcd:9")];
    assert_eq!(asked(&devices[0]).await, asked(&devices[1]).await);
    one.kill().await;
    for (host, home) in homes.iter().enumerate() {
        assert_eq!(asked(&from(&format!("192.0.2.{host}"))).await, "two", "was at {home}");
    }
    assert!(homes.iter().any(|home| home == "one"));
    proxy.stop().await;
}

const STICKY: &str = "sticky.secrets = \"0123456789abcdef0123456789abcdef\"";

/// The cookie that an answer gives, as a client sends it back.
fn given(head: &Head) -> Option<String> {
    let lines: Vec<_> = head.all("set-cookie").collect();
    assert!(lines.len() <= 1, "{lines:?}");
    Some(lines.first()?.split(';').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_client_sticks_to_its_backend_with_plain_requests_and_websockets() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let proxy = Proxy::start(&site(&[&one, &two]).pool(STICKY)).await;
    let (head, _) = proxy.client().request("GET", "").await;
    let home = head.get("x-backend").to_owned();
    let cookie = given(&head).expect("a cookie");
    let line = head.get("set-cookie");
    assert_eq!(head.get("cache-control"), "private", "no shared cache keeps it");
    assert_eq!(line, format!("{cookie}; Path=/; HttpOnly; SameSite=Lax"));
    let port = |backend: &Backend| backend.address().port().to_string();
    assert!(!line.contains(&port(&one)) && !line.contains(&port(&two)), "{line}");

    let client = proxy.client().field("Cookie", &format!("a=b; {cookie}; c=d"));
    for _ in 0..5 {
        let (head, _) = client.request("GET", "").await;
        assert_eq!((head.get("x-backend"), given(&head)), (home.as_str(), None));
        let (head, _wire) = client.handshake().await;
        assert_eq!((head.status(), given(&head)), (101, None));
    }
    let (at_home, other) = if home == "one" { (&one, &two) } else { (&two, &one) };
    assert!(other.heads().is_empty());
    // The cookie is for tidegate; the client's own go on.
    let heads = at_home.heads();
    assert!(heads[1..].iter().all(|head| head.get("cookie") == "a=b; c=d"), "{heads:?}");

    // A client whose first request is a handshake has its cookie with the 101.
    let (head, _wire) = proxy.client().handshake().await;
    let cookie = given(&head).expect("a cookie with the 101");
    let (one_had, two_had) = (one.heads().len(), two.heads().len());
    proxy.client().field("Cookie", &cookie).request("GET", "").await;
    let was_first = head_went_to(&one, &two, (one_had, two_had));
    proxy.client().field("Cookie", &cookie).request("GET", "").await;
    let after = if was_first { (one_had + 1, two_had) } else { (one_had, two_had + 1) };
    assert_eq!(head_went_to(&one, &two, after), was_first);
    until("the sessions' ends", || proxy.sessions() <= 1).await;
    drop(_wire);
    until("the last session's end", || proxy.sessions() == 0).await;
    proxy.stop().await;
}

/// Whether the first of two backends got the one request there was after they had so many.
fn head_went_to(one: &Backend, two: &Backend, before: (usize, usize)) -> bool {
    let now = (one.heads().len(), two.heads().len());
    assert_eq!(now.0 + now.1, before.0 + before.1 + 1);
    now.0 > before.0
}

#[tokio::test]
async fn a_cookie_is_made_anew_when_its_backend_is_gone_and_ignored_when_it_is_forged() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let toml = site(&[&one, &two]).pool(STICKY).pool("health.failures_max = 1");
    let proxy = Proxy::start(&toml).await;
    let (head, _) = proxy.client().request("GET", "").await;
    let cookie = given(&head).unwrap();
    let client = proxy.client().field("Cookie", &cookie);
    let (name, _) = cookie.split_once('=').unwrap();
    let forged = proxy.client().field("Cookie", &format!("{name}={}", "A".repeat(22)));
    let (answer, _) = forged.request("GET", "").await;
    assert!(answer.status() == 200 && given(&answer).is_some());

    let (goes, stays) = if head.get("x-backend") == "one" { (one, "two") } else { (two, "one") };
    goes.kill().await;
    let (head, _) = client.request("GET", "").await;
    assert_eq!((head.status(), head.get("x-backend")), (200, stays));
    let renewed = given(&head).expect("a new cookie");
    assert_ne!(renewed, cookie);
    let (head, _wire) = proxy.client().field("Cookie", &renewed).handshake().await;
    assert_eq!((head.status(), given(&head)), (101, None));
    drop(_wire);
    until("the session's end", || proxy.sessions() == 0).await;
    assert!(proxy.scrape().contains("tidegate_sticky_lost_total{pool=\"chat\",reason=\"out\"}"));
    proxy.stop().await;
}

#[tokio::test]
async fn the_cookie_is_secure_where_the_client_speaks_tls_and_its_name_and_site_are_the_pools() {
    let backend = Backend::echo("one").await;
    let certificates = Certificates::new(&["localhost"]);
    let toml = site(&[&backend]).tls(&certificates).pool(STICKY);
    let toml = toml.pool("sticky.cookie = \"node\"\nsticky.same_site = \"none\"");
    let proxy = Proxy::start(&toml).await;
    let (head, _) = proxy.client().tls(&certificates).request("GET", "").await;
    let line = head.get("set-cookie");
    assert!(line.starts_with("node="), "{line}");
    assert!(line.ends_with("; Path=/; HttpOnly; SameSite=None; Secure"), "{line}");
    proxy.stop().await;

    let behind = site(&[&backend]).listener("trusted_proxies = \"127.0.0.1\"").pool(STICKY);
    let proxy = Proxy::start(&behind).await;
    let client = proxy.client().field("X-Forwarded-Proto", "https");
    let (head, _) = client.request("GET", "").await;
    assert!(head.get("set-cookie").ends_with("; Secure"), "{head:?}");
    proxy.stop().await;
}

#[tokio::test]
async fn nobody_is_bound_to_a_backend_that_is_not_there() {
    let absent = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    let backend = Backend::answering(absent).await;
    let proxy = Proxy::start(&site(&[&backend]).pool(STICKY)).await;
    let (head, _) = proxy.client().request("GET", "").await;
    assert_eq!((head.status(), given(&head)), (503, None));
    proxy.stop().await;
}

#[tokio::test]
async fn a_full_pool_answers_503_with_retry_after_until_a_session_has_ended() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::start(&site(&[&backend]).pool("sessions_max = 1")).await;
    let session = proxy.client().open().await;
    let (head, _) = proxy.client().handshake().await;
    assert_eq!((head.status(), head.get("retry-after")), (503, "1"));
    assert_eq!(asked(&proxy.client()).await, "one");
    let full = "tidegate_handshake_failures_total{route=\"all\",reason=\"full\"} 1";
    assert!(proxy.scrape().contains(full));
    session.close(1000, "").await;
    let address = backend.address();
    let free = format!("tidegate_backend_sessions{{pool=\"chat\",backend=\"{address}\"}} 0\n");
    until("the place to be given back", || proxy.scrape().contains(&free)).await;
    proxy.client().open().await.close(1000, "").await;
    proxy.stop().await;
}
