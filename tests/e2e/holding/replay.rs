//! An application that comes back by itself: its opening is said again, the answer swallowed.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::time::{sleep, timeout};

use super::*;
use crate::actors::{Ending, Wire, granted};

// Proven as soon as it has passed a message: it is lost again and again.
const KEYS: &str = "replay_first = 1, swallow_first = 1, swallow_timeout = \"2s\", \
                    proof_time = \"1ms\"";

type Log = Arc<Mutex<Vec<String>>>;

/// A backend, at this address or any, that does with each session what `script` says, and then
/// echoes; it keeps what `script` and the echo were sent.
async fn keeping<F>(
    address: Option<SocketAddr>,
    script: impl Fn(Session, Log) -> F + Send + Sync + 'static,
) -> (Backend, Log)
where
    F: Future<Output = Option<Session>> + Send + 'static,
{
    let log = Log::default();
    let sent = Arc::clone(&log);
    let script = Arc::new(script);
    let script = move |head: Head, mut wire: Wire| {
        let (sent, script) = (Arc::clone(&sent), Arc::clone(&script));
        async move {
            wire.write_all(granted(&head).as_bytes()).await.unwrap();
            let session = Session::server(wire).await;
            let Some(mut session) = script(session, Arc::clone(&sent)).await else { return };
            while let Ok(message) = session.forward().await {
                sent.lock().unwrap().push(message.to_string());
            }
        }
    };
    let backend = match address {
        Some(address) => Backend::script_at(address, script).await,
        None => Backend::script(script).await,
    };
    (backend, log)
}

/// Answers `login NAME` with `welcome NAME`. What is not logged in is closed. One that is `mute`
/// does not welcome.
async fn welcoming(address: Option<SocketAddr>, mute: bool) -> (Backend, Log) {
    keeping(address, move |mut session, sent| async move {
        let login = session.next().await.ok()?.to_string();
        sent.lock().unwrap().push(login.clone());
        let Some(name) = login.strip_prefix("login ") else {
            session.close(4003, "not logged in").await;
            return None;
        };
        if !mute {
            session.send(format!("welcome {name}")).await;
        }
        Some(session)
    })
    .await
}

#[tokio::test]
async fn the_login_is_said_again_its_answer_is_not_seen_again_and_kept_messages_wait_for_it() {
    let (backend, _) = welcoming(None, false).await;
    let proxy = Proxy::start(&holding(&[&backend], KEYS)).await;
    let mut session = proxy.client().open().await;
    session.send("login me").await;
    assert_eq!(session.text().await, "welcome me");
    session.echo("before").await;
    let mut address = backend.kill().await;
    for _ in 0..3 {
        until_held(&proxy, 1).await;
        send_all(&mut session, &["kept", "too"]).await;
        let (backend, log) = welcoming(Some(address), false).await;
        assert_eq!(texts(&mut session, 2).await, ["kept", "too"]);
        session.echo("after").await;
        assert_eq!(*log.lock().unwrap(), ["login me", "kept", "too", "after"]);
        // It is proven when this has passed.
        sleep(Duration::from_millis(5)).await;
        address = backend.kill().await;
    }
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_ends_the_session() {
    let (backend, _) = welcoming(None, false).await;
    let proxy = Proxy::start(&holding(&[&backend], KEYS)).await;
    let mut session = proxy.client().open().await;
    session.send("login me").await;
    assert_eq!(session.text().await, "welcome me");
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    let (_backend, log) = welcoming(Some(address), true).await;
    let ending = session.ending().await;
    assert!(matches!(ending, Ending::Close(1012, _)), "{ending:?}");
    assert_eq!(*log.lock().unwrap(), ["login me"]);
    proxy.stop().await;
}

#[tokio::test]
async fn an_opening_too_long_to_keep_is_not_held() {
    let (backend, _) = welcoming(None, false).await;
    let keys = "replay_first = 1, replay_bytes_max = \"10B\"";
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut session = proxy.client().open().await;
    session.send("login somebody with a long name").await;
    session.text().await;
    backend.kill().await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    proxy.stop().await;
}

/// Reads two messages before it answers them both, if `at_once`; else answers the first, and writes
/// down when the second comes before that.
async fn opening(address: Option<SocketAddr>, at_once: bool) -> (Backend, Log) {
    keeping(address, move |mut session, sent| async move {
        let first = session.next().await.ok()?;
        sent.lock().unwrap().push(first.to_string());
        let patience = if at_once { Duration::from_secs(20) } else { Duration::from_millis(300) };
        if let Ok(Ok(early)) = timeout(patience, session.next()).await {
            sent.lock().unwrap().push(format!("{early} at once"));
        }
        session.send("welcome").await;
        Some(session)
    })
    .await
}

#[tokio::test]
async fn what_answered_an_answer_waits_for_it_again() {
    let keys = "replay_first = 2, swallow_first = 1";
    let (backend, _) = opening(None, false).await;
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut session = proxy.client().open().await;
    session.send("login").await;
    assert_eq!(session.text().await, "welcome");
    session.echo("subscribe").await;
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    session.send("kept").await;
    let (_backend, log) = opening(Some(address), false).await;
    // Its answer to the second is not among those swallowed.
    assert_eq!(texts(&mut session, 2).await, ["subscribe", "kept"]);
    assert_eq!(*log.lock().unwrap(), ["login", "subscribe", "kept"]);
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn what_was_sent_without_waiting_is_so_again() {
    let keys = "replay_first = 2, swallow_first = 1";
    let (backend, _) = opening(None, true).await;
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut session = proxy.client().open().await;
    send_all(&mut session, &["login", "subscribe"]).await;
    assert_eq!(session.text().await, "welcome");
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    session.send("kept").await;
    let (_backend, log) = opening(Some(address), true).await;
    assert_eq!(session.text().await, "kept");
    assert_eq!(*log.lock().unwrap(), ["login", "subscribe at once", "kept"]);
    drop(session);
    proxy.stop().await;
}
