//! Every limit of the reference has a row: one address takes all it can of what the limit is for,
//! and leaves it there for an hour; another is served within a second; and what the process keeps
//! meanwhile, in memory and files, follows from what it was sent.

mod rows;

use std::any::Any;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::actors::free;
use crate::actors::{Backend, Client, granted};
use crate::proxy::Proxy;
use rows::{ELSEWHERE, OF_NO_CLIENT, ROWS, Take};

/// The limits that the reference names: `_max`, `_min`, `_timeout`.
fn named() -> Vec<String> {
    let mut table = String::new();
    let mut named = Vec::new();
    for line in include_str!("../../config/README.md").lines() {
        if let Some(title) = line.strip_prefix("## `[") {
            table = title.split(']').next().unwrap().to_owned();
        }
        let key = line.strip_prefix("**`").and_then(|rest| rest.split('`').next());
        let is_limit =
            |key: &&str| ["_max", "_min", "_timeout"].iter().any(|end| key.ends_with(end));
        named.extend(key.filter(is_limit).map(|key| format!("{table}.{key}")));
    }
    named
}

#[test]
fn every_limit_of_the_reference_has_a_row() {
    let of_rows = ROWS.iter().flat_map(|row| row.limits).copied();
    let of_tests = ELSEWHERE.iter().map(|(limit, ..)| *limit);
    let known: Vec<&str> = of_rows.chain(of_tests).chain(OF_NO_CLIENT.iter().copied()).collect();
    let named = named();
    assert!(named.len() > 40, "{named:?}");
    let without: Vec<_> = named.iter().filter(|limit| !known.contains(&&***limit)).collect();
    assert!(without.is_empty(), "limits without a row: {without:?}");
    let gone: Vec<_> =
        known.iter().filter(|limit| !named.iter().any(|one| one == *limit)).collect();
    assert!(gone.is_empty(), "rows of limits that there are not: {gone:?}");
    for (limit, file, test) in ELSEWHERE {
        assert!(file.contains(&format!("fn {test}(")), "{limit}: no test {test}");
    }
}

/// Of the allocator, and of what runs for the first time.
const OTHER_KIB: u64 = 6 << 10;

/// Of a request's body or a frame, what is sent.
const PIECE_BYTES: usize = 32 << 10;

const HOUR: &str =
    "connect_timeout = \"1h\"\nhandshake_timeout = \"1h\"\nresponse_timeout = \"1h\"";

/// A backend that does not answer `/slow/greedy`, answers `/slow/large` without end, and loses the
/// sessions of `/held`.
async fn selective() -> Backend {
    Backend::script(|head, mut wire| async move {
        let path = head.second().to_owned();
        if path == "/slow/greedy" {
            std::future::pending::<()>().await;
        }
        let page = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        let large = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
        let answer = match &*path {
            "/slow/large" => large,
            _ if head.is_upgrade() => granted(&head),
            _ => page.to_owned(),
        };
        let _ = wire.write_all(answer.as_bytes()).await;
        while path == "/slow/large" && wire.write_all(&[7; 16 << 10]).await.is_ok() {}
        if head.is_upgrade() && !path.starts_with("/held") {
            // A session that is not read.
            std::future::pending::<()>().await;
        }
    })
    .await
}

/// One connection's worth: what is kept of it, and the bytes that were sent.
async fn take(proxy: &Proxy, greedy: &Client, take: Take) -> Option<(Box<dyn Any>, usize)> {
    let path = match take {
        Take::Idle => "/page",
        Take::Unread => "/slow/large",
        Take::Session | Take::Frames => "/slow/session",
        Take::Held => "/held",
        Take::Queue => "/nowhere",
        _ => "/slow/greedy",
    };
    let client = greedy.clone().path(path);
    let said = match take {
        Take::Silence => String::new(),
        Take::HalfHead => format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(60 << 10)),
        Take::Fields => format!("GET / HTTP/1.1\r\n{}", "X: y\r\n".repeat(99)),
        Take::Hello => return half_shaken(proxy, greedy).await,
        Take::Idle | Take::Request | Take::Unread => client.head("GET", &[]),
        Take::HalfBody => {
            let body = "y".repeat(PIECE_BYTES);
            client.head("POST", &[("Content-Length", "1000000")]) + &body
        }
        Take::Handshake | Take::Session | Take::Frames | Take::Held | Take::Queue => {
            client.upgrade("dGhlIHNhbXBsZSBub25jZQ==")
        }
    };
    let mut sent = said.len();
    // One that is refused at once has taken nothing.
    let mut wire = client.connect().await.ok()?;
    wire.write_all(said.as_bytes()).await.ok()?;
    if matches!(take, Take::Idle | Take::Session | Take::Frames | Take::Held) {
        wire.read_u8().await.ok()?;
    }
    if matches!(take, Take::Frames | Take::Held) {
        // A binary message of 64 KiB, masked with nothing (RFC 6455 §5.3), or half of it.
        let mut frame = vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        frame.resize(frame.len() + PIECE_BYTES, 7);
        sent += frame.len();
        wire.write_all(&frame).await.ok()?;
    }
    Some((Box::new(wire), sent))
}

