//! tidegate: a WebSocket-aware, TLS-terminating reverse proxy.
//!
//! The house has floors; a room uses lower floors only and peers do not see each other. The table
//! is kept by `tests/tidy.rs`, the tour is in `src/README.md`.
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

/// Floor 0: clock, workers, tracked tasks, ids, sockets and bodies.
pub mod base;

/// Floor 1: metrics and logs.
pub mod observe;
/// Floor 1: diagnostics as data, and their printers.
pub mod report;
/// Floor 1: formats that are read and written, without policy and without sockets.
pub mod wire;

/// Floor 2: text to raw to checked plan.
pub mod config;
/// Floor 2: every reason a session can end, with its codes.
pub mod end;

/// Floor 3: backends, leases, health.
pub mod pool;
/// Floor 3: the live sessions of a worker, their mailboxes and deadlines.
pub mod registry;
/// Floor 3: which route takes a request.
pub mod router;
/// Floor 3: the TLS engine, certificates, and a connection's transport.
pub mod tls;

/// Floor 4: plain HTTP answered: files, redirects, fixed responses, and requests to a pool.
pub mod action;
/// Floor 4: a WebSocket handshake, from the client's request to a verified upstream.
pub mod handshake;
/// Floor 4: frames both ways.
pub mod relay;

/// Floor 9: a person's words become one call downstairs.
pub mod cli;
/// Floor 8: the process: supervisor, reload, file watch, drain, admin.
pub mod control;
/// Floor 7: sockets, permits, PROXY header, TLS accept, HTTP drivers.
pub mod listen;
/// Floor 5: the snapshot in force.
pub mod live;
/// Floor 6: the story of one request, told once.
pub mod session;
