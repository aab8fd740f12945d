//! The record's lines, as a log would hold them.

use std::io::Write;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tracing::Dispatch;
use tracing_subscriber::fmt::MakeWriter;

use super::actors::Ending;
use super::*;
use crate::config::plan::{Hold, Networks};
use crate::live::tests::plan::hold;
use crate::observe::log::ACCESS;

/// Keeps what is written.
#[derive(Clone, Default)]
struct SessionParts(Arc<Mutex<Vec<u8>>>);

impl Write for SessionParts {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for SessionParts {
    type Writer = SessionParts;

    fn make_writer(&'a self) -> SessionParts {
        self.clone()
    }
}

impl SessionParts {
    /// The fields of the access lines so far.
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.filter(|line| line["target"] == ACCESS).map(|line| line["fields"].clone()).collect()
    }
}

/// Keeps what the proxy's worker logs from now on.
async fn log_of(proxy: &Proxy) -> SessionParts {
    let kept = SessionParts::default();
    let writer = kept.clone();
    // While there is one subscriber at most, whichever thread comes by a line first decides for
    // good whether it is ever written: that of another test, which has none, says no.
    static SECOND: OnceLock<Dispatch> = OnceLock::new();
    SECOND.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
    let start = move |_| {
        let lines = tracing_subscriber::fmt().json().with_writer(writer.clone()).finish();
        // For as long as the worker's thread lives.
        std::mem::forget(tracing::subscriber::set_default(lines));
    };
    proxy.workers.queues().ask_all(start).await;
    kept
}

#[tokio::test]
async fn a_session_has_a_line_when_it_opens_and_one_when_it_has_ended() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let log = log_of(&proxy).await;
    let client = proxy.client().field("Sec-WebSocket-Protocol", "chat");
    let mut session = client.open().await;
    session.echo("hello").await;
    session.close(4000, "").await;
    proxy.is_quiet().await;
    let lines = log.lines();
    let [opened, ended] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(
        (&opened["event"], &ended["event"]),
        (&"session_opened".into(), &"session_ended".into())
    );
    for line in &lines {
        assert_eq!(line["session"], opened["session"]);
        assert_eq!((&line["route"], &line["pool"]), (&"/".into(), &"pool".into()));
        assert_eq!(line["backend"], backend.address().to_string());
        assert!(line["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    }
    assert_eq!(opened["subprotocol"], "chat");
    assert_eq!((&ended["end"], &ended["by"]), (&"client_closed".into(), &"client".into()));
    for side in ["client", "upstream"] {
        assert_eq!(ended[format!("{side}_sent")], 4000, "{side}");
        assert_eq!(ended[format!("{side}_was_sent")], 4000, "{side}");
    }
    assert_eq!((&ended["client_messages"], &ended["upstream_messages"]), (&1.into(), &1.into()));
}

#[tokio::test]
async fn a_held_session_that_ends_says_what_ran_out() {
    let backend = Backend::echo("one").await;
    let age = Duration::from_millis(50);
    let hold = Hold { message_age_max: age, ..hold() };
    let proxy = Proxy::before(&[&backend], |plan| {
        route_of(plan).hold = Some(Arc::new(hold));
    })
    .await;
    let log = log_of(&proxy).await;
    let mut session = proxy.client().open().await;
    session.echo("hello").await;
    drop(backend);
    let events = || -> Vec<Value> { log.lines().iter().map(|one| one["event"].clone()).collect() };
    until("its hold", || events().contains(&"session_held".into())).await;
    session.send("too old before somebody comes").await;
    assert_eq!(session.ending().await, Ending::Close(1012, "upstream_lost".into()));
    proxy.is_quiet().await;
    assert_eq!(
        events(),
        ["session_opened", "session_held", "session_not_resumed", "session_ended"]
    );
    assert_eq!(log.lines()[2]["why"], "too_old");
}

#[tokio::test]
async fn a_request_has_one_line_with_what_is_behind_a_failure() {
    let backend = Backend::echo("one").await;
    let proxy = Proxy::before(&[&backend], |_| {}).await;
    let log = log_of(&proxy).await;
    proxy.client().path("/x?y").request("POST", "hello").await;
    drop(backend);
    until("the backend's death", || std::net::TcpStream::connect(pool_address(&proxy)).is_err())
        .await;
    proxy.client().handshake().await;
    proxy.is_quiet().await;
    let lines = log.lines();
    let [request, handshake] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&request["method"], &request["uri"]), (&"POST".into(), &"/x?…".into()));
    assert_eq!((&request["status"], &request["whole"]), (&200.into(), &true.into()));
    assert_eq!((&request["host"], &request["why"]), (&"localhost".into(), &Value::Null));
    assert_eq!((&handshake["status"], &handshake["why"]), (&503.into(), &"refused".into()));
    assert!(handshake["detail"].as_str().unwrap().contains("no connection to"), "{handshake}");
    let cells = Arc::clone(&proxy.app.live.now().routes[0].cells);
    assert_eq!(cells.totals.handshakes_failed.get("refused"), 1);
}

fn pool_address(proxy: &Proxy) -> String {
    proxy.app.live.now().pools["pool"].backends()[0].address().to_string()
}

#[test]
fn who_asks_is_told_by_trusted_proxies_only() {
    let mut conn = Conn {
        listener: Arc::new(listener("http", 80)),
        cells: Arc::default(),
        peer_addr: Some(SocketAddr::from(([10, 0, 0, 1], 5000))),
        tls: None,
        permit: Rc::new(()),
    };
    let mut headers = http::HeaderMap::new();
    headers.insert("x-forwarded-for", "192.0.2.7, 10.0.0.2".parse().unwrap());
    assert_eq!(conn.client_addr(&headers), conn.peer_addr);
    let mut trusting = listener("http", 80);
    trusting.trusted_proxies = Networks { nets: vec!["10.0.0.0/8".parse().unwrap()], unix: false };
    conn.listener = Arc::new(trusting);
    assert_eq!(conn.client_addr(&headers), Some(SocketAddr::from(([192, 0, 2, 7], 0))));
    assert_eq!(conn.client_addr(&http::HeaderMap::new()), conn.peer_addr);
}
