//! What a backend may answer, and what of it a client gets to see.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::actors::{Backend, Head, Wire, granted, until};
use crate::case::{Table, aftermath, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::{Site, site};
use crate::witness::{PROBE, WELL};

/// What a client asks for.
#[derive(Clone, Copy, PartialEq)]
enum Asks {
    Get,
    Head,
    /// A WebSocket, offering the subprotocol `chat` and permessage-deflate.
    Upgrade,
    /// The same, with a frame right behind the head.
    Hasty,
}

struct Answer {
    name: &'static str,
    rfc: &'static str,
    asks: Asks,
    /// `{accept}` stands for the right key.
    bytes: Vec<u8>,
    /// Whether the backend closes behind it.
    closes: bool,
    outcome: &'static str,
}

fn to(asks: Asks, name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>) -> Answer {
    let bytes = bytes.as_ref().to_vec();
    Answer { name, rfc, asks, bytes, closes: false, outcome: "502, kept" }
}

fn get(name: &'static str, rfc: &'static str, bytes: impl AsRef<[u8]>) -> Answer {
    to(Asks::Get, name, rfc, bytes)
}

impl Answer {
    fn then(mut self, outcome: &'static str) -> Answer {
        self.outcome = outcome;
        self
    }

    fn closing(mut self) -> Answer {
        self.closes = true;
        self
    }
}

/// A 200 with these fields.
fn ok(fields: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}")
}

const CHUNKED: &str = "Transfer-Encoding: chunked";
const WHOLE: &str = "200 hello, kept";

