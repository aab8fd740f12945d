//! Rules of who may pass, and what routes demand of them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, StatusCode};

use super::super::tables::TokenSession;
use super::address::{BackendAddress, Networks};
use super::upstream::UpstreamTls;
use crate::wire::client_cert::ClientCertificate;
use crate::wire::htpasswd::Users;
use crate::wire::token_keys::TokenKey;
use crate::wire::token_list::TokenList;

/// A rule of who may pass: `[access.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRule {
    /// Its name, in routes, logs and metrics.
    pub name: Arc<str>,
    /// What it tests.
    pub test: AccessTest,
}

/// What a rule tests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessTest {
    /// The client's address.
    Addresses(AddressLists),
    /// A name and a password (RFC 7617).
    Basic(Basic),
    /// A token (RFC 7519).
    Jwt(Box<Jwt>),
    /// What another server says.
    Forward(Box<AuthServer>),
    /// A certificate that the client shows.
    Certificate(CertificateMatch),
}

/// Addresses that may pass, and those that may not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddressLists {
    /// Those that may; all when `None`.
    pub allow: Option<Networks>,
    /// Those that may not, whatever `allow` says.
    pub deny: Networks,
}

impl AddressLists {
    /// Whether a client may pass; `None` is the peer of a unix socket.
    pub fn allows(&self, client: Option<IpAddr>) -> bool {
        let is_allowed = self.allow.as_ref().is_none_or(|allow| allow.contains(client));
        is_allowed && !self.deny.contains(client)
    }
}

/// Users with passwords.
#[derive(Clone, Debug)]
pub struct Basic {
    /// The file they stand in.
    pub path: PathBuf,
    /// A hash of its bytes.
    pub stamp: u64,
    /// What was read.
    pub users: Arc<Users>,
    /// What clients are told that the password is for; fit for a quoted string.
    pub realm: Arc<str>,
    /// Whether name and password are removed before the request goes on.
    pub strip: bool,
}

impl PartialEq for Basic {
    fn eq(&self, other: &Basic) -> bool {
        let parts = |basic: &Basic| (basic.stamp, basic.strip);
        parts(self) == parts(other) && self.path == other.path && self.realm == other.realm
    }
}

impl Eq for Basic {}

/// Tokens that somebody else has signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Jwt {
    /// What they are verified with.
    pub keys: TokenKeySource,
    /// Who may have issued them; anybody when empty.
    pub issuers: Vec<Box<str>>,
    /// Whom they may be for; for anybody when empty.
    pub audiences: Vec<Box<str>>,
    /// How far the clocks of issuer and proxy may be apart.
    pub leeway: Duration,
    /// Where they may stand; the first that has one counts.
    pub places: Vec<TokenPlace>,
    /// What they must claim, all of it.
    pub claims: Vec<(Box<str>, ClaimMatch)>,
    /// Whether they are removed before the request goes on.
    pub strip: bool,
    /// When a session that was opened with one ends.
    pub session: TokenSession,
    /// Those that are good no more.
    pub revoked: Option<RevokedTokens>,
}

/// Tokens that are good no more, and the file they stand in.
#[derive(Clone, Debug)]
pub struct RevokedTokens {
    /// The file.
    pub path: PathBuf,
    /// A hash of its bytes.
    pub stamp: u64,
    /// What was read.
    pub list: Arc<TokenList>,
}

impl PartialEq for RevokedTokens {
    fn eq(&self, other: &RevokedTokens) -> bool {
        (&self.path, self.stamp) == (&other.path, other.stamp)
    }
}

impl Eq for RevokedTokens {}

/// Certificates of clients; all that a listener takes where both lists are empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateMatch {
    /// Names, of which one is enough; `*.` stands for one label.
    pub names: Vec<Box<str>>,
    /// Hashes of certificates.
    pub sha256: Vec<[u8; 32]>,
}

impl CertificateMatch {
    /// Whether it is one of them.
    pub fn takes(&self, certificate: &ClientCertificate) -> bool {
        let takes_any = self.names.is_empty() && self.sha256.is_empty();
        takes_any
            || self.names.iter().any(|name| certificate.is_named(name))
            || self.sha256.contains(&certificate.sha256)
    }
}

/// A server that says who may pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuthServer {
    /// The name of its pool; the plan has it.
    pub pool: Arc<str>,
    /// What it is asked for.
    pub target: PathAndQuery,
    /// The fields of its answer that go on with the request, in place of the client's.
    pub copy: Vec<HeaderName>,
    /// `Host` towards it; the client's when `None`.
    pub host: Option<HeaderValue>,
    /// The time for its whole answer.
    pub timeout: Duration,
    /// The status of a request that it says nothing about; such a one passes when `None`.
    pub on_error: Option<StatusCode>,
    /// The field of its answer that says when a session ends, in seconds since 1970.
    pub expires: Option<HeaderName>,
    /// How often it is asked again about a session that lives; never when `None`.
    pub recheck: Option<Duration>,
    /// How long such a session lives without an answer since the last good one.
    pub recheck_stale_max: Duration,
}

/// Where the keys of tokens come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenKeySource {
    /// They were read with the configuration.
    Read(TokenKeys),
    /// They are fetched.
    Url(Box<KeysUrl>),
}

