//! What all messages of a process's callers may have under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes of messages that the callers of a process may have under way together, each counted once
/// however many get it.
#[derive(Debug)]
pub struct PushBudget {
    max: AtomicUsize,
    used: AtomicUsize,
}

/// A message's place among them; its drop gives it back.
#[derive(Debug)]
pub struct PushRoom {
    budget: Arc<PushBudget>,
    bytes: usize,
}

impl PushBudget {
    /// So many bytes.
    pub fn new(max: usize) -> Arc<PushBudget> {
        Arc::new(PushBudget { max: AtomicUsize::new(max), used: AtomicUsize::new(0) })
    }

    /// Changes how many.
    pub fn set_max(&self, max: usize) {
        self.max.store(max, Relaxed);
    }

    /// Room for so many, if there is.
    pub fn take(self: &Arc<PushBudget>, bytes: usize) -> Option<PushRoom> {
        let max = self.max.load(Relaxed);
        let more = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= max);
        self.used.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(PushRoom { budget: Arc::clone(self), bytes })
    }
}

impl Drop for PushRoom {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_as_much_room_as_is_left_and_it_is_given_back() {
        let budget = PushBudget::new(10);
        let held = budget.take(7).unwrap();
        assert!(budget.take(4).is_none() && budget.take(usize::MAX).is_none());
        let more = budget.take(3).unwrap();
        budget.set_max(5);
        drop(held);
        assert!(budget.take(3).is_none());
        drop(more);
        assert!(budget.take(5).is_some());
    }
}
