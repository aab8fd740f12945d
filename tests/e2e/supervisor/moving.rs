//! Sessions that go on with another backend: by command, with a drain, after a reload, and when
//! their backend stays out.

// A test's clients are tasks of its own.
#![allow(clippy::disallowed_methods)]

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::operated::{Operated, addresses, pair};
use super::*;
use crate::config::plan::OutSessions;
use crate::supervisor::made::hold;

/// Two backends in one pool; the sessions of `/one` can be held, those of `/two` cannot.
fn halves(one: &Backend, two: &Backend) -> Plan {
    let mut plan = pair(one, two);
    plan.routes.push(Arc::new(route("/two", to_pool("one"))));
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    plan
}

/// Says numbers, and hears each back once and in order, until it is told to stop.
struct Talk {
    is_over: Arc<AtomicBool>,
    talking: JoinHandle<(Session, usize)>,
}

impl Talk {
    fn begin(mut session: Session) -> Talk {
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&is_over);
        let talking = tokio::spawn(async move {
            let (mut said, mut heard) = (0, 0);
            while heard < said || !stop.load(Relaxed) {
                if said < heard + 3 && !stop.load(Relaxed) {
                    session.send(said.to_string()).await;
                    said += 1;
                } else {
                    assert_eq!(session.text().await, heard.to_string());
                    heard += 1;
                }
            }
            (session, heard)
        });
        Talk { is_over, talking }
    }

    /// The session, and how many numbers it said and heard.
    async fn end(self) -> (Session, usize) {
        self.is_over.store(true, Relaxed);
        within("the end of a talk", self.talking).await.unwrap()
    }
}

