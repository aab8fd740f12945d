//! The admin page: what it shows, to whom, and what may be done from it.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;

use crate::actors::{
    Backend, Certificates, Client, Ending, Head, Session, Wire, read_chunk, until, within,
};
use crate::proxy::Proxy;
use crate::site::site;

/// `ada`, whose password is `page`.
const USERS: &str = "ada:$2b$04$i2n9KU8p7ee.4wN6w2vDnu51gM/1GUodHz7RFfTFlsRylqi0h2Mj2\n";

const ADA: (&str, &str) = ("authorization", "Basic YWRhOnBhZ2U=");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A proxy with the page, and its directory; with operators or without.
async fn paged(backends: &[&Backend], operators: bool) -> (Proxy, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let users = dir.path().join("operators.htpasswd");
    std::fs::write(&users, USERS).unwrap();
    let mut table = "[admin]\naddress = \"127.0.0.1:0\"\npage = true\n\
                     hosts = \"ops.example.com\"\n"
        .to_owned();
    if operators {
        table += &format!("[admin.operators]\nusers = \"{}\"\n", users.display());
    }
    let site = site(backends).table(&table).route("labels = { user = \"{query.user}\" }");
    let site = site.route("push = {}");
    (Proxy::start(&site).await, dir)
}

fn with(client: Client, fields: &[(&str, &str)]) -> Client {
    fields.iter().fold(client, |client, (name, value)| client.field(name, value))
}

/// What a command or question of the page is answered.
async fn ask(proxy: &Proxy, path: &str, fields: &[(&str, &str)], body: &str) -> (u16, String) {
    let client = with(proxy.admin().path(&format!("/operator{path}")), fields);
    let (head, told) = client.field("accept", "application/json").request("POST", body).await;
    (head.status(), told)
}

/// An event stream that has begun.
async fn live(proxy: &Proxy, fields: &[(&str, &str)]) -> (Head, Wire) {
    let client = with(proxy.admin().path("/live"), fields);
    let (head, wire) = client.say(client.head("GET", &[]).as_bytes()).await;
    (head.unwrap(), wire)
}

/// The next summary of a stream.
async fn summary(wire: &mut Wire) -> Value {
    let event = String::from_utf8(within("an event", read_chunk(wire)).await.unwrap()).unwrap();
    let (_, data) = event.split_once("data: ").unwrap();
    assert!(data.ends_with("\n\n"), "{data}");
    serde_json::from_str(data).unwrap()
}

#[tokio::test]
async fn the_page_is_its_own_files_and_shows_what_lives_each_second() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], false).await;
    for (path, kind, has) in [
        ("/", "text/html; charset=utf-8", "<title>tidegate</title>"),
        ("/page.js", "text/javascript; charset=utf-8", "EventSource"),
        ("/page.css", "text/css; charset=utf-8", "color-scheme"),
        ("/page.svg", "image/svg+xml", "<svg"),
    ] {
        let (head, body) = proxy.admin().path(path).request("GET", "").await;
        assert_eq!((head.status(), head.get("content-type")), (200, kind), "{path}");
        assert!(body.contains(has), "{path}: {body}");
        let policy = head.get("content-security-policy");
        assert!(policy.starts_with("default-src 'self'; "), "{policy}");
        assert_eq!(head.get("x-content-type-options"), "nosniff");
        let (head, _) = proxy.admin().path(path).request("POST", "").await;
        assert_eq!((head.status(), head.get("allow")), (405, "GET, HEAD"), "{path}");
    }
    let mut session = proxy.client().path("/?user=ada").open().await;
    until("the session", || proxy.sessions() == 1).await;
    let (head, mut wire) = live(&proxy, &[]).await;
    assert_eq!((head.status(), head.get("content-type")), (200, "text/event-stream"));
    let first = summary(&mut wire).await;
    assert_eq!((&first["sessions"], &first["operators"]), (&1.into(), &false.into()), "{first}");
    session.echo("hello").await;
    let mut last = first;
    while last["busiest"].as_array().unwrap().is_empty() {
        last = summary(&mut wire).await;
    }
    assert_eq!(last["routes"][0]["client_messages"], 1, "{last}");
    assert_eq!(last["busiest"][0]["labels"], json!({ "user": "ada" }), "{last}");
    assert_eq!(last["backends"][0]["state"], "up", "{last}");
    for who in [r#"{"labels":["user=ada"]}"#, r#"{"client":"127.0.0.0/8"}"#, r#"{"route":"all"}"#] {
        let body = format!("{{\"who\":{who}}}");
        let (status, found) = ask(&proxy, "/sessions", &[JSON], &body).await;
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!((status, &found["matched"]), (200, &1.into()), "{who}: {found}");
    }
    let (head, body) = proxy.admin().path("/readyz").request("GET", "").await;
    assert_eq!((head.status(), body.as_str()), (200, "ready\n"), "what was there is there");
    drop((session, wire));
    proxy.stop().await;
}

