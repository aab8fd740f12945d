//! Request smuggling: what two readers could cut in two different places (RFC 9112 §6, §7, §11.2).

use crate::case::{Case, case, play, request};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

/// What an attacker wants the backend to take for a request of its own.
const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn post(fields: &[&str], body: &str) -> Vec<u8> {
    request("POST /a", fields, body)
}

fn lengths() -> Vec<Case> {
    let with = |length: &str| post(&[&format!("Content-Length: {length}")], "hello");
    let hiding =
        |length: &str| post(&[&format!("Content-Length: {length}")], &format!("abc{HIDDEN}"));
    let bad = |name, bytes| case(name, "9112 §6.3", bytes, "400, closed", "nothing");
    vec![
        case("a length", "9112 §6.2", with("5"), "200 /a, kept", "POST /a hello"),
        case("zeros before a length", "9110 §8.6", with("005"), "200 /a, kept", "POST /a hello"),
        bad("two lengths that differ", post(&["Content-Length: 5", "Content-Length: 6"], "hello!")),
        case(
            "two lengths that agree",
            "9112 §6.3",
            post(&["Content-Length: 5", "Content-Length: 5"], "hello"),
            "200 /a, kept",
            "POST /a hello",
        ),
        bad("a list of equal lengths", with("5, 5")),
        bad("a list of lengths that differ", with("5, 6")),
        bad("a length with a plus", with("+5")),
        bad("a negative length", with("-5")),
        bad("a hexadecimal length", with("0x5")),
        bad("a length with an underscore", with("5_0")),
        bad("a length with a space inside", with("5 0")),
        bad("an empty length", with("")),
        bad("a length of 2^64", hiding("18446744073709551616")),
        bad("a length of 2^64+3", hiding("18446744073709551619")),
        // A number, and more than anyone can send: 431 is hyper's word for that.
        case(
            "a length of 2^64-1",
            "9112 §6.3",
            hiding("18446744073709551615"),
            "431, closed",
            "nothing",
        ),
        bad("a length of 2^128+3", hiding("340282366920938463463374607431768211459")),
        bad(
            "a length and one of letters",
            post(&["Content-Length: 5", "Content-Length: x"], "hello"),
        ),
        case(
            "a length on a GET",
            "9110 §9.3.1",
            request("GET /a", &["Content-Length: 5"], "hello"),
            "200 /a, kept",
            "GET /a hello",
        ),
        case(
            "a request behind a body",
            "9112 §9.3.2",
            post(&["Content-Length: 5"], &format!("hello{HIDDEN}")),
            "200 /a, 200 /hidden, kept",
            "POST /a hello | GET /hidden",
        ),
    ]
}

