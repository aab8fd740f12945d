//! The way of a request through real sockets: actors on both sides, `serve` between.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::{AnswerHooks, App, ClientEnd, Conn, PendingUpgrade, serve};
use crate::action::api::{InstanceReport, OlderInstances, OpenRequest, OpenRequests};
use crate::actors;
use crate::base::clock;
use crate::base::quota::Quota;
use crate::base::share::Shares;
use crate::base::socket::Socket;
use crate::base::task::{self, LocalBox};
use crate::base::worker::Workers;
use crate::config::plan::{Action, PathChange, Plan, PoolTarget};
use crate::limit::{Buckets, SessionPlaces};
use crate::live::tests::plan::{listener, plan, pool, pool_target, remove_cookies, route, to_pool};
use crate::live::{self, Live};
use crate::observe::metrics::Metrics;
use crate::observe::spans::SpanQueue;
use crate::registry::{self, LiveSessions, PushBudget, Selector, SessionEvents};
use crate::tls::Transport;
use crate::wire::via::Via;

mod hops;
mod moving;
mod plain;
mod record;
mod websocket;

use actors::{Backend, Client, until, within};

/// No process was replaced.
struct NoOlder;

impl OlderInstances for NoOlder {
    fn are_there(&self) -> bool {
        false
    }

    fn is_replaced(&self) -> bool {
        false
    }

    fn enter(&self) -> Option<OpenRequest> {
        Some(OpenRequests::default().enter())
    }

    fn ask(&self, _: String, _: Duration) -> LocalBox<Vec<InstanceReport>> {
        Box::pin(async { Vec::new() })
    }
}

/// A worker that serves a plan on a port of its own.
struct Proxy {
    address: SocketAddr,
    app: Arc<App>,
    metrics: Arc<Metrics>,
    workers: Workers,
}

impl Proxy {
    /// Serves this plan.
    async fn of(plan: Plan) -> Proxy {
        let metrics = Metrics::new(1);
        let snapshot = live::build(Arc::new(plan), None, &metrics).unwrap();
        let budget = Quota::new(1 << 20);
        let listening = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listening.set_nonblocking(true).unwrap();
        let address = listening.local_addr().unwrap();
        let workers = Workers::start(1).unwrap();
        let app = Arc::new(App {
            live: Live::new(Arc::new(snapshot)),
            budget,
            buckets: Arc::new(Buckets::new(1000)),
            encoders: Shares::new(10),
            places: SessionPlaces::new(),
            sessions: LiveSessions::new(workers.queues().clone()),
            events: SessionEvents::new(),
            older: Arc::new(NoOlder),
            pushes: PushBudget::new(1 << 20),
            challenges: Arc::new(crate::acme::Challenges::new()),
            spans: SpanQueue::new(&metrics).0,
            via: Via::new(),
        });
        let for_worker = Arc::clone(&app);
        let job = move || task::spawn("accept", accept(listening, for_worker));
        workers.queues().try_run_on(0, job).unwrap();
        Proxy { address, app, metrics, workers }
    }

    /// Sends everything below `/` to a pool of these backends; `change` has the plan's last word.
    async fn before(backends: &[&Backend], change: impl FnOnce(&mut Plan)) -> Proxy {
        let at: Vec<_> = backends.iter().map(|backend| backend.address()).collect();
        let mut plan = plan(&[pool("pool", &at)], &[route("/", to_pool("pool"))]);
        change(&mut plan);
        Proxy::of(plan).await
    }

    /// Puts a changed plan in force.
    fn reload(&self, change: impl FnOnce(&mut Plan)) {
        let old = self.app.live.now();
        let mut changed = (*old.plan).clone();
        change(&mut changed);
        let next = live::build(Arc::new(changed), Some(&old), &self.metrics).unwrap();
        self.app.live.swap(Arc::new(next));
    }

    fn client(&self) -> Client {
        Client::to(self.address)
    }

    /// Waits until no session, lease, connection or task is left but the one that accepts.
    async fn is_quiet(&self) {
        let pools = self.app.live.now().pools.clone();
        let backends = || pools.values().flat_map(|pool| pool.backends());
        let leases = || backends().map(|one| one.sessions() + one.requests()).sum::<usize>();
        until("every lease to be given back", || leases() == 0).await;
        // A session that is held has no lease, and may be on its way out still.
        let count = || self.workers.queues().ask_all(|_| registry::count(&Selector::All));
        let gone = async {
            while count().await.iter().any(|sessions| *sessions > 0) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        within("every session to end", gone).await;
        self.workers.queues().ask_all(|_| crate::action::close_idle()).await;
        until("every task to end", || self.workers.tasks() <= 1).await;
    }
}

async fn accept(listening: std::net::TcpListener, app: Arc<App>) {
    let listening = tokio::net::TcpListener::from_std(listening).unwrap();
    loop {
        let (tcp, client) = listening.accept().await.unwrap();
        let conn = Rc::new(Conn {
            listener: Arc::new(listener("http", 80)),
            cells: Arc::default(),
            peer_addr: Some(client),
            tls: None,
            permit: Rc::new(RefCell::new(())),
        });
        let io = TokioIo::new(Transport::Plain(Socket::from(tcp)));
        let app = Arc::clone(&app);
        let promised = Rc::new(RefCell::new(None));
        let promise = Rc::clone(&promised);
        let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let (sender, upgrade) = PendingUpgrade::new();
            let hooks = AnswerHooks { upgrade: Some(upgrade), ..AnswerHooks::default() };
            *promise.borrow_mut() = Some(sender);
            let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
            let answer = serve(Arc::clone(&app), Rc::clone(&conn), request, hooks);
            async move { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let mut serving = http1::Builder::new().serve_connection(io, service);
        task::spawn("conn", async move {
            let served = (&mut serving).await;
            let parts = serving.into_parts();
            if let (Ok(()), Some(promise)) = (served, promised.take()) {
                let end = ClientEnd::Connection(parts.io.into_inner(), parts.read_buf.into());
                drop(promise.send(end));
            }
        });
    }
}

/// Changes the only route of a plan.
fn route_of(plan: &mut Plan) -> &mut crate::config::plan::Route {
    Arc::make_mut(&mut plan.routes[0])
}

/// Changes the only pool of a plan.
fn pool_of(plan: &mut Plan) -> &mut crate::config::plan::Pool {
    Arc::make_mut(&mut plan.pools[0])
}

/// The address of a port where nobody listens.
fn nowhere() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Sends the only route to its pool in another way.
fn strip_prefix(plan: &mut Plan, path: &str) {
    let path_change = PathChange { prefix: Some("".into()), rewrite: None };
    let action = Action::Pool(PoolTarget { path: path_change, ..pool_target("pool") });
    plan.routes[0] = Arc::new(route(path, action));
}

/// What a function's future takes.
fn future_size<A, B, C, D, F: Future>(_: impl Fn(A, B, C, D) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn a_request_takes_little_room_before_it_is_known_what_it_asks_for() {
    // What an action needs is made when it is asked for: this much is copied and kept for each.
    let size = future_size(serve);
    assert!(size <= 1840, "{size}");
    // A dial is part of this, but not what only some dials need: see `pool::Dialler`.
    let size = future_size(super::websocket::open);
    assert!(size <= 3900, "{size}");
}
