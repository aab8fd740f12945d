//! Whose host it is, what ends with a hop, and who says whom a request comes from.

use crate::actors::Head;
use crate::case::{Case, Table, attack, case, play, request, serves_as_before};
use crate::proxy::Proxy;
use crate::site::site;
use crate::witness::Witness;

fn hosts() -> Vec<Case> {
    let head = |line: &str, fields: &str| format!("{line}\r\n{fields}\r\n");
    let with = |host: &str| head("GET /a HTTP/1.1", &format!("Host: {host}\r\n"));
    let bad = |name, rfc, bytes: String| case(name, rfc, bytes, "400, kept", "nothing");
    let good = |name, rfc, bytes: String| case(name, rfc, bytes, "200 /a, kept", "GET /a");
    vec![
        bad("no Host", "9112 §3.2", head("GET /a HTTP/1.1", "")),
        bad("two Hosts", "9112 §3.2", head("GET /a HTTP/1.1", "Host: a\r\nHost: b\r\n")),
        bad("two Hosts that agree", "9112 §3.2", head("GET /a HTTP/1.1", "Host: a\r\nHost: a\r\n")),
        bad("an empty Host", "9110 §4.2.1", with("")),
        bad("a list of hosts", "9112 §3.2", with("a, b")),
        bad("a slash", "9112 §3.2", with("a/b")),
        bad("user info", "9110 §4.2.4", with("user@a")),
        bad("user info with a password", "9110 §4.2.4", with("user:word@a")),
        bad("a space", "9112 §3.2", with("a b")),
        bad("a question mark", "9112 §3.2", with("a?b")),
        bad("an escape", "9112 §3.2", with("a%2eb")),
        bad("a port that is none", "9112 §3.2", with("a:x")),
        bad("a port of 65,536", "9112 §3.2", with("a:65536")),
        bad("an open bracket", "3986 §3.2.2", with("[::1")),
        bad("two dots", "1034 §3.5", with("a..b")),
        bad("a name of 300 bytes", "1035 §2.3.4", with(&"a".repeat(300))),
        good("a port", "9112 §3.2", with("localhost:8080")),
        good("capitals and a final dot", "9110 §4.2.3", with("LocalHost.")),
        good(
            "absolute form, and Host says the same",
            "9112 §3.2.2",
            head("GET http://localhost/a HTTP/1.1", "Host: localhost\r\n"),
        ),
        good(
            "absolute form, and Host says otherwise",
            "9112 §3.2.2",
            head("GET http://localhost/a HTTP/1.1", "Host: other\r\n"),
        ),
        bad("absolute form without Host", "9112 §3.2", head("GET http://localhost/a HTTP/1.1", "")),
        bad(
            "absolute form with user info",
            "9110 §4.2.4",
            head("GET http://user@localhost/a HTTP/1.1", "Host: localhost\r\n"),
        ),
        bad(
            "absolute form of another scheme",
            "9110 §7.4",
            head("GET ftp://localhost/a HTTP/1.1", "Host: localhost\r\n"),
        ),
        case(
            "authority form",
            "9112 §3.2.3",
            head("GET localhost:80 HTTP/1.1", "Host: localhost\r\n"),
            "400, kept",
            "nothing",
        ),
        case(
            "CONNECT",
            "9110 §9.3.6",
            head("CONNECT localhost:80 HTTP/1.1", "Host: localhost\r\n"),
            "405, kept",
            "nothing",
        ),
        case(
            "TRACE",
            "9110 §9.3.8",
            head("TRACE /a HTTP/1.1", "Host: localhost\r\n"),
            "405, kept",
            "nothing",
        ),
        case(
            "the asterisk of OPTIONS",
            "9112 §3.2.4",
            head("OPTIONS * HTTP/1.1", "Host: localhost\r\n"),
            "400, kept",
            "nothing",
        ),
        bad(
            "a path above the root",
            "3986 §5.2.4",
            head("GET /../a HTTP/1.1", "Host: localhost\r\n"),
        ),
        bad("an escaped NUL", "3986 §2.1", head("GET /a%00 HTTP/1.1", "Host: localhost\r\n")),
        bad("half an escape", "3986 §2.1", head("GET /a%4 HTTP/1.1", "Host: localhost\r\n")),
    ]
}

