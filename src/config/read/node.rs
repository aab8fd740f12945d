//! A deserializer over TOML's tree that goes on after a fault.
//!
//! serde stops at the first error; here each [`Spanned`] value is a place where an error is
//! reported and reading goes on. Because a struct tells its keys when it asks to be read, all its
//! unknown keys are reported too, each with the word that was probably meant.
//!
//! [`Spanned`]: crate::config::tables::Spanned

use std::borrow::Cow;
use std::ops::Range;

use serde::de::value::StringDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::redact::Expanded;
use crate::config::tables::{ONE_OR_MANY, OR_STRING, SPANNED};

use super::access::{Elements, Entries, Entry, First, Placed};
use super::unknown::unknown;
use super::variables::{BrokenVariable, expand};
use super::{Fault, Reader, nginx_variables};

/// A value and what it is called in messages.
pub struct Node<'r, 'i> {
    pub(super) reader: &'r Reader<'r>,
    pub(super) value: Value<'r, 'i>,
    pub(super) span: Range<usize>,
    pub(super) subject: Subject<'r>,
}

/// What a node holds.
pub enum Value<'r, 'i> {
    One(&'r DeValue<'i>),
    Table(&'r DeTable<'i>),
    /// A string that stands for a table's first key.
    OrString(&'r DeValue<'i>),
    /// None: what stands for it was reported.
    Faulty,
}

/// What a node is called in messages.
#[derive(Clone, Copy)]
pub enum Subject<'r> {
    File,
    Key(&'r str),
    /// An entry of a table of names, under its name.
    Named(&'r str, &'r str),
    EntryOf(&'r str),
}

impl Subject<'_> {
    pub(super) fn text(self) -> String {
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

    pub(super) fn child(
        &self,
        value: &'r Spanned<DeValue<'i>>,
        subject: Subject<'r>,
    ) -> Node<'r, 'i> {
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
    pub(super) fn key(&self) -> &'r str {
        match self.subject {
            Subject::File => "the file",
            Subject::Key(key) | Subject::Named(_, key) | Subject::EntryOf(key) => key,
        }
    }

    /// A string with its variables in place.
    fn expanded(&self, text: &'r str) -> Result<Cow<'r, str>, Fault> {
        // A body of text may say what it likes.
        if !matches!(self.key(), "body" | "respond")
            && let Some(warning) = nginx_variables::warning(&self.subject.text(), text)
        {
            self.reader.report(warning.at(self.reader.span(self.span.clone())));
        }
        let mut variables = Vec::new();
        let expanded = expand(text, self.reader.environment, &mut variables);
        if let (Ok(whole), false) = (&expanded, variables.is_empty()) {
            let (span, whole) = (self.reader.span(self.span.clone()), whole.clone().into_owned());
            self.reader.expanded.borrow_mut().push(Expanded { span, whole, variables });
        }
        expanded.map_err(|broken| {
            let (said, part) = match broken {
                BrokenVariable::Undefined(name, part) => {
                    (format!("needs an environment variable that is not set: `{name}`"), part)
                }
                BrokenVariable::Form(part) => {
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

    /// What to write where text is wanted, and something else stands.
    fn text_hint(&self) -> Option<String> {
        let Value::One(value) = &self.value else { return None };
        let written = self.reader.text.get(self.span.clone())?;
        match value {
            DeValue::Integer(_) if self.key() == "address" && written.parse::<u16>().is_ok() => {
                Some(format!("write `\"0.0.0.0:{written}\"`"))
            }
            DeValue::Integer(_) | DeValue::Float(_) | DeValue::Datetime(_) => {
                Some(format!("write `\"{written}\"`"))
            }
            DeValue::Boolean(_) | DeValue::String(_) | DeValue::Array(_) | DeValue::Table(_) => {
                None
            }
        }
    }

    /// What to write where the table of this name is wanted, and something else stands.
    fn table_hint(&self, name: &str) -> Option<String> {
        let Value::One(value) = &self.value else { return None };
        let (key, written) = (self.key(), self.reader.text.get(self.span.clone())?);
        match (name, value) {
            ("ServerTlsTable", _) => {
                let one = "{ chain = \"site.pem\", key = \"site.key\" }";
                Some(format!("write `tls.certificates = [{one}]`"))
            }
            ("BackendTable", DeValue::Integer(_)) => {
                Some(format!("write `\"127.0.0.1:{written}\"`"))
            }
            (_, DeValue::Boolean(true)) => Some(format!("write `{key} = {{}}`")),
            (_, DeValue::Boolean(false)) => Some("what is off is left out".to_owned()),
            _ => None,
        }
    }

    /// The entries of a table, in the order they were written. Those that are not `known` are
    /// reported, and stand for the key that was probably in mind.
    fn entries(
        &self,
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
                    let instead = self.unknown(key, value, known);
                    // Two keys may stand for one.
                    let has = |name| entries.iter().any(|entry: &Entry<'_, '_>| entry.name == name);
                    let instead = instead.filter(|name| !table.contains_key(*name) && !has(*name));
                    let entry = |name| Entry { name, key: key.span(), value: None };
                    entries.extend(instead.map(entry));
                }
            }
        }
        let node = Node {
            reader: self.reader,
            value: Value::Table(table),
            span: self.span.clone(),
            subject: self.subject,
        };
        Entries { node, entries: entries.into_iter(), value: None, named: known.is_none() }
    }

    /// Reports a key that the table does not have; the one that was probably in mind.
    fn unknown(
        &self,
        key: &Spanned<Cow<'_, str>>,
        value: &Spanned<DeValue<'_>>,
        known: &'static [&'static str],
    ) -> Option<&'static str> {
        let table = match self.subject {
            Subject::File => "a configuration".to_owned(),
            subject => subject.text(),
        };
        let holds_table = matches!(value.get_ref(), DeValue::Table(_));
        let found = unknown(key.get_ref(), &table, known, holds_table);
        self.reader.report(found.finding.at(self.reader.span(key.span())));
        found.instead
    }
}

impl<'de, 'r: 'de, 'i> Deserializer<'de> for Node<'r, 'i> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.value {
            Value::One(value) | Value::OrString(value) => *value,
            Value::Table(table) => return visitor.visit_map(self.entries(table, None)),
            Value::Faulty => return Err(Fault::new("was reported")),
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
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (&self.value, self.table()) {
            (_, Some(table)) => visitor.visit_map(self.entries(table, Some(fields))),
            (Value::OrString(_), None) => visitor.visit_map(First { node: Some(self), fields }),
            _ => {
                let hint = self.table_hint(name);
                self.deserialize_any(visitor).map_err(|fault| fault.or_hint(|| hint))
            }
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let hint = self.text_hint();
        self.deserialize_any(visitor).map_err(|fault| fault.or_hint(|| hint))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let hint = self.table().map(|_| format!("write `[[{}]]`", self.key()));
        self.deserialize_any(visitor).map_err(|fault| fault.or_hint(|| hint))
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
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str bytes byte_buf
        unit unit_struct tuple map identifier ignored_any
    }
}

impl<'de, 'r: 'de, 'i> IntoDeserializer<'de, Fault> for Node<'r, 'i> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
