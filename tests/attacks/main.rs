//! Attacks on raw sockets. Each family is a table: what is sent, the outcome its RFC wants, and
//! what the backend may see of it. `cargo test --test attacks -- --nocapture` prints the tables.
// Tasks here belong to the tests, not to the crate, which does not count them.
#![allow(clippy::disallowed_methods)]
// A table is as long as it is.
#![allow(clippy::too_many_lines)]

// Shared with the end-to-end tests, which use all of them.
#[allow(dead_code, unused_imports)]
#[path = "../e2e/actors/mod.rs"]
mod actors;
#[allow(dead_code)]
#[path = "../e2e/proxy.rs"]
mod proxy;
#[allow(dead_code)]
#[path = "../e2e/site.rs"]
mod site;

mod case;
mod witness;

// The families.
mod answers;
mod cuts;
mod fields;
mod files;
mod frames;
mod garble;
mod heads;
mod limits;
mod paths;
mod queries;
mod readers;
mod records;
mod smuggling;
mod spellings;
mod tokens;
mod untimely;
mod upgrades;
