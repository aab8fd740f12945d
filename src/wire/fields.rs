//! Header fields that end here: hop-by-hop ones (RFC 9110 §7.6.1), and those in tidegate's own
//! name.

use http::header::{CONNECTION, HeaderName};
use http::{HeaderMap, HeaderValue};

use super::list::tokens_of;
use super::request_id::X_REQUEST_ID;

/// How far a field goes, by its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// To the other end, whatever `Connection` says: a client could otherwise take away what tells
    /// the backend where a request was sent, how long it is, and whom it comes from.
    EndToEnd,
    /// To the other end, unless `Connection` names it.
    Unnamed,
    /// To the next hop only, whether `Connection` names it or not.
    Hop,
    /// Nowhere: only tidegate may say it (`Tidegate-*`, `X-Request-Id`).
    Reserved,
    /// It tells of hops; who is believed decides. `Connection` does not.
    Hops,
}

/// How far a field of this name goes. `_` counts as `-` where tidegate itself or a backend relies
/// on what is said, as it does once CGI has made a variable of it.
pub fn scope(name: &HeaderName) -> Scope {
    let name = name.as_str();
    let is_one_of = |names: &[&str], scope| match names.contains(&name) {
        true => scope,
        false => Scope::Unnamed,
    };
    // The first letter decides about nearly all.
    match name.as_bytes().first() {
        Some(b'c') if name == "content-length" => Scope::EndToEnd,
        Some(b'c') => is_one_of(&["connection"], Scope::Hop),
        Some(b'f') if name == "forwarded" => Scope::Hops,
        Some(b'h') if name == "host" => Scope::EndToEnd,
        // RFC 7540 §3.2.1; there is no such upgrade any more (RFC 9113 §3.1).
        Some(b'h') => is_one_of(&["http2-settings"], Scope::Hop),
        Some(b'k') => is_one_of(&["keep-alive"], Scope::Hop),
        Some(b'p') => {
            let names = ["proxy-connection", "proxy-authenticate", "proxy-authorization"];
            is_one_of(&names, Scope::Hop)
        }
        Some(b't') if starts_with_spelt(name, "tidegate-") => Scope::Reserved,
        Some(b't') => is_one_of(&["te", "trailer", "transfer-encoding"], Scope::Hop),
        Some(b'u') => is_one_of(&["upgrade"], Scope::Hop),
        Some(b'x') if tells_of_hops(name) => Scope::Hops,
        Some(b'x') if is_spelt(name, X_REQUEST_ID.as_str()) => Scope::Reserved,
        _ => Scope::Unnamed,
    }
}

/// Whether a lower-case name, in any spelling, is of a field that tells of hops.
pub(super) fn tells_of_hops(name: &str) -> bool {
    starts_with_spelt(name, "x-forwarded-")
        || ["forwarded", "x-forwarded", "x-real-ip"].iter().any(|whole| is_spelt(name, whole))
}

/// The fields that `Connection` keeps from going further, beside those that never do.
pub fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    named_by(headers.get_all(CONNECTION))
}

/// The same of its lines.
pub fn named_by<'a>(lines: impl IntoIterator<Item = &'a HeaderValue>) -> Vec<HeaderName> {
    // A name that is not there, or goes nowhere anyway, need not be looked for; mostly one stands
    // alone.
    let lines = lines.into_iter().filter(|line| !is_usual(line.as_bytes()));
    let named = tokens_of(lines).filter(|token| !is_usual(token.as_bytes()));
    let named = named.filter_map(|token| token.parse::<HeaderName>().ok());
    named.filter(|name| scope(name) == Scope::Unnamed).collect()
}

/// What nearly every `Connection` says; each of them is no field, or goes nowhere anyway.
fn is_usual(token: &[u8]) -> bool {
    let usual: [&[u8]; 3] = [b"upgrade", b"keep-alive", b"close"];
    usual.iter().any(|usual| token.eq_ignore_ascii_case(usual))
}

/// What a client may tell a backend past the fields that count: `Proxy` becomes the `HTTP_PROXY` of
/// a CGI program (CVE-2016-5385); the others are taken for the request's own target or method by
/// frameworks that expect a proxy of theirs.
const DECEPTIVE: [&str; 8] = [
    "client-cert",
    "client-cert-chain",
    "proxy",
    "x-original-url",
    "x-original-uri",
    "x-original-host",
    "x-original-method",
    "x-rewrite-url",
];

