//! The frame-header tracker (RFC 6455 §5.2): where frames and messages begin and end in a byte
//! stream, and what they did wrong, from nothing but their headers.

use crate::base::side::Side;

mod violation;
pub use violation::Violation;

const FIN: u8 = 0x80;
const RSV: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const CONTROL: u8 = 0x08;
const MASKED: u8 = 0x80;

/// Bytes of the longest header: two, a 64-bit length, a mask.
pub const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame (§5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is (§11.8).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Opcode {
    /// A further fragment of the open message.
    Continuation,
    /// A text message, or its first fragment.
    Text,
    /// A binary message, or its first fragment.
    Binary,
    /// Close.
    Close,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
    /// 3 to 7 (data) and 11 to 15 (control): not defined.
    Reserved(u8),
}

impl Opcode {
    /// The opcode in the low four bits.
    #[inline]
    pub const fn from_bits(bits: u8) -> Opcode {
        match bits & 0x0f {
            0 => Opcode::Continuation,
            1 => Opcode::Text,
            2 => Opcode::Binary,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            other => Opcode::Reserved(other),
        }
    }

    /// Whether it is a control frame's (§5.5), the reserved ones included.
    #[inline]
    pub const fn is_control(self) -> bool {
        match self {
            Opcode::Close | Opcode::Ping | Opcode::Pong => true,
            Opcode::Reserved(bits) => bits & CONTROL != 0,
            _ => false,
        }
    }
}

/// What negotiated extensions allow beyond RFC 6455 itself (§9).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Allowed {
    /// The RSV bits freed, at their place in a header's first byte.
    pub rsv: u8,
    /// An extension we do not know is in force: reserved opcodes are free, RSV bits are free on
    /// every frame, and messages may be interleaved (§5.4).
    pub opcodes: bool,
}

impl Allowed {
    /// No extension.
    pub const NOTHING: Allowed = Allowed { rsv: 0, opcodes: false };
    /// permessage-deflate: RSV1 on the first frame of a message, nowhere else (RFC 7692 §6).
    pub const DEFLATE: Allowed = Allowed { rsv: 0x40, opcodes: false };
    /// Whatever an extension we do not know may use.
    pub const ANYTHING: Allowed = Allowed { rsv: RSV, opcodes: true };
}

/// A frame's header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// Whether it is the last frame of its message.
    pub fin: bool,
    /// The RSV bits set, at their place in the first byte.
    pub rsv: u8,
    /// What it is.
    pub opcode: Opcode,
    /// The mask, when the frame says it is masked.
    pub mask: Option<[u8; 4]>,
    /// Bytes of payload, as announced.
    pub length: u64,
    /// Bytes of payload of its message, this frame's announced ones included; for a control frame,
    /// those of the message it stands in.
    pub message_bytes: u64,
}

/// What the tracker came upon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameEvent {
    /// A header is complete.
    Header {
        /// The header.
        header: FrameHeader,
        /// The first rule it breaks; each frame reports one at most.
        violation: Option<Violation>,
    },
    /// The frame is complete: its last byte of payload was taken, or it has none.
    End,
}

/// How far one step went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    /// Bytes taken from the front of what was given.
    pub used: usize,
    /// What is at that place; `None` when all bytes are taken and nothing came to its end.
    pub event: Option<FrameEvent>,
}

/// Follows one direction of a session through headers and payloads, on any split of its bytes.
///
/// A violation is reported and the scan continues, so that the caller may let it pass: lengths and
/// masks are believed as written; reserved opcodes 3 to 7 are data and 11 to 15 control; a control
/// frame never opens or ends a message; a continuation of nothing, and a new message inside an open
/// one, begin a message. Close payloads and what follows a Close are for the caller to judge.
///
/// ```
/// use tidegate::base::side::Side;
/// use tidegate::wire::frame::{Allowed, FrameEvent, Tracker};
///
/// let mut tracker = Tracker::new(Side::Upstream, Allowed::NOTHING);
/// let step = tracker.step(b"\x81\x02hi"); // the text "hi" in one frame
/// assert!(matches!(step.event, Some(FrameEvent::Header { violation: None, .. })));
/// assert_eq!(tracker.step(b"h").event, None); // its payload comes in two reads
/// assert_eq!(tracker.step(b"i").event, Some(FrameEvent::End));
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tracker {
    /// Payload to come in this frame.
    left: u64,
    /// Announced payload of the open message.
    message: u64,
    /// A header that has begun; as many bytes as `filled` says.
    head: [u8; HEADER_BYTES_MAX - 1],
    mask: [u8; 4],
    filled: u8,
    /// The first byte of this frame's header.
    first: u8,
    /// Where in the mask the next byte of payload stands, 0 to 3.
    phase: u8,
    /// Freed RSV bits, `FREE` and `CLIENT`.
    rules: u8,
    /// A message was begun and its last frame has not begun yet.
    open: bool,
    /// Between a header and its frame's end.
    inside: bool,
}

