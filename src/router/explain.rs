//! Why a route is taken, or not, told to a person.

use std::fmt;

use http::HeaderName;

use crate::config::plan::{HostPattern, PathPattern, Route};

use super::Router;
use super::conditions::{UnmetCondition, refusal};
use super::query::Query;
use super::rank::Precedence;
use super::table::ends_segment;

/// What became of one route when a request was routed; the first condition that does not hold is
/// told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MatchOutcome {
    /// It takes the request.
    Taken,
    /// It is for another host.
    Host,
    /// It is for another path.
    Path,
    /// It is for requests that come in by other listeners.
    Listener,
    /// It is for WebSocket handshakes.
    WebSocket,
    /// It is for other methods.
    Method,
    /// This header field is not as it wants it.
    Field(HeaderName),
    /// It would take the request, but another comes first.
    Outranked {
        /// The route that is taken.
        by: usize,
        /// Why that one comes first.
        why: Precedence,
    },
}

impl fmt::Display for MatchOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MatchOutcome::Taken => f.write_str("taken"),
            MatchOutcome::Host => f.write_str("another host"),
            MatchOutcome::Path => f.write_str("another path"),
            MatchOutcome::Listener => f.write_str("another listener"),
            MatchOutcome::WebSocket => f.write_str("no WebSocket handshake"),
            MatchOutcome::Method => f.write_str("another method"),
            MatchOutcome::Field(name) => write!(f, "header field `{name}` does not hold"),
            MatchOutcome::Outranked { why, .. } => write!(f, "the route taken comes first: {why}"),
        }
    }
}

impl Router {
    /// What becomes of each route, in file order, when this request is routed. Slow: for people.
    pub fn explain(&self, query: &Query<'_>) -> Vec<(usize, MatchOutcome)> {
        let taken = self.find(query);
        (0..self.routes.len()).map(|index| (index, self.outcome(index, taken, query))).collect()
    }

    fn outcome(&self, index: usize, taken: Option<usize>, query: &Query<'_>) -> MatchOutcome {
        let route = &self.routes[index];
        if !host_holds(&route.host, query.host) {
            return MatchOutcome::Host;
        }
        if !path_holds(route, query.path) {
            return MatchOutcome::Path;
        }
        match (refusal(route, query), taken) {
            (Some(UnmetCondition::Listener), _) => MatchOutcome::Listener,
            (Some(UnmetCondition::WebSocket), _) => MatchOutcome::WebSocket,
            (Some(UnmetCondition::Method), _) => MatchOutcome::Method,
            (Some(UnmetCondition::Field(name)), _) => MatchOutcome::Field(name.clone()),
            (None, Some(by)) if by != index => {
                let why = Precedence::between(&self.routes[by], route);
                MatchOutcome::Outranked { by, why }
            }
            (None, _) => MatchOutcome::Taken,
        }
    }
}

fn host_holds(pattern: &HostPattern, host: Option<&str>) -> bool {
    match (pattern, host) {
        (HostPattern::Any, _) => true,
        (HostPattern::Exact(name), Some(host)) => **name == *host,
        (HostPattern::Wildcard(name), Some(host)) => {
            let below = host.strip_suffix(&**name).and_then(|rest| rest.strip_suffix('.'));
            below.is_some_and(|below| !below.is_empty())
        }
        (_, None) => false,
    }
}

fn path_holds(route: &Route, path: &str) -> bool {
    let covered = route.prefix_of(path);
    match &route.path {
        PathPattern::Exact(_) => covered == Some(path.len()),
        PathPattern::Segment { .. } => covered.is_some_and(|at| ends_segment(path, at)),
        PathPattern::Textual { .. } => covered.is_some(),
        PathPattern::Regex(regex) => regex.is_match(path),
    }
}
