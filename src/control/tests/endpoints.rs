use std::os::unix::fs::MetadataExt;
use std::path::Path;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::config::plan::{Admin, Control};

fn with_admin(mut plan: Plan) -> Plan {
    plan.admin = Some(Admin { address: ([127, 0, 0, 1], 0).into() });
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
    let (head, metrics) = admin.clone().path("/metrics").request("GET", "").await;
    assert_eq!(
        head.get("content-type"),
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
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
    plan.control = Some(Control { socket: socket.clone() });
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
    assert_eq!(json["sessions_let_go"], 1);

    *process.next.lock().unwrap() = Err("error: no".into());
    assert_eq!(operate(&socket, "POST", "/reload", "*/*").await, (422, "error: no\n".into()));
    assert_eq!(operate(&socket, "POST", "/reload?forse=true", "*/*").await.0, 400);
    assert_eq!(operate(&socket, "GET", "/reload", "*/*").await.0, 405);
    let (_, status) = operate(&socket, "GET", "/status", "*/*").await;
    assert!(status.contains("generation: 2\n") && status.contains("sessions: 1\n"), "{status}");
    drop(session);
    drop(process);
    assert!(!socket.exists());
}
