//! A message on its way to one session, and what the session has of such messages.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use super::push::{PushCounts, PushLevel, PushMessage};
use crate::base::clock::Moment;
use crate::config::plan::Push;

/// A message that waits in one session for its place.
#[derive(Clone, Debug)]
pub struct Delivery {
    message: Arc<PushMessage>,
    /// When it is dropped that has no place by then.
    by: Moment,
    receipt: Rc<PushReceipt>,
}

/// What is still to become of a message in one session. It is without the message: a client that
/// does not read keeps what its own connection has, and nothing of what all callers may have under
/// way. Its drop settles what has not become of it.
#[derive(Debug)]
pub struct PushReceipt {
    counts: Arc<PushCounts>,
    load: Rc<PushLoad>,
    payload_bytes: usize,
    level: PushLevel,
    until: Moment,
    stage: Cell<DeliveryStage>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum DeliveryStage {
    Queued,
    Written,
    Settled,
}

impl Delivery {
    pub(super) fn new(message: Arc<PushMessage>, by: Moment, load: Rc<PushLoad>) -> Delivery {
        let PushMessage { payload_bytes, level, until, .. } = *message;
        let counts = Arc::clone(&message.counts);
        counts.on_queued();
        load.take(payload_bytes);
        let stage = Cell::new(DeliveryStage::Queued);
        let receipt = PushReceipt { counts, load, payload_bytes, level, until, stage };
        Delivery { message, by, receipt: Rc::new(receipt) }
    }

    /// Has its place: what is to be sent, and what is to be told of it.
    pub fn begin(self) -> (Arc<PushMessage>, Rc<PushReceipt>) {
        (self.message, self.receipt)
    }

    /// When it is too late to begin with it.
    pub fn by(&self) -> Moment {
        self.by
    }

    /// It has no place in time.
    pub fn on_late(&self) {
        self.receipt.counts.on_late();
        self.receipt.settle();
    }
}

impl PushReceipt {
    /// When its being read is no longer waited for.
    pub fn until(&self) -> Moment {
        self.until
    }

    /// The system has taken it whole. Whether it is still to be known that it was read.
    pub fn on_written(&self) -> bool {
        self.counts.on_written();
        self.stage.set(DeliveryStage::Written);
        self.load.is_stuck.set(false);
        let asks = self.level == PushLevel::Read;
        if !asks {
            self.settle();
        }
        asks
    }

    /// The client has read it.
    pub fn on_read(&self) {
        self.counts.on_read();
        self.settle();
    }

    /// Another waited behind it in vain: until it is written, none is queued.
    pub fn on_stuck(&self) {
        self.load.is_stuck.set(true);
    }

    fn settle(&self) {
        if self.stage.replace(DeliveryStage::Settled) == DeliveryStage::Settled {
            return;
        }
        self.load.release(self.payload_bytes);
        self.counts.on_settled();
    }
}

impl Drop for PushReceipt {
    fn drop(&mut self) {
        if self.stage.get() == DeliveryStage::Queued {
            self.counts.on_gone();
        }
        self.settle();
    }
}

/// What a session keeps of messages that are on their way to it.
#[derive(Default, Debug)]
pub(super) struct PushLoad {
    messages: Cell<usize>,
    bytes: Cell<usize>,
    /// Its client has not read for as long as a message may wait.
    is_stuck: Cell<bool>,
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

    /// Whether a message of so many bytes may be queued.
    pub(super) fn has_room(&self, bytes: usize, terms: &Push) -> bool {
        !self.is_stuck.get()
            && self.messages.get() < terms.queue_messages_max
            && self.bytes.get() + bytes <= terms.queue_bytes_max
    }

    /// Whether nothing is on its way.
    pub(super) fn is_idle(&self) -> bool {
        self.messages.get() == 0
    }
}

#[cfg(test)]
impl Delivery {
    /// A message to one session alone.
    pub(crate) fn alone(message: &Arc<PushMessage>, by: Moment) -> Delivery {
        Delivery::new(Arc::clone(message), by, Rc::default())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::push::PushOutcome;
    use super::super::push_budget::{PushBudget, PushRoom};
    use super::*;
    use crate::base::network::ClientNetwork;

    fn take(budget: &PushBudget) -> Option<PushRoom> {
        budget.take(ClientNetwork::Unshared, 2)
    }

    fn message(level: PushLevel) -> Arc<PushMessage> {
        let room = take(&PushBudget::new(2)).unwrap();
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
        let (_, one) = one.begin();
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

    #[test]
    fn a_message_that_all_have_begun_with_has_no_place_among_those_under_way() {
        let budget = PushBudget::new(2);
        let room = take(&budget).unwrap();
        let frame = Bytes::from_static(b"\x81\x02hi");
        let message = PushMessage::new(frame, 2, PushLevel::Read, Moment::NEVER, room);
        let load = Rc::new(PushLoad::default());
        let [one, two, three] = deliveries(&message, &load);
        let (_, one) = one.begin();
        let (_, two) = two.begin();
        drop(message);
        assert!(take(&budget).is_none());
        let (begun, three) = three.begin();
        assert_eq!(&begun.frame()[..], b"\x81\x02hi");
        drop(begun);
        assert!(take(&budget).is_some());
        // Each still counts for its session.
        assert_eq!((load.messages.get(), load.bytes.get()), (3, 6));
        drop((one, two, three));
        assert!(load.is_idle());
    }

    #[test]
    fn a_session_whose_client_did_not_read_in_time_has_room_once_it_has() {
        let load = Rc::new(PushLoad::default());
        let message = message(PushLevel::Queued);
        let [one, two, _] = deliveries(&message, &load);
        let terms = Push::default();
        let (_, one) = one.begin();
        assert!(load.has_room(2, &terms));
        two.on_late();
        one.on_stuck();
        assert!(!load.has_room(2, &terms));
        one.on_written();
        assert!(load.has_room(2, &terms));
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
            assert!(!three.begin().1.on_written());
        };
        tokio::join!(waiting, settling);
        assert_eq!(message.outcome(), PushOutcome { written: 1, gone: 2, ..Default::default() });
    }
}
