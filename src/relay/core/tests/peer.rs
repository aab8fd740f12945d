//! A client or a backend: what it sends, what it got, and how well it behaves.

use fastrand::Rng;

use crate::base::side::Side;
use crate::end::Loss;

/// What a frame a peer sent is, to the one who checks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// To go across.
    Plain,
    /// The answer to a ping of the relay's: not to go across.
    Answer,
    /// A Close.
    Close,
    /// Against RFC 6455.
    Bad,
}

/// A whole frame as `from` sends it.
pub fn frame(rng: &mut Rng, from: Side, first: u8, payload: &[u8]) -> Vec<u8> {
    encode(first, payload, (from == Side::Client).then(|| rng.u32(..).to_be_bytes()))
}

/// A whole frame as it is on the wire (RFC 6455 §5.2), written without the code under test.
pub fn encode(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if mask.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match payload.len() {
        short @ 0..126 => bytes.push(masked | short as u8),
        middle @ 126..65_536 => {
            bytes.push(masked | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(masked | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(mask.into_iter().flatten());
    let mask = mask.unwrap_or_default();
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at & 3]));
    bytes
}

/// The frame at the front of `bytes`: its length, first byte, whether it is masked, its payload
/// unmasked; none when it is not whole.
pub fn parse(bytes: &[u8]) -> Option<(usize, u8, bool, Vec<u8>)> {
    let second = *bytes.get(1)?;
    let (mut length, mut at) = (u64::from(second & 0x7f), 2);
    if length >= 126 {
        let size = if length == 126 { 2 } else { 8 };
        let big_endian = bytes.get(2..2 + size)?;
        length = big_endian.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        at += size;
    }
    let masked = second & 0x80 != 0;
    let mask = if masked { bytes.get(at..at + 4)? } else { &[0; 4] };
    at += if masked { 4 } else { 0 };
    let payload = bytes.get(at..at + usize::try_from(length).ok()?)?;
    let payload: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(a, b)| a ^ b).collect();
    Some((at + payload.len(), bytes[0], masked, payload))
}

/// One end of a session.
pub struct Peer {
    pub side: Side,
    /// All that it put on the wire, and how much the relay has read of that.
    pub sent: Vec<u8>,
    pub taken: usize,
    /// Where each frame it sent ends, and what it was.
    pub frames: Vec<(usize, Kind)>,
    /// All that it got, and how much of that it has looked at.
    pub got: Vec<u8>,
    looked_at: usize,
    message_open: bool,
    /// It sends no more; the relay learns how once it has read all.
    pub hung_up: Option<Loss>,
    /// Bytes it takes before it takes no more.
    pub appetite: usize,
    pub answers_pings: bool,
    pub answers_closes: bool,
    pub close_sent: bool,
    /// It closed of its own accord.
    pub closed_first: bool,
    pub close_got: bool,
    /// The relay sent its stream's end.
    pub finished: bool,
    /// The relay dropped the connection.
    pub dropped: bool,
}

impl Peer {
    pub fn new(side: Side, rng: &mut Rng) -> Peer {
        let never_full = rng.u8(..4) > 0;
        Peer {
            side,
            sent: Vec::new(),
            taken: 0,
            frames: Vec::new(),
            got: Vec::new(),
            looked_at: 0,
            message_open: false,
            hung_up: None,
            appetite: if never_full { usize::MAX } else { rng.usize(..5_000) },
            answers_pings: rng.u8(..4) > 0,
            answers_closes: rng.u8(..4) > 0,
            close_sent: false,
            closed_first: false,
            close_got: false,
            finished: false,
            dropped: false,
        }
    }

    /// Whether it reads all and answers each ping: nobody may call it silent.
    pub fn lives(&self) -> bool {
        self.appetite == usize::MAX && self.answers_pings
    }

    pub fn may_send(&self) -> bool {
        self.hung_up.is_none() && !self.close_sent && !self.dropped
    }

