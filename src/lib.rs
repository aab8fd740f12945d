//! tidegate: a WebSocket-aware, TLS-terminating reverse proxy.
//!
//! A module uses lower layers only, and neighbours do not see each other. The table
//! is kept by `tests/tidy.rs`, the tour is in `src/README.md`.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

// Layer 1: clock, workers, tracked tasks, ids, sockets and bodies; diagnostics.
pub mod base;
pub mod report;

// Layer 2: formats; metrics and logs.
pub mod observe;
pub mod wire;

// Layer 3: every reason a session can end.
pub mod end;

// Layer 4: text to raw to checked plan.
pub mod config;

// Layer 5: which route; live sessions; the TLS engine, certificates, a connection's transport.
pub mod registry;
pub mod rewrite;
pub mod router;
pub mod tls;

// Layer 6: backends and leases; frames both ways.
pub mod pool;
pub mod relay;

// Layer 7: what a route does with a request; a WebSocket handshake; the drain engine.
pub mod action;
pub mod drain;
pub mod handshake;

// Layer 8: the snapshot in force.
pub mod live;

// Layer 9: the story of one request, told once.
pub mod session;

// Layer 10: sockets, permits, PROXY header, TLS accept, HTTP drivers.
pub mod listen;

// Layer 11: probes, metrics and the operator's commands.
pub mod admin;

// Layer 12: the process: supervisor, reload, file watch, stop, upgrade.
pub mod control;

// Layer 13: a person's words become one call.
pub mod cli;

// Backends and clients for tests of whole ways; their tasks are nobody's to count.
#[cfg(test)]
#[allow(dead_code, unused_imports, clippy::disallowed_methods)]
#[path = "../tests/e2e/actors/mod.rs"]
mod actors;