/// A set of keys that is fetched by URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeysUrl {
    /// The URL as it was written, but for its query; for logs.
    pub shown: Arc<str>,
    /// Whom it is fetched from.
    pub address: BackendAddress,
    /// `Host` of the request (RFC 9110 §7.2).
    pub host: HeaderValue,
    /// Path and query of the request.
    pub target: PathAndQuery,
    /// TLS; none towards this machine alone.
    pub tls: Option<UpstreamTls>,
    /// How often it is fetched.
    pub refresh: Duration,
    /// The least time between two fetches.
    pub refresh_min: Duration,
    /// For how long keys serve that were fetched.
    pub stale_max: Duration,
    /// The time for one fetch.
    pub fetch_timeout: Duration,
}

impl KeysUrl {
    /// Whom it is asked of, and for what: what tells it from other sets between two processes.
    pub fn id(&self) -> Arc<str> {
        let host = String::from_utf8_lossy(self.host.as_bytes());
        format!("{} {host} {}", self.address, self.target).into()
    }

    /// Whether both are one set of keys.
    pub fn is_same_set(&self, other: &KeysUrl) -> bool {
        let of = |url: &KeysUrl| (url.address.clone(), url.host.clone(), url.target.clone());
        of(self) == of(other) && self.tls == other.tls
    }
}

/// Keys, and the file or files they stand in.
#[derive(Clone, Debug)]
pub struct TokenKeys {
    /// The file, or the directory; none where they are written in the configuration.
    pub path: PathBuf,
    /// A hash of all bytes.
    pub stamp: u64,
    /// What was read.
    pub loaded: Arc<Vec<TokenKey>>,
}

impl PartialEq for TokenKeys {
    fn eq(&self, other: &TokenKeys) -> bool {
        (&self.path, self.stamp) == (&other.path, other.stamp)
    }
}

impl Eq for TokenKeys {}

/// Where a token may stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TokenPlace {
    /// `Authorization: Bearer …` (RFC 6750 §2.1).
    Header,
    /// The cookie of this name.
    Cookie(Arc<str>),
    /// The parameter of this name in the query.
    Query(Arc<str>),
    /// Behind this text, in an entry of `Sec-WebSocket-Protocol`.
    Protocol(Arc<str>),
}

impl TokenPlace {
    /// The entry by which browsers' clients show a token to Kubernetes, in base64url.
    pub const ENCODED_PROTOCOL: &str = "base64url.bearer.authorization.k8s.io.";

    /// Whether a token stands there in base64url once more.
    pub fn is_encoded(&self) -> bool {
        matches!(self, TokenPlace::Protocol(prefix) if &**prefix == TokenPlace::ENCODED_PROTOCOL)
    }
}

/// What a claim must be; of a list, what one of it must be.
#[derive(Clone, Debug)]
pub enum ClaimMatch {
    /// This truth value.
    Boolean(bool),
    /// This whole number.
    Number(i64),
    /// This text.
    Exact(Box<str>),
    /// A text that this regex finds a match in. Compared by its source.
    Regex(regex::Regex),
}

impl PartialEq for ClaimMatch {
    fn eq(&self, other: &ClaimMatch) -> bool {
        match (self, other) {
            (ClaimMatch::Boolean(one), ClaimMatch::Boolean(other)) => one == other,
            (ClaimMatch::Number(one), ClaimMatch::Number(other)) => one == other,
            (ClaimMatch::Exact(one), ClaimMatch::Exact(other)) => one == other,
            (ClaimMatch::Regex(one), ClaimMatch::Regex(other)) => one.as_str() == other.as_str(),
            _ => false,
        }
    }
}

impl Eq for ClaimMatch {}

/// What a route demands: rules by their names, at least one, in the order they are asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AccessDemand {
    /// Each of them lets the request pass.
    All(Vec<Arc<str>>),
    /// One of them does.
    Any(Vec<Arc<str>>),
}

impl AccessDemand {
    /// The rules' names.
    pub fn names(&self) -> &[Arc<str>] {
        match self {
            AccessDemand::All(names) | AccessDemand::Any(names) => names,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(nets: &[&str], unix: bool) -> Networks {
        Networks { nets: nets.iter().map(|net| net.parse().unwrap()).collect(), unix }
    }

    fn passing(lists: &AddressLists) -> Vec<&'static str> {
        let clients = ["10.1.2.3", "10.6.6.6", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8::1"];
        let mut passing: Vec<_> =
            clients.into_iter().filter(|ip| lists.allows(Some(ip.parse().unwrap()))).collect();
        passing.extend(lists.allows(None).then_some("unix"));
        passing
    }

    #[test]
    fn deny_goes_before_allow_and_alone_lets_all_others_pass() {
        let deny = networks(&["10.6.6.0/24"], false);
        let allow = Some(networks(&["10.0.0.0/8", "2001:db8::/32"], false));
        let both = AddressLists { allow: allow.clone(), deny: deny.clone() };
        assert_eq!(passing(&both), ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"]);
        let denied = AddressLists { allow: None, deny };
        let others = ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8::1", "unix"];
        assert_eq!(passing(&denied), others);
        let local = AddressLists { allow: Some(networks(&[], true)), deny: Networks::default() };
        assert_eq!(passing(&local), ["unix"]);
    }
}