#[tokio::test]
async fn pages_of_other_sites_and_who_shows_no_password_are_refused() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], true).await;
    let own = "http://localhost";
    // DNS rebinding: the browser believes that the listener is the stranger's own.
    for path in ["/", "/page.js", "/live", "/operator/sessions", "/operator/kick"] {
        let client = with(proxy.admin().host("evil.example").path(path), &[JSON, ADA]);
        for method in ["GET", "POST"] {
            let (head, body) = client.request(method, "{}").await;
            assert_eq!((head.status(), body.contains("`hosts`")), (403, true), "{path}: {body}");
        }
    }
    // A page of a stranger that asks by the right name.
    for fields in [
        &[("origin", "http://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "http://localhost:1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site"), ("origin", own)],
    ] {
        for path in ["/sessions", "/kick"] {
            let (status, body) = ask(&proxy, path, &[fields, &[JSON, ADA]].concat(), "{}").await;
            assert_eq!((status, body.contains("another site")), (403, true), "{fields:?}: {body}");
        }
        let (head, _wire) = live(&proxy, fields).await;
        assert_eq!(head.status(), 403, "{fields:?}");
    }
    // What a browser sends for any page, without a question before.
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let (status, _) = ask(&proxy, "/kick", &[("content-type", kind), ADA], "{}").await;
        assert_eq!(status, 415, "{kind}");
    }
    assert_eq!(ask(&proxy, "/kick", &[ADA], "{}").await.0, 415);
    for (path, fields, body, status, says) in [
        ("/kick", &[JSON][..], "{\"who\":{\"all\":true}}", 401, "needs an operator's name"),
        ("/kick", &[JSON, ("authorization", "Basic YWRhOndyb25n")], "{}", 401, "no operator's"),
        ("/kick", &[JSON, ADA, ("origin", own)], "{}", 400, "say whom to kick"),
        ("/kick", &[JSON, ADA], "{\"who\":{\"rout\":\"a\"}}", 400, "unknown field `rout`"),
        ("/kick", &[JSON, ADA], "{", 400, ""),
        ("/kick", &[JSON, ADA], "{\"who\":{\"all\":true}}", 404, "no live session matches"),
        ("/enable", &[JSON, ADA], "{\"backend\":\"192.0.2.1:1\"}", 404, "no such backend"),
        ("/sessions", &[JSON], "{\"limit\":10001}", 400, "at most 10000"),
        ("/tail", &[JSON, ADA], "{\"who\":{\"all\":true}}", 404, "no such command"),
        ("/reload", &[JSON, ADA], "{}", 404, "no such command"),
        ("/upgrade", &[JSON, ADA], "{}", 404, "no such command"),
        ("/", &[JSON, ADA], "{}", 404, "no such command"),
    ] {
        let (is, told) = ask(&proxy, path, fields, body).await;
        assert_eq!((is, told.contains(says)), (status, true), "{path} {body}: {told}");
    }
    let long = "x".repeat(65 << 10);
    assert_eq!(ask(&proxy, "/kick", &[JSON, ADA], &long).await.0, 400);
    let (head, _) = proxy.admin().path("/operator/kick").request("GET", "").await;
    assert_eq!((head.status(), head.get("allow")), (405, "POST"));
    let refused = proxy.scrape();
    for why in ["host", "origin", "content_type", "no_password", "password"] {
        assert!(refused.contains(&format!("tidegate_admin_refused_total{{reason=\"{why}\"}}")));
    }
    proxy.stop().await;
}

