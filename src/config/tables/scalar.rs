//! Small values: whole numbers, switches, and those told apart by their kind.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{BoolDeserializer, I64Deserializer, StrDeserializer};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::super::hint::quoted;
use super::by_kind::by_kind;

/// A whole number, at least `MIN` and at most `MAX`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Number<const MIN: u32, const MAX: u32 = { u32::MAX }>(pub u32);

impl<'de, const MIN: u32, const MAX: u32> Deserialize<'de> for Number<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberVisitor<const MIN: u32, const MAX: u32>;

        impl<const MIN: u32, const MAX: u32> Visitor<'_> for NumberVisitor<MIN, MAX> {
            type Value = Number<MIN, MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Number<MIN, MAX>, E> {
                match u32::try_from(number) {
                    Ok(fits) if (MIN..=MAX).contains(&fits) => Ok(Number(fits)),
                    Ok(_) if MAX == u32::MAX => {
                        Err(E::custom(format!("must be at least {MIN}, not: {number}")))
                    }
                    _ => Err(E::custom(format!(
                        "must be a whole number from {MIN} to {MAX}, not: {number}"
                    ))),
                }
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Number<MIN, MAX>, E> {
                let hint = match text.trim().parse::<u32>() {
                    Ok(number) => format!("\nwrite it without quotes: `{number}`"),
                    Err(_) => String::new(),
                };
                Err(E::custom(format!("must be a whole number, not a string: `{text}`{hint}")))
            }
        }
        deserializer.deserialize_any(NumberVisitor)
    }
}

impl<const MIN: u32, const MAX: u32> Serialize for Number<MIN, MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Number<MIN, MAX> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("number_{MIN}_{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

/// A value, or `false`: the feature is off, also where a table above turns it on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrOff<T> {
    /// `false`.
    Off,
    /// On, with this value.
    On(T),
}

impl<T> OrOff<T> {
    /// The value, when it is on.
    pub fn on(self) -> Option<T> {
        match self {
            OrOff::Off => None,
            OrOff::On(value) => Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OrFalse<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for OrFalse<T> {
            type Value = OrOff<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its unit, or false")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<OrOff<T>, E> {
                if on {
                    T::deserialize(BoolDeserializer::new(on)).map(OrOff::On)
                } else {
                    Ok(OrOff::Off)
                }
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<OrOff<T>, E> {
                T::deserialize(I64Deserializer::new(number)).map(OrOff::On)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OrOff<T>, E> {
                T::deserialize(StrDeserializer::new(text)).map(OrOff::On)
            }
        }
        deserializer.deserialize_any(OrFalse(PhantomData))
    }
}

impl<T: Serialize> Serialize for OrOff<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OrOff::Off => false.serialize(serializer),
            OrOff::On(value) => value.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OrOff<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Switch_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [value, { "const": false }] })
    }
}

/// Which of the `known` words it is.
pub fn word<'de, D: Deserializer<'de>>(
    deserializer: D,
    known: &'static [&'static str],
) -> Result<usize, D::Error> {
    struct Word(&'static [&'static str]);

    impl Word {
        /// What is said of a value without quotes, with the word that it would be with them.
        fn no_string(&self, kind: &str, value: &dyn fmt::Display, same: Option<&str>) -> String {
            let text = value.to_string();
            let same = same.unwrap_or(&text);
            let hint = self.0.contains(&same).then(|| format!("\nwrite `\"{same}\"`"));
            let (known, hint) = (quoted(self.0), hint.unwrap_or_default());
            format!("must be {known}, not {kind}: {text}{hint}")
        }
    }

    impl Visitor<'_> for Word {
        type Value = usize;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&quoted(self.0))
        }

        fn visit_bool<E: Error>(self, on: bool) -> Result<usize, E> {
            // As `"off"` is written where other keys have `false`.
            let off = (!on).then_some("off");
            Err(E::custom(self.no_string("a boolean", &on, off)))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<usize, E> {
            Err(E::custom(self.no_string("a number", &number, None)))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<usize, E> {
            Err(E::custom(self.no_string("a number", &number, None)))
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<usize, E> {
            let found = self.0.iter().position(|word| *word == text);
            found.ok_or_else(|| E::unknown_variant(text, self.0))
        }
    }
    deserializer.deserialize_any(Word(known))
}

/// Whether a route takes WebSockets: `true`, `false` or `"only"`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TakesWebSockets {
    /// Beside plain requests.
    Yes,
    /// Nothing else; the rest is for other routes.
    Match,
    /// Nothing else; the rest is refused.
    Only,
    /// None.
    No,
}

