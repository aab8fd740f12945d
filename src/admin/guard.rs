//! Who may ask the admin listener, and by which names.

use std::fmt;
use std::net::SocketAddr;

use http::header::{ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};

use super::http::line;
use crate::base::body::Body;
use crate::base::label::Label;
use crate::config::plan::Admin;
use crate::wire::host::{self, Host};
use crate::wire::media_type::is_of_type;

/// Why a request is not answered, or not as it was asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    /// The client is in no network of `admin.allow`.
    Network,
    /// The host has a name that the listener is not called by.
    Host,
    /// The host is none, or there are two.
    NoHost,
    /// Too many pages of metrics are on their way, of all clients or of this one.
    Scrapes,
    /// Too many event streams are open, of all clients or of this one.
    Streams,
    /// A page of another site asks.
    Origin,
    /// What is sent is not JSON: a form of another site could be sent as well.
    ContentType,
    /// The page has no operators.
    ReadOnly,
    /// A command shows no name and password.
    NoPassword,
    /// Name and password are no operator's.
    Password,
    /// Too many passwords are being checked.
    PasswordsBusy,
}

impl Label for Denied {
    fn label(&self) -> &'static str {
        match self {
            Denied::Network => "network",
            Denied::Host => "host",
            Denied::NoHost => "no_host",
            Denied::Scrapes => "scrapes",
            Denied::Streams => "streams",
            Denied::Origin => "origin",
            Denied::ContentType => "content_type",
            Denied::ReadOnly => "read_only",
            Denied::NoPassword => "no_password",
            Denied::Password => "password",
            Denied::PasswordsBusy => "passwords_busy",
        }
    }
}

impl Denied {
    pub(super) fn answer(self) -> Response<Body> {
        let status = match self {
            Denied::Network | Denied::Host | Denied::Origin | Denied::ReadOnly => {
                StatusCode::FORBIDDEN
            }
            Denied::NoHost => StatusCode::BAD_REQUEST,
            Denied::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Denied::NoPassword | Denied::Password => StatusCode::UNAUTHORIZED,
            Denied::Scrapes | Denied::Streams | Denied::PasswordsBusy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut answer = line(status, &self.to_string());
        let field = match status {
            StatusCode::SERVICE_UNAVAILABLE => Some((RETRY_AFTER, "1")),
            StatusCode::UNAUTHORIZED => Some((WWW_AUTHENTICATE, "Basic realm=\"tidegate\"")),
            _ => None,
        };
        if let Some((name, value)) = field {
            answer.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        answer
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Denied::Network => "your address is not in `allow` of `[admin]`",
            Denied::Host => {
                "this listener is not called by that name: add it to `hosts` of `[admin]`"
            }
            Denied::NoHost => "the request needs one valid `Host`",
            Denied::Scrapes => "too many scrapes at once",
            Denied::Streams => "too many pages are open at once",
            Denied::Origin => {
                "a page of another site may not ask this; behind a proxy that changes `Host`, \
                 `hosts` of `[admin]` is to have the page's name"
            }
            Denied::ContentType => "the body must be `application/json`",
            Denied::ReadOnly => "the page only shows: `[admin.operators]` lets operators command",
            Denied::NoPassword => "a command needs an operator's name and password",
            Denied::Password => "name and password are no operator's",
            Denied::PasswordsBusy => "too many passwords are being checked: try again",
        })
    }
}

/// Judges a request of `peer`.
pub(super) fn judge<B>(
    admin: &Admin,
    peer: Option<SocketAddr>,
    request: &Request<B>,
) -> Result<(), Denied> {
    if !admin.allow.contains(peer.map(|peer| peer.ip())) {
        return Err(Denied::Network);
    }
    is_called(admin, request.uri(), request.headers())
}

/// Whether the request is the admin page's own, or no browser's: those say by which page they ask
/// (`Sec-Fetch-Site`, `Origin`), and no page can have them say otherwise.
///
/// The page is one of the host that is asked for, by HTTPS too: a proxy before us may speak TLS. A
/// proxy may also ask for another host than the browser did; then the browser vouches that the page
/// is its own (`same-origin`, Fetch Metadata), and `admin.hosts` that its name is no stranger's.
pub(super) fn is_own_page(admin: &Admin, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
    let sites: Vec<&[u8]> =
        headers.get_all("sec-fetch-site").iter().map(HeaderValue::as_bytes).collect();
    if !sites.iter().all(|site| matches!(*site, b"same-origin" | b"none")) {
        return Err(Denied::Origin);
    }
    let asked = host::of(uri, headers).map_err(|_| Denied::NoHost)?;
    let is_ours = |origin: &str| {
        let is_vouched = || {
            let page = host::name_of_page(origin);
            sites.contains(&&b"same-origin"[..]) && page.is_some_and(|page| is_listed(admin, &page))
        };
        asked.as_ref().is_some_and(|asked| asked.has_page(origin)) || is_vouched()
    };
    let mut origins = headers.get_all(ORIGIN).iter();
    let is_own = origins.all(|origin| origin.to_str().is_ok_and(is_ours));
    if is_own { Ok(()) } else { Err(Denied::Origin) }
}

/// Whether a body is JSON, as the request says. A page of another site can have a browser send a
/// form or a text without a question before (a "simple" request), and JSON not.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Denied> {
    match is_of_type(headers, "application/json") {
        true => Ok(()),
        false => Err(Denied::ContentType),
    }
}

