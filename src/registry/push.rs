//! Messages of ours to clients: each made once for all that get it, with the account of what became
//! of it. Pure, but for the caller that waits.

use std::cell::Cell;
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;
use tokio::sync::Notify;

use super::facts::{Facts, Pushable, Selector};
use super::push_budget::PushRoom;
use crate::base::clock::Moment;
use crate::base::id::SessionId;
use crate::config::plan::{CompressedPush, FullPush, Push};

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
    payload_bytes: usize,
    level: PushLevel,
    /// When a client that was to read it is no longer waited for.
    until: Moment,
    counts: PushCounts,
    /// Its place in what all messages under way may have; given back with it.
    _room: PushRoom,
}

/// What became of it, over all sessions and workers.
#[derive(Default)]
struct PushCounts {
    written: AtomicUsize,
    read: AtomicUsize,
    late: AtomicUsize,
    gone: AtomicUsize,
    /// Sessions of which this is not known yet.
    open: AtomicUsize,
    settled: Notify,
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
    /// `until`. It keeps `room` for as long as any session keeps it.
    pub fn new(
        frame: Bytes,
        payload_bytes: usize,
        level: PushLevel,
        until: Moment,
        room: PushRoom,
    ) -> Arc<PushMessage> {
        let counts = PushCounts::default();
        Arc::new(PushMessage { frame, payload_bytes, level, until, counts, _room: room })
    }

