//! A lock whose holder may have panicked.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what is whole whoever panicked: each change to it is made at once.
pub fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
