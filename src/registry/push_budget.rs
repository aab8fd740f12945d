//! What all messages of a process's callers may have under way.

use std::sync::Arc;

use crate::base::network::ClientNetwork;
use crate::base::quota::{ClientQuota, Quota};

/// Bytes of messages that the callers of a process may have under way together, each counted once
/// however many get it. A caller that has most of them leaves some for others.
#[derive(Debug)]
pub struct PushBudget(Arc<Quota>);

/// A message's place among them; its drop gives it back.
#[derive(Debug)]
pub struct PushRoom {
    part: Arc<ClientQuota>,
    bytes: u64,
}

impl PushBudget {
    /// So many bytes.
    pub fn new(max: usize) -> Arc<PushBudget> {
        Arc::new(PushBudget(Quota::new(max as u64)))
    }

    /// Changes how many.
    pub fn set_max(&self, max: usize) {
        self.0.set_max(max as u64);
    }

    /// Room for so many of this caller's, if there is.
    pub fn take(&self, caller: ClientNetwork, bytes: usize) -> Option<PushRoom> {
        let (part, wanted) = (self.0.of(caller), bytes as u64);
        let mut bytes = part.take(wanted);
        // Where nothing else is under way, a message may be as long as all together.
        if bytes < wanted && self.0.used() == bytes && wanted <= self.0.max() {
            part.take_anyway(wanted - bytes);
            bytes = wanted;
        }
        // What there is of less is given back with it.
        let room = PushRoom { part, bytes };
        (bytes == wanted).then_some(room)
    }
}

impl Drop for PushRoom {
    fn drop(&mut self) {
        self.part.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn there_is_as_much_room_as_is_left_and_it_is_given_back() {
        let budget = PushBudget::new(10);
        let take = |bytes| budget.take(ClientNetwork::Unshared, bytes);
        let held = take(7).unwrap();
        assert!(take(4).is_none() && take(usize::MAX).is_none());
        let more = take(3).unwrap();
        budget.set_max(5);
        drop(held);
        assert!(take(3).is_none());
        drop(more);
        assert!(take(5).is_some());
    }

    #[test]
    fn no_caller_has_all_of_it() {
        let budget = PushBudget::new(900);
        let caller = |last: u8| IpAddr::from([10, 0, 0, last]).into();
        let all_of = |last| {
            let room = || budget.take(caller(last), 10);
            std::iter::from_fn(room).collect::<Vec<_>>()
        };
        let one = all_of(1);
        assert_eq!(one.len(), 80);
        assert!(!all_of(2).is_empty());
        drop(one);
        assert_eq!(all_of(3).len(), 80);
        let whole = budget.take(caller(4), 900);
        assert!(whole.is_some() && budget.take(caller(4), 1).is_none());
        drop(whole);
        assert!(budget.take(caller(4), 901).is_none());
    }
}
