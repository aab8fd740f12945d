//! Conformance to HTTP/2 (RFC 9113) and HPACK (RFC 7541), case by case as h2spec numbers them.
//! `cargo test --test conformance -- --nocapture` prints the table: case, section, outcome, and
//! where the `h2` crate decides otherwise than the section asks for, why that is borne.
//!
//! An outcome is asked for more strictly than by h2spec: a stream's error must reset that stream
//! and leave the connection usable (`kept`), a connection's error must be said by GOAWAY before the
//! connection is closed.
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
mod said;

// h2spec's parts.
mod definitions;
mod generic;
mod hpack;
mod messages;
mod streams;

mod neighbours;
