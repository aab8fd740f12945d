//! What a message costs, with limits and without: no allocation, one read and one write. The whole
//! heap is counted while messages pass, and the system calls on the session's two sockets: this
//! program's own `recv` and `send` stand before libc's.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use libc::{c_int, c_long, c_void, size_t, ssize_t};
use tidegate::base::network::ClientNetwork;
use tidegate::base::quota::Quota;
use tidegate::config::plan::{Hold, Resumption, Rules};
use tidegate::relay::HoldTerms;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[path = "message_cost/relayed.rs"]
mod relayed;

use relayed::Relayed;

/// The system's allocator, and how often it was asked.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The session's sockets, and the calls on them that were answered: reads, writes, and those that
/// came for nothing.
static SOCKETS: [AtomicI32; 2] = [const { AtomicI32::new(-1) }; 2];
static READS: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);
static IN_VAIN: AtomicU64 = AtomicU64::new(0);

fn count(calls: &AtomicU64, socket: c_int, result: c_long) -> ssize_t {
    if SOCKETS.iter().any(|one| one.load(Relaxed) == socket) {
        if result < 0 { &IN_VAIN } else { calls }.fetch_add(1, Relaxed);
    }
    result as ssize_t
}

// SAFETY: no other function of this program has its name; it does what libc's of that name does.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, into: *mut c_void, room: size_t, flags: c_int) -> ssize_t {
    let from = std::ptr::null_mut::<c_void>();
    // SAFETY: the caller's promises are passed on; nobody's address is asked for.
    let result = unsafe { libc::syscall(libc::SYS_recvfrom, fd, into, room, flags, from, from) };
    count(&READS, fd, result)
}

// SAFETY: as for `recv`.
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, of: *const c_void, bytes: size_t, flags: c_int) -> ssize_t {
    let to = std::ptr::null::<c_void>();
    // SAFETY: the caller's promises are passed on; the socket is connected, so there is no address.
    let result = unsafe { libc::syscall(libc::SYS_sendto, fd, of, bytes, flags, to, 0) };
    count(&WRITES, fd, result)
}

fn calls() -> [u64; 3] {
    [&READS, &WRITES, &IN_VAIN].map(|calls| calls.load(Relaxed))
}

const WARM_UP: u64 = 100;
const MESSAGES: u64 = 2_000;

/// "Hello" as a server says it, and as a client does (RFC 6455 §5.7).
const DOWN: [u8; 7] = *b"\x81\x05Hello";
const UP: [u8; 11] = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

/// Everything is on, as it would be in production; a ping only is too rare to come in between.
fn rules() -> Rules {
    Rules {
        message_bytes_max: Some(1 << 20),
        frame_bytes_max: Some(1 << 20),
        idle_timeout: Some(Duration::from_secs(60)),
        ping_interval: Some(Duration::from_secs(86_400)),
        max_lifetime: Some(Duration::from_secs(3_600)),
        close_timeout: Duration::from_secs(10),
        ..Rules::default()
    }
}

/// Limits that nothing reaches, and one that a client reaches at once.
fn limited(messages_max: u32, messages_burst: Option<u32>) -> Rules {
    let (messages_max, bytes_max) = (Some(messages_max), Some(1 << 30));
    Rules { messages_max, messages_burst, bytes_max, ..rules() }
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, message: &[u8]) {
    let mut got = [0; 16];
    from.write_all(message).await.unwrap();
    to.read_exact(&mut got[..message.len()]).await.unwrap();
    assert_eq!(&got[..message.len()], message);
}

#[test]
fn a_message_is_one_read_and_one_write_and_allocates_nothing() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).unwrap();
    let hold = Hold {
        timeout: Duration::from_secs(30),
        buffer_bytes_max: 1 << 18,
        full_timeout: Duration::from_secs(10),
        message_age_max: Duration::from_secs(5),
        lost_codes: vec![1001, 1012, 1013],
        replay_first: 2,
        replay_bytes_max: 1 << 16,
        swallow_first: 1,
        swallow_timeout: Duration::from_secs(5),
        proof_time: Duration::from_secs(5),
        resumptions_per_minute_max: 20,
        head_bytes_max: 1 << 14,
        resume: Resumption::Always,
    };
    let hold = HoldTerms {
        hold: Arc::new(hold),
        budget: Quota::new(1 << 20).of(ClientNetwork::Unshared),
        head_bytes: 0,
    };
    runtime.block_on(async {
        talk(rules(), None).await;
        talk(limited(1_000_000, None), None).await;
        talk(rules(), Some(hold)).await;
        wait().await;
    });
}

/// A session by these rules, which can be held or cannot: its client and its upstream.
async fn session(rules: Rules, hold: Option<HoldTerms>) -> (TcpStream, TcpStream) {
    let Relayed { client, upstream, sockets } = Relayed::open(rules, hold).await;
    SOCKETS.iter().zip(sockets).for_each(|(counted, socket)| counted.store(socket, Relaxed));
    (client, upstream)
}

/// Messages both ways.
async fn talk(rules: Rules, hold: Option<HoldTerms>) {
    let (mut client, mut upstream) = session(rules, hold).await;
    let (mut before, mut calls_before) = (0, [0; 3]);
    for turn in 0..WARM_UP + MESSAGES {
        if turn == WARM_UP {
            calls_before = calls();
            before = ALLOCATIONS.load(Relaxed);
        }
        pass(&mut client, &mut upstream, &UP).await;
        pass(&mut upstream, &mut client, &DOWN).await;
    }
    assert!(before > 0, "they are counted");
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
    // There and back is two messages.
    let spent = std::array::from_fn(|kind| calls()[kind] - calls_before[kind]);
    assert_eq!(spent, [2 * MESSAGES, 2 * MESSAGES, 0], "reads, writes, calls in vain");
}

/// Messages of a client that is paused again and again: what waits of them is kept once, not each
/// time that some go on.
async fn wait() {
    const WAITING: usize = 3_000;
    let (mut client, mut upstream) = session(limited(1_000, Some(10)), None).await;
    let (all, mut got) = (UP.repeat(WAITING), vec![0; UP.len() * WAITING]);
    let before = ALLOCATIONS.load(Relaxed);
    let (sent, came) = tokio::join!(client.write_all(&all), upstream.read_exact(&mut got));
    sent.and(came).unwrap();
    let allocations = ALLOCATIONS.load(Relaxed) - before;
    assert!(got == all && allocations < 20, "{allocations}");
}
