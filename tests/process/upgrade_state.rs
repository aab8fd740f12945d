//! What an upgrade hands over beside sockets: what an operator has set, and what was asked of the
//! process that leaves.

use std::time::{Duration, Instant};

use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{self, Crowd, Kind};
use crate::upgrade::upgraded;

fn configuration(backends: &[&Backend], more: &str) -> String {
    let addresses: Vec<&str> = backends.iter().map(|backend| &*backend.address).collect();
    format!(
        r#"
[pools.one]
backends = {addresses:?}
[[routes]]
path = "/"
pool = "one"
[upgrade]
sessions = "keep"
{more}
"#
    )
}

#[tokio::test]
async fn a_disabled_backend_stays_disabled_through_upgrades() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&[&one, &two], "")).await;
    let (code, said) = proxy.order("drain", &["--backend", &one.address]);
    assert_eq!(code, 0, "{said}");
    let disabled = || {
        proxy
            .metric(&format!("tidegate_backend_disabled{{pool=\"one\",backend=\"{}\"", one.address))
    };
    assert_eq!(disabled(), 1.0);
    for _ in 0..2 {
        upgraded(&proxy).await;
        assert_eq!(disabled(), 1.0, "{}", proxy.log());
    }
    let (code, said) = proxy.order("enable", &["--backend", &one.address]);
    assert_eq!((code, said.contains("gets new sessions again")), (0, true), "{said}");
    upgraded(&proxy).await;
    assert_eq!(disabled(), 0.0);
}

/// What an operator says, word by word; `ONE` is a backend's address, `ID` a session's id.
const ORDERS: &[(&str, &[&str])] = &[
    ("a backend is disabled, its sessions are told to go", &["drain --backend ONE --window 1d"]),
    ("it is enabled again", &["drain --backend ONE --window 1d", "enable --backend ONE"]),
    ("sessions of a route are told to go", &["drain --route / --window 1d"]),
    ("a drain that was cancelled", &["drain --route / --window 1d", "drain --cancel 1"]),
    ("all are told to go, with a code", &["drain --all --window 1d --code 4000"]),
    ("two drains", &["drain --route / --window 1d", "drain --pool one --window 2d"]),
    ("a session was kicked", &["kick ID --wait"]),
    ("sessions were moved off a backend", &["move --from ONE --wait"]),
];

/// All that an operator has set, as the newest process says it.
async fn set(proxy: &Proxy) -> Value {
    let answered = async |order: &str| {
        let (code, said) = proxy.order_meanwhile(order, &["--json"]).await;
        assert_eq!(code, 0, "{order}: {said}");
        serde_json::from_str::<Value>(&said).unwrap()
    };
    let status = answered("status").await;
    let of = |rows: &Value, names: &[&str]| -> Vec<Value> {
        let rows = rows.as_array().into_iter().flatten();
        let row = |row: &Value| names.iter().map(|name| row[*name].clone()).collect();
        let mut rows: Vec<Value> = rows.map(row).collect();
        rows.sort_by_key(Value::to_string);
        rows
    };
    let drains = of(&status["drains"], &["drain", "reason", "of", "sessions", "left", "cuts"]);
    let sessions = answered("sessions").await;
    let sessions = of(&sessions["sessions"], &["id", "client", "backend", "leaving"]);
    let metrics = proxy.get("/metrics").unwrap().1;
    let disabled = metrics.lines().filter(|line| line.starts_with("tidegate_backend_disabled{"));
    json!({ "drains": drains, "sessions": sessions, "disabled": disabled.collect::<Vec<_>>() })
}

