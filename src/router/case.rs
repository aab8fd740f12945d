//! Denials that another spelling of the path gets round.

use http::{HeaderMap, Method};

use crate::config::plan::{Action, HostPattern, PathPattern, Route};

use super::Router;
use super::literal::{Affix, affix};
use super::query::Query;

/// A route that denies a path in one case of letters only, where others of them reach a backend or
/// a directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CaseCounts {
    /// The route that denies.
    pub route: usize,
    /// A path that is not denied.
    pub path: String,
    /// The route that takes it.
    pub by: usize,
}

impl CaseCounts {
    /// The routes that deny a path with 4xx or 5xx, unless its letters are in another case.
    pub fn of(router: &Router) -> Vec<CaseCounts> {
        (0..router.routes.len()).filter_map(|route| CaseCounts::of_route(router, route)).collect()
    }

    fn of_route(router: &Router, index: usize) -> Option<CaseCounts> {
        let route = &router.routes[index];
        if !denies(route) || route.ignore_case {
            return None;
        }
        let path = other_case(route)?;
        let host = match &route.host {
            HostPattern::Exact(name) => Some(name.to_string()),
            HostPattern::Wildcard(name) => Some(format!("any.{name}")),
            HostPattern::Any => None,
        };
        let by = router.find(&Query {
            listener: route.listeners.first().map(|name| &**name),
            host: host.as_deref(),
            path: &path,
            is_websocket: false,
            method: route.methods.first().unwrap_or(&Method::GET),
            headers: &HeaderMap::new(),
        })?;
        let serves = matches!(router.routes[by].action, Action::Pool(_) | Action::Files(_));
        serves.then_some(CaseCounts { route: index, path, by })
    }
}

fn denies(route: &Route) -> bool {
    matches!(&route.action, Action::Respond(respond) if respond.status.as_u16() >= 400)
}

/// A path of the route's in other letters; `None` where it has none that could be.
fn other_case(route: &Route) -> Option<String> {
    let text = match &route.path {
        PathPattern::Regex(regex) => match affix(regex.as_str()) {
            Affix::Prefix(text) => text,
            Affix::Suffix(text) => format!("/a{text}"),
            Affix::Unknown => return None,
        },
        literal => literal.prefix()?.to_owned(),
    };
    let swap = |letter: char| match letter.is_ascii_lowercase() {
        true => letter.to_ascii_uppercase(),
        false => letter.to_ascii_lowercase(),
    };
    let other: String = text.chars().map(swap).collect();
    (other != text).then_some(other)
}
