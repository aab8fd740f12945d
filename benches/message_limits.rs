//! What the limits of `[relay]` cost a message, in time: `cargo bench --bench message_limits`.
//!
//! Two sessions in one process, one of them with `messages_max` and `bytes_max`, which nothing here
//! reaches. A round gives each of them the same messages of one client, in turns, and takes the
//! time until they are across; what is printed is the median of the rounds' differences, a message.
//! In bursts a read has hundreds of messages, and the time is the core's and little else; one by
//! one each has a read, a write and a turn of the runtime of its own: more noise than cost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate::base::socket::Socket;
use tidegate::base::{clock, task};
use tidegate::config::plan::{Address, ListenerIdentity, Rules};
use tidegate::observe::metrics::Metrics;
use tidegate::registry::{self, Facts, Location};
use tidegate::relay::{Leg, Relay, Terms};
use tidegate::tls::Transport;
use tidegate::wire::frame::Allowed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const ROUNDS: usize = 3_000;
const WARM_UP: usize = 200;

/// "Hello" as a client says it (RFC 6455 §5.7).
const HELLO: [u8; 11] = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

fn main() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().build_local(Default::default()).expect("a runtime");
    runtime.block_on(async {
        let bare = || Rules { ping_interval: None, ..Rules::default() };
        let limits =
            Rules { messages_max: Some(4_000_000_000), bytes_max: Some(1 << 40), ..bare() };
        let mut sessions = [Session::open(bare()).await, Session::open(limits).await];
        println!("nanoseconds a message: median of {ROUNDS} rounds, and the middle half of them");
        for (name, messages) in [("bursts of 1,000", 1_000), ("one by one", 1)] {
            let mut spent = Vec::with_capacity(ROUNDS);
            for round in 0..WARM_UP + ROUNDS {
                let mut times = [0.0; 2];
                // Who is first changes.
                for turn in 0..2 {
                    let which = (round + turn) % 2;
                    times[which] = sessions[which].pass(messages).await;
                }
                spent.push(times);
            }
            let spent = &spent[WARM_UP..];
            row(name, "without limits", spent.iter().map(|times| times[0]).collect());
            row(name, "with them", spent.iter().map(|times| times[1]).collect());
            row(name, "difference", spent.iter().map(|times| times[1] - times[0]).collect());
        }
    });
}

fn row(name: &str, what: &str, mut figures: Vec<f64>) {
    figures.sort_by(f64::total_cmp);
    let [low, median, high] = [1, 2, 3].map(|quarter| figures[figures.len() * quarter / 4]);
    println!("{name:16} {what:16} {median:10.1}   {low:10.1} … {high:.1}");
}

/// A session at work, its client and its backend.
struct Session {
    client: TcpStream,
    backend: TcpStream,
    sent: Vec<u8>,
    got: Vec<u8>,
}

impl Session {
    async fn open(rules: Rules) -> Session {
        let (near_client, client) = pair().await;
        let (near_backend, backend) = pair().await;
        let name: Arc<str> = "/bench".into();
        let location = Location {
            listener: name.clone(),
            socket: ListenerIdentity::of(&Address::Inet(([127, 0, 0, 1], 80).into()), &name),
            route: name.clone(),
            pool: name.clone(),
            backend: name.clone(),
        };
        let seat = registry::enter(Facts {
            location: Arc::new(location),
            client: None.into(),
            opened: clock::now(),
            settled: clock::now(),
            holds: false,
            pushable: Default::default(),
            labels: Default::default(),
        });
        let terms = Terms {
            rules: Arc::new(rules),
            allowed: Allowed::NOTHING,
            seat: seat.expect("a place"),
            cells: Metrics::new(1).route(&name),
            hold: None,
            expires: clock::Moment::NEVER,
            shared: None,
        };
        let relay = Relay::new(leg(near_client), leg(near_backend), terms, clock::now());
        task::spawn("relay", async move {
            relay.await;
        });
        Session { client, backend, sent: Vec::new(), got: Vec::new() }
    }

    /// So many messages go across: nanoseconds for each.
    // The crate's clock counts milliseconds; here nanoseconds matter.
    #[allow(clippy::disallowed_methods)]
    async fn pass(&mut self, messages: usize) -> f64 {
        self.sent = HELLO.repeat(messages);
        self.got.resize(self.sent.len(), 0);
        let begin = Instant::now();
        self.client.write_all(&self.sent).await.expect("a client's messages");
        self.backend.read_exact(&mut self.got).await.expect("its messages");
        let nanos = begin.elapsed().max(Duration::from_nanos(1)).as_nanos();
        assert!(self.got == self.sent, "as they were said");
        nanos as f64 / messages as f64
    }
}

async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let address = listener.local_addr().expect("an address");
    let (near, far) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (near, far) = (near.expect("a connection"), far.expect("a connection").0);
    for stream in [&near, &far] {
        stream.set_nodelay(true).expect("a socket's option");
    }
    (near, far)
}

fn leg(socket: TcpStream) -> Leg {
    Leg::new(Transport::from(Socket::from(socket)), Vec::new())
}
