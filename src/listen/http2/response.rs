//! An answer on its way to the client, as fast as it is read.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING, UPGRADE};
use http::response::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::{Body as _, Frame};
use httpdate::HttpDate;
use tokio::time::timeout;

use crate::base::body::{Body, BoxError};
use crate::base::{clock, flow};

/// Fields that HTTP/2 does not have (RFC 9113 §8.2.2).
const CONNECTION_SPECIFIC: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Sends an answer; to a HEAD request, its head only. A client that leaves it untaken for as long
/// as `patience` loses this stream, and no other.
///
/// # Errors
/// The stream was reset, or its connection is gone.
pub(super) async fn send(
    respond: &mut SendResponse<Bytes>,
    answer: Response<Body>,
    is_head: bool,
    patience: Duration,
) -> io::Result<()> {
    let (mut head, mut body) = answer.into_parts();
    let is_bodiless =
        is_head || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    fit(&mut head, body.size_hint().exact().filter(|_| !is_bodiless));
    let ends = is_bodiless || body.is_end_stream();
    let head = Response::from_parts(head, ());
    let mut stream = respond.send_response(head, ends).map_err(io::Error::other)?;
    if ends {
        return Ok(());
    }
    while let Some(frame) = next(&mut stream, &mut body).await? {
        let Ok(frame) = frame else {
            // What was sent is not the whole.
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        };
        match frame.into_data() {
            Ok(data) => {
                let ends = body.is_end_stream();
                send_data(&mut stream, data, ends, patience).await?;
                if ends {
                    return Ok(());
                }
            }
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return stream.send_trailers(trailers).map_err(io::Error::other);
            }
        }
    }
    stream.send_data(Bytes::new(), true).map_err(io::Error::other)
}

/// Sends the answer that opens a WebSocket, 200 here (RFC 8441 §4), and gives the stream behind it.
///
/// # Errors
/// The stream was reset, or its connection is gone.
pub(super) fn open(
    respond: &mut SendResponse<Bytes>,
    answer: Response<Body>,
) -> io::Result<SendStream<Bytes>> {
    let (mut head, _) = answer.into_parts();
    head.status = StatusCode::OK;
    fit(&mut head, None);
    respond.send_response(Response::from_parts(head, ()), false).map_err(io::Error::other)
}

/// Makes a head one of HTTP/2, with the fields HTTP/1.1's driver writes of itself.
fn fit(head: &mut Parts, length: Option<u64>) {
    for name in &CONNECTION_SPECIFIC {
        head.headers.remove(name);
    }
    if let Some(length) = length
        && !head.headers.contains_key(CONTENT_LENGTH)
    {
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    // RFC 9110 §6.6.1: a server with a clock sends a date.
    if !head.headers.contains_key(DATE)
        && let Ok(date) = HeaderValue::try_from(HttpDate::from(clock::wall()).to_string())
    {
        head.headers.insert(DATE, date);
    }
}

/// The next frame of a body; an error when the client does not want it any more.
async fn next(
    stream: &mut SendStream<Bytes>,
    body: &mut Body,
) -> io::Result<Option<Result<Frame<Bytes>, BoxError>>> {
    poll_fn(|cx| {
        if stream.poll_reset(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut *body).poll_frame(cx).map(Ok)
    })
    .await
}

async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    ends: bool,
    patience: Duration,
) -> io::Result<()> {
    while !data.is_empty() {
        let room = poll_fn(|cx| flow::poll_room(stream, cx, data.len()));
        let Ok(room) = timeout(patience, room).await else {
            stream.send_reset(Reason::CANCEL);
            return Err(io::ErrorKind::TimedOut.into());
        };
        let room = room?;
        let piece = data.split_to(room);
        let last = ends && data.is_empty();
        stream.send_data(piece, last).map_err(io::Error::other)?;
        if last {
            return Ok(());
        }
    }
    match ends {
        true => stream.send_data(Bytes::new(), true).map_err(io::Error::other),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::body;

    #[tokio::test]
    async fn a_client_that_gives_no_room_loses_its_stream() {
        let (near, far) = tokio::io::duplex(1 << 16);
        let server = async {
            let mut http = h2::server::handshake(near).await.unwrap();
            let (_, mut respond) = http.accept().await.unwrap().unwrap();
            let answer = Response::new(body::full("more than nothing"));
            let patience = Duration::from_millis(50);
            let sent = async { send(&mut respond, answer, false, patience).await.unwrap_err() };
            let error = tokio::select! {
                error = sent => error,
                _ = http.accept() => panic!("the connection ended first"),
            };
            drop(respond);
            while http.accept().await.is_some() {}
            error
        };
        let client = async {
            let mut builder = h2::client::Builder::new();
            let (mut asker, http) =
                builder.initial_window_size(0).handshake::<_, Bytes>(far).await.unwrap();
            let asked = async {
                let request = http::Request::get("http://a/").body(()).unwrap();
                let (answer, _) = asker.send_request(request, true).unwrap();
                answer.await.unwrap().into_body().data().await.unwrap().unwrap_err()
            };
            tokio::select! {
                error = asked => error,
                _ = http => panic!("the connection ended first"),
            }
        };
        let (server, client) = tokio::join!(server, client);
        assert_eq!(server.kind(), io::ErrorKind::TimedOut);
        assert_eq!(client.reason(), Some(Reason::CANCEL));
    }
}
