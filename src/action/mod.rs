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
