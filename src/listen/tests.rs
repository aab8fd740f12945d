//! A handler behind real sockets, for the tests of this module.

mod greed;
mod http2;
mod limits;
mod opening;
mod proxied;
mod secure;
mod sockets;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::*;
use crate::base::body;
use crate::base::label::Label;
use crate::base::worker::Workers;
use crate::config::plan::{Address, Limits, Listener, ListenerLimits, Networks};
use crate::observe::metrics::Metrics;
use crate::tls::{Acceptor, Alpn, HTTP_1_1, HTTP_2};

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Answers `client, name asked for, worker`; a request for `/wait` waits to be released, one for
/// `/echo` gets its body back, one for `/head` what its head was.
struct Echo {
    arrived: Arc<Semaphore>,
    release: Arc<Semaphore>,
}

impl Echo {
    fn new() -> Arc<Echo> {
        let (arrived, release) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        Arc::new(Echo { arrived, release })
    }
}

impl Handler for Echo {
    fn challenged(&self, _: Arc<str>, _: ClientNetwork) -> LocalBox<Option<Arc<Acceptor>>> {
        Box::pin(async { None })
    }

    fn answer(
        &self,
        conn: &Rc<Conn>,
        request: Request<Body>,
        _: AnswerHooks,
    ) -> LocalBox<Response<Body>> {
        let sni = conn.tls.as_ref().and_then(|tls| tls.sni.clone());
        let worker = crate::base::worker::index();
        let told = format!("client {:?}, {sni:?}, {worker:?}", conn.peer_addr);
        if request.uri().path() == "/echo" {
            return Box::pin(async { Response::new(request.into_body()) });
        }
        if request.uri().path() == "/read" {
            return Box::pin(async {
                let read = request.into_body().collect().await.unwrap();
                Response::new(body::full(read.to_bytes()))
            });
        }
        if request.uri().path() == "/name" {
            let name = conn.listener.name.to_string();
            return Box::pin(async { Response::new(body::full(name)) });
        }
        if request.uri().path() == "/head" {
            let told = format!("{} {:?}", request.uri(), request.headers());
            return Box::pin(async { Response::new(body::full(told)) });
        }
        let waits = request.uri().path() == "/wait";
        let (arrived, release) = (Arc::clone(&self.arrived), Arc::clone(&self.release));
        Box::pin(async move {
            if waits {
                arrived.add_permits(1);
                release.acquire().await.unwrap().forget();
            }
            Response::new(body::full(told))
        })
    }
}

/// Workers, their sockets, and the handler behind them.
struct Stand {
    // Dropped first: accepting ends before the workers do.
    sockets: Sockets,
    handler: Arc<Echo>,
    permits: Arc<Permits>,
    metrics: Arc<Metrics>,
    workers: Workers,
}

impl Stand {
    fn new(workers: usize, connections_max: usize, per_address: Option<usize>) -> Stand {
        let workers = Workers::start(workers).unwrap();
        let limits = Limits {
            connections_max,
            connections_per_address_max: per_address,
            ..Limits::default()
        };
        let permits = Permits::new(&limits, workers.queues().len(), usize::MAX);
        let handler = Echo::new();
        let queues = workers.queues().clone();
        let sockets = Sockets::new(Arc::clone(&handler) as _, Arc::clone(&permits), queues);
        let metrics = Metrics::new(workers.queues().len());
        Stand { sockets, handler, permits, metrics, workers }
    }

    /// One worker, generous limits, this listener.
    fn with(listener: Listener) -> (Stand, SocketAddr) {
        let mut stand = Stand::new(1, 100, None);
        let address = stand.takes(&[listener])[0];
        (stand, address)
    }

    /// Puts these listeners in force; answers where they listen.
    fn takes(&mut self, listeners: &[Listener]) -> Vec<SocketAddr> {
        let plans: Vec<Arc<Listener>> = listeners.iter().cloned().map(Arc::new).collect();
        let opened = self.sockets.open(&plans, &mut InheritedSockets::default()).unwrap();
        let listeners = plans.iter().map(|plan| self.listener(plan)).collect::<Vec<_>>();
        self.sockets.take(opened, listeners);
        plans.iter().map(|plan| self.address(&plan.name)).collect()
    }

    fn listener(&self, plan: &Arc<Listener>) -> Arc<LiveListener> {
        let tls = plan.tls.as_ref();
        let speaks_both = plan.http2.is_some();
        let alpn: &[Alpn] = if speaks_both { &[HTTP_2, HTTP_1_1] } else { &[HTTP_1_1] };
        let acceptor =
            tls.map(|tls| Arc::new(Acceptor::build(tls, alpn, &Arc::default()).unwrap()));
        let cells = self.metrics.listener(&plan.name);
        Arc::new(LiveListener { plan: Arc::clone(plan), acceptor, cells })
    }

    fn address(&self, name: &str) -> SocketAddr {
        let bound = self.sockets.bound().find(|(found, _)| &**found == name);
        match bound.unwrap().1 {
            Address::Inet(address) => address,
            Address::Unix(_) => ([0, 0, 0, 0], 0).into(),
        }
    }

    /// Waits until listener `a` has counted one connection refused for this reason.
    async fn refused(&self, reason: Rejection) {
        let cells = self.metrics.listener(&Arc::from("a"));
        until(|| cells.refused.get(reason.label()) == 1).await;
    }

    /// Waits until no connection is left and no task but the accept loops.
    async fn is_quiet(&self) {
        let loops = self.sockets.bound().count() * self.workers.queues().len();
        until(|| self.permits.open() == 0 && self.workers.tasks() == loops).await;
    }
}

/// Waits for a fact.
async fn until(fact: impl Fn() -> bool) {
    let wait = async {
        while !fact() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("it never came true");
}

/// A plain listener on a free port of a loopback address told by its name: an address is what a
/// listener is known by.
fn plain(name: &str) -> Listener {
    let host = IpAddr::from([127, 0, 0, name.len() as u8]);
    Listener {
        name: name.into(),
        address: Address::Inet((host, 0).into()),
        mode: None,
        tls: None,
        http2: None,
        proxy_protocol: None,
        trusted_proxies: Networks::default(),
        underscores_in_headers: false,
        limits: ListenerLimits {
            handshakes_in_flight_max: 100,
            tls_handshake_timeout: PATIENCE,
            head_timeout: PATIENCE,
            keep_alive_timeout: PATIENCE,
            ..ListenerLimits::default()
        },
    }
}

/// Reads to the end of the stream.
async fn rest(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // What a reset left behind is as good as an end.
    let _ = read.expect("the stream never ends");
    String::from_utf8(bytes).unwrap()
}

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const GET_AND_CLOSE: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// Sends a request that keeps the connection and reads its answer's body.
async fn ask(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) -> String {
    stream.write_all(GET).await.unwrap();
    answer(stream).await
}

/// Reads one answer, and gives its body.
async fn answer(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(tokio::time::timeout(PATIENCE, stream.read_u8()).await.unwrap().unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let length = head.split("content-length: ").nth(1).unwrap().lines().next().unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8(body).unwrap()
}

/// One request on a connection of its own.
async fn once(address: SocketAddr) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(GET_AND_CLOSE).await.unwrap();
    rest(&mut client).await
}
