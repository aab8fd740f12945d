//! What an idle session costs: its heap, counted allocation by allocation while sessions come to a
//! whole process. What an allocation costs is the allocator's size class, in which it lies.
//!
//! The registry's slab and its wheel grow by doubling and are counted by what a session takes of
//! them, beside their code.

// A test has a clock of its own.
#![allow(clippy::disallowed_methods)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use tidegate::config::plan::Address;
use tidegate::control::{ConfigSource, Options, Supervisor};

/// The system's allocator, and what lives on its heap.
struct Counting;

/// Larger ones are shared by many sessions.
const CLASS_MAX: usize = 8 * 1024;

/// How many allocations of each size class live.
static LIVE: [AtomicI64; CLASS_MAX + 1] = [const { AtomicI64::new(0) }; CLASS_MAX + 1];

thread_local! {
    /// A thread of the test's own, which is not counted.
    static IS_OURS: Cell<bool> = const { Cell::new(false) };
}

/// The size class of jemalloc: multiples of 16 up to 128, then four to each power of two.
fn class(layout: Layout) -> usize {
    let size = layout.size().max(1).next_multiple_of(layout.align());
    match size {
        ..=8 => 8,
        9..=128 => size.next_multiple_of(16),
        _ => size.next_multiple_of(size.next_power_of_two() / 8),
    }
}

fn count(layout: Layout, change: i64) {
    let class = class(layout);
    if class <= CLASS_MAX && !IS_OURS.get() {
        LIVE[class].fetch_add(change, Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout, 1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count(layout, -1);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const REQUEST: &[u8] = b"GET /socket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
/// RFC 6455 §1.3.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// "Hello" as a client says it, and as a server does (RFC 6455 §5.7).
const UP: [u8; 11] = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
const DOWN: [u8; 7] = *b"\x81\x05Hello";

const WARM_UP: usize = 100;
const SESSIONS: usize = 200;

/// What a session may cost on the heap, the slab aside. Its task is 768 of them, what the runtime
/// keeps of a socket twice 256, its connection's place 48; the rest is what else happens meanwhile.
const PLAIN_BYTES_MAX: i64 = 768 + 2 * 256 + 48 + 64;
const TLS_BYTES_MAX: i64 = 3_840;

fn read_head(wire: &mut impl Read) {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        wire.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
}

/// A backend that answers one handshake and one message each, and then says nothing; its port.
fn backend() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        IS_OURS.set(true);
        let mut kept = Vec::new();
        for wire in listener.incoming() {
            let mut wire = wire.unwrap();
            read_head(&mut wire);
            wire.write_all(ANSWER).unwrap();
            wire.read_exact(&mut [0; UP.len()]).unwrap();
            wire.write_all(&DOWN).unwrap();
            kept.push(wire);
        }
    });
    port
}

/// A client with a session that has relayed a message both ways.
fn open<W: Read + Write>(mut wire: W) -> W {
    wire.write_all(REQUEST).unwrap();
    read_head(&mut wire);
    wire.write_all(&UP).unwrap();
    let mut echo = [0; DOWN.len()];
    wire.read_exact(&mut echo).unwrap();
    assert_eq!(echo, DOWN);
    wire
}

fn live() -> Vec<i64> {
    LIVE.iter().map(|count| count.load(Relaxed)).collect()
}

/// Opens sessions and waits until they cost no more than `most` bytes each; panics with what they
/// cost where they go on to.
fn cost<W>(mut open: impl FnMut() -> W, most: i64) {
    let mut sessions: Vec<W> = (0..WARM_UP).map(|_| open()).collect();
    // What the handshakes needed is freed in a moment, but for what a timer holds.
    std::thread::sleep(Duration::from_secs(1));
    let before = live();
    sessions.extend((0..SESSIONS).map(|_| open()));
    let began = Instant::now();
    loop {
        let now = live();
        let more = || now.iter().zip(&before).map(|(now, before)| now - before).enumerate();
        let bytes: i64 = more().map(|(class, count)| class as i64 * count).sum();
        let each = bytes / SESSIONS as i64;
        if each <= most {
            println!("{each} bytes a session");
            return;
        }
        if began.elapsed() > Duration::from_secs(20) {
            let often = more().filter(|(_, count)| *count >= SESSIONS as i64 / 4);
            let often: Vec<String> = often
                .map(|(class, count)| format!("{class} × {:.2}", count as f64 / SESSIONS as f64))
                .collect();
            panic!("{each} bytes a session, more than {most}: {}", often.join(", "));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn an_idle_session_costs_no_more_than_it_did() {
    IS_OURS.set(true);
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(dir.path().join("site.pem"), made.cert.pem()).unwrap();
    std::fs::write(dir.path().join("site.key"), made.signing_key.serialize_pem()).unwrap();
    let file = dir.path().join("tidegate.toml");
    let text = format!(
        r#"
workers = 1
[listeners.plain]
address = "127.0.0.1:0"
[listeners.secure]
address = "127.0.0.1:0"
tls.certificates = [{{ chain = "site.pem", key = "site.key" }}]
[pools.app]
backends = ["127.0.0.1:{}"]
[[routes]]
pool = "app"
allowed_origins = "any"
[log]
access = false
"#,
        backend()
    );
    std::fs::write(&file, text).unwrap();
    let proxy = Supervisor::start(Options::new(ConfigSource::File(file))).unwrap();
    let connect = |listener: &str| {
        let Some(Address::Inet(address)) = proxy.address(listener) else { panic!("{listener}") };
        let wire = TcpStream::connect::<SocketAddr>(address).unwrap();
        wire.set_nodelay(true).unwrap();
        wire
    };
    cost(|| open(connect("plain")), PLAIN_BYTES_MAX);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let trusts = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let trusts = Arc::new(trusts);
    let secure = || {
        let name = ServerName::try_from("localhost").unwrap();
        let tls = ClientConnection::new(Arc::clone(&trusts), name).unwrap();
        open(StreamOwned::new(tls, connect("secure")))
    };
    cost(secure, TLS_BYTES_MAX);
}
