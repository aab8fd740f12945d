//! tidegate: a WebSocket-aware, TLS-terminating reverse proxy.
//!
//! The library is for the binary, its tests and its benches; it promises no stable interface. A
//! module uses lower layers only, and neighbours do not see each other: `tests/tidy.rs` keeps the
//! table, `src/README.md` is the tour. Modules that nothing outside of the crate needs are private,
//! so that the compiler finds what is no longer used.

// Layer 1: clock, workers, tracked tasks, ids, sockets and bodies; diagnostics.
pub mod base;
pub mod report;

// Layer 2: formats; metrics and logs.
pub mod observe;
pub mod wire;

// Layer 3: every reason a session can end.
mod end;

// Layer 4: text to raw to checked plan.
pub mod config;

// Layer 5: which route; live sessions; the TLS engine, certificates, a connection's transport; how
// much one key may have.
mod limit;
pub mod registry;
mod rewrite;
pub mod router;
pub mod tls;

// Layer 6: backends and leases; frames both ways.
pub mod pool;
pub mod relay;

// Layer 7: who may pass; certificates that are ordered; what a route does with a request; a
// WebSocket handshake; the drain engine.
mod access;
mod acme;
mod action;
mod drain;
mod handshake;

// Layer 8: the snapshot in force; one question to one backend.
mod live;
mod probe;

// Layer 9: the story of one request, told once.
mod session;

// Layer 10: sockets, permits, PROXY header, TLS accept, HTTP drivers.
pub mod listen;

// Layer 11: probes, metrics and the operator's commands.
pub mod admin;

// Layer 12: the process: supervisor, reload, file watch, stop, upgrade.
pub mod control;

// Layer 13: a person's words become one call.
pub mod cli;

// Backends and clients for the unit tests of whole journeys; nothing counts their tasks.
#[cfg(test)]
#[allow(dead_code, unused_imports, clippy::disallowed_methods)]
#[path = "../tests/e2e/actors/mod.rs"]
mod actors;
