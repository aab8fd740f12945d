//! Half-closes and resets in every phase, from either side: the other side learns of it, and
//! nothing is left open.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::{Backend, Head, Wire, drain, frame, granted, reset, until, within};
use crate::case::{Table, request, serves_as_before};
use crate::frames::told;
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::{PROBE, WELL};

#[derive(Clone, Copy, PartialEq)]
enum How {
    Fin,
    Reset,
}

async fn cut(mut wire: Wire, how: How) -> Option<Wire> {
    match how {
        How::Fin => {
            let _ = wire.shutdown().await;
            Some(wire)
        }
        How::Reset => {
            reset(wire);
            None
        }
    }
}

/// A phase in which a client leaves: what it has said, and how much of an answer it waits for.
struct Leaves {
    phase: &'static str,
    said: Vec<u8>,
    waits: Waits,
    /// What the backend heard: of a session, its frames.
    upstream: &'static str,
}

#[derive(Clone, Copy, PartialEq)]
enum Waits {
    No,
    /// Until a backend has the head.
    Asked,
    /// Until a head of an answer has come.
    Answered,
}

fn upgrade(target: &str) -> Vec<u8> {
    let fields = [
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
    ];
    request(&format!("GET {target}"), &fields, "")
}

fn departures() -> Vec<Leaves> {
    let leaves = |phase, said, waits, upstream| Leaves { phase, said, waits, upstream };
    let body = request("POST /silent", &["Content-Length: 10"], "hello");
    let chunk = request("POST /silent", &["Transfer-Encoding: chunked"], "9\r\nhello");
    let (get, half) = (request("GET /silent", &[], ""), request("GET /half", &[], ""));
    let whole = frame(0x82, &[7; 100], Some([1, 2, 3, 4]));
    vec![
        leaves("before a byte", vec![], Waits::No, "not asked"),
        leaves("in a request's line", b"GET /a HT".to_vec(), Waits::No, "not asked"),
        leaves("in a request's head", get[..30].to_vec(), Waits::No, "not asked"),
        leaves("in a request's body", body, Waits::Asked, "nothing"),
        leaves("in a chunk", chunk, Waits::Asked, "nothing"),
        leaves("while an answer is awaited", get, Waits::Asked, "nothing"),
        leaves("in an answer's body", half, Waits::Answered, "nothing"),
        leaves("while a 101 is awaited", upgrade("/silent"), Waits::Asked, "nothing"),
        leaves("after the 101", upgrade("/a"), Waits::Answered, "nothing"),
        leaves(
            "in a frame's header",
            [upgrade("/a"), whole[..4].to_vec()].concat(),
            Waits::Answered,
            "part of 0x82 or nothing",
        ),
        leaves(
            "in a frame's payload",
            [upgrade("/a"), whole[..50].to_vec()].concat(),
            Waits::Answered,
            "part of 0x82 or nothing",
        ),
        leaves(
            "between two fragments",
            [upgrade("/a"), frame(0x01, b"x", Some([1, 2, 3, 4]))].concat(),
            Waits::Answered,
            "0x01 or nothing",
        ),
    ]
}

type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

/// Answers by the target: `/silent` never, `/half` with half a body, a WebSocket at `/a`; keeps
/// what it hears behind a head.
async fn mumble(head: Head, mut wire: Wire, heard: Heard) {
    let target = head.second().to_owned();
    let answer = match &*target {
        PROBE | WELL => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Target: {target}\r\n\r\n")
        }
        "/half" => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello".to_owned(),
        "/silent" => String::new(),
        _ => granted(&head),
    };
    let _ = wire.write_all(answer.as_bytes()).await;
    if [PROBE, WELL].contains(&&*target) {
        if let Some(next) = Head::read(&mut wire).await {
            Box::pin(mumble(next, wire, heard)).await;
        }
        return;
    }
    let mut all = Vec::new();
    let _ = wire.read_to_end(&mut all).await;
    heard.lock().unwrap().push(all);
}

