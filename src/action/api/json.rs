//! Answers of the API.

use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::base::body::{self, Body};

/// An answer of this JSON, which no cache keeps.
pub(super) fn answer(status: StatusCode, value: &Value) -> Response<Body> {
    let mut answer = Response::new(body::full(format!("{value}\n")));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
