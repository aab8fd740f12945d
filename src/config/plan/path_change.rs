//! What becomes of a path on its way to a pool.

use std::sync::Arc;

/// What becomes of a path, in this order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PathChange {
    /// What stands in place of the route's own path, escaped, without a last slash: empty where
    /// that is cut off. `None` leaves it.
    pub prefix: Option<Arc<str>>,
    /// What is rewritten then.
    pub rewrite: Option<PathRewrite>,
}

impl PathChange {
    /// Whether the route's own path is cut off, with nothing in its place.
    pub fn is_cut(&self) -> bool {
        self.prefix.as_deref() == Some("")
    }
}

/// What a regex finds in a path, replaced.
#[derive(Clone, Debug)]
pub struct PathRewrite {
    /// What is looked for, in the path as routes are matched with it. Compared by its source.
    pub from: regex::Regex,
    /// What stands there instead.
    pub to: Arc<[RewritePart]>,
}

/// A part of what a path is rewritten to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RewritePart {
    /// This text, not escaped.
    Text(Box<str>),
    /// What the regex's group of this number has found.
    Group(usize),
}

impl PartialEq for PathRewrite {
    fn eq(&self, other: &PathRewrite) -> bool {
        self.from.as_str() == other.from.as_str() && self.to == other.to
    }
}

impl Eq for PathRewrite {}
