//! tidegate: a WebSocket-aware, TLS-terminating reverse proxy.
//!
//! The house has floors; a room uses lower floors only and peers do not see each other. The table
//! is kept by `tests/tidy.rs`, the tour is in `src/README.md`.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

// Floor 0: clock, workers, tracked tasks, ids, sockets and bodies.
pub mod base;

// Floor 1: formats, diagnostics, metrics and logs.
pub mod observe;
pub mod report;
pub mod wire;

// Floor 2: text to raw to checked plan; every reason a session can end.
pub mod config;
pub mod end;

// Floor 3: the TLS engine, certificates, and a connection's transport.
pub mod tls;

// Floor 4: machines built from the configuration, one job each.
pub mod pool;
pub mod registry;
pub mod rewrite;
pub mod router;

// Floor 5: one connection, bytes move.
pub mod action;
pub mod handshake;
pub mod relay;

// Floor 6: the snapshot in force.
pub mod live;

// Floor 7: the story of one request, told once.
pub mod session;

// Floor 8: sockets, permits, PROXY header, TLS accept, HTTP drivers.
pub mod listen;

// Floor 9: the process: supervisor, reload, file watch, drain, admin.
pub mod control;

// Floor 10: a person's words become one call downstairs.
pub mod cli;

// Backends and clients for tests of whole ways; their tasks are nobody's to count.
#[cfg(test)]
#[allow(dead_code, unused_imports, clippy::disallowed_methods)]
#[path = "../tests/e2e/actors/mod.rs"]
mod actors;
