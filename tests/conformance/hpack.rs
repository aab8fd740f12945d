//! h2spec's `hpack`: blocks that cannot be decoded end their connection, for the tables of both
//! ends are no longer the same (RFC 9113 §4.3).

use crate::actors::frames::*;
use crate::case::{Case, case, play};
use crate::said::*;
use crate::streams::CRATES_CODE;

fn blocks() -> Vec<Case> {
    let bad = |id, rfc, name, bytes| {
        case(id, rfc, name, bytes, "GOAWAY COMPRESSION_ERROR, closed")
            .but("GOAWAY PROTOCOL_ERROR, closed", CRATES_CODE)
    };
    // `x-test` in Huffman's code, and a value in it.
    let huffman = |value: &[u8]| get_and(&[b"\x00\x85\xf2\xb2\x4a\x84\xff", value].concat());
    vec![
        bad("hpack/2.3.3/1", "7541 §2.3.3", "an index that is none", get_and(b"\xc6")),
        bad(
            "hpack/2.3.3/2",
            "7541 §2.3.3",
            "the index of a name that is none",
            get_and(b"\x7f\x07\x00"),
        ),
        bad("hpack/4.2/1", "7541 §4.2", "a table's size at the end", get_and(b"\x21")),
        bad(
            "hpack/5.2/1",
            "7541 §5.2",
            "more than 7 bits of padding",
            huffman(b"\x84\x49\x50\x9f\xff"),
        ),
        bad("hpack/5.2/2", "7541 §5.2", "padding of zeros", huffman(b"\x83\x49\x50\x90")),
        bad(
            "hpack/5.2/3",
            "7541 §5.2",
            "the end of string",
            huffman(b"\x87\x49\x51\xff\xff\xff\xfa\x7f"),
        ),
        bad("hpack/6.1/1", "7541 §6.1", "the index 0", get_and(b"\x80")),
        bad(
            "hpack/6.3/1",
            "7541 §6.3",
            "a table larger than it may be",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[b"\x3f\xe2\x1f", &block(&GET)[..]].concat(),
            ),
        ),
    ]
}

#[tokio::test]
async fn a_block_that_cannot_be_decoded_ends_its_connection() {
    play("Compression", &blocks(), 8).await;
}
