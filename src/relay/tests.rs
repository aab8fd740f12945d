//! The relay over real sockets.

mod ends;
mod flow;
mod holding;
mod late;
mod reads;
mod scene;
mod simulation;
mod worn;

use super::*;

#[test]
fn a_session_is_one_small_future() {
    // Asserted, because half a million of them may live at once.
    let bytes = size_of::<Relay>();
    assert!(bytes <= 600, "{bytes}");
}