fn codings() -> Vec<Case> {
    let chunked = "Transfer-Encoding: chunked";
    let body = "5\r\nhello\r\n0\r\n\r\n";
    let coded = |coding: &str| post(&[&format!("Transfer-Encoding: {coding}")], body);
    let both = "9112 §6.1";
    vec![
        case("chunks", "9112 §7.1", post(&[chunked], body), "200 /a, kept", "POST /a hello"),
        case("chunks in capitals", "9112 §7", coded("CHUNKED"), "200 /a, kept", "POST /a hello"),
        case(
            "chunks on a GET",
            "9110 §9.3.1",
            request("GET /a", &[chunked], body),
            "200 /a, kept",
            "GET /a hello",
        ),
        // By its Transfer-Encoding alone; what follows is not read.
        case(
            "CL.TE",
            both,
            post(&["Content-Length: 6", chunked], &format!("0\r\n\r\n{HIDDEN}")),
            "200 /a, closed",
            "POST /a",
        ),
        case(
            "TE.CL",
            both,
            post(&[chunked, "Content-Length: 4"], &format!("5\r\nhello\r\n0\r\n\r\n{HIDDEN}")),
            "200 /a, closed",
            "POST /a hello",
        ),
        case(
            "TE.CL with a length that is none",
            both,
            post(&[chunked, "Content-Length: x"], body),
            "200 /a, closed",
            "POST /a hello",
        ),
        case(
            "TE.TE, the second unknown",
            both,
            post(&[chunked, "Transfer-Encoding: x"], body),
            "400, closed",
            "nothing",
        ),
        case(
            "TE.TE, the first unknown",
            both,
            post(&["Transfer-Encoding: x", chunked], body),
            "501, closed",
            "nothing",
        ),
        case(
            "TE.TE, both chunked",
            both,
            post(&[chunked, chunked], body),
            "400, closed",
            "nothing",
        ),
        case("chunked twice in a list", both, coded("chunked, chunked"), "400, closed", "nothing"),
        case("chunked with a parameter", both, coded("chunked;x=y"), "400, closed", "nothing"),
        case("chunked in quotes", both, coded("\"chunked\""), "400, closed", "nothing"),
        case("xchunked", both, coded("xchunked"), "400, closed", "nothing"),
        case("chunked behind a vertical tab", both, coded("\x0bchunked"), "400, closed", "nothing"),
        case("identity", both, coded("identity"), "400, closed", "nothing"),
        case("identity, then chunked", both, coded("identity, chunked"), "501, closed", "nothing"),
        case("gzip, then chunked", "9112 §6.1", coded("gzip, chunked"), "501, closed", "nothing"),
        case("chunked, then gzip", both, coded("chunked, gzip"), "400, closed", "nothing"),
        case("no coding at all", both, coded(""), "400, closed", "nothing"),
        case(
            "chunks over HTTP/1.0",
            both,
            format!("POST /a HTTP/1.0\r\nHost: localhost\r\n{chunked}\r\n\r\n{body}"),
            "400, closed",
            "nothing",
        ),
        case(
            "a space before the coding's colon",
            "9112 §5.1",
            post(&["Transfer-Encoding : chunked", "Content-Length: 5"], "hello"),
            "400, closed",
            "nothing",
        ),
        case(
            "a coding in a name of CGI's",
            "9110 §5.1",
            post(&["Transfer_Encoding: chunked", "Content-Length: 5"], "hello"),
            "200 /a, kept",
            "POST /a hello",
        ),
    ]
}

fn chunks() -> Vec<Case> {
    let chunked = |body: &str| post(&["Transfer-Encoding: chunked"], body);
    let good =
        |name, body: &str| case(name, "9112 §7.1", chunked(body), "200 /a, kept", "POST /a hello");
    // The head may be upstream by then: the request is broken off there.
    let bad = |name, body: &str| case(name, "9112 §7.1", chunked(body), "400, closed", "nothing");
    vec![
        good("zeros before a size", "0005\r\nhello\r\n0\r\n\r\n"),
        good("an extension", "5;x=y\r\nhello\r\n0\r\n\r\n"),
        good("an extension in quotes", "5;x=\"y;z\"\r\nhello\r\n0;last\r\n\r\n"),
        good("blanks behind a size", "5 \t\r\nhello\r\n0\r\n\r\n"),
        bad(
            "an extension that never ends",
            &format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(20_000)),
        ),
        bad("a bare LF in an extension", "5;x\nhello\r\n0\r\n\r\n"),
        bad("a size of 2^64", "10000000000000000\r\nhello\r\n0\r\n\r\n"),
        bad("a size of 2^64+5", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"),
        bad("a size with a plus", "+5\r\nhello\r\n0\r\n\r\n"),
        bad("a negative size", "-5\r\nhello\r\n0\r\n\r\n"),
        bad("a size with an underscore", "5_\r\nhello\r\n0\r\n\r\n"),
        bad("no size", "\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF behind a size", "5\nhello\r\n0\r\n\r\n"),
        bad("a bare CR behind a size", "5\rhello\r\n0\r\n\r\n"),
        bad("a bare LF behind data", "5\r\nhello\n0\r\n\r\n"),
        bad("more data than the size", "5\r\nhello!\r\n0\r\n\r\n"),
        bad("less data than the size", "7\r\nhello\r\n0\r\n\r\nX"),
    ]
}