/// Whether the request names the listener as whoever runs it would, and as no page of a stranger
/// can have it named. Who sends no `Host`, as HTTP/1.0 allows, is no browser.
fn is_called(admin: &Admin, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
    let Some(Host { name, .. }) = host::of(uri, headers).map_err(|_| Denied::NoHost)? else {
        return Ok(());
    };
    match !host::can_be_rebound(&name) || is_listed(admin, &name) {
        true => Ok(()),
        false => Err(Denied::Host),
    }
}

/// Whether `admin.hosts` has the name.
fn is_listed(admin: &Admin, name: &str) -> bool {
    admin.hosts.iter().any(|own| **own == *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::header::CONTENT_TYPE;
    use ipnet::IpNet;

    use crate::config::plan::Networks;

    fn admin() -> Admin {
        let nets: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "fc00::/7".parse().unwrap()];
        Admin {
            address: "127.0.0.1:9090".parse().unwrap(),
            allow: Networks { nets, unix: false },
            hosts: vec!["ops.example.com".into()],
            page: true,
            has_operators: false,
        }
    }

    fn asked(host: &str) -> Result<(), Denied> {
        let request = Request::get("/metrics").header("host", host).body(()).unwrap();
        judge(&admin(), Some("127.0.0.1:5".parse().unwrap()), &request)
    }

    #[test]
    fn only_networks_that_are_allowed_are_answered() {
        let request = Request::get("/metrics").body(()).unwrap();
        let asked = |peer: &str| judge(&admin(), Some(peer.parse().unwrap()), &request);
        for peer in ["127.0.0.1:1", "127.9.9.9:1", "[fd00::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert_eq!(asked(peer), Ok(()), "{peer}");
        }
        for peer in ["192.0.2.1:1", "[2001:db8::1]:1", "[::ffff:192.0.2.1]:1", "[::1]:1"] {
            assert_eq!(asked(peer), Err(Denied::Network), "{peer}");
        }
    }

    #[test]
    fn a_name_that_a_stranger_can_own_is_refused() {
        for host in [
            "127.0.0.1:9090",
            "[::1]:9090",
            "10.0.0.1",
            "localhost:9090",
            "LOCALHOST.",
            "a.localhost",
            "tidegate:9090",
            "ops.example.com",
            "OPS.example.com.:9090",
        ] {
            assert_eq!(asked(host), Ok(()), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9090",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "x.ops.example.com",
            "127.0.0.1.nip.io",
            "evil.example.",
        ] {
            assert_eq!(asked(host), Err(Denied::Host), "{host}");
        }
        for host in ["", "a@127.0.0.1", "127.0.0.1, evil.example", "[::1", "a..b"] {
            assert_eq!(asked(host), Err(Denied::NoHost), "{host}");
        }
    }

    #[test]
    fn only_the_pages_own_requests_and_those_of_no_browser_are_its_own() {
        let asked = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("LOCALHOST:9090"));
            for (name, of) in fields {
                headers.append(*name, HeaderValue::from_static(of));
            }
            is_own_page(&admin(), &Uri::from_static("/live"), &headers)
        };
        for fields in [
            &[][..],
            &[("origin", "http://localhost:9090")],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none"), ("origin", "http://localhost:9090")],
            // Through a proxy that speaks TLS, and one that asks for another host.
            &[("origin", "https://localhost:9090")],
            &[("origin", "https://ops.example.com"), ("sec-fetch-site", "same-origin")],
            &[("origin", "https://OPS.example.com:8443"), ("sec-fetch-site", "same-origin")],
        ] {
            assert_eq!(asked(fields), Ok(()), "{fields:?}");
        }
        for fields in [
            &[("origin", "http://evil.example")][..],
            &[("origin", "null")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:9091")],
            &[("origin", "https://localhost")],
            &[("origin", "wss://localhost:9090")],
            // Older browsers do not say that the page is of one origin with what it asks for.
            &[("origin", "https://ops.example.com")],
            &[("origin", "https://ops.example.com"), ("sec-fetch-site", "none")],
            &[("origin", "https://ops.example.com"), ("sec-fetch-site", "same-site")],
            &[("origin", "https://x.ops.example.com"), ("sec-fetch-site", "same-origin")],
            &[("origin", "http://evil.example"), ("sec-fetch-site", "same-origin")],
            &[("origin", "http://localhost:9090"), ("origin", "http://evil.example")],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "cross-site"), ("origin", "http://localhost:9090")],
        ] {
            assert_eq!(asked(fields), Err(Denied::Origin), "{fields:?}");
        }
    }

    #[test]
    fn a_body_that_a_form_could_send_is_none() {
        let judged = |kind: &'static str| {
            is_json(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(kind))]))
        };
        for kind in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(judged(kind), Ok(()), "{kind}");
        }
        for kind in ["", "text/plain", "text/plain; application/json", "application/jsonp"] {
            assert_eq!(judged(kind), Err(Denied::ContentType), "{kind}");
        }
        assert_eq!(is_json(&HeaderMap::new()), Err(Denied::ContentType));
    }

    #[test]
    fn the_target_counts_before_the_field_and_two_fields_are_refused() {
        let judge = |request| judge(&admin(), Some("127.0.0.1:5".parse().unwrap()), &request);
        let get = |target: &str| Request::get(target).header("host", "localhost");
        assert_eq!(judge(get("http://evil.example/").body(()).unwrap()), Err(Denied::Host));
        let two = get("/").header("host", "localhost").body(()).unwrap();
        assert_eq!(judge(two), Err(Denied::NoHost));
        assert_eq!(judge(Request::get("/").body(()).unwrap()), Ok(()));
    }
}
