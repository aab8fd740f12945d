//! An upgrade: another process, started from the program's file as it is now, takes over.
//!
//! The new process gets the listening sockets themselves, so that no connection is refused or reset
//! in between: what nobody has accepted yet waits in the sockets' queues. It reads and checks the
//! configuration, builds everything and says that it is ready; all that time the old one serves.
//! Then the old one ceases to accept, the new one begins, and the old one leaves ([`leave`]). Until
//! the new one has said that it accepts, whatever goes wrong with it changes nothing.

mod answers;
mod leave;
mod older;
mod peer;
mod pieces;
mod pool_rows;
mod predecessor;
mod program;
mod state;
mod successor;
mod switch;
mod words;

pub use predecessor::{Herald, Predecessor};
pub use program::Program;

pub(super) use leave::leave;
pub(super) use older::Older;
pub(super) use pool_rows::{DisabledBackend, FoundRow};
pub(super) use state::{State, UpgradeAsked};
pub(super) use switch::upgrade;