    /// What has become of it by now.
    pub fn outcome(&self) -> PushOutcome {
        let PushCounts { written, read, late, gone, .. } = &self.counts;
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
            if self.counts.open.load(Relaxed) == 0 {
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

/// A message on its way to one session. Its drop settles what has not become of it.
#[derive(Debug)]
pub struct Delivery {
    message: Arc<PushMessage>,
    /// When it is dropped that has no place by then.
    by: Moment,
    load: Rc<PushLoad>,
    stage: Cell<DeliveryStage>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum DeliveryStage {
    Queued,
    Written,
    Settled,
}

impl Delivery {
    fn new(message: Arc<PushMessage>, by: Moment, load: Rc<PushLoad>) -> Delivery {
        message.counts.open.fetch_add(1, Relaxed);
        load.take(message.payload_bytes);
        Delivery { message, by, load, stage: Cell::new(DeliveryStage::Queued) }
    }

    /// Its bytes.
    pub fn frame(&self) -> &Bytes {
        &self.message.frame
    }

    /// When it is too late to begin with it; or, once it is written, to wait for its being read.
    pub fn timeout(&self) -> Moment {
        match self.stage.get() {
            DeliveryStage::Queued => self.by,
            _ => self.message.until,
        }
    }

    /// The system has taken it whole. Whether it is still to be known that it was read.
    pub fn on_written(&self) -> bool {
        self.message.counts.written.fetch_add(1, Relaxed);
        self.stage.set(DeliveryStage::Written);
        let asks = self.message.level == PushLevel::Read;
        if !asks {
            self.settle();
        }
        asks
    }

    /// The client has read it.
    pub fn on_read(&self) {
        self.message.counts.read.fetch_add(1, Relaxed);
        self.settle();
    }

    /// It has no place in time.
    pub fn on_late(&self) {
        if self.stage.get() == DeliveryStage::Queued {
            self.message.counts.late.fetch_add(1, Relaxed);
        }
        self.settle();
    }

    fn settle(&self) {
        if self.stage.replace(DeliveryStage::Settled) == DeliveryStage::Settled {
            return;
        }
        self.load.release(self.message.payload_bytes);
        if self.message.counts.open.fetch_sub(1, Relaxed) == 1 {
            self.message.counts.settled.notify_waiters();
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.stage.get() == DeliveryStage::Queued {
            self.message.counts.gone.fetch_add(1, Relaxed);
        }
        self.settle();
    }
}

/// What a session keeps of messages that are on their way to it.
#[derive(Default, Debug)]
pub(super) struct PushLoad {
    messages: Cell<usize>,
    bytes: Cell<usize>,
}

impl PushLoad {
    fn take(&self, bytes: usize) {
        self.messages.set(self.messages.get() + 1);
        self.bytes.set(self.bytes.get() + bytes);
    }

    fn release(&self, bytes: usize) {
        self.messages.set(self.messages.get().saturating_sub(1));
        self.bytes.set(self.bytes.get().saturating_sub(bytes));
    }

    fn has_room(&self, bytes: usize, terms: &Push) -> bool {
        self.messages.get() < terms.queue_messages_max
            && self.bytes.get() + bytes <= terms.queue_bytes_max
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.messages.get() == 0
    }
}

/// To whom a message goes, and on what terms.
#[derive(Clone)]
pub struct PushOrder {
    /// The message.
    pub message: Arc<PushMessage>,
    /// Which sessions.
    pub selector: Selector,
    /// But none of these.
    pub except: Option<Selector>,
    /// The terms of the routes whose sessions can be pushed to, by identity.
    pub routes: Arc<HashMap<Arc<str>, Arc<Push>>>,
}

/// What came of an order at once.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct PushCount {
    /// Sessions that it is for.
    pub matched: usize,
    /// Those that will get it.
    pub queued: usize,
    /// Those that have as many on their way as they may.
    pub full: usize,
    /// Those that cannot get it whole: by their extensions, or as their route says.
    pub refused: usize,
}

impl PushCount {
    /// Of two workers.
    pub fn plus(self, other: PushCount) -> PushCount {
        PushCount {
            matched: self.matched + other.matched,
            queued: self.queued + other.queued,
            full: self.full + other.full,
            refused: self.refused + other.refused,
        }
    }
}

/// What is done for one session.
pub(super) enum PushStep {
    /// It is put into the mailbox.
    Queue(Rc<Delivery>),
    /// There is no room; the session ends where its route says so.
    Full {
        /// Whether it ends.
        ends: bool,
    },
    /// It cannot get it.
    Refuse,
}

impl PushOrder {
    /// The terms of a session that it is for; `None` where it is not.
    pub(super) fn terms(&self, id: SessionId, facts: &Facts) -> Option<&Push> {
        let is_except = self.except.as_ref().is_some_and(|except| except.matches(id, facts));
        self.routes.get(&facts.route).map(|terms| &**terms).filter(|_| !is_except)
    }

    /// What it comes to in a session with these terms and so much on its way.
    pub(super) fn step(
        &self,
        terms: &Push,
        pushable: Pushable,
        load: &Rc<PushLoad>,
        now: Moment,
    ) -> PushStep {
        let is_refused = match pushable {
            Pushable::No => true,
            Pushable::Compressed => terms.compressed == CompressedPush::Refuse,
            Pushable::Plain => false,
        };
        let bytes = self.message.payload_bytes;
        if is_refused || bytes > terms.message_bytes_max {
            return PushStep::Refuse;
        }
        if !load.has_room(bytes, terms) {
            return PushStep::Full { ends: terms.full == FullPush::Close };
        }
        let by = now.after(terms.wait_max);
        PushStep::Queue(Rc::new(Delivery::new(Arc::clone(&self.message), by, Rc::clone(load))))
    }
}

#[cfg(test)]
impl Delivery {
    /// A message to one session alone.
    pub(crate) fn alone(message: &Arc<PushMessage>, by: Moment) -> Rc<Delivery> {
        Rc::new(Delivery::new(Arc::clone(message), by, Rc::default()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::push_budget::PushBudget;
    use super::*;

    fn message(level: PushLevel) -> Arc<PushMessage> {
        let room = PushBudget::new(2).take(2).unwrap();
        PushMessage::new(Bytes::from_static(b"\x81\x02hi"), 2, level, Moment::NEVER, room)
    }

    fn deliveries(message: &Arc<PushMessage>, load: &Rc<PushLoad>) -> [Delivery; 3] {
        let by = Moment::from_millis(7);
        [0; 3].map(|_| Delivery::new(Arc::clone(message), by, Rc::clone(load)))
    }

    #[test]
    fn what_becomes_of_each_copy_is_counted_once_and_its_room_given_back() {
        let load = Rc::new(PushLoad::default());
        let message = message(PushLevel::Read);
        let [one, two, three] = deliveries(&message, &load);
        assert_eq!((load.messages.get(), load.bytes.get()), (3, 6));
        assert!(one.on_written());
        one.on_read();
        drop(one);
        two.on_late();
        drop(two);
        drop(three);
        let outcome = PushOutcome { written: 1, read: 1, late: 1, gone: 1 };
        assert_eq!(message.outcome(), outcome);
        assert!(load.is_idle() && load.bytes.get() == 0);
    }

    #[tokio::test]
    async fn a_caller_waits_until_the_last_copy_is_settled() {
        let load = Rc::new(PushLoad::default());
        let message = message(PushLevel::Written);
        message.settled().await;
        let [one, two, three] = deliveries(&message, &load);
        let waiting = message.settled();
        let settling = async {
            drop((one, two));
            tokio::task::yield_now().await;
            assert!(!three.on_written());
        };
        tokio::join!(waiting, settling);
        assert_eq!(message.outcome(), PushOutcome { written: 1, gone: 2, ..Default::default() });
    }
}
