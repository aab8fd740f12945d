//! A request's body: what was taken from it, the client may send again.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::oneshot;

use crate::base::body::{self, Body, BoxError, Observed, Observer};

/// The body that comes on a stream.
pub(super) fn of(received: RecvStream) -> Body {
    match received.is_end_stream() {
        true => body::empty(),
        false => Received { stream: received, is_over: false }.boxed_unsync(),
    }
}

/// The same body, and what tells when it begins to be read.
pub(super) fn announced(body: Body) -> (Body, oneshot::Receiver<()>) {
    let (reads, is_read) = oneshot::channel();
    (Observed::new(body, Announcer(Some(reads))).boxed_unsync(), is_read)
}

struct Announcer(Option<oneshot::Sender<()>>);

impl Observer for Announcer {
    fn on_poll(&mut self, _cx: &mut Context<'_>) {
        if let Some(reads) = self.0.take() {
            // A stream that was reset waits no more.
            let _ = reads.send(());
        }
    }
}

struct Received {
    stream: RecvStream,
    /// No data is left; trailers may be.
    is_over: bool,
}

impl http_body::Body for Received {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.is_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // It fails for more than was received only.
                    let _ = self.stream.flow_control().release_capacity(data.len());
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => self.is_over = true,
            }
        }
        let trailers = ready!(self.stream.poll_trailers(cx));
        Poll::Ready(
            trailers
                .map(|trailers| trailers.map(Frame::trailers))
                .transpose()
                .map(|trailers| trailers.map_err(Into::into)),
        )
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // A length that was announced stands in its field, which goes along.
        SizeHint::default()
    }
}
