//! Routes that can never be taken, found without a request.

use std::collections::HashMap;
use std::fmt;

use crate::config::plan::{HostPattern, PathPattern, Route};

use super::Router;
use super::conditions::{self, implies};
use super::cover::Cover;
use super::literal::{Affix, affix, matches_all};
use super::rank::same_place;
use super::table::{is_final, prefix_of};

/// A route that no request can reach.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreachable {
    /// The route.
    pub route: usize,
    /// The route that takes every request it would take; none when there is no such request.
    pub by: Option<usize>,
    /// How it comes to be out of reach.
    pub why: UnreachableCause,
}

/// How a route comes to be out of reach.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnreachableCause {
    /// An earlier route has the same host and path, and takes all that this one would.
    Same,
    /// A prefix that is final (`^~`) takes every path that this regex could match.
    FinalPrefix,
    /// A regex that matches every path comes before this regex or prefix.
    CatchAllRegex,
    /// A regex that comes before this one matches every path that this one could.
    WiderRegex,
    /// A prefix for every path that ends at a segment (`/`) comes before the textual one (`/*`).
    Root,
    /// No normalised path is like this: it lacks its first slash, or has an empty or a dot segment.
    NoSuchPath,
}

impl fmt::Display for UnreachableCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UnreachableCause::Same => {
                "an earlier route with the same host and path takes all its requests"
            }
            UnreachableCause::FinalPrefix => {
                "a final prefix (`^~`) takes every path its regex could match"
            }
            UnreachableCause::CatchAllRegex => "a regex that matches every path comes before it",
            UnreachableCause::WiderRegex => {
                "a regex before it matches every path that its own could"
            }
            UnreachableCause::Root => "the prefix `/` comes before it",
            UnreachableCause::NoSuchPath => {
                "paths are compared after normalisation: none is without its first slash, or has \
                 an empty, `.` or `..` segment"
            }
        })
    }
}

impl Router {
    /// The routes that no request can reach. Only what is certain is reported: a regex hidden by
    /// several others together, for example, is not.
    pub fn unreachable(&self) -> Vec<Unreachable> {
        let mut by_host: HashMap<&HostPattern, Vec<usize>> = HashMap::new();
        for (index, route) in self.routes.iter().enumerate() {
            by_host.entry(&route.host).or_default().push(index);
        }
        let mut found: Vec<Unreachable> = by_host
            .into_values()
            .flat_map(|routes| HostRoutes::new(self, routes).unreachable())
            .collect();
        found.sort_by_key(|unreachable| unreachable.route);
        found
    }
}

/// The routes of one host, seen as a whole.
struct HostRoutes<'a> {
    router: &'a Router,
    routes: Vec<usize>,
    /// Those with the same path, by its text.
    places: HashMap<String, Vec<usize>>,
    /// Regexes that match every path.
    catch_all: Vec<usize>,
    /// Which regexes match whatever another one matches.
    cover: Cover,
    /// The final prefixes.
    finals: Vec<usize>,
    /// The other prefixes.
    open: Vec<usize>,
}

