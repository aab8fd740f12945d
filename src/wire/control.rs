//! Control frames that are written here, and Close payloads that are read (RFC 6455 §5.5).

use std::ops::Deref;

use super::frame::{CONTROL_BYTES_MAX, unmask};
use super::random;

/// "No code was present" (§7.4.1): seen, never written.
pub const NO_CODE: u16 = 1005;

/// Bytes of the longest control frame: two of header, a mask, 125 of payload.
pub const CONTROL_FRAME_BYTES_MAX: usize = 2 + 4 + CONTROL_BYTES_MAX;

const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
const MASKED: u8 = 0x80;

/// A control frame ready to be sent, on the stack.
#[derive(Clone, Debug)]
pub struct ControlFrame {
    bytes: [u8; CONTROL_FRAME_BYTES_MAX],
    length: u8,
}

impl ControlFrame {
    /// A header, and the parts as its payload; what is beyond 125 bytes is cut.
    fn new(first: u8, parts: [&[u8]; 2], mask: Option<[u8; 4]>) -> ControlFrame {
        let mut bytes = [0; CONTROL_FRAME_BYTES_MAX];
        let start = if mask.is_some() { 6 } else { 2 };
        let mut end = start;
        for part in parts {
            let part = &part[..part.len().min(start + CONTROL_BYTES_MAX - end)];
            bytes[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        bytes[0] = first;
        bytes[1] = (end - start) as u8;
        if let Some(mask) = mask {
            bytes[1] |= MASKED;
            bytes[2..6].copy_from_slice(&mask);
            unmask(&mut bytes[start..end], mask, 0);
        }
        ControlFrame { bytes, length: end as u8 }
    }
}

impl Deref for ControlFrame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// Bytes of the reason in a Close (§5.5, §5.5.1).
pub const CLOSE_REASON_BYTES_MAX: usize = CONTROL_BYTES_MAX - 2;

/// A Close (§5.5.1). [`NO_CODE`] gives an empty one; a reason that is too long is cut at a
/// character.
pub fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> ControlFrame {
    if code == NO_CODE {
        return ControlFrame::new(CLOSE, [&[], &[]], mask);
    }
    let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
    ControlFrame::new(CLOSE, [&code.to_be_bytes(), reason.as_bytes()], mask)
}

/// A Ping (§5.5.2); payload beyond 125 bytes is cut.
pub fn ping(payload: &[u8], mask: Option<[u8; 4]>) -> ControlFrame {
    ControlFrame::new(PING, [payload, &[]], mask)
}

/// A Pong (§5.5.3); payload beyond 125 bytes is cut.
pub fn pong(payload: &[u8], mask: Option<[u8; 4]>) -> ControlFrame {
    ControlFrame::new(PONG, [payload, &[]], mask)
}

/// A mask that cannot be predicted (§5.3, §10.3).
pub fn new_mask() -> [u8; 4] {
    random()
}

/// Code and reason of an unmasked Close payload, as they are: [`NO_CODE`] when there is none, and
/// the reason's bytes, which need not be UTF-8.
pub fn parse_close(payload: &[u8]) -> (u16, &[u8]) {
    match payload {
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
        _ => (NO_CODE, &[]),
    }
}

/// Whether a code may stand in a Close frame: those of §7.4 and IANA's registry, without the ones
/// that are only seen (1005, 1006, 1015) and the one that was never given a meaning (1004).
pub const fn close_code_is_valid(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::side::Side;
    use crate::wire::frame::{Allowed, FrameEvent, Tracker};
    use proptest::prelude::*;
    use tungstenite::protocol::frame::coding::CloseCode;

    #[test]
    fn frames_are_as_the_rfc_writes_them() {
        assert_eq!(&*ping(b"Hello", None), b"\x89\x05Hello");
        let masked = pong(b"Hello", Some([0x37, 0xfa, 0x21, 0x3d]));
        assert_eq!(&*masked, b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        assert_eq!(&*close(1012, "", None), [0x88, 2, 0x03, 0xf4]);
        assert_eq!(&*close(NO_CODE, "never written", None), [0x88, 0]);
    }

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        let frame = close(1001, &"ä".repeat(100), None);
        assert_eq!(frame.len(), 2 + 2 + 122);
        assert_eq!(parse_close(&frame[2..]), (1001, "ä".repeat(61).as_bytes()));
        assert_eq!(close(1001, &"x".repeat(200), Some([1; 4])).len(), CONTROL_FRAME_BYTES_MAX);
    }

    #[test]
    fn a_close_payload_is_read_as_it_is() {
        assert_eq!(parse_close(b""), (NO_CODE, &b""[..]));
        assert_eq!(parse_close(b"\x03"), (NO_CODE, &b""[..]));
        assert_eq!(parse_close(b"\x03\xe8bye"), (1000, &b"bye"[..]));
    }

    #[test]
    fn codes_are_those_that_tungstenite_takes() {
        // It does not know 1014, which IANA registered later.
        for code in (0..=u16::MAX).filter(|code| *code != 1014) {
            assert_eq!(close_code_is_valid(code), CloseCode::from(code).is_allowed(), "{code}");
        }
    }

    #[test]
    fn masks_differ() {
        let masks: std::collections::HashSet<_> = (0..8).map(|_| new_mask()).collect();
        assert!(masks.len() > 1);
    }

    proptest! {
        #[test]
        fn what_is_written_is_a_valid_frame(
            payload in proptest::collection::vec(any::<u8>(), 0..200),
            mask in any::<Option<[u8; 4]>>(),
        ) {
            let from = if mask.is_some() { Side::Client } else { Side::Upstream };
            let frame = ping(&payload, mask);
            let mut tracker = Tracker::new(from, Allowed::NOTHING);
            let step = tracker.step(&frame);
            let Some(FrameEvent::Header { violation: None, .. }) = step.event else {
                panic!("{step:?}");
            };
            let mut opened = frame[step.used..].to_vec();
            unmask(&mut opened, tracker.mask(), tracker.mask_offset());
            prop_assert_eq!(&opened[..], &payload[..payload.len().min(125)]);
            prop_assert_eq!(tracker.step(&frame[step.used..]).event, Some(FrameEvent::End));
        }

        #[test]
        fn a_close_that_may_be_sent_is_written_as_it_was_read(
            payload in proptest::collection::vec(any::<u8>(), 0..130),
        ) {
            let (code, reason) = parse_close(&payload);
            if let Ok(reason) = std::str::from_utf8(reason) && close_code_is_valid(code) {
                let frame = close(code, reason, None);
                prop_assert_eq!(&frame[2..], &payload[..payload.len().min(125)]);
            }
        }
    }
}
