//! A session between two sockets the test holds the far ends of.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};

use super::super::core::tests::peer::encode;
use super::super::{Demand, HoldTerms, Leg, Relay, SessionStats, Terms};
use crate::base::clock;
use crate::base::id::SessionId;
use crate::base::network::ClientNetwork;
use crate::base::quota::Quota;
use crate::base::side::Side;
use crate::base::socket::Socket;
use crate::base::task;
use crate::config::plan::{Hold, Resumption, Rules};
use crate::end::End;
use crate::observe::metrics::{Metrics, RouteMetrics};
use crate::registry::{self, Facts, Seat};
use crate::tls::Transport;
use crate::wire::frame::{Allowed, unmask};

/// Longest wait for anything in these tests.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// Rules with nothing on; tests switch on what they are about.
pub fn rules() -> Rules {
    Rules {
        ping_interval: None,
        pong_timeout: Duration::from_millis(400),
        close_timeout: Duration::from_millis(600),
        ..Rules::default()
    }
}

/// How tests hold, with what `change` makes of it.
pub fn held(change: impl FnOnce(&mut Hold)) -> HoldTerms {
    let mut hold = Hold {
        timeout: PATIENCE,
        buffer_bytes_max: 100_000,
        full_timeout: PATIENCE,
        message_age_max: PATIENCE,
        lost_codes: vec![1001, 1012, 1013],
        replay_first: 0,
        replay_bytes_max: 1_000,
        swallow_first: 0,
        swallow_timeout: PATIENCE,
        proof_time: Duration::from_secs(5),
        resumptions_per_minute_max: 20,
        head_bytes_max: 1 << 14,
        resume: Resumption::Always,
    };
    change(&mut hold);
    HoldTerms {
        hold: Arc::new(hold),
        budget: Quota::new(1 << 20).of(ClientNetwork::Unshared),
        head_bytes: 0,
    }
}

/// A frame as `from` sends it.
pub fn frame(from: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, payload, (from == Side::Client).then_some(MASK))
}

pub fn text(from: Side, payload: &str) -> Vec<u8> {
    frame(from, 0x81, payload.as_bytes())
}

pub fn close(from: Side, code: u16, reason: &str) -> Vec<u8> {
    frame(from, 0x88, &[&code.to_be_bytes(), reason.as_bytes()].concat())
}

/// The far end of a leg.
pub struct Far(pub TcpStream);

impl Far {
    /// Limits what its kernel keeps unread. Linux keeps twice as much as it is told, heads of
    /// packets included.
    pub fn keeps(&self, bytes: usize) {
        socket2::SockRef::from(&self.0).set_recv_buffer_size(bytes).unwrap();
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        tokio::time::timeout(PATIENCE, self.0.write_all(bytes)).await.unwrap().unwrap();
    }

    pub async fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut got)).await;
        read.expect("in time").expect("more bytes");
        assert_eq!(got, bytes);
    }

    /// The next frame: its first byte and its payload, unmasked; none at the stream's end.
    pub async fn try_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        let read = tokio::time::timeout(PATIENCE, self.0.read_exact(&mut head)).await;
        read.expect("in time").ok()?;
        let mut mask = [0; 4];
        if head[1] & 0x80 != 0 {
            self.0.read_exact(&mut mask).await.unwrap();
        }
        let mut payload = vec![0; usize::from(head[1] & 0x7f)];
        assert!(payload.len() < 126, "tests ask for short frames only");
        self.0.read_exact(&mut payload).await.unwrap();
        unmask(&mut payload, mask, 0);
        Some((head[0], payload))
    }

    /// The next frame is a Close with this code; and it is masked just where it must be.
    pub async fn expect_close(&mut self, code: u16) {
        let (first, payload) = self.try_frame().await.expect("a frame");
        assert_eq!(first, 0x88, "a Close, not {payload:?}");
        assert_eq!(u16::from_be_bytes([payload[0], payload[1]]), code);
    }

    /// Everything up to the stream's end; whether that was orderly.
    pub async fn rest(&mut self) -> (Vec<u8>, bool) {
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await;
        let orderly = read.expect("in time").is_ok();
        (rest, orderly)
    }

    pub async fn expect_end(&mut self) {
        assert_eq!(self.rest().await, (Vec::new(), true));
    }
}

/// A session, its far ends, and how it will have ended.
pub struct Scene {
    pub client: Far,
    pub upstream: Far,
    pub id: SessionId,
    pub cells: Arc<RouteMetrics>,
    pub outcome: oneshot::Receiver<(End, SessionStats)>,
    /// What the relay wants.
    pub wants: watch::Receiver<Option<Demand>>,
    pub orders: Orders,
}

/// The way to a relay at work.
pub struct Orders(mpsc::UnboundedSender<Do>);

/// What is done to a relay between two polls.
type Do = Box<dyn FnOnce(&mut Relay)>;

/// A relay, and who polls it as a session does.
struct Driven {
    relay: Relay,
    orders: mpsc::UnboundedReceiver<Do>,
    wants: watch::Sender<Option<Demand>>,
}

impl Future for Driven {
    type Output = (End, SessionStats);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<(End, SessionStats)> {
        while let Poll::Ready(Some(order)) = self.orders.poll_recv(cx) {
            order(&mut self.relay);
        }
        let polled = Pin::new(&mut self.relay).poll(cx);
        self.wants.send_replace(self.relay.demand());
        polled
    }
}

