//! Whole processes on real sockets, several at once in this one.

mod addresses;
mod applies;
mod endpoints;
mod moving;
mod operating;
mod random;
mod reloads;
mod reports;
mod returning;
mod rooms;
mod stops;
mod watches;

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::actors;
use crate::admin::{Counts, Phase, ReloadRefused, ReloadRequest, Reloaded, Stopped, Taken};
use crate::config::plan::{Address, Plan, Route};
use crate::live::tests::plan::{admin, listener, plan, pool, respond, route, to_pool};
use crate::observe::metrics::Exposition;

use actors::{Backend, Client, Ending, Session, until, within};

type Next = Arc<Mutex<Result<Plan, String>>>;

/// A process whose next configuration the test decides.
struct Process {
    supervisor: Supervisor,
    next: Next,
}

impl Deref for Process {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.supervisor
    }
}

impl Process {
    fn start(first: Plan) -> Process {
        Process::try_start(first).unwrap()
    }

    fn try_start(first: Plan) -> Result<Process, StartError> {
        let next: Next = Arc::new(Mutex::new(Ok(first)));
        let asked = Arc::clone(&next);
        let source = ConfigSource::made(move || asked.lock().unwrap().clone().map(Arc::new));
        let supervisor = Supervisor::start(Options::new(source))?;
        Ok(Process { supervisor, next })
    }

    /// Changes the next configuration and reloads.
    async fn change(&self, change: impl FnOnce(&mut Plan)) -> Reloaded {
        self.change_and(ReloadRequest::default(), change).await
    }

    async fn change_and(&self, ask: ReloadRequest, change: impl FnOnce(&mut Plan)) -> Reloaded {
        change(self.next.lock().unwrap().as_mut().unwrap());
        self.reload(ask).await
    }

    fn at(&self, listener: &str) -> SocketAddr {
        match self.address(listener) {
            Some(Address::Inet(address)) => address,
            other => panic!("{listener} is at {other:?}"),
        }
    }

    fn client(&self, path: &str) -> Client {
        Client::to(self.at("http")).path(path)
    }

    /// A session that has begun: its 101 is sent a moment earlier.
    async fn session(&self, path: &str) -> Session {
        let mut session = self.client(path).open().await;
        session.echo("hello").await;
        session
    }

    /// Waits until nothing is left but the accept loops.
    async fn is_quiet(&self) {
        let mut last = None;
        let quiet = async {
            loop {
                self.0.queues.ask_all(|_| crate::action::close_idle()).await;
                // Of a listener that is gone both end in a moment.
                let page = self.scrape(Exposition::OpenMetrics);
                let loops = page.matches("tidegate_connections_open{").count();
                let counts = self.counts().await;
                if counts == (Counts { tasks: loops, ..Counts::default() }) {
                    break;
                }
                last = Some((counts, loops));
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let is_over = tokio::time::timeout(Duration::from_secs(20), quiet).await.is_ok();
        assert!(is_over, "left at the end, and loops that accept: {last:?}");
    }
}

fn taken(reloaded: Reloaded) -> Taken {
    match reloaded {
        Reloaded::Taken(taken) => *taken,
        other => panic!("{other}"),
    }
}

fn refused(reloaded: Reloaded) -> ReloadRefused {
    match reloaded {
        Reloaded::Refused(refused) => refused.why,
        other => panic!("{other}"),
    }
}

/// A page, and a pool below each path: `/one` and so on.
fn site(backends: &[(&str, &Backend)]) -> Plan {
    let pools: Vec<_> =
        backends.iter().map(|(name, backend)| pool(name, &[backend.address()])).collect();
    let mut routes = vec![route("/", respond("page"))];
    routes.extend(backends.iter().map(|(name, _)| route(&format!("/{name}"), to_pool(name))));
    let mut plan = plan(&pools, &routes);
    plan.listeners = vec![Arc::new(listener("http", 0))];
    plan
}

/// Changes a route by its path.
fn route_of<'a>(plan: &'a mut Plan, path: &str) -> &'a mut Route {
    let found = plan.routes.iter_mut().find(|route| &*route.identity == path);
    Arc::make_mut(found.unwrap())
}
