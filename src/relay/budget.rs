//! A session's part of the bytes kept for held sessions.

use std::cmp::Ordering;
use std::sync::Arc;

use crate::base::quota::ClientQuota;

/// A session's part of what its client may have; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BudgetShare {
    of_client: Arc<ClientQuota>,
    bytes: u64,
}

impl BudgetShare {
    pub(super) fn none(of_client: Arc<ClientQuota>) -> BudgetShare {
        BudgetShare { of_client, bytes: 0 }
    }

    /// Grows by as much of `wanted` as there is; says by how much.
    pub(super) fn grow(&mut self, wanted: u64) -> u64 {
        let more = self.of_client.take(wanted);
        self.bytes += more;
        more
    }

    /// Becomes this big, whatever there is: for bytes that are in memory already.
    pub(super) fn set(&mut self, bytes: u64) {
        // By the difference alone, so that no other session is refused what is there; and without a
        // touch where there is none, since it is asked after each message.
        match bytes.cmp(&self.bytes) {
            Ordering::Greater => self.of_client.take_anyway(bytes - self.bytes),
            Ordering::Less => self.of_client.give_back(self.bytes - bytes),
            Ordering::Equal => return,
        };
        self.bytes = bytes;
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.of_client.give_back(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::network::ClientNetwork;
    use crate::base::quota::Quota;

    #[test]
    fn shares_take_what_is_there_and_give_it_back() {
        let quota = Quota::new(100);
        let budget = quota.of(ClientNetwork::Unshared);
        let mut one = BudgetShare::none(Arc::clone(&budget));
        let mut other = BudgetShare::none(Arc::clone(&budget));
        assert_eq!((one.grow(70), other.grow(70), one.grow(1)), (70, 30, 0));
        other.set(50);
        assert_eq!((budget.used(), one.grow(1)), (120, 0));
        quota.set_max(200);
        assert_eq!((one.grow(100), budget.used()), (80, 200));
        drop(one);
        other.set(1);
        assert_eq!(budget.used(), 1);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
