//! h2spec's `http2` 8: requests. What is malformed is one stream's fault (RFC 9113 §8.1.1).

use crate::actors::frames::*;
use crate::case::{Case, case, play};
use crate::said::*;

const PROTOCOL: &str = "GOAWAY PROTOCOL_ERROR, closed";
const MALFORMED: &str = "RST_STREAM PROTOCOL_ERROR, kept";

/// Why a name no field can have is not its stream's fault alone.
pub const CRATES_NAMES: &str =
    "the crate takes it for a decoding error, before there is a request; RFC 9113 §5.4.1 lets it";

fn fields() -> Vec<Case> {
    let bad = |id, rfc, name, bytes| case(id, rfc, name, bytes, MALFORMED);
    let [method, scheme, authority, path] = GET;
    vec![
        bad(
            "http2/8.1/1",
            "9113 §8.1",
            "trailers that do not end the stream",
            all(&[post(1), data(0, 1, b"test"), head(0, 1, &[("x-test", "ok")])]),
        ),
        bad("http2/8.1.2/1", "9113 §8.2.1", "a name in upper case", get_with(&[("X-TEST", "ok")]))
            .but(PROTOCOL, CRATES_NAMES),
        bad(
            "http2/8.1.2.1/1",
            "9113 §8.3",
            "an unknown pseudo-field",
            get_with(&[(":test", "ok")]),
        )
        .but(PROTOCOL, CRATES_NAMES),
        bad(
            "http2/8.1.2.1/2",
            "9113 §8.3",
            "a response's pseudo-field",
            get_with(&[(":status", "200")]),
        ),
        bad(
            "http2/8.1.2.1/3",
            "9113 §8.3",
            "a pseudo-field in trailers",
            all(&[post(1), data(0, 1, b"test"), head(0, 1, &[(":method", "POST")])]),
        ),
        bad(
            "http2/8.1.2.1/4",
            "9113 §8.3",
            "a pseudo-field after another",
            head(END_STREAM, 1, &[("x-test", "ok"), method, scheme, authority, path]),
        ),
        bad(
            "http2/8.1.2.2/1",
            "9113 §8.2.2",
            "`connection`",
            get_with(&[("connection", "keep-alive")]),
        ),
        bad(
            "http2/8.1.2.2/2",
            "9113 §8.2.2",
            "`te` with more than `trailers`",
            get_with(&[("trailers", "test"), ("te", "trailers, deflate")]),
        ),
        bad(
            "http2/8.1.2.3/1",
            "9113 §8.3.1",
            "an empty `:path`",
            head(END_STREAM, 1, &[method, scheme, authority, (":path", "")]),
        ),
        bad(
            "http2/8.1.2.3/2",
            "9113 §8.3.1",
            "no `:method`",
            head(END_STREAM, 1, &[scheme, authority, path]),
        ),
        bad(
            "http2/8.1.2.3/3",
            "9113 §8.3.1",
            "no `:scheme`",
            head(END_STREAM, 1, &[method, authority, path]),
        ),
        bad(
            "http2/8.1.2.3/4",
            "9113 §8.3.1",
            "no `:path`",
            head(END_STREAM, 1, &[method, scheme, authority]),
        ),
        bad("http2/8.1.2.3/5", "9113 §8.3", "`:method` twice", get_with(&[method])),
        bad("http2/8.1.2.3/6", "9113 §8.3", "`:scheme` twice", get_with(&[scheme])),
        bad("http2/8.1.2.3/7", "9113 §8.3", "`:path` twice", get_with(&[path])),
        bad(
            "http2/8.1.2.6/1",
            "9113 §8.1.1",
            "a body longer than its length",
            all(&[post_with(&[("content-length", "1")]), data(END_STREAM, 1, b"test")]),
        ),
        bad(
            "http2/8.1.2.6/2",
            "9113 §8.1.1",
            "the same in pieces",
            all(&[
                post_with(&[("content-length", "1")]),
                data(0, 1, b"test"),
                data(END_STREAM, 1, b"test"),
            ]),
        ),
        case(
            "http2/8.2/1",
            "9113 §8.4",
            "PUSH_PROMISE by a client",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[&3_u32.to_be_bytes()[..], &block(&GET)].concat()),
            PROTOCOL,
        ),
    ]
}

#[tokio::test]
async fn malformed_requests_are_refused_on_their_stream() {
    play("Requests", &fields(), 18).await;
}

