//! A WebSocket handshake, from the client's request to a verified upstream (RFC 6455 §4), by
//! an upgrade or on a stream of HTTP/2 (RFC 8441).
//!
//! **In:** a request's head on its way upstream, and a pool. **Out:** an upstream that has answered
//! a checked 101, or the answer to give instead. **Never here:** frames.
//!
//! [`is_asked`] tells a handshake from other requests, [`WsRequest::check`] finds it right in form,
//! [`connect`] makes it an [`Upstream`]; nothing of the client's beyond this one head reaches a
//! backend before its 101 was verified.

mod attempt;
mod connect;
mod exchange;
mod hold;
mod origin;
mod probe;
mod refusal;
mod replay;
mod request;
mod resume;
mod rewound;
mod times;
mod verify;

pub use attempt::{Answered, Upstream};
pub use connect::{Connected, connect};
pub use origin::is_allowed as is_origin_allowed;
pub use probe::{OpenedByProbe, open_for_probe};
pub use refusal::HandshakeRefusal;
pub use replay::Replay;
pub use request::{WsRequest, is_asked, is_on_stream, unify};
pub use resume::{NotResumed, resume};
pub use times::HandshakeTimes;
pub use verify::Agreed;
