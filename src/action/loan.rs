//! A request's body, lent to one attempt after another until one has begun to read it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::base::body::{Body, BoxError};
use crate::base::clock::{self, Moment};
use crate::wire::trailers;

/// The body on loan. The client of `hyper_util` wants to own a `Send` body and does not give it
/// back when a dial fails; all copies stand for the same body, which one worker reads.
#[derive(Clone)]
pub(super) struct Loan(Arc<Mutex<Lent>>);

struct Lent {
    body: Body,
    is_begun: bool,
    is_spoilt: bool,
    is_client_awaited: bool,
    moved: Moment,
}

impl Loan {
    pub(super) fn new(body: Body, now: Moment) -> Loan {
        let lent =
            Lent { body, is_begun: false, is_spoilt: false, is_client_awaited: false, moved: now };
        Loan(Arc::new(Mutex::new(lent)))
    }

    /// Whether an attempt has begun to read: what it read is gone.
    pub(super) fn is_begun(&self) -> bool {
        self.lent().is_begun
    }

    /// Whether it came to no right end, which is its sender's fault and no reader's.
    pub(super) fn is_spoilt(&self) -> bool {
        self.lent().is_spoilt
    }

    /// Whether the reader waits for the client, and not the client for the reader.
    pub(super) fn is_client_awaited(&self) -> bool {
        self.lent().is_client_awaited
    }

    /// When it last moved.
    pub(super) fn moved(&self) -> Moment {
        self.lent().moved
    }

    fn lent(&self) -> MutexGuard<'_, Lent> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for Loan {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut lent = self.lent();
        lent.is_begun = true;
        let mut polled = Pin::new(&mut lent.body).poll_frame(cx);
        lent.is_client_awaited = polled.is_pending();
        lent.is_spoilt |= matches!(polled, Poll::Ready(Some(Err(_))));
        if polled.is_ready() {
            lent.moved = clock::now();
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut polled {
            trailers::tidy(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.lent().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lent().body.size_hint()
    }
}
