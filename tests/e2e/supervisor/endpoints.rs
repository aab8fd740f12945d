//! What the admin listener and the operator's socket answer.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::actors::Wire;
use crate::config::plan::{Control, Networks};

fn with_admin(mut plan: Plan) -> Plan {
    plan.admin = Some(admin());
    plan
}

async fn operate(socket: &Path, method: &str, target: &str, accept: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!("{method} {target} HTTP/1.1\r\nHost: tidegate\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within("the operator's answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn the_admin_listener_tells_metrics_and_health_and_changes_nothing() {
    let backend = Backend::echo("one").await;
    let process = Process::start(with_admin(site(&[("one", &backend)])));
    let _session = process.session("/one").await;
    let admin = Client::to(process.admin_address().unwrap());
    let page = admin.clone().path("/metrics");
    let (head, metrics) = page.clone().request("GET", "").await;
    assert_eq!(head.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    assert!(metrics.contains("# TYPE tidegate_sessions_opened_total counter\n"), "{metrics}");
    assert!(!metrics.contains("# EOF"), "{metrics}");
    let accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.3";
    let (head, metrics) = page.field("Accept", accept).request("GET", "").await;
    assert_eq!(
        head.get("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert!(metrics.ends_with("# EOF\n"), "{metrics}");
    let address = backend.address();
    for line in [
        r#"tidegate_sessions_live{route="/one"} 1"#.to_owned(),
        format!(r#"tidegate_backend_sessions{{pool="one",backend="{address}"}} 1"#),
        r#"tidegate_connections_open{listener="http"} 1"#.to_owned(),
        "tidegate_config_generation 1".to_owned(),
        "tidegate_snapshots_alive 1".to_owned(),
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
    for (method, path, status) in [
        ("GET", "/healthz", 200),
        ("GET", "/readyz", 200),
        ("POST", "/metrics", 405),
        ("POST", "/reload", 404),
    ] {
        let answer = admin.clone().path(path).request(method, "").await.0;
        assert_eq!(answer.status(), status, "{method} {path}");
    }
}

/// Whether the other end has closed a connection on which it said nothing.
async fn is_closed(wire: &mut Wire) -> bool {
    let read = tokio::time::timeout(Duration::from_millis(1), wire.read_u8());
    read.await.is_ok_and(|read| read.is_err())
}

#[tokio::test]
async fn silent_connections_silence_no_probe() {
    let process = Process::start(with_admin(site(&[])));
    let admin = Client::to(process.admin_address().unwrap());
    for begun in ["", "G", "GET /metrics HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut silent = Vec::new();
        for _ in 0..100 {
            let mut wire = admin.connect().await.unwrap();
            wire.write_all(begun.as_bytes()).await.unwrap();
            silent.push(wire);
        }
        for path in ["/healthz", "/readyz", "/metrics"] {
            let answer = admin.clone().path(path).request("GET", "").await.0;
            assert_eq!(answer.status(), 200, "{path} behind {begun:?}");
        }
        // Who came last stays: no time-out of theirs was waited for.
        let last = silent.last_mut().unwrap();
        assert!(!is_closed(last).await, "{begun:?}");
        let first = silent.first_mut().unwrap();
        within("the first to be closed", first.read_u8()).await.unwrap_err();
    }
}

#[tokio::test]
async fn scrapes_that_are_not_read_silence_no_probe() {
    let mut plan = with_admin(site(&[]));
    // A page that no socket's buffers hold.
    let long = |at| route(&format!("/{at}{}", "x".repeat(2000)), respond("x"));
    plan.routes.extend((0..40).map(long).map(Arc::new));
    let process = Process::start(plan);
    let admin = Client::to(process.admin_address().unwrap());
    let scrape = admin.clone().path("/metrics").head("GET", &[]);
    let mut unread = Vec::new();
    for _ in 0..100 {
        let mut wire = admin.connect().await.unwrap();
        wire.write_all(scrape.as_bytes()).await.unwrap();
        unread.push(wire);
    }
    let healthy = admin.clone().path("/healthz").request("GET", "").await.0;
    assert_eq!(healthy.status(), 200);
    let (head, _) = admin.clone().path("/metrics").request("GET", "").await;
    assert_eq!((head.status(), head.get("retry-after")), (503, "1"));
    drop(unread);
    let asked = || admin.clone().path("/metrics");
    let scraped = async { while asked().request("GET", "").await.0.status() != 200 {} };
    within("a scrape", scraped).await;
}

#[tokio::test]
async fn who_may_ask_changes_with_a_reload_and_the_listener_stays() {
    let process = Process::start(with_admin(site(&[])));
    let address = process.admin_address().unwrap();
    let asked = |host: &str| {
        let client = Client::to(address).host(host).path("/metrics");
        async move { client.request("GET", "").await.0.status() }
    };
    assert_eq!((asked("localhost").await, asked("ops.example.com").await), (200, 403));
    let called = "ops.example.com".into();
    taken(process.change(|plan| plan.admin.as_mut().unwrap().hosts.push(called)).await);
    assert_eq!(process.admin_address(), Some(address));
    assert_eq!((asked("localhost").await, asked("ops.example.com").await), (200, 200));
    let nobody = Networks::default();
    taken(process.change(|plan| plan.admin.as_mut().unwrap().allow = nobody).await);
    assert_eq!((asked("localhost").await, asked("ops.example.com").await), (403, 403));
}

#[tokio::test]
async fn the_admin_listener_moves_with_a_reload() {
    let process = Process::start(site(&[]));
    assert_eq!(process.admin_address(), None);
    taken(process.change(|plan| *plan = with_admin(plan.clone())).await);
    let admin = process.admin_address().unwrap();
    assert_eq!(Client::to(admin).path("/readyz").request("GET", "").await.0.status(), 200);
    taken(process.change(|plan| plan.admin = None).await);
    until("it to close", || std::net::TcpStream::connect(admin).is_err()).await;
}

#[tokio::test]
async fn the_operator_reloads_over_a_socket_that_is_the_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("control.sock");
    let backend = Backend::echo("one").await;
    let mut plan = site(&[("one", &backend)]);
    plan.control = Some(Control {
        socket: socket.clone(),
        mode: crate::config::plan::FileMode::PRIVATE,
        tail_payload: 0,
    });
    let process = Process::start(plan);
    assert_eq!(std::fs::metadata(&socket).unwrap().mode() & 0o777, 0o600);
    let session = process.session("/one").await;

    let (status, text) = operate(&socket, "POST", "/reload", "*/*").await;
    assert_eq!((status, text.lines().next().unwrap()), (200, "generation 2 is in force"));

    process.next.lock().unwrap().as_mut().unwrap().routes.truncate(1);
    let (status, text) = operate(&socket, "POST", "/reload", "*/*").await;
    assert_eq!(status, 409, "{text}");
    assert!(text.starts_with("the reload would end 1 of 1 sessions"), "{text}");
    let asked = "/reload?force=true&dry_run=true";
    let (status, json) = operate(&socket, "POST", asked, "application/json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (status, &json["outcome"], &json["generation"]),
        (200, &"dry_run".into(), &2.into())
    );
    assert_eq!(json["sessions_drained"], 1);

    *process.next.lock().unwrap() = Err("no".into());
    let refused = "error[made]: no\n\n1 error\n".to_owned();
    assert_eq!(operate(&socket, "POST", "/reload", "*/*").await, (422, refused));
    assert_eq!(operate(&socket, "POST", "/reload?forse=true", "*/*").await.0, 400);
    assert_eq!(operate(&socket, "GET", "/reload", "*/*").await.0, 405);
    let (_, status) = operate(&socket, "GET", "/status", "*/*").await;
    assert!(
        status.contains("generation 2, ") && status.contains("\nsessions       1, 0 held\n"),
        "{status}"
    );
    drop(session);
    drop(process);
    assert!(!socket.exists());
}
