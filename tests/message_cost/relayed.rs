//! A session with both its far ends, for what takes the cost of a message.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;

use tidegate::base::socket::Socket;
use tidegate::base::{clock, task};
use tidegate::config::plan::{Address, ListenerIdentity, Rules};
use tidegate::observe::metrics::Metrics;
use tidegate::registry::{self, Facts, Location};
use tidegate::relay::{HoldTerms, Leg, Relay, Terms};
use tidegate::tls::Transport;
use tidegate::wire::frame::Allowed;
use tokio::net::{TcpListener, TcpStream};

/// A session at work.
pub struct Relayed {
    pub client: TcpStream,
    pub upstream: TcpStream,
    /// The session's own sockets, to the client and to the upstream.
    pub sockets: [RawFd; 2],
}

impl Relayed {
    /// One by these rules, which can be held or cannot.
    pub async fn open(rules: Rules, hold: Option<HoldTerms>) -> Relayed {
        let (near_client, client) = pair().await;
        let (near_upstream, upstream) = pair().await;
        let sockets = [near_client.as_raw_fd(), near_upstream.as_raw_fd()];
        let name: Arc<str> = "/chat".into();
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
            holds: hold.is_some(),
            pushable: Default::default(),
            labels: Default::default(),
        });
        let terms = Terms {
            rules: Arc::new(rules),
            allowed: Allowed::NOTHING,
            seat: seat.expect("a place"),
            cells: Metrics::new(1).route(&name),
            hold,
            expires: clock::Moment::NEVER,
            shared: None,
        };
        let relay = Relay::new(leg(near_client), leg(near_upstream), terms, clock::now());
        task::spawn("relay", async move {
            relay.await;
        });
        Relayed { client, upstream, sockets }
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
