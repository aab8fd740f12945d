//! Messages of ours to the client: they wait for a place between two of the backend's.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::base::clock::Moment;
use crate::registry::Delivery;

/// A pointer while there was none.
#[derive(Debug, Default)]
pub(super) struct Pushes(Option<Box<PushQueue>>);

/// What a session has of them; the registry bounds how many there are.
#[derive(Debug, Default)]
struct PushQueue {
    waiting: VecDeque<Rc<Delivery>>,
    /// Sent, and not yet taken whole by the client's transport.
    under_way: Option<Rc<Delivery>>,
    /// Written, and not known to be read: each with the number of the ping behind it, once that
    /// was sent.
    unread: VecDeque<(Option<u32>, Rc<Delivery>)>,
    sent: u64,
}

impl Pushes {
    /// One more waits.
    pub(super) fn queue(&mut self, delivery: Rc<Delivery>) {
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
    pub(super) fn begin(&mut self) -> Option<Rc<Delivery>> {
        let queue = self.0.as_deref_mut()?;
        let next = queue.waiting.pop_front()?;
        queue.sent += 1;
        queue.under_way = Some(Rc::clone(&next));
        Some(next)
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
            queue.unread.pop_front().into_iter().for_each(|(_, delivery)| delivery.on_read());
        }
    }

    /// When [`Pushes::on_timeout`] is needed next.
    pub(super) fn timeout(&self) -> Moment {
        let Some(queue) = self.0.as_deref() else { return Moment::NEVER };
        let unread = queue.unread.iter().map(|(_, delivery)| delivery);
        let all = queue.waiting.iter().chain(unread);
        all.map(|delivery| delivery.timeout()).min().unwrap_or(Moment::NEVER)
    }

    /// Drops those that had no place in time, and no answer.
    pub(super) fn on_timeout(&mut self, now: Moment) {
        let Some(queue) = self.0.as_deref_mut() else { return };
        let stays = |delivery: &Rc<Delivery>| {
            let is_late = delivery.timeout() <= now;
            if is_late {
                delivery.on_late();
            }
            !is_late
        };
        queue.waiting.retain(stays);
        queue.unread.retain(|(_, delivery)| stays(delivery));
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
