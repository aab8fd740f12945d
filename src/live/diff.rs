//! What a change of snapshots means for listeners and live sessions, as a value.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{LiveListener, LiveRoute, Snapshot};
use crate::base::clock::Moment;
use crate::pool::Backend;
use crate::registry::{self, Selector};

/// What changed between two snapshots. What is not named here is not touched in any way.
#[derive(Default)]
pub struct Changes {
    /// Identities of routes that are gone.
    pub routes_removed: Vec<Arc<str>>,
    /// Identities of routes that stay, but go to no backend that gets work.
    pub routes_without_backend: Vec<Arc<str>>,
    /// Names of pools that are gone.
    pub pools_removed: Vec<Arc<str>>,
    /// Pools' names and the backends that are gone from pools that stay.
    pub backends_removed: Vec<(Arc<str>, Arc<str>)>,
    /// Listeners whose address is listened on no more.
    pub listeners_removed: Vec<Arc<LiveListener>>,
    /// Listeners on new addresses.
    pub listeners_added: Vec<Arc<LiveListener>>,
    /// Addresses that are listened on under another name than before, or that are back under one
    /// that they may not have had.
    pub listeners_renamed: registry::Names,
    /// What was not there before: it may be what sessions were told to leave.
    pub returned: HashSet<Selector>,
    /// Routes that stay and hold their sessions to other rules from now on.
    pub rules: registry::RuleChanges,
}

/// Compares two snapshots; what there is room for is asked at this moment.
pub fn diff(old: &Snapshot, new: &Snapshot, now: Moment) -> Changes {
    let mut changes = Changes::default();
    changes.routes(old, new, now);
    changes.pools(old, new);
    changes.listeners_removed = only_in(old, new);
    changes.listeners_added = only_in(new, old);
    changes.returned = returned(old, new);
    changes.departed(new);
    for (identity, after) in &new.listeners {
        let (before, after) = (old.listeners.get(identity), &after.plan.name);
        if before.is_none_or(|before| before.plan.name != *after) {
            changes.listeners_renamed.insert(identity.clone(), Arc::clone(after));
        }
    }
    changes
}

/// Whether sessions of this route can go on elsewhere: its pool has a backend that is up and has
/// room.
fn has_room(route: &LiveRoute, now: Moment) -> bool {
    route.action.pool().is_some_and(|pool| pool.room_beside(&[], now) > 0)
}

/// What the new snapshot has and the old one has not, each as orders to leave it name it.
fn returned(old: &Snapshot, new: &Snapshot) -> HashSet<Selector> {
    let mut returned = HashSet::new();
    let routes = new.routes.iter().map(|route| &route.plan.identity);
    let routes = routes.filter(|identity| old.route(identity).is_none());
    returned.extend(routes.cloned().map(Selector::Route));
    for (name, pool) in &new.pools {
        let before = old.pools.get(name);
        if before.is_none() {
            returned.insert(Selector::Pool(Arc::clone(name)));
        }
        if before.is_some_and(|before| Arc::ptr_eq(before, pool)) {
            continue;
        }
        let had: HashSet<_> = before.iter().flat_map(|pool| pool.backends()).map(address).collect();
        let comes = pool.backends().iter().filter(|one| !had.contains(one.address()));
        returned.extend(comes.map(|one| on(name, one)));
    }
    let listeners = only_in(new, old).into_iter();
    returned.extend(listeners.map(|one| by(&one)));
    returned
}

fn address(backend: &Arc<Backend>) -> &Arc<str> {
    backend.address()
}

fn on(pool: &Arc<str>, backend: &Backend) -> Selector {
    Selector::Backend { pool: Arc::clone(pool), backend: Arc::clone(backend.address()) }
}

/// By its address: its name may be another's by now.
fn by(listener: &Arc<LiveListener>) -> Selector {
    Selector::Socket(listener.plan.identity())
}

fn only_in(one: &Snapshot, other: &Snapshot) -> Vec<Arc<LiveListener>> {
    let only = one.listeners.iter().filter(|(identity, _)| !other.listeners.contains_key(identity));
    only.map(|(_, listener)| Arc::clone(listener)).collect()
}

impl Changes {
    /// The sessions that must be drained; `None` when there are none.
    pub fn drained(&self) -> Option<Selector> {
        let routes = self.routes_removed.iter().cloned().map(Selector::Route);
        let pools = self.pools_removed.iter().cloned().map(Selector::Pool);
        let backends = self.backends_removed.iter().map(|(pool, backend)| Selector::Backend {
            pool: Arc::clone(pool),
            backend: Arc::clone(backend),
        });
        let listeners = self.listeners_removed.iter().map(by);
        let any: Arc<[Selector]> = routes.chain(pools).chain(backends).chain(listeners).collect();
        (!any.is_empty()).then_some(Selector::AnyOf(any))
    }

    /// Those among them that may continue with another backend: what a reload removed is where they
    /// were, not where they came in.
    pub fn movable(&self) -> Selector {
        let routes = self.routes_removed.iter().chain(&self.routes_without_backend);
        let listeners = self.listeners_removed.iter().map(by);
        Selector::NoneOf(routes.cloned().map(Selector::Route).chain(listeners).collect())
    }

    fn routes(&mut self, old: &Snapshot, new: &Snapshot, now: Moment) {
        let by_identity: HashMap<&str, &Arc<LiveRoute>> =
            new.routes.iter().map(|route| (&*route.plan.identity, route)).collect();
        for before in &old.routes {
            let identity = &before.plan.identity;
            let Some(after) = by_identity.get(&**identity) else {
                self.routes_removed.push(Arc::clone(identity));
                continue;
            };
            if !has_room(after, now) {
                self.routes_without_backend.push(Arc::clone(identity));
            }
            // Where it leads now is for new handshakes: its sessions have what they need.
            if !Arc::ptr_eq(&before.rules, &after.rules) {
                self.rules.insert(Arc::clone(identity), Arc::clone(&after.rules));
            }
        }
    }

    /// Of a pool that comes back without some of its backends: those.
    fn departed(&mut self, new: &Snapshot) {
        let comes = |one: &&Arc<Backend>| {
            one.is_leased() && self.returned.contains(&Selector::Pool(Arc::clone(one.pool())))
        };
        let gone = new.departed.iter().filter(comes);
        let gone = gone.map(|one| (Arc::clone(one.pool()), Arc::clone(one.address())));
        self.backends_removed.extend(gone.collect::<Vec<_>>());
    }

    fn pools(&mut self, old: &Snapshot, new: &Snapshot) {
        for (name, before) in &old.pools {
            let Some(after) = new.pools.get(name) else {
                self.pools_removed.push(Arc::clone(name));
                continue;
            };
            if Arc::ptr_eq(before, after) {
                continue;
            }
            let stay: HashSet<_> = after.backends().iter().map(address).collect();
            let gone = before.backends().iter().filter(|one| !stay.contains(one.address()));
            let gone = gone.map(|one| (Arc::clone(name), Arc::clone(one.address())));
            self.backends_removed.extend(gone);
        }
    }
}
