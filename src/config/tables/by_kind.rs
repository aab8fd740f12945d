//! Values that are told apart by their kind: a truth value, a whole number, a text.

/// Declares such a value: its name, its name in the schema, what is expected of who writes it, and
/// a variant for each kind that it may be of (`bool`, `i64`, `String`).
macro_rules! by_kind {
    (
        $(#[$attribute:meta])*
        pub enum $name:ident $schema:literal, $expected:literal {
            $($(#[$doc:meta])* $variant:ident($kind:tt),)*
        }
    ) => {
        $(#[$attribute])*
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum $name {
            $($(#[$doc])* $variant($kind),)*
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                struct ByKind;

                impl serde::de::Visitor<'_> for ByKind {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str($expected)
                    }

                    $(by_kind! { @visit $kind as $name::$variant })*
                }
                from.deserialize_any(ByKind)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self {
                    $($name::$variant(value) => serde::Serialize::serialize(value, to),)*
                }
            }
        }

        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                let kinds: &[&str] = &[$(by_kind!(@kind $kind)),*];
                schemars::json_schema!({ "type": kinds })
            }
        }
    };
    (@visit bool as $name:ident::$variant:ident) => {
        fn visit_bool<E>(self, value: bool) -> Result<$name, E> {
            Ok($name::$variant(value))
        }
    };
    (@visit i64 as $name:ident::$variant:ident) => {
        fn visit_i64<E>(self, value: i64) -> Result<$name, E> {
            Ok($name::$variant(value))
        }
    };
    (@visit String as $name:ident::$variant:ident) => {
        fn visit_str<E>(self, value: &str) -> Result<$name, E> {
            Ok($name::$variant(value.to_owned()))
        }
    };
    (@kind bool) => {
        "boolean"
    };
    (@kind i64) => {
        "integer"
    };
    (@kind String) => {
        "string"
    };
}
pub(super) use by_kind;
