//! By what a request finds its backend again: what its pool hashes, and the cookie it gave.

use http::header::SET_COOKIE;
use http::{HeaderMap, HeaderValue, Response};

use super::caching::keep_private;
use super::request_values::RequestValues;
use crate::base::body::Body;
use crate::config::plan::{Balance, SameSite};
use crate::pool::{Key, Pool};
use crate::wire::cookie;

/// What leads a request to its backend, and its client there again.
pub(super) struct Affinity {
    /// What the pool is asked with.
    pub(super) key: Option<Key>,
    /// Whether the client speaks TLS, to us or to who stands before us.
    is_secure: bool,
}

impl Affinity {
    /// Reads a request as it came from the client.
    pub(super) fn from_request(request: RequestValues<'_>, pool: &Pool) -> Affinity {
        let asked = request.asked;
        let headers = &asked.head.headers;
        let is_secure = asked.conn.is_secure(headers, asked.client_addr);
        let sticky = pool.plan().sticky.as_ref();
        let cookie = sticky.and_then(|sticky| cookie::value(headers, &sticky.cookie));
        let key = match &pool.plan().balance {
            Balance::Hash { by, .. } => pool.key(request.key(by).as_deref(), cookie),
            _ => pool.key(None, cookie),
        };
        Affinity { key, is_secure }
    }

    /// Takes the pool's cookie out of a request: it is for tidegate and goes no further.
    pub(super) fn remove_cookie(headers: &mut HeaderMap, pool: &Pool) {
        if let Some(sticky) = &pool.plan().sticky {
            cookie::remove(headers, &sticky.cookie);
        }
    }

    /// Adds the cookie to a backend's answer, where the client has not got it. Nobody is bound to a
    /// backend that says it is not there.
    pub(super) fn set_cookie(
        &self,
        pool: &Pool,
        backend: Option<&str>,
        answer: &mut Response<Body>,
    ) {
        let Some(sticky) = &pool.plan().sticky else { return };
        let is_there = !matches!(answer.status().as_u16(), 502..=504);
        let value = backend.filter(|_| is_there).and_then(|one| pool.cookie(self.key, one));
        let Some(value) = value else { return };
        let same_site = match sticky.same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
            SameSite::None => "None",
        };
        let secure = if self.is_secure { "; Secure" } else { "" };
        let name = &sticky.cookie;
        let line = format!("{name}={value}; Path=/; HttpOnly; SameSite={same_site}{secure}");
        // cannot fail: a token, base64url and words of our own.
        let line = HeaderValue::try_from(line).expect("a cookie is text");
        answer.headers_mut().append(SET_COOKIE, line);
        keep_private(answer);
    }
}
