//! A client of HTTP/2 that makes its frames by hand (RFC 9113 §4.1, RFC 7541 §6.2.2).

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
/// Of SETTINGS and PING.
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const PRIORITIZED: u8 = 0x20;

/// A frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Frame {
        Frame { kind, flags, stream, payload: payload.to_vec() }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = (self.payload.len() as u32).to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// The code of a RST_STREAM or GOAWAY.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A block of fields, each a literal that is not indexed nor compressed.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// A text's length (RFC 7541 §5.1).
fn length(block: &mut Vec<u8>, length: usize) {
    match length.checked_sub(127) {
        None => block.push(length as u8),
        Some(more) => {
            assert!(more < 1 << 14, "two bytes more hold no such length");
            block.extend([127, 0x80 | (more & 0x7f) as u8, (more >> 7) as u8]);
        }
    }
}

/// What a GET has at least.
pub const GET: [(&str, &str); 4] =
    [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")];

pub struct Raw {
    tcp: TcpStream,
    next_stream: u32,
}

impl Raw {
    pub async fn new(address: SocketAddr) -> Raw {
        Raw::beginning_with(address, PREFACE).await
    }

    /// Says these bytes, and SETTINGS when they are a whole preface.
    pub async fn beginning_with(address: SocketAddr, first: &[u8]) -> Raw {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut raw = Raw { tcp, next_stream: 1 };
        raw.say(first).await;
        if first == PREFACE {
            raw.send(SETTINGS, 0, 0, &[]).await;
        }
        raw
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        // A server that is done with us may have closed: what it said decides.
        let _ = self.tcp.write_all(bytes).await;
    }

    pub async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.say(&Frame::new(kind, flags, stream, payload).bytes()).await;
    }

    /// Asks with these fields; gives the stream.
    pub async fn ask(&mut self, fields: &[(&str, &str)], flags: u8) -> u32 {
        let stream = self.next_stream;
        self.next_stream += 2;
        self.send(HEADERS, END_HEADERS | flags, stream, &block(fields)).await;
        stream
    }

    /// The next frame; `None` at the end of the connection.
    pub async fn frame(&mut self) -> Option<Frame> {
        let read = async {
            let mut head = [0; 9];
            self.tcp.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; length as usize];
            self.tcp.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        within("a frame or the end", read).await
    }

    /// The next frame of a kind, whatever comes before it.
    pub async fn expect(&mut self, kind: u8) -> Frame {
        loop {
            match self.frame().await {
                Some(frame) if frame.kind == kind => return frame,
                Some(_) => {}
                None => panic!("the connection ended without a frame of kind {kind}"),
            }
        }
    }

    /// What becomes of a stream: its status, or the code of its reset or of the connection's end.
    pub async fn fate(&mut self, stream: u32) -> Fate {
        loop {
            match self.frame().await {
                Some(frame) if frame.kind == GOAWAY => return Fate::GoAway(frame.code()),
                Some(frame) if frame.stream != stream => {}
                Some(frame) if frame.kind == RST_STREAM => return Fate::Reset(frame.code()),
                Some(frame) if frame.kind == HEADERS => return Fate::Answer(status(&frame)),
                Some(_) => {}
                None => return Fate::Closed,
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    Answer(u16),
    Reset(u32),
    GoAway(u32),
    Closed,
}

/// The status an answer begins with: an entry of HPACK's static table, or a literal with the name
/// of one, its digits in Huffman's code (RFC 7541 §A, §B).
pub fn status(frame: &Frame) -> u16 {
    match frame.payload[..] {
        [0x88, ..] => 200,
        [0x89, ..] => 204,
        [0x8a, ..] => 206,
        [0x8b, ..] => 304,
        [0x8c, ..] => 400,
        [0x8d, ..] => 404,
        [0x8e, ..] => 500,
        [0x48, length, ref rest @ ..] if length & 0x80 != 0 => {
            digits(&rest[..usize::from(length & 0x7f)])
        }
        ref other => panic!("{other:?}"),
    }
}

/// `0` to `2` have five bits, the other digits six.
fn digits(compressed: &[u8]) -> u16 {
    let mut bits = compressed.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut left = compressed.len() * 8;
    let mut number = 0;
    for _ in 0..3 {
        let five = (bits >> (left - 5)) & 0x1f;
        let (digit, length) = match five {
            0..=2 => (five, 5),
            _ => (((bits >> (left - 6)) & 0x3f) - 0x16, 6),
        };
        number = number * 10 + digit as u16;
        left -= length;
        bits &= (1 << left) - 1;
    }
    number
}
