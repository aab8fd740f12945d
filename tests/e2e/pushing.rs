//! Messages to clients that no backend sent: between the backend's own, whole, in order, counted.

mod documented;
mod expiring;
mod following;
mod foreign;
mod gateway;
mod holding;
mod malformed;
mod naming;
mod slow;
mod starving;
mod tokens;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tungstenite::Message;

use crate::access::ways::{Asker, both};
use crate::actors::{Backend, Certificates, Client, Ending, Head, Session, Wire, frame, granted};
use crate::actors::{until, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// A route for callers, on a listener of its own.
const API: &str = "[listeners.internal]\naddress = \"127.0.0.3:0\"\n\
                   [[routes]]\nlistener = \"internal\"\napi = { routes = \"all\" }\n";

/// Grants a handshake as [`granted`] does, and permessage-deflate where it is offered.
fn granted_with_deflate(head: &Head) -> String {
    let fields = match head.get("sec-websocket-extensions").contains("permessage-deflate") {
        true => "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        false => "\r\n",
    };
    granted(head).replacen("\r\n", fields, 1)
}

/// A backend that never stops to send messages of three frames: `1 of one`, `2 of one` …
async fn streaming(name: &'static str) -> Backend {
    Backend::script(move |head: Head, mut wire: Wire| async move {
        wire.write_all(granted_with_deflate(&head).as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        let (mut number, mut part) = (1, 0);
        loop {
            tokio::select! {
                biased;
                heard = session.next() => if heard.is_err() { return },
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
            let text = number.to_string();
            let (first, payload) = [(0x01, &*text), (0x00, " of "), (0x80, name)][part];
            if session.wire().write_all(&frame(first, payload.as_bytes(), None)).await.is_err() {
                return;
            }
            (number, part) = if part == 2 { (number + 1, 0) } else { (number, part + 1) };
        }
    })
    .await
}

fn pushed_to(site: Site, keys: &str) -> Site {
    site.table(API)
        .route("labels = { user = \"{query.user}\", room = \"{query.room}\" }")
        .route(&format!("push = {{ {keys} }}"))
}

/// A caller of this path.
fn caller(proxy: &Proxy, path: &str) -> Client {
    proxy.client_of("internal").path(path)
}

async fn ask(proxy: &Proxy, method: &str, path: &str, body: &str) -> (u16, Value) {
    let (head, body) = caller(proxy, path).request(method, body).await;
    (head.status(), serde_json::from_str(&body).unwrap_or_else(|_| panic!("{head:?}\n{body}")))
}

async fn push(proxy: &Proxy, query: &str, body: &str) -> Value {
    let (status, report) = ask(proxy, "POST", &format!("/v1/push?{query}"), body).await;
    assert_eq!(status, 200, "{report}");
    report
}

/// What a client reads until it has read so many pushed messages; every other one is the backend's
/// next.
async fn read(session: &mut Session, pushed: usize) -> Vec<String> {
    let (mut got, mut last) = (Vec::new(), None);
    while got.len() < pushed {
        let text = session.text().await;
        match text.split_once(" of ") {
            Some((number, _)) => {
                let number: u64 = number.parse().unwrap();
                assert!(last.is_none_or(|last| number == last + 1), "{last:?}, then {text}");
                last = Some(number);
            }
            None => got.push(text),
        }
    }
    got
}

#[tokio::test]
async fn messages_stand_between_those_of_a_backend_that_streams_on_every_carrier() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [streaming("one").await, streaming("two").await];
    let site = both(site(&backends.each_ref()), &certificates);
    let proxy = Proxy::start(&pushed_to(site, "")).await;
    let asker = Asker::new(&proxy, &certificates).path("/?user=ada&room=1");
    let deflate = asker.field("Sec-WebSocket-Extensions", "permessage-deflate");
    let (head, wire) = deflate.client(true).handshake().await;
    assert_eq!(head.get("sec-websocket-extensions"), "permessage-deflate");
    let mut streams = [asker.streams(false).await, asker.streams(true).await];
    let mut sessions = vec![
        asker.client(false).open().await,
        asker.client(true).open().await,
        Session::client(wire).await,
        streams[0].open_by(asker.handshake()).await,
        streams[1].open_by(deflate.handshake()).await,
        // Four more, so that both workers have some.
        asker.client(false).open().await,
        asker.client(false).open().await,
        asker.client(true).open().await,
        asker.client(true).open().await,
    ];
    let mut other = asker.path("/?user=bob&room=1").client(false).open().await;
    let count = sessions.len();
    until("sessions", || proxy.sessions() == count as u64 + 1).await;

    for number in 0..50 {
        let message = format!("push {number}");
        let report = push(&proxy, "label=user:ada&label=room:1", &message).await;
        let told = (&report["matched"], &report["queued"], &report["full"], &report["refused"]);
        assert_eq!(told, (&json!(count), &json!(count), &json!(0), &json!(0)));
    }
    let report = push(&proxy, "label=user:ada&wait=read&timeout=1s", "the last").await;
    let known = |key: &str| report[key].as_u64().unwrap();
    let expected: Vec<String> =
        (0..50).map(|number| format!("push {number}")).chain(["the last".to_owned()]).collect();
    // They answer pings only as they read: nobody has.
    assert!(known("read") < count as u64, "{report}");
    for session in &mut sessions {
        assert_eq!(read(session, 51).await, expected);
    }
    let report = push(&proxy, "all=true", "to all").await;
    assert_eq!(report["queued"], count + 1);
    assert_eq!(read(&mut other, 1).await, ["to all"]);
    drop((sessions, other, streams));
    proxy.stop().await;
}

/// Reads and answers pings while `asked` goes on.
async fn while_reading<T>(session: &mut Session, asked: impl Future<Output = T>) -> T {
    let mut asked = std::pin::pin!(asked);
    loop {
        tokio::select! {
            done = &mut asked => return done,
            read = session.next() => drop(read.unwrap()),
        }
    }
}

#[tokio::test]
async fn a_caller_knows_what_was_written_and_what_was_read() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut reads = proxy.client().path("/?user=ada").open().await;
    let frozen = proxy.client().path("/?user=bob").open().await;
    until("two sessions", || proxy.sessions() == 2).await;

    let written = push(&proxy, "all=true&wait=written", "hello").await;
    let told = (&written["queued"], &written["written"], &written["read"]);
    assert_eq!(told, (&json!(2), &json!(2), &json!(0)));
    let query = "label=user:ada&wait=read";
    let read = while_reading(&mut reads, push(&proxy, query, "did you read this?")).await;
    assert_eq!((&read["queued"], &read["read"]), (&json!(1), &json!(1)));
    let query = "label=user:bob&wait=read&timeout=500ms";
    let unread = push(&proxy, query, "and you?").await;
    let told = (&unread["written"], &unread["read"], &unread["gone"]);
    assert_eq!(told, (&json!(1), &json!(0), &json!(0)));
    drop((reads, frozen));
    proxy.stop().await;
}

#[tokio::test]
async fn a_message_in_json_says_itself_to_whom_it_goes() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut sessions = Vec::new();
    for (user, room) in [("ada", "1"), ("bob", "1"), ("eve", "2")] {
        let path = format!("/?user={user}&room={room}");
        sessions.push(proxy.client().path(&path).open().await);
    }
    until("three sessions", || proxy.sessions() == 3).await;
    let request = json!({
        "to": [{ "labels": { "room": "1" } }, { "labels": { "user": "eve" } }],
        "except": [{ "labels": { "user": "bob" } }],
        "base64": "AP8=",
    });
    let (status, report) = ask(&proxy, "POST", "/v1/push", &request.to_string()).await;
    assert_eq!((status, &report["matched"], &report["queued"]), (200, &json!(2), &json!(2)));
    push(&proxy, "all=true", "end").await;
    for (at, session) in sessions.iter_mut().enumerate() {
        if at != 1 {
            assert_eq!(session.next().await, Ok(Message::binary(vec![0, 255])));
        }
        assert_eq!(session.text().await, "end");
    }
    drop(sessions);
    proxy.stop().await;
}

