//! Room on a stream of HTTP/2, which its receiver gives (RFC 9113 §5.2).

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::SendStream;

/// Bytes that a connection may have on their way to its client whatever all others have, so that
/// it never stands still.
pub const CONNECTION_BYTES_MIN: usize = 64 * 1024;

/// Bytes that all connections of the process together have read from backends and not yet sent.
#[derive(Debug)]
pub struct FlowBudget {
    max: AtomicUsize,
    used: AtomicUsize,
}

impl FlowBudget {
    /// So many bytes.
    pub fn new(max: usize) -> Arc<FlowBudget> {
        Arc::new(FlowBudget { max: AtomicUsize::new(max), used: AtomicUsize::new(0) })
    }

    /// Changes how many.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Relaxed);
    }

    /// Bytes on their way.
    pub fn used(&self) -> usize {
        self.used.load(Relaxed)
    }
}

/// What one connection has of the budget: no more than is left free for others, but always
/// [`CONNECTION_BYTES_MIN`]. It is used on one worker, so its lock is free.
#[derive(Debug)]
pub struct ConnectionFlow {
    budget: Arc<FlowBudget>,
    is_worn: AtomicBool,
    state: Mutex<FlowState>,
}

#[derive(Debug, Default)]
struct FlowState {
    total: usize,
    streams: HashMap<u32, usize>,
    waiting: Vec<Waker>,
}

impl ConnectionFlow {
    /// Nothing is on its way yet.
    pub fn new(budget: Arc<FlowBudget>) -> Arc<ConnectionFlow> {
        let (is_worn, state) = (AtomicBool::new(false), Mutex::default());
        Arc::new(ConnectionFlow { budget, is_worn, state })
    }

    /// The connection's keys are used up, or nearly: its streams are to end.
    pub fn wear(&self) {
        self.is_worn.store(true, Relaxed);
    }

    /// Whether they are.
    pub fn is_worn(&self) -> bool {
        self.is_worn.load(Relaxed)
    }

    /// Waits until more may be read for this connection; how many bytes.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.lock();
        let free = self.budget.max.load(Relaxed).saturating_sub(self.budget.used());
        let room = CONNECTION_BYTES_MIN.max(free).saturating_sub(state.total);
        if room > 0 {
            return Poll::Ready(room);
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Bytes of a stream were read.
    pub fn add(&self, stream: u32, bytes: usize) {
        let mut state = self.lock();
        state.total += bytes;
        *state.streams.entry(stream).or_default() += bytes;
        self.budget.used.fetch_add(bytes, Relaxed);
    }

    /// Bytes of a stream were sent.
    pub fn sent(&self, stream: u32, bytes: usize) {
        let mut state = self.lock();
        let Some(queued) = state.streams.get_mut(&stream) else { return };
        let bytes = bytes.min(*queued);
        *queued -= bytes;
        if *queued == 0 {
            state.streams.remove(&stream);
        }
        self.release(state, bytes);
    }

    /// A stream was reset: what it had is not sent any more.
    pub fn reset(&self, stream: u32) {
        let mut state = self.lock();
        if let Some(queued) = state.streams.remove(&stream) {
            self.release(state, queued);
        }
    }

    fn release(&self, mut state: MutexGuard<'_, FlowState>, bytes: usize) {
        state.total -= bytes;
        self.budget.used.fetch_sub(bytes, Relaxed);
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Numbers and wakers: whole even after a panic.
    fn lock(&self) -> MutexGuard<'_, FlowState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ConnectionFlow {
    fn drop(&mut self) {
        let total = self.lock().total;
        self.budget.used.fetch_sub(total, Relaxed);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    fn room(flow: &ConnectionFlow) -> Option<usize> {
        match flow.poll_room(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(room) => Some(room),
            Poll::Pending => None,
        }
    }

    #[test]
    fn a_connection_has_what_it_leaves_free_and_never_less_than_its_minimum() {
        let budget = FlowBudget::new(10 * CONNECTION_BYTES_MIN);
        let one = ConnectionFlow::new(Arc::clone(&budget));
        let other = ConnectionFlow::new(Arc::clone(&budget));
        one.add(1, 5 * CONNECTION_BYTES_MIN);
        assert_eq!((room(&one), room(&other)), (None, Some(5 * CONNECTION_BYTES_MIN)));
        budget.set_max(0);
        assert_eq!((room(&one), room(&other)), (None, Some(CONNECTION_BYTES_MIN)));
        one.sent(1, 4 * CONNECTION_BYTES_MIN + 1);
        assert_eq!(room(&one), Some(1));
        one.add(3, 100);
        one.reset(3);
        one.reset(3);
        one.sent(1, usize::MAX);
        assert_eq!(budget.used(), 0);
        one.add(5, 7);
        drop(one);
        assert_eq!(budget.used(), 0);
    }
}
