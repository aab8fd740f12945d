//! A snapshot from a plan, reusing what is equal in the one before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use super::{
    AliveCount, LiveAction, LiveLimits, LiveListener, LivePool, LiveRoute, Snapshot, UNROUTED,
};
use crate::access::{PasswordChecker, Policy, Verifier};
use crate::action::FileServer;
use crate::config::plan::{
    self, AccessRule, Action, Listener, ListenerIdentity, Plan, PoolTarget, Route, Rules,
};
use crate::observe::metrics::Metrics;
use crate::pool::{Backend, Pool};
use crate::router::Router;
use crate::tls::{Acceptor, Alpn, HTTP_1_1, HTTP_2, IssuedCertificates, TlsError};

/// What a listener speaks inside TLS.
fn alpn(listener: &Listener) -> &'static [Alpn] {
    if listener.http2.is_some() { &[HTTP_2, HTTP_1_1] } else { &[HTTP_1_1] }
}

/// Why a plan cannot be put to work.
#[derive(Debug)]
pub enum BuildError {
    /// A pool's TLS cannot be made.
    Pool {
        /// The pool.
        name: Arc<str>,
        /// What is wrong with its TLS.
        error: TlsError,
    },
    /// A listener's TLS cannot be made.
    Tls {
        /// The listener.
        listener: Arc<str>,
        /// What is wrong with its TLS.
        error: TlsError,
    },
    /// An access rule's TLS cannot be made.
    Access {
        /// The rule.
        rule: Arc<str>,
        /// What is wrong with its TLS.
        error: TlsError,
    },
    /// A route names a pool the plan does not have.
    NoPool {
        /// The route.
        route: Arc<str>,
        /// The name.
        pool: Arc<str>,
    },
    /// A route names an access rule the plan does not have.
    NoRule {
        /// The route.
        route: Arc<str>,
        /// The name.
        rule: Arc<str>,
    },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::Pool { name, error } => write!(f, "pool `{name}`: {error}"),
            BuildError::Tls { listener, error } => write!(f, "listener `{listener}`: {error}"),
            BuildError::Access { rule, error } => write!(f, "access rule `{rule}`: {error}"),
            BuildError::NoPool { route, pool } => {
                write!(f, "route `{route}` goes to a pool that is not there: `{pool}`")
            }
            BuildError::NoRule { route, rule } => {
                write!(f, "route `{route}` names an access rule that is not there: `{rule}`")
            }
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BuildError::Pool { error, .. }
            | BuildError::Tls { error, .. }
            | BuildError::Access { error, .. } => Some(error),
            BuildError::NoPool { .. } | BuildError::NoRule { .. } => None,
        }
    }
}

/// Builds the snapshot after `old`. Nothing living is touched: a plan that fails here leaves `old`
/// as it is.
///
/// # Errors
/// The first machine that cannot be made.
pub fn build(
    plan: Arc<Plan>,
    old: Option<&Snapshot>,
    metrics: &Metrics,
) -> Result<Snapshot, BuildError> {
    let pools = pools(&plan, old, metrics)?;
    let issued = old.map(|old| Arc::clone(&old.issued)).unwrap_or_default();
    let listeners = listeners(&plan, old, &issued, metrics)?;
    let passwords = old.map(|old| Arc::clone(&old.passwords));
    let passwords = passwords.unwrap_or_else(PasswordChecker::new);
    let access = verifiers(&plan, old, &passwords, &pools, metrics)?;
    let routes = Routes::of(old).build(&plan, &pools, &access, metrics)?;
    let known = routes.iter().enumerate();
    let known = known.map(|(index, route)| (Arc::clone(&route.plan.identity), index)).collect();
    let unrouted = old.map(|old| Arc::clone(&old.unrouted));
    let departed = old.map(|old| departed(old, &pools)).unwrap_or_default();
    Ok(Snapshot {
        unrouted: unrouted.unwrap_or_else(|| metrics.route(&UNROUTED.into())),
        generation: old.map_or(1, |old| old.generation + 1),
        router: Router::build(&plan.routes),
        routes,
        known,
        pools,
        access,
        passwords,
        departed,
        listeners,
        issued,
        _alive: AliveCount::new(old.map(|old| Arc::clone(&old._alive.0)).unwrap_or_default()),
        plan,
    })
}

