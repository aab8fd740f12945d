//! A process on real sockets, one of several in this one, from plans.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

use super::{
    Address, Client, ConfigSource, Handle, Options, Plan, ReloadRefused, ReloadRequest, Reloaded,
    Route, Session, StartError, Supervisor, Taken,
};
use super::{listener, plan, pool, respond, route, to_pool};
use crate::actors::Backend;

pub type Next = Arc<Mutex<Result<Plan, String>>>;

/// A process whose next configuration the test decides.
pub struct Process {
    pub supervisor: Supervisor,
    pub next: Next,
}

impl Deref for Process {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.supervisor
    }
}

impl Process {
    pub fn start(first: Plan) -> Process {
        Process::try_start(first).unwrap()
    }

    pub fn try_start(first: Plan) -> Result<Process, StartError> {
        let next: Next = Arc::new(Mutex::new(Ok(first)));
        let asked = Arc::clone(&next);
        let source = ConfigSource::made(move || asked.lock().unwrap().clone().map(Arc::new));
        let supervisor = Supervisor::start(Options::new(source))?;
        Ok(Process { supervisor, next })
    }

    /// Changes the next configuration and reloads.
    pub async fn change(&self, change: impl FnOnce(&mut Plan)) -> Reloaded {
        self.change_and(ReloadRequest::default(), change).await
    }

    pub async fn change_and(&self, ask: ReloadRequest, change: impl FnOnce(&mut Plan)) -> Reloaded {
        change(self.next.lock().unwrap().as_mut().unwrap());
        self.reload(ask).await
    }

    pub fn at(&self, listener: &str) -> SocketAddr {
        match self.address(listener) {
            Some(Address::Inet(address)) => address,
            other => panic!("{listener} is at {other:?}"),
        }
    }

    pub fn client(&self, path: &str) -> Client {
        Client::to(self.at("http")).path(path)
    }

    /// A session that has begun: its 101 is sent a moment earlier.
    pub async fn session(&self, path: &str) -> Session {
        let mut session = self.client(path).open().await;
        session.echo("hello").await;
        session
    }
}

pub fn taken(reloaded: Reloaded) -> Taken {
    match reloaded {
        Reloaded::Taken(taken) => *taken,
        other => panic!("{other}"),
    }
}

pub fn refused(reloaded: Reloaded) -> ReloadRefused {
    match reloaded {
        Reloaded::Refused(refused) => refused.why,
        other => panic!("{other}"),
    }
}

/// A page, and a pool below each path: `/one` and so on.
pub fn site(backends: &[(&str, &Backend)]) -> Plan {
    let pools: Vec<_> =
        backends.iter().map(|(name, backend)| pool(name, &[backend.address()])).collect();
    let mut routes = vec![route("/", respond("page"))];
    routes.extend(backends.iter().map(|(name, _)| route(&format!("/{name}"), to_pool(name))));
    let mut plan = plan(&pools, &routes);
    plan.listeners = vec![Arc::new(listener("http", 0))];
    plan
}

/// Changes a route by its path.
pub fn route_of<'a>(plan: &'a mut Plan, path: &str) -> &'a mut Route {
    let found = plan.routes.iter_mut().find(|route| &*route.identity == path);
    Arc::make_mut(found.unwrap())
}
