//! Why a connection ended that its client used wrongly.

use super::meter;

/// The word for a client that opens streams to reset them.
pub(super) const RESETS: &str = "resets";

/// The word for an end that the crate decided on, which is its error code's; `None` when it was the
/// client's or the network's. For each of its limits that code is `enhance_your_calm`.
pub(super) fn word(error: &h2::Error) -> Option<&'static str> {
    let code = error.reason().filter(|_| error.is_library() && error.is_go_away())?;
    Some(meter::word(code))
}
