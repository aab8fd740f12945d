//! Room on a stream of HTTP/2, which its receiver gives (RFC 9113 §5.2).

use std::io;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

/// How many of `wanted` bytes may be sent now, at least one; none is ready while the receiver gives
/// no room, or our own buffer for the stream is full.
///
/// # Errors
/// The stream was reset, or its connection is gone.
pub fn poll_room(
    stream: &mut SendStream<Bytes>,
    cx: &mut Context<'_>,
    wanted: usize,
) -> Poll<io::Result<usize>> {
    stream.reserve_capacity(wanted);
    loop {
        // Asked first: `poll_capacity` tells of new room only.
        match stream.capacity().min(wanted) {
            0 => {}
            room => return Poll::Ready(Ok(room)),
        }
        match ready!(stream.poll_capacity(cx)) {
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
            None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}
