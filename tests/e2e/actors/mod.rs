//! The actors: backends, clients, certificates; and what they share.

pub mod backend;
mod certificates;
pub mod client;
// Spoken by the tests beside the code and by those of conformance.
#[allow(dead_code)]
pub mod frames;
mod free;
mod head;
mod session;
// For families of cases, which end-to-end tests are not.
#[allow(dead_code)]
mod table;
#[cfg(test)]
mod tests;
mod wire;

pub use backend::{Backend, granted};
pub use certificates::Certificates;
pub use client::{Client, read_body, read_chunk};
pub use free::free;
pub use head::Head;
pub use session::{Ending, Session, bytes, frame};
#[allow(unused_imports)]
pub use table::Table;
pub use wire::{Io, Wire, drain, reset};

use std::future::Future;
use std::time::Duration;

/// How long anything may take before its test fails: far more than a slow machine needs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `what`, and fails the test by its name instead of hanging.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(done) => done,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}

/// Waits until a fact holds, asking again and again.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let asking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    within(what, asking).await;
}
