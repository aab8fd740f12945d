//! `[access.NAME]`: rules of who may pass, and what a route demands of them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{OneOrMany, Spanned};

table! {
    /// A rule of who may pass, which routes name in `access`.
    AccessTable "Access", "a table";

    /// The networks whose clients may pass: networks, addresses, or `unix` for the peers of unix
    /// sockets. With `deny` alone, all others may. The client is who the log says it is: the peer,
    /// or whom a PROXY header or a proxy in `trusted_proxies` tells of. Others are answered 403.
    next allow: OneOrMany<String>, as in ["10.0.0.0/8", "2001:db8::/32"];
    /// The networks whose clients may not, also where `allow` has them.
    next deny: OneOrMany<String>, as in ["10.6.6.0/24"];
}

/// The access rules of a route: a name, a list of names, or `{ any = [names] }`.
#[derive(Clone, Debug)]
pub enum RouteAccess {
    /// Each of them must let the request pass.
    All(Vec<Spanned<String>>),
    /// One of them must.
    Any(Vec<Spanned<String>>),
}

impl RouteAccess {
    /// The names, as they were written.
    pub fn names(&self) -> &[Spanned<String>] {
        match self {
            RouteAccess::All(names) | RouteAccess::Any(names) => names,
        }
    }
}

impl<'de> Deserialize<'de> for RouteAccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RouteAccessVisitor;

        impl<'de> Visitor<'de> for RouteAccessVisitor {
            type Value = RouteAccess;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a rule, a list of names, or `{ any = [names] }`")
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<RouteAccess, E> {
                Ok(RouteAccess::All(vec![Spanned::by_default(name.to_owned())]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RouteAccess, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(RouteAccess::All(names))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut table: A) -> Result<RouteAccess, A::Error> {
                let mut any = None;
                while let Some(key) = table.next_key::<String>()? {
                    if key != "any" {
                        let said = format!("has no such key: `{key}`\nits only key is `any`");
                        return Err(A::Error::custom(said));
                    }
                    any = Some(table.next_value::<OneOrMany<String>>()?.0);
                }
                let said = "must name rules, and is an empty table\nwrite `{ any = [\"office\"] }`";
                any.map(RouteAccess::Any).ok_or_else(|| A::Error::custom(said))
            }
        }
        deserializer.deserialize_any(RouteAccessVisitor)
    }
}

impl Serialize for RouteAccess {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            RouteAccess::All(names) => names.serialize(serializer),
            RouteAccess::Any(names) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("any", names)?;
                map.end()
            }
        }
    }
}

impl JsonSchema for RouteAccess {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "route_access".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = json_schema!({ "type": "array", "items": { "type": "string" } });
        json_schema!({ "anyOf": [
            { "type": "string" },
            names,
            { "type": "object", "required": ["any"], "properties": { "any": names } },
        ] })
    }
}
