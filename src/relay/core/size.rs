//! How large a frame, and a message, may be.

use crate::config::plan::Rules;
use crate::end::SizeLimit;
use crate::wire::frame::FrameHeader;

/// The limit that a frame breaks, by what it announces.
pub(super) fn too_big(header: &FrameHeader, rules: &Rules) -> Option<SizeLimit> {
    let over = |most: Option<u64>, bytes: u64| most.is_some_and(|most| bytes > most);
    if over(rules.frame_bytes_max, header.length) {
        Some(SizeLimit::Frame)
    } else if over(rules.message_bytes_max, header.message_bytes) {
        Some(SizeLimit::Message)
    } else {
        None
    }
}