/// Reserved opcodes are free.
const FREE: u8 = 0x01;
/// The bytes come from the client.
const CLIENT: u8 = 0x02;

impl Tracker {
    /// A tracker of what `from` sends, at the start of its stream.
    pub const fn new(from: Side, allowed: Allowed) -> Tracker {
        let free = if allowed.opcodes { FREE } else { 0 };
        let client = if matches!(from, Side::Client) { CLIENT } else { 0 };
        Tracker {
            left: 0,
            message: 0,
            head: [0; HEADER_BYTES_MAX - 1],
            mask: [0; 4],
            filled: 0,
            first: 0,
            phase: 0,
            rules: allowed.rsv & RSV | free | client,
            open: false,
            inside: false,
        }
    }

    /// Goes up to and with the next event. To be called with the bytes that are left until it gives
    /// no event: the end of an empty frame takes no bytes.
    #[inline]
    pub fn step(&mut self, bytes: &[u8]) -> Step {
        if self.inside {
            return self.payload(bytes);
        }
        if self.filled == 0
            && let [_, second, ..] = bytes
            && bytes.len() >= header_bytes(*second)
        {
            return Step { used: header_bytes(*second), event: Some(self.begin(bytes)) };
        }
        if bytes.is_empty() {
            return Step { used: 0, event: None };
        }
        self.collect(bytes)
    }

    #[inline]
    fn payload(&mut self, bytes: &[u8]) -> Step {
        let here = bytes.len() as u64;
        if here < self.left {
            self.left -= here;
            self.phase = self.phase.wrapping_add(here as u8) & 3;
            return Step { used: bytes.len(), event: None };
        }
        let used = self.left as usize;
        self.left = 0;
        self.inside = false;
        if !self.open {
            self.message = 0;
        }
        Step { used, event: Some(FrameEvent::End) }
    }

    /// A header that does not lie in one read whole.
    #[cold]
    fn collect(&mut self, bytes: &[u8]) -> Step {
        for (taken, byte) in bytes.iter().enumerate() {
            let filled = usize::from(self.filled);
            let second = if filled == 1 { *byte } else { self.head[1] };
            if filled >= 1 && filled + 1 == header_bytes(second) {
                let mut whole = [0; HEADER_BYTES_MAX];
                whole[..filled].copy_from_slice(&self.head[..filled]);
                whole[filled] = *byte;
                self.filled = 0;
                return Step { used: taken + 1, event: Some(self.begin(&whole)) };
            }
            self.head[filled] = *byte;
            self.filled += 1;
        }
        Step { used: bytes.len(), event: None }
    }

