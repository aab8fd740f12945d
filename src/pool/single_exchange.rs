//! One request to a server that is no backend, on a connection of its own: for keys, for traces.

use std::fmt;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::dial::Dialler;
use super::error::DialError;
use crate::base::along::along;
use crate::base::body::BoxError;
use crate::config::plan::{ANSWER_HEAD_BYTES_MAX, ANSWER_HEADERS_MAX, BackendAddress};

/// Why there is no whole answer.
#[derive(Debug)]
pub enum SingleExchangeError {
    /// There is no connection.
    Dial(DialError),
    /// The connection broke, or what came is no HTTP.
    Http(hyper::Error),
    /// The answer of this status is longer than it may be.
    TooLarge(StatusCode),
    /// The answer's body broke off.
    Body(BoxError),
}

impl fmt::Display for SingleExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SingleExchangeError::Dial(error) => write!(f, "no connection: {error}"),
            SingleExchangeError::Http(error) => write!(f, "no answer: {error}"),
            SingleExchangeError::TooLarge(_) => f.write_str("the answer is too long"),
            SingleExchangeError::Body(error) => write!(f, "the answer broke off: {error}"),
        }
    }
}

/// Asks, and reads the answer: its status, and its body of at most `bytes_max`, which is read where
/// the status is 200 only. It takes as long as the server does: whoever calls bounds it.
///
/// # Errors
/// There is no whole answer.
pub async fn single_exchange<B>(
    dialler: &Dialler,
    address: &BackendAddress,
    request: Request<B>,
    bytes_max: usize,
) -> Result<(StatusCode, Bytes), SingleExchangeError>
where
    B: HttpBody + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    let transport = dialler.dial(address, None).await.map_err(SingleExchangeError::Dial)?;
    let handshake = http1::Builder::new()
        .max_headers(ANSWER_HEADERS_MAX)
        .max_buf_size(ANSWER_HEAD_BYTES_MAX)
        .handshake(TokioIo::new(transport));
    let (mut sender, connection) = handshake.await.map_err(SingleExchangeError::Http)?;
    let answer = async move {
        let answer = sender.send_request(request).await.map_err(SingleExchangeError::Http)?;
        let status = answer.status();
        if status != StatusCode::OK {
            return Ok((status, Bytes::new()));
        }
        let body = Limited::new(answer.into_body(), bytes_max).collect().await;
        body.map(|body| (status, body.to_bytes())).map_err(|error| {
            match error.is::<LengthLimitError>() {
                true => SingleExchangeError::TooLarge(status),
                false => SingleExchangeError::Body(error),
            }
        })
    };
    along(connection, answer).await
}
