//! Names for living things: a session is addressed by worker, slot and generation, and outside of
//! its process by the process's own part before that.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// A session's address: its worker, its slot there, and the slot's generation, so that an id of a
/// session that has ended never names another. Printed as its [`SessionName`] in this process.
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
        SessionName { process: ProcessPart::this(), id: *self }.fmt(f)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

/// A process's part of its sessions' names: 48 random bits, so that the sessions of an installation
/// have names of their own however often it is started, upgraded or moved to another machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct ProcessPart(u64);

impl ProcessPart {
    const DIGITS: usize = 12;

    /// This process's.
    fn this() -> ProcessPart {
        static THIS: OnceLock<ProcessPart> = OnceLock::new();
        *THIS.get_or_init(|| {
            let mut bytes = [0; 8];
            // cannot fail: the system's source is there once a process runs.
            getrandom::fill(&mut bytes[2..]).expect("the system gives random bytes");
            ProcessPart(u64::from_be_bytes(bytes))
        })
    }
}

/// What a session is called for ever, in log lines and by operators: 12 hexadecimal digits of its
/// process, `-`, and 16 of its id there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionName {
    process: ProcessPart,
    id: SessionId,
}

/// What is not written as the name of a session is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotASessionName;

impl SessionName {
    const ID_DIGITS: usize = 16;

    /// The session's id, where it is one of this process.
    pub fn here(self) -> Option<SessionId> {
        (self.process == ProcessPart::this()).then_some(self.id)
    }
}

impl fmt::Display for SessionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SessionName { process: ProcessPart(process), id: SessionId(id) } = self;
        write!(f, "{process:012x}-{id:016x}")
    }
}

impl FromStr for SessionName {
    type Err = NotASessionName;

    fn from_str(text: &str) -> Result<SessionName, NotASessionName> {
        let number = |digits: &str, count: usize| {
            let is_plain = digits.len() == count && digits.bytes().all(|b| b.is_ascii_hexdigit());
            let number = is_plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten();
            number.ok_or(NotASessionName)
        };
        let (process, id) = text.split_once('-').ok_or(NotASessionName)?;
        let process = ProcessPart(number(process, ProcessPart::DIGITS)?);
        Ok(SessionName { process, id: SessionId(number(id, Self::ID_DIGITS)?) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_parts_and_its_name_says_whose_it_is() {
        let id = SessionId::new(3, 0xAB_CDEF, 77);
        assert_eq!((id.worker(), id.slot(), id.generation()), (3, 0xAB_CDEF, 77));
        let name = id.to_string();
        assert_eq!(name.parse().map(SessionName::here), Ok(Some(id)));
        // The same slot in another process is another session.
        let digit = if name.starts_with('0') { '1' } else { '0' };
        let elsewhere: SessionName = format!("{digit}{}", &name[1..]).parse().unwrap();
        assert_eq!(elsewhere.here(), None);
        assert_eq!(elsewhere.to_string().len(), 12 + 1 + 16);
    }

    #[test]
    fn what_is_no_name_of_a_session_is_none() {
        for text in ["", "-", "00000000000000ff", "+1234567890a-00000000000000ff"] {
            assert_eq!(text.parse::<SessionName>(), Err(NotASessionName), "{text}");
        }
    }
}