    /// Takes a header that is whole. Left to the compiler it becomes a call, a third dearer.
    #[inline(always)]
    fn begin(&mut self, bytes: &[u8]) -> FrameEvent {
        let (first, second) = (bytes[0], bytes[1]);
        let (length, at) = match second & !MASKED {
            126 => (u64::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
            127 => {
                let mut length = [0; 8];
                length.copy_from_slice(&bytes[2..10]);
                (u64::from_be_bytes(length), 10)
            }
            short => (u64::from(short), 2),
        };
        let mask = (second & MASKED != 0).then(|| {
            let mut mask = [0; 4];
            mask.copy_from_slice(&bytes[at..at + 4]);
            mask
        });
        let violation = self.judge(first, second, length);
        let fin = first & FIN != 0;
        if first & CONTROL == 0 {
            let (new, reserved) = (matches!(first & OPCODE, 1 | 2), is_reserved(first));
            let before = if self.open && !new { self.message } else { 0 };
            self.message = before.saturating_add(length);
            // A reserved data frame inside a message is some extension's: the message stays open.
            self.open = !fin || self.open && reserved;
        }
        self.left = length;
        self.mask = mask.unwrap_or_default();
        self.first = first;
        self.phase = 0;
        self.inside = true;
        let (opcode, message_bytes) = (Opcode::from_bits(first), self.message);
        let header = FrameHeader { fin, rsv: first & RSV, opcode, mask, length, message_bytes };
        FrameEvent::Header { header, violation }
    }

    /// The first rule a header breaks (§5.2, §5.4, §5.5).
    #[inline]
    fn judge(&self, first: u8, second: u8, length: u64) -> Option<Violation> {
        let opcode = first & OPCODE;
        let free = self.rules & FREE != 0;
        let allowed = if free || matches!(opcode, 1 | 2) { self.rules & RSV } else { 0 };
        if first & RSV & !allowed != 0 {
            return Some(Violation::ReservedBit);
        }
        if is_reserved(first) && !free {
            return Some(Violation::ReservedOpcode);
        }
        match (self.rules & CLIENT != 0, second & MASKED != 0) {
            (true, false) => return Some(Violation::NotMasked),
            (false, true) => return Some(Violation::Masked),
            _ => {}
        }
        let short = second & !MASKED;
        if first & CONTROL != 0 {
            if first & FIN == 0 {
                return Some(Violation::ControlFragmented);
            }
            return (short > CONTROL_BYTES_MAX as u8).then_some(Violation::ControlTooLong);
        }
        match (opcode, self.open) {
            (0, false) if !free => return Some(Violation::NothingToContinue),
            (1 | 2, true) if !free => return Some(Violation::MessageOpen),
            _ => {}
        }
        match short {
            126 if length < 126 => Some(Violation::LengthNotMinimal),
            127 if length < 1 << 16 => Some(Violation::LengthNotMinimal),
            127 if length >= 1 << 63 => Some(Violation::LengthTooLarge),
            _ => None,
        }
    }

    /// Whether no frame has begun: here a frame may be slipped in.
    #[inline]
    pub const fn at_frame_boundary(&self) -> bool {
        !self.inside && self.filled == 0
    }

    /// Whether neither a frame nor a message has begun: here a message may be slipped in.
    #[inline]
    pub const fn at_message_boundary(&self) -> bool {
        self.at_frame_boundary() && !self.open
    }

    /// Whether a message has begun, if only by a byte of its header, and has not come to its end.
    pub const fn is_inside_message(&self) -> bool {
        let data = (self.inside && self.first & CONTROL == 0)
            || (self.filled > 0 && self.head[0] & CONTROL == 0);
        self.open || data
    }

    /// Payload bytes taken so far of the open message; zero when none is open.
    #[inline]
    pub const fn message_bytes(&self) -> u64 {
        let data = self.inside && self.first & CONTROL == 0;
        self.message.saturating_sub(if data { self.left } else { 0 })
    }

    /// Payload bytes to come in this frame.
    #[inline]
    pub const fn payload_left(&self) -> u64 {
        self.left
    }

    /// What the frame is whose payload comes next; `None` when a header comes next.
    #[inline]
    pub const fn frame(&self) -> Option<Opcode> {
        if self.inside { Some(Opcode::from_bits(self.first)) } else { None }
    }

    /// This frame's mask; zeros, which change nothing, when it has none.
    #[inline]
    pub const fn mask(&self) -> [u8; 4] {
        self.mask
    }

    /// The offset in the payload, modulo four, of the next byte of payload, for [`unmask`].
    #[inline]
    pub const fn mask_offset(&self) -> usize {
        self.phase as usize
    }

    /// The bytes taken of a header that has begun and is not complete.
    pub fn begun(&self) -> &[u8] {
        &self.head[..usize::from(self.filled)]
    }
}

/// Masks or unmasks payload that begins at `offset` in its frame (§5.3).
#[inline]
pub fn unmask(payload: &mut [u8], mask: [u8; 4], offset: usize) {
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[(offset + at) & 3];
    }
}

/// Whether a first byte's opcode is 3 to 7 or 11 to 15.
#[inline]
const fn is_reserved(first: u8) -> bool {
    first & 0x07 > 2
}

/// Bytes of a header, told by its second byte.
#[inline]
const fn header_bytes(second: u8) -> usize {
    let length = match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & MASKED != 0 { 4 } else { 0 }
}

#[cfg(test)]
mod tests;