/// How a session ended.
pub async fn ended(outcome: oneshot::Receiver<(End, SessionStats)>) -> (End, SessionStats) {
    tokio::time::timeout(PATIENCE, outcome).await.expect("in time").unwrap()
}

impl Orders {
    fn give(&self, order: impl FnOnce(&mut Relay) + 'static) {
        assert!(self.0.send(Box::new(order)).is_ok(), "it has ended");
    }

    /// Leaves the upstream.
    pub fn leave(&self) {
        self.give(|relay| relay.leave(clock::now()));
    }

    /// Gives the relay another upstream, which is given back.
    pub async fn attach(&self) -> Far {
        let (upstream, near) = pair(None).await;
        self.give(|relay| relay.attach(leg(near), clock::now()));
        Far(upstream)
    }
}

impl Scene {
    pub async fn new(rules: Rules) -> Scene {
        Scene::with(rules, Allowed::NOTHING, [None, None], None).await
    }

    /// One that can be held.
    pub async fn held(rules: Rules, hold: HoldTerms) -> Scene {
        Scene::with(rules, Allowed::NOTHING, [None, None], Some(hold)).await
    }

    /// With these sizes of the kernel's buffers on the relay's sockets.
    pub async fn tiny(rules: Rules) -> Scene {
        Scene::with(rules, Allowed::NOTHING, [Some(4096); 2], None).await
    }

    pub async fn with(
        rules: Rules,
        allowed: Allowed,
        buffers: [Option<u32>; 2],
        hold: Option<HoldTerms>,
    ) -> Scene {
        let (client, near_client) = pair(buffers[0]).await;
        let (upstream, near_upstream) = pair(buffers[1]).await;
        let metrics = Metrics::new(1);
        let cells = metrics.route(&"/chat".into());
        let seat = seat(hold.is_some());
        let id = seat.id();
        let rules = Arc::new(rules);
        let terms = Terms {
            rules,
            allowed,
            seat,
            cells: Arc::clone(&cells),
            hold,
            expires: clock::Moment::NEVER,
            shared: None,
        };
        let relay = Relay::new(leg(near_client), leg(near_upstream), terms, clock::now());
        let (told, outcome) = oneshot::channel();
        let (orders, obeyed) = mpsc::unbounded_channel();
        let (wanted, wants) = watch::channel(None);
        let driven = Driven { relay, orders: obeyed, wants: wanted };
        task::spawn("relay", async move {
            let _ = told.send(driven.await);
        });
        let (client, upstream) = (Far(client), Far(upstream));
        Scene { client, upstream, id, cells, outcome, wants, orders: Orders(orders) }
    }

    /// The side's half of its connection ends.
    pub async fn hang_up(&mut self, side: Side) {
        let Far(far) = if side == Side::Client { &mut self.client } else { &mut self.upstream };
        far.shutdown().await.unwrap();
    }

    /// Waits until the relay wants this.
    pub async fn wanted(&mut self, wanted: impl Fn(&Option<Demand>) -> bool) -> Option<Demand> {
        let want = tokio::time::timeout(PATIENCE, self.wants.wait_for(wanted)).await;
        *want.expect("in time").expect("a relay")
    }

    /// One that can be held, with these sizes of the kernel's buffers.
    pub async fn tiny_held(rules: Rules, hold: HoldTerms) -> Scene {
        Scene::with(rules, Allowed::NOTHING, [Some(4096); 2], Some(hold)).await
    }

    /// A connection that leads nowhere, to stand in the place of one that is gone.
    pub async fn nowhere() -> Far {
        Far(pair(None).await.0)
    }

    /// The upstream is gone.
    pub async fn lose_upstream(&mut self) {
        self.upstream = Scene::nowhere().await;
    }

    /// Gives the relay another upstream.
    pub async fn attach(&mut self) {
        self.upstream = self.orders.attach().await;
    }

    pub async fn ended(mut self) -> (End, SessionStats) {
        let outcome = std::mem::replace(&mut self.outcome, oneshot::channel().1);
        ended(outcome).await
    }
}

/// A place among the worker's sessions.
pub fn seat(holds: bool) -> Seat {
    let (now, known) = (clock::now(), registry::tests::facts("/chat", "b", 0));
    registry::enter(Facts { opened: now, settled: now, holds, ..known }).unwrap()
}

fn leg(near: TcpStream) -> Leg {
    Leg::new(Transport::from(Socket::from(near)), Vec::new())
}

/// A connected pair, the test's end first.
pub async fn pair(buffer: Option<u32>) -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpSocket::new_v4().unwrap();
    if let Some(bytes) = buffer {
        near.set_send_buffer_size(bytes).unwrap();
        near.set_recv_buffer_size(bytes).unwrap();
    }
    let address = listener.local_addr().unwrap();
    let (near, far) = tokio::join!(near.connect(address), listener.accept());
    let (near, far) = (near.unwrap(), far.unwrap().0);
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (far, near)
}

/// Runs a test on a runtime like a worker's, and sees that no session is left.
pub fn run(test: impl AsyncFnOnce()) {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(async {
        test().await;
        while registry::live() > 0 {
            tokio::task::yield_now().await;
        }
    });
}
