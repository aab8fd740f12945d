//! What other caches may keep of our answers.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, Response, StatusCode};

use crate::base::body::Body;
use crate::wire::list::has_token;

/// Keeps an answer out of shared caches: one client's cookie would lead all to its backend, and
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
