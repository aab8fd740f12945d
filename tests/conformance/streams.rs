//! h2spec's `http2` 3.5 to 5.5: the preface, frames, the states of streams.

use crate::actors::frames::*;
use crate::case::{Case, Until, case, play};
use crate::said::*;

const PROTOCOL: &str = "GOAWAY PROTOCOL_ERROR, closed";
const TOO_LARGE: &str = "GOAWAY FRAME_SIZE_ERROR, closed";
const COMPRESSION: &str = "GOAWAY COMPRESSION_ERROR, closed";
const STREAM_PROTOCOL: &str = "RST_STREAM PROTOCOL_ERROR, kept";
const STREAM_CLOSED: &str = "RST_STREAM STREAM_CLOSED, kept";
const EITHER: &str = "RST_STREAM STREAM_CLOSED, kept or GOAWAY PROTOCOL_ERROR, closed";

/// A frame of a type that nobody knows.
fn unknown() -> Vec<u8> {
    frame(0x16, 0, 0, &[0; 8])
}

fn frames() -> Vec<Case> {
    let large = vec![0; (1 << 14) + 1];
    vec![
        case(
            "http2/3.5/1",
            "9113 §3.4",
            "a preface",
            [PREFACE, &settings(&[(4, 65_535)])].concat(),
            "PING",
        )
        .bare(),
        case(
            "http2/3.5/2",
            "9113 §3.4",
            "an invalid preface",
            b"INVALID CONNECTION PREFACE\r\n\r\n".to_vec(),
            "closed",
        )
        .bare(),
        case("http2/4.1/1", "9113 §4.1", "an unknown type", unknown(), "PING"),
        case("http2/4.1/2", "9113 §4.1", "undefined flags", frame(PING, 0x16, 0, &[0; 8]), "PING"),
        case(
            "http2/4.1/3",
            "9113 §4.1",
            "the reserved bit",
            frame(PING, 0x16, 1 << 31, &[0; 8]),
            "PING",
        ),
        case(
            "http2/4.2/1",
            "9113 §4.2",
            "DATA of 2^14 bytes",
            all(&[post(1), data(END_STREAM, 1, &large[1..])]),
            "200",
        ),
        case(
            "http2/4.2/2",
            "9113 §4.2",
            "DATA of more",
            all(&[post(1), data(END_STREAM, 1, &large)]),
            TOO_LARGE,
        ),
        case(
            "http2/4.2/3",
            "9113 §4.2",
            "HEADERS of more",
            frame(HEADERS, 5, 1, &large),
            TOO_LARGE,
        ),
        case(
            "http2/4.3/1",
            "9113 §4.3",
            "a block that is none",
            frame(HEADERS, END_STREAM | END_HEADERS, 1, &[0x40]),
            COMPRESSION,
        )
        .but(PROTOCOL, CRATES_CODE),
        case(
            "http2/4.3/2",
            "9113 §4.3",
            "PRIORITY within a head",
            all(&[open_head(0, 1), priority(1, 0, 255), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
        case(
            "http2/4.3/3",
            "9113 §4.3",
            "another head within a head",
            all(&[open_head(0, 1), get(3), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
    ]
}

/// Why a decoding error has another code than RFC 9113 §4.3 gives it.
pub const CRATES_CODE: &str = "the crate's code for all its decoding errors; the connection ends";

/// Why a frame that a stream's state does not allow ends the connection, and by which code.
pub const CRATES_STATES: &str = "the crate ends the connection, which RFC 9113 §5.4.1 lets it";

fn states() -> Vec<Case> {
    let rfc = "9113 §5.1";
    let block_1 = || frame(CONTINUATION, END_HEADERS, 1, &block(&GET));
    vec![
        case("http2/5.1/1", rfc, "idle: DATA", data(END_STREAM, 1, b"test"), PROTOCOL),
        case("http2/5.1/2", rfc, "idle: RST_STREAM", rst(1), PROTOCOL),
        case("http2/5.1/3", rfc, "idle: WINDOW_UPDATE", window(1, 100), PROTOCOL),
        case("http2/5.1/4", rfc, "idle: CONTINUATION", block_1(), PROTOCOL),
        case(
            "http2/5.1/5",
            rfc,
            "half-closed: DATA",
            all(&[get(1), data(END_STREAM, 1, b"test")]),
            STREAM_CLOSED,
        )
        .but(PROTOCOL, CRATES_STATES),
        case("http2/5.1/6", rfc, "half-closed: HEADERS", all(&[get(1), get(1)]), STREAM_CLOSED)
            .but(PROTOCOL, CRATES_STATES),
        case("http2/5.1/7", rfc, "half-closed: CONTINUATION", all(&[get(1), block_1()]), PROTOCOL),
        case(
            "http2/5.1/8",
            rfc,
            "reset: DATA",
            all(&[post(1), rst(1), data(END_STREAM, 1, b"test")]),
            STREAM_CLOSED,
        ),
        case("http2/5.1/9", rfc, "reset: HEADERS", all(&[post(1), rst(1), get(1)]), STREAM_CLOSED)
            .but(PROTOCOL, CRATES_STATES),
        case(
            "http2/5.1/10",
            rfc,
            "reset: CONTINUATION",
            all(&[post(1), rst(1), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
        // The second while the stream's task has not given it up.
        case("http2/5.1/11", rfc, "closed: DATA", get(1), EITHER)
            .then(Until::Answered, data(END_STREAM, 1, b"test")),
        case("http2/5.1/12", rfc, "closed: HEADERS", get(1), "GOAWAY STREAM_CLOSED, closed")
            .then(Until::Answered, get(1))
            .but(PROTOCOL, CRATES_STATES),
        case("http2/5.1/13", rfc, "closed: CONTINUATION", get(1), PROTOCOL)
            .then(Until::Answered, continuation(END_HEADERS, 1)),
        case("http2/5.1.1/1", "9113 §5.1.1", "an even stream", get(2), PROTOCOL),
        case("http2/5.1.1/2", "9113 §5.1.1", "a lower stream", all(&[get(5), get(3)]), PROTOCOL),
    ]
}

fn rest() -> Vec<Case> {
    let itself = [&1_u32.to_be_bytes()[..], &[255], &block(&GET)].concat();
    let wrong_ping = || frame(PING, 0, 3, &[0; 8]);
    vec![
        case(
            "http2/5.1.2/1",
            "9113 §5.1.2",
            "streams over the limit",
            all(&[settings(&[(4, 0)]), (3..=203).step_by(2).flat_map(get).collect()]),
            "RST_STREAM REFUSED_STREAM of another stream",
        ),
        case(
            "http2/5.3.1/1",
            "7540 §5.3.1",
            "HEADERS that depend on themselves",
            frame(HEADERS, END_STREAM | END_HEADERS | PRIORITIZED, 1, &itself),
            STREAM_PROTOCOL,
        ),
        case(
            "http2/5.3.1/2",
            "7540 §5.3.1",
            "PRIORITY that depends on itself",
            priority(1, 1, 255),
            STREAM_PROTOCOL,
        ),
        case("http2/5.4.1/1", "9113 §5.4.1", "closed after GOAWAY", wrong_ping(), PROTOCOL),
        case("http2/5.4.1/2", "9113 §5.4.1", "GOAWAY before the end", wrong_ping(), PROTOCOL),
        case("http2/5.5/1", "9113 §5.5", "an extension", unknown(), "PING"),
        case(
            "http2/5.5/2",
            "9113 §5.5",
            "an extension within a head",
            all(&[open_head(END_STREAM, 1), unknown()]),
            PROTOCOL,
        ),
    ]
}

#[tokio::test]
async fn frames_and_streams_have_their_states() {
    let cases = [frames(), states(), rest()].into_iter().flatten();
    play("Frames and streams", &cases.collect::<Vec<_>>(), 33).await;
}
