//! `tidegate tail`: the frames of chosen sessions, as they pass.

use std::process::ChildStdout;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::access::ways::{Asker, both};
use crate::actors::{Certificates, frame, within};
use crate::proxy::Proxy;
use crate::site::{Site, site};

const MASK: [u8; 4] = [1, 2, 3, 4];

/// A proxy whose route labels by query, with its operator's socket in a directory.
async fn watched(site: Site, control: &str) -> (Proxy, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let table = format!("[control]\nsocket = \"{}\"\n{control}\n", socket.display());
    let site = site.table(&table).route("labels = { user = \"{query.user}\" }");
    (Proxy::start(&site.route("relay = { ping_interval = false }")).await, dir)
}

/// A tail that runs, and its lines as they come.
struct Tail {
    running: Running,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Tail {
    /// Begins one that is set already when this returns.
    async fn begin(dir: &TempDir, words: &[&str]) -> Tail {
        let words = [&["tail", "--socket", "control.sock"], words].concat();
        let mut running = Running::start(dir.path(), &words);
        let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
        let mut said = BufReader::new(running.0.stderr.take().unwrap());
        let watching = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            said.read_line(&mut line).map(|_| (line, said.into_inner()))
        });
        let (line, said) = within("a tail", watching).await.unwrap().unwrap();
        assert!(line.starts_with("watching "), "{line}");
        running.0.stderr = Some(said);
        Tail { running, lines }
    }

    /// The next so many lines, as JSON.
    async fn next(self, count: usize) -> (Tail, Vec<Value>) {
        let read = tokio::task::spawn_blocking(move || {
            let Tail { running, mut lines } = self;
            let rows = lines.by_ref().take(count).map(|line| line.unwrap());
            let rows = rows.map(|line| serde_json::from_str(&line).unwrap()).collect();
            (Tail { running, lines }, rows)
        });
        within("frames", read).await.unwrap()
    }

    /// What else it says until it is ended.
    async fn rest(self) -> Vec<String> {
        self.running.signal(libc::SIGINT);
        let read = tokio::task::spawn_blocking(|| self.lines.map(|line| line.unwrap()).collect());
        within("its end", read).await.unwrap()
    }

    async fn end(self) -> (Option<i32>, String) {
        self.running.signal(libc::SIGINT);
        tokio::task::spawn_blocking(move || self.running.end()).await.unwrap()
    }
}

/// A row without what differs from run to run.
fn row(told: &Value) -> Value {
    json!([
        told["from"],
        told["to"],
        told["opcode"],
        told["fin"],
        told["rsv1"],
        told["length"],
        told["text"],
    ])
}

#[tokio::test]
async fn the_frames_of_every_carrier_are_told_and_those_of_others_are_not() {
    let certificates = Certificates::new(&["localhost"]);
    let backends = [Backend::echo("one").await];
    let site = both(site(&backends.each_ref()), &certificates);
    let (proxy, dir) = watched(site, "tail_payload = \"4B\"").await;
    let asker = |user: &str| Asker::new(&proxy, &certificates).path(&format!("/?user={user}"));
    let mut plain = asker("ada").client(false).open().await;
    let mut secure = asker("ada").client(true).open().await;
    let mut streams = asker("ada").streams(true).await;
    let mut on_stream = streams.open_by(asker("ada").handshake()).await;
    let mut other = asker("bob").client(false).open().await;
    let tail = Tail::begin(&dir, &["--label", "user=ada", "--payload", "--json"]).await;
    let mut tail = tail;
    for (name, session) in [("plain", &mut plain), ("tls", &mut secure), ("h2", &mut on_stream)] {
        other.echo("not shown").await;
        session.echo("hello").await;
        let (again, said) = tail.next(2).await;
        tail = again;
        let up = json!(["client", "upstream", "text", true, false, 5, "hell"]);
        let down = json!(["upstream", "client", "text", true, false, 5, "hell"]);
        assert_eq!(said.iter().map(row).collect::<Vec<_>>(), [up, down], "{name}");
        assert!(said[1]["after_ms"].is_u64() && said[0]["session"] == said[1]["session"]);
    }
    // One that opens later is shown from its first frame on.
    let mut later = asker("ada").client(true).open().await;
    later.echo("later").await;
    let (tail, said) = tail.next(2).await;
    assert_eq!(said[0]["text"], "late", "{said:?}");
    assert_eq!((said[0]["after_ms"].is_null(), said.len()), (true, 2));
    let (code, said) = tail.end().await;
    assert_eq!((code, said.as_str()), (Some(0), ""));
    drop((plain, secure, on_stream, later, other, streams));
    proxy.stop().await;
}

