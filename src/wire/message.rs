//! A server's whole message in one frame.

use bytes::Bytes;

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

/// A text or binary message as a server sends it (RFC 6455 §5.2): one frame, without a mask.
pub fn message(is_text: bool, payload: &[u8]) -> Bytes {
    let opcode = if is_text { TEXT } else { BINARY };
    let mut frame = Vec::with_capacity(payload.len() + 10);
    frame.push(FIN | opcode);
    match payload.len() {
        short @ 0..126 => frame.push(short as u8),
        middle @ 126..65_536 => {
            frame.push(126);
            frame.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::super::frame::{Allowed, FrameEvent, Opcode, Tracker};
    use super::*;
    use crate::base::side::Side;

    #[test]
    fn a_message_of_every_length_is_one_frame_that_breaks_no_rule() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            for (is_text, opcode) in [(true, Opcode::Text), (false, Opcode::Binary)] {
                let frame = message(is_text, &vec![b'x'; length]);
                let mut tracker = Tracker::new(Side::Upstream, Allowed::NOTHING);
                let step = tracker.step(&frame);
                let Some(FrameEvent::Header { header, violation }) = step.event else { panic!() };
                assert_eq!((violation, header.fin, header.opcode), (None, true, opcode));
                assert_eq!((header.length, header.rsv), (length as u64, 0));
                tracker.step(&frame[step.used..]);
                assert_eq!(step.used + length, frame.len());
                assert!(tracker.at_message_boundary());
            }
        }
    }
}
