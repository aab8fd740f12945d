//! Why, of two routes that both take a request, the one is taken.

use std::fmt;

use crate::config::plan::{PathPattern, Route};

use super::conditions;
use super::table::prefix_of;

/// Why the route that was taken comes before another that would have taken the request too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Precedence {
    /// Its host is more exact.
    Host,
    /// Its path is exact.
    ExactPath,
    /// It is the longest prefix and says that no regex is tried (`^~`).
    FinalPrefix,
    /// Regexes come before prefixes that do not say that they are final.
    Regex,
    /// Of two regexes, the earlier in the file.
    EarlierRegex,
    /// Its prefix is longer.
    LongerPrefix,
    /// Of the same prefix, the one that ends at a segment.
    Segment,
    /// Of the same path, the one for which case counts.
    Case,
    /// Of the same host and path, the one with conditions on method or header fields.
    Conditions,
    /// All else alike, the earlier in the file.
    Earlier,
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precedence::Host => "its host is more exact",
            Precedence::ExactPath => "its path is exact",
            Precedence::FinalPrefix => "its prefix is the longest and final (`^~`)",
            Precedence::Regex => "a regex comes before a prefix that is not final",
            Precedence::EarlierRegex => "its regex is earlier in the file",
            Precedence::LongerPrefix => "its prefix is longer",
            Precedence::Segment => "its prefix ends at a segment",
            Precedence::Case => "case counts in its path",
            Precedence::Conditions => "it has conditions on listener, method or header fields",
            Precedence::Earlier => "it is earlier in the file",
        })
    }
}

impl Precedence {
    /// Why `taken` was taken and not `other`, when both take the request.
    pub fn between(taken: &Route, other: &Route) -> Precedence {
        if taken.host != other.host {
            return Precedence::Host;
        }
        match (&taken.path, &other.path) {
            _ if same_place(taken, other) => {
                match (conditions::any(taken), conditions::any(other)) {
                    (true, false) => Precedence::Conditions,
                    _ => Precedence::Earlier,
                }
            }
            (PathPattern::Exact(_), PathPattern::Exact(_)) => Precedence::Case,
            (PathPattern::Exact(_), _) => Precedence::ExactPath,
            (PathPattern::Regex(_), PathPattern::Regex(_)) => Precedence::EarlierRegex,
            (PathPattern::Regex(_), _) => Precedence::Regex,
            (_, PathPattern::Regex(_)) => Precedence::FinalPrefix,
            (one, other) if prefix_of(one) != prefix_of(other) => Precedence::LongerPrefix,
            (PathPattern::Segment { .. }, PathPattern::Textual { .. }) => Precedence::Segment,
            _ => Precedence::Case,
        }
    }
}

/// Whether two routes' paths are one place in the order: equal but for their finality.
pub fn same_place(one: &Route, other: &Route) -> bool {
    let same = match (&one.path, &other.path) {
        (PathPattern::Segment { prefix, .. }, PathPattern::Segment { prefix: other, .. })
        | (PathPattern::Textual { prefix, .. }, PathPattern::Textual { prefix: other, .. }) => {
            prefix == other
        }
        (PathPattern::Segment { .. }, PathPattern::Textual { .. })
        | (PathPattern::Textual { .. }, PathPattern::Segment { .. }) => false,
        (one, other) => one == other,
    };
    same && one.ignore_case == other.ignore_case
}