/// Removes from a head what a backend could take for another field, or for what no client says:
/// names with `_`, unless they are kept, and then still those that become another one's name once
/// CGI has made a variable of them (`Transfer_Encoding`); and of a sender that is not trusted what
/// speaks for a proxy (`Proxy`, `Client-Cert`, `X-Original-URL`, `X-Rewrite-URL`, in any spelling).
pub fn remove_deceptive(headers: &mut HeaderMap, keeps_underscores: bool, is_trusted: bool) {
    remove_where(headers, |name| {
        let stands_for_another = || {
            let plain = name.replace('_', "-").parse();
            plain.is_ok_and(|plain| scope(&plain) != Scope::Unnamed)
        };
        name.as_bytes().contains(&b'_') && (!keeps_underscores || stands_for_another())
            || !is_trusted && is_deceptive(name)
    });
}

fn is_deceptive(name: &str) -> bool {
    // The first letter decides about nearly all.
    matches!(name.as_bytes().first(), Some(b'c' | b'p' | b'x'))
        && DECEPTIVE.iter().any(|deceptive| is_spelt(name, deceptive))
}

/// Whether two names are one once CGI has made variables of them: `_` counts as `-`.
pub fn is_same_spelt(one: &HeaderName, other: &HeaderName) -> bool {
    one == other || is_spelt(one.as_str(), other.as_str())
}

fn is_spelt(name: &str, whole: &str) -> bool {
    name.len() == whole.len() && starts_with_spelt(name, whole)
}

/// Removes every field whose lower-case name `condition` holds for.
pub(super) fn remove_where(headers: &mut HeaderMap, condition: impl Fn(&str) -> bool) {
    let names = headers.keys().filter(|name| condition(name.as_str()));
    for name in names.cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// Whether a name begins so, where `_` counts as `-`, as it does once CGI has made a variable of
/// it.
pub(super) fn starts_with_spelt(name: &str, prefix: &str) -> bool {
    let spelt = |byte: u8| if byte == b'_' { b'-' } else { byte };
    name.len() >= prefix.len()
        && name.bytes().zip(prefix.bytes()).all(|(one, other)| spelt(one) == spelt(other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        };
        fields.iter().map(field).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_field_goes_as_far_as_its_name_says() {
        let rows = [
            (Scope::EndToEnd, &["content-length", "host"][..]),
            (Scope::Unnamed, &["cookie", "x-mine", "tidegates", "x-tidegate-session"]),
            (Scope::Hop, &["connection", "keep-alive", "te", "trailer", "transfer-encoding"]),
            (Scope::Hop, &["upgrade", "http2-settings"]),
            (Scope::Hop, &["proxy-connection", "proxy-authenticate", "proxy-authorization"]),
            // However they are spelt.
            (Scope::Reserved, &["tidegate-session", "Tidegate_Session", "TIDEGATE-"]),
            (Scope::Reserved, &["x-request-id", "x_request-id"]),
            (Scope::Hops, &["forwarded", "x-forwarded-for", "x-real-ip", "x_real-ip"]),
        ];
        for (far, names) in rows {
            for name in names {
                assert_eq!(scope(&name.parse().unwrap()), far, "{name}");
            }
        }
    }

    #[test]
    fn connection_cannot_name_what_the_backend_relies_on() {
        let lines = ["Upgrade, X-Mine", "keep-alive", "not a name", "content-length, forwarded"];
        let lines = [&lines[..], &["host", "x-forwarded-for, x-real-ip", "tidegate-x"]].concat();
        let headers = map(&lines.iter().map(|line| ("connection", *line)).collect::<Vec<_>>());
        assert_eq!(named_by_connection(&headers), ["x-mine"]);
    }

    #[test]
    fn what_stands_for_another_field_goes() {
        let sent = [
            ("x_user", "1"),
            ("transfer_encoding", "chunked"),
            ("content_length", "5"),
            ("x_forwarded-for", "6.6.6.6"),
            ("x_request-id", "1"),
            ("host_", "1"),
            ("proxy", "1"),
            ("x-original-url", "/admin"),
            ("x_original-url", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-user", "1"),
        ];
        let kept = |keeps, trusted| {
            let mut headers = map(&sent);
            remove_deceptive(&mut headers, keeps, trusted);
            names(&headers).join(" ")
        };
        assert_eq!(kept(false, false), "x-user");
        assert!(DECEPTIVE.iter().all(|name| is_deceptive(name)));
        assert_eq!(kept(true, false), "host_ x-user x_user");
        assert_eq!(kept(false, true), "proxy x-original-url x-rewrite-url x-user");
        let same =
            |one: &str, other: &str| is_same_spelt(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("x_user", "x-user") && same("x-user", "x_user") && same("X_User", "x-user"));
        assert!(!same("x-users", "x-user"));
    }

    proptest! {
        #[test]
        fn any_connection_field_is_taken(value in "[ -~]{0,60}") {
            let named = named_by_connection(&map(&[("connection", &value)]));
            prop_assert!(named.iter().all(|name| scope(name) == Scope::Unnamed));
        }
    }
}
