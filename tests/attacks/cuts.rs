//! Half-closes and resets in every phase, from either side, plain and over TLS: the other side
//! learns of it, and nothing is left open.

use std::net::Shutdown;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;

use crate::actors::{
    Backend, Certificates, Client, Head, Wire, drain, frame, granted, reset, until, within,
};
use crate::case::{Table, arrival, request, serves_as_before};
use crate::frames::told;
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::{PROBE, WELL};

/// How one side of a connection ends it.
#[derive(Clone, Copy, PartialEq)]
pub enum How {
    /// A FIN; over TLS behind a close_notify (RFC 8446 §6.1).
    Fin,
    /// A FIN alone: over TLS a truncation.
    Bare,
    Reset,
}

impl How {
    /// Those that differ on this transport, with their names.
    fn all(is_tls: bool) -> &'static [(How, &'static str)] {
        match is_tls {
            false => &[(How::Fin, "FIN"), (How::Reset, "RST")],
            true => &[(How::Fin, "close_notify"), (How::Bare, "FIN"), (How::Reset, "RST")],
        }
    }
}

/// Ends a connection; what is left of it can still be read.
pub async fn cut(mut wire: Wire, how: How) -> Option<Wire> {
    match how {
        How::Fin => {
            let _ = wire.shutdown().await;
            Some(wire)
        }
        How::Bare => {
            let _ = wire.get_ref().socket().shutdown(Shutdown::Write);
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

/// A right handshake.
pub fn upgrade(target: &str) -> Vec<u8> {
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

/// A backend that answers by the target (`/silent` never, `/half` with half a body, a WebSocket at
/// `/a`), and what came to it behind each head until the end of its connection.
pub struct Mumbler {
    pub backend: Backend,
    heard: Heard,
}

type Heard = Arc<Mutex<Vec<Vec<u8>>>>;

impl Mumbler {
    pub async fn start() -> Mumbler {
        let heard = Heard::default();
        let shared = Arc::clone(&heard);
        let script = move |head, wire| mumble(head, wire, Arc::clone(&shared));
        Mumbler { backend: Backend::script(script).await, heard }
    }

    /// How many connections have ended behind a head.
    pub fn ended(&self) -> usize {
        self.heard.lock().unwrap().len()
    }

    /// Waits for one more end, and tells the frames that came before it.
    pub async fn end(&self, before: usize) -> String {
        until("the upstream's end", || self.ended() > before).await;
        let bytes = self.heard.lock().unwrap()[before].clone();
        // A body is no frame.
        if bytes.starts_with(b"hello") || bytes.starts_with(b"5\r\n") {
            return "nothing".to_owned();
        }
        told(&bytes)
    }
}

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

async fn leaving(family: &str, client: &Client, ways: &[(How, &str)], mumbler: &Mumbler) {
    let mut table = Table::new(family);
    for leaves in departures() {
        for (how, by) in ways {
            let (asked, ended) = (mumbler.backend.heads().len(), mumbler.ended());
            let mut wire = client.connect().await.unwrap();
            wire.write_all(&leaves.said).await.unwrap();
            // Over TLS what was written may wait in this process.
            wire.flush().await.unwrap();
            let is_asked = || mumbler.backend.heads().len() > asked;
            match leaves.waits {
                Waits::No => {}
                Waits::Asked => until("a head", is_asked).await,
                Waits::Answered => drop(within("an answer", Head::read(&mut wire)).await.unwrap()),
            }
            // Both ends of the upstream's connection are ended by this alone.
            let left = cut(wire, *how).await;
            let came = match leaves.waits {
                Waits::No => "not asked".to_owned(),
                _ => mumbler.end(ended).await,
            };
            if let Some(mut wire) = left {
                drain(&mut wire).await;
            }
            let pairs = [(leaves.upstream, &*came)];
            table.row(&format!("{by} {}", leaves.phase), "9112 §8", "gone", &came, &pairs);
        }
    }
    table.settle();
}

#[tokio::test]
async fn a_client_may_leave_at_any_time() {
    let mumbler = Mumbler::start().await;
    let proxy = Proxy::start(&site(&[&mumbler.backend])).await;
    leaving("A client leaves", &proxy.client(), How::all(false), &mumbler).await;
    serves_as_before(&proxy).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_client_over_tls_may_leave_at_any_time() {
    let mumbler = Mumbler::start().await;
    let certificates = Certificates::new(&["localhost"]);
    let proxy = Proxy::start(&site(&[&mumbler.backend]).https(&[&certificates], "")).await;
    let client = proxy.client_of("https").tls(&certificates);
    leaving("A client leaves over TLS", &client, How::all(true), &mumbler).await;
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

async fn die(head: Head, mut wire: Wire, says: &'static str, how: How, may: Arc<Notify>) {
    let _ = wire.write_all(says.replace("{granted}", &granted(&head)).as_bytes()).await;
    let _ = wire.flush().await;
    // A reset takes back what is on its way: what was said has arrived before it.
    arrival(&wire).await;
    may.notified().await;
    if let Some(mut wire) = cut(wire, how).await {
        drain(&mut wire).await;
    }
}

/// What comes of a request to a backend that dies as soon as it `may`: once its client has what it
/// is to have.
async fn survive(proxy: &Proxy, is_upgrade: bool, may: &Notify, is_answered: bool) -> String {
    let asking = if is_upgrade { upgrade("/a") } else { request("GET /a", &[], "") };
    if !is_answered {
        may.notify_one();
    }
    let (head, mut wire) = proxy.client().say(&asking).await;
    let head = head.unwrap();
    if head.status() == 101 {
        may.notify_one();
        return format!("101, {}", told(&drain(&mut wire).await));
    }
    if head.status() != 200 {
        return head.status().to_string();
    }
    let mut body = vec![0; 5 + if head.get("content-length").is_empty() { 3 } else { 0 }];
    within("a body's begin", wire.read_exact(&mut body)).await.unwrap();
    may.notify_one();
    let mut rest = [0; 7];
    // The rest of the chunk and the last one, or the end.
    let is_whole = head.get("content-length").is_empty()
        && within("the end", wire.read_exact(&mut rest)).await.is_ok()
        && rest.ends_with(b"0\r\n\r\n");
    format!("200, {}", if is_whole { "whole" } else { "cut" })
}

async fn dying(family: &str, certificates: Option<&Certificates>) {
    let mut table = Table::new(family);
    for (phase, says, is_upgrade, fin, otherwise) in deaths() {
        for (how, by) in How::all(certificates.is_some()) {
            let wanted = if *how == How::Fin { fin } else { otherwise };
            let may = Arc::new(Notify::new());
            let shared = Arc::clone(&may);
            let script = move |head, wire| die(head, wire, says, *how, Arc::clone(&shared));
            let backend = Backend::script_over(certificates, script).await;
            // Without pings of ours: the first may come at any moment.
            let quick = "relay = { close_timeout = \"50ms\", ping_interval = false }";
            let once = "retry = { attempts_max = 1 }";
            let trust = certificates.map_or_else(String::new, |certificates| {
                let roots = certificates.ca().display().to_string();
                format!("tls = {{ server_name = \"localhost\", ca = \"{roots}\" }}")
            });
            let proxy = Proxy::start(&site(&[&backend]).route(quick).pool(once).pool(&trust)).await;
            let is_answered = !wanted.starts_with("502");
            let came = survive(&proxy, is_upgrade, &may, is_answered).await;
            table.row(&format!("{by} {phase}"), "9112 §8", &came, "", &[(wanted, &came)]);
            proxy.stop().await;
        }
    }
    table.settle();
}

#[tokio::test]
async fn a_backend_may_die_at_any_time() {
    dying("A backend dies", None).await;
}

#[tokio::test]
async fn a_backend_over_tls_may_die_at_any_time() {
    dying("A backend dies over TLS", Some(&Certificates::new(&["localhost"]))).await;
}
