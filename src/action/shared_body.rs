//! A request's body, shared by one attempt after another until one has begun to read it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::base::body::{Body, BoxError};
use crate::base::clock::{self, Moment};
use crate::wire::trailers;

/// The body. The client of `hyper_util` wants to own a `Send` body and does not give it
/// back when a dial fails; all copies stand for the same body, which one worker reads.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<BodyState>>);

struct BodyState {
    body: Body,
    is_begun: bool,
    has_failed: bool,
    is_client_awaited: bool,
    moved: Moment,
}

impl SharedBody {
    pub(super) fn new(body: Body, now: Moment) -> SharedBody {
        let state = BodyState {
            body,
            is_begun: false,
            has_failed: false,
            is_client_awaited: false,
            moved: now,
        };
        SharedBody(Arc::new(Mutex::new(state)))
    }

    /// Whether an attempt has begun to read: what it read is gone.
    pub(super) fn is_begun(&self) -> bool {
        self.state().is_begun
    }

    /// Whether it came to no right end, which is its sender's fault and no reader's.
    pub(super) fn has_failed(&self) -> bool {
        self.state().has_failed
    }

    /// Whether the reader waits for the client, and not the client for the reader.
    pub(super) fn is_client_awaited(&self) -> bool {
        self.state().is_client_awaited
    }

    /// When it last moved.
    pub(super) fn moved(&self) -> Moment {
        self.state().moved
    }

    fn state(&self) -> MutexGuard<'_, BodyState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl http_body::Body for SharedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut state = self.state();
        state.is_begun = true;
        let mut polled = Pin::new(&mut state.body).poll_frame(cx);
        state.is_client_awaited = polled.is_pending();
        state.has_failed |= matches!(polled, Poll::Ready(Some(Err(_))));
        if polled.is_ready() {
            state.moved = clock::now();
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut polled {
            trailers::tidy(frame);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}
