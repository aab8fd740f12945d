//! Where answers lead: a backend's URLs and paths, made those that its client knows.

use std::sync::Arc;

use http::header::{CONTENT_LOCATION, HeaderName, HeaderValue, LOCATION, REFRESH, SET_COOKIE};

use crate::wire::host::canonical;

/// How the URLs and paths in an answer become those that the client knows: the other way round from
/// how the request went.
#[derive(Clone, Debug)]
pub struct ReverseMapping {
    /// What took the place of the route's own prefix, without a last slash; `None` where that is
    /// as it came.
    pub upstream: Option<Arc<str>>,
    /// The prefix, as the client wrote it, escaped, without a last slash.
    pub public: String,
    /// All of the prefix that the backend was told of; empty where it was not.
    pub told: String,
    /// The host and port that the client asked.
    pub authority: Option<HeaderValue>,
    /// The host that the backend was asked for, where that is another.
    pub host: Option<HeaderValue>,
    /// The schemes that the client and tidegate itself asked with.
    pub schemes: [&'static str; 2],
}

impl ReverseMapping {
    /// Maps `Location`, `Content-Location` and `Refresh`, and paths and domains of cookies, in the
    /// answer of the backend at this address.
    pub fn apply<'a>(
        &self,
        fields: impl IntoIterator<Item = (&'a HeaderName, &'a mut HeaderValue)>,
        backend: Option<&str>,
    ) {
        for (name, value) in fields {
            let Ok(text) = value.to_str() else { continue };
            let mapped = match *name {
                LOCATION | CONTENT_LOCATION => self.reference(text, backend),
                REFRESH => self.refresh(text, backend),
                SET_COOKIE => self.cookie(text),
                _ => continue,
            };
            if let Some(mapped) = mapped.and_then(|mapped| HeaderValue::try_from(mapped).ok()) {
                *value = mapped;
            }
        }
    }

    /// A URL or an absolute path; `None` where it stays. One that is relative stays right.
    fn reference(&self, text: &str, backend: Option<&str>) -> Option<String> {
        if let Some(rest) = text.strip_prefix('/') {
            // What follows two slashes is a host; a browser takes `/\` for them.
            let is_host = rest.starts_with(['/', '\\']);
            return if is_host { None } else { self.path(text) };
        }
        let (scheme, rest) = text.split_once("://")?;
        let default = match scheme.to_ascii_lowercase().as_str() {
            "http" => 80,
            "https" => 443,
            _ => return None,
        };
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let named = canonical(authority).ok()?;
        let is = |other: &str| {
            canonical(other).is_ok_and(|other| {
                let same_port = named.port.unwrap_or(default) == other.port.unwrap_or(default);
                other.name == named.name && same_port
            })
        };
        let is_field = |host: &Option<HeaderValue>| {
            host.as_ref().and_then(|host| host.to_str().ok()).is_some_and(is)
        };
        let rooted = match path.starts_with(['?', '#']) {
            true => ["/", path].concat(),
            false => ["/", path.trim_start_matches(['/', '\\'])].concat(),
        };
        if is_field(&self.authority) {
            let mapped = self.path(&rooted)?;
            return Some(format!("{scheme}://{authority}{mapped}"));
        }
        // Another scheme than both is asked for on purpose.
        let is_own = self.schemes.iter().any(|own| own.eq_ignore_ascii_case(scheme));
        let is_backend = is_field(&self.host) || backend.is_some_and(is);
        (is_own && is_backend).then(|| self.path(&rooted).unwrap_or(rooted))
    }

    /// A path, and what follows it; `None` where it stays.
    fn path(&self, path: &str) -> Option<String> {
        let upstream = self.upstream.as_deref()?;
        if upstream.is_empty() && self.is_public(path) {
            return None;
        }
        let rest = below(path, upstream)?;
        let slash = if self.public.is_empty() && !rest.starts_with('/') { "/" } else { "" };
        // A root that is replaced by a prefix has many slashes only where the backend wrote them.
        let rest = match self.public.is_empty() {
            true => ["/", rest.trim_start_matches(['/', '\\'])].concat(),
            false => [slash, rest].concat(),
        };
        Some([&*self.public, &rest].concat())
    }

