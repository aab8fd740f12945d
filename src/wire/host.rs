//! The host a request is for, in one spelling (RFC 3986 §3.2.2, RFC 9110 §7.2).

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use http::header::HOST;
use http::{HeaderMap, Uri};

/// Bytes of a host's name at most (RFC 1035 §2.3.4).
pub const HOST_BYTES_MAX: usize = 255;

/// A host in its canonical spelling.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Host<'a> {
    /// Lower case, without a final dot; an IPv6 address stands in brackets, shortened.
    pub name: Cow<'a, str>,
    /// The port, where one was written.
    pub port: Option<u16>,
}

impl Host<'_> {
    /// Whether `origin` is a page of it: the same name and port. A port that is not written is the
    /// origin's scheme's; by which scheme the request came only the proxies before us know.
    pub fn has_page(&self, origin: &str) -> bool {
        page(origin).is_some_and(|(page, default)| {
            let is_port = page.port.unwrap_or(default) == self.port.unwrap_or(default);
            page.name == self.name && is_port
        })
    }
}

/// The name of the host whose page an `Origin` names; `None` where it is no page of HTTP.
pub fn name_of_page(origin: &str) -> Option<Cow<'_, str>> {
    page(origin).map(|(host, _)| host.name)
}

/// Why a host is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostError {
    /// Nothing is left of it.
    Empty,
    /// More than one `Host` field line.
    Doubled,
    /// Longer than [`HOST_BYTES_MAX`].
    TooLong,
    /// A character no host has: user info, a slash, a space, a control, a percent sign.
    Character,
    /// Two dots in a row, or one in front.
    EmptyLabel,
    /// Not an IPv6 address in the brackets.
    Address,
    /// Not a port behind the colon.
    Port,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HostError::Empty => "the host is empty",
            HostError::Doubled => "more than one `Host` field",
            HostError::TooLong => "the host is longer than 255 bytes",
            HostError::Character => "the host has a character that no host has",
            HostError::EmptyLabel => "the host has an empty label",
            HostError::Address => "the host is not an IPv6 address",
            HostError::Port => "the host's port is not a port",
        })
    }
}

impl std::error::Error for HostError {}

/// The host a request is for: the target's, when it has one (RFC 9112 §3.2.2), else the `Host`
/// field's; `None` when there is neither.
///
/// # Errors
/// A host that no host can be, or more than one `Host` field.
pub fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Option<Host<'a>>, HostError> {
    let mut fields = headers.get_all(HOST).into_iter();
    let field = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Doubled);
    }
    if let Some(authority) = uri.authority() {
        return canonical(authority.as_str()).map(Some);
    }
    let Some(field) = field else { return Ok(None) };
    canonical(field.to_str().map_err(|_| HostError::Character)?).map(Some)
}

/// One spelling for a host, as a `Host` field or an authority has it, with or without a port.
///
/// # Errors
/// What no host can be: user info, slashes, spaces and controls among it.
pub fn canonical(written: &str) -> Result<Host<'_>, HostError> {
    if let Some(rest) = written.strip_prefix('[') {
        let (address, rest) = rest.split_once(']').ok_or(HostError::Address)?;
        let address: Ipv6Addr = address.parse().map_err(|_| HostError::Address)?;
        let port = match rest.strip_prefix(':') {
            Some(port) => number(port)?,
            None if rest.is_empty() => None,
            None => return Err(HostError::Port),
        };
        return Ok(Host { name: format!("[{address}]").into(), port });
    }
    let (name, port) = match written.split_once(':') {
        Some((name, port)) => (name, number(port)?),
        None => (written, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.len() {
        0 => return Err(HostError::Empty),
        1..=HOST_BYTES_MAX => {}
        _ => return Err(HostError::TooLong),
    }
    let may = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if !name.bytes().all(may) {
        return Err(HostError::Character);
    }
    if name.as_bytes().split(|byte| *byte == b'.').any(<[u8]>::is_empty) {
        return Err(HostError::EmptyLabel);
    }
    let name = match name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        true => name.to_ascii_lowercase().into(),
        false => name.into(),
    };
    Ok(Host { name, port })
}

/// Whether a stranger can own a host of this canonical name, and so have it resolve to an address
/// of ours (DNS rebinding): to a browser its page is then of one origin with us, but no page can
/// have a browser send another name. Nobody can own an IP address so, nor `localhost` (RFC 6761
/// §6.3), nor a name of one label.
pub fn can_be_rebound(name: &str) -> bool {
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    !is_address && name.contains('.') && !name.ends_with(".localhost")
}

