//! Frames as clients send them, short to write in a table.

use crate::actors::frames::*;

/// Error codes (RFC 9113 §7), as RST_STREAM and GOAWAY carry them.
pub const CANCEL: [u8; 4] = 8_u32.to_be_bytes();

/// Frames in a row.
pub fn all(frames: &[Vec<u8>]) -> Vec<u8> {
    frames.concat()
}

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::new(kind, flags, stream, payload).bytes()
}

/// HEADERS of these fields, whole.
pub fn head(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, stream, &block(fields))
}

/// A request without a body.
pub fn get(stream: u32) -> Vec<u8> {
    head(END_STREAM, stream, &GET)
}

/// A request's fields with another method.
pub fn with_method(method: &'static str) -> [(&'static str, &'static str); 4] {
    let mut fields = GET;
    fields[0].1 = method;
    fields
}

/// The beginning of a request with a body.
pub fn post(stream: u32) -> Vec<u8> {
    head(0, stream, &with_method("POST"))
}

/// A GET with more fields behind.
pub fn get_with(more: &[(&str, &str)]) -> Vec<u8> {
    head(END_STREAM, 1, &[&GET[..], more].concat())
}

/// The beginning of a POST with more fields behind.
pub fn post_with(more: &[(&str, &str)]) -> Vec<u8> {
    head(0, 1, &[&with_method("POST")[..], more].concat())
}

/// A GET whose block has these bytes behind it.
pub fn get_and(more: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &[&block(&GET), more].concat())
}

pub fn data(flags: u8, stream: u32, bytes: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, bytes)
}

pub fn rst(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL)
}

/// HEADERS of a GET or POST that CONTINUATION is to follow.
pub fn open_head(flags: u8, stream: u32) -> Vec<u8> {
    frame(HEADERS, flags, stream, &block(&GET))
}

/// CONTINUATION with a field nobody knows.
pub fn continuation(flags: u8, stream: u32) -> Vec<u8> {
    frame(CONTINUATION, flags, stream, &block(&[("x-dummy", "x")]))
}

/// PRIORITY: the stream it depends on (with the exclusive bit), and the weight less one.
pub fn priority(stream: u32, on: u32, weight: u8) -> Vec<u8> {
    let mut payload = on.to_be_bytes().to_vec();
    payload.push(weight);
    frame(PRIORITY, 0, stream, &payload)
}

pub fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let one = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(SETTINGS, 0, 0, &all.iter().flat_map(one).collect::<Vec<_>>())
}

pub fn ping() -> Vec<u8> {
    frame(PING, 0, 0, &[0; 8])
}

pub fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

pub fn goaway(stream: u32, code: u32) -> Vec<u8> {
    frame(GOAWAY, 0, stream, &[[0; 4], code.to_be_bytes()].concat())
}
