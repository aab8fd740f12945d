//! How a node is read by serde.

use serde::de::value::StringDeserializer;
use serde::de::{Deserializer, Error as _, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use toml::de::DeValue;

use super::Fault;
use super::access::{Elements, Entries, First, Placed};
use super::node::{Node, Subject, Value};
use crate::config::tables::{ONE_OR_MANY, OR_STRING, SPANNED};

impl<'de, 'r: 'de, 'i> Deserializer<'de> for Node<'r, 'i> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let value = match &self.value {
            Value::One(value) | Value::OrString(value) => *value,
            Value::Table(table) => return visitor.visit_map(Entries::of(&self, table, None)),
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
            DeValue::Table(table) => visitor.visit_map(Entries::of(&self, table, None)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        match (&self.value, self.table()) {
            (_, Some(table)) => visitor.visit_map(Entries::of(&self, table, Some(fields))),
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
