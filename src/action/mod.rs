//! What a route does with a plain request: forward it, serve a file, redirect, respond.
//!
//! **In:** a request, and the plan's action. **Out:** a response whose body streams, or why there
//! is none. **Never here:** routes, the fields that go on or come back, WebSockets.

mod clients;
mod failure;
mod files;
mod forward;
mod loan;
mod redirect;
mod respond;

pub use clients::close_idle;
pub use failure::Failure;
pub use files::Files;
pub use forward::{Forwarded, forward};
pub use redirect::{Asked, redirect};
pub use respond::respond;

/// Fields in a backend's answer.
pub const ANSWER_HEADERS_MAX: usize = 128;

/// Bytes of the head of a backend's answer; also what is read ahead of its body's reader.
pub const ANSWER_HEAD_BYTES_MAX: usize = 64 * 1024;
