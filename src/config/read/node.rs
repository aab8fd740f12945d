//! A deserializer over TOML's tree that goes on after a fault.
//!
//! serde stops at the first error; here each [`Spanned`] value is a place where an error is
//! reported and reading goes on. Because a struct tells its keys when it asks to be read, all its
//! unknown keys are reported too, each with the word that was probably meant.
//!
//! [`Spanned`]: crate::config::tables::Written

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use serde::de::value::{BorrowedStrDeserializer, StringDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess, Unexpected,
    Visitor,
};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::hint::{did_you_mean, listed};
use crate::config::schema::{Place, places, schema};
use crate::config::tables::{ONE_OR_MANY, OR_STRING, SPANNED};
use crate::report::Diagnostic;

use super::key::Key;
use super::variables::{Broken, expand};
use super::{Fault, Reader};

/// A value and what it is called in messages.
pub struct Node<'r, 'i> {
    reader: &'r Reader<'r>,
    value: Value<'r, 'i>,
    span: Range<usize>,
    subject: Subject<'r>,
}

enum Value<'r, 'i> {
    One(&'r DeValue<'i>),
    Table(&'r DeTable<'i>),
    /// A string that stands for a table's first key.
    OrString(&'r DeValue<'i>),
}

#[derive(Clone, Copy)]
enum Subject<'r> {
    File,
    Key(&'r str),
    /// An entry of a table of names, under its name.
    Named(&'r str, &'r str),
    EntryOf(&'r str),
}

impl Subject<'_> {
    fn text(self) -> String {
        match self {
            Subject::File => "the file".to_owned(),
            Subject::Key(key) => format!("`{key}`"),
            Subject::Named(table, name) => format!("`{table}.{name}`"),
            Subject::EntryOf(key) => format!("an entry of `{key}`"),
        }
    }
}

impl<'r, 'i> Node<'r, 'i> {
    /// The table of a whole file.
    pub(super) fn root(
        reader: &'r Reader<'r>,
        table: &'r DeTable<'i>,
        span: Range<usize>,
    ) -> Node<'r, 'i> {
        Node { reader, value: Value::Table(table), span, subject: Subject::File }
    }

    fn child(&self, value: &'r Spanned<DeValue<'i>>, subject: Subject<'r>) -> Node<'r, 'i> {
        let (reader, span) = (self.reader, value.span());
        Node { reader, value: Value::One(value.get_ref()), span, subject }
    }

    fn table(&self) -> Option<&'r DeTable<'i>> {
        match &self.value {
            Value::Table(table) => Some(table),
            Value::One(DeValue::Table(table)) => Some(table),
            _ => None,
        }
    }

    /// The name under which list elements are spoken of.
    fn key(&self) -> &'r str {
        match self.subject {
            Subject::File => "the file",
            Subject::Key(key) | Subject::Named(_, key) | Subject::EntryOf(key) => key,
        }
    }

    /// A string with its variables in place.
    fn expanded(&self, text: &'r str) -> Result<Cow<'r, str>, Fault> {
        expand(text, self.reader.environment).map_err(|broken| {
            let (said, part) = match broken {
                Broken::Undefined(name, part) => {
                    (format!("needs an environment variable that is not set: `{name}`"), part)
                }
                Broken::Form(part) => {
                    let said = "has a `${` without a variable's name and a `}`\n\
                                write `$${` where no variable is meant";
                    (said.to_owned(), part)
                }
            };
            // It stands in the source as it was parsed, unless escapes were part of it.
            let (start, part) = (self.span.start, &text[part]);
            let written = self.reader.text.get(self.span.clone()).unwrap_or("");
            let range = match written.find(part) {
                Some(at) => start + at..start + at + part.len(),
                None => self.span.clone(),
            };
            Fault::custom(said).of("environment", self.reader.span(range))
        })
    }

    fn entries(
        &self,
        table: &'r DeTable<'i>,
        known: Option<&'static [&'static str]>,
    ) -> Entries<'r, 'i> {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        if let Some(known) = known {
            entries.retain(|(key, _)| self.is_known(key, known));
        }
        let node = Node {
            reader: self.reader,
            value: Value::Table(table),
            span: self.span.clone(),
            subject: self.subject,
        };
        Entries { node, entries: entries.into_iter(), value: None, named: known.is_none() }
    }

    fn is_known(&self, key: &Spanned<Cow<'_, str>>, known: &'static [&'static str]) -> bool {
        let name: &str = key.get_ref();
        if known.contains(&name) {
            return true;
        }
        let of = match self.subject {
            Subject::File => "a configuration".to_owned(),
            subject => subject.text(),
        };
        let hint = did_you_mean(name, known.iter().copied())
            .or_else(|| elsewhere(name))
            .unwrap_or_else(|| format!("its keys are {}", listed(known.iter().copied(), "and")));
        let finding = Diagnostic::error("unknown-key", format!("{of} has no such key: `{name}`"));
        self.reader.report(finding.at(self.reader.span(key.span())).hint(hint));
        false
    }
}

