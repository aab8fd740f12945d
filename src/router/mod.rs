//! Which route takes a request.
//!
//! **In:** the plan's conditions; then host, path, method and fields. **Out:** the index of a
//! route, and why the others were not taken. **Never here:** I/O, actions.
//!
//! A route *takes* a request when its listener, host, path, method and header conditions all hold.
//! Among those that take it the precedence is nginx's:
//!
//! 1. the host: exact, then the longest wildcard, then shorter ones, then any;
//! 2. the path: exact; the longest prefix, if it says that it is final (`^~`); regexes in file
//!    order; the longest prefix, `/chat` before `/chat*`;
//! 3. same path: one for which case counts before one that ignores it;
//! 4. same host and path: routes with conditions on listener, method or header fields in file
//!    order, then routes without.
//!
//! Where nginx first decides for a host and then answers 404 when none of its paths fits, tidegate
//! continues with the next less exact host: a route for any host is a fallback for all. Likewise a
//! route whose listener, method or field conditions do not hold is passed over as though it were
//! not there.
//!
//! A lookup hashes the host, the path, and those beginnings of the path whose length some route's
//! prefix has: its cost grows with the number of different lengths, not of routes. Regexes are
//! kept by the literal text they begin or end with; only one that has neither is tried on every
//! path of its host. Nothing is allocated, but for a path with capitals on a host some of whose
//! routes ignore case.

mod affix;
mod by_listener;
mod case;
mod conditions;
mod cover;
mod explain;
mod literal;
mod query;
mod rank;
mod shadow;
mod table;

pub use by_listener::taken_on_every_listener;
pub use case::CaseCounts;
pub use explain::MatchOutcome;
pub use query::Query;
pub use rank::Precedence;
pub use shadow::{Unreachable, UnreachableCause};

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::plan::{HostPattern, Route};
use affix::ByLength;
use table::{Builder, RouteTable};

/// Finds the route for a request. Built once, then only read.
///
/// ```
/// use http::{HeaderMap, Method};
/// use tidegate::config;
/// use tidegate::router::{Query, Router};
///
/// let text = r#"
///     listeners.web = { address = "127.0.0.1:8080" }
///     routes = [
///         { path = "/", respond = { status = 404 } },
///         { path = "/chat", respond = { body = "hello" } },
///     ]
/// "#;
/// let loaded = config::load_text("site.toml".as_ref(), text, &|_| None).unwrap();
/// let router = Router::build(&loaded.plan.routes);
/// let headers = HeaderMap::new();
/// let query = |path| Query {
///     listener: Some("web"),
///     host: Some("example.com"),
///     path,
///     method: &Method::GET,
///     headers: &headers,
///     is_websocket: false,
/// };
/// // A prefix ends at a segment, and the longest wins.
/// assert_eq!(router.find(&query("/chat/room")), Some(1));
/// assert_eq!(router.find(&query("/chatter")), Some(0));
/// ```
#[derive(Debug)]
pub struct Router {
    routes: Vec<Arc<Route>>,
    tables: Vec<RouteTable>,
    /// Indices into `tables`, for each way a route can name its host.
    exact: foldhash::HashMap<Box<str>, usize>,
    wildcard: ByLength<usize>,
    any: Option<usize>,
}

impl Router {
    /// A router over `routes`, which are in file order; an index it gives is an index into them.
    pub fn build(routes: &[Arc<Route>]) -> Router {
        let mut builders: Vec<Builder> = Vec::new();
        let mut by_host: HashMap<&HostPattern, usize> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            let table = *by_host.entry(&route.host).or_insert_with(|| {
                builders.push(Builder::default());
                builders.len() - 1
            });
            builders[table].add(index, route);
        }
        let mut router = Router {
            routes: routes.to_vec(),
            tables: builders.into_iter().map(|builder| builder.finish(routes)).collect(),
            exact: foldhash::HashMap::default(),
            wildcard: ByLength::default(),
            any: None,
        };
        for (host, table) in by_host {
            match host {
                HostPattern::Exact(name) => drop(router.exact.insert((&**name).into(), table)),
                // With its dot, so that only whole labels are compared.
                HostPattern::Wildcard(name) => {
                    *router.wildcard.entry(&format!(".{name}")) = table;
                }
                HostPattern::Any => router.any = Some(table),
            }
        }
        router
    }

    /// The route that takes this request: an index into the routes the router was built from.
    pub fn find(&self, query: &Query<'_>) -> Option<usize> {
        let host = query.host.unwrap_or_default();
        let exact = self.exact.get(host).into_iter();
        // A name below the wildcard's, not the bare suffix: something stands before the dot.
        let below = self.wildcard.suffixes(host, |at| at > 0 && host.as_bytes()[at] == b'.');
        let mut levels = exact.chain(below).chain(&self.any);
        levels.find_map(|&level| self.tables[level].find(&self.routes, query))
    }
}

#[cfg(test)]
mod tests;
