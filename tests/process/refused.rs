//! What is refused is seen: one line in the log and one count each, by its reason, whoever refuses
//! it: the HTTP drivers and the crates below them, TLS, the PROXY header, or a request's story.

mod answers;

use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::actors::frames::{DATA, END_HEADERS, Frame, GET, HEADERS, PREFACE, SETTINGS, block};
use crate::actors::free;
use crate::proxy::Proxy;

/// How a client begins.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// In clear text, to this listener.
    Clear(&'static str),
    /// Inside of TLS, with this protocol.
    Tls(&'static [u8]),
}

/// What a client sends, and what is to be seen of it.
struct Case {
    name: &'static str,
    way: Way,
    bytes: Vec<u8>,
    /// Whether the client closes behind it.
    closes: bool,
    /// The metric that counts it, without its prefix and labels.
    metric: &'static str,
    why: &'static str,
}

const H1: Way = Way::Clear("quick");
const H1_TLS: Way = Way::Tls(b"http/1.1");
const H2C: Way = Way::Clear("quick");
const H2: Way = Way::Tls(b"h2");
const REQUEST: &str = "requests_refused";
const CONNECTION: &str = "connections_refused";
const HTTP2: &str = "http2_connection_failures";
const TLS: &str = "tls_handshake_failures";

fn case(name: &'static str, way: Way, bytes: impl AsRef<[u8]>, why: &'static str) -> Case {
    let bytes = bytes.as_ref().to_vec();
    Case { name, way, bytes, closes: false, metric: REQUEST, why }
}

fn of(metric: &'static str, case: Case) -> Case {
    Case { metric, ..case }
}

/// A client's first frames, and a request's head of these fields on each of some streams.
fn streams(count: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(Frame::new(SETTINGS, 0, 0, &[]).bytes());
    let block = block(fields);
    for stream in 0..count {
        bytes.extend(Frame::new(HEADERS, END_HEADERS, stream * 2 + 1, &block).bytes());
    }
    bytes
}

fn http1(way: Way) -> Vec<Case> {
    let request = |target: &str, fields: &str| format!("GET {target} HTTP/1.1\r\n{fields}\r\n");
    let with = |field: String| request("/", &format!("Host: localhost\r\n{field}\r\n"));
    let fields: String = (0..60).map(|at| format!("X-{at}: y\r\n")).collect();
    vec![
        case("a line that is no field", way, with("no field".to_owned()), "malformed"),
        case("no request", way, "\0\0\0\0\r\n\r\n", "malformed"),
        case("two lengths", way, with("Content-Length: 1, 2".to_owned()), "malformed"),
        case(
            "a large field",
            way,
            with(format!("X: {}", "y".repeat(9000))),
            "request_head_too_large",
        ),
        case("60 fields", way, with(fields), "request_head_too_large"),
        case("half a head", way, "GET / HT", "head_timeout"),
        case("no host", way, request("/", ""), "host"),
        case("a path of two readings", way, request("/a/..%2fb", "Host: a\r\n"), "path"),
        case("a method", way, "TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", "method"),
        case("no route", way, request("/nowhere", "Host: localhost\r\n"), "no_route"),
        case("an address", way, request("/office", "Host: localhost\r\n"), "address"),
    ]
}

fn http2(way: Way) -> Vec<Case> {
    let with = |field: (&'static str, &str)| {
        let fields: Vec<_> = GET.into_iter().chain([field]).collect();
        streams(1, &fields)
    };
    let names: Vec<String> = (0..60).map(|at| format!("x-{at}")).collect();
    let many: Vec<_> = GET.into_iter().chain(names.iter().map(|name| (&**name, "y"))).collect();
    let at = |path| {
        let path = (":path", path);
        streams(1, &GET.map(|field| if field.0 == path.0 { path } else { field }))
    };
    let preface = streams(0, &[]);
    let data = Frame::new(DATA, 0, 0, b"on no stream").bytes();
    vec![
        of(HTTP2, case("a name in capitals", way, with(("X", "y")), "protocol_error")),
        case("a field about the connection", way, with(("connection", "close")), "malformed"),
        case("a value with spaces", way, with(("x", " y")), "malformed"),
        case("no path", way, streams(1, &GET[..3]), "malformed"),
        case("a quote in a query", way, at("/?q=\""), "malformed"),
        case("a large field", way, with(("x", &"y".repeat(9000))), "request_head_too_large"),
        case("60 fields", way, streams(1, &many), "request_head_too_large"),
        case("a stream too many", way, streams(3, &GET), "streams_max"),
        case("a path of two readings", way, at("/a/..%2fb"), "path"),
        case("no route", way, at("/nowhere"), "no_route"),
        case("an address", way, at("/office"), "address"),
        of(HTTP2, case("a frame on no stream", way, [preface, data].concat(), "protocol_error")),
        of(HTTP2, case("half a preface", way, "PRI * HT", "preface_timeout")),
    ]
}

fn before_http() -> Vec<Case> {
    const SECURE: Way = Way::Clear("secure");
    const PROXIED: Way = Way::Clear("proxied");
    let hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xFC\x03\x03half a ClientHello";
    let plain = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let tls = |case: Case| of(TLS, case);
    let proxied = |case: Case| of(CONNECTION, case);
    vec![
        tls(case("garbage", SECURE, "\0\0\0\0\0\0\0\0\r\n\r\n", "refused")),
        tls(case("plain HTTP", SECURE, plain, "plain_http")),
        tls(case("no byte", SECURE, "", "timeout")),
        tls(case("half a ClientHello", SECURE, hello, "timeout")),
        tls(Case { closes: true, ..case("half of one, and away", SECURE, hello, "eof") }),
        proxied(case("no PROXY header", PROXIED, plain, "proxy_invalid")),
        proxied(case("half a PROXY header", PROXIED, "PROXY TCP4", "proxy_timeout")),
        proxied(case("a peer that is no proxy", Way::Clear("distrusting"), "", "proxy_untrusted")),
        case(
            "HTTP/2 where it is not spoken",
            Way::Clear("plain"),
            streams(0, &[]),
            "http2_preface",
        ),
        case(
            "a target of 70,000 bytes",
            Way::Clear("wide"),
            format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(70_000)),
            "uri_too_long",
        ),
    ]
}