impl<'de, 'r: 'de, 'i> Deserializer<'de> for Node<'r, 'i> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.value {
            Value::One(value) | Value::OrString(value) => *value,
            Value::Table(table) => return visitor.visit_map(self.entries(table, None)),
        };
        match value {
            DeValue::String(text) => visitor.visit_str(&self.expanded(text)?),
            DeValue::Integer(number) => {
                let digits = i64::from_str_radix(number.as_str(), number.radix());
                visitor.visit_i64(digits.map_err(|_| Fault::new("is too large a number"))?)
            }
            DeValue::Float(number) => {
                visitor.visit_f64(number.as_str().parse().unwrap_or(f64::NAN))
            }
            DeValue::Boolean(value) => visitor.visit_bool(*value),
            DeValue::Datetime(_) => Err(Fault::invalid_type(Unexpected::Other("a date"), &visitor)),
            DeValue::Array(list) => {
                let nodes = list.iter().map(|one| self.child(one, Subject::EntryOf(self.key())));
                visitor.visit_seq(Elements(nodes.collect::<Vec<_>>().into_iter()))
            }
            DeValue::Table(table) => visitor.visit_map(self.entries(table, None)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (&self.value, self.table()) {
            (_, Some(table)) => visitor.visit_map(self.entries(table, Some(fields))),
            (Value::OrString(_), None) => visitor.visit_map(First { node: Some(self), fields }),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (name, &self.value) {
            (SPANNED, _) => visitor.visit_seq(Placed::new(self)),
            (ONE_OR_MANY, Value::One(DeValue::Array(_))) => self.deserialize_any(visitor),
            (ONE_OR_MANY, _) => visitor.visit_seq(Elements(vec![self].into_iter())),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let (OR_STRING, Value::One(value @ DeValue::String(_))) = (name, &self.value) {
            self.value = Value::OrString(value);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match &self.value {
            Value::One(DeValue::String(text)) => {
                let word = self.expanded(text)?.into_owned();
                visitor.visit_enum(StringDeserializer::new(word))
            }
            // The visitor of an enum refuses every other kind, naming what it expected.
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf
        unit unit_struct seq tuple map identifier ignored_any
    }
}

/// Name and path of every key below the top. Made once: a file may have many unknown keys, and the
/// schema they are sought in takes milliseconds to build.
static KEYS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let root = schema().to_value();
    let below = |place: &Place<'_>| !place.above.is_empty();
    let found = places(&root).into_iter().filter(below);
    found.map(|place| (place.name.to_owned(), place.path())).collect()
});

/// The tables that have a key of this name, for one that stands in the wrong one.
fn elsewhere(name: &str) -> Option<String> {
    let found = KEYS.iter().filter(|(key, _)| key == name);
    let found: Vec<&str> = found.map(|(_, path)| path.as_str()).collect();
    let paths = listed(found.iter().copied(), "and");
    (!found.is_empty()).then(|| format!("there is {paths}"))
}

/// File, start, end and value of one node. A faulty value is reported and left out.
struct Placed<'r, 'i> {
    node: Option<Node<'r, 'i>>,
    given: usize,
}

impl<'r, 'i> Placed<'r, 'i> {
    fn new(node: Node<'r, 'i>) -> Placed<'r, 'i> {
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

struct Elements<'r, 'i>(std::vec::IntoIter<Node<'r, 'i>>);

impl<'de, 'r: 'de, 'i> SeqAccess<'de> for Elements<'r, 'i> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

type Entry<'r, 'i> = (&'r Spanned<Cow<'i, str>>, &'r Spanned<DeValue<'i>>);

/// A table's keys and values, in the order they were written.
struct Entries<'r, 'i> {
    node: Node<'r, 'i>,
    entries: std::vec::IntoIter<Entry<'r, 'i>>,
    value: Option<Entry<'r, 'i>>,
    /// Whether the keys are names of the writer's choice.
    named: bool,
}

impl<'de, 'r: 'de, 'i> MapAccess<'de> for Entries<'r, 'i> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.value = self.entries.next();
        let Some((key, _)) = self.value else { return Ok(None) };
        let place = self.node.reader.span(key.span());
        seed.deserialize(Key { name: key.get_ref(), place }).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (key, value) = self.value.take().ok_or_else(|| Fault::new("has no value"))?;
        let subject = match self.named {
            true => Subject::Named(self.node.key(), key.get_ref()),
            false => Subject::Key(key.get_ref()),
        };
        seed.deserialize(self.node.child(value, subject))
    }
}

/// A string as a table with the first of `fields` in it.
struct First<'r, 'i> {
    node: Option<Node<'r, 'i>>,
    fields: &'static [&'static str],
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

impl<'de, 'r: 'de, 'i> IntoDeserializer<'de, Fault> for Node<'r, 'i> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
