//! The line of a command that may change the process: who gave it, what it asked for, and what came
//! of it.

use super::reply::Reply;
use crate::admin::http::Caller;

/// Bytes of a request that are shown.
const REQUEST_BYTES_MAX: usize = 512;

/// Writes it.
pub(super) fn write(peer: Caller, user: Option<&str>, path: &str, asked: &[u8], reply: &Reply) {
    let request = String::from_utf8_lossy(asked);
    tracing::info!(
        event = "command",
        command = path.trim_start_matches('/'),
        by_user = user,
        by_address = peer.address.map(tracing::field::display),
        by_uid = peer.process.map(|process| process.uid),
        by_pid = peer.process.and_then(|process| process.pid),
        request = &request[..request.floor_char_boundary(REQUEST_BYTES_MAX)],
        status = reply.status.as_u16(),
        drain = reply.json["drain"].as_u64(),
        answer = reply.text.lines().next(),
        "an operator gave a command"
    );
}