#[tokio::test]
async fn a_request_has_one_host() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    play("Hosts", &hosts(), &proxy, &witness).await;
    let hosts: Vec<String> =
        witness.heads().iter().map(|head| head.get("host").to_owned()).collect();
    // The target's where it has one (RFC 9112 §3.2.2), else as it came; the last two are ours.
    assert_eq!(hosts[..4], ["localhost:8080", "LocalHost.", "localhost", "localhost"]);
    proxy.stop().await;
}

/// A field that is sent, and what the backend may read of it.
struct Field {
    name: &'static str,
    rfc: &'static str,
    sent: &'static [&'static str],
    /// Name and what its lines say when they are joined; empty when there must be none.
    read: &'static [(&'static str, &'static str)],
}

const fn field(
    name: &'static str,
    rfc: &'static str,
    sent: &'static [&'static str],
    read: &'static [(&'static str, &'static str)],
) -> Field {
    Field { name, rfc, sent, read }
}

const HOP_BY_HOP: &[Field] = &[
    field(
        "keep-alive",
        "9110 §7.6.1",
        &["Connection: keep-alive", "Keep-Alive: timeout=5"],
        &[("connection", ""), ("keep-alive", "")],
    ),
    field(
        "a field that Connection names",
        "9110 §7.6.1",
        &["Connection: X-Mine", "X-Mine: 1", "X-Yours: 1"],
        &[("x-mine", ""), ("x-yours", "1")],
    ),
    field(
        "several, over lines and cases",
        "9110 §7.6.1",
        &["Connection: x-A, X-b", "connection: X-C", "X-a: 1", "x-B: 1", "X-C: 1"],
        &[("x-a", ""), ("x-b", ""), ("x-c", "")],
    ),
    field("Host", "9110 §7.6.1", &["Connection: Host"], &[("host", "localhost")]),
    field(
        "Host and X-Forwarded-For",
        "9110 §7.6.1",
        &["Connection: Host, X-Forwarded-For"],
        &[("host", "localhost"), ("x-forwarded-for", "127.0.0.1")],
    ),
    field(
        "all that tells of hops",
        "9110 §7.6.1",
        &["Connection: Forwarded, X-Forwarded-Proto, X-Forwarded-Host, X-Real-IP"],
        &[("x-forwarded-proto", "http"), ("x-forwarded-host", "localhost")],
    ),
    field(
        "Content-Length",
        "9110 §7.6.1",
        &["Connection: Content-Length", "Content-Length: 0"],
        &[("content-length", "0")],
    ),
    field(
        "Proxy-Connection",
        "9112 §C.2.2",
        &["Proxy-Connection: keep-alive"],
        &[("proxy-connection", "")],
    ),
    field(
        "TE with trailers",
        "9110 §10.1.4",
        &["Connection: TE", "TE: gzip, trailers"],
        &[("te", "trailers")],
    ),
    field("TE without trailers", "9110 §10.1.4", &["Connection: TE", "TE: gzip"], &[("te", "")]),
    field("Upgrade", "9110 §7.8", &["Connection: Upgrade", "Upgrade: foo"], &[("upgrade", "")]),
    field(
        "HTTP2-Settings that nothing names",
        "9113 §3.1",
        &["HTTP2-Settings: AAMAAABk"],
        &[("http2-settings", "")],
    ),
    field(
        "Proxy-Authorization",
        "9110 §11.7.2",
        &["Proxy-Authorization: Basic eDp5"],
        &[("proxy-authorization", "")],
    ),
    field("Expect", "9110 §10.1.1", &["Expect: 100-continue"], &[("expect", "")]),
    field(
        "an element that is no name",
        "9110 §7.6.1",
        &["Connection: a b, X-Mine, ,\"x\"", "X-Mine: 1"],
        &[("x-mine", "")],
    ),
];

