//! The literal text a regex begins or ends with, so that most are never run.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

/// What every text that a regex matches has in common.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Affix {
    /// It begins so (`^/room/[0-9]+$`).
    Prefix(String),
    /// It ends so (`\.php$`).
    Suffix(String),
    /// Nothing that can be derived.
    Unknown,
}

/// Reads what every match of the regex `source` has in common; the longer of the two ends.
pub fn affix(source: &str) -> Affix {
    // A regex that was compiled can be parsed, unless its limits were raised: then nothing is
    // derived.
    let Some(hir) = parse(source) else { return Affix::Unknown };
    let HirKind::Concat(parts) = hir.kind() else { return Affix::Unknown };
    let prefix = match &parts[..] {
        [start, next, ..] if is_look(start, Look::Start) => literal(next),
        _ => None,
    };
    let suffix = match &parts[..] {
        [.., before, end] if is_look(end, Look::End) => literal(before),
        _ => None,
    };
    match (prefix, suffix) {
        (Some(prefix), Some(suffix)) if suffix.len() > prefix.len() => Affix::Suffix(suffix),
        (Some(prefix), _) => Affix::Prefix(prefix),
        (None, Some(suffix)) => Affix::Suffix(suffix),
        (None, None) => Affix::Unknown,
    }
}

/// Whether the regex `source` surely matches every path (each begins with `/`): `^/`, `.*`, `^`.
pub fn matches_all(source: &str) -> bool {
    let Some(hir) = parse(source) else { return false };
    let parts = match hir.kind() {
        HirKind::Concat(parts) => &parts[..],
        _ => std::slice::from_ref(&hir),
    };
    let after_start = match parts {
        [start, rest @ ..] if is_look(start, Look::Start) => rest,
        rest => rest,
    };
    let after_slash = match after_start {
        [slash, rest @ ..] if literal(slash).as_deref() == Some("/") => rest,
        rest => rest,
    };
    // What is left may match nothing at all, wherever it stands.
    after_slash.iter().all(|part| match part.kind() {
        HirKind::Repetition(repetition) => repetition.min == 0,
        HirKind::Empty => true,
        _ => false,
    })
}

/// What the regex `source` looks at beside the text it takes: its beginning, its end, a word's.
pub fn looks(source: &str) -> Option<Vec<Look>> {
    Some(parse(source)?.properties().look_set().iter().collect())
}

/// The literal that every text begins with which the regex `source` matches.
pub fn start_literal(source: &str) -> Option<String> {
    let hir = parse(source)?;
    let HirKind::Concat(parts) = hir.kind() else { return None };
    match &parts[..] {
        [start, next, ..] if is_look(start, Look::Start) => literal(next),
        _ => None,
    }
}

/// Literals that stand in every text which the regex `source` matches.
pub fn inner_literals(source: &str) -> Vec<String> {
    let Some(hir) = parse(source) else { return Vec::new() };
    match hir.kind() {
        HirKind::Concat(parts) => parts.iter().filter_map(literal).collect(),
        _ => literal(&hir).into_iter().collect(),
    }
}

/// Parses a regex as the configuration compiles it.
fn parse(source: &str) -> Option<Hir> {
    ParserBuilder::new().dot_matches_new_line(true).build().parse(source).ok()
}

fn is_look(part: &Hir, look: Look) -> bool {
    matches!(part.kind(), HirKind::Look(found) if *found == look)
}

fn literal(part: &Hir) -> Option<String> {
    let HirKind::Literal(literal) = part.kind() else { return None };
    String::from_utf8(literal.0.to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_anchored_literal_is_what_matches_have_in_common() {
        let prefix = |text: &str| Affix::Prefix(text.to_owned());
        let suffix = |text: &str| Affix::Suffix(text.to_owned());
        assert_eq!(affix("^/room/[0-9]+$"), prefix("/room/"));
        assert_eq!(affix(r"^/a\.b"), prefix("/a.b"));
        assert_eq!(affix("^/ab*"), prefix("/a"));
        assert_eq!(affix("^/(one|two)$"), prefix("/"));
        assert_eq!(affix(r"\.php$"), suffix(".php"));
        assert_eq!(affix(r"^/.*\.php$"), suffix(".php"));
    }

    #[test]
    fn where_a_match_may_begin_anywhere_or_in_any_case_nothing_is_told() {
        for source in ["/room", "^/a|/b", "(?m)^/a", "(?i)^a$", "[a-z]", "", "^", "a$|b$"] {
            assert_eq!(affix(source), Affix::Unknown, "{source}");
        }
    }

    #[test]
    fn a_regex_that_takes_every_path_is_known_as_one() {
        for source in ["", "^", "^/", "/", ".*", "^/.*", "^.*", "^/[a-z]*"] {
            assert!(matches_all(source), "{source}");
        }
        for source in ["^/a", "^/.+", ".", "^$", "^/$", "^/a*$", "a*b", "^/a|^/b"] {
            assert!(!matches_all(source), "{source}");
        }
    }
}
