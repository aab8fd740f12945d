//! The snapshot in force: built aside from a plan, swapped whole.
//!
//! **In:** a plan and the snapshot before. **Out:** an immutable snapshot that reuses what is
//! equal, and what a change of snapshots means for those who live: as orders, and
//! as counts for who asks.
//! **Never here:** a change after it was built; sockets of clients.

mod at_start;
mod build;
mod compare;
mod diff;
mod impact;
mod limits;

pub use at_start::AtStart;
pub use build::build;
pub use compare::{PartChanges, PlanChanges, compare};
pub use diff::{Changes, diff};
pub use impact::{Impact, ImpactRow, ReloadRule};
pub use limits::LiveLimits;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use crate::access::{PasswordChecker, Policy, Verifier};
use crate::action::FileServer;
use crate::base::share::Shares;
use crate::config::plan::{
    Api, Listener, ListenerIdentity, Plan, PoolTarget, Redirect, Respond, Route, Rules,
};
use crate::observe::metrics::{ListenerMetrics, RouteMetrics};
use crate::pool::{Backend, Pool};
use crate::router::Router;
use crate::tls::{Acceptor, IssuedCertificates};

/// Everything a request is served by. Nothing keeps one longer than a request: sessions keep their
/// rules and their lease, so that a reload can neither hold memory hostage nor cut a wire.
pub struct Snapshot {
    /// Counted from 1; each snapshot built on another is one more.
    pub generation: u64,
    /// What it was built from.
    pub plan: Arc<Plan>,
    /// Finds an index into `routes`.
    pub router: Router,
    /// In the plan's order.
    pub routes: Vec<Arc<LiveRoute>>,
    /// By name.
    pub pools: BTreeMap<Arc<str>, Arc<Pool>>,
    /// Access rules at work, by name.
    pub access: BTreeMap<Arc<str>, Arc<Verifier>>,
    /// Checks passwords for all of them; the same over reloads.
    pub passwords: Arc<PasswordChecker>,
    /// Backends that pools before had and these have not, but for those that were without a lease
    /// for a reload: one that comes back while its sessions live goes on with their count.
    pub departed: Vec<Arc<Backend>>,
    /// The counts of requests that no route takes, under the name [`UNROUTED`].
    pub unrouted: Arc<RouteMetrics>,
    /// By identity, which is the address.
    pub listeners: BTreeMap<ListenerIdentity, Arc<LiveListener>>,
    /// Certificates that were ordered; the same over reloads.
    pub issued: Arc<IssuedCertificates>,
    /// By identity, for who comes back to a route: indexes into `routes`.
    known: HashMap<Arc<str>, usize>,
    _alive: AliveCount,
}

/// Stands for a route's identity where no route takes a request.
pub const UNROUTED: &str = "(none)";

/// A route and what it needs at work. The same `Arc` as before where nothing about it changed.
pub struct LiveRoute {
    /// What was planned.
    pub plan: Arc<Route>,
    /// One `Arc` for all routes, and all snapshots in a row, whose rules are equal.
    pub rules: Arc<Rules>,
    /// Who may pass; everybody when `None`.
    pub access: Option<Policy>,
    /// What is done.
    pub action: LiveAction,
    /// How much one value of a key may have.
    pub limits: Arc<LiveLimits>,
    /// The route's counts; they outlive a reload with its identity.
    pub cells: Arc<RouteMetrics>,
    /// Wakes those that wait for a backend when one has answered; it outlives a reload as well.
    pub returned: Arc<Notify>,
    /// Places of handshakes that wait for a backend, shared out among clients; it outlives a reload
    /// as well.
    pub queue: Arc<Shares>,
}

/// A route's action, with its machine.
pub enum LiveAction {
    /// Requests and WebSockets go to a pool.
    Pool(LivePool),
    /// Files from a directory.
    Files {
        /// The directory.
        files: FileServer,
        /// Whether the route's prefix is cut from the path.
        strip_prefix: bool,
        /// Where requests go that are for no file.
        fallback: Option<LivePool>,
    },
    /// A redirect.
    Redirect(Redirect),
    /// A fixed response.
    Respond(Respond),
    /// Requests about live sessions.
    Api(Api),
}

/// Where requests and WebSockets go.
pub struct LivePool {
    /// The pool.
    pub pool: Arc<Pool>,
    /// How they go there, as planned.
    pub target: PoolTarget,
}

impl LiveAction {
    /// The pool that requests may go to.
    pub fn pool(&self) -> Option<&Arc<Pool>> {
        match self {
            LiveAction::Pool(to) => Some(&to.pool),
            LiveAction::Files { fallback, .. } => fallback.as_ref().map(|to| &to.pool),
            LiveAction::Redirect(_) | LiveAction::Respond(_) | LiveAction::Api(_) => None,
        }
    }
}

/// A listener and what it needs at work.
pub struct LiveListener {
    /// What was planned.
    pub plan: Arc<Listener>,
    /// TLS, when it speaks TLS; the same `Arc` as before where its TLS did not change.
    pub acceptor: Option<Arc<Acceptor>>,
    /// The listener's counts.
    pub cells: Arc<ListenerMetrics>,
}

/// Counts a snapshot from its building to its drop.
struct AliveCount(Arc<AtomicUsize>);

impl AliveCount {
    fn new(count: Arc<AtomicUsize>) -> AliveCount {
        count.fetch_add(1, Ordering::Relaxed);
        AliveCount(count)
    }
}

impl Drop for AliveCount {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Snapshot {
    /// Whether a session of a route that was let pass before would be refused now, by what is kept
    /// of it.
    pub fn refuses(&self, route: &str, client: Option<IpAddr>) -> bool {
        let policy = self.route(route).and_then(|route| route.access.as_ref());
        policy.is_some_and(|policy| policy.refuses_address(client))
    }

    /// A route by its identity.
    pub fn route(&self, identity: &str) -> Option<&Arc<LiveRoute>> {
        self.known.get(identity).and_then(|index| self.routes.get(*index))
    }

    /// Gives what outlives a reload the limits of this snapshot: only what is in force has a say
    /// in that, and a snapshot that is built may be refused.
    fn apply_limits(&self) {
        for route in &self.routes {
            route.queue.set_max(route.plan.queue.map_or(0, |queue| queue.handshakes_max));
        }
        let backends = self.pools.values().flat_map(|pool| pool.backends());
        backends.for_each(|backend| backend.apply_limits());
    }

    /// Snapshots in memory that were built in a row with this one, itself included.
    pub fn alive(&self) -> usize {
        self._alive.0.load(Ordering::Relaxed)
    }
}

/// The snapshot in force.
pub struct Live(ArcSwap<Snapshot>);

impl Live {
    /// Begins with the first snapshot.
    pub fn new(first: Arc<Snapshot>) -> Live {
        first.apply_limits();
        Live(ArcSwap::new(first))
    }

    /// The snapshot in force at this moment.
    pub fn now(&self) -> Arc<Snapshot> {
        self.0.load_full()
    }

    /// Puts another in force and gives back the one before, to be compared and dropped where
    /// nothing waits for it.
    pub fn swap(&self, next: Arc<Snapshot>) -> Arc<Snapshot> {
        next.apply_limits();
        self.0.swap(next)
    }
}

#[cfg(test)]
pub(crate) mod tests;
