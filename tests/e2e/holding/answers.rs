//! A session that moves leaves its backend when that has answered, also one that says nothing more
//! once it has read a Close.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::actors::Certificates;
use crate::commands::meanwhile;

/// How long a backend has what it is to answer.
const THOUGHT: Duration = Duration::from_millis(20);

/// Echoes each message after a moment. Meanwhile it reads on, as Python's `websockets` does, and
/// once that finds a Close nothing more can be said: the answer is lost.
async fn forgetful() -> Backend {
    Backend::sessions(async |mut session: Session| {
        let Ok(mut message) = session.next().await else { return };
        loop {
            let meanwhile = tokio::time::timeout(THOUGHT, session.next()).await;
            let next = match meanwhile {
                Err(_) => None,
                Ok(Ok(next)) => Some(next),
                Ok(Err(_)) => return,
            };
            if session.try_send(message).await.is_err() {
                return;
            }
            message = match next {
                Some(next) => next,
                None => match session.next().await {
                    Ok(next) => next,
                    Err(_) => return,
                },
            };
        }
    })
    .await
}

/// Asks, and waits for each answer, until it is told to stop.
async fn talk(session: &mut Session, is_over: &Cell<bool>) {
    for number in 0.. {
        if is_over.get() {
            return;
        }
        session.echo(number.to_string()).await;
    }
}

#[tokio::test]
async fn no_answer_is_lost_where_sessions_move_by_plan() {
    let (one, two) = (forgetful().await, forgetful().await);
    let certificates = Certificates::new(&["localhost"]);
    let front = |backends: &[&Backend]| {
        let site = holding(backends, "").table("[control]\nsocket = \"control.sock\"");
        site.listener("http2.h2c = true").https(&[&certificates], "")
    };
    let proxy = Proxy::start(&front(&[&one, &two])).await;
    let mut clients = Clients::open(&proxy, &certificates).await;
    let all = clients.sessions.len();
    let [first, second] = [&one, &two].map(|backend| backend.address().to_string());
    let is_over = Cell::new(false);
    let order = async |words: &[&str]| {
        let (code, out, err) = meanwhile(proxy.dir(), words).await;
        assert_eq!((code, err.as_str()), (0, ""), "{words:?}: {out}");
    };
    let moving = async {
        for _ in 0..2 {
            order(&["move", "--from", &first, "--wait"]).await;
            order(&["enable", "--backend", &first]).await;
            order(&["drain", "--backend", &second, "--wait"]).await;
            order(&["enable", "--backend", &second]).await;
            let asked = two.heads().len();
            proxy.reload(&front(&[&two])).await.unwrap();
            until("sessions on the other", || two.heads().len() == asked + all).await;
            proxy.reload(&front(&[&one, &two])).await.unwrap();
        }
        is_over.set(true);
    };
    tokio::join!(join_all(clients.sessions.iter_mut().map(|one| talk(one, &is_over))), moving);
    clients.echo("still here").await;
    assert!(one.heads().len() + two.heads().len() >= all * 5, "they moved");
    drop(clients);
    proxy.stop().await;
}
