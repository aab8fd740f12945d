//! tidegate from outside: scripted backends and clients on real sockets, the whole process between.
//!
//! An actor is built in one line and says what it does; a test's name is the sentence it proves.
// Tasks here belong to the tests, not to the crate, which does not count them.
#![allow(clippy::disallowed_methods)]

mod access;
mod actors;
mod admin_page;
mod announcing;
mod balancing;
mod closing;
mod commands;
mod compressing;
mod developing;
mod discovering;
mod files;
mod greed;
mod guides;
mod handshakes;
mod health;
mod holding;
mod hostile;
mod http;
mod http2;
mod informational;
mod leaving;
mod limits;
mod living;
mod measuring;
mod messages;
mod name_server;
mod ordering;
mod pacing;
mod pages;
mod paths;
mod probing;
mod proxy;
mod pushing;
mod rebalancing;
mod reloading;
mod request_ids;
mod samples;
mod site;
mod stopping;
mod supervisor;
mod templates;
mod traces;
mod versions;

// For what is shared with the unit tests, which name it as their own.
use tidegate::config;