/// Whether `origin` is a page of `host`, as [`Host::has_page`] says.
pub fn is_page_of(origin: &str, host: &str) -> bool {
    canonical(host).is_ok_and(|host| host.has_page(origin))
}

/// The host of the page that an `Origin` names (RFC 6454 §7), and its scheme's port; `None` where
/// it is no page of HTTP.
fn page(origin: &str) -> Option<(Host<'_>, u16)> {
    let (scheme, host) = origin.split_once("://")?;
    let default = match scheme.to_ascii_lowercase().as_str() {
        "https" => 443,
        "http" => 80,
        _ => return None,
    };
    Some((canonical(host).ok()?, default))
}

/// A port's digits; RFC 3986 §3.2.3 allows none.
fn number(port: &str) -> Result<Option<u16>, HostError> {
    if port.is_empty() {
        return Ok(None);
    }
    // `parse` would take a plus sign.
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(HostError::Port);
    }
    port.parse().map(Some).map_err(|_| HostError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn named(written: &str) -> Result<(String, Option<u16>), HostError> {
        canonical(written).map(|host| (host.name.into_owned(), host.port))
    }

    #[test]
    fn spellings_of_a_host_are_one() {
        for written in ["example.com", "EXAMPLE.com", "example.com.", "Example.Com."] {
            assert_eq!(named(written), Ok(("example.com".into(), None)), "{written}");
        }
        assert_eq!(named("Example.com.:8443"), Ok(("example.com".into(), Some(8443))));
        assert_eq!(named("example.com:"), Ok(("example.com".into(), None)));
        assert_eq!(named("172.0.0.1:80"), Ok(("172.0.0.1".into(), Some(80))));
        assert_eq!(named("[2001:DB8:0::1]:443"), Ok(("[2001:db8::1]".into(), Some(443))));
        assert!(matches!(canonical("a_b.c").unwrap().name, Cow::Borrowed("a_b.c")));
    }

    #[test]
    fn what_no_host_has_is_refused() {
        let wrong = [
            ("", HostError::Empty),
            (".", HostError::Empty),
            (":80", HostError::Empty),
            ("user@example.com", HostError::Character),
            ("example.com/x", HostError::Character),
            ("exa mple.com", HostError::Character),
            (" example.com", HostError::Character),
            ("example.com\0", HostError::Character),
            ("exa%6dple.com", HostError::Character),
            ("*.example.com", HostError::Character),
            ("exämple.com", HostError::Character),
            ("example.com, other.com", HostError::Character),
            ("a..b", HostError::EmptyLabel),
            ("a..", HostError::EmptyLabel),
            (".a", HostError::EmptyLabel),
            ("a:99999", HostError::Port),
            ("a:+80", HostError::Port),
            ("a:80:80", HostError::Port),
            ("user:pass@a", HostError::Port),
            ("::1", HostError::Port),
            ("[::1", HostError::Address),
            ("[fe80::1%eth0]", HostError::Address),
            ("[127.0.0.1]", HostError::Address),
            ("[::1]80", HostError::Port),
        ];
        for (written, why) in wrong {
            assert_eq!(named(written), Err(why), "{written:?}");
        }
        assert_eq!(named(&"a".repeat(256)), Err(HostError::TooLong));
    }

    #[test]
    fn the_target_comes_before_the_field_and_two_fields_are_refused() {
        let field = |value: &'static str| (HOST, HeaderValue::from_static(value));
        let one: HeaderMap = [field("b.example")].into_iter().collect();
        let two: HeaderMap = [field("b.example"), field("b.example")].into_iter().collect();
        let (origin, absolute) =
            (Uri::from_static("/x"), Uri::from_static("http://A.example:81/x"));
        let name = |uri, headers| {
            of(uri, headers).map(|host| host.map(|host| (host.name.into_owned(), host.port)))
        };
        assert_eq!(name(&origin, &one), Ok(Some(("b.example".into(), None))));
        assert_eq!(name(&absolute, &one), Ok(Some(("a.example".into(), Some(81)))));
        assert_eq!(name(&absolute, &two), Err(HostError::Doubled));
        assert_eq!(name(&origin, &HeaderMap::new()), Ok(None));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_and_a_canonical_name_is_its_own(
            any in ".{0,40}",
            near in "[a-cA-C.:\\[\\]0-9@/-]{0,30}",
        ) {
            for written in [any, near] {
                if let Ok(host) = canonical(&written) {
                    let again = canonical(&host.name).unwrap();
                    prop_assert_eq!(&again.name, &host.name);
                    prop_assert_eq!(again.port, None);
                }
            }
        }
    }
}