/// A proxy whose listeners soon lose their patience, and where each of them is.
async fn start() -> (Proxy, impl Fn(&str) -> String) {
    let names = ["quick", "secure", "proxied", "distrusting", "wide"];
    let addresses = names.map(|_| free().to_string());
    let soon = "head_timeout = \"300ms\", keep_alive_timeout = \"5s\", \
        tls_handshake_timeout = \"300ms\", headers_max = 50, head_bytes_max = \"8KiB\"";
    let [quick, secure, proxied, distrusting, wide] = &addresses;
    let proxy = Proxy::start(&format!(
        r#"[listeners.quick]
address = "{quick}"
http2 = {{ h2c = true, streams_max = 2 }}
limits = {{ {soon} }}
[listeners.secure]
address = "{secure}"
tls.certificates = [{{ chain = "chain.pem", key = "key.pem" }}]
http2.streams_max = 2
limits = {{ {soon} }}
[listeners.proxied]
address = "{proxied}"
proxy_protocol = {{ trusted = "127.0.0.1", timeout = "300ms" }}
[listeners.distrusting]
address = "{distrusting}"
proxy_protocol = {{ trusted = "10.0.0.1", timeout = "300ms" }}
[listeners.wide]
address = "{wide}"
limits.head_bytes_max = "128KiB"
[[routes]]
path = "= /"
respond = {{ body = "here" }}
[access.office]
allow = "192.0.2.0/24"
[[routes]]
path = "/office"
access = "office"
respond = {{ body = "office" }}
"#
    ))
    .await;
    let plain = proxy.plain.clone();
    let known = names.into_iter().zip(addresses.clone()).collect::<Vec<_>>();
    let at = move |name: &str| {
        let found = known.iter().find(|(known, _)| *known == name);
        found.map_or(plain.clone(), |(_, address)| address.clone())
    };
    (proxy, at)
}