/// A ClientHello, and no more.
async fn half_shaken(proxy: &Proxy, greedy: &Client) -> Option<(Box<dyn Any>, usize)> {
    let config = proxy.connector(&[]).config().clone();
    let name = "process.test".try_into().unwrap();
    let mut hello = Vec::new();
    rustls::ClientConnection::new(config, name).unwrap().write_tls(&mut hello).unwrap();
    let mut tcp = TcpStream::connect(greedy.address()).await.ok()?;
    tcp.write_all(&hello).await.ok()?;
    Some((Box::new(tcp), hello.len()))
}

/// Another address gets a page, an answer of the backend and a session, each within a second: a
/// machine that stalls may have a second try, and a limit of an hour fails them all.
async fn another_is_served(proxy: &Proxy, client: &Client, what: &str) {
    let stranger = client.clone().from([127, 0, 9, 9].into());
    let second = Duration::from_secs(1);
    for (path, status) in [("/page", 200), ("/slow/stranger", 200), ("/slow/socket", 101)] {
        let client = stranger.clone().path(path);
        let mut statuses = Vec::new();
        while statuses.len() < 3 && statuses.last() != Some(&Some(status)) {
            let asked = async {
                match status {
                    101 => client.handshake().await.0.status(),
                    _ => client.request("GET", "").await.0.status(),
                }
            };
            statuses.push(timeout(second, asked).await.ok());
        }
        assert_eq!(statuses.last(), Some(&Some(status)), "{what}: {path} within 1 s: {statuses:?}");
    }
    assert!(proxy.get("/healthz").is_some_and(|(status, _)| status == 200), "{what}");
}

#[tokio::test]
async fn who_takes_all_of_a_limit_leaves_enough_for_another_and_costs_what_it_sent() {
    let backend = selective().await;
    // Refuses what comes.
    let nowhere = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for row in ROWS {
        let at = free();
        let tls = match row.take {
            Take::Hello => "tls.certificates = [{ chain = \"chain.pem\", key = \"key.pem\" }], ",
            _ => "",
        };
        let hour = "tls_handshake_timeout = \"1h\"";
        let limits = [hour, "head_timeout = \"1h\"", "keep_alive_timeout = \"1h\"", row.listener];
        let limits = limits.into_iter().filter(|one| !one.is_empty()).collect::<Vec<_>>();
        let hold =
            if row.hold.is_empty() { String::new() } else { format!("hold = {{ {} }}", row.hold) };
        let proxy = Proxy::start(&format!(
            "{table}\nlisteners.greedy = {{ address = \"{at}\", {tls}limits = {{ {limits} }} }}\n\
             [pools.slow]\nbackends = [\"{slow}\"]\n{HOUR}\n{pool}\n\
             [pools.nowhere]\nbackends = [\"{nowhere}\"]\n\
             [[routes]]\npath = \"/page\"\nrespond = {{ body = \"page\" }}\n\
             [[routes]]\npath = \"/slow\"\npool = \"slow\"\n\
             [[routes]]\npath = \"/held\"\npool = \"slow\"\n{hold}\n\
             [[routes]]\npath = \"/nowhere\"\npool = \"nowhere\"\n{hold}\n",
            table = row.table,
            limits = limits.join(", "),
            slow = backend.address(),
            pool = row.pool,
        ))
        .await;
        let what = format!("{:?} of {:?}", row.take, row.limits);
        let (memory, files) = (proxy.memory_kib(), proxy.files());
        let greedy = match row.take == Take::Hello {
            true => Client::to(at).host("process.test").trusting(&proxy.path("chain.pem")),
            false => Client::to(at),
        };
        let (mut kept, mut sent) = (Vec::new(), 0);
        for _ in 0..row.connections {
            let taken = timeout(Duration::from_secs(5), take(&proxy, &greedy, row.take)).await;
            if let Ok(Some((one, bytes))) = taken {
                kept.push(one);
                sent += bytes;
            }
        }
        // Until nothing more is read.
        let is_still = || {
            let before = (proxy.memory_kib(), proxy.files());
            std::thread::sleep(Duration::from_millis(200));
            before == (proxy.memory_kib(), proxy.files())
        };
        proxy.wait("all to be taken", is_still).await;
        let grown = proxy.memory_kib().saturating_sub(memory);
        let opened = proxy.files().saturating_sub(files);
        println!("{what}: {sent} bytes sent, {grown} KiB, {opened} files");
        let most = 2 * (sent as u64 >> 10) + row.connections as u64 * row.each_kib + OTHER_KIB;
        assert!(grown <= most, "{what}: {grown} KiB, where {most} are allowed for {sent} bytes");
        assert!(opened <= 2 * row.connections + 16, "{what}: {opened} files");
        another_is_served(&proxy, &greedy, &what).await;
        drop(kept);
    }
}