fn lines() -> Vec<Case> {
    let bad = |name, rfc, bytes: &[u8]| case(name, rfc, bytes, "400, closed", "nothing");
    let raw = |head: &str| head.as_bytes().to_vec();
    let with = |field: &str| request("GET /a", &[field], "");
    vec![
        bad("a field that is folded", "9112 §5.2", &with("X-Folded: a\r\n b")),
        bad(
            "a first field that is folded",
            "9112 §2.2",
            &raw("GET /a HTTP/1.1\r\n Host: localhost\r\n\r\n"),
        ),
        bad("a length that is folded", "9112 §5.2", &post(&["Content-Length:\r\n 5"], "hello")),
        bad("a space before the colon", "9112 §5.1", &with("X-Name : a")),
        bad("a tab before the colon", "9112 §5.1", &with("X-Name\t: a")),
        bad("a name with a space", "9110 §5.1", &with("X Name: a")),
        bad("no name", "9110 §5.1", &with(": a")),
        bad("no colon", "9112 §5", &with("X-Name")),
        bad("NUL in a value", "9110 §5.5", &with("X-Name: a\0b")),
        bad("NUL in a name", "9110 §5.1", &with("X-\0: a")),
        bad("NUL in the target", "9112 §3.2", &request("GET /a\0b", &[], "")),
        bad("a bare CR in a value", "9110 §5.5", &with("X-Name: a\rb")),
        bad("a bare CR as a line's end", "9112 §2.2", &raw("GET /a HTTP/1.1\rHost: localhost\r\r")),
        bad("a control in a value", "9110 §5.5", &with("X-Name: a\x01b")),
        bad("a control in a name", "9110 §5.1", &with("X-\x7f: a")),
        // A recipient may take LF for a line's end; what goes on has CRLF.
        case(
            "bare LF as a line's end",
            "9112 §2.2",
            "GET /a HTTP/1.1\nHost: localhost\n\n",
            "200 /a, kept",
            "GET /a",
        ),
        case(
            "empty lines before a request",
            "9112 §2.2",
            [b"\r\n\r\n".to_vec(), request("GET /a", &[], "")].concat(),
            "200 /a, kept",
            "GET /a",
        ),
        case(
            "bytes of other encodings in a value",
            "9110 §5.5",
            request("GET /a", &["X-Name: é"], ""),
            "200 /a, kept",
            "GET /a",
        ),
        bad(
            "two spaces before the target",
            "9112 §3",
            &raw("GET  /a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        bad(
            "a space in the target",
            "9112 §3",
            &raw("GET /a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        bad("a tab for a space", "9112 §3", &raw("GET\t/a\tHTTP/1.1\r\nHost: localhost\r\n\r\n")),
        bad("no version", "9112 §3", &raw("GET /a\r\nHost: localhost\r\n\r\n")),
        bad("version 1.2", "9112 §2.3", &raw("GET /a HTTP/1.2\r\nHost: localhost\r\n\r\n")),
        bad("version 2.0", "9112 §2.3", &raw("GET /a HTTP/2.0\r\nHost: localhost\r\n\r\n")),
        bad(
            "a version in small letters",
            "9112 §2.3",
            &raw("GET /a http/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        bad(
            "a method with a slash",
            "9110 §9.1",
            &raw("G/T /a HTTP/1.1\r\nHost: localhost\r\n\r\n"),
        ),
        case(
            "a target without a slash",
            "9112 §3.2",
            "GET a HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "400, kept",
            "nothing",
        ),
        bad("garbage", "9112 §3", b"\x16\x03\x01\x00\x05hello\r\n\r\n"),
    ]
}

async fn plays(family: &str, cases: &[Case]) {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play(family, cases, &proxy, &witness).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_body_has_one_length() {
    plays("Request smuggling: lengths", &lengths()).await;
}

#[tokio::test]
async fn a_body_has_one_coding() {
    plays("Request smuggling: codings", &codings()).await;
}

#[tokio::test]
async fn a_chunk_ends_in_one_place() {
    plays("Request smuggling: chunks", &chunks()).await;
}

#[tokio::test]
async fn a_head_has_one_reading() {
    plays("Request smuggling: lines", &lines()).await;
}
