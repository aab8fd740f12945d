//! ProbeFrames as they come from a backend, of which few are read. Pure.

use super::probe_error::{PROBE_BYTES_MAX, ProbeError};
use crate::base::side::Side;
use crate::wire::frame::{Allowed, FrameEvent, FrameHeader, Opcode, Tracker};

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ProbeFrame {
    /// A whole message.
    Message(Vec<u8>),
    /// A pong with this payload.
    Pong(Vec<u8>),
    /// A ping with this payload.
    Ping(Vec<u8>),
    /// A Close with this payload.
    Close(Vec<u8>),
}

/// Takes bytes, gives what they say.
pub(super) struct ProbeFrames {
    tracker: Tracker,
    unread: Vec<u8>,
    /// Bytes taken so far.
    taken: usize,
    header: Option<FrameHeader>,
    payload: Vec<u8>,
    message: Vec<u8>,
}

impl ProbeFrames {
    /// What follows `early`, which came behind the answer's head.
    pub(super) fn new(early: Vec<u8>) -> ProbeFrames {
        ProbeFrames {
            tracker: Tracker::new(Side::Upstream, Allowed::NOTHING),
            taken: early.len(),
            unread: early,
            header: None,
            payload: Vec::new(),
            message: Vec::new(),
        }
    }

    /// Takes bytes.
    ///
    /// # Errors
    /// [`ProbeError::TooLarge`]: it has had enough.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<(), ProbeError> {
        self.taken += bytes.len();
        if self.taken > PROBE_BYTES_MAX {
            return Err(ProbeError::TooLarge);
        }
        self.unread.extend_from_slice(bytes);
        Ok(())
    }

    /// The next of what was said; `None` when more bytes are needed.
    ///
    /// # Errors
    /// A frame is wrong.
    pub(super) fn next(&mut self) -> Result<Option<ProbeFrame>, ProbeError> {
        loop {
            let step = self.tracker.step(&self.unread);
            let used: Vec<u8> = self.unread.drain(..step.used).collect();
            match step.event {
                Some(FrameEvent::Header { violation: Some(violation), .. }) => {
                    return Err(ProbeError::Frame(violation));
                }
                Some(FrameEvent::Header { header, .. }) => self.header = Some(header),
                None => {
                    if self.header.is_some() {
                        self.payload.extend(used);
                    }
                    return Ok(None);
                }
                Some(FrameEvent::End) => {
                    self.payload.extend(used);
                    if let Some(read) = self.end() {
                        return Ok(Some(read));
                    }
                }
            }
        }
    }

    fn end(&mut self) -> Option<ProbeFrame> {
        let header = self.header.take()?;
        let payload = std::mem::take(&mut self.payload);
        match header.opcode {
            Opcode::Close => Some(ProbeFrame::Close(payload)),
            Opcode::Ping => Some(ProbeFrame::Ping(payload)),
            Opcode::Pong => Some(ProbeFrame::Pong(payload)),
            _ => {
                self.message.extend(payload);
                header.fin.then(|| ProbeFrame::Message(std::mem::take(&mut self.message)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::control;

    fn all(bytes: &[u8], piece: usize) -> Vec<ProbeFrame> {
        let mut frames = ProbeFrames::new(Vec::new());
        let mut found = Vec::new();
        for piece in bytes.chunks(piece) {
            frames.take(piece).unwrap();
            while let Some(read) = frames.next().unwrap() {
                found.push(read);
            }
        }
        found
    }

    #[test]
    fn frames_are_read_on_any_split() {
        let mut bytes = b"\x01\x03wel".to_vec();
        bytes.extend_from_slice(&control::ping(b"p", None));
        bytes.extend_from_slice(b"\x80\x04come");
        bytes.extend_from_slice(&control::pong(b"", None));
        bytes.extend_from_slice(&control::close(1001, "bye", None));
        let wanted = [
            ProbeFrame::Ping(b"p".to_vec()),
            ProbeFrame::Message(b"welcome".to_vec()),
            ProbeFrame::Pong(Vec::new()),
            ProbeFrame::Close(b"\x03\xe9bye".to_vec()),
        ];
        for piece in 1..=bytes.len() {
            assert_eq!(all(&bytes, piece), wanted, "{piece}");
        }
    }

    #[test]
    fn a_wrong_frame_and_a_flood_end_it() {
        let mut masked = ProbeFrames::new(b"\x81\x80abcd".to_vec());
        assert!(matches!(masked.next(), Err(ProbeError::Frame(_))));
        let mut flood = ProbeFrames::new(b"\x82\x7f\0\0\0\0\x40\0\0\0".to_vec());
        assert_eq!(flood.next().unwrap(), None);
        let outcome = (0..).find_map(|_| flood.take(&[0; 4096]).err());
        assert!(matches!(outcome, Some(ProbeError::TooLarge)));
    }
}
