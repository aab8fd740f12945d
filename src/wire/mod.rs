//! Formats that are read and written: RFC 6455 frames and handshake fields, PROXY header,
//! Forwarded, lists.
//!
//! **In:** bytes and header values. **Out:** values. **Never here:** sockets, clocks, tidegate's
//! policies.

pub mod frame;
pub mod pem;
