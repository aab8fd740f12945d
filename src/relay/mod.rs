//! Frames both ways (RFC 6455 §5), over a connection or a stream of HTTP/2 (RFC 8441).
//!
//! **In:** two legs, rules, a seat; another upstream, when it is asked for. **Out:** how it ended,
//! and what it needs to go on. **Never here:** HTTP, routes, pools, a dial; an allocation, lock,
//! timer or log on the path of a message.
//!
//! The [`core`](self) decides and knows neither sockets nor clock; [`Relay`], one hand-written
//! future, reads and writes for it. While nothing is stuck a session owns no buffer: its bytes pass
//! through one that the worker lends for the time of a poll.
//!
//! A session that can be held outlives its upstream. That is a state of the core as others are, so
//! that its client is answered, limited, drained and closed meanwhile. It costs the session one
//! box of 256 bytes, on some routes what it records to replay, and while its upstream is away what
//! the client sends; other sessions a pointer.

mod budget;
mod buffer;
mod carrier;
mod core;
mod drive;
mod leg;
mod send_queue;
mod stream;
mod terms;

pub use self::core::{
    Demand, HoldCause, HoldEnd, HoldState, HoldTerms, Rtt, SessionStats, SideStats,
};
pub use drive::Relay;
pub use leg::Leg;
pub use stream::Stream;
pub use terms::Terms;

#[cfg(test)]
mod tests;
