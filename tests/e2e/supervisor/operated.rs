//! A process with an operator's socket.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::planned::{Process, site};
use super::{Plan, pool};
use crate::actors::{Backend, within};
use crate::config::plan::Control;

/// A process with an operator's socket.
pub struct Operated {
    process: Process,
    dir: TempDir,
}

impl Deref for Operated {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}

impl Operated {
    pub fn start(mut plan: Plan) -> Operated {
        let dir = tempfile::tempdir().unwrap();
        plan.control = Some(Control {
            socket: dir.path().join("control.sock"),
            mode: crate::config::plan::FileMode::PRIVATE,
            tail_payload: 0,
        });
        plan.drain.window = Duration::ZERO;
        Operated { process: Process::start(plan), dir }
    }

    pub fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("control.sock")
    }

    pub async fn order(&self, target: &str, body: Value) -> (u16, Value) {
        let (status, answer) = send(&self.socket(), target, &body.to_string(), "json").await;
        (status, serde_json::from_str(&answer).unwrap())
    }

    /// Sessions of pool `one` on a backend, as the operator sees them.
    pub async fn on(&self, backend: &str) -> u64 {
        let who = json!({ "who": { "pool": "one", "backend": backend } });
        self.order("/sessions", who).await.1["matched"].as_u64().unwrap()
    }

    pub async fn until_on(&self, backend: &str, count: u64) {
        within("sessions to come or to go", async {
            while self.on(backend).await != count {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub async fn said(&self, target: &str, body: Value) -> String {
        send(&self.socket(), target, &body.to_string(), "text/plain").await.1
    }

    pub async fn status(&self) -> Value {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        let head = b"GET /status HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let mut answer = String::new();
        within("the status", stream.read_to_string(&mut answer)).await.unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }
}

pub async fn send(socket: &Path, target: &str, body: &str, accept: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = body.len();
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A body that is refused is not read to its end.
    let _ = stream.write_all(body.as_bytes()).await;
    let mut answer = String::new();
    within("the operator's answer", stream.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

pub fn addresses(backends: &[&Backend]) -> Vec<String> {
    backends.iter().map(|backend| backend.address().to_string()).collect()
}

/// Two backends in one pool behind `/one`.
pub fn pair(one: &Backend, two: &Backend) -> Plan {
    let mut plan = site(&[("one", one)]);
    plan.pools = vec![Arc::new(pool("one", &[one.address(), two.address()]))];
    plan
}
