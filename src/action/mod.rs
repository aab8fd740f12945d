//! What a route does with a plain request: forward it, serve a file, redirect, respond.
//!
//! **In:** a request, and the plan's action. **Out:** a response whose body streams, or why there
//! is none. **Never here:** routes, the fields that go on or come back, WebSockets.

mod failure;
mod files;
mod redirect;
mod respond;

pub use failure::Failure;
pub use files::Files;
pub use redirect::{Asked, redirect};
pub use respond::respond;
