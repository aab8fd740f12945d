//! The TLS engine, certificates, and a connection's transport.
//!
//! **In:** certificate files and sockets. **Out:** a transport, plain or TLS, read and written
//! alike.
//! **Never here:** HTTP, frames.
