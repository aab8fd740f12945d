//! The operator's commands, over the socket.

use serde_json::{Value, json};

use super::operated::{Operated, addresses, pair, send};
use super::*;
use crate::config::plan::Control;

#[tokio::test]
async fn the_directory_of_the_operators_socket_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("run/tidegate/control.sock");
    let mut plan = plan(&[], &[]);
    plan.control = Some(Control {
        socket: socket.clone(),
        mode: crate::config::plan::FileMode::PRIVATE,
        tail_payload: 0,
    });
    let process = Process::start(plan);
    tokio::net::UnixStream::connect(&socket).await.unwrap();
    drop(process);
}

#[tokio::test]
async fn sessions_are_listed_and_narrowed_down() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(site(&[("one", &one), ("two", &two)]));
    let sessions = [process.session("/one").await, process.session("/two").await];
    let (status, all) = process.order("/sessions", json!({})).await;
    assert_eq!((status, &all["live"], &all["matched"]), (200, &json!(2), &json!(2)));
    let first = &all["sessions"][0];
    assert_eq!((&first["route"], &first["pool"]), (&json!("/one"), &json!("one")));
    assert_eq!(first["backend"], addresses(&[&one])[0]);
    assert_eq!((&first["listener"], &first["leaving"]), (&json!("http"), &Value::Null));
    for (who, meant) in [
        (json!({ "route": "/two" }), 1),
        (json!({ "pool": "one", "client": "127.0.0.0/8" }), 1),
        (json!({ "pool": "one", "route": "/two" }), 0),
        (json!({ "backend": addresses(&[&two])[0] }), 1),
        (json!({ "listener": "http", "client": "10.1.2.3" }), 0),
        (json!({ "older_than": "1d" }), 0),
        (json!({ "ids": [first["id"]] }), 1),
    ] {
        let (status, told) = process.order("/sessions", json!({ "who": who })).await;
        assert_eq!((status, &told["matched"]), (200, &json!(meant)), "{who}");
    }
    let (_, few) = process.order("/sessions", json!({ "limit": 1 })).await;
    assert_eq!((few["sessions"].as_array().unwrap().len(), &few["matched"]), (1, &json!(2)));
    let text = process.said("/sessions", json!({})).await;
    assert!(
        text.starts_with("ID  ") && text.ends_with("\n# listed: 2 of 2 matched, 2 live\n"),
        "{text}"
    );
    drop(sessions);
    process.is_quiet().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_said_with_a_hint_and_touches_nobody() {
    let one = Backend::echo("one").await;
    let process = Operated::start(site(&[("one", &one)]));
    let mut session = process.session("/one").await;
    for (target, body, status, said) in [
        ("/sessions", json!({ "who": { "route": "/on" } }), 404, "did you mean `/one`?"),
        ("/sessions", json!({ "who": { "pool": "x" } }), 404, "there are: one"),
        ("/sessions", json!({ "who": { "listener": "htp" } }), 404, "did you mean `http`?"),
        ("/sessions", json!({ "who": { "rout": "/one" } }), 400, "unknown field `rout`"),
        ("/sessions", json!({ "limit": 1_000_000 }), 400, "must be at most"),
        ("/drain", json!({}), 400, "of one thing"),
        ("/drain", json!({ "who": { "route": "/one", "pool": "one" } }), 400, "of one thing"),
        ("/drain", json!({ "who": { "all": true }, "window": "5" }), 400, "5s"),
        ("/drain", json!({ "who": { "all": true }, "code": 1005 }), 400, "1005"),
        ("/drain", json!({ "who": { "backend": "10.0.0.1:1" } }), 404, "no such backend"),
        ("/move", json!({}), 400, "from one `backend`"),
        ("/move", json!({ "who": { "backend": "10.0.0.1:1" } }), 404, "no such backend"),
        ("/move", json!({ "deadline": "5s" }), 400, "unknown field `deadline`"),
        ("/kick", json!({}), 400, "say whom to kick"),
        (
            "/kick",
            json!({ "who": { "ids": ["0123456789ab-0000000000000007"] } }),
            404,
            "no live session",
        ),
        ("/enable", json!({ "backend": "10.0.0.1:1" }), 404, "no such backend"),
        ("/enable", json!({}), 400, "missing field `backend`"),
    ] {
        let (found, answer) = process.order(target, body.clone()).await;
        let why = answer["why"].as_str().unwrap();
        assert_eq!((found, why.contains(said)), (status, true), "{target} {body}: {why}");
    }
    let long = format!("{{\"who\": \"{}\"}}", "x".repeat(100_000));
    let (status, answer) = send(&process.socket(), "/kick", &long, "text/plain").await;
    assert_eq!((status, answer.contains("length limit")), (400, true), "{answer}");
    session.echo("untouched").await;
    drop(session);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_drained_backend_gets_no_new_sessions_until_it_is_restored() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(pair(&one, &two));
    let goes = process.session("/one").await;
    let row = &process.order("/sessions", json!({})).await.1["sessions"][0];
    let first = row["backend"].as_str().unwrap().to_owned();
    let second = addresses(&[&one, &two]).into_iter().find(|other| *other != first).unwrap();
    let mut stays = process.session("/one").await;
    let drain = |backend: &str, more: Value| {
        let mut body = json!({ "who": { "backend": backend, "pool": "one" } });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let (status, told) = process.order("/drain", drain(&first, json!({ "dry_run": true }))).await;
    assert_eq!((status, &told["outcome"], &told["sessions"]), (200, &json!("dry_run"), &json!(1)));
    assert_eq!((process.on(&first).await, &process.status().await["drains"]), (1, &json!([])));

    let (status, told) = process.order("/drain", drain(&first, json!({}))).await;
    assert_eq!((status, &told["sessions"], &told["live"]), (200, &json!(1), &json!(2)));
    assert_eq!(told["disabled"], json!([{ "pool": "one", "backend": first }]));
    assert_eq!(goes.ending().await, Ending::Close(1012, "drain".into()));
    stays.echo("untouched").await;

    let mut new = Vec::new();
    for _ in 0..4 {
        new.push(process.session("/one").await);
    }
    process.until_on(&first, 0).await;
    let scrape = process.scrape(Exposition::OpenMetrics);
    let labels = format!("{{pool=\"one\",backend=\"{first}\"}}");
    assert!(scrape.contains(&format!("tidegate_backend_disabled{labels} 1")), "{scrape}");
    assert!(scrape.contains(&format!("tidegate_backend_up{labels} 0")), "{scrape}");
    // A reload that says the same of it leaves it out.
    taken(process.change(|plan| plan.limits.connections_max = 1_000).await);
    let state = |status: &Value| {
        let rows = status["backends"].as_array().unwrap();
        rows.iter().find(|row| row["backend"] == *first).unwrap()["state"].clone()
    };
    assert_eq!(state(&process.status().await), "disabled");

    let (status, told) = process.order("/drain", drain(&second, json!({}))).await;
    let why = told["why"].as_str().unwrap();
    assert!(status == 409 && why.contains("the last of pool `one`"), "{told}");

    let enable = json!({ "backend": first });
    assert_eq!(process.order("/enable", enable.clone()).await.1["outcome"], "enabled");
    assert_eq!(process.order("/enable", enable).await.1["outcome"], "unchanged");
    assert_eq!(state(&process.status().await), "up");
    new.push(process.session("/one").await);
    assert_eq!(process.on(&first).await, 1);
    drop((new, stays));
    process.is_quiet().await;
}

#[tokio::test]
async fn a_reload_that_changes_a_backend_gives_it_work_again() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(pair(&one, &two));
    let address = &addresses(&[&one])[0];
    let body = json!({ "who": { "backend": address } });
    assert_eq!(process.order("/drain", body).await.0, 200);
    taken(process.change(|plan| Arc::make_mut(&mut plan.pools[0]).backends[0].weight = 3).await);
    assert_eq!(process.status().await["backends"][0]["state"], "up");
}

