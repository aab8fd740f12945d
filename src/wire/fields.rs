//! Header fields that end here: hop-by-hop ones (RFC 9110 §7.6.1), and those in tidegate's own
//! name.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, HeaderName, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use super::list::tokens;

/// Meant for the next hop only, whether `Connection` names them or not.
static HOP_BY_HOP: [HeaderName; 10] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    // RFC 7540 §3.2.1; there is no such upgrade any more (RFC 9113 §3.1).
    HeaderName::from_static("http2-settings"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Never for the next hop only, whatever `Connection` says: a client could otherwise take away what
/// tells the backend where a request was sent, how long it is, and whom it comes from.
const END_TO_END: [HeaderName; 4] =
    [HOST, CONTENT_LENGTH, FORWARDED, HeaderName::from_static("x-real-ip")];

/// Removes the hop-by-hop fields and those that `Connection` names. To be done before fields are
/// set, so that `Connection` cannot name those.
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = tokens(headers, CONNECTION).filter_map(|token| token.parse::<HeaderName>().ok());
    let named: Vec<_> = named.filter(|name| !is_end_to_end(name)).collect();
    for name in &named {
        headers.remove(name);
    }
    // Most of them are not there, and looking them up would cost more than looking at what is.
    let found: Vec<_> = headers.keys().filter(|name| HOP_BY_HOP.contains(name)).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

fn is_end_to_end(name: &HeaderName) -> bool {
    END_TO_END.contains(name) || name.as_str().starts_with("x-forwarded-")
}

/// Removes fields named `Tidegate-*`, however they are spelt: only tidegate may say such things.
pub fn remove_reserved(headers: &mut HeaderMap) {
    remove_where(headers, |name| starts_with_spelt(name, "tidegate-"));
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
        && name.bytes().zip(prefix.bytes()).all(|(one, other)| spelt(one) == other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
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
    fn fields_for_this_hop_go_and_the_others_stay() {
        let mut headers = map(&[
            ("host", "a"),
            ("connection", "Upgrade, X-Mine"),
            ("connection", "keep-alive"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("trailer", "x"),
            ("upgrade", "websocket"),
            ("http2-settings", "x"),
            ("proxy-authorization", "x"),
            ("x-mine", "1"),
            ("x-mine", "2"),
            ("x-yours", "1"),
            ("cookie", "1"),
        ]);
        remove_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), ["cookie", "host", "x-yours"]);
    }

    #[test]
    fn connection_cannot_name_what_the_backend_relies_on() {
        let kept = ["content-length", "forwarded", "host", "x-forwarded-for", "x-real-ip"];
        let mut headers = map(&kept.map(|name| (name, "1")));
        for name in kept {
            headers.append(CONNECTION, HeaderValue::from_str(name).unwrap());
        }
        headers.append(CONNECTION, HeaderValue::from_static("not a name"));
        remove_hop_by_hop(&mut headers);
        assert_eq!(names(&headers), kept);
    }

    #[test]
    fn nobody_speaks_in_tidegates_name() {
        let mut headers = map(&[
            ("tidegate-session", "1"),
            ("Tidegate_Session", "1"),
            ("TIDEGATE-", "1"),
            ("tidegates", "1"),
            ("x-tidegate-session", "1"),
        ]);
        remove_reserved(&mut headers);
        assert_eq!(names(&headers), ["tidegates", "x-tidegate-session"]);
    }

    proptest! {
        #[test]
        fn any_connection_field_is_taken(value in "[ -~]{0,60}") {
            let mut headers = map(&[("connection", &value), ("host", "a"), ("upgrade", "x")]);
            remove_hop_by_hop(&mut headers);
            prop_assert_eq!(names(&headers), ["host"]);
        }
    }
}
