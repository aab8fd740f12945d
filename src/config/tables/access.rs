//! `[access.NAME]`: rules of who may pass, and what a route demands of them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::by_kind::by_kind;
use super::{ForwardTable, Named, OneOrMany, OrOff, OrString, Spanned, Time, Wait, seconds};

table! {
    /// A rule of who may pass, which routes name in `access`: either `allow` and `deny`, or
    /// `basic`, or `jwt`, or `forward`, or
    /// `certificate`.
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
    /// Clients with a token may pass (JWT, RFC 7519) that a known key has signed and that has not
    /// expired. Others are answered 401, or 403 where only a claim is missing (RFC 6750). A session
    /// ends when its token expires.
    next jwt: JwtTable;
    /// Clients may pass of which another server says so: Authelia, oauth2-proxy, or one of your
    /// own.
    next forward: ForwardTable;
    /// Clients may pass that show a certificate which the listener takes (`tls.clients`), and that
    /// is one of these. Others are answered 403.
    next certificate: CertificateMatchTable;
}

table! {
    /// Certificates of clients; an empty table takes every one that the listener takes.
    CertificateMatchTable "CertificateMatch", "a table";

    /// DNS names (SAN), of which one is enough; `*.` stands for one label.
    next names: OneOrMany<String>, as in ["*.devices.example"];
    /// SHA-256 hashes of certificates, in hexadecimal digits, as
    /// `openssl x509 -noout -fingerprint -sha256` prints them.
    next sha256: OneOrMany<String>;
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

table! {
    /// Tokens that somebody else has signed. Algorithms are those of the keys, never what a token
    /// says alone: RS, PS, ES256, ES384, EdDSA, and HS for shared secrets. A token must have `exp`,
    /// and `nbf` counts where it is there.
    JwtTable "Jwt", "a table with `keys` or `secret`";

    /// The keys: a file, a directory of files, or the URL of the issuer's set of keys. A token's
    /// `kid` chooses among keys that have one.
    next keys: OrString<TokenKeysTable>, as in "https://login.example.com/jwks.json";
    /// A secret shared with the issuer, or several, of at least 32 bytes each, in place of `keys`.
    next secret: OneOrMany<String>, as in "${JWT_SECRET}";
    /// Who may have issued a token (`iss`), or a list; anybody with a key by default.
    next issuer: OneOrMany<String>, as in "https://login.example.com/";
    /// Whom a token must be for (`aud`), or a list of which one is enough. Without it a token that
    /// the same issuer made for another service passes, too.
    next audience: OneOrMany<String>, as in "chat";
    /// How far the issuer's clock and this one may be apart, at most 10 minutes.
    next leeway: Wait = Wait(Duration::from_secs(30)), as in "1m";
    /// Where a token may stand, or a list, of which the first that has one counts: `header`
    /// (`Authorization: Bearer`), `cookie:NAME`, `query:NAME`; `protocol`, an entry
    /// `base64url.bearer.authorization.k8s.io.TOKEN` of `Sec-WebSocket-Protocol`, with the token in
    /// base64url; or `protocol:PREFIX`, an entry that is PREFIX and the token. A browser cannot
    /// send `Authorization` with a WebSocket. Beside the entry it must offer a real subprotocol,
    /// which the backend chooses.
    next from: OneOrMany<String> = OneOrMany(vec![Spanned::by_default("header".to_owned())]),
        as in ["header", "query:access_token"];
    /// What a token must claim, all of it: a text, `"~ regex"`, a number, or `true` or `false`. Of
    /// a claim that is a list, one must be so. Dots lead into tables: `realm_access.roles`.
    next claims: Named<ClaimTest>, as in json!({ "scope": "~ \\bchat\\b", "email_verified": true });
    /// Whether tokens are removed from all places in `from` before the request goes on. With
    /// `false` the backend sees them, and so does a stored handshake. In the log they never are.
    next strip: bool = true, as in false;
    /// A file with tokens that are good no more, a line for each: what it is called (`jti`), or
    /// whom it is for (`sub`), whose tokens all are. Lines that begin with `#` say nothing. Such a
    /// token is answered 401, and sessions that it has opened end with 4403 (see `revoked` of
    /// `close_codes`), be they held or not, as soon as the file is read: when the configuration is;
    /// with `reload.watch` a change of it is taken at once. Sessions that were opened before the
    /// rule named a file are found as well.
    now revoked: String, as in "revoked.txt";
    /// When sessions end that were opened with a token.
    each session: TokenSessionTable = TokenSessionTable::default();
}

table! {
    /// Where the keys are that tokens are verified with. Of a URL they are fetched when the
    /// configuration is taken, again and again, and at once for a token whose `kid` no key has, or
    /// that no key has signed: such a request waits for the answer. A fetch that fails changes
    /// nothing: the last good keys serve on, over reloads too. Until there are keys, and when they
    /// are too old, requests are answered 503 with `Retry-After`. An answer may have 256 KiB and 64
    /// keys. `tidegate status` shows the keys, `tidegate_access_key_fetches_total` counts fetches.
    TokenKeysTable "TokenKeys", "a file, a directory, a URL, or a table with `source`";

    /// A file, or a directory of files, each with a JWK, a set of them (RFC 7517), public keys or
    /// certificates in PEM: they are read when the configuration is; with `reload.watch` a change
    /// of them is taken at once. Or a URL (`https`; `http` to this machine alone) that answers with
    /// a set; of that, keys of unknown kinds and shared secrets are passed over.
    next source [required]: String, as in "https://login.example.com/jwks.json";
    /// The PEM file of the authorities that the URL's certificate is verified with, or of the
    /// certificate itself; the system's authorities by default.
    next ca: String, as in "certs/ca.pem";
    /// How often keys are fetched by URL.
    next refresh: Time = seconds(600), as in "1h";
    /// How often they are fetched at most, for tokens that no key fits: whoever makes up tokens
    /// cannot have more asked of the issuer. A fetch that failed is tried again after a second, and
    /// ever later, up to this.
    next refresh_min: Time = seconds(30), as in "1m";
    /// How long the last good keys serve while no fetch succeeds.
    next stale_max: Time = seconds(24 * 60 * 60), as in "1h";
    /// The time for one fetch.
    next fetch_timeout: Time = seconds(5), as in "2s";
}

table! {
    /// When sessions end that were opened with a token.
    TokenSessionTable "TokenSession", "a table" => TokenSession [Copy];

    /// Whether a session ends when its token expires, with 4403 (see `expired` of `close_codes`),
    /// be it held or not.
    next expires: bool as bool = true, as in false;
    /// How long after that, for a client that is late with a new one.
    next grace: Wait as Duration = Wait(Duration::ZERO), as in "10s";
    /// By how much it ends earlier at random, so that sessions whose tokens expire together do not
    /// end together.
    next spread: Wait as Duration = Wait(Duration::ZERO), as in "10s";
    /// How long after a move a session may end at the latest whose end its new backend puts off. A
    /// backend does so in the 101 by which it takes a session up that is held or moved:
    /// `Tidegate-Expires: SECONDS`, since 1970. Off by default: then it may only end sooner.
    now extend_max: OrOff<Time> as Option<Duration> = OrOff::Off, as in "1h";
}

by_kind! {
    /// What a claim must be.
    pub enum ClaimTest "claim_test", "a text, `\"~ regex\"`, a number, true or false" {
        /// This truth value.
        Boolean(bool),
        /// This whole number.
        Number(i64),
        /// This text, or a match of this regex.
        Text(String),
    }
}

/// The access rules of a route: a name, a list of names, `{ any = [names] }`, or `false`.
#[derive(Clone, Debug)]
pub enum RouteAccess {
    /// Each of them must let the request pass.
    All(Vec<Spanned<String>>),
    /// One of them must.
    Any(Vec<Spanned<String>>),
    /// All pass, whatever the site says.
    Open,
}

impl RouteAccess {
    /// The names, as they were written.
    pub fn names(&self) -> &[Spanned<String>] {
        match self {
            RouteAccess::All(names) | RouteAccess::Any(names) => names,
            RouteAccess::Open => &[],
        }
    }
}

impl<'de> Deserialize<'de> for RouteAccess {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct RouteAccessVisitor;

        impl<'de> Visitor<'de> for RouteAccessVisitor {
            type Value = RouteAccess;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a rule, a list of names, `{ any = [names] }`, or `false`")
            }

            fn visit_bool<E: Error>(self, on: bool) -> Result<RouteAccess, E> {
                let said = "must name rules, and is `true`\nwrite the names of the rules";
                if on { Err(E::custom(said)) } else { Ok(RouteAccess::Open) }
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
            RouteAccess::Open => serializer.serialize_bool(false),
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
            { "const": false },
        ] })
    }
}
