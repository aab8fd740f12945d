//! No allocation on the way of a message: the whole heap is counted while messages pass.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tidegate::base::clock;
use tidegate::base::socket::Socket;
use tidegate::base::task;
use tidegate::config::plan::{Hold, Rules, Validation};
use tidegate::end::CloseCodes;
use tidegate::observe::metrics::Metrics;
use tidegate::registry::{self, Facts};
use tidegate::relay::{HoldBudget, HoldTerms, Leg, Relay, Terms};
use tidegate::tls::Transport;
use tidegate::wire::frame::Allowed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

const WARM_UP: u64 = 100;
const MESSAGES: u64 = 2_000;

/// "Hello" as a server says it, and as a client does (RFC 6455 §5.7).
const DOWN: [u8; 7] = *b"\x81\x05Hello";
const UP: [u8; 11] = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

/// Everything is on, as it would be in production.
fn rules() -> Rules {
    Rules {
        validation: Validation::Strict,
        message_bytes_max: Some(1 << 20),
        frame_bytes_max: Some(1 << 20),
        idle_timeout: Some(Duration::from_secs(60)),
        ping_interval: Some(Duration::from_secs(30)),
        pong_timeout: Duration::from_secs(20),
        max_lifetime: Some(Duration::from_secs(3_600)),
        max_lifetime_jitter_percent: 10,
        close_timeout: Duration::from_secs(10),
        close_codes: CloseCodes::default(),
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

fn leg(socket: TcpStream) -> Leg {
    Leg::new(Transport::from(Socket::Tcp(socket)), Vec::new())
}

async fn pass(from: &mut TcpStream, to: &mut TcpStream, message: &[u8]) {
    let mut got = [0; 16];
    from.write_all(message).await.unwrap();
    to.read_exact(&mut got[..message.len()]).await.unwrap();
    assert_eq!(&got[..message.len()], message);
}

#[test]
fn a_message_allocates_nothing() {
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
    };
    let hold = HoldTerms { hold: Arc::new(hold), budget: Arc::new(HoldBudget::new(1 << 20)) };
    runtime.block_on(async {
        talk(None).await;
        talk(Some(hold)).await;
    });
}

/// Messages both ways in a session that can be held, or cannot.
async fn talk(hold: Option<HoldTerms>) {
    let (near_client, mut client) = pair().await;
    let (near_upstream, mut upstream) = pair().await;
    let name: Arc<str> = "/chat".into();
    let seat = registry::enter(Facts {
        listener: name.clone(),
        route: name.clone(),
        pool: name.clone(),
        backend: name.clone(),
        client: None,
        opened: clock::now(),
        settled: clock::now(),
        holds: hold.is_some(),
    });
    let terms = Terms {
        rules: Arc::new(rules()),
        allowed: Allowed::NOTHING,
        seat: seat.unwrap(),
        cells: Metrics::new(1).route(&name),
        hold,
    };
    let relay = Relay::new(leg(near_client), leg(near_upstream), terms, clock::now());
    task::spawn("relay", async move {
        relay.await;
    });
    let mut before = 0;
    for turn in 0..WARM_UP + MESSAGES {
        if turn == WARM_UP {
            before = ALLOCATIONS.load(Relaxed);
        }
        pass(&mut client, &mut upstream, &UP).await;
        pass(&mut upstream, &mut client, &DOWN).await;
    }
    assert!(before > 0, "they are counted");
    assert_eq!(ALLOCATIONS.load(Relaxed) - before, 0);
}