#[tokio::test]
async fn whatever_an_operator_has_set_is_the_same_after_upgrades() {
    for (what, orders) in ORDERS {
        let (one, two) = (Backend::start(), Backend::start());
        let hold = "[drain]\ndelay = \"0s\"\nwindow = \"0s\"\n";
        let text = configuration(&[&one, &two], hold).replace("pool = \"one\"", POOL_AND_HOLD);
        let proxy = Proxy::start(&text).await;
        let mut crowd = Crowd::new();
        let kind = Kind { size_max: 64, pause: Duration::from_millis(100) };
        crowd.join(6, &proxy.plain, "/", kind).await;
        for order in *orders {
            let listed = set(&proxy).await;
            let id = listed["sessions"][0][0].as_str().unwrap().to_owned();
            let order = order.replace("ONE", &one.address).replace("ID", &id);
            let mut words = order.split(' ');
            let name = words.next().unwrap();
            let (code, said) = proxy.order_meanwhile(name, &words.collect::<Vec<_>>()).await;
            assert_eq!(code, 0, "{what}: {order}: {said}");
        }
        // What has finished is seen a moment later: at the next look at drains, four in a second.
        let mut before = set(&proxy).await;
        let mut since = Instant::now();
        while since.elapsed() < Duration::from_secs(1) {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = set(&proxy).await;
            if now != before {
                (before, since) = (now, Instant::now());
            }
        }
        for _ in 0..2 {
            upgraded(&proxy).await;
            let mut after = set(&proxy).await;
            for _ in 0..200 {
                if after == before {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                after = set(&proxy).await;
            }
            assert_eq!(after, before, "{what}");
        }
        // No number names two drains.
        let (code, said) = proxy.order("drain", &["--all", "--window", "1d", "--json"]);
        assert_eq!(code, 0, "{said}");
        let number = &serde_json::from_str::<Value>(&said).unwrap()["drain"];
        let drains = before["drains"].as_array().unwrap();
        assert!(drains.iter().all(|drain| drain[0] != *number), "{what}: {said}");
    }
}

const POOL_AND_HOLD: &str = "pool = \"one\"\nhold = { resume = \"always\" }";

#[tokio::test]
async fn a_reload_asked_of_the_old_process_is_done_by_the_new_one() {
    let one = Backend::start();
    let proxy = Proxy::start(&configuration(&[&one], "")).await;
    // It keeps the old process.
    let _session = traffic::open(&proxy.plain, "/").await.unwrap();
    upgraded(&proxy).await;
    assert_eq!(proxy.generation(), 1);
    let page = "[[routes]]\npath = \"/page\"\nrespond = { body = \"new\" }\n";
    proxy.configure(&configuration(&[&one], page));
    proxy.signal(libc::SIGHUP);
    proxy.wait("the new configuration", || proxy.generation() == 2).await;
    let passed_on = || proxy.log().contains("passed on to the process that serves");
    proxy.wait("the old process's word", passed_on).await;
    // Asked again with nothing changed, it stays as it is.
    proxy.signal(libc::SIGHUP);
    let asked = || proxy.log().matches("asked of an older process").count() == 2;
    proxy.wait("the second question", asked).await;
    assert_eq!(proxy.generation(), 2);
}

/// A TLS connection to the proxy; whether it resumed a session of an earlier one.
async fn resumes(proxy: &Proxy, connector: &TlsConnector) -> bool {
    let tcp = TcpStream::connect(&proxy.tls).await.unwrap();
    let name = ServerName::try_from("process.test").unwrap();
    let mut stream = connector.connect(name, tcp).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nHost: process.test\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    // The ticket comes before the answer.
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 "), "{}", String::from_utf8_lossy(&answer));
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

#[tokio::test]
async fn clients_resume_their_tls_sessions_with_the_new_process() {
    let page = "[[routes]]\npath = \"/\"\nrespond = { body = \"page\" }\n";
    let proxy = Proxy::start(page).await;
    let connector = proxy.connector(&[]);
    assert!(!resumes(&proxy, &connector).await);
    for _ in 0..2 {
        upgraded(&proxy).await;
        assert!(resumes(&proxy, &connector).await, "{}", proxy.log());
    }
    assert!(!proxy.log().contains("keys"), "{}", proxy.log());
}