/// What h2spec has not: the rules of CONNECT, and what a line of HTTP/1.1 could not carry.
fn more() -> Vec<Case> {
    let bad = |rfc, name, bytes| case("", rfc, name, bytes, MALFORMED);
    let own = |fields: &[(&str, &str)]| head(END_STREAM, 1, fields);
    let [method, scheme, authority, path] = GET;
    let connect = (":method", "CONNECT");
    let protocol = (":protocol", "websocket");
    vec![
        case("", "9113 §8.5", "CONNECT", own(&[connect, authority]), "405"),
        bad("9113 §8.5", "CONNECT without `:authority`", own(&[connect])),
        bad("9113 §8.5", "CONNECT, `Host` in its place", own(&[connect, ("host", "a")])),
        bad("9113 §8.5", "CONNECT with `:path`", own(&[connect, authority, path])),
        bad("9113 §8.5", "CONNECT with `:scheme`", own(&[connect, authority, scheme])),
        bad(
            "8441 §4",
            "`:protocol` without CONNECT",
            own(&[method, protocol, scheme, authority, path]),
        ),
        bad("8441 §4", "`:protocol` without `:scheme`", own(&[connect, protocol, authority, path])),
        bad("8441 §4", "`:protocol` without `:path`", own(&[connect, protocol, scheme, authority])),
        bad("8441 §4", "`:protocol` without `:authority`", own(&[connect, protocol, scheme, path])),
        bad(
            "8441 §4",
            "`:protocol` twice",
            own(&[connect, protocol, protocol, scheme, authority, path]),
        ),
        case(
            "",
            "8441 §5",
            "a protocol we do not speak",
            own(&[connect, (":protocol", "connect-udp"), scheme, authority, path]),
            "501",
        ),
        bad("9113 §8.2.2", "`transfer-encoding`", get_with(&[("transfer-encoding", "chunked")])),
        bad("9113 §8.2.2", "`upgrade`", get_with(&[("upgrade", "websocket")])),
        bad("9113 §8.2.2", "`keep-alive`", get_with(&[("keep-alive", "timeout=5")])),
        bad("9113 §8.2.2", "`proxy-connection`", get_with(&[("proxy-connection", "close")])),
        bad(
            "9113 §8.2.2",
            "`connection` in trailers",
            all(&[post(1), data(0, 1, b"test"), head(END_STREAM, 1, &[("connection", "close")])]),
        ),
        bad("9113 §8.2.1", "a space before a value", get_with(&[("x", " y")])),
        bad("9113 §8.2.1", "a tab after a value", get_with(&[("x", "y\t")])),
        bad("9113 §8.2.1", "CR LF in a value", get_with(&[("x", "y\r\nz: 1")]))
            .but(PROTOCOL, CRATES_NAMES),
        bad("9113 §8.2.1", "NUL in a value", get_with(&[("x", "y\0z")]))
            .but(PROTOCOL, CRATES_NAMES),
        bad("9113 §8.2.1", "a space in a name", get_with(&[("x y", "z")]))
            .but(PROTOCOL, CRATES_NAMES),
        bad("9113 §8.3.1", "`Host` says otherwise", get_with(&[("host", "b")])),
        bad("9113 §8.3.1", "`Host` twice", get_with(&[("host", "a"), ("host", "a")])),
        bad(
            "9113 §8.3.1",
            "an `:authority` that is none",
            own(&[method, scheme, (":authority", "a b"), path]),
        ),
        bad(
            "9113 §8.3.1",
            "a `:path` without a slash",
            own(&[method, scheme, authority, (":path", "x")]),
        ),
        bad(
            "9113 §8.3.1",
            "`*` without OPTIONS",
            own(&[method, scheme, authority, (":path", "*")]),
        ),
        bad("9113 §8.1.1", "a length without a body", get_with(&[("content-length", "5")])),
        bad("9110 §8.6", "a length that is none", get_with(&[("content-length", "+0")])),
        bad(
            "9110 §8.6",
            "two lengths",
            get_with(&[("content-length", "0"), ("content-length", "1")]),
        ),
        bad(
            "9113 §8.1.1",
            "a body shorter than its length",
            all(&[post_with(&[("content-length", "5")]), data(END_STREAM, 1, b"test")]),
        ),
    ]
}

#[tokio::test]
async fn what_h2spec_does_not_ask_is_refused_as_well() {
    play("Requests, beyond h2spec", &more(), 30).await;
}