#[tokio::test]
async fn sessions_are_listed_counted_labelled_and_ended() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&pushed_to(site(&[&backend]), "")).await;
    let mut ada = proxy.client().path("/?user=ada&room=1").open().await;
    let bob = proxy.client().path("/?user=bob&room=1").open().await;
    until("two sessions", || proxy.sessions() == 2).await;
    let alone = json!({ "asked": 1, "answered": 1, "missing": [] });
    let counted = (200, json!({ "matched": 2, "instances": alone }));
    assert_eq!(ask(&proxy, "GET", "/v1/count", "").await, counted);
    let (_, listed) = ask(&proxy, "GET", "/v1/sessions?label=user:ada", "").await;
    assert_eq!((&listed["matched"], listed["sessions"].as_array().unwrap().len()), (&json!(1), 1));
    let row = &listed["sessions"][0];
    assert_eq!(row["labels"], json!({ "user": "ada", "room": "1" }));
    let path = format!("/v1/sessions/{}", row["id"].as_str().unwrap());
    let (status, one) = ask(&proxy, "GET", &path, "").await;
    assert_eq!((status, &one["id"]), (200, &row["id"]));

    let patch = json!({ "labels": { "room": null, "seat": "7", "user": "eve" } }).to_string();
    let (status, patched) = ask(&proxy, "PATCH", &path, &patch).await;
    assert_eq!((status, &patched["labels"]), (200, &json!({ "seat": "7", "user": "eve" })));
    let wrong = json!({ "labels": { "seat": "8", "a b": "1" } }).to_string();
    assert_eq!(ask(&proxy, "PATCH", &path, &wrong).await.0, 400);
    let query = format!("session={}", row["id"].as_str().unwrap());
    assert_eq!(push(&proxy, &query, "by id").await["queued"], 1);
    assert_eq!(push(&proxy, "label=seat:7", "by its new label").await["queued"], 1);
    assert_eq!(push(&proxy, "label=user:ada", "nobody has it").await["matched"], 0);
    assert_eq!((ada.text().await, ada.text().await), ("by id".into(), "by its new label".into()));

    let (status, kicked) = ask(&proxy, "DELETE", &format!("{path}?code=4403"), "").await;
    assert_eq!((status, &kicked["kicked"]), (200, &json!(1)));
    assert!(matches!(ada.ending().await, Ending::Close(4403, _)));
    until("one session", || proxy.sessions() == 1).await;
    for method in ["GET", "DELETE", "PATCH"] {
        assert_eq!(ask(&proxy, method, &path, "{}").await.0, 410, "{method}");
    }
    let (status, report) = ask(&proxy, "POST", &format!("/v1/push?{query}"), "too late").await;
    assert_eq!((status, &report["matched"]), (410, &json!(0)));
    let path = "/v1/sessions?label=room:1&reason=logged+out%20%C3%A9lsewhere";
    let (_, kicked) = ask(&proxy, "DELETE", path, "").await;
    assert_eq!(kicked["kicked"], 1);
    assert_eq!(bob.ending().await, Ending::Close(1008, "logged out élsewhere".to_owned()));
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_wrong_is_answered_clearly_and_costs_no_session_anything() {
    let backend = Backend::echo("a").await;
    let site = pushed_to(site(&[&backend]), "message_bytes_max = \"1KiB\"");
    let proxy = Proxy::start(&site).await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("before").await;
    let long = "x".repeat(1025);
    let labels = (0..10_000).map(|name| (format!("n{name}"), json!("1")));
    let labels: serde_json::Map<String, Value> = labels.collect();
    let many = json!({ "to": [{ "labels": labels }], "text": "x" });
    for (method, path, body, status) in [
        ("POST", "/v1/push?all=true", long.as_str(), 413),
        ("POST", "/v1/push", r#"{"to":[{"all":true}],"base64":"%"}"#, 400),
        ("POST", "/v1/push", r#"{"to":[{"all":true}]}"#, 400),
        ("POST", "/v1/push", r#"{"to":[{"all":true}],"text":"a","base64":""}"#, 400),
        ("POST", "/v1/push", r#"{"to":[],"text":"a"}"#, 400),
        ("POST", "/v1/push", r#"{"to":[{}],"text":"a"}"#, 400),
        ("POST", "/v1/push", r#"{"too":[{"all":true}],"text":"a"}"#, 400),
        ("POST", "/v1/push", "hello", 400),
        ("POST", "/v1/push?label=user", "hello", 400),
        ("POST", "/v1/push?all=true&wait=soon", "hello", 400),
        ("POST", "/v1/push?all=true&timeout=5", "hello", 400),
        ("POST", "/v1/push?all=true&timeout=1h", "hello", 400),
        ("POST", "/v1/push?session=x", "hello", 400),
        ("POST", "/v1/push", &many.to_string(), 413),
        ("GET", "/v1/push?all=true", "", 405),
        ("DELETE", "/v1/sessions", "", 400),
        ("DELETE", "/v1/sessions?all=true&code=1006", "", 400),
        ("GET", "/v1/sessions?limit=many", "", 400),
        ("GET", "/v1/other", "", 404),
    ] {
        let (answered, why) = ask(&proxy, method, path, body).await;
        assert_eq!(answered, status, "{method} {path}: {why}");
        assert!(why["error"].is_string(), "{method} {path}: {why}");
    }
    let bytes =
        [b"POST /v1/push?all=true HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n", &b"\xc3("[..]];
    let (head, _) = caller(&proxy, "/").say(&bytes.concat()).await;
    assert_eq!(head.unwrap().status(), 400, "no UTF-8");
    // Who leaves before it knows loses only that.
    let leaves =
        caller(&proxy, "/v1/push?all=true&wait=read").head("POST", &[("Content-Length", "4")]);
    let mut wire = caller(&proxy, "/").connect().await.unwrap();
    wire.write_all(format!("{leaves}left").as_bytes()).await.unwrap();
    assert_eq!(session.text().await, "left");
    drop(wire);
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}

async fn next_bytes(wire: &mut Wire, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    within("bytes", wire.read_exact(&mut bytes)).await.unwrap();
    bytes
}

#[tokio::test]
async fn a_message_that_has_no_place_in_time_is_dropped_and_told() {
    // A message that does not end: nothing may stand in it.
    let backend = Backend::script(|head: Head, mut wire: Wire| async move {
        wire.write_all(granted(&head).as_bytes()).await.unwrap();
        wire.write_all(&frame(0x01, b"begun", None)).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.next().await.is_ok() {
            session.wire().write_all(&frame(0x80, b", ended", None)).await.unwrap();
        }
    })
    .await;
    let site = pushed_to(site(&[&backend]), "wait_max = \"300ms\"");
    let proxy = Proxy::start(&site).await;
    let (_, mut wire) = proxy.client().path("/?user=ada").handshake().await;
    // It must be begun before anything is pushed: frames are read as they are.
    assert_eq!(next_bytes(&mut wire, 7).await, b"\x01\x05begun");
    let report = push(&proxy, "all=true&wait=written", "late").await;
    let told = (&report["queued"], &report["written"], &report["late"]);
    assert_eq!(told, (&json!(1), &json!(0), &json!(1)));
    wire.write_all(&frame(0x81, b"go on", Some([1, 2, 3, 4]))).await.unwrap();
    assert_eq!(next_bytes(&mut wire, 9).await, b"\x80\x07, ended");
    let report = push(&proxy, "all=true&wait=written", "in time").await;
    assert_eq!(report["written"], 1);
    assert_eq!(next_bytes(&mut wire, 9).await, b"\x81\x07in time");
    drop(wire);
    proxy.stop().await;
}

#[tokio::test]
async fn clients_that_cannot_have_it_are_not_sent_it_and_other_routes_are_none_of_ours() {
    let backend = Backend::script(|head: Head, mut wire: Wire| async move {
        wire.write_all(granted_with_deflate(&head).as_bytes()).await.unwrap();
        let mut session = Session::server(wire).await;
        while session.forward().await.is_ok() {}
    })
    .await;
    let site = pushed_to(site(&[&backend]), "compressed = \"refuse\"")
        .table("[[routes]]\nname = \"other\"\npath = \"/other\"\npool = \"chat\"\n");
    let proxy = Proxy::start(&site).await;
    let plain = proxy.client().path("/?user=ada").open().await;
    let (_, wire) =
        proxy.client().field("Sec-WebSocket-Extensions", "permessage-deflate").handshake().await;
    let other = proxy.client().path("/other?user=ada").open().await;
    until("three sessions", || proxy.sessions() == 3).await;
    let report = push(&proxy, "all=true", "hello").await;
    let told = (&report["matched"], &report["queued"], &report["refused"]);
    assert_eq!(told, (&json!(2), &json!(1), &json!(1)));
    assert_eq!(ask(&proxy, "GET", "/v1/count", "").await.1["matched"], 2);
    drop((plain, wire, other));
    proxy.stop().await;
}
