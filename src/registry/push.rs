//! Messages of ours to clients: each made once for all that get it, with the account of what became
//! of it. Pure, but for the caller that waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use bytes::Bytes;
use tokio::sync::Notify;

use super::push_budget::PushRoom;
use crate::base::clock::Moment;

/// By what its caller knows that a message has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub enum PushLevel {
    /// It waits for its place between two messages of the backend.
    #[default]
    Queued,
    /// The system has taken its last byte.
    Written,
    /// The client has answered a ping behind it, and so has read it.
    Read,
}

/// A message to clients, as it is on the wire: a server's frames have no mask, so that all read the
/// same bytes (RFC 6455 §5.3).
pub struct PushMessage {
    frame: Bytes,
    pub(super) payload_bytes: usize,
    pub(super) level: PushLevel,
    /// When a client that was to read it is no longer waited for.
    pub(super) until: Moment,
    /// Sessions that have begun to send it keep these, and not the message.
    pub(super) counts: Arc<PushCounts>,
    /// Its place in what all messages under way may have; given back with it.
    _room: PushRoom,
}

/// What became of it, over all sessions and workers.
#[derive(Default, Debug)]
pub(super) struct PushCounts {
    written: AtomicUsize,
    read: AtomicUsize,
    late: AtomicUsize,
    gone: AtomicUsize,
    /// Sessions of which this is not known yet.
    open: AtomicUsize,
    settled: Notify,
}

impl PushCounts {
    pub(super) fn on_queued(&self) {
        self.open.fetch_add(1, Relaxed);
    }

    pub(super) fn on_written(&self) {
        self.written.fetch_add(1, Relaxed);
    }

    pub(super) fn on_read(&self) {
        self.read.fetch_add(1, Relaxed);
    }

    pub(super) fn on_late(&self) {
        self.late.fetch_add(1, Relaxed);
    }

    pub(super) fn on_gone(&self) {
        self.gone.fetch_add(1, Relaxed);
    }

    /// Nothing more becomes of one of those that were queued.
    pub(super) fn on_settled(&self) {
        // Who sees that none is open sees what became of each, too.
        if self.open.fetch_sub(1, Release) == 1 {
            self.settled.notify_waiters();
        }
    }
}

/// What became of the copies that were queued.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PushOutcome {
    /// The system took them whole.
    pub written: usize,
    /// Their clients have read them.
    pub read: usize,
    /// They had no place in time, and were dropped.
    pub late: usize,
    /// Their sessions ended before.
    pub gone: usize,
}

impl PushMessage {
    /// A message in this frame, of so many bytes itself; who waits for its being read gives up at
    /// `until`. It keeps `room` for as long as it waits in any session.
    pub fn new(
        frame: Bytes,
        payload_bytes: usize,
        level: PushLevel,
        until: Moment,
        room: PushRoom,
    ) -> Arc<PushMessage> {
        let counts = Arc::default();
        Arc::new(PushMessage { frame, payload_bytes, level, until, counts, _room: room })
    }

    /// Its bytes.
    pub fn frame(&self) -> &Bytes {
        &self.frame
    }

    /// What has become of it by now.
    pub fn outcome(&self) -> PushOutcome {
        let PushCounts { written, read, late, gone, .. } = &*self.counts;
        PushOutcome {
            written: written.load(Relaxed),
            read: read.load(Relaxed),
            late: late.load(Relaxed),
            gone: gone.load(Relaxed),
        }
    }

    /// Waits until that is known of every session that it was queued for.
    pub async fn settled(&self) {
        loop {
            let settled = self.counts.settled.notified();
            if self.counts.open.load(Acquire) == 0 {
                return;
            }
            settled.await;
        }
    }
}

impl fmt::Debug for PushMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PushMessage({} bytes)", self.frame.len())
    }
}
