//! The binary as a process among processes: signals, kills, cut links, reloads under load.
//!
//! Sizes are small by default, so that these run with every `cargo test`; `TIDEGATE_SCALE=full`
//! runs them at the size of a busy site (see `tests/README.md`).

// The tests are no part of the crate: their tasks and clocks are their own.
#![allow(clippy::disallowed_methods)]

// Shared with the end-to-end tests, which use all of them.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/actors/mod.rs"]
mod actors;
#[allow(dead_code)]
#[path = "../e2e/http2/front.rs"]
mod front;
#[allow(dead_code)]
#[path = "../e2e/name_server.rs"]
mod name_server;

#[allow(dead_code)]
#[path = "../e2e/ordering/authority/mod.rs"]
mod authority;

mod activation;
mod asleep;
mod backend;
mod blocked;
mod cut;
mod discovery;
mod greed;
mod kill;
mod lifetimes;
mod limits;
mod logs;
mod proxy;
mod random;
mod rebalance;
mod refused;
mod reload;
mod routes;
mod rush;
mod soak;
mod stop;
mod stop_older;
mod terminal;
mod tokens;
mod traffic;
mod untaken;
mod upgrade;
mod upgrade_faults;
mod upgrade_kinds;
mod upgrade_orders;
mod upgrade_push;
mod upgrade_state;
mod upgrade_view;

/// A number for every day, or the one for `TIDEGATE_SCALE=full`.
fn scaled(small: usize, full: usize) -> usize {
    if is_full() { full } else { small }
}

/// Whether figures are judged: at full size, on a machine that does nothing else.
fn is_full() -> bool {
    std::env::var("TIDEGATE_SCALE").is_ok_and(|scale| scale == "full")
}