    /// Whether a path is below the prefix already: the backend was told it, or knows it.
    fn is_public(&self, path: &str) -> bool {
        let is_below = |prefix: &str| prefix.is_empty() || below(path, prefix).is_some();
        self.public.is_empty()
            || is_below(&self.public)
            || !self.told.is_empty() && is_below(&self.told)
    }

    /// `5; url=/page`, as browsers read it.
    fn refresh(&self, text: &str, backend: Option<&str>) -> Option<String> {
        let at = text.to_ascii_lowercase().find("url=")? + "url=".len();
        let (before, target) = text.split_at(at);
        let quote = target.chars().next().filter(|letter| matches!(letter, '"' | '\''));
        let (open, target) = target.split_at(quote.map_or(0, char::len_utf8));
        let end = quote.and_then(|quote| target.find(quote)).unwrap_or(target.len());
        let (target, behind) = target.split_at(end);
        let mapped = self.reference(target.trim(), backend)?;
        Some([before, open, &mapped, behind].concat())
    }

    /// A line of `Set-Cookie`: its path is led back, and a domain that is the backend's goes, which
    /// leaves the cookie to the host that the client asked.
    fn cookie(&self, line: &str) -> Option<String> {
        let name = line.split(['=', ';']).next().unwrap_or_default().trim();
        // Such a cookie is none with another path (draft-ietf-httpbis-rfc6265bis §4.1.3.2).
        let is_of_host = name.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("__host-"));
        let mut is_changed = false;
        let mut mapped = Vec::new();
        for (number, attribute) in line.split(';').enumerate() {
            let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (key, value) = (key.trim(), value.trim());
            let is = |name: &str| number > 0 && key.eq_ignore_ascii_case(name);
            if is("path")
                && !is_of_host
                && let Some(path) = self.cookie_path(value)
            {
                mapped.push(format!(" {key}={path}"));
                is_changed = true;
            } else if is("domain") && self.is_host(value) {
                is_changed = true;
            } else {
                mapped.push(attribute.to_owned());
            }
        }
        is_changed.then(|| mapped.join(";"))
    }

    /// A cookie's path; that of the whole prefix has no last slash, or the prefix itself would be
    /// asked for without the cookie.
    fn cookie_path(&self, path: &str) -> Option<String> {
        let path = Some(path).filter(|path| path.starts_with('/'))?;
        let mapped = self.path(path)?;
        let whole = mapped.trim_end_matches('/');
        let is_whole = path.trim_end_matches('/') == self.upstream.as_deref().unwrap_or_default();
        match is_whole {
            true if whole.is_empty() => Some("/".to_owned()),
            true => Some(whole.to_owned()),
            false => Some(mapped),
        }
    }

    /// Whether a cookie's domain is the host that the backend was asked for.
    fn is_host(&self, domain: &str) -> bool {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok());
        let host = host.and_then(|host| canonical(host).ok());
        let domain = domain.strip_prefix('.').unwrap_or(domain);
        host.is_some_and(|host| host.name.eq_ignore_ascii_case(domain))
    }
}

