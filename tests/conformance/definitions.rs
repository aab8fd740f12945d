//! h2spec's `http2` 6 and 7: each type of frame, and error codes.

use crate::actors::frames::*;
use crate::case::{Case, Until, case, play};
use crate::said::*;
use crate::streams::CRATES_STATES;

const PROTOCOL: &str = "GOAWAY PROTOCOL_ERROR, closed";
const FRAME_SIZE: &str = "GOAWAY FRAME_SIZE_ERROR, closed";
const FLOW_CONTROL: &str = "GOAWAY FLOW_CONTROL_ERROR, closed";
const STREAM_PROTOCOL: &str = "RST_STREAM PROTOCOL_ERROR, kept";

/// Why a frame of a wrong size has another code than its section gives it.
const CRATES_SIZES: &str = "the crate's code for a frame it cannot read; the connection ends";

fn streams() -> Vec<Case> {
    let test = b"test";
    vec![
        case("http2/6.1/1", "9113 §6.1", "DATA on 0", data(END_STREAM, 0, test), PROTOCOL),
        case(
            "http2/6.1/2",
            "9113 §6.1",
            "DATA on a half-closed stream",
            all(&[head(END_STREAM, 1, &with_method("POST")), data(END_STREAM, 1, test)]),
            "RST_STREAM STREAM_CLOSED, kept",
        )
        .but(PROTOCOL, CRATES_STATES),
        case(
            "http2/6.1/3",
            "9113 §6.1",
            "DATA with too much padding",
            all(&[
                post_with(&[("content-length", "4")]),
                data(END_STREAM | PADDED, 1, b"\x06Test"),
            ]),
            PROTOCOL,
        ),
        case(
            "http2/6.2/1",
            "9113 §6.2",
            "PRIORITY within a head",
            all(&[open_head(0, 1), priority(1, 0, 255), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
        case(
            "http2/6.2/2",
            "9113 §6.2",
            "another head within a head",
            all(&[open_head(0, 1), get(3), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
        case("http2/6.2/3", "9113 §6.2", "HEADERS on 0", get(0), PROTOCOL),
        case(
            "http2/6.2/4",
            "9113 §6.2",
            "HEADERS with too much padding",
            frame(
                HEADERS,
                END_STREAM | END_HEADERS | PADDED,
                1,
                &[&[block(&GET).len() as u8 + 2], &block(&GET)[..]].concat(),
            ),
            PROTOCOL,
        ),
        case("http2/6.3/1", "9113 §6.3", "PRIORITY on 0", priority(0, 0, 255), PROTOCOL),
        case(
            "http2/6.3/2",
            "9113 §6.3",
            "PRIORITY of 4 bytes",
            all(&[post(1), frame(PRIORITY, 0, 1, &[0x80, 0, 0, 1])]),
            "RST_STREAM FRAME_SIZE_ERROR, kept",
        )
        .but(PROTOCOL, CRATES_SIZES),
        case("http2/6.4/1", "9113 §6.4", "RST_STREAM on 0", rst(0), PROTOCOL),
        case("http2/6.4/2", "9113 §6.4", "RST_STREAM on an idle stream", rst(1), PROTOCOL),
        case(
            "http2/6.4/3",
            "9113 §6.4",
            "RST_STREAM of 3 bytes",
            all(&[post(1), frame(RST_STREAM, 0, 1, &[0; 3])]),
            FRAME_SIZE,
        )
        .but(PROTOCOL, CRATES_SIZES),
    ]
}

fn connection() -> Vec<Case> {
    let set = |id, value| settings(&[(id, value)]);
    vec![
        case(
            "http2/6.5/1",
            "9113 §6.5",
            "SETTINGS, acknowledging with a payload",
            frame(SETTINGS, ACK, 0, &[0]),
            FRAME_SIZE,
        )
        .but(PROTOCOL, CRATES_SIZES),
        case(
            "http2/6.5/2",
            "9113 §6.5",
            "SETTINGS on a stream",
            frame(SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100]),
            PROTOCOL,
        ),
        case(
            "http2/6.5/3",
            "9113 §6.5",
            "SETTINGS of 3 bytes",
            frame(SETTINGS, 0, 0, &[0, 3, 0]),
            FRAME_SIZE,
        )
        .but(PROTOCOL, CRATES_SIZES),
        case("http2/6.5.2/1", "9113 §6.5.2", "ENABLE_PUSH of 2", set(2, 2), PROTOCOL),
        case(
            "http2/6.5.2/2",
            "9113 §6.5.2",
            "INITIAL_WINDOW_SIZE of 2^31",
            set(4, 1 << 31),
            FLOW_CONTROL,
        )
        .but(PROTOCOL, CRATES_SIZES),
        case("http2/6.5.2/3", "9113 §6.5.2", "MAX_FRAME_SIZE of 16,383", set(5, 16_383), PROTOCOL),
        case("http2/6.5.2/4", "9113 §6.5.2", "MAX_FRAME_SIZE of 2^24", set(5, 1 << 24), PROTOCOL),
        case("http2/6.5.2/5", "9113 §6.5.2", "an unknown setting", set(255, 1), "PING"),
        case(
            "http2/6.5.3/1",
            "9113 §6.5.3",
            "INITIAL_WINDOW_SIZE twice",
            settings(&[(4, 100), (4, 1)]),
            "DATA 1",
        )
        .then(Until::Settled(2), get(1)),
        case("http2/6.5.3/2", "9113 §6.5.3", "SETTINGS are acknowledged", set(2, 0), "SETTINGS"),
        case("http2/6.7/1", "9113 §6.7", "PING", ping(), "PING"),
        case(
            "http2/6.7/2",
            "9113 §6.7",
            "PING that acknowledges nothing",
            all(&[frame(PING, ACK, 0, b"invalid!"), ping()]),
            "PING",
        ),
        case("http2/6.7/3", "9113 §6.7", "PING on a stream", frame(PING, 0, 1, &[0; 8]), PROTOCOL),
        case("http2/6.7/4", "9113 §6.7", "PING of 6 bytes", frame(PING, 0, 0, &[0; 6]), FRAME_SIZE)
            .but(PROTOCOL, CRATES_SIZES),
        case("http2/6.8/1", "9113 §6.8", "GOAWAY on a stream", goaway(1, 0), PROTOCOL),
    ]
}

fn windows() -> Vec<Case> {
    const MOST: u32 = (1 << 31) - 1;
    let set = |value| settings(&[(4, value)]);
    vec![
        case("http2/6.9/1", "9113 §6.9", "WINDOW_UPDATE of 0", window(0, 0), PROTOCOL),
        case(
            "http2/6.9/2",
            "9113 §6.9",
            "WINDOW_UPDATE of 0 on a stream",
            all(&[post(1), window(1, 0)]),
            STREAM_PROTOCOL,
        )
        .but(PROTOCOL, CRATES_SIZES),
        case(
            "http2/6.9/3",
            "9113 §6.9",
            "WINDOW_UPDATE of 3 bytes",
            frame(WINDOW_UPDATE, 0, 0, &[0, 0, 1]),
            FRAME_SIZE,
        )
        .but(PROTOCOL, CRATES_SIZES),
        case("http2/6.9.1/1", "9113 §6.9.1", "a window of 1", set(1), "DATA 1")
            .then(Until::Settled(2), get(1)),
        case(
            "http2/6.9.1/2",
            "9113 §6.9.1",
            "a window over 2^31 - 1",
            all(&[window(0, MOST), window(0, MOST)]),
            FLOW_CONTROL,
        ),
        case(
            "http2/6.9.1/3",
            "9113 §6.9.1",
            "a stream's window over 2^31 - 1",
            all(&[post(1), window(1, MOST), window(1, MOST)]),
            "RST_STREAM FLOW_CONTROL_ERROR, kept",
        ),
        case("http2/6.9.2/1", "9113 §6.9.2", "a window that opens later", set(0), "DATA 1")
            .then(Until::Settled(2), all(&[get(1), set(1)])),
        case("http2/6.9.2/2", "9113 §6.9.2", "a window below nothing", set(3), "DATA 1")
            .then(Until::Settled(2), get(1))
            .then(Until::Data, set(2))
            .then(Until::Settled(3), window(1, 2)),
        case("http2/6.9.2/3", "9113 §6.9.2", "a first window of 2^31", set(1 << 31), FLOW_CONTROL)
            .but(PROTOCOL, CRATES_SIZES),
    ]
}

fn continuations() -> Vec<Case> {
    let rfc = "9113 §6.10";
    vec![
        case(
            "http2/6.10/1",
            rfc,
            "CONTINUATION, twice",
            all(&[open_head(END_STREAM, 1), continuation(0, 1), continuation(END_HEADERS, 1)]),
            "200",
        ),
        case(
            "http2/6.10/2",
            rfc,
            "DATA after CONTINUATION",
            all(&[open_head(0, 1), continuation(0, 1), data(END_STREAM, 1, b"test")]),
            PROTOCOL,
        ),
        case(
            "http2/6.10/3",
            rfc,
            "CONTINUATION on 0",
            all(&[open_head(END_STREAM, 1), continuation(END_HEADERS, 0)]),
            PROTOCOL,
        ),
        case(
            "http2/6.10/4",
            rfc,
            "CONTINUATION after a whole head",
            all(&[get(1), continuation(END_HEADERS, 1)]),
            PROTOCOL,
        ),
        case(
            "http2/6.10/5",
            rfc,
            "CONTINUATION after the last",
            all(&[
                open_head(END_STREAM, 1),
                continuation(END_HEADERS, 1),
                continuation(END_HEADERS, 1),
            ]),
            PROTOCOL,
        ),
        case(
            "http2/6.10/6",
            rfc,
            "CONTINUATION after DATA",
            all(&[open_head(0, 1), data(END_STREAM, 1, b"test"), continuation(0, 1)]),
            PROTOCOL,
        ),
        case(
            "http2/7/1",
            "9113 §7",
            "GOAWAY with an unknown code",
            goaway(0, 255),
            "GOAWAY NO_ERROR, closed",
        ),
        case(
            "http2/7/2",
            "9113 §7",
            "RST_STREAM with an unknown code",
            all(&[post(1), frame(RST_STREAM, 0, 1, &255_u32.to_be_bytes())]),
            "PING",
        ),
    ]
}

#[tokio::test]
async fn each_type_of_frame_has_its_rules() {
    let cases = [streams(), connection(), windows(), continuations()].into_iter().flatten();
    play("Definitions of frames", &cases.collect::<Vec<_>>(), 44).await;
}
