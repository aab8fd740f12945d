//! What a reload takes away and another gives back while its sessions still live: it is as if
//! nothing had been.

use super::operating::{Operated, addresses, pair};
use super::*;

const FORCE: ReloadRequest =
    ReloadRequest { force: true, dry_run: false, config: None, if_changed: false };

type Change = fn(&mut Plan);

/// What can be taken away.
const PARTS: [(&str, Change); 4] = [
    ("a backend", |plan| drop(Arc::make_mut(&mut plan.pools[0]).backends.remove(0))),
    ("the pool", |plan| {
        plan.pools.clear();
        plan.routes.retain(|route| &*route.identity == "/");
    }),
    ("the route", |plan| plan.routes.retain(|route| &*route.identity == "/")),
    ("the listener", |plan| {
        let mut other = listener("other", 0);
        other.address = Address::Inet(([127, 0, 0, 2], 0).into());
        plan.listeners[0] = Arc::new(other);
    }),
];

/// A process with two backends, and two sessions on the first, which may have no more.
async fn begun(one: &Backend, two: &Backend) -> (Operated, Plan, [Session; 2]) {
    let process = Operated::start(pair(one, two));
    let mut plan = process.next.lock().unwrap().clone().unwrap();
    plan.drain.window = Duration::from_secs(600);
    plan.drain.timeout = Duration::from_secs(1200);
    let backends = &mut Arc::make_mut(&mut plan.pools[0]).backends;
    (backends[0].sessions_max, backends[1].backup) = (Some(2), true);
    taken(process.change_and(FORCE, |next| *next = plan.clone()).await);
    let sessions = [process.session("/one").await, process.session("/one").await];
    (process, plan, sessions)
}

#[tokio::test]
async fn what_is_given_back_in_time_is_as_if_it_had_never_been_away() {
    for (what, take_away) in PARTS {
        let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
        let (process, plan, mut sessions) = begun(&one, &two).await;
        let told = taken(process.change_and(FORCE, take_away).await);
        assert_eq!(told.impact.drained, 2, "{what}");
        assert_eq!(process.0.drains.under_way().len(), 1, "{what}");
        let told = taken(process.change_and(FORCE, |next| *next = plan).await);
        assert_eq!(told.impact.drained, 0, "{what}");
        until("the drain to finish", || process.0.drains.under_way().is_empty()).await;
        for session in &mut sessions {
            session.echo(what).await;
        }
        let listed = process.0.sessions.list(&crate::registry::Selector::All, 9).await;
        assert!(listed.iter().all(|seen| seen.leaving.is_none()), "{what}: {listed:?}");
        // It is as full as it was.
        let status = process.status().await;
        let sessions_of = |address: &str| {
            let rows = status["backends"].as_array().unwrap();
            rows.iter().find(|row| row["backend"] == *address).unwrap()["sessions"].clone()
        };
        let [first, second] = <[String; 2]>::try_from(addresses(&[&one, &two])).unwrap();
        assert_eq!((sessions_of(&first), sessions_of(&second)), (2.into(), 0.into()), "{what}");
        let third = process.session("/one").await;
        assert_eq!(process.counts().await.leases, 3, "{what}");
        assert_eq!(two.heads().len(), 1, "{what}");
        drop((sessions, third));
        process.is_quiet().await;
    }
}

#[tokio::test]
async fn a_backend_that_a_pool_comes_back_without_is_left() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let (process, plan, sessions) = begun(&one, &two).await;
    let [(_, without_backend), (_, without_pool), ..] = PARTS;
    taken(process.change_and(FORCE, without_pool).await);
    let told = process.change_and(FORCE, |next| {
        *next = plan;
        without_backend(next);
        next.drain.window = Duration::ZERO;
    });
    assert_eq!(taken(told.await).impact.drained, 2);
    for session in sessions {
        assert_eq!(session.ending().await, Ending::Close(1012, "removed".into()));
    }
    process.is_quiet().await;
}
