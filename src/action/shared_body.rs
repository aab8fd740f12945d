//! A request's body, shared by one attempt after another until one has begun to read it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderName;
use http_body::{Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::base::body::{Body, BoxError, TooLong, TooSlow};
use crate::base::clock::{self, Moment};
use crate::wire::trailers;

/// The body. The client of `hyper_util` wants to own a `Send` body and does not give it
/// back when a dial fails; all copies stand for the same body, which one worker reads.
#[derive(Clone)]
pub(super) struct SharedBody(Arc<Mutex<BodyState>>);

struct BodyState {
    body: Body,
    is_begun: bool,
    failure: Option<BodyFailure>,
    is_client_awaited: bool,
    moved: Moment,
    /// The trailer fields that pass.
    trailers: Arc<[HeaderName]>,
    /// While the backend has not said that it wants the body.
    held: Option<Held>,
}

/// Why a body came to no right end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum BodyFailure {
    /// Its sender took more time than it has.
    TooSlow,
    /// It is longer than it may be.
    TooLong,
    /// It ended early, or is not what its framing says.
    Broken,
}

/// A body that is not read yet.
struct Held {
    wait: Duration,
    reader: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl SharedBody {
    pub(super) fn new(body: Body, trailers: &Arc<[HeaderName]>, now: Moment) -> SharedBody {
        let state = BodyState {
            body,
            trailers: Arc::clone(trailers),
            is_begun: false,
            failure: None,
            is_client_awaited: false,
            moved: now,
            held: None,
        };
        SharedBody(Arc::new(Mutex::new(state)))
    }

    /// Waits with the body until [`SharedBody::go_on`], or for so long.
    pub(super) fn hold_back(&self, wait: Duration) {
        self.state().held = Some(Held { wait, reader: None, timer: None });
    }

    /// The backend wants the body.
    pub(super) fn go_on(&self) {
        let held = self.state().held.take();
        if let Some(reader) = held.and_then(|held| held.reader) {
            reader.wake();
        }
    }

    /// Whether an attempt has begun to read: what it read is gone.
    pub(super) fn is_begun(&self) -> bool {
        self.state().is_begun
    }

    /// Why it came to no right end, which is its sender's fault and no reader's.
    pub(super) fn failure(&self) -> Option<BodyFailure> {
        self.state().failure
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
        if let Some(held) = &mut state.held {
            let wait = held.wait;
            let timer = held.timer.get_or_insert_with(|| Box::pin(sleep(wait)));
            if timer.as_mut().poll(cx).is_pending() {
                held.reader = Some(cx.waker().clone());
                return Poll::Pending;
            }
            state.held = None;
        }
        state.is_begun = true;
        let mut polled = Pin::new(&mut state.body).poll_frame(cx);
        state.is_client_awaited = polled.is_pending();
        if let Poll::Ready(Some(Err(error))) = &polled {
            state.failure = Some(match () {
                () if error.is::<TooSlow>() => BodyFailure::TooSlow,
                () if error.is::<TooLong>() => BodyFailure::TooLong,
                () => BodyFailure::Broken,
            });
        }
        if polled.is_ready() {
            state.moved = clock::now();
        }
        if let Poll::Ready(Some(Ok(frame))) = &mut polled {
            trailers::tidy(frame, &state.trailers);
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
