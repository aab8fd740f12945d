//! A new upstream is believed only after a while; until then the session pays for it, not the
//! backend, and the client hears nothing that would keep it from coming again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;

use super::*;
use crate::actors::{Ending, Wire, granted};

/// Grants every handshake, with `confirmed` added to those that resume, then does with each session
/// what `script` says; whether it is the first is told it.
async fn resuming<F, Fut>(confirms: bool, script: F) -> Backend
where
    F: Fn(Session, bool) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let script = Arc::new(script);
    Backend::script(move |head, mut wire: Wire| {
        let script = Arc::clone(&script);
        async move {
            let resume = head.get("tidegate-resume").to_owned();
            let mut answer = granted(&head);
            if confirms && !resume.is_empty() {
                answer = answer.replacen("\r\n", &format!("\r\nTidegate-Resume: {resume}\r\n"), 1);
            }
            wire.write_all(answer.as_bytes()).await.unwrap();
            script(Session::server(wire).await, resume.is_empty()).await;
        }
    })
    .await
}

/// Lets go of a session's first upstream when it is spoken to, then does what `later` says.
async fn then<F, Fut>(confirms: bool, later: F) -> Backend
where
    F: Fn(Session) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let later = Arc::new(later);
    resuming(confirms, move |mut session, is_first| {
        let later = Arc::clone(&later);
        async move {
            match is_first {
                true if session.next().await.is_ok() => session.reset(),
                true => {}
                false => later(session).await,
            }
        }
    })
    .await
}

async fn echoes(mut session: Session) {
    while session.forward().await.is_ok() {}
}

#[tokio::test]
async fn a_backend_that_closes_each_session_as_it_comes_is_asked_a_bounded_number_of_times() {
    let backend = then(false, |session| async move {
        session.close(1013, "not now").await;
    })
    .await;
    let keys = "timeout = \"2s\", resumptions_per_minute_max = 6";
    let proxy = Proxy::start(&holding(&[&backend], keys)).await;
    let mut session = proxy.client().open().await;
    session.send("go").await;
    let since = Instant::now();
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    let took = since.elapsed();
    assert!(took >= Duration::from_millis(1900), "after {took:?}");
    // Its own, and those that resumed it.
    assert!((3..=7).contains(&backend.heads().len()), "{} handshakes", backend.heads().len());
    proxy.stop().await;
}

#[tokio::test]
async fn a_message_that_two_upstreams_were_lost_with_is_not_sent_a_third_time() {
    let delivered = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&delivered);
    let backend = Backend::sessions(move |mut session| {
        let count = Arc::clone(&count);
        async move {
            if session.next().await.is_ok() {
                count.fetch_add(1, Relaxed);
                session.reset();
            }
        }
    })
    .await;
    let proxy = Proxy::start(&holding(&[&backend], "replay_first = 1")).await;
    let mut session = proxy.client().open().await;
    session.send("poison").await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    assert_eq!(delivered.load(Relaxed), 2);
    proxy.stop().await;
}

#[tokio::test]
async fn by_default_a_session_goes_on_where_a_backend_confirms_it() {
    let backend = then(true, echoes).await;
    let proxy = Proxy::start(&site(&[&backend]).route("hold = {}")).await;
    let mut session = proxy.client().open().await;
    session.send("go").await;
    last_head(&backend, 2).await;
    session.echo("after").await;
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn by_default_a_backend_that_does_not_confirm_sends_the_client_to_come_again() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend]).route("hold = {}")).await;
    let mut session = proxy.client().open().await;
    session.echo("before").await;
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    session.send("kept").await;
    // Not before there is a backend to come to.
    let backend = Backend::echo_at("b", address).await;
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    assert_eq!(backend.heads().len(), 1);
    assert!(received(&backend).is_empty());
    proxy.client().open().await.echo("again").await;
    proxy.stop().await;
}

#[tokio::test]
async fn what_replays_its_opening_needs_no_confirmation() {
    let backend = Backend::echo("a").await;
    let proxy = Proxy::start(&site(&[&backend]).route("hold = { replay_first = 1 }")).await;
    let mut session = proxy.client().open().await;
    session.echo("login").await;
    let address = backend.kill().await;
    until_held(&proxy, 1).await;
    let _backend = Backend::echo_at("b", address).await;
    assert_eq!(session.text().await, "login");
    drop(session);
    proxy.stop().await;
}

#[tokio::test]
async fn a_close_right_after_a_resumption_reads_as_1012_whatever_its_code() {
    for code in [None, Some(1000), Some(1008), Some(4401)] {
        let backend = then(false, move |mut session| async move {
            match code {
                Some(code) => drop(session.close(code, "who are you?").await),
                None => {
                    session.wire().write_all(&[0x88, 0]).await.unwrap();
                    drop(session.ending().await);
                }
            }
        })
        .await;
        let proxy = Proxy::start(&holding(&[&backend], "")).await;
        let mut session = proxy.client().open().await;
        session.send("go").await;
        let ending = session.ending().await;
        assert_eq!(ending, Ending::Close(1012, "upstream_lost".into()), "{code:?}");
        assert_eq!(backend.heads().len(), 2);
        proxy.stop().await;
    }
}

#[tokio::test]
async fn a_proven_upstream_closes_with_its_own_code() {
    let backend = then(false, |mut session| async move {
        let Ok(_) = session.forward().await else { return };
        tokio::time::sleep(Duration::from_millis(300)).await;
        session.close(4401, "expired").await;
    })
    .await;
    let proxy = Proxy::start(&holding(&[&backend], "proof_time = \"200ms\"")).await;
    let mut session = proxy.client().open().await;
    session.send("go").await;
    last_head(&backend, 2).await;
    session.echo("after").await;
    assert_eq!(session.ending().await, Ending::Close(4401, "expired".into()));
    proxy.stop().await;
}
