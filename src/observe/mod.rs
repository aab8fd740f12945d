//! Metrics and logs.
//!
//! **In:** counts and lines. **Out:** metrics as text, and log output; counting and logging
//! never block the caller. **Never here:** decisions.

pub mod log;
pub mod metrics;
pub mod spans;
