//! What a change of snapshots does to live sessions, counted by the rule that decides it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{Changes, Snapshot};
use crate::base::clock::Moment;
use crate::base::label::Label;
use crate::config::plan::ListenerIdentity;
use crate::registry::{Location, LocationCount};

/// Rows of an [`Impact`]; what is in no row is in its sums all the same.
const IMPACT_ROWS_MAX: usize = 1_000;

/// The rule by which a reload does something to a session; the first that holds decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ReloadRule {
    /// Its route is gone: it is drained.
    RouteRemoved,
    /// The address it came in by is gone: it is drained.
    ListenerRemoved,
    /// Its pool is gone: it moves to where its route leads now, or is drained.
    PoolRemoved,
    /// Its backend is gone: it moves to another, or is drained.
    BackendRemoved,
    /// Its route has other limits or timeouts: it stays, and is held to them at once.
    NewRules,
}

impl Label for ReloadRule {
    fn label(&self) -> &'static str {
        match self {
            ReloadRule::RouteRemoved => "route_removed",
            ReloadRule::ListenerRemoved => "listener_removed",
            ReloadRule::PoolRemoved => "pool_removed",
            ReloadRule::BackendRemoved => "backend_removed",
            ReloadRule::NewRules => "new_rules",
        }
    }
}

/// Sessions of one route on one backend that a reload does something to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImpactRow {
    /// By which rule.
    pub rule: ReloadRule,
    /// Their listener's name.
    pub listener: Arc<str>,
    /// Their route's identity.
    pub route: Arc<str>,
    /// Their pool's name.
    pub pool: Arc<str>,
    /// Their backend's address.
    pub backend: Arc<str>,
    /// How many they are.
    pub sessions: usize,
    /// Those that are closed, at the pace of `[drain]`.
    pub drained: usize,
    /// Those that go on with another backend.
    pub moved: usize,
}

/// What a reload does to live sessions.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Impact {
    /// All that live.
    pub sessions: usize,
    /// Those that are closed.
    pub drained: usize,
    /// Those that go on with another backend.
    pub moved: usize,
    /// Those that stay and are held to new rules.
    pub with_new_rules: usize,
    /// By rule and place, at most a thousand.
    pub rows: Vec<ImpactRow>,
    /// Rows beyond that.
    pub rows_left_off: usize,
}

impl Impact {
    /// Sessions that stay where they are.
    pub fn kept(&self) -> usize {
        self.sessions - self.drained - self.moved
    }

    fn add(&mut self, row: ImpactRow) {
        self.drained += row.drained;
        self.moved += row.moved;
        if row.rule == ReloadRule::NewRules {
            self.with_new_rules += row.sessions;
        }
        match self.rows.len() < IMPACT_ROWS_MAX {
            true => self.rows.push(row),
            false => self.rows_left_off += 1,
        }
    }
}

impl Changes {
    /// What these changes do to the sessions that are in these places; what there is room for in
    /// the pools of the new snapshot is asked at this moment.
    pub fn impact(
        &self,
        new: &Snapshot,
        places: &HashMap<Arc<Location>, LocationCount>,
        now: Moment,
    ) -> Impact {
        let sessions = places.values().map(|count| count.sessions).sum();
        let mut impact = Impact { sessions, ..Impact::default() };
        let mut room: BTreeMap<&Arc<str>, usize> =
            new.pools.iter().map(|(name, pool)| (name, pool.room_beside(&[], now))).collect();
        let gone = Gone::of(self);
        let rule = |place: &Arc<Location>| {
            let of_route = self.rules.contains_key(&place.route).then_some(ReloadRule::NewRules);
            gone.rule(place).or(of_route)
        };
        let rows = places.iter().filter_map(|(place, count)| Some((rule(place)?, place, *count)));
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|(rule, place, _)| (*rule, Arc::clone(place)));
        for (rule, place, LocationCount { sessions, holding }) in rows {
            let target = pool_of(new, &place.route).filter(|_| gone.may_move(rule, place));
            let moved = target.and_then(|pool| room.get_mut(pool)).map_or(0, |free| {
                let moved = holding.min(*free);
                *free -= moved;
                moved
            });
            let drained = if rule == ReloadRule::NewRules { 0 } else { sessions - moved };
            let Location { listener, route, pool, backend, .. } = Location::clone(place);
            impact.add(ImpactRow {
                rule,
                listener,
                route,
                pool,
                backend,
                sessions,
                drained,
                moved,
            });
        }
        impact
    }
}

/// What is gone, to be looked up by name.
struct Gone<'a> {
    routes: HashSet<&'a str>,
    routes_without_backend: HashSet<&'a str>,
    listeners: HashSet<ListenerIdentity>,
    pools: HashSet<&'a str>,
    backends: HashSet<(&'a str, &'a str)>,
}

impl<'a> Gone<'a> {
    fn of(changes: &'a Changes) -> Gone<'a> {
        let names = |names: &'a [Arc<str>]| names.iter().map(|name| &**name).collect();
        let backends = changes.backends_removed.iter();
        Gone {
            routes: names(&changes.routes_removed),
            routes_without_backend: names(&changes.routes_without_backend),
            listeners: changes.listeners_removed.iter().map(|one| one.plan.identity()).collect(),
            pools: names(&changes.pools_removed),
            backends: backends.map(|(pool, backend)| (&**pool, &**backend)).collect(),
        }
    }

    /// The rule by which sessions in this place have to leave it.
    fn rule(&self, place: &Location) -> Option<ReloadRule> {
        let rules = [
            (self.routes.contains(&*place.route), ReloadRule::RouteRemoved),
            (self.listeners.contains(&place.socket), ReloadRule::ListenerRemoved),
            (self.pools.contains(&*place.pool), ReloadRule::PoolRemoved),
            (self.backends.contains(&(&*place.pool, &*place.backend)), ReloadRule::BackendRemoved),
        ];
        rules.into_iter().find(|(holds, _)| *holds).map(|(_, rule)| rule)
    }

    /// Whether those that can be held may go on with another backend; see [`Changes::movable`].
    fn may_move(&self, rule: ReloadRule, place: &Location) -> bool {
        matches!(rule, ReloadRule::PoolRemoved | ReloadRule::BackendRemoved)
            && !self.routes_without_backend.contains(&*place.route)
    }
}

/// The pool that a route leads to.
fn pool_of<'a>(new: &'a Snapshot, route: &str) -> Option<&'a Arc<str>> {
    Some(&new.route(route)?.action.pool()?.plan().name)
}
