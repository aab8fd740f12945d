//! Why a connection ended that its client used wrongly.

use h2::Reason;

use super::super::client::HttpClient;
use crate::base::label::Label;

/// Why this side ended an HTTP/2 connection.
pub(super) enum Http2Failure {
    /// The client opens streams to reset them.
    Resets,
    /// The client sends control frames and nothing else.
    ControlFrames,
    /// What a client begins with (RFC 9113 §3.4) did not come in `head_timeout`.
    PrefaceTimeout,
    /// The crate decided so, with this code; for each of its limits that is `ENHANCE_YOUR_CALM`.
    Crate(Reason),
}

impl Http2Failure {
    /// Counts and logs it.
    pub(super) fn tell(self, client: &HttpClient) {
        client.cells().http2_failed.count(&self);
        let conn = client.conn();
        let refusals = &client.context().refusals;
        refusals.connection(&conn.listener.name, conn.peer_addr, self, None);
    }

    /// The same of what the crate ended a connection for, if it did.
    pub(super) fn tell_error(error: &h2::Error, client: &HttpClient) {
        if let Some(failure) = Http2Failure::from_error(error) {
            failure.tell(client);
        }
    }

    /// What the crate decided; `None` when the client or the network ended the connection.
    fn from_error(error: &h2::Error) -> Option<Http2Failure> {
        let code = error.reason().filter(|_| error.is_library() && error.is_go_away())?;
        Some(Http2Failure::Crate(code))
    }
}

impl Label for Http2Failure {
    fn label(&self) -> &'static str {
        match self {
            Http2Failure::Resets => "resets",
            Http2Failure::ControlFrames => "control_frames",
            Http2Failure::PrefaceTimeout => "preface_timeout",
            Http2Failure::Crate(code) => code.label(),
        }
    }
}