impl<'a> HostRoutes<'a> {
    fn new(router: &'a Router, routes: Vec<usize>) -> HostRoutes<'a> {
        let mut places: HashMap<String, Vec<usize>> = HashMap::new();
        let (mut catch_all, mut finals, mut open) = (Vec::new(), Vec::new(), Vec::new());
        for &index in &routes {
            let route = &router.routes[index];
            places.entry(place(route)).or_default().push(index);
            match &route.path {
                PathPattern::Exact(_) => {}
                PathPattern::Regex(regex) if matches_all(regex.as_str()) => catch_all.push(index),
                PathPattern::Regex(_) => {}
                prefix if is_final(prefix) => finals.push(index),
                _ => open.push(index),
            }
        }
        let regexes: Vec<(usize, &str)> = routes
            .iter()
            .filter_map(|&index| match &router.routes[index].path {
                PathPattern::Regex(regex) => Some((index, regex.as_str())),
                _ => None,
            })
            .collect();
        let cover = Cover::new(&regexes);
        HostRoutes { router, routes, places, catch_all, cover, finals, open }
    }

    fn unreachable(&self) -> Vec<Unreachable> {
        let why = |&index: &usize| {
            let (by, why) = self.shadow(index)?;
            Some(Unreachable { route: index, by, why })
        };
        self.routes.iter().filter_map(why).collect()
    }

    fn shadow(&self, index: usize) -> Option<(Option<usize>, UnreachableCause)> {
        let route = self.route(index);
        if !is_possible(&route.path) {
            return Some((None, UnreachableCause::NoSuchPath));
        }
        let found = |by: usize, why: UnreachableCause| Some((Some(by), why));
        if let Some(by) = self.same(index) {
            return found(by, UnreachableCause::Same);
        }
        if let Some(by) = self.catch_all(index) {
            return found(by, UnreachableCause::CatchAllRegex);
        }
        match &route.path {
            PathPattern::Regex(regex) if let Some(by) = self.wider(index, regex.as_str()) => {
                found(by, UnreachableCause::WiderRegex)
            }
            PathPattern::Regex(regex) => match affix(regex.as_str()) {
                Affix::Prefix(literal) => {
                    found(self.final_prefix(index, &literal)?, UnreachableCause::FinalPrefix)
                }
                _ => None,
            },
            PathPattern::Textual { prefix, .. } if **prefix == *"/" => {
                let roots = self.places.get("/")?;
                let by = roots.iter().find(|&&root| implies(route, self.route(root)))?;
                found(*by, UnreachableCause::Root)
            }
            _ => None,
        }
    }

    /// A route tried before in the same place that takes whatever this one takes.
    fn same(&self, index: usize) -> Option<usize> {
        let route = self.route(index);
        let place = self.places.get(&place(route))?;
        place.iter().copied().find(|&other| {
            let wide = self.route(other);
            let before = match (conditions::any(wide), conditions::any(route)) {
                (true, false) => true,
                (false, true) => false,
                _ => other < index,
            };
            before && same_place(wide, route) && implies(route, wide)
        })
    }

    /// A regex for every path that is tried before this regex, or before this prefix.
    fn catch_all(&self, index: usize) -> Option<usize> {
        let route = self.route(index);
        let outranked = |by: usize| match &route.path {
            PathPattern::Exact(_) => false,
            PathPattern::Regex(_) => self.place_of(by) < self.place_of(index),
            prefix => !is_final(prefix),
        };
        let takes_all =
            |&by: &usize| by != index && outranked(by) && implies(route, self.route(by));
        self.catch_all.iter().copied().find(takes_all)
    }

    /// A regex tried before that matches every path which `source`, that of this route, matches.
    fn wider(&self, index: usize, source: &str) -> Option<usize> {
        let route = self.route(index);
        let before = |&by: &usize| {
            self.place_of(by) < self.place_of(index) && implies(route, self.route(by))
        };
        self.cover.of(source).into_iter().find(before)
    }

    /// The position at which a regex is tried: that of the first in the file with its source.
    fn place_of(&self, index: usize) -> usize {
        let place = self.places.get(&place(self.route(index)));
        place.and_then(|same| same.first().copied()).unwrap_or(index)
    }

    /// A final prefix that holds every path that begins with `literal`, where no longer prefix lets
    /// regexes in again.
    fn final_prefix(&self, index: usize, literal: &str) -> Option<usize> {
        let route = self.route(index);
        let text = |index: usize| prefix_of(&self.route(index).path).unwrap_or_default();
        let holds_all = |index: usize| match &self.route(index).path {
            PathPattern::Segment { prefix, .. } if **prefix != *"/" => {
                literal.strip_prefix(&**prefix).is_some_and(|rest| rest.starts_with('/'))
            }
            _ => literal.starts_with(text(index)),
        };
        let opens = |closed: usize| {
            let reopens = |&open: &usize| {
                // What another case of letters takes is not told here.
                if self.route(open).ignore_case || self.route(closed).ignore_case {
                    return true;
                }
                let (open, closed) = (text(open), text(closed));
                open.len() >= closed.len()
                    && (open.starts_with(literal) || literal.starts_with(open))
            };
            self.open.iter().any(reopens)
        };
        let shuts = |&by: &usize| holds_all(by) && !opens(by) && implies(route, self.route(by));
        self.finals.iter().copied().find(shuts)
    }

    fn route(&self, index: usize) -> &'a Route {
        &self.router.routes[index]
    }
}

/// A path's place among the host's, as a text: as it is written, but for its finality.
fn place(route: &Route) -> String {
    let written = route.path.to_string();
    let written = written.strip_prefix("^~ ").unwrap_or(&written);
    match route.ignore_case {
        true => format!("{written} any case"),
        false => written.to_owned(),
    }
}

/// Whether some normalised path can be like this.
fn is_possible(path: &PathPattern) -> bool {
    let (text, goes_on) = match path {
        PathPattern::Regex(_) => return true,
        PathPattern::Textual { prefix, .. } => (prefix, true),
        PathPattern::Exact(text) | PathPattern::Segment { prefix: text, .. } => (text, false),
    };
    let Some(rest) = text.strip_prefix('/') else {
        // `OPTIONS *` (RFC 9112 §3.2.4); and a textual prefix may be no text at all.
        return **text == *"*" || text.is_empty() && goes_on;
    };
    let is_dots = |segment: &str| segment == "." || segment == "..";
    let mut segments = rest.split('/');
    // The last may be empty, after a final slash; in a textual prefix it may be one half written.
    let last = segments.next_back().unwrap_or_default();
    (goes_on || !is_dots(last)) && segments.all(|inner| !inner.is_empty() && !is_dots(inner))
}
