//! A backend killed with -9: its clients are told, the others feel nothing.

use std::time::Duration;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::scaled;
use crate::traffic::{Crowd, Ended, Kind, census};

fn configuration(backends: &[&Backend]) -> String {
    let addresses: Vec<&str> = backends.iter().map(|backend| backend.address.as_str()).collect();
    format!("[pools.both]\nbackends = {addresses:?}\n[[routes]]\npath = \"/\"\npool = \"both\"\n")
}

/// Kills one of two backends under `kind` of traffic; gives how its half of the sessions ended.
async fn killed(kind: Kind, sessions: usize) -> Vec<Ended> {
    let (lives, dies) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&[&lives, &dies])).await;
    let mut crowd = Crowd::new();
    crowd.join(sessions, &proxy.plain, "/", kind).await;
    dies.kill();
    let left = || proxy.metric("tidegate_sessions_live") as usize == sessions / 2;
    proxy.wait("the end of half of the sessions", left).await;

    let mut new = Crowd::new();
    new.join(scaled(10, 100), &proxy.plain, "/", kind).await;
    let ends = new.finish().await;
    assert!(ends.iter().all(|end| *end == Ended::Asked), "new sessions: {}", census(&ends));

    let ends = crowd.finish().await;
    let (untouched, touched): (Vec<_>, Vec<_>) =
        ends.into_iter().partition(|end| *end == Ended::Asked);
    assert_eq!(untouched.len(), sessions / 2, "{}", census(&touched));
    touched
}

#[tokio::test]
async fn small_messages_end_with_1012_when_their_backend_is_killed() {
    let kind = Kind { size_max: 64, pause: Duration::from_millis(scaled(5, 20) as u64) };
    let ends = killed(kind, scaled(40, 1_000)).await;
    assert!(ends.iter().all(|end| *end == Ended::Close(1012)), "{}", census(&ends));
}

#[tokio::test]
async fn no_close_is_written_into_a_large_frame_that_was_cut() {
    let kind = Kind { size_max: 1 << 20, pause: Duration::ZERO };
    let ends = killed(kind, scaled(10, 64)).await;
    let told = |end: &Ended| matches!(end, Ended::Close(1012) | Ended::Cut);
    assert!(ends.iter().all(told), "{}", census(&ends));
    println!("large frames: {}", census(&ends));
}
