//! What is kept of a key: a hash of it.

use std::hash::{BuildHasher, Hash, RandomState};

/// A key's hash. Unlike the key itself it is short; and it is made with random numbers of this
/// process, so that no one can choose keys that meet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(super) struct KeyHash(u128);

/// Makes them.
#[derive(Debug)]
pub(super) struct KeyHasher([RandomState; 2]);

impl KeyHasher {
    pub(super) fn new() -> KeyHasher {
        KeyHasher([RandomState::new(), RandomState::new()])
    }

    pub(super) fn hash(&self, key: impl Hash) -> KeyHash {
        let [high, low] = self.0.each_ref().map(|state| u128::from(state.hash_one(&key)));
        KeyHash((high << 64 | low).max(1))
    }
}

impl KeyHash {
    /// No key's.
    pub(super) const NONE: KeyHash = KeyHash(0);

    /// A number that has nothing to do with [`KeyHash::place`].
    pub(super) fn shard(self) -> usize {
        (self.0 >> 64) as usize
    }

    /// One of so many places, each as probable.
    pub(super) fn place(self, of: usize) -> usize {
        let low = u128::from(self.0 as u64);
        ((low * of as u128) >> 64) as usize
    }
}