trait Io: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Io for T {}

async fn connect(proxy: &Proxy, way: Way, at: &impl Fn(&str) -> String) -> Box<dyn Io> {
    let name = if let Way::Clear(name) = way { name } else { "secure" };
    let tcp = TcpStream::connect(at(name)).await.unwrap();
    match way {
        Way::Clear(_) => Box::new(tcp),
        Way::Tls(protocol) => {
            let name = ServerName::try_from("process.test").unwrap();
            Box::new(proxy.connector(&[protocol]).connect(name, tcp).await.unwrap())
        }
    }
}

/// How often a reason was counted by a metric, and how many lines tell of it.
fn seen(proxy: &Proxy, metric: &str, why: &str) -> (u64, usize) {
    let Some((200, text)) = proxy.get("/metrics") else { panic!("no metrics") };
    let (name, label) = (format!("tidegate_{metric}_total{{"), format!("reason=\"{why}\""));
    let of = |line: &&str| line.starts_with(&name) && line.contains(&label);
    let counts = text.lines().filter(of).filter_map(|line| line.rsplit(' ').next());
    let count = counts.filter_map(|count| count.parse::<u64>().ok()).sum();
    let why = format!("\"why\":\"{why}\"");
    let log = proxy.log();
    let lines = log.lines().filter(|line| line.contains(&why));
    // Who connected, or whom a trusted proxy names.
    let is_told = |line: &str| {
        ["127.0.0.1:", "203.0.113.9\""]
            .iter()
            .any(|who| line.contains(&format!("\"client\":\"{who}")))
    };
    let lines = lines.inspect(|line| assert!(is_told(line), "{line}"));
    (count, lines.count())
}

#[tokio::test]
async fn whatever_is_refused_has_one_line_and_one_count() {
    let (proxy, at) = start().await;
    let families = [
        ("HTTP/1.1", http1(H1)),
        ("HTTP/1.1 over TLS", http1(H1_TLS)),
        ("h2c", http2(H2C)),
        ("HTTP/2", http2(H2)),
        ("before HTTP", before_http()),
    ];
    for (family, cases) in families {
        for case in cases {
            is_seen(&proxy, &at, family, case).await;
        }
    }
}

/// Plays a case, which has one line and one count.
async fn is_seen(proxy: &Proxy, at: &impl Fn(&str) -> String, family: &str, case: Case) {
    let Case { name, way, bytes, closes, metric, why } = case;
    let before = seen(proxy, metric, why);
    let mut wire = connect(proxy, way, at).await;
    wire.write_all(&bytes).await.unwrap();
    wire.flush().await.unwrap();
    let wire = if closes {
        drop(wire);
        None
    } else {
        Some(wire)
    };
    let expected = (before.0 + 1, before.1 + 1);
    let what = format!("{family}, {name}: one {metric} and one line of {why}");
    proxy.wait(&what, || seen(proxy, metric, why) == expected).await;
    if let Some(mut wire) = wire {
        // Its end: what comes late is counted by the next case of the same reason.
        drop(wire.shutdown().await);
        drop(tokio::time::timeout(std::time::Duration::from_millis(50), wire.read_u8()).await);
    }
    assert_eq!(seen(proxy, metric, why), expected, "{what}");
}