#[tokio::test]
async fn fragments_control_frames_and_ours_are_told_as_they_are() {
    let backend = Backend::echo("one").await;
    let (proxy, dir) = watched(site(&[&backend]), "").await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("hello").await;
    let listed = meanwhile(dir.path(), &["sessions", "--json", "--socket", "control.sock"]).await;
    let listed: Value = serde_json::from_str(&listed.1).unwrap();
    let id = listed["sessions"][0]["id"].as_str().unwrap();
    let tail = Tail::begin(&dir, &["--session", id, "--json"]).await;
    let mut said = frame(0x01, b"in two ", Some(MASK));
    said.extend(frame(0x89, b"?", Some(MASK)));
    // Its header is cut, and so is its payload.
    let rest = frame(0x80, &[b'x'; 300], Some(MASK));
    said.extend(&rest[..1]);
    session.wire().write_all(&said).await.unwrap();
    session.wire().flush().await.unwrap();
    let (tail, rows) = tail.next(3).await;
    let (up, down) = (("client", "upstream"), ("upstream", "client"));
    let is = |row: &Value, (from, to): (&str, &str), opcode: &str, fin: bool, length: u64| {
        let says = (&row["from"], &row["to"], &row["opcode"], &row["fin"], &row["length"]);
        let wanted = (from.into(), to.into(), opcode.into(), fin.into(), length.into());
        assert_eq!(says, (&wanted.0, &wanted.1, &wanted.2, &wanted.3, &wanted.4), "{row}");
        assert!(row["text"].is_null() && row["hex"].is_null(), "no payload is shown: {row}");
    };
    is(&rows[0], up, "text", false, 7);
    is(&rows[1], up, "ping", true, 1);
    is(&rows[2], down, "pong", true, 1);
    session.wire().write_all(&rest[1..200]).await.unwrap();
    session.wire().write_all(&rest[200..]).await.unwrap();
    let (tail, rows) = tail.next(2).await;
    is(&rows[0], up, "continuation", true, 300);
    is(&rows[1], down, "text", true, 307);
    // A Close of ours to each side, and their answers, which stay with us.
    let kicked = meanwhile(dir.path(), &["kick", id, "--socket", "control.sock"]).await;
    assert_eq!(kicked.0, 0, "{kicked:?}");
    assert!(matches!(session.ending().await, Ending::Close(1008, _)));
    let (tail, rows) = tail.next(4).await;
    let mut ways: Vec<(&str, &str)> = Vec::new();
    for row in &rows {
        assert_eq!(row["opcode"], "close", "{row}");
        ways.push((row["from"].as_str().unwrap(), row["to"].as_str().unwrap()));
    }
    ways.sort_unstable();
    let (client, upstream) = (("client", "tidegate"), ("upstream", "tidegate"));
    assert_eq!(ways, [client, ("tidegate", "client"), ("tidegate", "upstream"), upstream]);
    // It was the last that was named.
    let (code, said) = tokio::task::spawn_blocking(move || tail.running.end()).await.unwrap();
    assert_eq!((code, said.as_str()), (Some(0), "no session is left\n"));
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_that_moves_takes_its_tap_along() {
    let backends = [Backend::echo("one").await, Backend::echo("two").await];
    let toml = site(&backends.each_ref()).pool("balance = \"round_robin\"");
    let (proxy, dir) = watched(toml.route("hold = { resume = \"always\" }"), "").await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("hello").await;
    let tail = Tail::begin(&dir, &["--route", "all", "--json"]).await;
    let from = if backends[0].connections() == 1 { 0 } else { 1 };
    let [from, to] = [from, 1 - from].map(|at| backends[at].address().to_string());
    let left = Tail::begin(&dir, &["--backend", &from, "--json"]).await;
    let reached = Tail::begin(&dir, &["--backend", &to, "--json"]).await;
    let words = ["move", "--from", &from, "--wait", "--socket", "control.sock"];
    let (code, out, err) = meanwhile(dir.path(), &words).await;
    assert_eq!((code, out.contains("finished: 1 moved")), (0, true), "{out}{err}");
    session.echo("at the new one").await;
    // What is said of a backend is of who is there: to the end, and from the beginning on.
    let texts = |rows: &[Value]| rows.iter().filter(|row| row["opcode"] == "text").count();
    assert_eq!(texts(&reached.next(2).await.1), 2);
    let (left, rows) = left.next(2).await;
    assert_eq!((texts(&rows), left.rest().await), (0, Vec::<String>::new()), "{rows:?}");
    let (_tail, rows) = tail.next(4).await;
    let rows: Vec<_> = rows.iter().map(|row| (&row["from"], &row["to"], &row["opcode"])).collect();
    let is = |(from, to, opcode): (&Value, &Value, &Value), wanted: [&str; 3]| {
        assert_eq!([from, to, opcode], wanted.map(|word| json!(word)).each_ref());
    };
    is(rows[0], ["tidegate", "upstream", "close"]);
    is(rows[1], ["upstream", "tidegate", "close"]);
    is(rows[2], ["client", "upstream", "text"]);
    is(rows[3], ["upstream", "client", "text"]);
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_session_has_the_tails_of_who_it_is_now() {
    let backend = Backend::echo("one").await;
    let api = "[listeners.internal]\naddress = \"127.0.0.3:0\"\n\
               [[routes]]\nlistener = \"internal\"\napi = { routes = \"all\" }\n";
    let (proxy, dir) = watched(site(&[&backend]).table(api), "").await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("hello").await;
    let api = proxy.client_of("internal");
    let (_, listed) = api.clone().path("/v1/sessions").request("GET", "").await;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let path = format!("/v1/sessions/{}", listed["sessions"][0]["id"].as_str().unwrap());
    let is_now = async |user: &str| {
        let patch = json!({ "labels": { "user": user } }).to_string();
        assert_eq!(api.clone().path(&path).request("PATCH", &patch).await.0.status(), 200);
    };
    let mut ada = Tail::begin(&dir, &["--label", "user=ada", "--json"]).await;
    let mut bob = Tail::begin(&dir, &["--label", "user=bob", "--json"]).await;
    let lengths =
        |rows: &[Value]| rows.iter().map(|row| row["length"].as_u64()).collect::<Vec<_>>();
    for round in 1..4 {
        is_now("bob").await;
        session.echo("b".repeat(10 + round)).await;
        let (again, rows) = bob.next(2).await;
        assert_eq!(lengths(&rows), [Some(10 + round as u64); 2]);
        bob = again;
        is_now("ada").await;
        session.echo("a".repeat(20 + round)).await;
        let (again, rows) = ada.next(2).await;
        assert_eq!(lengths(&rows), [Some(20 + round as u64); 2]);
        ada = again;
    }
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn what_is_not_shown_is_said_and_others_wait_for_nothing() {
    let backend = Backend::echo("one").await;
    let (proxy, dir) = watched(site(&[&backend]), "").await;
    let mut session = proxy.client().path("/?user=ada").open().await;
    session.echo("hello").await;
    let tail = Tail::begin(&dir, &["--all", "--json"]).await;
    // More than a ring holds, in less time than it is read in.
    let burst: Vec<u8> = frame(0x82, b"", Some(MASK)).repeat(20_000);
    session.wire().write_all(&burst).await.unwrap();
    session.wire().flush().await.unwrap();
    for _ in 0..20_000 {
        session.next().await.unwrap();
    }
    let (mut tail, mut shown, mut lost) = (tail, 0, 0);
    while shown + lost < 40_000 {
        let (again, rows) = tail.next(1).await;
        tail = again;
        match rows[0]["lost"].as_u64() {
            Some(count) => lost += count,
            None => shown += 1,
        }
    }
    assert!(shown >= 1_024 && lost > 0 && shown + lost == 40_000, "{shown} shown, {lost} lost");
    assert_eq!(tail.end().await.0, Some(0));
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn what_a_tail_cannot_do_is_said() {
    let backend = Backend::echo("one").await;
    let (proxy, dir) = watched(site(&[&backend]), "").await;
    let gone = "0123456789ab-00000000000000ff";
    for (words, exit, says) in [
        (&["--session", gone][..], 4, "no live session matches"),
        (&["--session", "x"], 2, "an id is 12 and 16 hexadecimal digits"),
        (&["--label", "user"], 2, "NAME=VALUE"),
        (&["--route", "/gone"], 4, "no such route: `/gone`"),
        (&["--all", "--payload"], 4, "`tail_payload` of `[control]`"),
        (&[], 2, "--session"),
    ] {
        let words = [&["tail", "--socket", "control.sock"], words].concat();
        let (code, out, err) = tidegate(dir.path(), &words);
        assert_eq!((code, out.as_str(), err.contains(says)), (exit, "", true), "{words:?}: {err}");
    }
    // As many as there may be; then one ends.
    let mut tails = Vec::new();
    for _ in 0..16 {
        tails.push(Tail::begin(&dir, &["--all"]).await);
    }
    let one_more = ["tail", "--all", "--socket", "control.sock"];
    let (code, _, err) = tidegate(dir.path(), &one_more);
    assert_eq!((code, err.contains("as many as one process may have")), (4, true), "{err}");
    assert_eq!(tails.pop().unwrap().end().await.0, Some(0));
    tails.push(Tail::begin(&dir, &["--all"]).await);
    drop(tails);
    proxy.stop().await;
}
