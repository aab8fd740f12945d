//! A route's `errors`: pages by status, and one switch beside them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A value of `errors`: the file of a page, or whether `from_backend` holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ErrorsValue {
    /// A page's file.
    File(String),
    /// The switch.
    Switch(bool),
}

impl<'de> Deserialize<'de> for ErrorsValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = ErrorsValue;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a page's file, or of `from_backend` true or false")
            }

            fn visit_bool<E: Error>(self, holds: bool) -> Result<ErrorsValue, E> {
                Ok(ErrorsValue::Switch(holds))
            }

            fn visit_str<E: Error>(self, file: &str) -> Result<ErrorsValue, E> {
                Ok(ErrorsValue::File(file.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for ErrorsValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            ErrorsValue::File(file) => file.serialize(serializer),
            ErrorsValue::Switch(holds) => holds.serialize(serializer),
        }
    }
}

impl JsonSchema for ErrorsValue {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "errors_value".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["boolean", "string"] })
    }
}
