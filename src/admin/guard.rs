//! Who may ask the admin listener, and by which names.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};

use super::http::line;
use crate::base::body::Body;
use crate::base::label::Label;
use crate::config::plan::Admin;
use crate::wire::host::{self, Host};

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
}

impl Label for Denied {
    fn label(&self) -> &'static str {
        match self {
            Denied::Network => "network",
            Denied::Host => "host",
            Denied::NoHost => "no_host",
            Denied::Scrapes => "scrapes",
        }
    }
}

impl Denied {
    pub(super) fn answer(self) -> Response<Body> {
        let status = match self {
            Denied::Network | Denied::Host => StatusCode::FORBIDDEN,
            Denied::NoHost => StatusCode::BAD_REQUEST,
            Denied::Scrapes => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut answer = line(status, &self.to_string());
        if self == Denied::Scrapes {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
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

/// Whether the request names the listener as whoever runs it would. A page of a stranger that has
/// its own name resolve to this address (DNS rebinding) is same-origin with it for a browser, but
/// cannot have the browser send another name. It can own no IP address, no `localhost` (RFC 6761
/// §6.3), and no name of one label. Who sends no `Host`, as HTTP/1.0 allows, is no browser.
fn is_called(admin: &Admin, uri: &Uri, headers: &HeaderMap) -> Result<(), Denied> {
    let Some(Host { name, .. }) = host::of(uri, headers).map_err(|_| Denied::NoHost)? else {
        return Ok(());
    };
    let is_address = name.starts_with('[') || name.parse::<IpAddr>().is_ok();
    let is_ours = !name.contains('.') || name.ends_with(".localhost");
    let is_named = admin.hosts.iter().any(|own| **own == *name);
    if is_address || is_ours || is_named { Ok(()) } else { Err(Denied::Host) }
}

#[cfg(test)]
mod tests {
    use super::*;

    use ipnet::IpNet;

    use crate::config::plan::Networks;

    fn admin() -> Admin {
        let nets: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap(), "fc00::/7".parse().unwrap()];
        Admin {
            address: "127.0.0.1:9090".parse().unwrap(),
            allow: Networks { nets, unix: false },
            hosts: vec!["ops.example.com".into()],
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
    fn the_target_counts_before_the_field_and_two_fields_are_refused() {
        let judge = |request| judge(&admin(), Some("127.0.0.1:5".parse().unwrap()), &request);
        let get = |target: &str| Request::get(target).header("host", "localhost");
        assert_eq!(judge(get("http://evil.example/").body(()).unwrap()), Err(Denied::Host));
        let two = get("/").header("host", "localhost").body(()).unwrap();
        assert_eq!(judge(two), Err(Denied::NoHost));
        assert_eq!(judge(Request::get("/").body(()).unwrap()), Ok(()));
    }
}
