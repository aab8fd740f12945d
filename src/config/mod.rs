//! Text to raw to checked plan.
//!
//! **In:** files and the environment, as text. **Out:** a [`plan::Plan`] with every default
//! applied, or a report of all that is wrong. **Never here:** tokio, sockets, clocks.

pub mod plan;
