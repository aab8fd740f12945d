//! A case, how it is played, and the table it stands in.

use std::fmt::Write as _;
use std::future::Future;

use tidegate::base::socket::Socket;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

pub use crate::actors::Table;
use crate::actors::{Client, Head, Wire, until, within};
use crate::proxy::Proxy;
use crate::witness::{PROBE, WELL, Witness};

/// Answers that one attack can bring about at most.
const ANSWERS_MAX: usize = 8;

/// One attack by a client.
pub struct Case {
    pub name: &'static str,
    /// The section that says what is to happen.
    pub rfc: &'static str,
    pub bytes: Vec<u8>,
    /// What the client gets: statuses, each with the target the backend answered for, then whether
    /// the connection can still be used (`kept`, shown by one more request on it) or not.
    pub outcome: &'static str,
    /// What the backend sees, `nothing` included.
    pub seen: &'static str,
}

/// A row.
pub fn case(
    name: &'static str,
    rfc: &'static str,
    bytes: impl AsRef<[u8]>,
    outcome: &'static str,
    seen: &'static str,
) -> Case {
    Case { name, rfc, bytes: bytes.as_ref().to_vec(), outcome, seen }
}

/// A request for `localhost`: its line without the version, its fields' lines, what follows.
pub fn request(line: &str, fields: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n");
    for field in fields {
        write!(head, "{field}\r\n").unwrap();
    }
    (head + "\r\n" + body).into_bytes()
}

/// Plays each case on a connection of its own, prints the table, and fails with all that is not as
/// it ought to be.
pub async fn play(family: &str, cases: &[Case], proxy: &Proxy, witness: &Witness) {
    let mut table = Table::new(family);
    for case in cases {
        let before = witness.seen().len();
        let outcome = attack(&proxy.client(), &case.bytes).await;
        let seen = match &witness.seen()[before..] {
            [] => "nothing".to_owned(),
            seen => seen.join(" | "),
        };
        table.row(
            case.name,
            case.rfc,
            &outcome,
            &seen,
            &[(case.outcome, &outcome), (case.seen, &seen)],
        );
    }
    table.settle();
    serves_as_before(proxy).await;
}

/// Says it, and tells what came of it.
pub async fn attack(client: &Client, bytes: &[u8]) -> String {
    let mut wire = client.connect().await.unwrap();
    // Who answers early may close before all was said: the answer decides.
    let _ = wire.write_all(bytes).await;
    aftermath(&mut wire, false).await
}

/// Reads what comes, then asks once more; `is_head` when the first answer is a HEAD request's.
pub async fn aftermath(wire: &mut Wire, is_head: bool) -> String {
    let (mut told, mut is_probed) = (Vec::new(), false);
    while told.len() < ANSWERS_MAX {
        let Some(head) = within("an answer or the end", Head::read(wire)).await else {
            told.push("closed".to_owned());
            break;
        };
        if head.status() == 101 {
            told.push("101".to_owned());
            break;
        }
        if head.status() < 200 {
            let informational = head.status().to_string();
            if told.last() != Some(&informational) {
                told.push(informational);
            }
            continue;
        }
        let is_bodiless = is_head && !is_probed || [204, 304].contains(&head.status());
        let body = match is_bodiless {
            true => Some(String::new()),
            false => within("a body", body(&head, wire)).await,
        };
        let is_cut = body.is_none();
        told.push(match (head.get("x-target"), body) {
            (PROBE, _) => "kept".to_owned(),
            ("", None) => format!("{}, cut", head.status()),
            // tidegate's own words are not what is asked for.
            ("", Some(body)) if body.is_empty() || head.get("cache-control") == "no-store" => {
                head.status().to_string()
            }
            ("", Some(body)) => format!("{} {body}", head.status()),
            (target, _) => format!("{} {target}", head.status()),
        });
        if is_cut || head.get("x-target") == PROBE {
            break;
        }
        if !is_probed {
            is_probed = true;
            let probe = request(&format!("GET {PROBE}"), &[], "");
            let _ = wire.write_all(&probe).await;
        }
    }
    told.join(", ")
}

/// Waits until all that was written is with the other end's system: a reset would take back what is
/// on its way.
pub fn arrival(wire: &Wire) -> impl Future<Output = ()> + Send + use<> {
    let socket = wire.get_ref().socket().try_clone().unwrap();
    let socket = Socket::from(TcpStream::from_std(socket.into()).unwrap());
    async move {
        until("what was said to arrive", || socket.unacknowledged().unwrap() == 0).await;
    }
}

/// A body by its length or in chunks; `None` when it is broken off.
pub async fn body(head: &Head, wire: &mut Wire) -> Option<String> {
    let mut body = Vec::new();
    if head.get("transfer-encoding") == "chunked" {
        loop {
            let mut line = String::new();
            wire.read_line(&mut line).await.ok()?;
            let mut chunk = vec![0; usize::from_str_radix(line.trim_end(), 16).ok()? + 2];
            wire.read_exact(&mut chunk).await.ok()?;
            if chunk.len() == 2 {
                break;
            }
            body.extend(&chunk[..chunk.len() - 2]);
        }
    } else {
        // Every answer of ours has a length, or chunks.
        let length = head.get("content-length").parse();
        body.resize(length.unwrap_or_else(|_| panic!("an answer without a length: {head:?}")), 0);
        wire.read_exact(&mut body).await.ok()?;
    }
    String::from_utf8(body).ok()
}

/// After an attack a stranger notices nothing, and nothing is left open.
pub async fn serves_as_before(proxy: &Proxy) {
    let asked = attack(&proxy.client(), &request(&format!("GET {WELL}"), &[], "")).await;
    assert_eq!(asked, format!("200 {WELL}, kept"));
    let session = proxy.client().open().await;
    session.reset();
    let line =
        |name: &str| proxy.scrape().lines().find(|line| line.starts_with(name)).map(str::to_owned);
    // No client can bring a backend into discredit.
    assert!(line("tidegate_backend_up{").unwrap().ends_with(" 1"));
    let gauges =
        ["tidegate_connections_open", "tidegate_sessions_live", "tidegate_backend_sessions"];
    until("nothing to be left open", || {
        let scrape = proxy.scrape();
        let of = |line: &&str| gauges.iter().any(|gauge| line.starts_with(gauge));
        scrape.lines().filter(of).all(|line| line.ends_with(" 0"))
    })
    .await;
}
