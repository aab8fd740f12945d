//! Why a connection ended that its client used wrongly.

use h2::Reason;

use crate::base::label::Label;

/// Why this side ended an HTTP/2 connection.
pub(super) enum Http2Failure {
    /// The client opens streams to reset them.
    Resets,
    /// The client sends control frames and nothing else.
    ControlFrames,
    /// The crate decided so, with this code; for each of its limits that is `ENHANCE_YOUR_CALM`.
    Crate(Reason),
}

impl Http2Failure {
    /// What the crate decided; `None` when the client or the network ended the connection.
    pub(super) fn from_error(error: &h2::Error) -> Option<Http2Failure> {
        let code = error.reason().filter(|_| error.is_library() && error.is_go_away())?;
        Some(Http2Failure::Crate(code))
    }
}

impl Label for Http2Failure {
    fn label(&self) -> &'static str {
        match self {
            Http2Failure::Resets => "resets",
            Http2Failure::ControlFrames => "control_frames",
            Http2Failure::Crate(code) => code.label(),
        }
    }
}
