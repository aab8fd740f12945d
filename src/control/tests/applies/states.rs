//! Each key, and each state that a reload may meet: a connection kept alive, a handshake under way,
//! a drain under way, a session whose upstream is away. What is new answers as in a process that
//! was started with the new configuration; what was there goes on, or is drained, as the key's
//! class says.
//!
//! A fresh process is started for each key that changes what a request is answered. For all others
//! one stands, that of the base.

use std::collections::HashMap;

use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::operated::send;
use super::*;
use crate::actors::{Head, Wire, granted, read_body};

/// The base, with sessions that are held on `/chat`.
const HOLD: &str =
    "hold = { timeout = \"10m\", message_age_max = \"10m\", resume = \"always\" }\n#route";

/// Paths that are asked for, by what answers there.
const PATHS: [&str; 5] = ["/chat", "/files/none", "/old", "/page", "/nothing"];

/// Fields that differ between two processes and two moments.
fn is_its_own(name: &str) -> bool {
    ["x-forwarded-port", "via", "date", "x-request-id"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
}

/// A backend that answers a plain request with what it was sent, and a WebSocket with an echo: one
/// that asks for the gate when that is open.
async fn gated(gate: watch::Receiver<bool>) -> Backend {
    Backend::script(move |head, mut wire| {
        let mut gate = gate.clone();
        async move {
            if !head.is_upgrade() {
                let answer = sent(&head);
                let _ = wire.write_all(answer.as_bytes()).await;
                return;
            }
            if !head.get("x-gate").is_empty() {
                let _ = gate.wait_for(|is_open| *is_open).await;
            }
            if wire.write_all(granted(&head).as_bytes()).await.is_ok() {
                let mut session = Session::server(wire).await;
                while session.forward().await.is_ok() {}
            }
        }
    })
    .await
}

/// An answer with a request's head in it, but for what differs between two processes.
fn sent(head: &Head) -> String {
    let mut fields: Vec<String> = head
        .fields
        .iter()
        .filter(|(name, _)| !is_its_own(name))
        .map(|(name, value)| format!("{}: {value}", name.to_lowercase()))
        .collect();
    fields.sort();
    let body = format!("{}\n{}", head.first, fields.join("\n"));
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// What a request was answered: status, fields, body.
type Answer = (u16, Vec<(String, String)>, String);

/// Asks for each path on one connection; `None` from where it was closed.
async fn answers(client: &Client, wire: &mut Wire) -> Vec<Option<Answer>> {
    let mut answers = Vec::new();
    for path in PATHS {
        let asked = client.clone().path(path).head("GET", &[("X-Odd_Name", "1")]);
        let head = match wire.write_all(asked.as_bytes()).await {
            Ok(()) => within("an answer", Head::read(wire)).await,
            Err(_) => None,
        };
        answers.push(match head {
            None => None,
            Some(head) => {
                let body = within("a body", read_body(&head, wire)).await;
                let lasts = |(name, _): &(String, String)| !is_its_own(name);
                let status = head.status();
                Some((status, head.fields.into_iter().filter(lasts).collect(), body))
            }
        });
    }
    answers
}

/// What a process that starts with this configuration answers.
async fn fresh(site: &Written, text: &str) -> Vec<Option<Answer>> {
    let dir = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(site.dir.path()).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_file() {
            std::fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
        }
    }
    let plan = plan_of(dir.path(), "tidegate.toml", text, &site.backends).unwrap();
    let process = Process::start(plan);
    let client = process.client("/");
    answers(&client, &mut client.connect().await.unwrap()).await
}

/// Whether this key changes what is answered.
fn is_asked_by_requests(key: &str) -> bool {
    let of_listeners = ["listeners.NAME.trusted", "listeners.NAME.underscores"];
    let tables = ["pools", "routes", "sites", "limits", "include", "access"];
    tables.iter().chain(&of_listeners).any(|part| key.starts_with(part))
}

/// A handshake whose backend waits at the gate.
fn shakes_hands(site: &Written) -> JoinHandle<(Head, Wire)> {
    let client = site.process.client("/chat").field("x-gate", "1");
    #[allow(clippy::disallowed_methods)]
    tokio::spawn(async move { client.handshake().await })
}

/// A session that a drain of an hour has told to go.
async fn draining(site: &Written) -> (Session, u64) {
    let session = site.process.session("/chat").await;
    let order = r#"{ "who": { "route": "/chat" }, "window": "1h" }"#;
    let (status, told) = send(&site.dir.path().join("one.sock"), "/drain", order, "json").await;
    assert_eq!(status, 200, "{told}");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    (session, told["drain"].as_u64().unwrap())
}

/// The rows of the keys, each with its class and the text that it makes of `base`.
fn rows(base: &str) -> Vec<(String, String, String)> {
    let keys = config::keys_by_reload();
    let row = |(key, applies): (String, String)| {
        let (_, old, new) = ROWS.iter().find(|(row, ..)| *row == key)?;
        let old = if base.contains(HOLD) && key.starts_with("routes.hold") { HOLD } else { old };
        Some((key, applies, base.replace(old, new)))
    };
    // A key without a row is the other table's to find.
    keys.into_iter().filter_map(row).collect()
}

#[tokio::test]
async fn each_key_meets_connections_handshakes_and_drains_as_its_class_says() {
    let (open, gate) = watch::channel(false);
    let mut site = Written::start().await;
    site.backends[0] = gated(gate).await;
    site.reload(site.plan(BASE).unwrap()).await.unwrap();
    let of_base = fresh(&site, BASE).await;
    let mut drained: Option<(Session, u64)> = None;
    let mut faults = Vec::new();
    for (key, applies, text) in rows(BASE) {
        let (Ok(changed), base) = (site.plan(&text), site.plan(BASE).unwrap()) else { continue };
        // One that starts with it waits for its first probe.
        let is_of_start = key == "pools.NAME.health.probe.before_use";
        let new = match is_asked_by_requests(&key) && !is_of_start {
            true => fresh(&site, &text).await,
            false => of_base.clone(),
        };
        let (mut draining, number) = match drained.take() {
            Some(still) => still,
            None => draining(&site).await,
        };
        // A listener on any port that moved away and back has another.
        let client = site.process.client("/");
        let mut kept = client.connect().await.unwrap();
        assert_eq!(answers(&client, &mut kept).await, of_base, "{key}, before");
        // Of probes there are heads as well.
        let asked = || {
            let heads = site.backends[0].heads().into_iter();
            heads.filter(|head| head.all("x-gate").next().is_some()).count()
        };
        let before = asked();
        let handshake = shakes_hands(&site);
        until("the handshake", || asked() > before).await;
        site.reload(changed).await.unwrap();

        let found = answers(&client, &mut kept).await;
        let of_listener = key.starts_with("listeners");
        // A connection is its listener's as that was, until it is closed for the listener's sake.
        if !(found == new || of_listener && (found == of_base || found.contains(&None))) {
            faults.push(format!("{key}: kept alive: {found:#?}, fresh: {new:#?}"));
        }
        open.send_replace(true);
        let (head, wire) = within("the handshake's answer", handshake).await.unwrap();
        open.send_replace(false);
        let went = match head.status() {
            101 => {
                let mut session = Session::client(wire).await;
                match session.try_send("hello").await {
                    Ok(()) => session.next().await.map(|_| ()),
                    Err(_) => Err(session.ending().await),
                }
            }
            status => panic!("{key}: the handshake under way was answered {status}"),
        };
        let under_way = site.process.0.drains.under_way().iter().any(|(of, _)| *of == number);
        if applies == "drains" {
            let removed = Ending::Close(1012, "removed".into());
            if went != Err(removed.clone()) {
                faults.push(format!("{key}: the handshake under way went so: {went:?}"));
            }
            assert_eq!(draining.ending().await, removed, "{key}");
        } else {
            if went != Ok(()) || !under_way {
                faults.push(format!("{key}: handshake: {went:?}, drain under way: {under_way}"));
            }
            draining.echo("not yet").await;
            drained = Some((draining, number));
        }
        site.reload(base).await.unwrap();
        let told = crate::base::clock::now();
        until("the next millisecond", || crate::base::clock::now() > told).await;
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// A session that has no upstream, and what its client said since.
struct Held {
    session: Session,
    said: Vec<String>,
}

impl Held {
    /// Opens one, and kills its backend; the address stays.
    async fn open(site: &Written, address: SocketAddr) -> Held {
        let backend = Backend::echo_at("one", address).await;
        let session = site.process.session("/chat").await;
        backend.kill().await;
        until("the session to be held", || are_held(site) == 1).await;
        Held { session, said: Vec::new() }
    }

    async fn say(&mut self, text: &str) {
        self.session.send(text).await;
        self.said.push(text.to_owned());
    }

    /// An upstream is there: all comes back, in order.
    async fn resumed(mut self, why: &str) {
        for said in self.said {
            assert_eq!(self.session.text().await, said, "{why}");
        }
        self.session.echo("and now").await;
    }
}

fn are_held(site: &Written) -> u64 {
    let page = site.process.scrape(Exposition::OpenMetrics);
    let held: HashMap<&str, u64> = page
        .lines()
        .filter(|line| line.starts_with("tidegate_sessions_held{"))
        .filter_map(|line| line.rsplit_once(' '))
        .filter_map(|(name, value)| Some((name, value.parse().ok()?)))
        .collect();
    held.values().sum()
}

#[tokio::test]
async fn each_key_meets_a_held_session_as_its_class_says() {
    let base = BASE.replace("#route", HOLD);
    let mut site = Written::start().await;
    // No other test listens at this address, whose port is free while nothing does.
    let own = SocketAddr::from(([127, 77, 0, 1], 0));
    let dead = Backend::echo_at("one", own).await;
    let address = dead.kill().await;
    site.backends[0] = Backend::echo("nowhere").await;
    let named = |text: &str| text.replace("ONE", &address.to_string());
    site.reload(site.plan(&named(&base)).unwrap()).await.unwrap();
    let mut held: Option<Held> = None;
    for (key, applies, text) in rows(&base) {
        let Ok(changed) = site.plan(&named(&text)) else { continue };
        let mut one = match held.take() {
            Some(held) => held,
            None => Held::open(&site, address).await,
        };
        one.say(&key).await;
        site.reload(changed).await.unwrap();
        // Not on any backend, it is no pool's; its route and its listener it keeps.
        let is_drained = applies == "drains" && !key.contains("pool");
        if is_drained {
            assert_eq!(one.session.ending().await, Ending::Close(1012, "removed".into()), "{key}");
        } else if ["routes.pool", "pools.NAME.backends.backup"].contains(&key.as_str()) {
            // There is another upstream then.
            one.resumed(&key).await;
        } else {
            one.say("still here").await;
            assert_eq!(are_held(&site), 1, "{key}");
            held = Some(one);
        }
        site.reload(site.plan(&named(&base)).unwrap()).await.unwrap();
        let told = crate::base::clock::now();
        until("the next millisecond", || crate::base::clock::now() > told).await;
    }
    let back = Backend::echo_at("one", address).await;
    held.unwrap().resumed("in the end").await;
    drop(back);
}
