//! The one HTTP body type that rooms hand to each other, and what may go along with one.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};

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

/// What goes along with a body: it is kept as long as the body is, and hears of what passes,
/// which it may change.
pub trait Companion {
    /// A frame is asked for.
    fn asked(&mut self, _cx: &mut Context<'_>) {}

    /// A frame came, or the end, which is `None`.
    fn came(&mut self, _frame: Option<&mut Result<Frame<Bytes>, BoxError>>) {}

    /// The body is let go; `is_over` when it says that it has ended.
    fn left(&mut self, _is_over: bool) {}
}

/// A body and its companion. The body is dropped first.
pub struct Accompanied<B: HttpBody, C: Companion> {
    body: B,
    companion: C,
}

impl<B: HttpBody, C: Companion> Accompanied<B, C> {
    /// Sends `companion` along.
    pub fn new(body: B, companion: C) -> Accompanied<B, C> {
        Accompanied { body, companion }
    }
}

impl<B, C> HttpBody for Accompanied<B, C>
where
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Unpin,
    C: Companion + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        this.companion.asked(cx);
        let mut polled = Pin::new(&mut this.body).poll_frame(cx).map_err(Into::into);
        if let Poll::Ready(frame) = &mut polled {
            this.companion.came(frame.as_mut());
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

impl<B: HttpBody, C: Companion> Drop for Accompanied<B, C> {
    fn drop(&mut self) {
        self.companion.left(self.body.is_end_stream());
    }
}