const SPOOFED: &[Field] = &[
    field(
        "X-Forwarded-For",
        "7239 §8.1",
        &["X-Forwarded-For: 6.6.6.6"],
        &[("x-forwarded-for", "127.0.0.1")],
    ),
    field(
        "X-Forwarded-For, twice",
        "7239 §8.1",
        &["X-Forwarded-For: 6.6.6.6", "x-forwarded-for: 7.7.7.7"],
        &[("x-forwarded-for", "127.0.0.1")],
    ),
    field(
        "X_Forwarded_For, as CGI reads it",
        "7239 §8.1",
        &["X_Forwarded_For: 6.6.6.6"],
        &[("x_forwarded_for", ""), ("x-forwarded-for", "127.0.0.1")],
    ),
    field(
        "X-Forwarded-Proto",
        "7239 §8.1",
        &["X-Forwarded-Proto: https"],
        &[("x-forwarded-proto", "http")],
    ),
    field(
        "X-Forwarded-Host",
        "7239 §8.1",
        &["X-Forwarded-Host: evil"],
        &[("x-forwarded-host", "localhost")],
    ),
    field(
        "X-Forwarded-Anything",
        "7239 §8.1",
        &["X-Forwarded-Prefix: /evil", "X-Forwarded-User: root"],
        &[("x-forwarded-prefix", ""), ("x-forwarded-user", "")],
    ),
    field("X-Real-IP", "7239 §8.1", &["X-Real-IP: 6.6.6.6"], &[("x-real-ip", "127.0.0.1")]),
    field(
        "Forwarded",
        "7239 §8.1",
        &["Forwarded: for=6.6.6.6;host=evil;proto=https"],
        &[("forwarded", "for=127.0.0.1;host=localhost;proto=http")],
    ),
    field(
        "Forwarded that cannot be read",
        "7239 §4",
        &["Forwarded: for=\"6.6.6.6"],
        &[("forwarded", "for=127.0.0.1;host=localhost;proto=http")],
    ),
    field("Proxy", "CVE-2016-5385", &["Proxy: http://evil"], &[("proxy", "")]),
    field(
        "what names another target",
        "–",
        &["X-Original-URL: /admin", "X-Rewrite-URL: /admin", "X_Original-Url: /admin"],
        &[("x-original-url", ""), ("x-rewrite-url", ""), ("x_original-url", "")],
    ),
    field(
        "framing, as CGI reads it",
        "9112 §6",
        &["Transfer_Encoding: chunked", "Content_Length: 5"],
        &[("transfer_encoding", ""), ("content_length", "")],
    ),
    field("a name with `_`", "–", &["X_User: root"], &[("x_user", ""), ("x-user", "")]),
    field(
        "the request's id, as CGI reads it",
        "–",
        &["X_Request_Id: 6", "X-Request_Id: 6"],
        &[("x_request_id", ""), ("x-request_id", "")],
    ),
    field(
        "tidegate's own name",
        "–",
        &["Tidegate-Session: 1", "tidegate_resume: 1"],
        &[("tidegate-session", ""), ("tidegate_resume", "")],
    ),
];

#[tokio::test]
async fn what_a_client_says_for_other_hops_is_not_believed() {
    let witness = Witness::start().await;
    let proxy = Proxy::start(&site(&[]).backend(witness.address())).await;
    for (family, fields) in [("Fields of one hop", HOP_BY_HOP), ("Spoofed fields", SPOOFED)] {
        let mut table = Table::new(family);
        for field in fields {
            let before = witness.heads().len();
            let outcome = attack(&proxy.client(), &request("GET /a", field.sent, "")).await;
            let read = |head: &Head, (name, _): &(&str, &str)| {
                let all: Vec<&str> = head.all(name).collect();
                format!("{name}: {}", all.join(" | "))
            };
            let came: Vec<_> = witness.heads()[before..]
                .iter()
                .flat_map(|head| field.read.iter().map(|one| read(head, one)))
                .collect();
            let wanted: Vec<_> =
                field.read.iter().map(|(name, value)| format!("{name}: {value}")).collect();
            let (wanted, came) = (wanted.join(", "), came.join(", "));
            let pairs = [("200 /a, kept", &*outcome), (&*wanted, &*came)];
            table.row(field.name, field.rfc, &outcome, &came, &pairs);
        }
        table.settle();
    }
    serves_as_before(&proxy).await;
    proxy.stop().await;
}