#[tokio::test]
async fn an_operator_commands_through_a_proxy_that_speaks_tls() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], true).await;
    let session = proxy.client().path("/?user=ada").open().await;
    until("the session", || proxy.sessions() == 1).await;
    let certificates = Certificates::new(&["ops.example.com", "localhost", "evil.example"]);
    let front = |keys: &str| {
        let site = site(&[]).backend(proxy.admin().address()).tls(&certificates);
        site.route("websocket = false").route(keys)
    };
    let sent = [("sec-fetch-site", "same-origin"), JSON, ADA];
    let kick = async |by: &Proxy, host: &str, page: &str| {
        let client = by.client().tls(&certificates).host(host).path("/operator/kick");
        let client = with(client, &[&[("origin", page)], &sent[..]].concat());
        let (head, told) =
            client.request("POST", "{\"dry_run\":true,\"who\":{\"all\":true}}").await;
        (head.status(), told)
    };
    let keeps = Proxy::start(&front("")).await;
    // It asks for another host than the browser does, as others do who are not asked to keep it.
    let changes = Proxy::start(&front("upstream_host = \"127.0.0.1:9090\"")).await;
    for (by, host, page, status) in [
        (&keeps, "localhost", "https://localhost", 200),
        (&keeps, "ops.example.com", "https://ops.example.com", 200),
        (&keeps, "evil.example", "https://evil.example", 403),
        (&keeps, "ops.example.com", "https://evil.example", 403),
        (&changes, "ops.example.com", "https://ops.example.com:8443", 200),
        (&changes, "ops.example.com", "https://evil.example", 403),
        (&changes, "evil.example", "https://evil.example", 403),
    ] {
        let (is, told) = kick(by, host, page).await;
        assert_eq!(is, status, "{host} {page}: {told}");
    }
    drop(session);
    for proxy in [keeps, changes, proxy] {
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_page_without_operators_only_shows_and_no_page_is_none() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], false).await;
    for command in ["/kick", "/drain", "/move", "/enable"] {
        let (status, told) = ask(&proxy, command, &[JSON, ADA], "{}").await;
        assert_eq!((status, told.contains("[admin.operators]")), (403, true), "{told}");
    }
    proxy.stop().await;
    let proxy =
        Proxy::start(&site(&[&backend]).table("[admin]\naddress = \"127.0.0.1:0\"\n")).await;
    for path in ["/", "/page.js", "/live", "/operator/sessions"] {
        let (head, _) = proxy.admin().path(path).request("GET", "").await;
        assert_eq!(head.status(), 404, "{path}");
    }
    proxy.stop().await;
}

/// A session of each of these users, which has passed a message.
async fn of_users(proxy: &Proxy, users: &[&str]) -> Vec<Session> {
    let mut sessions = Vec::new();
    for user in users {
        let mut session = proxy.client().path(&format!("/?user={user}")).open().await;
        session.echo("hello").await;
        sessions.push(session);
    }
    sessions
}

#[tokio::test]
async fn an_operator_asks_how_many_it_is_for_and_does_it() {
    let backends = [Backend::echo("one").await, Backend::echo("two").await];
    let (proxy, _dir) = paged(&backends.each_ref(), true).await;
    let mut sessions = of_users(&proxy, &["ada", "ada", "bob"]).await;
    let ada = r#"{"who":{"labels":["user=ada"]}"#;
    let told = |(status, text): (u16, String)| -> Value {
        assert_eq!(status, 200, "{text}");
        serde_json::from_str(&text).unwrap()
    };
    let would =
        told(ask(&proxy, "/kick", &[JSON, ADA], &format!("{ada},\"dry_run\":true}}")).await);
    assert_eq!((&would["sessions"], &would["outcome"]), (&2.into(), &"dry_run".into()));
    assert_eq!(proxy.sessions(), 3);
    let done = told(ask(&proxy, "/kick", &[JSON, ADA], &format!("{ada}}}")).await);
    assert_eq!(done["sessions"], 2, "{done}");
    let bob = sessions.pop().unwrap();
    for session in sessions {
        assert!(matches!(session.ending().await, Ending::Close(1008, _)));
    }
    let address = backends[0].address().to_string();
    let at = |of: &str| format!("{{{of}\"backend\":\"{address}\"");
    told(ask(&proxy, "/drain", &[JSON, ADA], &(at("\"who\":{") + "}}")).await);
    let status = told(ask(&proxy, "/status", &[JSON], "{}").await);
    let states = status["backends"].as_array().unwrap().iter().map(|one| &one["state"]);
    assert_eq!(states.filter(|state| **state == "disabled").count(), 1, "{status}");
    told(ask(&proxy, "/enable", &[JSON, ADA], &(at("") + "}")).await);
    drop(bob);
    proxy.stop().await;
}

