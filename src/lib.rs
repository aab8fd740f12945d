//! tidegate: a WebSocket-aware, TLS-terminating reverse proxy.
//!
//! Other proxies turn a WebSocket into a byte tunnel once it is open. tidegate follows each
//! direction with a tracker of frame headers ([`wire::frame::Tracker`]): it reads the 2 to 14 bytes
//! of each header (RFC 6455 §5.2), forwards the payload untouched, and knows where a frame ends.
//! All that other proxies cannot do follows from that: a proper Close, pings, limits on messages, a
//! session that moves to another backend, a message that is slipped in.
//!
//! The library is for the binary, its tests and its benches; it promises no stable interface. These
//! pages are for people who want to read it. `src/README.md` draws the way of a connection through
//! the modules, and says what never happens in them.
//!
//! # The layers
//!
//! A module uses lower layers only, and neighbours do not see each other; `tests/tidy.rs` keeps
//! that. Read downwards for the way of a request, upwards for what each module stands on. Modules
//! without a link are private, so that the compiler finds what is no longer used.
//!
//! | layer | modules | what for |
//! |---|---|---|
//! | 13 | [`cli`] | a person's words become one call: run, check, reload, demo |
//! | 12 | [`control`] | the process: start, run, reload, stop, upgrade |
//! | 11 | [`admin`] | probes, metrics, the operator's commands |
//! | 10 | [`listen`] | sockets, permits, PROXY header, TLS accept, HTTP drivers |
//! | 9 | `session` | the story of one request, told once |
//! | 8 | `live`, `probe` | the snapshot in force; one question to one backend |
//! | 7 | `access`, `acme`, `action`, `drain`, `handshake` | who may pass, and what is done |
//! | 6 | [`pool`], [`relay`] | backends and leases; frames both ways |
//! | 5 | [`registry`], [`router`], [`tls`], `discovery`, `limit`, `rewrite` | live sessions; TLS |
//! | 4 | [`config`] | text to raw to checked plan |
//! | 3 | `end` | every reason a session can end, with its codes |
//! | 2 | [`observe`], [`wire`] | metrics and logs; formats |
//! | 1 | [`base`], [`report`] | clock, workers, tasks, ids, sockets, bodies; diagnostics |
//!
//! # Where to begin
//!
//! - [`wire::frame`] is the idea in one file, without a socket.
//! - [`router::Router`] and [`config`] decide without I/O, too: text goes in, a route comes out.
//! - [`relay`] is what happens for the hours and days of a session.
//! - [`control::Supervisor`] is the whole process; tests start it in their own.
//!
//! A configuration is taken whole or refused whole, and what is wrong is said with its place:
//!
//! ```
//! use tidegate::config;
//! use tidegate::report::Colour;
//!
//! let text = r#"
//!     [listeners.web]
//!     address = "127.0.0.1:8080"
//!     [pools.chat]
//!     backends = ["127.0.0.1:9001", "127.0.0.1:9002"]
//!     [[routes]]
//!     path = "/chat"
//!     pool = "chat"
//!     allowed_origins = "same"
//! "#;
//! let loaded = config::load_text("site.toml".as_ref(), text, &|_| None).unwrap();
//! assert_eq!(loaded.plan.pools[0].backends.len(), 2);
//!
//! let wrong = text.replace("pool =", "pol =");
//! let refused = config::load_text("site.toml".as_ref(), &wrong, &|_| None).unwrap_err();
//! let said = refused.report.text(&refused.sources, Colour::Plain);
//! assert!(said.contains("no such key: `pol`") && said.contains("site.toml:8:"), "{said}");
//! ```

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
mod discovery;
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
