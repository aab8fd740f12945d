//! An authority's question over plain HTTP whether a name is ours (HTTP-01, RFC 8555 §8.3). It is
//! answered before any route is looked for; what no instance has a token for is a request like all
//! others, so that a backend may have an ACME client of its own.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method, Response};

use super::conn::Conn;
use crate::acme::{CHALLENGE_PATH, Challenges};
use crate::base::body::{Body, full};

/// Whether it may be such a question.
pub(super) fn is_asked(conn: &Conn, head: &Parts) -> bool {
    conn.tls.is_none() && head.method == Method::GET && head.uri.path().starts_with(CHALLENGE_PATH)
}

/// The answer, where it is one.
pub(super) async fn answer(
    challenges: &Challenges,
    conn: &Conn,
    head: &Parts,
) -> Option<Response<Body>> {
    let client = conn.listener.client_network(conn.peer_addr);
    let key = challenges.key_authorization(head.uri.path(), client).await?;
    let mut answer = Response::new(full(key.to_string()));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(answer)
}