impl<'de> Deserialize<'de> for TakesWebSockets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Takes;

        impl Visitor<'_> for Takes {
            type Value = TakesWebSockets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, `\"match\"` or `\"only\"`")
            }

            fn visit_bool<E: Error>(self, takes: bool) -> Result<TakesWebSockets, E> {
                Ok(if takes { TakesWebSockets::Yes } else { TakesWebSockets::No })
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<TakesWebSockets, E> {
                match word {
                    "match" => Ok(TakesWebSockets::Match),
                    "only" => Ok(TakesWebSockets::Only),
                    _ => Err(E::custom(format!(
                        "must be true, false, `\"match\"` or `\"only\"`, not: `{word}`"
                    ))),
                }
            }
        }
        deserializer.deserialize_any(Takes)
    }
}

impl Serialize for TakesWebSockets {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TakesWebSockets::Yes => true.serialize(serializer),
            TakesWebSockets::No => false.serialize(serializer),
            TakesWebSockets::Match => "match".serialize(serializer),
            TakesWebSockets::Only => "only".serialize(serializer),
        }
    }
}

impl JsonSchema for TakesWebSockets {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "websocket".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "enum": [true, false, "match", "only"] })
    }
}

by_kind! {
    /// What a header field must be: `true` (present), `false` (absent), a value, or `"~ regex"`.
    pub enum FieldTest "field_test", "true, false, a value or `\"~ regex\"`" {
        /// Present, or absent.
        Present(bool),
        /// This text.
        Text(String),
    }
}

/// What the log shows of a query.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum QueryLog {
    /// The names of parameters, without their values.
    Names,
    /// Nothing.
    Drop,
    /// All of it.
    Keep,
    /// The values of these parameters, and the names of all.
    Only(Arc<[String]>),
}

impl QueryLog {
    const WORDS: &'static [&'static str] = &["names", "drop", "keep"];
}

impl<'de> Deserialize<'de> for QueryLog {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QueryWords;

        impl<'de> Visitor<'de> for QueryWords {
            type Value = QueryLog;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} or a list of parameters' names", quoted(QueryLog::WORDS))
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<QueryLog, E> {
                match word {
                    "names" => Ok(QueryLog::Names),
                    "drop" => Ok(QueryLog::Drop),
                    "keep" => Ok(QueryLog::Keep),
                    other => Err(E::unknown_variant(other, QueryLog::WORDS)),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<QueryLog, A::Error> {
                let mut found = Vec::new();
                while let Some(name) = names.next_element::<String>()? {
                    found.push(name);
                }
                Ok(QueryLog::Only(found.into()))
            }
        }
        deserializer.deserialize_any(QueryWords)
    }
}

impl Serialize for QueryLog {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            QueryLog::Names => "names".serialize(serializer),
            QueryLog::Drop => "drop".serialize(serializer),
            QueryLog::Keep => "keep".serialize(serializer),
            QueryLog::Only(names) => names.as_ref().serialize(serializer),
        }
    }
}

impl JsonSchema for QueryLog {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "query_log".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let list = json_schema!({ "type": "array", "items": { "type": "string" } });
        json_schema!({ "anyOf": [{ "type": "string", "enum": QueryLog::WORDS }, list] })
    }
}