fn pools(
    plan: &Plan,
    old: Option<&Snapshot>,
    metrics: &Metrics,
) -> Result<BTreeMap<Arc<str>, Arc<Pool>>, BuildError> {
    let departed = old.map_or(&[][..], |old| &old.departed);
    let build = |pool: &Arc<plan::Pool>| {
        let name = Arc::clone(&pool.name);
        let before = old.and_then(|old| old.pools.get(&name));
        match Pool::build(pool, before, departed, metrics) {
            Ok(built) => Ok((name, built)),
            Err(error) => Err(BuildError::Pool { name, error }),
        }
    };
    plan.pools.iter().map(build).collect()
}

fn verifiers(
    plan: &Plan,
    old: Option<&Snapshot>,
    passwords: &Arc<PasswordChecker>,
    pools: &BTreeMap<Arc<str>, Arc<Pool>>,
    metrics: &Metrics,
) -> Result<BTreeMap<Arc<str>, Arc<Verifier>>, BuildError> {
    let build = |rule: &Arc<AccessRule>| {
        let before = old.and_then(|old| old.access.get(&rule.name));
        let name = Arc::clone(&rule.name);
        match Verifier::build(rule, before, passwords, pools, metrics) {
            Ok(built) => Ok((name, built)),
            Err(error) => Err(BuildError::Access { rule: name, error }),
        }
    };
    plan.access.iter().map(build).collect()
}

/// The backends that are members of no pool any more.
fn departed(old: &Snapshot, pools: &BTreeMap<Arc<str>, Arc<Pool>>) -> Vec<Arc<Backend>> {
    let leased = old.departed.iter().filter(|backend| backend.is_leased());
    let all = leased.chain(old.pools.values().flat_map(|pool| pool.backends()));
    let is_member = |backend: &Backend| {
        let pool = pools.get(backend.pool());
        pool.is_some_and(|pool| pool.backends().iter().any(|one| one.is(backend)))
    };
    all.filter(|backend| !is_member(backend)).cloned().collect()
}

fn listeners(
    plan: &Plan,
    old: Option<&Snapshot>,
    issued: &Arc<IssuedCertificates>,
    metrics: &Metrics,
) -> Result<BTreeMap<ListenerIdentity, Arc<LiveListener>>, BuildError> {
    let build = |listener: &Arc<Listener>| {
        let identity = listener.identity();
        let before = old.and_then(|old| old.listeners.get(&identity));
        if let Some(before) = before.filter(|before| before.plan == *listener) {
            return Ok((identity, Arc::clone(before)));
        }
        let acceptor = match (&listener.tls, before.map(|before| (&before.plan.tls, before))) {
            (None, _) => None,
            // Renewed files have other stamps, so an equal plan is the same certificate.
            (tls, Some((tls_before, before)))
                if tls == tls_before && alpn(listener) == alpn(&before.plan) =>
            {
                before.acceptor.clone()
            }
            (Some(tls), _) => {
                let built = Acceptor::build(tls, alpn(listener), issued);
                Some(Arc::new(built.map_err(|error| BuildError::Tls {
                    listener: Arc::clone(&listener.name),
                    error,
                })?))
            }
        };
        let cells = metrics.listener(&listener.name);
        let live = LiveListener { plan: Arc::clone(listener), acceptor, cells };
        Ok((identity, Arc::new(live)))
    };
    plan.listeners.iter().map(build).collect()
}

/// What routes may be reused of the snapshot before.
struct Routes<'a> {
    by_identity: HashMap<&'a str, &'a Arc<LiveRoute>>,
    rules: HashSet<Arc<Rules>>,
}

