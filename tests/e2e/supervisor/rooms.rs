//! Whether there is room elsewhere is asked before sessions are taken from a backend; and what a
//! reload that is not taken leaves behind, which is nothing.

use serde_json::{Value, json};

use super::operated::{Operated, addresses, pair};
use super::*;
use crate::supervisor::made::hold;

/// Two backends, the second of them dead and known to be; two sessions that can be held on the
/// first.
async fn half_dead(one: &Backend, two: Backend) -> (Operated, Vec<Session>) {
    let mut plan = pair(one, &two);
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.health.failures_max = 1;
    (pool.health.eject_time, pool.health.eject_time_max) =
        (Duration::from_secs(600), Duration::from_secs(600));
    plan.reload.drain_max_percent = 0;
    let process = Operated::start(plan);
    let dead = two.kill().await.to_string();
    let mut sessions = Vec::new();
    let is_out = async || {
        let status = process.status().await;
        let rows = status["backends"].as_array().unwrap();
        rows.iter().any(|row| row["backend"] == *dead && row["up"] == json!(false))
    };
    while sessions.len() < 2 || !is_out().await {
        sessions.push(process.session("/one").await);
    }
    (process, sessions)
}

#[tokio::test]
async fn a_reload_that_leaves_only_a_dead_backend_says_that_it_ends_the_sessions() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let (process, mut sessions) = half_dead(&one, two).await;
    let without_the_living = |plan: &mut Plan| {
        Arc::make_mut(&mut plan.pools[0]).backends.remove(0);
    };
    let count = sessions.len();
    let refused =
        ReloadRefused::Drain { sessions_drained: count, sessions: count, drain_max_percent: 0 };
    assert_eq!(super::refused(process.change(without_the_living).await), refused);
    for session in &mut sessions {
        session.echo("still here").await;
    }
    drop(sessions);
    process.is_quiet().await;
}

#[tokio::test]
async fn the_last_backend_that_works_is_drained_by_force_only_and_moved_from_never() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let (process, mut sessions) = half_dead(&one, two).await;
    let who = json!({ "backend": addresses(&[&one])[0] });
    let (status, told) = process.order("/drain", json!({ "who": who })).await;
    assert_eq!((status, &told["outcome"]), (409, &json!("refused")), "{told}");
    let (status, told) = process.order("/move", json!({ "who": who })).await;
    assert_eq!((status, &told["outcome"]), (409, &json!("refused")), "{told}");
    sessions[0].echo("still here").await;
    let forced = json!({ "who": who, "force": true });
    let (status, told) = process.order("/drain", forced).await;
    assert_eq!((status, &told["moved"]), (200, &json!(0)), "{told}");
    for session in sessions {
        assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    }
    process.is_quiet().await;
}

#[tokio::test]
async fn any_number_of_kicks_in_a_row_is_carried_out() {
    let one = Backend::echo("one").await;
    let process = Operated::start(site(&[("one", &one)]));
    for _ in 0..70 {
        let session = process.session("/one").await;
        let listed = process.order("/sessions", json!({})).await.1;
        let rows = listed["sessions"].as_array().unwrap();
        let staying = |row: &&Value| row["leaving"] == Value::Null;
        let id = &rows.iter().find(staying).unwrap()["id"];
        let kick = json!({ "who": { "ids": [id] } });
        let (status, told) = process.order("/kick", kick).await;
        assert_eq!((status, &told["sessions"]), (200, &json!(1)), "{told}");
        assert_eq!(session.ending().await, Ending::Close(1008, "kicked".into()));
    }
    process.is_quiet().await;
}

#[tokio::test]
async fn reloads_that_are_not_taken_leave_no_names_in_the_metrics() {
    let one = Backend::echo("one").await;
    let process = Process::start(site(&[("one", &one)]));
    let _session = process.session("/one").await;
    let names = || {
        let scrape = process.scrape(Exposition::OpenMetrics);
        let names = scrape.lines().filter(|line| line.starts_with("tidegate_sessions_live{"));
        names.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = names();
    for round in 0..5 {
        let dry_run = ReloadRequest { dry_run: true, ..ReloadRequest::default() };
        process
            .change_and(dry_run, |plan| {
                plan.routes.push(Arc::new(route(&format!("/new-{round}"), respond("new"))));
            })
            .await;
        // Refused: it would end the session.
        let refused = process
            .change(|plan| {
                plan.routes.retain(|route| &*route.identity != "/one");
                plan.pools.clear();
            })
            .await;
        assert!(matches!(refused, Reloaded::Refused(_)), "{refused}");
        *process.next.lock().unwrap() = Ok(site(&[("one", &one)]));
    }
    assert_eq!(names(), before);
}
