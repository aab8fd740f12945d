//! Every way to ask for an upgrade: a WebSocket is opened by a right handshake and by nothing else,
//! and nothing else is ever tunnelled (RFC 9110 §7.8, RFC 6455 §4.2.1).

use crate::case::{Case, case, play, request};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

const TO: &str = "Upgrade: websocket";
const CONNECTION: &str = "Connection: Upgrade";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
const VERSION: &str = "Sec-WebSocket-Version: 13";

fn get(fields: &[&str]) -> Vec<u8> {
    request("GET /a", fields, "")
}

/// A handshake with `Upgrade` and `Connection` of the test's own.
fn asking(fields: &[&str]) -> Vec<u8> {
    get(&[fields, &[KEY, VERSION]].concat())
}

/// A handshake that is right but for these fields.
fn right_but(fields: &[&str]) -> Vec<u8> {
    get(&[&[TO, CONNECTION], fields].concat())
}

fn opened(name: &'static str, rfc: &'static str, bytes: Vec<u8>) -> Case {
    case(name, rfc, bytes, "101", "GET /a upgrade")
}

/// Served as the plain request it is without its upgrade.
fn unheard(name: &'static str, rfc: &'static str, bytes: Vec<u8>) -> Case {
    case(name, rfc, bytes, "200 /a, kept", "GET /a")
}

fn upgrades() -> Vec<Case> {
    vec![
        opened("a right handshake", "6455 §4.1", asking(&[TO, CONNECTION])),
        opened(
            "words in any case",
            "6455 §4.2.1",
            asking(&["uPGRADE: WebSOCKET", "cONNECTION: uPgRaDe"]),
        ),
        opened(
            "lists of tokens",
            "9110 §7.8",
            asking(&["Upgrade: foo/2, websocket", "Connection: keep-alive, Upgrade"]),
        ),
        opened(
            "the same field twice",
            "9110 §5.3",
            asking(&["Upgrade: foo", TO, "Connection: keep-alive", CONNECTION]),
        ),
        opened(
            "h2c beside it",
            "9110 §7.8",
            asking(&[
                "Upgrade: h2c, websocket",
                "Connection: Upgrade, HTTP2-Settings",
                "HTTP2-Settings: AAMAAABk",
            ]),
        ),
        opened(
            "empty elements in lists",
            "9110 §5.6.1",
            asking(&["Upgrade: ,websocket,,", "Connection: , ,Upgrade"]),
        ),
        opened("a close beside it", "9112 §9.6", asking(&[TO, "Connection: Upgrade, close"])),
        opened(
            "a target in absolute form",
            "9112 §3.2.2",
            request("GET http://localhost/a", &[TO, CONNECTION, KEY, VERSION], ""),
        ),
        opened("a length of 0", "6455 §4.2.1", right_but(&[KEY, VERSION, "Content-Length: 0"])),
        unheard(
            "h2c with HTTP2-Settings",
            "9113 §3.1",
            get(&[
                "Upgrade: h2c",
                "Connection: Upgrade, HTTP2-Settings",
                "HTTP2-Settings: AAMAAABk",
            ]),
        ),
        unheard("h2c without HTTP2-Settings", "9113 §3.1", get(&["Upgrade: h2c", CONNECTION])),
        unheard("an unknown protocol", "9110 §7.8", asking(&["Upgrade: foo/1", CONNECTION])),
        unheard("TLS", "2817 §3", asking(&["Upgrade: TLS/1.0", CONNECTION])),
        unheard("a longer word", "9110 §7.8", asking(&["Upgrade: websocket2", CONNECTION])),
        unheard(
            "a version behind the word",
            "9110 §7.8",
            asking(&["Upgrade: websocket/13", CONNECTION]),
        ),
        unheard("the word in quotes", "9110 §7.8", asking(&["Upgrade: \"websocket\"", CONNECTION])),
        unheard("no Connection", "9110 §7.8", asking(&[TO])),
        unheard(
            "a Connection without the token",
            "9110 §7.8",
            asking(&[TO, "Connection: keep-alive"]),
        ),
        unheard(
            "a Connection that says websocket",
            "9110 §7.8",
            asking(&[TO, "Connection: websocket"]),
        ),
        unheard("no Upgrade", "9110 §7.8", asking(&[CONNECTION])),
        case(
            "HTTP/1.0",
            "9110 §7.8",
            format!(
                "GET /a HTTP/1.0\r\nHost: a\r\n{TO}\r\n{CONNECTION}\r\n{KEY}\r\n{VERSION}\r\n\r\n"
            ),
            "200 /a, closed",
            "GET /a",
        ),
    ]
}

