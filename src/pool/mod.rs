//! Backends, leases and health.
//!
//! **In:** the plan's pools; outcomes of dials and handshakes. **Out:** a lease on a backend.
//! **Never here:** HTTP, frames, knowledge of who asks.
