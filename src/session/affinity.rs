//! By what a request finds its backend again: what its pool hashes, and the cookie it gave.

use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode};

use super::grant::Granted;
use crate::base::body::Body;
use crate::config::plan::{Balance, SameSite};
use crate::pool::{Key, Pool};
use crate::wire::cookie;
use crate::wire::list::has_token;

/// What leads a request to its backend, and its client there again.
pub(super) struct Affinity {
    /// What the pool is asked with.
    pub(super) key: Option<Key>,
    /// Whether the client speaks TLS, to us or to who stands before us.
    is_secure: bool,
}

impl Affinity {
    /// Reads a request as it came from the client, and takes the pool's cookie out of it.
    pub(super) fn from_request(granted: &mut Granted, pool: &Pool) -> Affinity {
        let asked = &granted.asked;
        let is_secure = asked.conn.is_secure(&asked.head.headers, asked.client_addr);
        let sticky = pool.plan().sticky.as_ref();
        let value =
            sticky.and_then(|sticky| cookie::value(&granted.asked.head.headers, &sticky.cookie));
        let key = key(granted, pool, value);
        if let Some(sticky) = sticky {
            cookie::remove(&mut granted.asked.head.headers, &sticky.cookie);
        }
        Affinity { key, is_secure }
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

/// Keeps an answer out of app caches: one client's cookie would lead all to its backend, and
/// `Set-Cookie` alone does not keep it out (RFC 9111 §7.3). Whatever else is said of caching, the
/// strictest counts (§4.2.1).
pub(super) fn keep_private(answer: &mut Response<Body>) {
    let headers = answer.headers();
    let is_kept = |word| has_token(headers, CACHE_CONTROL, word);
    let switches = answer.status() == StatusCode::SWITCHING_PROTOCOLS;
    if !switches && !is_kept("private") && !is_kept("no-store") {
        answer.headers_mut().append(CACHE_CONTROL, HeaderValue::from_static("private"));
    }
}

fn key(granted: &Granted, pool: &Pool, cookie: Option<&[u8]>) -> Option<Key> {
    let Balance::Hash { by, .. } = &pool.plan().balance else { return pool.key(None, cookie) };
    pool.key(granted.values().key(by).as_deref(), cookie)
}
