//! The story of one request, told once; and its record.
//!
//! **In:** a connection's facts and a request. **Out:** a response, and for a WebSocket the session
//! after it. **Never here:** bytes parsed, sockets accepted.

mod about_sessions;
mod admit;
mod affinity;
mod answer_fate;
mod answer_hooks;
mod authorize;
mod backoff;
mod caching;
mod challenge;
mod clearance;
mod compression;
mod conn;
mod counted;
mod error_pages;
mod grant;
mod held_places;
mod limit_refusal;
mod logged;
mod plain;
mod queue;
mod rechecks;
mod record;
mod redial;
mod refusal;
mod request_facts;
mod request_trace;
mod request_values;
mod running;
mod serve;
mod session_record;
mod target;
mod websocket;

pub use about_sessions::{answer_newer, push};
pub use answer_fate::{AnswerCut, AnswerFate};
pub use answer_hooks::AnswerHooks;
pub use conn::{App, ClientEnd, Conn, PendingUpgrade};
pub use record::ShownAddr;
pub use serve::serve;

#[cfg(test)]
mod tests;