    pub fn send(&mut self, rng: &mut Rng, kind: Kind, first: u8, payload: &[u8]) {
        let bytes = frame(rng, self.side, first, payload);
        self.sent.extend(bytes);
        self.frames.push((self.sent.len(), kind));
        self.close_sent |= kind == Kind::Close;
    }

    /// Sends one frame of no special meaning.
    pub fn chat(&mut self, rng: &mut Rng) {
        let length = match rng.u8(..10) {
            0 => 0,
            1 => rng.usize(120..130),
            2 => rng.usize(60_000..70_000),
            _ => rng.usize(..400),
        };
        let payload = vec![rng.u8(..); length];
        if rng.u8(..4) == 0 {
            // Eight bytes are what our own pings carry.
            let opcode = if rng.bool() { 0x89 } else { 0x8a };
            let payload = &payload[..length.min(rng.choice([0, 7, 8, 125]).unwrap_or(8))];
            return self.send(rng, Kind::Plain, opcode, payload);
        }
        let opcode = if self.message_open { 0 } else { 1 + rng.u8(..2) };
        let fin = rng.u8(..3) > 0;
        self.message_open = !fin;
        self.send(rng, Kind::Plain, if fin { 0x80 } else { 0 } | opcode, &payload);
    }

    /// Ends the message it has begun.
    pub fn finish_message(&mut self, rng: &mut Rng) {
        if std::mem::take(&mut self.message_open) {
            self.send(rng, Kind::Plain, 0x80, b"the end");
        }
    }

    /// Closes with this code, and no reason.
    pub fn leave(&mut self, rng: &mut Rng, code: u16) {
        self.closed_first = true;
        self.send(rng, Kind::Close, 0x88, &code.to_be_bytes());
    }

    /// Sends a frame that may not be.
    pub fn offend(&mut self, rng: &mut Rng) {
        let first = rng.choice([0xf1, 0x83, 0x09, 0x8b]).unwrap_or(0xf1);
        self.send(rng, Kind::Bad, first, &[1, 2, 3]);
    }

    pub fn close(&mut self, rng: &mut Rng, code: u16) {
        let payload = [&code.to_be_bytes()[..], b"reason"].concat();
        let payload = if rng.bool() { &payload[..] } else { &[] };
        self.closed_first = true;
        self.send(rng, Kind::Close, 0x88, payload);
    }

    /// Breaks off: orderly or not, in the middle of a frame or not.
    pub fn hang_up(&mut self, rng: &mut Rng) {
        if self.may_send() && rng.bool() {
            let whole =
                frame(rng, self.side, if self.message_open { 0x80 } else { 0x82 }, &[7; 90]);
            self.sent.extend(&whole[..rng.usize(1..whole.len())]);
        }
        self.hung_up = Some(if rng.bool() { Loss::Eof } else { Loss::Reset });
    }

    /// Looks at what it got and answers as it does; `is_ours` knows the relay's pings.
    pub fn look(&mut self, rng: &mut Rng, is_ours: impl Fn(&[u8]) -> bool) {
        while let Some((length, first, _, payload)) = parse(&self.got[self.looked_at..]) {
            self.looked_at += length;
            match first {
                0x89 if self.answers_pings && self.may_send() => {
                    let kind = if is_ours(&payload) { Kind::Answer } else { Kind::Plain };
                    self.send(rng, kind, 0x8a, &payload);
                }
                0x88 => {
                    self.close_got = true;
                    if self.answers_closes && self.may_send() {
                        self.send(rng, Kind::Close, 0x88, &payload);
                    }
                    // A server ends the connection when both Closes went (RFC 6455 §7.1.1).
                    if self.side == Side::Upstream && self.close_sent && self.hung_up.is_none() {
                        self.hung_up = Some(Loss::Eof);
                    }
                }
                _ => {}
            }
        }
        if self.finished && self.answers_closes && self.hung_up.is_none() {
            self.hung_up = Some(Loss::Eof);
        }
    }
}
