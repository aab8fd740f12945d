//! h2spec's `generic`: what every server must take.

use crate::actors::frames::*;
use crate::case::{Case, Until, case, play};
use crate::said::*;

const EXCLUSIVE: u32 = 1 << 31;

fn streams() -> Vec<Case> {
    let shut = || settings(&[(4, 0)]);
    vec![
        case("generic/1/1", "9113 §3.4", "a preface", settings(&[(4, 65_535)]), "SETTINGS"),
        case("generic/2/1", "9113 §5.1", "idle: PRIORITY", priority(1, 0, 255), "PING"),
        case(
            "generic/2/2",
            "9113 §5.1",
            "half-closed: WINDOW_UPDATE",
            all(&[shut(), get(1), window(1, 1)]),
            "DATA 1",
        ),
        case(
            "generic/2/3",
            "9113 §5.1",
            "half-closed: PRIORITY",
            all(&[shut(), get(1), priority(1, 0, 255), window(1, 1)]),
            "DATA 1",
        ),
        case("generic/2/4", "9113 §5.1", "half-closed: RST_STREAM", all(&[get(1), rst(1)]), "PING"),
        case("generic/2/5", "9113 §5.1", "closed: PRIORITY", get(1), "PING")
            .then(Until::Answered, priority(1, 0, 255)),
    ]
}

fn frames() -> Vec<Case> {
    let padded =
        |payload: &[u8], pad: u8| [&[pad], payload, &vec![0; usize::from(pad)][..]].concat();
    let before = |priority: Vec<u8>| all(&[priority, get(1)]);
    let some = |id, name, bytes| case(id, "9113 §6", name, bytes, "200");
    vec![
        some("generic/3.1/1", "DATA", all(&[post(1), data(END_STREAM, 1, b"test")])),
        some(
            "generic/3.1/2",
            "DATA in pieces",
            all(&[post(1), data(0, 1, b"test"), data(END_STREAM, 1, b"test")]),
        ),
        some(
            "generic/3.1/3",
            "DATA with padding",
            all(&[post(1), data(END_STREAM | PADDED, 1, &padded(b"test", 5))]),
        ),
        some("generic/3.2/1", "HEADERS", get(1)),
        some(
            "generic/3.2/2",
            "HEADERS with padding",
            frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, &padded(&block(&GET), 8)),
        ),
        some(
            "generic/3.2/3",
            "HEADERS with priority",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS | PRIORITIZED,
                1,
                &[&[0, 0, 0, 0, 255], &block(&GET)[..]].concat(),
            ),
        ),
        some("generic/3.3/1", "PRIORITY of 1", before(priority(1, 0, 0))),
        some("generic/3.3/2", "PRIORITY of 256", before(priority(1, 0, 255))),
        some("generic/3.3/3", "PRIORITY on a stream", before(priority(3, 1, 255))),
        some("generic/3.3/4", "PRIORITY, exclusive", before(priority(1, EXCLUSIVE, 255))),
        some("generic/3.3/5", "PRIORITY of a higher stream", before(priority(3, 0, 255))),
        case("generic/3.4/1", "9113 §6.4", "RST_STREAM", all(&[post(1), rst(1)]), "PING"),
        case(
            "generic/3.5/1",
            "9113 §6.5",
            "SETTINGS",
            settings(&[(1, 4096), (2, 1), (3, 100), (4, 65_535), (5, 16_384), (6, 100)]),
            "SETTINGS",
        ),
        case("generic/3.7/1", "9113 §6.7", "PING", ping(), "PING"),
        case("generic/3.8/1", "9113 §6.8", "GOAWAY", goaway(0, 0), "GOAWAY NO_ERROR, closed"),
        case("generic/3.9/1", "9113 §6.9", "WINDOW_UPDATE", window(0, 1), "PING"),
        some("generic/3.9/2", "WINDOW_UPDATE of a stream", all(&[get(1), window(1, 1)])),
        some(
            "generic/3.10/1",
            "CONTINUATION",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&GET)[..5]),
                frame(CONTINUATION, END_HEADERS, 1, &block(&GET)[5..]),
            ]),
        ),
        some(
            "generic/3.10/2",
            "CONTINUATION, twice",
            all(&[
                frame(HEADERS, END_STREAM, 1, &block(&GET)[..5]),
                frame(CONTINUATION, 0, 1, &block(&GET)[5..10]),
                frame(CONTINUATION, END_HEADERS, 1, &block(&GET)[10..]),
            ]),
        ),
        some("generic/4/1", "GET", get(1)),
        some("generic/4/2", "HEAD", head(END_STREAM, 1, &with_method("HEAD"))),
        some("generic/4/3", "POST", all(&[post(1), data(END_STREAM, 1, b"test")])),
        some(
            "generic/4/4",
            "POST with trailers",
            all(&[
                post_with(&[("trailer", "x-test")]),
                data(0, 1, b"test"),
                head(END_STREAM, 1, &[("x-test", "ok")]),
            ]),
        ),
    ]
}