impl<'a> Routes<'a> {
    fn of(old: Option<&'a Snapshot>) -> Routes<'a> {
        let routes = old.map_or(&[][..], |old| &old.routes);
        Routes {
            by_identity: routes.iter().map(|route| (&*route.plan.identity, route)).collect(),
            rules: routes.iter().map(|route| Arc::clone(&route.rules)).collect(),
        }
    }

    fn build(
        mut self,
        plan: &Plan,
        pools: &BTreeMap<Arc<str>, Arc<Pool>>,
        access: &BTreeMap<Arc<str>, Arc<Verifier>>,
        metrics: &Metrics,
    ) -> Result<Vec<Arc<LiveRoute>>, BuildError> {
        let build = |route: &Arc<Route>| {
            let (action, access) = (action(route, pools)?, policy(route, access)?);
            Ok(self.route(route, action, access, metrics))
        };
        plan.routes.iter().map(build).collect()
    }

    fn route(
        &mut self,
        plan: &Arc<Route>,
        action: LiveAction,
        access: Option<Policy>,
        metrics: &Metrics,
    ) -> Arc<LiveRoute> {
        let before = self.by_identity.get(&*plan.identity);
        if let Some(before) = before.filter(|before| before.is(plan, &action, access.as_ref())) {
            return Arc::clone(before);
        }
        let rules = self.rules.get(&*plan.rules).cloned().unwrap_or_else(|| {
            self.rules.insert(Arc::clone(&plan.rules));
            Arc::clone(&plan.rules)
        });
        let cells = match before {
            Some(before) => Arc::clone(&before.cells),
            None => metrics.route(&plan.identity),
        };
        let returned = before.map(|before| Arc::clone(&before.returned)).unwrap_or_default();
        let queue = before.map(|before| Arc::clone(&before.queue)).unwrap_or_default();
        let same = before.filter(|before| before.plan.limits == plan.limits);
        let limits = match same {
            Some(before) => Arc::clone(&before.limits),
            None => LiveLimits::new(plan),
        };
        let plan = Arc::clone(plan);
        Arc::new(LiveRoute { plan, rules, access, action, limits, cells, returned, queue })
    }
}

impl LiveRoute {
    /// Whether this is the route planned, with these machines behind it.
    fn is(&self, plan: &Route, action: &LiveAction, access: Option<&Policy>) -> bool {
        let same_pool = match (self.action.pool(), action.pool()) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            // The plans' actions are compared below.
            _ => true,
        };
        let same_access = match (&self.access, access) {
            (Some(one), Some(other)) => one.is(other),
            (None, None) => true,
            _ => false,
        };
        same_pool && same_access && *self.plan == *plan
    }
}

fn policy(
    plan: &Route,
    verifiers: &BTreeMap<Arc<str>, Arc<Verifier>>,
) -> Result<Option<Policy>, BuildError> {
    let Some(demand) = &plan.access else { return Ok(None) };
    let no_rule = |rule| BuildError::NoRule { route: Arc::clone(&plan.identity), rule };
    Policy::build(demand, verifiers).map(Some).map_err(no_rule)
}

fn live_pool(
    plan: &Route,
    target: &PoolTarget,
    pools: &BTreeMap<Arc<str>, Arc<Pool>>,
) -> Result<LivePool, BuildError> {
    let no_pool =
        || BuildError::NoPool { route: Arc::clone(&plan.identity), pool: Arc::clone(&target.name) };
    let pool = pools.get(&target.name).ok_or_else(no_pool)?;
    Ok(LivePool { pool: Arc::clone(pool), target: target.clone() })
}

fn action(plan: &Route, pools: &BTreeMap<Arc<str>, Arc<Pool>>) -> Result<LiveAction, BuildError> {
    Ok(match &plan.action {
        Action::Pool(target) => LiveAction::Pool(live_pool(plan, target, pools)?),
        Action::Files(files) => {
            let strip_prefix = files.strip_prefix;
            let prefix = plan.path.prefix().filter(|_| strip_prefix);
            let fallback = files.pool.as_ref().map(|target| live_pool(plan, target, pools));
            let fallback = fallback.transpose()?;
            LiveAction::Files { files: FileServer::new(files, prefix), strip_prefix, fallback }
        }
        Action::Redirect(redirect) => LiveAction::Redirect(redirect.clone()),
        Action::Respond(respond) => LiveAction::Respond(respond.clone()),
        Action::Api(api) => LiveAction::Api(api.clone()),
    })
}
