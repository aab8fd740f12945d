//! What a route does with a plain request: forward it, serve a file, redirect, respond, answer
//! about live sessions.
//!
//! **In:** a request, and the plan's action. **Out:** a response whose body streams, or why there
//! is none. **Never here:** routes, the fields that pass to either side, WebSockets.

mod action_error;
pub mod api;
mod backend_stream;
mod clients;
mod files;
mod forward;
mod redirect;
mod respond;
mod shared_body;

pub use action_error::ActionError;
pub use clients::close_idle;
pub use files::FileServer;
pub use forward::forward;
pub use redirect::{RedirectRequest, redirect};
pub use respond::respond;
