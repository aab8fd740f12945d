//! What a node gives piece by piece: its place and value, its elements, its keys and values.

use std::ops::Range;

use serde::de::value::{BorrowedStrDeserializer, U32Deserializer};
use serde::de::{DeserializeSeed, MapAccess, SeqAccess};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Fault;
use super::key::KeyNode;
use super::node::{Node, Subject, Value};

/// File, start, end and value of one node. A faulty value is reported and left out.
pub struct Placed<'r, 'i> {
    node: Option<Node<'r, 'i>>,
    given: usize,
}

impl<'r, 'i> Placed<'r, 'i> {
    pub(super) fn new(node: Node<'r, 'i>) -> Placed<'r, 'i> {
        Placed { node: Some(node), given: 0 }
    }
}

impl<'de, 'r: 'de, 'i> SeqAccess<'de> for Placed<'r, 'i> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        let Some(node) = &self.node else { return Ok(None) };
        let span = node.reader.span(node.span.clone());
        let parts = [span.file.index(), span.start, span.end];
        if let Some(part) = parts.get(self.given) {
            self.given += 1;
            return seed.deserialize(U32Deserializer::new(*part)).map(Some);
        }
        let Some(node) = self.node.take() else { return Ok(None) };
        if matches!(node.value, Value::Faulty) {
            return Ok(None);
        }
        let (reader, subject) = (node.reader, node.subject);
        match seed.deserialize(node) {
            Ok(value) => Ok(Some(value)),
            Err(fault) => {
                reader.report(fault.finding("type", &subject.text(), Some(span)));
                Ok(None)
            }
        }
    }
}

/// The elements of a list.
pub struct Elements<'r, 'i>(pub(super) std::vec::IntoIter<Node<'r, 'i>>);

impl<'de, 'r: 'de, 'i> SeqAccess<'de> for Elements<'r, 'i> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

/// A key and its value; none where the key stands for an unknown one.
pub struct Entry<'r, 'i> {
    pub(super) name: &'r str,
    pub(super) key: Range<usize>,
    pub(super) value: Option<&'r Spanned<DeValue<'i>>>,
}

/// A table's keys and values, in the order they were written.
pub struct Entries<'r, 'i> {
    pub(super) node: Node<'r, 'i>,
    pub(super) entries: std::vec::IntoIter<Entry<'r, 'i>>,
    pub(super) value: Option<Entry<'r, 'i>>,
    /// Whether the keys are names of the writer's choice.
    pub(super) named: bool,
}

impl<'r, 'i> Entries<'r, 'i> {
    /// The entries of this table of a node, in the order they were written. Those that are not
    /// `known` are reported, and stand for the key that was probably in mind.
    pub(super) fn of(
        of: &Node<'r, 'i>,
        table: &'r DeTable<'i>,
        known: Option<&'static [&'static str]>,
    ) -> Entries<'r, 'i> {
        let mut written: Vec<_> = table.iter().collect();
        written.sort_by_key(|(key, _)| key.span().start);
        let mut entries = Vec::with_capacity(written.len());
        for (key, value) in written {
            let name: &str = key.get_ref();
            match known.filter(|known| !known.contains(&name)) {
                None => entries.push(Entry { name, key: key.span(), value: Some(value) }),
                Some(known) => {
                    let instead = of.unknown(key, value, known);
                    // Two keys may stand for one.
                    let has = |name| entries.iter().any(|entry: &Entry<'_, '_>| entry.name == name);
                    let instead = instead.filter(|name| !table.contains_key(*name) && !has(*name));
                    let entry = |name| Entry { name, key: key.span(), value: None };
                    entries.extend(instead.map(entry));
                }
            }
        }
        let node = Node {
            reader: of.reader,
            value: Value::Table(table),
            span: of.span.clone(),
            subject: of.subject,
        };
        Entries { node, entries: entries.into_iter(), value: None, named: known.is_none() }
    }
}

impl<'de, 'r: 'de, 'i> MapAccess<'de> for Entries<'r, 'i> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.entries.next();
        let Some(Entry { name, key, .. }) = &self.value else { return Ok(None) };
        let place = self.node.reader.span(key.clone());
        seed.deserialize(KeyNode { name, place }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Entry { name, key, value } =
            self.value.take().ok_or_else(|| Fault::new("has no value"))?;
        let subject = match self.named {
            true => Subject::Named(self.node.key(), name),
            false => Subject::Key(name),
        };
        seed.deserialize(match value {
            Some(value) => self.node.child(value, subject),
            None => Node { reader: self.node.reader, value: Value::Faulty, span: key, subject },
        })
    }
}

/// A string as a table with the first of `fields` in it.
pub struct First<'r, 'i> {
    pub(super) node: Option<Node<'r, 'i>>,
    pub(super) fields: &'static [&'static str],
}

impl<'de, 'r: 'de, 'i> MapAccess<'de> for First<'r, 'i> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        let (Some(_), Some(first)) = (&self.node, self.fields.first()) else { return Ok(None) };
        seed.deserialize(BorrowedStrDeserializer::new(first)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let mut node = self.node.take().ok_or_else(|| Fault::new("has no value"))?;
        if let Value::OrString(value) = node.value {
            node.value = Value::One(value);
        }
        seed.deserialize(node)
    }
}
