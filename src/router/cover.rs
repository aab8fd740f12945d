//! Regexes that surely match whatever a later one matches: `^/a` before `^/a/b`.

use regex::{RegexSet, RegexSetBuilder};
use regex_syntax::hir::Look;

use super::literal::{inner_literals, looks, start_literal};

/// The regexes of one host, asked all at once.
#[derive(Default)]
pub struct Cover {
    /// Those that look at nothing beside what they match.
    free: RegexGroup,
    /// Those that look at the text's beginning at most.
    from_start: RegexGroup,
}

/// Regexes by the routes they stand in.
#[derive(Default)]
struct RegexGroup {
    routes: Vec<usize>,
    /// None where they are too many for one automaton: then nothing is reported.
    set: Option<RegexSet>,
}

impl RegexGroup {
    fn new(found: &[(usize, &str)]) -> RegexGroup {
        let sources = found.iter().map(|(_, source)| source);
        let set = RegexSetBuilder::new(sources).dot_matches_new_line(true).build().ok();
        RegexGroup { routes: found.iter().map(|(route, _)| *route).collect(), set }
    }

    fn matching(&self, text: &str) -> impl Iterator<Item = usize> + use<'_> {
        let found = self.set.as_ref().map(|set| set.matches(text).into_iter().collect::<Vec<_>>());
        found.into_iter().flatten().map(|at| self.routes[at])
    }
}

impl Cover {
    /// Of the regexes of one host, each with its route.
    pub fn new(regexes: &[(usize, &str)]) -> Cover {
        let of = |wanted: &dyn Fn(&[Look]) -> bool| {
            let fits = |source: &str| looks(source).is_some_and(|looks| wanted(&looks));
            let found: Vec<_> =
                regexes.iter().copied().filter(|(_, source)| fits(source)).collect();
            RegexGroup::new(&found)
        };
        Cover {
            free: of(&|looks| looks.is_empty()),
            from_start: of(&|looks| looks.iter().all(|look| *look == Look::Start)),
        }
    }

    /// The routes whose regex matches each text that the regex `source` matches; its own, too.
    ///
    /// What is matched holds the literal parts of `source`, at the beginning when it is anchored
    /// there. A regex that matches such a part, and does not look behind its end, matches every
    /// text with that part.
    pub fn of(&self, source: &str) -> Vec<usize> {
        let start = start_literal(source);
        let mut found: Vec<usize> =
            start.iter().flat_map(|text| self.from_start.matching(text)).collect();
        found.extend(inner_literals(source).iter().flat_map(|text| self.free.matching(text)));
        found.sort_unstable();
        found.dedup();
        found
    }
}
