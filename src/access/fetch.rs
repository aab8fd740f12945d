//! A set of keys, asked for by URL: in time, and no longer than it may be.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Empty;
use hyper::body::Bytes;

use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::KeysUrl;
use crate::pool::{Dialler, SingleExchangeError, single_exchange};
use crate::wire::token_keys::{self, TokenKey};

/// Bytes of an answer's body at most.
const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Why there are no keys.
#[derive(Debug)]
pub(super) enum FetchError {
    /// There is no whole answer.
    Exchange(SingleExchangeError),
    /// It took longer than it may.
    Timeout(Duration),
    /// The answer is no 200; a redirect is not followed.
    Status(StatusCode),
    /// What came is no set of keys; the end of a sentence.
    Keys(String),
}

impl Label for FetchError {
    fn label(&self) -> &'static str {
        match self {
            FetchError::Exchange(SingleExchangeError::Dial(_)) => "dial",
            FetchError::Exchange(SingleExchangeError::TooLarge(_)) => "too_large",
            FetchError::Exchange(_) => "broken",
            FetchError::Timeout(_) => "timeout",
            FetchError::Status(_) => "status",
            FetchError::Keys(_) => "no_keys",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Exchange(SingleExchangeError::TooLarge(_)) => {
                write!(f, "the answer has more than {} KiB", KEY_SET_BYTES_MAX >> 10)
            }
            FetchError::Exchange(error) => error.fmt(f),
            FetchError::Timeout(limit) => write!(f, "no whole answer within {limit:?}"),
            FetchError::Status(status) => write!(f, "the answer's status is {}", status.as_u16()),
            FetchError::Keys(what) => write!(f, "the answer {what}"),
        }
    }
}

/// Fetches the keys; everything together within `fetch_timeout`. Beside them is what was answered.
pub(super) async fn fetch(
    url: &KeysUrl,
    dialler: &Dialler,
) -> Result<(Vec<TokenKey>, Arc<str>), FetchError> {
    let due = clock::now().after(url.fetch_timeout);
    let fetched = clock::by(due, exchange(url, dialler)).await;
    let bytes = fetched.unwrap_or(Err(FetchError::Timeout(url.fetch_timeout)))?;
    let keys = token_keys::read_published(&bytes).map_err(FetchError::Keys)?;
    // JSON that was read is UTF-8.
    Ok((keys, String::from_utf8_lossy(&bytes).into()))
}

async fn exchange(url: &KeysUrl, dialler: &Dialler) -> Result<Bytes, FetchError> {
    let answered = single_exchange(dialler, &url.address, request(url), KEY_SET_BYTES_MAX).await;
    match answered.map_err(FetchError::Exchange)? {
        (StatusCode::OK, body) => Ok(body),
        (status, _) => Err(FetchError::Status(status)),
    }
}

fn request(url: &KeysUrl) -> Request<Empty<Bytes>> {
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = url.target.clone().into();
    let headers = request.headers_mut();
    headers.insert(HOST, url.host.clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/jwk-set+json, application/json"));
    headers.insert(USER_AGENT, HeaderValue::from_static("tidegate"));
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    request
}
