//! What every module stands on: the clock, workers, tracked tasks, ids, sockets and bodies.
//!
//! **In:** nothing of tidegate's. **Out:** small types without policy.
//! **Never here:** anything that knows configuration, HTTP routes or frames.

pub mod along;
pub mod background;
pub mod body;
pub mod clock;
pub mod compact_addr;
pub mod files;
pub mod flow;
pub mod id;
pub mod join;
pub mod label;
pub mod link;
pub mod lock;
pub mod network;
pub mod quota;
pub mod scratch;
pub mod share;
pub mod side;
pub mod socket;
pub mod task;
pub mod trace_context;
pub mod usage;
pub mod whole_file;
pub mod worker;