fn lengths() -> Vec<Answer> {
    let length = |length: &str| ok(&format!("Content-Length: {length}"), "hello");
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        get("a length", "9112 §6.2", length("5")).then(WHOLE),
        get("a length twice", "9112 §6.3", length("5\r\nContent-Length: 5")).then(WHOLE),
        get("a list of equal lengths", "9112 §6.3", length("5, 5")).then(WHOLE),
        get("two lengths that differ", "9112 §6.3", length("5\r\nContent-Length: 6")),
        get("a list of lengths that differ", "9112 §6.3", length("5, 6")),
        get("a length with a plus", "9112 §6.3", length("+5")),
        get("a negative length", "9112 §6.3", length("-5")),
        get("a hexadecimal length", "9112 §6.3", length("0x5")),
        get("an empty length", "9112 §6.3", length("")),
        get("a length of 2^64", "9112 §6.3", length("18446744073709551616")),
        get("a length of 2^64+3", "9112 §6.3", length("18446744073709551619")),
        get("a length of 2^64-1", "9112 §6.3", length("18446744073709551615")),
        get("chunks", "9112 §7.1", ok(CHUNKED, chunks)).then(WHOLE),
        get(
            "a length, then chunks",
            "9112 §6.3",
            ok(&format!("Content-Length: 3\r\n{CHUNKED}"), chunks),
        ),
        get(
            "chunks, then a length",
            "9112 §6.3",
            ok(&format!("{CHUNKED}\r\nContent-Length: 3"), chunks),
        ),
        get("chunked twice", "9112 §6.1", ok(&format!("{CHUNKED}\r\n{CHUNKED}"), chunks)),
        get("gzip, then chunked", "9112 §6.1", ok("Transfer-Encoding: gzip, chunked", chunks)),
        get("gzip to the end", "9112 §6.1", ok("Transfer-Encoding: gzip", "hello")).closing(),
        get("chunks over HTTP/1.0", "9112 §6.1", ok(CHUNKED, chunks).replace("/1.1", "/1.0")),
        get("no length, to the end", "9112 §6.3", ok("X: y", "hello")).closing().then(WHOLE),
        get("an answer of HTTP/1.0", "9112 §6.3", ok("X: y", "hello").replace("/1.1", "/1.0"))
            .closing()
            .then(WHOLE),
        get("less than its length", "9112 §8", length("6")).closing().then("200, cut or closed"),
        get("chunks without an end", "9112 §8", ok(CHUNKED, "5\r\nhello\r\n"))
            .closing()
            .then("200, cut or closed"),
        get("half a chunk", "9112 §8", ok(CHUNKED, "9\r\nhello"))
            .closing()
            .then("200, cut or closed"),
        get("a chunk's size that is none", "9112 §7.1", ok(CHUNKED, "5\r\nhello\r\nx\r\n"))
            .then("200, cut or closed"),
        get(
            "a chunk's size of 2^64+5",
            "9112 §7.1",
            ok(CHUNKED, "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        )
        .then("200, cut or closed"),
        // What is left over is nobody's answer.
        get("more than its length", "9112 §6.3", length("5") + "more").then(WHOLE),
        get(
            "a second answer, unasked",
            "9112 §9.2",
            length("5") + &ok("Content-Length: 5", "wrong"),
        )
        .then(WHOLE),
        to(Asks::Head, "a HEAD answered with a body", "9110 §9.3.2", length("5")).then("200, kept"),
        to(Asks::Head, "a HEAD answered with two lengths", "9112 §6.3", length("5, 6")),
        get(
            "a 204 with a length",
            "9110 §8.6",
            "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        )
        .then("204, kept"),
        get(
            "a 204 in chunks",
            "9112 §6.1",
            format!("HTTP/1.1 204 No Content\r\n{CHUNKED}\r\n\r\n{chunks}"),
        )
        .then("204, kept"),
        get(
            "a 304 with a length",
            "9110 §15.4.5",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        )
        .then("304, kept"),
    ]
}

fn heads() -> Vec<Answer> {
    let with = |field: &str| ok(&format!("Content-Length: 5\r\n{field}"), "hello");
    let line = |line: &str| format!("{line}\r\nContent-Length: 5\r\n\r\nhello");
    let many = |count| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    vec![
        get("NUL in a value", "9110 §5.5", with("X: a\0b")),
        get("NUL in a name", "9110 §5.1", with("X\0: a")),
        get("NUL in the reason", "9112 §4", line("HTTP/1.1 200 O\0K")),
        get("a bare CR in a value", "9110 §5.5", with("X: a\rb")),
        get("a control in a value", "9110 §5.5", with("X: a\x01b")),
        get("a field that is folded", "9112 §5.2", with("X: a\r\n b")),
        // A proxy has to remove it.
        get("a space before the colon", "9112 §5.1", with("X : a")).then(WHOLE),
        get(
            "a length with a space before the colon",
            "9112 §5.1",
            "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello",
        )
        .then(WHOLE),
        get("a name with a space", "9110 §5.1", with("X Y: a")),
        get("no colon", "9112 §5", with("X")),
        get("garbage", "9112 §4", "hello\r\n\r\n"),
        get("a body alone", "9112 §4", "<html>hello</html>").closing(),
        get("an alert of TLS", "9112 §4", b"\x15\x03\x03\x00\x02\x02\x28"),
        get("frames of HTTP/2", "9112 §4", b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"),
        get("a version 2.0", "9112 §2.3", line("HTTP/2.0 200 OK")),
        get("a status of two digits", "9110 §15", line("HTTP/1.1 20 OK")),
        get("a status of four digits", "9110 §15", line("HTTP/1.1 2000 OK")),
        get("a status in letters", "9110 §15", line("HTTP/1.1 2x0 OK")),
        get("nothing", "9112 §8", "").closing(),
        get("half a head", "9112 §8", "HTTP/1.1 200 OK\r\nContent-Le").closing(),
        get("a head of 300 KB", "9110 §5.4", with(&format!("X: {}", "x".repeat(300_000)))),
        get("fields without end", "9110 §5.4", with(&many(20_000))),
        get("100 fields", "9110 §5.4", with(many(100).trim_end())).then(WHOLE),
        get(
            "a 101, unasked",
            "9110 §15.2.2",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        ),
        get(
            "a 101 to h2c, unasked",
            "9110 §15.2.2",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        ),
        get(
            "a 100, unasked",
            "9110 §15.2",
            format!("HTTP/1.1 100 Continue\r\n\r\n{}", with("X: y")),
        )
        .then(WHOLE),
        get(
            "a thousand 103s",
            "9110 §15.2",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n".repeat(1000) + &with("X: y"),
        )
        .then("103, 200 hello, kept"),
    ]
}

const RIGHT: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n";

fn handshakes() -> Vec<Answer> {
    let up = |name, rfc, bytes: String| to(Asks::Upgrade, name, rfc, bytes);
    let with = |field: &str| format!("{RIGHT}{field}\r\n\r\n");
    let but = |old: &str, new: &str| format!("{}\r\n", RIGHT.replace(old, new));
    let status = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 5\r\n\r\nhello");
    let accept = "Sec-WebSocket-Accept: {accept}\r\n";
    vec![
        up("a right 101", "6455 §4.2.2", format!("{RIGHT}\r\n")).then("101"),
        up("a 103 before it", "9110 §15.2", format!("HTTP/1.1 103 Early Hints\r\n\r\n{RIGHT}\r\n"))
            .then("103, 101"),
        up("426", "9110 §15.5.22", status("426 Upgrade Required")).then("426 hello, kept"),
        up("200", "6455 §4.2.2", status("200 OK")).then(WHOLE),
        up(
            "200 that upgrades",
            "9110 §7.8",
            status("200 OK\r\nUpgrade: websocket\r\nConnection: Upgrade"),
        )
        .then(WHOLE),
        up("403", "6455 §4.2.2", status("403 Forbidden")).then("403 hello, kept"),
        up(
            "403 with a length and chunks",
            "9112 §6.3",
            status(&format!("403 Forbidden\r\n{CHUNKED}")),
        ),
        up("no Accept", "6455 §4.1", but(accept, "")),
        up("a wrong Accept", "6455 §4.1", but("{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        up("an Accept in small letters", "6455 §4.1", but("{accept}", "{lower}")),
        up("two Accepts", "6455 §4.1", with(accept.trim_end())),
        up("no Upgrade", "6455 §4.1", but("Upgrade: websocket\r\n", "")),
        up("an Upgrade to h2c", "6455 §4.1", but("websocket", "h2c")),
        up("two Upgrades", "6455 §4.1", with("Upgrade: websocket")),
        up("no Connection", "6455 §4.1", but("Connection: Upgrade\r\n", "")),
        up(
            "a Connection that closes",
            "6455 §4.1",
            but("Connection: Upgrade", "Connection: close"),
        ),
        up("a subprotocol that was offered", "6455 §4.1", with("Sec-WebSocket-Protocol: chat"))
            .then("101"),
        up("a subprotocol that was not", "6455 §4.1", with("Sec-WebSocket-Protocol: other")),
        up("a subprotocol in capitals", "6455 §11.3.4", with("Sec-WebSocket-Protocol: CHAT")),
        up("two subprotocols", "6455 §11.3.4", with("Sec-WebSocket-Protocol: chat, chat")),
        up(
            "an extension that was offered",
            "6455 §9.1",
            with("Sec-WebSocket-Extensions: permessage-deflate"),
        )
        .then("101"),
        up("an extension that was not", "6455 §9.1", with("Sec-WebSocket-Extensions: x-own")),
        up(
            "an extension that cannot be read",
            "6455 §9.1",
            with("Sec-WebSocket-Extensions: permessage-deflate; x=\""),
        ),
        up("a length on the 101", "9110 §8.6", with("Content-Length: 5")).then("101"),
        up("chunks on the 101", "9112 §6.1", with(CHUNKED)).then("101"),
        up("a frame before the 101", "6455 §4.2.2", format!("\u{1}\u{5}hello{RIGHT}\r\n")),
        up("nothing", "9112 §8", String::new()).closing(),
        up("half a 101", "9112 §8", RIGHT.to_owned()).closing(),
        up("a 101 of 300 KB", "9110 §5.4", with(&format!("X: {}", "x".repeat(300_000)))),
        up("garbage", "9112 §4", "hello\r\n\r\n".to_owned()),
        // What a client says too early waits for a 101, and reaches no backend without one. Without
        // one it is the next request, which a frame is not.
        to(Asks::Hasty, "a frame too early, and a right 101", "6455 §4.1", format!("{RIGHT}\r\n"))
            .then("101"),
        to(Asks::Hasty, "a frame too early, and a wrong 101", "6455 §4.1", but(accept, ""))
            .then("502, 400, closed"),
        to(Asks::Hasty, "a frame too early, and a 403", "6455 §4.1", status("403 Forbidden"))
            .then("403 hello, 400, closed"),
    ]
}

/// What the liar says next, and what it heard behind a handshake.
#[derive(Default)]
struct Lie {
    bytes: Vec<u8>,
    closes: bool,
    /// What came behind a handshake, once its connection has ended.
    heard: Mutex<Option<Vec<u8>>>,
}

/// The lie of the case that is played.
type Told = Arc<Mutex<Arc<Lie>>>;

/// Answers `/a` as it is told, and all else as it ought to.
async fn lie(first: Head, mut wire: Wire, told: Told) {
    let mut next = Some(first);
    while let Some(head) = next {
        let target = head.second();
        let lie = Arc::clone(&told.lock().unwrap());
        if [PROBE, WELL].contains(&target) {
            let answer = ok(&format!("Content-Length: 0\r\nX-Target: {target}"), "");
            if wire.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        } else if target == "/a" {
            // The proxy may have heard enough before the end.
            let _ = wire.write_all(&keyed(&lie.bytes, &head)).await;
            if lie.closes {
                return;
            }
        } else {
            let _ = wire.write_all(granted(&head).as_bytes()).await;
        }
        if head.is_upgrade() {
            let mut rest = Vec::new();
            let _ = wire.read_to_end(&mut rest).await;
            *lie.heard.lock().unwrap() = Some(rest);
            return;
        }
        next = Head::read(&mut wire).await;
    }
}

/// The bytes, with the right key put in.
fn keyed(bytes: &[u8], head: &Head) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(bytes) else { return bytes.to_vec() };
    let granted = granted(head);
    let accept = granted.split("Accept: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    text.replace("{accept}", accept).replace("{lower}", &accept.to_lowercase()).into_bytes()
}

const FRAME: &[u8] = b"\x81\x85\0\0\0\0hello";

fn asking(asks: Asks) -> Vec<u8> {
    match asks {
        Asks::Get => request("GET /a", &[], ""),
        Asks::Head => request("HEAD /a", &[], ""),
        Asks::Upgrade => request(
            "GET /a",
            &[
                "Upgrade: websocket",
                "Connection: Upgrade",
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Protocol: chat",
                "Sec-WebSocket-Extensions: permessage-deflate",
            ],
            "",
        ),
        Asks::Hasty => [&asking(Asks::Upgrade), FRAME].concat(),
    }
}

/// Nobody is tried twice, and nobody falls into discredit: the next case is for it as well.
fn patient(site: Site) -> Site {
    site.pool("health = { failures_max = 1000 }\nretry = { attempts_max = 1 }")
}

async fn plays(family: &str, answers: &[Answer]) {
    let told = Told::default();
    let shared = Arc::clone(&told);
    let liar = Backend::script(move |head, wire| lie(head, wire, Arc::clone(&shared))).await;
    let proxy = Proxy::start(&patient(site(&[&liar]))).await;
    let mut table = Table::new(family);
    for answer in answers {
        let Answer { name, rfc, asks, bytes, closes, outcome } = answer;
        let lie = Lie { bytes: bytes.clone(), closes: *closes, heard: Mutex::default() };
        let lie = Arc::new(lie);
        *told.lock().unwrap() = Arc::clone(&lie);
        let mut wire = proxy.client().connect().await.unwrap();
        let _ = wire.write_all(&asking(*asks)).await;
        let came = aftermath(&mut wire, *asks == Asks::Head).await;
        drop(wire);
        let mut heard = String::new();
        if [Asks::Upgrade, Asks::Hasty].contains(asks) && !closes {
            until("the upstream's end", || lie.heard.lock().unwrap().is_some()).await;
            let bytes = lie.heard.lock().unwrap().take().unwrap();
            heard = format!("{} bytes", bytes.len());
            let wanted: &[u8] = if (*asks, *outcome) == (Asks::Hasty, "101") { FRAME } else { b"" };
            // A client that is gone ends its session without a word.
            assert_eq!(bytes, wanted, "{name}");
        }
        table.row(name, rfc, &came, &heard, &[(outcome, &came)]);
    }
    table.settle();
    serves_as_before(&proxy).await;
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_has_one_length() {
    plays("Answers: lengths", &lengths()).await;
}

#[tokio::test]
async fn an_answer_has_one_reading() {
    plays("Answers: heads", &heads()).await;
}

#[tokio::test]
async fn only_a_right_101_opens_a_websocket() {
    plays("Answers to handshakes", &handshakes()).await;
}
