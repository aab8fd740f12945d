//! The paths of one host.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

use crate::config::plan::{PathPattern, Route};
use crate::wire::path::fold;

use super::affix::ByLength;
use super::conditions::{self, refusal};
use super::literal::{Affix, affix};
use super::query::Query;

/// Routes with the same host and path, in the order they are tried.
type Group = Vec<usize>;

/// The routes of one host, found by path.
#[derive(Debug, Default)]
pub struct RouteTable {
    cased: Literals,
    /// Those that ignore case, by their folded text.
    folded: Literals,
    regexes: Regexes,
}

/// Routes whose path is a literal text.
#[derive(Debug, Default)]
struct Literals {
    exact: foldhash::HashMap<Box<str>, Group>,
    segment: ByLength<Group>,
    textual: ByLength<Group>,
}

/// Regexes in file order, those that are equal together.
#[derive(Debug, Default)]
struct Regexes {
    listed: Vec<(Regex, Group)>,
    // Positions in `listed`, ascending, by what a path must begin or end with to be matched.
    by_prefix: ByLength<Vec<usize>>,
    by_suffix: ByLength<Vec<usize>>,
    unknown: Vec<usize>,
}

impl RouteTable {
    /// The index of the route that takes the request, whose host is this table's.
    pub fn find(&self, routes: &[Arc<Route>], query: &Query<'_>) -> Option<usize> {
        let taker = |group: &Group| {
            group.iter().copied().find(|&index| refusal(&routes[index], query).is_none())
        };
        let folded = match self.folded.is_empty() {
            true => Cow::Borrowed(query.path),
            false => fold(query.path),
        };
        let exact = |literals: &Literals, path: &str| literals.exact.get(path).and_then(taker);
        let exact = exact(&self.cased, query.path).or_else(|| exact(&self.folded, &folded));
        if exact.is_some() {
            return exact;
        }
        let prefix = self.cased.longest_prefix(query.path, taker);
        let folded = self.folded.longest_prefix(&folded, taker);
        let prefix = longer(routes, prefix, folded);
        match prefix {
            Some(index) if is_final(&routes[index].path) => prefix,
            _ => self.regexes.first(query.path, taker).or(prefix),
        }
    }
}

impl Literals {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.segment.is_empty() && self.textual.is_empty()
    }

    /// The routes with the longest prefix of `path` of each kind, a segment's first.
    fn longest_prefix(
        &self,
        path: &str,
        taker: impl Fn(&Group) -> Option<usize>,
    ) -> [Option<usize>; 2] {
        let segment = self.segment.prefixes(path, |at| ends_segment(path, at)).find_map(&taker);
        let textual = self.textual.prefixes(path, |_| true).find_map(&taker);
        [segment, textual]
    }

    fn groups(&mut self) -> impl Iterator<Item = &mut Group> {
        let prefixes = self.segment.values_mut().chain(self.textual.values_mut());
        self.exact.values_mut().chain(prefixes)
    }
}

/// Of prefixes that take a request the longest; of the same text a segment before a textual one,
/// then one that minds case before one that does not: the narrower condition.
fn longer(
    routes: &[Arc<Route>],
    cased: [Option<usize>; 2],
    folded: [Option<usize>; 2],
) -> Option<usize> {
    let [[segment, textual], [folded_segment, folded_textual]] = [cased, folded];
    let found = [segment, folded_segment, textual, folded_textual].into_iter().flatten();
    let length = |index: &usize| prefix_of(&routes[*index].path).map_or(0, str::len);
    // The last of equals is taken.
    found.rev().max_by_key(length)
}

impl Regexes {
    fn first(&self, path: &str, taker: impl Fn(&Group) -> Option<usize>) -> Option<usize> {
        let mut best: Option<(usize, usize)> = None;
        let begin = self.by_prefix.prefixes(path, |_| true);
        let end = self.by_suffix.suffixes(path, |_| true);
        for positions in begin.chain(end).chain([&self.unknown]) {
            let before = |position: usize| best.is_none_or(|(first, _)| position < first);
            let found = positions.iter().take_while(|&&at| before(at)).find_map(|&position| {
                let (regex, group) = &self.listed[position];
                if !regex.is_match(path) {
                    return None;
                }
                Some((position, taker(group)?))
            });
            best = found.or(best);
        }
        best.map(|(_, index)| index)
    }
}

/// A table in the making.
#[derive(Debug, Default)]
pub struct Builder {
    table: RouteTable,
    by_source: foldhash::HashMap<String, usize>,
}

impl Builder {
    /// Adds a route; they come in file order.
    pub fn add(&mut self, index: usize, route: &Route) {
        let table = &mut self.table;
        let literals = if route.ignore_case { &mut table.folded } else { &mut table.cased };
        let group = match &route.path {
            PathPattern::Regex(regex) => {
                let source = regex.as_str().to_owned();
                let listed = &mut table.regexes.listed;
                let position = *self.by_source.entry(source).or_insert_with(|| {
                    listed.push((regex.clone(), Group::new()));
                    listed.len() - 1
                });
                &mut listed[position].1
            }
            PathPattern::Exact(path) => literals.exact.entry((&**path).into()).or_default(),
            PathPattern::Segment { prefix, .. } => literals.segment.entry(prefix),
            PathPattern::Textual { prefix, .. } => literals.textual.entry(prefix),
        };
        group.push(index);
    }

    /// The table, ready to be read.
    pub fn finish(self, routes: &[Arc<Route>]) -> RouteTable {
        let mut table = self.table;
        // The sort is stable: file order stays within both halves.
        let order =
            |group: &mut Group| group.sort_by_key(|&index| !conditions::any(&routes[index]));
        table.cased.groups().chain(table.folded.groups()).for_each(order);
        let regexes = &mut table.regexes;
        for (position, (regex, group)) in regexes.listed.iter_mut().enumerate() {
            order(group);
            let positions = match affix(regex.as_str()) {
                Affix::Prefix(text) => regexes.by_prefix.entry(&text),
                Affix::Suffix(text) => regexes.by_suffix.entry(&text),
                Affix::Unknown => &mut regexes.unknown,
            };
            positions.push(position);
        }
        table
    }
}

/// Whether a segment prefix of `length` bytes may end there: before a slash, at the path's end, or
/// with a slash of its own (`/`).
pub fn ends_segment(path: &str, length: usize) -> bool {
    let bytes = path.as_bytes();
    length == bytes.len() || bytes[length] == b'/' || length > 0 && bytes[length - 1] == b'/'
}

/// Whether a prefix says that no regex is tried when it is the longest.
pub fn is_final(path: &PathPattern) -> bool {
    matches!(
        path,
        PathPattern::Segment { is_final: true, .. } | PathPattern::Textual { is_final: true, .. }
    )
}

/// The text of a prefix, of either kind.
pub fn prefix_of(path: &PathPattern) -> Option<&str> {
    match path {
        PathPattern::Segment { prefix, .. } | PathPattern::Textual { prefix, .. } => Some(prefix),
        PathPattern::Exact(_) | PathPattern::Regex(_) => None,
    }
}
