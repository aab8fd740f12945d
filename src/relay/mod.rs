//! Frames both ways (RFC 6455 §5), over a connection or a stream of HTTP/2 (RFC 8441).
//!
//! **In:** two legs, rules, a seat. **Out:** how it ended, or its parts. **Never here:** HTTP,
//! routes, pools; an allocation, lock, timer or log on the path of a message.
//!
//! The [`core`](self) decides and knows neither sockets nor clock; [`Relay`], one hand-written
//! future, reads and writes for it. While nothing is stuck a session owns no buffer: its bytes pass
//! through one that the worker lends for the time of a poll.

mod buffer;
mod carrier;
mod core;
mod drive;
mod leg;
mod spill;
mod stream;

pub use self::core::{Rtt, SideTally, State, Tally};
pub use drive::{Outcome, Parts, Relay, Terms};
pub use leg::Leg;
pub use stream::Stream;

#[cfg(test)]
mod tests;
