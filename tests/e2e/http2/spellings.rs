//! What a client may not say, in each spelling that HTTP/2 has, in heads and trailers; and what
//! conditions of routes see of a request on a stream.

use std::sync::{Arc, Mutex};

use http::{HeaderMap, HeaderName, HeaderValue, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::actors::{Backend, granted, until};

/// Names that only tidegate, a trusted proxy or the route may say.
const GUARDED: [&str; 18] = [
    "forwarded",
    "x-forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-user",
    "x-real-ip",
    "x-request-id",
    "x-original-url",
    "x-rewrite-url",
    "proxy",
    "tidegate-session",
    "tidegate-resume",
    "x-is-removed",
    "x-is-set",
    "transfer-encoding",
];

/// The name, with `_` for its first and for each `-`. What no head of HTTP/2 may have as it is
/// (RFC 9113 §8.2.2) is in the other spellings only.
fn spellings(name: &str) -> Vec<String> {
    let mut all = vec![name.to_owned(), name.replacen('-', "_", 1), name.replace('-', "_")];
    all.dedup();
    all.retain(|spelt| spelt != "transfer-encoding");
    all
}

/// A backend that keeps all it reads; it opens WebSockets, and answers other requests at their
/// bodies' end.
async fn keeper() -> (Backend, Arc<Mutex<String>>) {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let backend = Backend::script(move |head, mut wire| {
        let kept = Arc::clone(&kept);
        async move {
            let lines = head.fields.iter().map(|(name, value)| format!("{name}: {value}\n"));
            kept.lock().unwrap().push_str(&lines.collect::<String>());
            let is_websocket = head.is_upgrade();
            let mut rest = String::new();
            let mut bytes = [0; 4096];
            while !is_websocket && !rest.ends_with("\r\n\r\n") {
                let Ok(count @ 1..) = wire.read(&mut bytes).await else { return };
                rest.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
            kept.lock().unwrap().push_str(&rest);
            let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
            let answer = if is_websocket { granted(&head) } else { page.to_owned() };
            let _ = wire.write_all(answer.as_bytes()).await;
        }
    })
    .await;
    (backend, seen)
}

#[tokio::test]
async fn no_spelling_says_what_a_client_may_not_in_heads_or_trailers() {
    let (backend, seen) = keeper().await;
    let front = Front::clear(
        &backend,
        "request_headers = { remove = [\"X-Is-Removed\"], set = { X-Is-Set = \"ours\" } }\n\
         trailers = [\"X-Sum\", \"X-Is-Removed\", \"X-Is-Set\"]\n",
    );
    let mut streams = front.client().await;
    let spelt: Vec<_> = GUARDED.iter().flat_map(|name| spellings(name)).collect();
    let field = |name: &String| {
        (HeaderName::try_from(name).unwrap(), HeaderValue::from_static("for=spoofed"))
    };
    let fields = || spelt.iter().map(field).collect::<HeaderMap>();
    let mut request = Request::post("http://localhost/").body(()).unwrap();
    request.headers_mut().extend(fields());
    let announced = format!("x-sum, {}", spelt.join(", "));
    request.headers_mut().insert("trailer", announced.try_into().unwrap());
    let (answer, mut sending) = streams.begin(request).await;
    sending.send_data("body".into(), false).unwrap();
    let mut trailers = fields();
    trailers.insert("x-sum", HeaderValue::from_static("7"));
    sending.send_trailers(trailers).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    let mut handshake = Streams::handshake("/");
    handshake.headers_mut().extend(fields());
    let (answer, _sending) = streams.ask(handshake, false).await.unwrap();
    assert_eq!(answer.status(), 200);
    let all = || seen.lock().unwrap().to_lowercase();
    until("both requests", || all().contains("sec-websocket-key")).await;
    let all = all();
    let spoofed: Vec<_> = all.lines().filter(|line| line.contains("spoofed")).collect();
    assert!(spoofed.is_empty(), "{spoofed:#?}");
    assert!(all.contains("x-sum: 7") && all.matches("x-is-set: ours").count() == 2, "{all}");
}

/// Conditions of a route, and whether a plain request and a WebSocket on a stream meet them.
const CONDITIONS: [(&str, bool, bool); 7] = [
    ("headers = { Host = \"localhost\" }", true, true),
    ("headers = { Host = \"other.example\" }", false, false),
    ("headers = { Upgrade = \"~* ^websocket$\" }", false, true),
    ("headers = { Connection = \"~* upgrade\" }", false, true),
    ("headers = { Sec-WebSocket-Key = \"~ .\" }", false, true),
    ("websocket = \"match\"", false, true),
    ("headers = { Sec-WebSocket-Version = \"13\" }", false, true),
];

#[tokio::test]
async fn conditions_see_a_request_on_a_stream_as_they_see_it_on_a_connection() {
    let backend = Backend::echo("one").await;
    for (condition, plain, websocket) in CONDITIONS {
        let otherwise = "[[routes]]\npath = \"/\"\nrespond = { status = 418 }\n";
        let front = Front::clear(&backend, &format!("{condition}\n{otherwise}"));
        let mut streams = front.client().await;
        let page = Request::get("http://localhost/").body(()).unwrap();
        let (status, _) = streams.status(page).await;
        assert_eq!(status != 418, plain, "{condition}: a plain request");
        let (answer, _sending) = streams.ask(Streams::handshake("/"), false).await.unwrap();
        assert_eq!(answer.status() != 418, websocket, "{condition}: a WebSocket");
    }
}