#[tokio::test]
async fn the_last_backend_is_disabled_by_force_and_its_clients_read_503() {
    let one = Backend::echo("one").await;
    let process = Operated::start(site(&[("one", &one)]));
    let session = process.session("/one").await;
    let body = json!({ "who": { "backend": addresses(&[&one])[0] }, "force": true });
    assert_eq!(process.order("/drain", body).await.0, 200);
    assert_eq!(session.ending().await, Ending::Close(1012, "drain".into()));
    assert_eq!(process.client("/one").request("GET", "").await.0.status(), 503);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_drain_shows_how_far_it_is() {
    let one = Backend::echo("one").await;
    let process = Operated::start(site(&[("one", &one)]));
    let session = process.session("/one").await;
    let body = json!({ "who": { "route": "/one" }, "window": "1d", "code": 4001 });
    let (_, told) = process.order("/drain", body).await;
    assert_eq!((&told["drain"], &told["window_seconds"]), (&json!(1), &json!(86_400.0)));
    assert_eq!(told["deadline_seconds"], json!(86_430.0));
    let status = process.status().await;
    let row = &status["drains"][0];
    assert_eq!(
        (&row["left"], &row["reason"], &row["drain"]),
        (&json!(1), &json!("drain"), &json!(1))
    );
    assert_eq!(row["of"], "route `/one`");
    let gauge = |left| format!("tidegate_drain_sessions_left{{reason=\"drain\"}} {left}\n");
    assert!(process.scrape(Exposition::OpenMetrics).contains(&gauge(1)));
    let listed = process.order("/sessions", json!({})).await.1;
    assert_eq!(listed["sessions"][0]["leaving"], "drain");
    // Who is told a second time goes at the earlier moment.
    let kick = json!({ "who": { "ids": [listed["sessions"][0]["id"]] }, "code": 4002 });
    assert_eq!(process.order("/kick", kick).await.1["sessions"], 1);
    assert_eq!(session.ending().await, Ending::Close(4002, "kicked".into()));
    until("the drain to be over", || process.scrape(Exposition::OpenMetrics).contains(&gauge(0)))
        .await;
    within("an empty status", async {
        while process.status().await["drains"] != json!([]) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    process.is_quiet().await;
}

#[tokio::test]
async fn a_kick_ends_whom_it_means_with_1008() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Operated::start(site(&[("one", &one), ("two", &two)]));
    let goes = process.session("/one").await;
    let mut stays = process.session("/two").await;
    let who = json!({ "route": "/one", "client": "127.0.0.1" });
    let dry = process.order("/kick", json!({ "who": who, "dry_run": true })).await.1;
    assert_eq!(
        (&dry["outcome"], &dry["sessions"], &dry["live"]),
        (&json!("dry_run"), &json!(1), &json!(2))
    );
    let (status, told) = process.order("/kick", json!({ "who": who })).await;
    assert_eq!((status, &told["outcome"]), (200, &json!("kicked")));
    assert_eq!(goes.ending().await, Ending::Close(1008, "kicked".into()));
    stays.echo("still here").await;
    drop(stays);
    process.is_quiet().await;
    let scrape = process.scrape(Exposition::OpenMetrics);
    let ended = r#"tidegate_sessions_ended_total{route="/one",end="kicked"} 1"#;
    assert!(scrape.contains(ended), "{scrape}");
}
