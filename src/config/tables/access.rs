//! `[access.NAME]`: rules of who may pass, and what a route demands of them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{OneOrMany, OrString, Spanned};

table! {
    /// A rule of who may pass, which routes name in `access`: either `allow` and `deny`, or `basic`.
    AccessTable "Access", "a table";

    /// The networks whose clients may pass: networks, addresses, or `unix` for the peers of unix
    /// sockets. With `deny` alone, all others may. The client is who the log says it is: the peer,
    /// or whom a PROXY header or a proxy in `trusted_proxies` tells of. Others are answered 403.
    next allow: OneOrMany<String>, as in ["10.0.0.0/8", "2001:db8::/32"];
    /// The networks whose clients may not, also where `allow` has them.
    next deny: OneOrMany<String>, as in ["10.6.6.0/24"];
    /// Users with passwords may pass (RFC 7617). A string is the file of users. Others are answered
    /// 401. Browsers ask for a password at a page, not at a WebSocket: there it goes along where a
    /// page of the same site was let in.
    next basic: OrString<BasicTable>;
}

table! {
    /// Users with passwords. Names and passwords that are right are remembered for five minutes, in
    /// memory and sealed; two others are checked at once and 64 wait, of one client half at most,
    /// and the rest is answered 503.
    BasicTable "Basic", "a file, or a table with `users`";

    /// The file of users, as `htpasswd -B` makes it: a line `name:hash` for each, with bcrypt or
    /// argon2id. It is read when the configuration is; with `reload.watch` a change of it is taken
    /// at once. A line that cannot be read is an error, so that nobody is locked out unseen.
    next users [required]: String, as in "tools.htpasswd";
    /// What the password is for, as browsers show it; by default the rule's name.
    next realm: String, as in "tools";
    /// Whether `Authorization` is removed before the request goes on. A backend that wants to know
    /// the user needs `false`, and sees the password too.
    next strip: bool = true, as in false;
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