#[tokio::test]
async fn an_operator_pushes_a_message_to_those_who_can_be_pushed_to() {
    let backends = [Backend::echo("one").await, Backend::echo("two").await];
    let (proxy, _dir) = paged(&backends.each_ref(), true).await;
    let mut sessions = of_users(&proxy, &["ada", "ada", "bob"]).await;
    let message = |more: &str| format!("{{\"labels\":[\"user=ada\"],\"text\":\"news\"{more}}}");
    let (status, told) = ask(&proxy, "/push", &[JSON, ADA], &message(",\"dry_run\":true")).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["sessions"], &told["queued"]), (200, &2.into(), &0.into()), "{told}");
    let (status, told) = ask(&proxy, "/push", &[JSON, ADA], &message("")).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    // By now it may have been written, too.
    let text = told["text"].as_str().unwrap();
    assert!(status == 200 && text.starts_with("queued: 2 of 2 matched"), "{told}");
    for (fields, body, status) in [
        (&[JSON][..], message(""), 401),
        (&[JSON, ADA], "{\"labels\":[\"user=eve\"],\"text\":\"news\"}".to_owned(), 404),
        (&[JSON, ADA], "{\"text\":\"news\"}".to_owned(), 400),
        (&[JSON, ADA], "{\"all\":true}".to_owned(), 400),
        (&[JSON, ADA, ("origin", "http://evil.example")], message(""), 403),
    ] {
        assert_eq!(ask(&proxy, "/push", fields, &body).await.0, status, "{body}");
    }
    let mut bob = sessions.pop().unwrap();
    for session in &mut sessions {
        assert_eq!(session.text().await, "news");
        session.echo("and nothing else").await;
    }
    bob.echo("nothing").await;
    drop((sessions, bob));
    proxy.stop().await;
}

#[tokio::test]
async fn streams_are_bounded_and_one_that_ends_makes_room() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], false).await;
    let mut open = Vec::new();
    // One client has half of them.
    for _ in 0..4 {
        let (head, mut wire) = live(&proxy, &[]).await;
        assert_eq!(head.status(), 200);
        summary(&mut wire).await;
        open.push(wire);
    }
    let (head, _wire) = live(&proxy, &[]).await;
    assert_eq!((head.status(), head.get("retry-after")), (503, "1"));
    let (head, _) = proxy.admin().path("/metrics").request("GET", "").await;
    assert_eq!(head.status(), 200, "others are answered");
    open.pop();
    let mut opened = live(&proxy, &[]).await;
    while opened.0.status() == 503 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        opened = live(&proxy, &[]).await;
    }
    summary(&mut opened.1).await;
    // A reload without the page ends those that are open.
    let none = site(&[&backend]).table("[admin]\naddress = \"127.0.0.1:0\"\n");
    proxy.reload(&none).await.unwrap();
    for mut wire in open {
        let mut rest = Vec::new();
        within("its end", wire.read_to_end(&mut rest)).await.unwrap();
    }
    drop(opened);
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_it() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], false).await;
    let (_, mut wire) = live(&proxy, &[]).await;
    summary(&mut wire).await;
    let table = "[admin]\naddress = \"127.0.0.1:0\"\npage = true\nallow = [\"192.0.2.0/24\"]\n";
    proxy.reload(&site(&[&backend]).table(table)).await.unwrap();
    let mut rest = Vec::new();
    within("its end", wire.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(live(&proxy, &[]).await.0.status(), 403);
    proxy.stop().await;
}

#[tokio::test]
async fn a_stream_that_is_read_to_its_end_holds_no_stop() {
    let backend = Backend::echo("one").await;
    let (proxy, _dir) = paged(&[&backend], false).await;
    let (_, mut wire) = live(&proxy, &[]).await;
    summary(&mut wire).await;
    let begun = std::time::Instant::now();
    proxy.begin_stop();
    let read = tokio::spawn(async move {
        let mut rest = Vec::new();
        let _ = within("its end", wire.read_to_end(&mut rest)).await;
    });
    proxy.stopped().await;
    read.await.unwrap();
    assert!(begun.elapsed() < std::time::Duration::from_secs(10), "{:?}", begun.elapsed());
}
