//! Clients that send too much or too slowly, and what comes before HTTP.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;

use crate::actors::{Certificates, Head, drain, within};
use crate::case::{Case, Table, attack, case, play, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

fn overlong() -> Vec<Case> {
    let much = |count: usize| "x".repeat(count);
    // Who sends on after the answer may lose it to a reset (RFC 9112 §9.6).
    let refused = |name, rfc, bytes| case(name, rfc, bytes, "431, closed or closed", "nothing");
    let field = |line: String| request("GET /a", &[&line], "");
    let fields = |count| (0..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    vec![
        refused(
            "a target of 100 KB",
            "9112 §3",
            request(&format!("GET /{}", much(100_000)), &[], ""),
        ),
        refused(
            "a method of 100 KB",
            "9112 §3",
            request(&format!("{} /a", much(100_000)), &[], ""),
        ),
        refused("a value of 100 KB", "9110 §5.4", field(format!("X: {}", much(100_000)))),
        refused("a name of 100 KB", "9110 §5.4", field(format!("{}: x", much(100_000)))),
        refused("a head of 1 MB", "9110 §5.4", field(format!("X: {}", much(1 << 20)))),
        refused("101 fields", "9110 §5.4", field(fields(100).trim_end().to_owned())),
        refused("20,000 fields", "9110 §5.4", field(fields(20_000).trim_end().to_owned())),
        refused(
            "a head without end",
            "9110 §5.4",
            [b"GET /a HTTP/1.1\r\n".to_vec(), fields(5_000).into_bytes()].concat(),
        ),
        refused("empty lines without end", "9112 §2.2", b"\r\n".repeat(50_000)),
    ]
}

#[tokio::test]
async fn what_is_too_long_is_refused() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play("Overlong", &overlong(), &proxy, &witness).await;
    proxy.stop().await;
}

fn slow() -> Vec<Case> {
    let body = request("POST /a", &["Content-Length: 10"], "hello");
    let chunk = request("POST /a", &["Transfer-Encoding: chunked"], "5\r\nhel");
    vec![
        case("no byte", "9110 §15.5.9", "", "closed", "nothing"),
        case("half a line", "9110 §15.5.9", "GET /a", "408, closed", "nothing"),
        case(
            "half a head",
            "9110 §15.5.9",
            "GET /a HTTP/1.1\r\nHost: a\r\n",
            "408, closed",
            "nothing",
        ),
        case("half a body", "9110 §15.5.9", body, "408, closed", "nothing"),
        case("half a chunk", "9110 §15.5.9", chunk, "408, closed", "nothing"),
        case(
            "half a body where none is read",
            "9112 §9.3",
            request("POST /fixed", &["Content-Length: 10"], "hello"),
            "410, closed",
            "nothing",
        ),
    ]
}

#[tokio::test]
async fn what_is_too_slow_is_not_waited_for() {
    let witness = Witness::start().await;
    let limits = "limits = { head_timeout = \"200ms\", keep_alive_timeout = \"400ms\" }";
    let fixed = "[[routes]]\npath = \"= /fixed\"\nrespond = { status = 410 }";
    let site = site(&[]).backend(witness.address()).listener(limits);
    let proxy = Proxy::start(&site.pool("response_timeout = \"200ms\"").route(fixed)).await;
    play("Slow", &slow(), &proxy, &witness).await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_no_tls_is_told_so_or_closed() {
    let witness = Witness::start().await;
    let (ours, other) = (Certificates::new(&["localhost"]), Certificates::new(&["other"]));
    let quick = "limits = { tls_handshake_timeout = \"200ms\" }";
    let site = site(&[]).backend(witness.address()).https(&[&ours, &other], quick);
    let proxy = Proxy::start(&site).await;
    let https = proxy.client_of("https");
    let mut table = Table::new("Before HTTP");
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03half a ClientHello";
    // A fatal alert of TLS (RFC 8446 §6), or nothing.
    let raw: [(_, _, &[u8], _); 5] = [
        ("half a ClientHello", "8446 §4.1.2", hello, "closed"),
        ("no byte", "8446 §4.1.2", b"", "closed"),
        ("plain HTTP", "9112 §9.7", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "400, closed"),
        ("plain HTTP/2", "9113 §3.4", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400, closed or alert"),
        ("garbage", "8446 §5.1", b"\0\0\0\0\0\0\0\0\r\n\r\n", "alert or closed"),
    ];
    for (name, rfc, bytes, wanted) in raw {
        let mut wire = https.connect().await.unwrap();
        wire.write_all(bytes).await.unwrap();
        let answer = drain(&mut wire).await;
        let came = match &answer[..] {
            [] => "closed",
            [0x15, ..] => "alert",
            answer if answer.starts_with(b"HTTP/1.1 400 ") => "400, closed",
            _ => "something else",
        };
        table.row(name, rfc, came, "", &[(wanted, came)]);
    }
    let mut config = (*ours.client()).clone();
    config.alpn_protocols = vec![b"spdy/3".to_vec()];
    let tcp = tokio::net::TcpStream::connect(https.address()).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let shaking = TlsConnector::from(Arc::new(config)).connect(name, tcp);
    let came = within("an alert", shaking).await.map(drop).unwrap_err().to_string();
    let came = if came.contains("NoApplicationProtocol") { "alert 120" } else { &came };
    table.row("no ALPN in common", "7301 §3.2", came, "", &[("alert 120", came)]);
    for (name, host, wanted) in [
        ("SNI and Host agree", "localhost", "200"),
        ("Host is another certificate's", "other", "421"),
        ("Host is no certificate's", "else", "200"),
    ] {
        let mut wire = https.clone().tls(&ours).host("localhost").connect().await.unwrap();
        let asking = format!("GET /a HTTP/1.1\r\nHost: {host}\r\n\r\n");
        wire.write_all(asking.as_bytes()).await.unwrap();
        let head = within("an answer", Head::read(&mut wire)).await.unwrap();
        let came = head.status().to_string();
        table.row(name, "9110 §7.4", &came, "", &[(wanted, &came)]);
    }
    table.settle();
    assert_eq!(attack(&proxy.client(), &request("GET /a", &[], "")).await, "200 /a, kept");
    serves_as_before(&proxy).await;
    proxy.stop().await;
}
