//! The bytes kept for held sessions, over the whole process.

use std::cmp::Ordering;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// How many bytes all sessions of a process that can be held may keep together: of messages while
/// their upstream is away, and for their lives their handshakes and what they replay.
#[derive(Debug)]
pub struct HoldBudget {
    used: AtomicU64,
    most: AtomicU64,
}

impl HoldBudget {
    /// A budget of `most` bytes, of which none are used.
    pub fn new(most: u64) -> HoldBudget {
        HoldBudget { used: AtomicU64::new(0), most: AtomicU64::new(most) }
    }

    /// Changes the limit; what is kept beyond it stays until it is sent.
    pub fn set_most(&self, most: u64) {
        self.most.store(most, Relaxed);
    }

    /// Whether there is room for so many more.
    pub fn has_room(&self, bytes: u64) -> bool {
        self.used() + bytes <= self.most.load(Relaxed)
    }

    /// Bytes kept now.
    pub fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }

    /// Takes as much of `wanted` as there is; says how much.
    fn take(&self, wanted: u64) -> u64 {
        let most = self.most.load(Relaxed);
        let left = |used: u64| most.saturating_sub(used).min(wanted);
        let taken = self.used.try_update(Relaxed, Relaxed, |used| Some(used + left(used)));
        taken.map_or(0, left)
    }
}

/// A session's part of a budget; given back when it is dropped.
#[derive(Debug)]
pub(super) struct BudgetShare {
    budget: Arc<HoldBudget>,
    bytes: u64,
}

impl BudgetShare {
    pub(super) fn none(budget: Arc<HoldBudget>) -> BudgetShare {
        BudgetShare { budget, bytes: 0 }
    }

    /// Grows by as much of `wanted` as there is; says by how much.
    pub(super) fn grow(&mut self, wanted: u64) -> u64 {
        let more = self.budget.take(wanted);
        self.bytes += more;
        more
    }

    /// Becomes this big, whatever there is: for bytes that are in memory already.
    pub(super) fn set(&mut self, bytes: u64) {
        // By the difference alone, so that no other session is refused what is there; and without a
        // touch where there is none, since it is asked after each message.
        match bytes.cmp(&self.bytes) {
            Ordering::Greater => self.budget.used.fetch_add(bytes - self.bytes, Relaxed),
            Ordering::Less => self.budget.used.fetch_sub(self.bytes - bytes, Relaxed),
            Ordering::Equal => return,
        };
        self.bytes = bytes;
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_take_what_is_there_and_give_it_back() {
        let budget = Arc::new(HoldBudget::new(100));
        let mut one = BudgetShare::none(Arc::clone(&budget));
        let mut other = BudgetShare::none(Arc::clone(&budget));
        assert_eq!((one.grow(70), other.grow(70), one.grow(1)), (70, 30, 0));
        other.set(50);
        assert_eq!((budget.used(), one.grow(1)), (120, 0));
        budget.set_most(200);
        assert_eq!((one.grow(100), budget.used()), (80, 200));
        drop(one);
        other.set(1);
        assert_eq!(budget.used(), 1);
        drop(other);
        assert_eq!(budget.used(), 0);
    }
}
