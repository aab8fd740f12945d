//! Header fields removed, set and added.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};

use crate::wire::fields::is_same_spelt;
use crate::wire::template::{self, Fill, Template};

/// What a route changes of a message's fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouteChanges {
    /// The same for every request.
    Fixed(Arc<FieldChanges>),
    /// With values made of the request.
    Templates(Arc<FieldTemplates>),
}

/// Fields removed, then set, then added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldChanges {
    /// Removed.
    pub remove: Vec<HeaderName>,
    /// Set to these values in place of what was there; the same name twice gives two lines.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Lines added beside what is there.
    pub add: Vec<(HeaderName, HeaderValue)>,
}

/// The same, with values that may have holes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FieldTemplates {
    /// Removed.
    pub remove: Vec<HeaderName>,
    /// Set.
    pub set: Vec<(HeaderName, FieldValue)>,
    /// Added.
    pub add: Vec<(HeaderName, FieldValue)>,
}

/// A field's value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FieldValue {
    /// The same for every request.
    Fixed(HeaderValue),
    /// Made of the request.
    Template(Template),
}

impl RouteChanges {
    /// The changes for one request. Nothing is made where no value has a hole.
    pub fn fill(&self, filler: &impl Fill) -> Arc<FieldChanges> {
        match self {
            RouteChanges::Fixed(changes) => Arc::clone(changes),
            RouteChanges::Templates(templates) => Arc::new(templates.fill(filler)),
        }
    }

    /// Whether a field is removed or set, however it is spelt.
    pub fn replaces(&self, name: &HeaderName) -> bool {
        let is = |one: &HeaderName| is_same_spelt(one, name);
        match self {
            RouteChanges::Fixed(changes) => {
                changes.remove.iter().any(is) || changes.set.iter().any(|(name, _)| is(name))
            }
            RouteChanges::Templates(templates) => {
                templates.remove.iter().any(is) || templates.set.iter().any(|(name, _)| is(name))
            }
        }
    }
}

impl Default for RouteChanges {
    fn default() -> RouteChanges {
        RouteChanges::Fixed(Arc::default())
    }
}

impl From<FieldChanges> for RouteChanges {
    fn from(changes: FieldChanges) -> RouteChanges {
        RouteChanges::Fixed(Arc::new(changes))
    }
}

/// Templates without holes are the same for every request.
impl From<FieldTemplates> for RouteChanges {
    fn from(templates: FieldTemplates) -> RouteChanges {
        let all_fixed = |lines: &[(HeaderName, FieldValue)]| {
            let line = |(name, value): &(HeaderName, FieldValue)| match value {
                FieldValue::Fixed(value) => Some((name.clone(), value.clone())),
                FieldValue::Template(_) => None,
            };
            lines.iter().map(line).collect::<Option<Vec<_>>>()
        };
        match (all_fixed(&templates.set), all_fixed(&templates.add)) {
            (Some(set), Some(add)) => FieldChanges { remove: templates.remove, set, add }.into(),
            _ => RouteChanges::Templates(Arc::new(templates)),
        }
    }
}

impl FieldTemplates {
    /// A value that is empty, too long, or cannot stand in a field is no line; what was there goes
    /// all the same, so that no client says what its proxy had nothing to say of.
    fn fill(&self, filler: &impl Fill) -> FieldChanges {
        let mut remove = self.remove.clone();
        let mut set = Vec::with_capacity(self.set.len());
        for (name, value) in &self.set {
            match value.fill(filler) {
                Some(value) => set.push((name.clone(), value)),
                None => remove.push(name.clone()),
            }
        }
        let line =
            |(name, value): &(HeaderName, FieldValue)| Some((name.clone(), value.fill(filler)?));
        FieldChanges { remove, set, add: self.add.iter().filter_map(line).collect() }
    }
}

impl FieldValue {
    fn fill(&self, filler: &impl Fill) -> Option<HeaderValue> {
        match self {
            FieldValue::Fixed(value) => Some(value.clone()),
            FieldValue::Template(template) => {
                let value = template.fill(filler);
                let fits = (1..=template::BYTES_MAX).contains(&value.len());
                HeaderValue::try_from(value).ok().filter(|_| fits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::template::{Hole, REQUEST};

    /// A host that is long or has a tab, and no path.
    struct Host(&'static [u8]);

    impl Fill for Host {
        fn fill(&self, hole: &Hole, out: &mut Vec<u8>) {
            if *hole == Hole::Host {
                out.extend_from_slice(self.0);
            }
        }
    }

    fn changes() -> RouteChanges {
        let value = |text| FieldValue::Template(Template::parse(text, &REQUEST).unwrap());
        let set = vec![
            (HeaderName::from_static("x-host"), value("{host}")),
            (HeaderName::from_static("x-path"), value("{path}")),
        ];
        let add = vec![(HeaderName::from_static("x-add"), value("{path}"))];
        FieldTemplates { remove: Vec::new(), set, add }.into()
    }

    #[test]
    fn a_value_that_says_nothing_sets_no_field_and_takes_the_old_one_away() {
        let filled = changes().fill(&Host(b"example.com"));
        assert_eq!(filled.set, [("x-host".parse().unwrap(), "example.com".parse().unwrap())]);
        assert_eq!(filled.remove, ["x-path"]);
        assert_eq!(filled.add, []);
    }

    #[test]
    fn a_value_that_is_too_long_or_has_a_control_character_is_none() {
        for host in [&[b'a'; template::BYTES_MAX + 1][..], b"a\0b", b"a\r\nX-Evil: 1"] {
            assert_eq!(changes().fill(&Host(host)).remove, ["x-host", "x-path"]);
        }
    }
}
