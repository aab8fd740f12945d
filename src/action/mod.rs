//! What a route does with a plain request: forward it, serve a file, redirect, respond.
//!
//! **In:** a request, and the plan's action. **Out:** a response whose body streams, or why there
//! is none. **Never here:** routes, the fields that pass to either side, WebSockets.

mod clients;
mod error;
mod files;
mod forward;
mod redirect;
mod respond;
mod shared_body;

pub use clients::close_idle;
pub use error::ActionError;
pub use files::FileServer;
pub use forward::forward;
pub use redirect::{RedirectRequest, redirect};
pub use respond::respond;
