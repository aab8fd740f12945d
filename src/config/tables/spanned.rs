//! A value, and where it was written; lists and named tables of such.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::report::{FileId, Span};

/// The name by which [`Spanned`] asks `config::read` for its place.
pub const SPANNED: &str = "tidegate::Spanned";
/// The name by which [`OneOrMany`] asks to see one value as a list of one.
pub const ONE_OR_MANY: &str = "tidegate::OneOrMany";
/// The name by which [`OrString`] asks to see a string as a table's first key.
pub const OR_STRING: &str = "tidegate::OrString";

/// A value and where it was written.
///
/// A key that is not written has its default and no place, or is absent. A value of the wrong
/// kind was reported when it was read; it has a place and no value, so that all that is wrong is
/// found in one run and nothing is reported twice.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    value: Option<T>,
    span: Option<Span>,
}

impl<T> Spanned<T> {
    /// Not written, without a default.
    pub const UNSET: Spanned<T> = Spanned { value: None, span: None };

    /// What holds when the key is not written.
    pub const fn by_default(value: T) -> Spanned<T> {
        Spanned { value: Some(value), span: None }
    }

    /// The value, written or by default; `None` when absent, or reported as faulty.
    pub const fn get(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// Where it was written; `None` when it was not.
    pub const fn span(&self) -> Option<Span> {
        self.span
    }

    /// Whether it was written, well or badly.
    pub const fn is_written(&self) -> bool {
        self.span.is_some()
    }

    /// Neither written nor given by default.
    pub const fn is_absent(&self) -> bool {
        self.value.is_none() && self.span.is_none()
    }

    /// Spanned, but faulty, which was reported.
    pub const fn is_faulty(&self) -> bool {
        self.value.is_none() && self.span.is_some()
    }

    /// The value and its place, when it was written well.
    pub fn written(&self) -> Option<(&T, Span)> {
        Some((self.value.as_ref()?, self.span?))
    }

    /// The value without its place.
    pub fn into_value(self) -> Option<T> {
        self.value
    }

    /// Another value in the place of this one; faulty or absent as this one is.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Spanned<U> {
        Spanned { value: self.value.map(of), span: self.span }
    }

    /// This one when it was written, else the other.
    pub fn or<'a>(&'a self, other: &'a Spanned<T>) -> &'a Spanned<T> {
        if self.is_written() { self } else { other }
    }
}

impl<T: Default> Spanned<T> {
    /// The value, made when there is none.
    pub fn value_or_default(&mut self) -> &mut T {
        self.value.get_or_insert_default()
    }
}

impl<T> Default for Spanned<T> {
    fn default() -> Spanned<T> {
        Spanned::UNSET
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SpannedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for SpannedVisitor<T> {
            type Value = Spanned<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value and its place")
            }

            /// File, start and end come first; then the value, or nothing when it was faulty.
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let mut number = || parts.next_element::<u32>().map(Option::unwrap_or_default);
                let (file, start, end) = (number()?, number()?, number()?);
                let span = Span { file: FileId::from_index(file), start, end };
                Ok(Spanned { value: parts.next_element()?, span: Some(span) })
            }
        }
        deserializer.deserialize_tuple_struct(SPANNED, 4, SpannedVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// One value, or a list of them.
#[derive(Clone, Debug)]
pub struct OneOrMany<T>(pub Vec<Spanned<T>>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_tuple_struct(ONE_OR_MANY, 0, ListVisitor(PhantomData))
            .map(OneOrMany)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<Spanned<T>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one value or a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = Vec::new();
        while let Some(element) = list.next_element()? {
            found.push(element);
        }
        Ok(found)
    }
}

impl<T: Serialize> Serialize for OneOrMany<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A table, or a string that stands for its first key.
#[derive(Clone, Debug)]
pub struct OrString<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrString<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OrString<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a table")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<OrString<T>, D::Error> {
                T::deserialize(inner).map(OrString)
            }
        }
        deserializer.deserialize_newtype_struct(OR_STRING, Either(PhantomData))
    }
}

impl<T: Serialize> Serialize for OrString<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for OrString<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OrString_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [{ "type": "string" }, table] })
    }
}

/// Values by names of the writer's choice, in the order they were written.
#[derive(Clone, Debug)]
pub struct Named<T>(pub Vec<(Spanned<String>, Spanned<T>)>);

impl<T> Default for Named<T> {
    fn default() -> Named<T> {
        Named(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NamedVisitor<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for NamedVisitor<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Named<T>, A::Error> {
                let mut found = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    found.push(entry);
                }
                Ok(Named(found))
            }
        }
        deserializer.deserialize_map(NamedVisitor(PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    }
}