/// A POST of `hi` with this trailer section, which its head announces.
fn trailed(section: &str) -> Vec<u8> {
    let names: Vec<&str> = section.lines().filter_map(|line| line.split(':').next()).collect();
    let announced = format!("Trailer: {}", names.join(", "));
    let body = format!("2\r\nhi\r\n0\r\n{section}\r\n");
    request("POST /a", &["Transfer-Encoding: chunked", &announced], &body)
}

/// A row whose trailers the backend does not see, but for the one that it may.
fn dropped(name: &'static str, rfc: &'static str, spoofed: &str) -> Case {
    let sent = trailed(&format!("{spoofed}\r\nX-Sum: 7\r\n"));
    case(name, rfc, sent, "200 /a, kept", "POST /a hi +X-Sum: 7")
}

#[tokio::test]
async fn trailers_say_nothing_that_only_a_head_may_say() {
    let witness = Witness::start().await;
    let named = site(&[]).backend(witness.address()).route("trailers = [\"X-Sum\", \"X-Set\"]");
    let changes = "request_headers = { set = { X-Set = \"1\" } }";
    let proxy = Proxy::start(&named.route(changes)).await;
    let cases = [
        case("a sum", "9110 §6.5", trailed("X-Sum: 7\r\n"), "200 /a, kept", "POST /a hi +X-Sum: 7"),
        dropped("X-Forwarded-For", "9110 §6.5.1", "X-Forwarded-For: 6.6.6.6"),
        dropped("X_Forwarded_For, as CGI reads it", "9110 §6.5.1", "X_Forwarded_For: 6.6.6.6"),
        dropped(
            "X-Forwarded-Proto and -Host",
            "9110 §6.5.1",
            "X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil",
        ),
        dropped("Forwarded", "9110 §6.5.1", "Forwarded: for=6.6.6.6;host=evil"),
        dropped("X-Real-IP", "9110 §6.5.1", "X-Real-IP: 6.6.6.6"),
        dropped("what no route names", "9110 §6.5", "X-Other: 1"),
        dropped("what the route sets", "9110 §6.5.1", "X-Set: 2"),
        dropped("another spelling", "9110 §6.5.1", "X_Sum: 6"),
        dropped("Host", "9110 §6.5.1", "Host: evil"),
        dropped("a length", "9112 §6.2", "Content-Length: 5"),
        dropped("a coding", "9112 §6.1", "Transfer-Encoding: chunked"),
        dropped("Connection, and what it names", "9110 §7.6.1", "Connection: X-Mine\r\nX-Mine: 1"),
        dropped("the request's id", "–", "X-Request-Id: 6\r\nx_request_id: 6"),
        dropped("tidegate's own name", "–", "Tidegate-Session: 1\r\ntidegate_resume: 1"),
        case(
            "an obs-fold",
            "9112 §5.2",
            trailed("X-Sum: 7\r\n X-Forwarded-For: 6.6.6.6\r\n"),
            "400, closed",
            "nothing",
        ),
        case("a NUL", "9110 §5.5", trailed("X-Sum: 7\0\r\n"), "400, closed", "nothing"),
        case("no colon", "9112 §5", trailed("X-Sum\r\n"), "400, closed", "nothing"),
    ];
    play("Trailers", &cases, &proxy, &witness).await;
    proxy.stop().await;
}
