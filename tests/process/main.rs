//! The binary as a process among processes: signals, kills, cut links, reloads under load.
//!
//! Sizes are small by default, so that these run with every `cargo test`; `TIDEGATE_SCALE=full`
//! runs them at the size of a busy site (see `tests/README.md`).

// The tests are no part of the house: their tasks and clocks are their own.
#![allow(clippy::disallowed_methods)]

mod activation;
mod backend;
mod cut;
mod kill;
mod proxy;
mod rebalance;
mod reload;
mod rush;
mod soak;
mod stop;
mod traffic;
mod upgrade;
mod upgrade_faults;

/// A number for every day, or the one for `TIDEGATE_SCALE=full`.
fn scaled(small: usize, full: usize) -> usize {
    if std::env::var("TIDEGATE_SCALE").is_ok_and(|scale| scale == "full") { full } else { small }
}
