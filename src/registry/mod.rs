//! The live sessions of a worker: mailboxes and deadlines.
//!
//! **In:** a session's facts; notes from above. **Out:** a seat, through which a session hears
//! notes and its deadline. **Never here:** a session's bytes; a lock, channel or timer per session.
//!
//! Each worker has one slab of its own, which no other thread ever sees. Who wants something of
//! the sessions sends one job to every worker; it runs the functions of this room there, which
//! sweep the slab once and leave notes. Deadlines are kept by one coarse wheel per worker.

mod drain;
mod facts;
mod leaving;
mod local;
mod locations;
mod moving;
mod note;
mod seat;
mod sweeps;
mod wheel;

pub use drain::{Disposition, Drain, Share, spread};
pub use facts::{Facts, Location, NOBODY, Seen, Selector};
pub use leaving::DrainCount;
pub use local::{Full, SESSIONS_MAX};
pub use moving::{First, Moving};
pub use note::{Changes, EndOrder, MoveOrder, Names, Note};
pub use seat::{
    Seat, count, drained, enter, facts, forget_drain, let_go, list, live, move_away,
    rename_listeners, update_rules,
};
pub use wheel::TICK;

#[cfg(test)]
mod tests;