#[tokio::test]
async fn a_client_may_leave_at_any_time() {
    let heard = Heard::default();
    let shared = Arc::clone(&heard);
    let backend = Backend::script(move |head, wire| mumble(head, wire, Arc::clone(&shared))).await;
    let proxy = Proxy::start(&site(&[&backend])).await;
    let mut table = Table::new("A client leaves");
    for leaves in departures() {
        for how in [How::Fin, How::Reset] {
            let (asked, ended) = (backend.heads().len(), heard.lock().unwrap().len());
            let mut wire = proxy.client().connect().await.unwrap();
            wire.write_all(&leaves.said).await.unwrap();
            match leaves.waits {
                Waits::No => {}
                Waits::Asked => until("a head", || backend.heads().len() > asked).await,
                Waits::Answered => drop(within("an answer", Head::read(&mut wire)).await.unwrap()),
            }
            // Both ends of the upstream's connection are ended by this alone.
            let left = cut(wire, how).await;
            let came = match leaves.waits {
                Waits::No => "not asked".to_owned(),
                _ => {
                    until("the upstream's end", || heard.lock().unwrap().len() > ended).await;
                    let bytes = heard.lock().unwrap()[ended].clone();
                    // A body is no frame.
                    if bytes.starts_with(b"hello") || bytes.starts_with(b"5\r\n") {
                        "nothing".to_owned()
                    } else {
                        told(&bytes)
                    }
                }
            };
            if let Some(mut wire) = left {
                drain(&mut wire).await;
            }
            let by = if how == How::Fin { "FIN" } else { "RST" };
            let pairs = [(leaves.upstream, &*came)];
            table.row(&format!("{by} {}", leaves.phase), "9112 §8", "gone", &came, &pairs);
        }
    }
    table.settle();
    serves_as_before(&proxy).await;
    proxy.stop().await;
}

/// What a backend says before it leaves, and what its client gets of it.
fn deaths() -> Vec<(&'static str, &'static str, bool, &'static str, &'static str)> {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello";
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    let open = "HTTP/1.1 200 OK\r\n\r\nhello";
    vec![
        ("before an answer", "", false, "502", "502"),
        ("in an answer's head", "HTTP/1.1 200 OK\r\nCont", false, "502", "502"),
        ("in an answer's body", half, false, "200, cut", "200, cut"),
        ("in an answer's chunks", chunk, false, "200, cut", "200, cut"),
        // To the end is to a FIN; a reset is no end.
        ("in an answer to the end", open, false, "200, whole", "200, cut"),
        ("before a 101", "", true, "502", "502"),
        ("in a 101", "HTTP/1.1 101 Switch", true, "502", "502"),
        ("after the 101", "{granted}", true, "101, Close 1012", "101, Close 1012"),
        ("in a frame's header", "{granted}\u{2}", true, "101, Close 1012", "101, Close 1012"),
        (
            "in a frame's payload",
            "{granted}\u{2}\u{9}hello",
            true,
            "101, part of 0x02",
            "101, part of 0x02",
        ),
        (
            "between two fragments",
            "{granted}\u{1}\u{1}x",
            true,
            "101, 0x01, Close 1012",
            "101, 0x01, Close 1012",
        ),
    ]
}

async fn die(head: Head, mut wire: Wire, says: &'static str, how: How) {
    let _ = wire.write_all(says.replace("{granted}", &granted(&head)).as_bytes()).await;
    if how == How::Reset {
        // A reset takes back what is on its way: what was said must have arrived.
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    if let Some(mut wire) = cut(wire, how).await {
        drain(&mut wire).await;
    }
}

/// What comes of a request to a backend that dies.
async fn survive(proxy: &Proxy, is_upgrade: bool) -> String {
    let asking = if is_upgrade { upgrade("/a") } else { request("GET /a", &[], "") };
    let (head, mut wire) = proxy.client().say(&asking).await;
    let head = head.unwrap();
    if head.status() == 101 {
        return format!("101, {}", told(&drain(&mut wire).await));
    }
    if head.status() != 200 {
        return head.status().to_string();
    }
    let mut body = vec![0; 5 + if head.get("content-length").is_empty() { 3 } else { 0 }];
    within("a body's begin", wire.read_exact(&mut body)).await.unwrap();
    let mut rest = [0; 7];
    // The rest of the chunk and the last one, or the end.
    let is_whole = head.get("content-length").is_empty()
        && within("the end", wire.read_exact(&mut rest)).await.is_ok()
        && rest.ends_with(b"0\r\n\r\n");
    format!("200, {}", if is_whole { "whole" } else { "cut" })
}

#[tokio::test]
async fn a_backend_may_die_at_any_time() {
    let mut table = Table::new("A backend dies");
    for (phase, says, is_upgrade, fin, by_reset) in deaths() {
        for (how, by, wanted) in [(How::Fin, "FIN", fin), (How::Reset, "RST", by_reset)] {
            let backend = Backend::script(move |head, wire| die(head, wire, says, how)).await;
            let quick = "relay = { close_timeout = \"50ms\" }";
            let once = "retry = { attempts_max = 1 }";
            let proxy = Proxy::start(&site(&[&backend]).route(quick).pool(once)).await;
            let came = survive(&proxy, is_upgrade).await;
            table.row(&format!("{by} {phase}"), "9112 §8", &came, "", &[(wanted, &came)]);
            proxy.stop().await;
        }
    }
    table.settle();
}