/// Representations of `user-agent: h2spec` (58 in the static table) and `x-test: h2spec`, behind a
/// GET's fields.
fn representations() -> Vec<Case> {
    const AGENT: &[u8] = b"\x0auser-agent\x06h2spec";
    const AGENT_HUFFMAN: &[u8] = b"\x87\xb5\x05\xb1\x61\xcc\x5a\x93\x84\x9c\x48\xac\xa4";
    const TEST: &[u8] = b"\x06x-test\x06h2spec";
    const TEST_HUFFMAN: &[u8] = b"\x85\xf2\xb2\x4a\x84\xff\x84\x9c\x48\xac\xa4";
    let of = |kind: u8, text: &[u8]| get_and(&[&[kind], text].concat());
    let good = |id, rfc, name, bytes| case(id, rfc, name, bytes, "200");
    vec![
        good("generic/5/1", "7541 §6.1", "indexed", get_and(b"\xba")),
        good(
            "generic/5/2",
            "7541 §6.2.1",
            "indexing, known name, Huffman",
            of(0x40, AGENT_HUFFMAN),
        ),
        good("generic/5/3", "7541 §6.2.1", "indexing, known name", of(0x40, AGENT)),
        good("generic/5/4", "7541 §6.2.1", "indexing, new name", of(0x40, TEST)),
        good("generic/5/5", "7541 §6.2.1", "indexing, new name, Huffman", of(0x40, TEST_HUFFMAN)),
        good("generic/5/6", "7541 §6.2.2", "no indexing, known name", of(0, AGENT)),
        good(
            "generic/5/7",
            "7541 §6.2.2",
            "no indexing, known name, Huffman",
            of(0, AGENT_HUFFMAN),
        ),
        good("generic/5/8", "7541 §6.2.2", "no indexing, new name", of(0, TEST)),
        good("generic/5/9", "7541 §6.2.2", "no indexing, new name, Huffman", of(0, TEST_HUFFMAN)),
        good("generic/5/10", "7541 §6.2.3", "never indexed, known name", of(0x10, AGENT)),
        good(
            "generic/5/11",
            "7541 §6.2.3",
            "never indexed, known name, Huffman",
            of(0x10, AGENT_HUFFMAN),
        ),
        good("generic/5/12", "7541 §6.2.3", "never indexed, new name", of(0x10, TEST)),
        good(
            "generic/5/13",
            "7541 §6.2.3",
            "never indexed, new name, Huffman",
            of(0x10, TEST_HUFFMAN),
        ),
        good(
            "generic/5/14",
            "7541 §6.3",
            "a table of 128",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[b"\x3f\x61", &block(&GET)[..]].concat()),
        ),
        good(
            "generic/5/15",
            "7541 §4.2",
            "a table of 128, then of 4096",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS,
                1,
                &[b"\x3f\x61\x3f\xe1\x1f", &block(&GET)[..]].concat(),
            ),
        ),
    ]
}

#[tokio::test]
async fn what_every_server_must_take_is_taken() {
    let cases = [streams(), frames(), representations()].into_iter().flatten();
    play("Generic", &cases.collect::<Vec<_>>(), 44).await;
}
