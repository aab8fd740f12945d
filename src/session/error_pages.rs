//! Pages in place of the bodies of errors.

use std::sync::Arc;
use std::time::Duration;

use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use tokio::time::timeout;

use super::admit::Routed;
use super::refusal::Refusal;
use crate::base::body::{self, Body};
use crate::base::task;
use crate::config::plan;
use crate::wire::list::tokens;

/// Bytes of a backend's page that are read although another stands in its place.
const DISCARDED_BYTES_MAX: u64 = 64 << 10;

/// The time in which they have to come.
const DISCARD_TIMEOUT: Duration = Duration::from_millis(500);

/// What is said of a body, and not of the error itself (RFC 9110 §8, RFC 9530).
const OF_BODY: [HeaderName; 14] = [
    ACCEPT_RANGES,
    CONTENT_DISPOSITION,
    CONTENT_ENCODING,
    CONTENT_LANGUAGE,
    CONTENT_LENGTH,
    CONTENT_LOCATION,
    CONTENT_RANGE,
    ETAG,
    LAST_MODIFIED,
    TRAILER,
    TRANSFER_ENCODING,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The pages that a request may be answered with.
pub(super) struct RequestPages(Option<Arc<plan::ErrorPages>>);

impl RequestPages {
    /// Those of its route. Who asks for a WebSocket is a script, and reads none, unless it says
    /// that it does.
    pub(super) fn of(routed: &Routed) -> RequestPages {
        let Routed { asked, route } = routed;
        let takes = || !asked.asks_websocket || accepts_html(&asked.head.headers);
        RequestPages(route.plan.errors.clone().filter(|_| takes()))
    }

    /// A refusal's answer, with its page where there is one. What an auth server shows of its own,
    /// such as the form to log in, is no error of ours.
    pub(super) fn of_refusal(&self, refusal: &Refusal) -> Response<Body> {
        match &self.0 {
            Some(pages) if !refusal.has_page() => with_page(refusal.answer(), pages),
            _ => refusal.answer(),
        }
    }

    /// A backend's answer, with its page where there is one and backends' errors have them.
    pub(super) fn of_backend(&self, answer: Response<Body>) -> Response<Body> {
        match &self.0 {
            Some(pages) if pages.from_backend => with_page(answer, pages),
            _ => answer,
        }
    }
}

/// Replaces the body; the status, and what is said of the error, stays.
fn with_page(mut answer: Response<Body>, pages: &plan::ErrorPages) -> Response<Body> {
    let Some(page) = pages.of(answer.status()) else { return answer };
    let headers = answer.headers_mut();
    for name in &OF_BODY {
        headers.remove(name);
    }
    headers.insert(CONTENT_TYPE, page.content_type.clone());
    discard(std::mem::replace(answer.body_mut(), body::full(page.body.clone())));
    answer
}

/// Reads a body that no client is given, where it is short and comes soon: a connection on which an
/// answer was not read to its end serves no other request. Otherwise it is dropped with that.
fn discard(body: Body) {
    if body.is_end_stream() || body.size_hint().lower() > DISCARDED_BYTES_MAX {
        return;
    }
    task::spawn("discard", async move {
        let mut body = body::limited(body, DISCARDED_BYTES_MAX);
        let read = async { while let Some(Ok(_)) = body.frame().await {} };
        // A backend that is slower has lost one connection.
        let _ = timeout(DISCARD_TIMEOUT, read).await;
    });
}

fn accepts_html(headers: &HeaderMap) -> bool {
    tokens(headers, ACCEPT).any(|range| {
        let mut parts = range.split(';').map(|part| part.trim_matches([' ', '\t']));
        let is_html = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        let is_refused = |part: &str| {
            let weight = part.strip_prefix("q=").or(part.strip_prefix("Q="));
            weight.is_some_and(|weight| weight.trim_end_matches(['0', '.']).is_empty())
        };
        is_html && !parts.any(is_refused)
    })
}
