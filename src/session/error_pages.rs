//! Pages in place of the bodies of errors.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderName, LAST_MODIFIED, TRAILER,
    TRANSFER_ENCODING,
};
use http::{HeaderMap, Response};

use super::admit::Routed;
use crate::base::body::{self, Body};
use crate::config::plan;
use crate::wire::list::tokens;

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

    /// An answer of ours, with its page where there is one.
    pub(super) fn own(&self, answer: Response<Body>) -> Response<Body> {
        match &self.0 {
            Some(pages) => with_page(answer, pages),
            None => answer,
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
    *answer.body_mut() = body::full(page.body.clone());
    answer
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
