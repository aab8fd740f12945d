//! Just enough of RFC 6455 for a load generator: it speaks to itself and checks what it reads.

use tidegate::wire::accept_key::accept_key;

/// A handshake's request; the proxy must not care that every session has the same key.
pub const REQUEST: &[u8] = b"GET /socket HTTP/1.1\r\nHost: bench.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// The field the answer depends on, in lower case.
const KEY: &[u8] = b"sec-websocket-key:";

/// The backend's answer to a handshake. Behind HTTP/2 the key is the proxy's own, or missing: one
/// peer sends none.
pub fn answer(head: &[u8]) -> Vec<u8> {
    let mut answer = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\n"
        .to_vec();
    let is_key =
        |line: &&[u8]| line.len() > KEY.len() && line[..KEY.len()].eq_ignore_ascii_case(KEY);
    if let Some(line) = head.split(|byte| *byte == b'\n').find(is_key) {
        answer.extend_from_slice(b"Sec-WebSocket-Accept: ");
        answer.extend_from_slice(accept_key(line[KEY.len()..].trim_ascii()).as_bytes());
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"\r\n");
    answer
}

/// A client's Close, without a code.
pub const CLOSE: &[u8] = &[0x88, 0x80, 0x37, 0xfa, 0x21, 0x3d];

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A binary frame of `size` bytes, masked as a client's or not.
pub fn frame(size: usize, masked: bool) -> Vec<u8> {
    let mut frame = vec![0x82];
    let bit = if masked { 0x80 } else { 0 };
    match size {
        0..=125 => frame.push(bit | size as u8),
        126..=65_535 => {
            frame.push(bit | 126);
            frame.extend((size as u16).to_be_bytes());
        }
        _ => {
            frame.push(bit | 127);
            frame.extend((size as u64).to_be_bytes());
        }
    }
    if masked {
        frame.extend(MASK);
    }
    let payload = (0..size).map(|i| (i % 251) as u8);
    frame.extend(
        payload.enumerate().map(|(i, byte)| if masked { byte ^ MASK[i % 4] } else { byte }),
    );
    frame
}

/// Finds frames in a stream of bytes and says what they are; payloads are skipped.
#[derive(Default)]
pub struct Frames {
    head: Vec<u8>,
    left: u64,
    opcode: u8,
}

impl Frames {
    /// Takes `bytes`; calls `done(opcode, payload length)` at each frame's end.
    pub fn take(&mut self, mut bytes: &[u8], mut done: impl FnMut(u8, &[u8])) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let some = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
                if self.opcode & 0x08 != 0 {
                    self.head.extend(&bytes[..some]);
                }
                self.left -= some as u64;
                bytes = &bytes[some..];
                if self.left == 0 {
                    done(self.opcode, &self.head);
                    self.head.clear();
                }
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(length) = head_length(&self.head) {
                self.opcode = self.head[0] & 0x0f;
                self.left = length;
                if self.opcode & 0x08 == 0 {
                    self.head.clear();
                }
                if length == 0 {
                    done(self.opcode, &self.head);
                    self.head.clear();
                }
            }
        }
    }
}

/// The payload's length once `head` is a whole frame header.
fn head_length(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 != 0 { 4 } else { 0 };
    let (extra, length) = match second & 0x7f {
        126 => (2, head.get(2..4).map(|b| u64::from(u16::from_be_bytes([b[0], b[1]])))),
        127 => (8, head.get(2..10).map(|b| b.iter().fold(0, |sum, b| sum << 8 | u64::from(*b)))),
        short => (0, Some(u64::from(short))),
    };
    (head.len() == 2 + extra + mask).then_some(length).flatten()
}

/// The Pong that answers a Ping whose whole frame is `ping`, masked as a client's or not.
pub fn pong(ping: &[u8], masked: bool) -> Vec<u8> {
    let was_masked = ping[1] & 0x80 != 0;
    let payload = if was_masked {
        let mask = &ping[2..6];
        ping[6..].iter().enumerate().map(|(i, byte)| byte ^ mask[i % 4]).collect()
    } else {
        ping[2..].to_vec()
    };
    let mut pong = vec![0x8a, payload.len() as u8 | if masked { 0x80 } else { 0 }];
    if masked {
        pong.extend(MASK);
    }
    pong.extend(payload.iter().enumerate().map(|(i, b)| if masked { b ^ MASK[i % 4] } else { *b }));
    pong
}