fn handshakes() -> Vec<Case> {
    let all = [TO, CONNECTION, KEY, VERSION];
    let refused = |name, rfc, bytes, outcome| case(name, rfc, bytes, outcome, "nothing");
    let with = |field: &str| right_but(&[KEY, VERSION, field]);
    vec![
        refused("POST", "6455 §4.2.1", request("POST /a", &all, ""), "405, kept"),
        refused("PUT", "6455 §4.2.1", request("PUT /a", &all, ""), "405, kept"),
        refused("CONNECT", "9110 §9.3.6", request("CONNECT localhost:443", &all, ""), "405, kept"),
        // The body's end is the next request's begin: its bytes never become frames.
        refused(
            "a length",
            "6455 §4.2.1",
            request("GET /a", &[&all[..], &["Content-Length: 5"]].concat(), "hello"),
            "400, kept",
        ),
        refused(
            "a body in chunks",
            "6455 §4.2.1",
            request(
                "GET /a",
                &[&all[..], &["Transfer-Encoding: chunked"]].concat(),
                "1\r\nx\r\n0\r\n\r\n",
            ),
            "400, kept",
        ),
        refused("no version", "6455 §4.4", right_but(&[KEY]), "426, kept"),
        refused(
            "version 8",
            "6455 §4.4",
            right_but(&[KEY, "Sec-WebSocket-Version: 8"]),
            "426, kept",
        ),
        refused(
            "a version in letters",
            "6455 §4.4",
            right_but(&[KEY, "Sec-WebSocket-Version: x"]),
            "426, kept",
        ),
        refused(
            "a list of versions",
            "6455 §4.1",
            right_but(&[KEY, "Sec-WebSocket-Version: 13, 8"]),
            "426, kept",
        ),
        refused("two versions", "6455 §4.1", with(VERSION), "426, kept"),
        refused("no key", "6455 §4.2.1", right_but(&[VERSION]), "400, kept"),
        refused(
            "an empty key",
            "6455 §4.2.1",
            right_but(&[VERSION, "Sec-WebSocket-Key:"]),
            "400, kept",
        ),
        refused(
            "a short key",
            "6455 §4.2.1",
            right_but(&[VERSION, "Sec-WebSocket-Key: c2hvcnQ="]),
            "400, kept",
        ),
        refused(
            "a long key",
            "6455 §4.2.1",
            right_but(&[VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZXg="]),
            "400, kept",
        ),
        refused(
            "a key that is no base64",
            "6455 §4.2.1",
            right_but(&[VERSION, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j*-=="]),
            "400, kept",
        ),
        refused("two keys", "6455 §4.1", with(KEY), "400, kept"),
        refused(
            "a key twice in a line",
            "6455 §4.1",
            right_but(&[
                VERSION,
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ==",
            ]),
            "400, kept",
        ),
    ]
}

#[tokio::test]
async fn only_a_right_handshake_opens_a_websocket() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play("Upgrades", &upgrades(), &proxy, &witness).await;
    let others = ["http2-settings", "foo", "h2c"];
    for head in witness.heads() {
        for (name, value) in &head.fields {
            let told = format!("{name}: {value}").to_lowercase();
            assert!(!others.iter().any(|other| told.contains(other)), "{told}");
        }
        assert!(head.is_upgrade() || head.get("connection").is_empty(), "{head:?}");
    }
    proxy.stop().await;
}

#[tokio::test]
async fn a_wrong_handshake_is_refused_and_its_connection_kept() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play("Handshakes that are refused", &handshakes(), &proxy, &witness).await;
    proxy.stop().await;
}
