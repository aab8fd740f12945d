//! The one HTTP body type that modules hand to each other, and observers of a body.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, LengthLimitError, combinators::UnsyncBoxBody};
use tokio::sync::mpsc;

/// Any error a body can end with.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A streaming body; nothing is buffered beyond the frame in hand.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;

/// A body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A body of these bytes.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A body of what is sent to it, as it comes; it ends when nobody can send any more.
pub fn received(sent: mpsc::Receiver<Bytes>) -> Body {
    ChannelBody(sent).map_err(|never| match never {}).boxed_unsync()
}

/// What is sent to a body.
struct ChannelBody(mpsc::Receiver<Bytes>);

impl HttpBody for ChannelBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// A body ended because whoever sends it took too long for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("its bytes come too slowly")
    }
}

impl std::error::Error for TooSlow {}

/// A body ended because it is longer than it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is too long")
    }
}

impl std::error::Error for TooLong {}

/// A body that ends with [`TooLong`] where it has more bytes than this.
pub fn limited(body: Body, bytes_max: u64) -> Body {
    let bytes_max = usize::try_from(bytes_max).unwrap_or(usize::MAX);
    let limited = http_body_util::Limited::new(body, bytes_max);
    let why = |error: BoxError| if error.is::<LengthLimitError>() { TooLong.into() } else { error };
    limited.map_err(why).boxed_unsync()
}

/// Sees what passes through a body, may change it, and is kept as long as the body is.
pub trait Observer {
    /// The body's reader asks for a frame.
    fn on_poll(&mut self, _cx: &mut Context<'_>) {}

    /// A frame came, or the end, which is `None`.
    fn on_frame(&mut self, _frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {}

    /// The body is dropped; `is_complete` when it had come to its end.
    fn on_drop(&mut self, _is_complete: bool) {}
}

/// A body and its observer. The body is dropped first.
pub struct Observed<B: HttpBody, O: Observer> {
    body: B,
    observer: O,
}

impl<B: HttpBody, O: Observer> Observed<B, O> {
    /// Lets `observer` see what passes through `body`.
    pub fn new(body: B, observer: O) -> Observed<B, O> {
        Observed { body, observer }
    }
}

impl<B, O> HttpBody for Observed<B, O>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    O: Observer + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.observer.on_poll(cx);
        let mut polled = Pin::new(&mut this.body).poll_frame(cx).map_err(Into::into);
        if let Poll::Ready(frame) = &mut polled {
            this.observer.on_frame(frame.as_mut());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: HttpBody, O: Observer> Drop for Observed<B, O> {
    fn drop(&mut self) {
        self.observer.on_drop(self.body.is_end_stream());
    }
}
