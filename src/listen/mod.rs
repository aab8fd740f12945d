//! Sockets, permits, PROXY header, TLS accept, HTTP drivers.
//!
//! **In:** listening sockets. **Out:** requests, handed to `session`.
//! **Never here:** routes, pools.

pub mod permits;
pub mod sockets;
