//! All backends of a pool are lost, at once or in turn, under the defaults.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::actors::within;

/// Sessions that speak.
const SESSIONS: usize = 40;

/// The time in which all are back, from the first backend that answers. A loaded machine has as
/// much again.
const BACK_WITHIN: Duration = Duration::from_millis(3000);

/// Opens the sessions, and lets each speak.
async fn open(proxy: &Proxy) -> Vec<Session> {
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let mut session = proxy.client().open().await;
        session.echo("before").await;
        sessions.push(session);
    }
    sessions
}

/// Dials that failed to a backend, for whatever reason.
fn refused(proxy: &Proxy, backend: &SocketAddr) -> u64 {
    let page = proxy.scrape();
    let label = format!("backend=\"{backend}\"");
    let lines = page.lines().filter(|line| line.starts_with("tidegate_dial_failures_total{"));
    let counts =
        lines.filter(|line| line.contains(&label)).filter_map(|line| line.rsplit(' ').next());
    counts.filter_map(|count| count.parse::<u64>().ok()).sum()
}

/// Waits until `backends` have each refused so many dials that they are ejected.
async fn until_ejected(proxy: &Proxy, backends: &[SocketAddr]) {
    until("the backends to be ejected", || {
        backends.iter().all(|backend| refused(proxy, backend) > 3)
    })
    .await;
}

/// Each says something while there is no backend, which is kept for the next.
async fn all_say(sessions: &mut [Session], said: &str) {
    for session in sessions {
        session.send(said).await;
    }
}

/// Each hears this.
async fn all_hear(sessions: &mut [Session], said: &str) {
    for session in sessions {
        assert_eq!(session.text().await, said);
    }
}

/// Each says something, and hears it again.
async fn all_speak(sessions: &mut [Session], said: &str) {
    all_say(sessions, said).await;
    all_hear(sessions, said).await;
}

#[tokio::test]
async fn two_backends_die_at_once_and_either_that_returns_first_takes_all_sessions() {
    let (mut one, mut two) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&one, &two], "")).await;
    let mut sessions = open(&proxy).await;
    for first in [0, 1, 0] {
        let addresses = [one.kill().await, two.kill().await];
        until_held(&proxy, SESSIONS as u64).await;
        all_say(&mut sessions, "kept").await;
        until_ejected(&proxy, &addresses).await;
        let returned = Backend::echo_at("first", addresses[first]).await;
        let since = Instant::now();
        within("what was kept", all_hear(&mut sessions, "kept")).await;
        within("the sessions", all_speak(&mut sessions, "back")).await;
        let took = since.elapsed();
        assert!(took < BACK_WITHIN, "after {took:?} of backend {first}");
        assert_eq!(proxy.sessions(), SESSIONS as u64);
        let other = Backend::echo_at("other", addresses[1 - first]).await;
        (one, two) = if first == 0 { (returned, other) } else { (other, returned) };
    }
    drop(sessions);
    proxy.stop().await;
}

#[tokio::test]
async fn backends_that_die_in_turn_pass_the_sessions_to_each_other() {
    let (mut one, mut two) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&one, &two], "")).await;
    let mut sessions = open(&proxy).await;
    for _ in 0..3 {
        // The second dies before the first is back, with all sessions on it.
        let first = one.kill().await;
        let labels = format!("backend=\"{}\"", two.address());
        until("the sessions on the other", || {
            sample(&proxy, "tidegate_backend_sessions", &labels) == Some(SESSIONS as u64)
        })
        .await;
        within("the sessions", all_speak(&mut sessions, "on the other")).await;
        let second = two.kill().await;
        until_held(&proxy, SESSIONS as u64).await;
        all_say(&mut sessions, "kept").await;
        one = Backend::echo_at("a", first).await;
        let since = Instant::now();
        within("what was kept", all_hear(&mut sessions, "kept")).await;
        within("the sessions", all_speak(&mut sessions, "back")).await;
        let took = since.elapsed();
        assert!(took < BACK_WITHIN, "after {took:?}");
        two = Backend::echo_at("b", second).await;
    }
    drop(sessions);
    proxy.stop().await;
}

#[tokio::test]
async fn a_handshake_that_waits_is_as_good_a_reason_for_a_trial() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&one, &two], "")).await;
    let addresses = [one.kill().await, two.kill().await];
    for first in [0, 1] {
        let client = proxy.client();
        let opening = tokio::spawn(async move { client.open().await });
        until("a handshake to wait", || {
            sample(&proxy, "tidegate_handshakes_queued", "all") == Some(1)
        })
        .await;
        until_ejected(&proxy, &addresses).await;
        let backend = Backend::echo_at("first", addresses[first]).await;
        let since = Instant::now();
        within("a session", opening).await.unwrap().echo("at last").await;
        assert!(since.elapsed() < BACK_WITHIN, "after {:?}", since.elapsed());
        backend.kill().await;
    }
    proxy.stop().await;
}

#[tokio::test]
async fn who_waits_asks_at_the_pace_of_all() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let proxy = Proxy::start(&holding(&[&one, &two], "")).await;
    let sessions = open(&proxy).await;
    let addresses = [one.kill().await, two.kill().await];
    until_held(&proxy, SESSIONS as u64).await;
    until_ejected(&proxy, &addresses).await;
    let all = || addresses.iter().map(|backend| refused(&proxy, backend)).sum::<u64>();
    let before = all();
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Each backend after 50, 100, 200, 400, 800 ms, then once in a second.
    let asked = all() - before;
    assert!((2..=16).contains(&asked), "{asked} dials in two seconds");
    drop(sessions);
    proxy.stop().await;
}
