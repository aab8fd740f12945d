//! Queries as clients send them, not as a URI has them (RFC 3986 §3.4): the backend reads them
//! escaped.

use crate::case::{Case, case, play, request};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

fn queries() -> Vec<Case> {
    let get = |query: &[u8], more: &[&str]| {
        let [begin, end] = [b"GET /a?".to_vec(), request("", more, "")];
        [&begin[..], query, &end[..]].concat()
    };
    let row =
        |name, query: &[u8], outcome, seen| case(name, "3986 §3.4", get(query, &[]), outcome, seen);
    vec![
        row("a quote", b"q=\"x\"", "200 /a?q=%22x%22, kept", "GET /a?q=%22x%22"),
        row("angle brackets", b"<x>", "200 /a?%3Cx%3E, kept", "GET /a?%3Cx%3E"),
        row(
            "letters beyond ASCII",
            "q=\u{e9}\u{20ac}".as_bytes(),
            "200 /a?q=%C3%A9%E2%82%AC, kept",
            "GET /a?q=%C3%A9%E2%82%AC",
        ),
        row(
            "bytes that are no text",
            b"q=\xff\xc0\xaf",
            "200 /a?q=%FF%C0%AF, kept",
            "GET /a?q=%FF%C0%AF",
        ),
        row(
            "braces, bars, carets, backticks",
            b"{x}|^`\\'[]",
            "200 /a?{x}|^`\\'[], kept",
            "GET /a?{x}|^`\\'[]",
        ),
        row("what is escaped", b"q=%22%3c%", "200 /a?q=%22%3c%, kept", "GET /a?q=%22%3c%"),
        row("a control", b"q=\x01", "400, closed", "nothing"),
        row("a DEL", b"q=\x7f", "400, closed", "nothing"),
        case(
            "absolute form",
            "9112 §3.2.2",
            "GET http://localhost/a?\" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            "200 /a?%22, kept",
            "GET /a?%22",
        ),
        case(
            "three on one connection",
            "9112 §9.3.2",
            [get(b"\"1", &[]), get(b"\"2", &["X: ?\""]), get(b"\"3", &[])].concat(),
            "200 /a?%221, 200 /a?%222, 200 /a?%223, kept",
            "GET /a?%221 | GET /a?%222 | GET /a?%223",
        ),
        case(
            "a body that looks like a request",
            "9112 §6",
            request("POST /a?\"", &["Content-Length: 26"], "GET /?\"<\u{e9}> HTTP/1.1\r\n\r\n\"x"),
            "200 /a?%22, kept",
            "POST /a?%22 GET /?\"<\u{e9}> HTTP/1.1\r\n\r\n\"x",
        ),
        case(
            "a quote in the path",
            "3986 §3.3",
            request("GET /a\"b?\"", &[], ""),
            "200 /a\"b?%22, kept",
            "GET /a\"b?%22",
        ),
        case(
            "an angle bracket in the path",
            "3986 §3.3",
            request("GET /a<b?\"", &[], ""),
            "400, closed",
            "nothing",
        ),
    ]
}

#[tokio::test]
async fn a_query_reaches_the_backend_as_a_uri_has_it() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play("Queries", &queries(), &proxy, &witness).await;
    proxy.stop().await;
}

#[tokio::test]
async fn a_query_is_escaped_however_it_is_split() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    let whole = request("GET /a?\"<\u{e9}>", &["X: y"], "");
    for split in 1..whole.len() {
        let (mut wire, before) = (proxy.client().connect().await.unwrap(), witness.seen().len());
        let (one, other) = whole.split_at(split);
        tokio::io::AsyncWriteExt::write_all(&mut wire, one).await.unwrap();
        crate::case::arrival(&wire).await;
        tokio::io::AsyncWriteExt::write_all(&mut wire, other).await.unwrap();
        let head = crate::actors::within("an answer", crate::actors::Head::read(&mut wire)).await;
        assert_eq!(head.unwrap().status(), 200, "{split}");
        assert_eq!(witness.seen()[before..], ["GET /a?%22%3C%C3%A9%3E"], "{split}");
    }
    proxy.stop().await;
}
