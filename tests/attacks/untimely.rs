//! Answers that come before their request is whole, or when nobody has asked: each request gets its
//! own, and the rest of a body is never a request.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::actors::{Backend, Head, Wire, granted, until, within};
use crate::case::{Table, aftermath, arrival, body, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::PROBE;

/// Each turn is another moment.
const TURNS: usize = 20;

/// An answer with a target of its own.
fn answer(status: u16, target: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\nX-Target: {target}\r\n\r\n")
}

/// A backend that says an answer more behind the one to `/a`, as soon as it may.
#[derive(Default)]
struct Blurts {
    may: Notify,
    count: AtomicUsize,
}

impl Blurts {
    async fn serve(self: Arc<Blurts>, first: Head, mut wire: Wire) {
        let mut next = Some(first);
        while let Some(head) = next {
            let said = if head.is_upgrade() { granted(&head) } else { answer(200, head.second()) };
            if wire.write_all(said.as_bytes()).await.is_err() {
                return;
            }
            if head.second() == "/a" {
                self.may.notified().await;
                let _ = wire.write_all(answer(200, "/stolen").as_bytes()).await;
                arrival(&wire).await;
                self.count.fetch_add(1, SeqCst);
            }
            next = Head::read(&mut wire).await;
        }
    }
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_is_nobodys() {
    let blurts = Arc::new(Blurts::default());
    let shared = Arc::clone(&blurts);
    let backend = Backend::script(move |head, wire| Arc::clone(&shared).serve(head, wire)).await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut client = proxy.client().connect().await.unwrap();
    for turn in 0..TURNS {
        for target in ["/a", "/b"] {
            client.write_all(&request(&format!("GET {target}"), &[], "")).await.unwrap();
            let head = within("an answer", Head::read(&mut client)).await.unwrap();
            assert_eq!((head.status(), head.get("x-target")), (200, target), "turn {turn}");
            if target == "/a" {
                // Its connection is idle now, and is for the next request.
                blurts.may.notify_one();
                until("an unasked answer", || blurts.count.load(SeqCst) > turn).await;
            }
        }
    }
    // None of them was taken for good: each blurt cost its connection.
    assert_eq!(backend.connections(), TURNS + 1);
    drop(client);
    serves_as_before(&proxy).await;
    proxy.stop().await;
}

/// A request of which a part is held back until it is answered.
struct Early {
    name: &'static str,
    rfc: &'static str,
    said: Vec<u8>,
    /// What is said then, before one request more.
    rest: &'static str,
    outcome: &'static str,
    /// The body as the backend reads it.
    seen: &'static str,
}

fn early() -> Vec<Early> {
    let row = |name, rfc, said, rest, outcome, seen| Early { name, rfc, said, rest, outcome, seen };
    let post = |field: &str, body: &str| request("POST /early", &[field], body);
    let fixed = |name, rfc, fields: &[&str], body: &str| {
        row(name, rfc, request("POST /fixed", fields, body), "", "410, closed", "nothing")
    };
    let (ten, million) = ("Content-Length: 10", "Content-Length: 1000000");
    let chunked = "Transfer-Encoding: chunked";
    let (kept, closed) = ("413 /early, kept", "413 /early, closed");
    vec![
        row("its length", "9112 §6.2", post(ten, "hello"), "world", kept, "helloworld"),
        // What a length counts is a body, whatever it looks like.
        row(
            "a request for a rest",
            "9112 §6.2",
            post(ten, "hello"),
            "",
            "413 /early, 400, closed",
            "helloGET /",
        ),
        row(
            "its chunks",
            "9112 §7.1",
            post(chunked, "5\r\nhello\r\n"),
            "5\r\nworld\r\n0\r\n\r\n",
            kept,
            "helloworld",
        ),
        row(
            "a request in a chunk",
            "9112 §7.1",
            post(chunked, "a\r\nhello"),
            "",
            closed,
            "nothing",
        ),
        row(
            "a request for a chunk",
            "9112 §7.1",
            post(chunked, "5\r\nhello\r\n"),
            "",
            closed,
            "nothing",
        ),
        fixed("half a body, fixed", "9112 §9.3", &[ten], "hello"),
        fixed("much of a body left, fixed", "9112 §9.3", &[million], "hello"),
        fixed("half a chunk, fixed", "9112 §9.3", &[chunked], "a\r\nhello"),
        fixed("no body at all, fixed", "9112 §9.3", &[ten], ""),
        fixed(
            "a body that was to be asked for, fixed",
            "9110 §10.1.1",
            &[ten, "Expect: 100-continue"],
            "",
        ),
    ]
}

type Seen = Arc<Mutex<Vec<String>>>;

/// Answers each request at its head, and only then reads its body; tells the bodies of `/early`.
/// Where one is broken off, its connection ends.
async fn hasty(first: Head, mut wire: Wire, seen: Seen) {
    let mut next = Some(first);
    while let Some(head) = next {
        let target = head.second();
        let status = if target == "/early" { 413 } else { 200 };
        let said = if head.is_upgrade() { granted(&head) } else { answer(status, target) };
        if wire.write_all(said.as_bytes()).await.is_err() {
            return;
        }
        if target == "/early" {
            let body = body(&head, &mut wire).await;
            let is_whole = body.is_some();
            seen.lock().unwrap().push(body.unwrap_or_else(|| "nothing".to_owned()));
            if !is_whole {
                return;
            }
        }
        next = Head::read(&mut wire).await;
    }
}

#[tokio::test]
async fn the_rest_of_a_body_that_was_answered_early_is_no_request() {
    let seen = Seen::default();
    let shared = Arc::clone(&seen);
    let backend = Backend::script(move |head, wire| hasty(head, wire, Arc::clone(&shared))).await;
    let fixed = "[[routes]]\npath = \"= /fixed\"\nrespond = { status = 410 }";
    let proxy = Proxy::start(&site(&[&backend]).route(fixed)).await;
    let mut table = Table::new("Early answers");
    for Early { name, rfc, said, rest, outcome, seen: wanted } in early() {
        let before = seen.lock().unwrap().len();
        let (head, mut wire) = proxy.client().say(&said).await;
        let head = head.unwrap();
        let mut first = vec![0; head.get("content-length").parse().unwrap()];
        within("a body", wire.read_exact(&mut first)).await.unwrap();
        // It may be closed by now.
        let probe = request(&format!("GET {PROBE}"), &[], "");
        let _ = wire.write_all(&[rest.as_bytes(), &probe].concat()).await;
        let then = aftermath(&mut wire, false).await;
        let came = format!("{} {}", head.status(), head.get("x-target"));
        let came = format!("{}, {then}", came.trim_end());
        let mut body = "nothing".to_owned();
        if head.status() == 413 {
            until("the end of a body", || seen.lock().unwrap().len() > before).await;
            body = seen.lock().unwrap()[before].clone();
        }
        table.row(name, rfc, &came, &body, &[(outcome, &came), (wanted, &body)]);
    }
    table.settle();
    serves_as_before(&proxy).await;
    proxy.stop().await;
}
