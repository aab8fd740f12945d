//! Names for living things: a session is addressed by worker, slot and generation.

use std::fmt;
use std::str::FromStr;

/// A session's address: its worker, its slot there, and the slot's generation, so that an id of a
/// session that has ended never names another. Printed as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId(u64);

impl SessionId {
    /// Bits of the slot number: 16 million sessions per worker.
    const SLOT_BITS: u32 = 24;
    const WORKER_BITS: u32 = 8;

    /// Puts an id together; `slot` is cut to 24 bits.
    pub const fn new(worker: u8, slot: u32, generation: u32) -> SessionId {
        let slot = slot as u64 & ((1 << Self::SLOT_BITS) - 1);
        SessionId((generation as u64) << 32 | slot << Self::WORKER_BITS | worker as u64)
    }

    /// The worker whose slab holds the session.
    pub const fn worker(self) -> u8 {
        self.0 as u8
    }

    /// The slot in that worker's slab.
    pub const fn slot(self) -> u32 {
        ((self.0 >> Self::WORKER_BITS) & ((1 << Self::SLOT_BITS) - 1)) as u32
    }

    /// Tells the sessions apart that had this slot one after another.
    pub const fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl FromStr for SessionId {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<SessionId, Self::Err> {
        u64::from_str_radix(text, 16).map(SessionId)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_parts_and_its_text() {
        let id = SessionId::new(3, 0xAB_CDEF, 77);
        assert_eq!((id.worker(), id.slot(), id.generation()), (3, 0xAB_CDEF, 77));
        assert_eq!(id.to_string().parse::<SessionId>(), Ok(id));
    }
}
