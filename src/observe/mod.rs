//! Metrics and logs.
//!
//! **In:** counts and lines. **Out:** Prometheus text and log output; neither ever blocks who
//! counts or logs. **Never here:** decisions.

pub mod log;
pub mod metrics;
