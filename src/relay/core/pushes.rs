//! Messages of ours to the client: they wait for a place between two of the backend's.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use crate::base::clock::Moment;
use crate::registry::{Delivery, PushMessage, PushReceipt};

/// A pointer while there was none.
#[derive(Debug, Default)]
pub(super) struct Pushes(Option<Box<PushQueue>>);

/// What a session has of them; the registry bounds how many there are.
#[derive(Debug, Default)]
struct PushQueue {
    waiting: VecDeque<Delivery>,
    /// Sent, and not yet taken whole by the client's transport.
    under_way: Option<Rc<PushReceipt>>,
    /// Written, and not known to be read: each with the number of the ping behind it, once that
    /// was sent.
    unread: VecDeque<(Option<u32>, Rc<PushReceipt>)>,
    sent: u64,
}

impl Pushes {
    /// One more waits.
    pub(super) fn queue(&mut self, delivery: Delivery) {
        self.0.get_or_insert_default().waiting.push_back(delivery);
    }

    /// Whether one wants a place; one at a time, so that a client which does not read makes us keep
    /// one more copy and no more.
    pub(super) fn wants_place(&self) -> bool {
        let wants = |queue: &PushQueue| !queue.waiting.is_empty() && queue.under_way.is_none();
        self.0.as_deref().is_some_and(wants)
    }

    /// Whether a ping is to go behind what was written.
    pub(super) fn wants_ping(&self) -> bool {
        // Those without a number are the last.
        let wants = |queue: &PushQueue| queue.unread.back().is_some_and(|(ping, _)| ping.is_none());
        self.0.as_deref().is_some_and(wants)
    }

    /// The next has its place now.
    pub(super) fn begin(&mut self) -> Option<Arc<PushMessage>> {
        let queue = self.0.as_deref_mut()?;
        let (message, receipt) = queue.waiting.pop_front()?.begin();
        queue.sent += 1;
        queue.under_way = Some(receipt);
        Some(message)
    }

    /// The client's transport took all that went to it.
    pub(super) fn on_flushed(&mut self) {
        let Some(queue) = self.0.as_deref_mut() else { return };
        if let Some(written) = queue.under_way.take()
            && written.on_written()
        {
            queue.unread.push_back((None, written));
        }
    }

    /// A ping of this number went to the client, behind all that was written.
    pub(super) fn on_ping_sent(&mut self, number: u32) {
        let Some(queue) = self.0.as_deref_mut() else { return };
        let new = queue.unread.iter_mut().rev().take_while(|(ping, _)| ping.is_none());
        new.for_each(|(ping, _)| *ping = Some(number));
    }

    /// The client has answered the ping of this number.
    pub(super) fn on_pong(&mut self, number: u32) {
        let Some(queue) = self.0.as_deref_mut() else { return };
        let is_read = |ping: Option<u32>| ping.is_some_and(|ping| ping <= number);
        while queue.unread.front().is_some_and(|(ping, _)| is_read(*ping)) {
            queue.unread.pop_front().into_iter().for_each(|(_, receipt)| receipt.on_read());
        }
    }

    /// When [`Pushes::on_timeout`] is needed next.
    pub(super) fn timeout(&self) -> Moment {
        let Some(queue) = self.0.as_deref() else { return Moment::NEVER };
        let waiting = queue.waiting.iter().map(Delivery::by);
        let unread = queue.unread.iter().map(|(_, receipt)| receipt.until());
        waiting.chain(unread).min().unwrap_or(Moment::NEVER)
    }

    /// Drops those that had no place in time, and no answer.
    pub(super) fn on_timeout(&mut self, now: Moment) {
        let Some(queue) = self.0.as_deref_mut() else { return };
        let PushQueue { waiting, under_way, unread, .. } = queue;
        waiting.retain(|delivery| {
            let is_late = delivery.by() <= now;
            if is_late {
                delivery.on_late();
                // The client does not read what is before it.
                under_way.iter().for_each(|receipt| receipt.on_stuck());
            }
            !is_late
        });
        unread.retain(|(_, receipt)| receipt.until() > now);
    }

    /// None that waits will have a place.
    pub(super) fn drop_waiting(&mut self) {
        if let Some(queue) = self.0.as_deref_mut() {
            queue.waiting.clear();
        }
    }

    /// The client takes nothing more.
    pub(super) fn on_write_failed(&mut self) {
        self.drop_waiting();
        if let Some(queue) = self.0.as_deref_mut() {
            (queue.under_way, queue.unread) = Default::default();
        }
    }

    /// How many were sent.
    pub(super) fn sent(&self) -> u64 {
        self.0.as_deref().map_or(0, |queue| queue.sent)
    }
}