/// The row of the drain that is over.
async fn over(process: &Operated, drain: &Value) -> Value {
    within("the end of a drain", async {
        loop {
            let status = process.status().await;
            let rows = status["drains_finished"].as_array().unwrap();
            if let Some(row) = rows.iter().find(|row| row["drain"] == *drain) {
                return row.clone();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
}

/// Eight sessions of each kind, half of each on either backend: those that talk on the holding
/// route, and the others.
async fn crowd(process: &Operated) -> (Vec<Talk>, Vec<Session>) {
    let (mut talks, mut plain) = (Vec::new(), Vec::new());
    for _ in 0..4 {
        for _ in 0..2 {
            talks.push(Talk::begin(process.session("/one").await));
        }
        for _ in 0..2 {
            plain.push(process.session("/two").await);
        }
    }
    (talks, plain)
}

/// Ends the talks: nobody noticed anything, and every number came to a backend once.
async fn nobody_noticed(talks: Vec<Talk>, backends: [&Backend; 2]) {
    let (mut said, mut sessions) = (0, Vec::new());
    for talk in talks {
        let (session, heard) = talk.end().await;
        said += heard;
        sessions.push(session);
    }
    let messages = backends.iter().flat_map(|backend| backend.messages());
    let numbers = messages.filter(|one| one.to_string().parse::<usize>().is_ok()).count();
    assert_eq!(numbers, said);
}

/// How many of these read a Close with 1012 and this reason.
async fn read_1012(endings: Vec<tokio::task::JoinHandle<Ending>>, why: &str) -> usize {
    let mut count = 0;
    for ending in endings {
        count += usize::from(ending.await.unwrap() == Ending::Close(1012, why.into()));
    }
    count
}

#[tokio::test]
async fn a_move_takes_the_sessions_elsewhere_that_can_be_held_and_no_others() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(halves(&one, &two));
    let (talks, mut plain) = crowd(&process).await;
    let [from, to] = addresses(&[&one, &two]).try_into().unwrap();
    let body = |more: Value| {
        let mut body = json!({ "who": { "backend": from, "pool": "one" } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    assert_eq!((process.on(&from).await, process.on(&to).await), (8, 8));
    let (status, told) = process.order("/move", body(json!({ "dry_run": true }))).await;
    let seen = ["outcome", "sessions", "without_hold", "without_room", "handshaking", "live"];
    assert_eq!(status, 200, "{told}");
    assert_eq!(
        seen.map(|key| &told[key]),
        [&json!("dry_run"), &json!(4), &json!(4), &json!(0), &json!(0), &json!(16)]
    );
    assert_eq!((process.on(&from).await, one.endings().len()), (8, 0));

    let (status, told) = process.order("/move", body(json!({}))).await;
    assert_eq!((status, &told["outcome"], &told["sessions"]), (200, &json!("moved"), &json!(4)));
    assert_eq!(told["disabled"], json!([{ "pool": "one", "backend": from }]));
    process.until_on(&to, 12).await;
    let row = over(&process, &told["drain"]).await;
    assert_eq!(["moved", "stayed", "left"].map(|key| &row[key]), [&json!(4), &json!(0), &json!(0)]);
    until("the old upstreams' ends", || one.endings().len() == 4).await;
    let moved = Ending::Close(1001, "moved".into());
    assert!(one.endings().iter().all(|ending| *ending == moved), "{:?}", one.endings());
    // The others are where they were, and nobody comes there any more.
    for session in &mut plain {
        session.echo("untouched").await;
    }
    let new = process.session("/two").await;
    assert_eq!((process.on(&from).await, process.on(&to).await), (4, 13));
    // Nobody could take these.
    let back = json!({ "who": { "backend": to } });
    let (status, told) = process.order("/move", back).await;
    let why = told["why"].as_str().unwrap();
    assert!(status == 409 && why.contains("no other backend"), "{told}");
    let text = process.said("/move", body(json!({ "dry_run": true }))).await;
    assert!(
        text.contains("would be asked to move: 0 of 17") && text.contains("stay: 4 that"),
        "{text}"
    );
    nobody_noticed(talks, [&one, &two]).await;
    drop((plain, new));
    process.is_quiet().await;
}

#[tokio::test]
async fn who_finds_no_room_elsewhere_stays() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let mut plan = halves(&one, &two);
    Arc::make_mut(&mut plan.pools[0]).backends[1].sessions_max = Some(3);
    let process = Operated::start(plan);
    let mut sessions = Vec::new();
    for _ in 0..4 {
        sessions.push(process.session("/one").await);
    }
    let from = addresses(&[&one]).remove(0);
    let body = json!({ "who": { "backend": from } });
    let (_, told) = process.order("/move", body).await;
    assert_eq!((&told["sessions"], &told["without_room"]), (&json!(1), &json!(1)), "{told}");
    let row = over(&process, &told["drain"]).await;
    assert_eq!((&row["moved"], &row["stayed"]), (&json!(1), &json!(1)), "{row}");
    for session in &mut sessions {
        session.echo("still here").await;
    }
    assert_eq!(process.on(&from).await, 1);
    drop(sessions);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_drained_backends_sessions_move_where_they_can_and_the_others_are_closed() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(halves(&one, &two));
    let (talks, plain) = crowd(&process).await;
    let from = addresses(&[&one]).remove(0);
    let drain = json!({ "who": { "backend": from } });
    let (_, told) = process.order("/drain", drain).await;
    assert_eq!((&told["sessions"], &told["moved"]), (&json!(8), &json!(4)), "{told}");
    let endings: Vec<_> = plain.into_iter().map(|one| tokio::spawn(one.ending())).collect();
    let row = over(&process, &told["drain"]).await;
    assert_eq!((&row["moved"], &row["left"]), (&json!(4), &json!(0)), "{row}");
    nobody_noticed(talks, [&one, &two]).await;
    process.order("/kick", json!({ "who": { "all": true } })).await;
    assert_eq!(read_1012(endings, "drain").await, 4);
    process.is_quiet().await;
}

#[tokio::test]
async fn the_last_backends_sessions_are_closed_although_they_could_be_held() {
    let one = Backend::echo("one").await;
    let mut plan = site(&[("one", &one)]);
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    let process = Operated::start(plan);
    let session = process.session("/one").await;
    let body = json!({ "who": { "backend": addresses(&[&one])[0] }, "force": true });
    assert_eq!(process.order("/drain", body).await.1["moved"], 0);
    assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    process.is_quiet().await;
}

#[tokio::test]
async fn a_reload_that_removes_a_backend_moves_its_sessions_and_counts_only_those_it_ends() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(halves(&one, &two));
    let (talks, plain) = crowd(&process).await;
    let without = |plan: &mut Plan| {
        Arc::make_mut(&mut plan.pools[0]).backends.remove(0);
    };
    let refused = ReloadRefused::Drain { sessions_drained: 4, sessions: 16, drain_max_percent: 10 };
    assert_eq!(super::refused(process.change(without).await), refused);
    let taken =
        taken(process.reload(ReloadRequest { force: true, ..ReloadRequest::default() }).await);
    assert_eq!((taken.impact.drained, taken.impact.moved, taken.impact.sessions), (4, 4, 16));
    let to = addresses(&[&two]).remove(0);
    process.until_on(&to, 12).await;
    until("the old upstreams' ends", || one.endings().len() == 8).await;
    nobody_noticed(talks, [&one, &two]).await;
    let endings: Vec<_> = plain.into_iter().map(|one| tokio::spawn(one.ending())).collect();
    process.order("/kick", json!({ "who": { "all": true } })).await;
    assert_eq!(read_1012(endings, "removed").await, 4);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_removed_pools_sessions_follow_their_route_and_a_removed_listeners_do_not() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let mut plan = site(&[("one", &one), ("two", &two)]);
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    route_of(&mut plan, "/two").hold = Some(Arc::new(hold()));
    plan.reload.drain_max_percent = 100;
    let process = Operated::start(plan);
    let mut follows = process.session("/one").await;
    let stays = process.session("/two").await;
    let taken_now = taken(
        process
            .change(|plan| {
                plan.pools.retain(|pool| &*pool.name != "one");
                route_of(plan, "/one").action = to_pool("two");
            })
            .await,
    );
    assert_eq!((taken_now.impact.drained, taken_now.impact.moved), (0, 1));
    until("the handshake elsewhere", || two.heads().len() == 2).await;
    follows.echo("elsewhere, or on its way").await;
    // The old one may have answered yet.
    let listed = || process.order("/sessions", json!({ "who": { "pool": "two" } }));
    within("both sessions at the pool that is left", async {
        while listed().await.1["matched"] != 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    follows.echo("elsewhere").await;
    // Where they came in is gone: there is nothing to go on with.
    let elsewhere = listener("other", 0);
    let taken_now = taken(process.change(|plan| plan.listeners = vec![Arc::new(elsewhere)]).await);
    assert_eq!((taken_now.impact.drained, taken_now.impact.moved), (2, 0));
    for session in [follows, stays] {
        assert_eq!(session.ending().await, Ending::Close(1012, "removed".into()));
    }
    process.is_quiet().await;
}

/// A process with two sessions of each kind, one of each on a backend that refuses from now on;
/// those that come are its trials, until so many sessions are left there.
async fn stays_out(
    rule: OutSessions,
    left: u64,
) -> (Operated, [Session; 2], [Session; 2], [Backend; 2]) {
    let (sick, well) = (Backend::echo("sick").await, Backend::echo("well").await);
    let mut plan = halves(&sick, &well);
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.health.failures_max = 1;
    (pool.health.eject_time, pool.health.eject_time_max) =
        (Duration::from_millis(300), Duration::from_secs(1));
    pool.health.sessions = rule;
    pool.health.sessions_after = Duration::from_millis(500);
    let process = Operated::start(plan);
    let held = [process.session("/one").await, process.session("/one").await];
    let others = [process.session("/two").await, process.session("/two").await];
    let address = addresses(&[&sick]).remove(0);
    assert_eq!(process.on(&address).await, 2);
    sick.refuse().await;
    within("sessions to leave", async {
        while process.on(&address).await != left {
            process.session("/two").await.close(1000, "").await;
        }
    })
    .await;
    (process, held, others, [sick, well])
}

#[tokio::test]
async fn sessions_that_can_be_held_leave_a_backend_that_stays_out_and_the_others_stay() {
    let (process, held, others, backends) = stays_out(OutSessions::Move, 1).await;
    for mut session in held.into_iter().chain(others) {
        session.echo("still here").await;
    }
    let scrape = process.scrape(Exposition::OpenMetrics);
    let moved = "tidegate_holds_total{route=\"/one\",why=\"moved\"} 1\n";
    assert!(scrape.contains(moved), "{scrape}");
    drop(backends);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_backend_that_stays_out_is_drained_where_that_is_asked_for() {
    let (process, held, others, backends) = stays_out(OutSessions::Drain, 0).await;
    for mut session in held {
        session.echo("still here").await;
    }
    let others = others.map(|session| tokio::spawn(session.ending()));
    process.order("/kick", json!({ "who": { "route": "/two" } })).await;
    let mut reasons = Vec::new();
    for ending in others {
        reasons.push(ending.await.unwrap());
    }
    reasons.sort_by_key(|ending| format!("{ending:?}"));
    let unhealthy = Ending::Close(1012, "unhealthy".into());
    assert_eq!(reasons, [Ending::Close(1008, "kicked".into()), unhealthy]);
    drop(backends);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_session_that_is_away_is_kicked_and_drained_but_not_with_the_backend_it_lost() {
    let one = Backend::echo("one").await;
    let mut plan = site(&[("one", &one)]);
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    let process = Operated::start(plan);
    let [kicked, drained] = [process.session("/one").await, process.session("/one").await];
    let mut stays = process.session("/one").await;
    let listed = process.order("/sessions", json!({})).await.1;
    let ids: Vec<&Value> =
        listed["sessions"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    let address = one.kill().await;
    let gauge = |count| format!("tidegate_sessions_held{{route=\"/one\"}} {count}\n");
    until("the sessions to be held", || {
        process.scrape(Exposition::OpenMetrics).contains(&gauge(3))
    })
    .await;

    let kick = json!({ "who": { "ids": [ids[0]] } });
    assert_eq!(process.order("/kick", kick).await.1["sessions"], 1);
    assert_eq!(kicked.ending().await, Ending::Close(1008, "kicked".into()));
    let drain = json!({ "who": { "backend": address.to_string() }, "force": true });
    assert_eq!(process.order("/drain", drain).await.1["sessions"], 0);
    // What came back is not asked while it is taken out, and takes the sessions up after that.
    let back = Backend::echo_at("back", address).await;
    stays.send("kept").await;
    assert_eq!(back.connections(), 0);
    process.order("/enable", json!({ "backend": address.to_string() })).await;
    assert_eq!(stays.text().await, "kept");
    until("both sessions", || back.heads().len() == 2).await;
    until("nobody to be held", || process.scrape(Exposition::OpenMetrics).contains(&gauge(0)))
        .await;
    back.kill().await;
    until("the sessions to be held again", || {
        process.scrape(Exposition::OpenMetrics).contains(&gauge(2))
    })
    .await;
    let drain = json!({ "who": { "route": "/one" } });
    assert_eq!(process.order("/drain", drain).await.1["sessions"], 2);
    for session in [drained, stays] {
        assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    }
    process.is_quiet().await;
}
