//! Auth servers that are broken, or whose owner is no friend.

use super::speaker::{Said, Speaker};
use super::ways::{Asker, both, everywhere};
use crate::actors::{Backend, Certificates, Head, within};
use crate::proxy::Proxy;
use crate::site::site;

/// A head with these fields.
fn head(status: &str, fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\n{fields}\r\n\r\n").into_bytes()
}

fn cookies(count: usize, bytes: usize) -> String {
    let cookie = |number| format!("Set-Cookie: c{number}={}\r\n", "x".repeat(bytes));
    (0..count).map(cookie).collect()
}

/// What the server answers, and the statuses of a page and of a handshake after it.
fn rows() -> Vec<(&'static str, Said, (u16, u16))> {
    let (passes, fails) = ((200, 101), (503, 503));
    let gigabyte = "Content-Length: 1073741824";
    let endless = |head| Said::Endless(head, vec![b'x'; 0x10000]);
    let chunks = [&b"10000\r\n"[..], &[b'x'; 0x10000], b"\r\n"].concat();
    let whole = |status: &str, fields: &str| Said::Whole(head(status, fields));
    let empty = |fields: &str| format!("{fields}Content-Length: 0");
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    let hint = b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec();
    vec![
        ("yes, and an upgrade", whole("200 OK", &empty(upgrade)), passes),
        ("yes, and a gigabyte", endless(head("200 OK", gigabyte)), passes),
        (
            "yes, and chunks without end",
            Said::Endless(head("200 OK", "Transfer-Encoding: chunked"), chunks),
            passes,
        ),
        (
            "a hint, and yes",
            Said::Whole([hint.clone(), head("204 No Content", "X-A: b")].concat()),
            passes,
        ),
        ("many cookies", whole("200 OK", &empty(&cookies(30, 8))), passes),
        (
            "a long head",
            whole("200 OK", &empty(&format!("X-A: {}\r\n", "x".repeat(60_000)))),
            passes,
        ),
        ("too long a head", whole("200 OK", &empty(&cookies(1, 70_000))), fails),
        ("too many fields", whole("200 OK", &empty(&cookies(200, 1))), fails),
        ("two lengths", whole("200 OK", "Content-Length: 1\r\nContent-Length: 2"), fails),
        ("an upgrade alone", whole("101 Switching Protocols", upgrade.trim_end()), fails),
        ("no, and a gigabyte", endless(head("403 No", gigabyte)), (403, 403)),
        ("no, byte by byte", Said::ByteByByte(head("403 No", "Content-Length: 0")), fails),
        ("yes, byte by byte", Said::ByteByByte(head("200 OK", "Content-Length: 0")), fails),
        ("hints without end", Said::Endless(Vec::new(), hint), fails),
        (
            "a head without end",
            Said::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X: y\r\n".to_vec()),
            fails,
        ),
        ("half a page", Said::Whole([head("401 No", gigabyte), b"half".to_vec()].concat()), fails),
        ("not a word", Said::Nothing, fails),
        ("a failure", whole("500 Oops", "Content-Length: 0"), fails),
    ]
}

#[tokio::test]
async fn whatever_an_auth_server_answers_it_opens_nothing_by_mistake_and_holds_up_no_other() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("a").await, Backend::echo("b").await];
    let auth = Speaker::new(None, Said::Nothing).await;
    let rule = format!(
        "[pools.auth]\nbackends = [\"{}\"]\nretry.attempts_max = 1\n\
         [access.sso.forward]\npool = \"auth\"\ntimeout = \"1s\"",
        auth.server.address()
    );
    let site = both(site(&backends.each_ref()), &certificates).table(&rule);
    let site = site.route("access = \"sso\"\n[[routes]]\npath = \"/open\"\npool = \"chat\"");
    let proxy = Proxy::start(&site).await;
    let (client, asker) = (proxy.client(), Asker::new(&proxy, &certificates));
    let mut neighbour = proxy.client().path("/open").open().await;
    for (what, said, expected) in rows() {
        auth.says(said);
        let both = async { tokio::join!(client.request("GET", ""), client.handshake()) };
        let ((page, _), (handshake, _)) = within(what, both).await;
        assert_eq!((page.status(), handshake.status()), expected, "{what}");
        // Of those that fail, most do when their time is over.
        if expected.0 != 503 {
            assert_eq!(asker.statuses().await, everywhere(expected.0, expected.1), "{what}");
        }
        assert_eq!(handshake.get("x-a"), "", "{what}");
        if what == "many cookies" {
            let count = |head: &Head| head.all("set-cookie").count();
            assert_eq!((count(&page), count(&handshake)), (30, 30));
        }
        neighbour.echo(what).await;
    }
    drop(neighbour);
    proxy.stop().await;
}