/// Requests that a backend leaves unanswered, or whose client is at fault only in time, or only
/// beside others.
fn in_the_end(way: Way) -> Vec<Case> {
    let post = |fields: &str, body: &str| {
        format!("POST /mute HTTP/1.1\r\nHost: process.test\r\n{fields}\r\n\r\n{body}")
    };
    let chunked = "Transfer-Encoding: chunked";
    let upgrade = "GET /mute HTTP/1.1\r\nHost: process.test\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    vec![
        case("a body that stops", way, post("Content-Length: 10", "half "), "stalled"),
        case("chunks that stop", way, post(chunked, "5\r\nhalf "), "stalled"),
        case("a broken chunk", way, post(chunked, "5\r\nwhole\r\nx\r\n"), "spoilt"),
        case("no answer", way, "GET /mute HTTP/1.1\r\nHost: process.test\r\n\r\n", "timeout"),
        case("a handshake without answer", way, upgrade, "timeout"),
        case("a handshake without a key", way, upgrade.replace("-Key", "-Kez"), "key"),
    ]
}

#[tokio::test]
async fn requests_that_fail_in_the_end_are_seen_as_well() {
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let held = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let other = rcgen::generate_simple_self_signed(["other.test".to_owned()]).unwrap();
    let [chain, key] = ["other.pem", "other-key.pem"].map(|name| dir.path().join(name));
    std::fs::write(&chain, other.cert.pem()).unwrap();
    std::fs::write(&key, other.signing_key.serialize_pem()).unwrap();
    let addresses = [free().to_string(), free().to_string()];
    let [secure, proxied] = &addresses;
    let proxy = Proxy::start(&format!(
        r#"limits.connections_per_address_max = 1
[listeners.secure]
address = "{secure}"
tls.certificates = [
    {{ chain = "chain.pem", key = "key.pem" }},
    {{ chain = {chain:?}, key = {key:?} }},
]
[listeners.proxied]
address = "{proxied}"
trusted_proxies = "127.0.0.1"
[pools.mute]
backends = ["{mute}"]
response_timeout = "300ms"
handshake_timeout = "300ms"
retry = {{ attempts_max = 1 }}
[pools.held]
backends = ["{held}"]
response_timeout = "1h"
[[routes]]
path = "/mute"
pool = "mute"
[[routes]]
path = "/held"
pool = "held"
"#,
        mute = mute.local_addr().unwrap(),
        held = held.local_addr().unwrap(),
    ))
    .await;
    let at = |name: &str| if name == "secure" { secure.clone() } else { proxied.clone() };
    for (family, way) in [("HTTP/1.1", Way::Clear("proxied")), ("HTTP/1.1 over TLS", H1_TLS)] {
        for case in in_the_end(way) {
            is_seen(&proxy, &at, family, case).await;
        }
    }
    let misdirected = "GET /mute HTTP/1.1\r\nHost: other.test\r\n\r\n";
    let misdirected = case("another certificate's host", H1_TLS, misdirected, "misdirected");
    is_seen(&proxy, &at, "HTTP/1.1 over TLS", misdirected).await;
    // The first of two requests of one client behind a proxy is under way.
    let request = "GET /held HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n";
    let mut first = connect(&proxy, Way::Clear("proxied"), &at).await;
    first.write_all(request.as_bytes()).await.unwrap();
    let asked = held.accept().await.unwrap();
    let beyond = case(
        "a proxy's client beyond its share",
        Way::Clear("proxied"),
        request,
        "connections_per_address_max",
    );
    is_seen(&proxy, &at, "HTTP/1.1", beyond).await;
    drop((first, asked));
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_certificate_is_seen() {
    let (proxy, at) = start().await;
    let roots = rustls::RootCertStore::empty();
    let config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tcp = TcpStream::connect(at("secure")).await.unwrap();
    let name = ServerName::try_from("process.test").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, tcp).await.unwrap_err();
    proxy.wait("one line and one count", || seen(&proxy, TLS, "alert") == (1, 1)).await;
    assert!(proxy.log().contains("UnknownCA") || proxy.log().contains("nknown"), "{}", proxy.log());
}
