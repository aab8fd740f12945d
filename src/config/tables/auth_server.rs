//! `[access.NAME.forward]`: another server that says who may pass.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{OneOrMany, OrOff, Time, seconds};

table! {
    /// A server that says who may pass, asked with GET for each request and handshake: an answer of
    /// 2xx lets it pass. With 401, 403, another 4xx, or a redirect, the client is given the
    /// server's own answer, a page of 64 KiB at most; a WebSocket that it would redirect is
    /// answered 401. It sees the request's fields (`Cookie`, `Authorization`), none of an upgrade
    /// or a body, and of the request `X-Forwarded-Method`, `-Proto` (`http` or `https`), `-Host`,
    /// `-Uri` and `-For`, and `X-Original-Method` and `-URL`. Each `Set-Cookie` of its 2xx goes to
    /// the client, with a 101 too.
    ForwardTable "Forward", "a table with `pool`";

    /// The pool of the server. Its health, its TLS, its retries and its limits are the pool's.
    next pool [required]: String, as in "auth";
    /// What it is asked for: path and query.
    next path: String = "/".to_owned(), as in "/api/authz/forward-auth";
    /// The fields of its 2xx that go to the backend, with the request. What the client says in them
    /// is removed, here and towards the server, whatever the server says; but the server sees
    /// its `Authorization` and `Cookie`.
    next copy: OneOrMany<String>, as in ["Remote-User", "Remote-Groups"];
    /// `Host` towards the server; the client's by default.
    next upstream_host: String, as in "auth.example.com";
    /// The time for its whole answer.
    next timeout: Time = seconds(5), as in "2s";
    /// What is done where it gives no answer in time, or one of 5xx: the status that the client is
    /// answered with, or `pass`, which lets everybody in while the server is away.
    next on_error: AuthFailure = AuthFailure::Refuse(503), as in 500;
    /// The field of its 2xx that says when a session ends that was let in, in seconds since 1970,
    /// as `header:NAME`: then it is closed with 4403. Sessions stay by default.
    next expires: String, as in "header:X-Session-Expires";
    /// How often the server is asked again about a WebSocket that is open, with the fields of its
    /// handshake, of which the session keeps 8 KiB (a handshake with more is answered 431): about
    /// each within 20 percent of this time, and of 64 at once on each worker. With 401, 403 or a
    /// redirect the session ends with 4403 (see `revoked` of `close_codes`), be it held or not; a
    /// 2xx may say another `expires`. Every other answer is none. Sessions are asked about that
    /// were opened while this was on. Off by default; at least one second.
    now recheck: OrOff<Time> = OrOff::Off, as in "5m";
    /// How long an open WebSocket lives while the server gives no answer: it is asked again sooner,
    /// and when the last good answer is so old, the session ends as if it had said no. With
    /// `on_error = "pass"` it stays.
    now recheck_stale_max: Time = seconds(15 * 60), as in "1h";
}

/// What becomes of a request that the server says nothing about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AuthFailure {
    /// It is answered with this status.
    Refuse(u16),
    /// It passes.
    Pass,
}

impl<'de> Deserialize<'de> for AuthFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AuthFailureVisitor;

        impl Visitor<'_> for AuthFailureVisitor {
            type Value = AuthFailure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a status from 400 to 599, or `\"pass\"`")
            }

            fn visit_i64<E: Error>(self, status: i64) -> Result<AuthFailure, E> {
                match u16::try_from(status) {
                    Ok(status @ 400..=599) => Ok(AuthFailure::Refuse(status)),
                    _ => Err(E::custom("must be a status from 400 to 599, or `\"pass\"`")),
                }
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<AuthFailure, E> {
                match word {
                    "pass" => Ok(AuthFailure::Pass),
                    _ => Err(E::custom("must be a status from 400 to 599, or `\"pass\"`")),
                }
            }
        }
        deserializer.deserialize_any(AuthFailureVisitor)
    }
}

impl Serialize for AuthFailure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            AuthFailure::Refuse(status) => status.serialize(serializer),
            AuthFailure::Pass => "pass".serialize(serializer),
        }
    }
}

impl JsonSchema for AuthFailure {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "auth_failure".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [
            { "type": "integer", "minimum": 400, "maximum": 599 },
            { "const": "pass" },
        ] })
    }
}