/// What of a path follows a prefix that ends at a segment.
fn below<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(prefix)?;
    (rest.is_empty() || rest.starts_with(['/', '?', '#'])).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(upstream: Option<&str>, public: &str, told: &str) -> ReverseMapping {
        ReverseMapping {
            upstream: upstream.map(Into::into),
            public: public.to_owned(),
            told: told.to_owned(),
            authority: Some(HeaderValue::from_static("example.com:8443")),
            host: Some(HeaderValue::from_static("app.internal")),
            schemes: ["https", "http"],
        }
    }

    fn mapped(mapping: &ReverseMapping, name: HeaderName, value: &str) -> String {
        let mut value = HeaderValue::try_from(value).unwrap();
        mapping.apply([(&name, &mut value)], Some("10.0.0.1:8000"));
        value.to_str().unwrap().to_owned()
    }

    #[test]
    fn a_location_is_led_back_below_the_prefix() {
        let tool = mapping(Some(""), "/tool", "/a/tool");
        for (from, to) in [
            ("/home", "/tool/home"),
            ("/", "/tool/"),
            ("/?a=/b#c", "/tool/?a=/b#c"),
            ("/toolbox", "/tool/toolbox"),
            ("/tool", "/tool"),
            ("/tool/home", "/tool/home"),
            ("/a/tool/home", "/a/tool/home"),
            ("home", "home"),
            ("../x", "../x"),
            ("?x", "?x"),
            ("//elsewhere.example/x", "//elsewhere.example/x"),
            ("/\\elsewhere.example/x", "/\\elsewhere.example/x"),
            ("https://example.com:8443/home", "https://example.com:8443/tool/home"),
            ("http://example.com:8443/home", "http://example.com:8443/tool/home"),
            ("https://EXAMPLE.com:8443", "https://EXAMPLE.com:8443/tool/"),
            ("https://example.com/home", "https://example.com/home"),
            ("https://elsewhere.example/home", "https://elsewhere.example/home"),
            ("http://app.internal/home", "/tool/home"),
            ("http://app.internal:80?x", "/tool/?x"),
            ("http://10.0.0.1:8000/home", "/tool/home"),
            ("http://10.0.0.1:8001/home", "http://10.0.0.1:8001/home"),
            ("http://user@app.internal/home", "http://user@app.internal/home"),
            ("ftp://app.internal/home", "ftp://app.internal/home"),
        ] {
            assert_eq!(mapped(&tool, LOCATION, from), to, "{from}");
        }
    }

    #[test]
    fn a_replaced_prefix_is_put_back_and_other_paths_stay() {
        let api = mapping(Some("/v2"), "/api", "");
        for (from, to) in [("/v2/x", "/api/x"), ("/v2", "/api"), ("/v20", "/v20"), ("/", "/")] {
            assert_eq!(mapped(&api, LOCATION, from), to, "{from}");
        }
        let root = mapping(Some("/v2"), "", "");
        assert_eq!(mapped(&root, LOCATION, "/v2"), "/");
        assert_eq!(mapped(&root, LOCATION, "/v2//elsewhere.example"), "/elsewhere.example");
        assert_eq!(mapped(&root, SET_COOKIE, "a=b; Path=/v2/"), "a=b; Path=/");
    }

    #[test]
    fn without_a_prefix_only_the_backends_own_host_is_led_back() {
        let plain = mapping(None, "", "");
        for (from, to) in [
            ("/home", "/home"),
            ("http://app.internal/home", "/home"),
            ("http://app.internal//elsewhere.example", "/elsewhere.example"),
            ("http://app.internal\\@elsewhere.example", "/@elsewhere.example"),
            ("http://10.0.0.1:8000", "/"),
            ("https://example.com:8443/home", "https://example.com:8443/home"),
        ] {
            assert_eq!(mapped(&plain, LOCATION, from), to, "{from}");
        }
        let upgrade = ReverseMapping { schemes: ["http", "http"], ..plain };
        let same = "https://app.internal/home";
        assert_eq!(mapped(&upgrade, LOCATION, same), same, "it asks for TLS");
    }

    #[test]
    fn refresh_and_cookies_are_led_back_too() {
        let tool = mapping(Some(""), "/tool", "/tool");
        assert_eq!(mapped(&tool, REFRESH, "5; url=/home"), "5; url=/tool/home");
        assert_eq!(mapped(&tool, REFRESH, "0;URL='/home?a'"), "0;URL='/tool/home?a'");
        assert_eq!(mapped(&tool, REFRESH, "5"), "5");
        for (from, to) in [
            ("a=b; Path=/; HttpOnly", "a=b; Path=/tool; HttpOnly"),
            ("a=b; path=/admin", "a=b; path=/tool/admin"),
            ("a=b; Path=/tool/x", "a=b; Path=/tool/x"),
            ("a=b; Domain=.APP.internal; Path=/", "a=b; Path=/tool"),
            ("a=b; Domain=example.com", "a=b; Domain=example.com"),
            ("a=/; Secure", "a=/; Secure"),
            ("path=/; Secure", "path=/; Secure"),
            ("__Host-a=b; Path=/; Secure", "__Host-a=b; Path=/; Secure"),
        ] {
            assert_eq!(mapped(&tool, SET_COOKIE, from), to, "{from}");
        }
    }
}
