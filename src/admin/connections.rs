//! The connections of one server: how many there may be, and which one goes for another.
//!
//! A connection whose request has not come waits for its client; it is closed when another needs
//! its slot. One whose request is being answered stays.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::base::network::ClientNetwork;

/// Connections open at once, per server.
pub const CONNECTIONS_MAX: usize = 64;

/// The slots of one server, on its thread.
#[derive(Default)]
pub(super) struct Connections {
    entries: RefCell<ConnectionTable>,
    /// A connection has ended.
    freed: Notify,
}

#[derive(Default)]
struct ConnectionTable {
    /// The number of the next one to come.
    next: u64,
    /// By number: the first came first.
    open: BTreeMap<u64, ConnectionEntry>,
}

struct ConnectionEntry {
    client: ClientNetwork,
    /// Whether its request is being answered.
    is_busy: bool,
    evict: Rc<Notify>,
}

impl Connections {
    /// A slot for a connection of this client. Where none is free, the connection that waits
    /// longest of the client that has most gives up its own; where all are busy, this waits.
    pub(super) async fn enter(self: &Rc<Connections>, client: ClientNetwork) -> ConnectionSlot {
        loop {
            // Asked for before the look: an end in between is not missed.
            let freed = self.freed.notified();
            if let Some(slot) = self.try_enter(client) {
                return slot;
            }
            freed.await;
        }
    }

    fn try_enter(self: &Rc<Connections>, client: ClientNetwork) -> Option<ConnectionSlot> {
        let mut entries = self.entries.borrow_mut();
        if entries.open.len() >= CONNECTIONS_MAX {
            let victim = entries.victim()?;
            let evicted = entries.open.remove(&victim)?;
            evicted.evict.notify_one();
        }
        let number = entries.next;
        entries.next += 1;
        let evict = Rc::new(Notify::new());
        let entry = ConnectionEntry { client, is_busy: false, evict: Rc::clone(&evict) };
        entries.open.insert(number, entry);
        Some(ConnectionSlot { slots: Rc::clone(self), number, evict })
    }

    /// Waits until no request is being answered.
    pub(super) async fn answered(&self) {
        loop {
            let freed = self.freed.notified();
            if self.entries.borrow().open.values().all(|entry| !entry.is_busy) {
                return;
            }
            freed.await;
        }
    }
}

impl ConnectionTable {
    /// Which connection goes for another, if one can.
    fn victim(&self) -> Option<u64> {
        let waiting = || self.open.iter().filter(|(_, entry)| !entry.is_busy);
        let mut counts: BTreeMap<ClientNetwork, usize> = BTreeMap::new();
        waiting().for_each(|(_, entry)| *counts.entry(entry.client).or_default() += 1);
        let (most, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        waiting().find(|(_, entry)| entry.client == most).map(|(number, _)| *number)
    }
}

/// A connection's slot; its drop gives that up.
pub(super) struct ConnectionSlot {
    slots: Rc<Connections>,
    number: u64,
    evict: Rc<Notify>,
}

impl ConnectionSlot {
    /// The request has come: the connection stays until it is answered.
    pub(super) fn busy(&self) {
        if let Some(entry) = self.slots.entries.borrow_mut().open.get_mut(&self.number) {
            entry.is_busy = true;
        }
    }

    /// Waits until the connection must go for another.
    pub(super) async fn evicted(&self) {
        self.evict.notified().await;
    }
}

impl Drop for ConnectionSlot {
    fn drop(&mut self) {
        self.slots.entries.borrow_mut().open.remove(&self.number);
        self.slots.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::net::IpAddr;

    use futures_util::FutureExt;

    fn client(last: u8) -> ClientNetwork {
        IpAddr::from([10, 0, 0, last]).into()
    }

    fn enter(slots: &Rc<Connections>, last: u8) -> Option<ConnectionSlot> {
        slots.enter(client(last)).now_or_never()
    }

    #[test]
    fn the_one_that_waits_longest_of_the_client_that_has_most_goes_first() {
        let slots = Rc::new(Connections::default());
        let other = enter(&slots, 1).unwrap();
        let many: Vec<_> = (1..CONNECTIONS_MAX).map(|_| enter(&slots, 2).unwrap()).collect();
        many[0].busy();
        let new = enter(&slots, 3).unwrap();
        let is_evicted = |slot: &ConnectionSlot| slot.evicted().now_or_never().is_some();
        assert!(!is_evicted(&other) && !is_evicted(&new) && !is_evicted(&many[0]));
        assert!(is_evicted(&many[1]) && !is_evicted(&many[2]));
    }

    #[test]
    fn where_all_are_busy_one_waits_until_one_has_ended() {
        let slots = Rc::new(Connections::default());
        let mut busy: Vec<_> = (0..CONNECTIONS_MAX).map(|_| enter(&slots, 1).unwrap()).collect();
        busy.iter().for_each(ConnectionSlot::busy);
        let mut waits = Box::pin(slots.enter(client(2)));
        assert!((&mut waits).now_or_never().is_none());
        assert!(slots.answered().now_or_never().is_none());
        drop(busy.pop());
        assert!((&mut waits).now_or_never().is_some());
        drop(busy);
        assert!(slots.answered().now_or_never().is_some());
    }
}
