//! A set of keys, asked for by URL: in time, and no longer than it may be.

use std::fmt;
use std::time::Duration;

use http::header::{ACCEPT, CONNECTION, HOST, USER_AGENT};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::base::along::along;
use crate::base::clock;
use crate::base::label::Label;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, KeysUrl};
use crate::pool::{DialError, Dialler};
use crate::wire::token_keys::{self, TokenKey};

/// Bytes of an answer's body at most.
const KEY_SET_BYTES_MAX: usize = 256 << 10;

/// Why there are no keys.
#[derive(Debug)]
pub(super) enum FetchError {
    /// There is no connection.
    Dial(DialError),
    /// The connection broke, or what came is no HTTP.
    Http(hyper::Error),
    /// It took longer than it may.
    Timeout(Duration),
    /// The answer is no 200; a redirect is not followed.
    Status(StatusCode),
    /// The answer is longer than [`KEY_SET_BYTES_MAX`].
    TooLarge,
    /// The answer's body broke off.
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// What came is no set of keys; the end of a sentence.
    Keys(String),
}

impl Label for FetchError {
    fn label(&self) -> &'static str {
        match self {
            FetchError::Dial(_) => "dial",
            FetchError::Http(_) | FetchError::Body(_) => "broken",
            FetchError::Timeout(_) => "timeout",
            FetchError::Status(_) => "status",
            FetchError::TooLarge => "too_large",
            FetchError::Keys(_) => "no_keys",
        }
    }
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FetchError::Dial(error) => write!(f, "no connection: {error}"),
            FetchError::Http(error) => write!(f, "no answer: {error}"),
            FetchError::Timeout(limit) => write!(f, "no whole answer within {limit:?}"),
            FetchError::Status(status) => write!(f, "the answer's status is {}", status.as_u16()),
            FetchError::TooLarge => {
                write!(f, "the answer has more than {} KiB", KEY_SET_BYTES_MAX >> 10)
            }
            FetchError::Body(error) => write!(f, "the answer broke off: {error}"),
            FetchError::Keys(what) => write!(f, "the answer {what}"),
        }
    }
}

/// Fetches the keys; everything together within `fetch_timeout`.
pub(super) async fn fetch(url: &KeysUrl, dialler: &Dialler) -> Result<Vec<TokenKey>, FetchError> {
    let due = clock::now().after(url.fetch_timeout);
    let fetched = clock::by(due, exchange(url, dialler)).await;
    let bytes = fetched.unwrap_or(Err(FetchError::Timeout(url.fetch_timeout)))?;
    token_keys::read_published(&bytes).map_err(FetchError::Keys)
}

async fn exchange(url: &KeysUrl, dialler: &Dialler) -> Result<Bytes, FetchError> {
    let transport = dialler.dial(&url.address, None).await.map_err(FetchError::Dial)?;
    let handshake = http1::Builder::new()
        .max_headers(ANSWER_HEADERS_MAX)
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(transport));
    let (mut sender, connection) = handshake.await.map_err(FetchError::Http)?;
    let answer = async move {
        let answer = sender.send_request(request(url)).await.map_err(FetchError::Http)?;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let body = Limited::new(answer.into_body(), KEY_SET_BYTES_MAX).collect().await;
        body.map(|body| body.to_bytes()).map_err(|error| match error.is::<LengthLimitError>() {
            true => FetchError::TooLarge,
            false => FetchError::Body(error),
        })
    };
    along(connection, answer).await
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
