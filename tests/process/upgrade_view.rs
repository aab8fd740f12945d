//! What an operator sees of older processes, and does there, from the newest one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::backend::Backend;
use crate::proxy::Proxy;
use crate::traffic::{Crowd, Ended, Kind, census};
use crate::upgrade::{is_alive, upgraded};

const KIND: Kind = Kind { size_max: 1024, pause: Duration::from_millis(40) };

const SESSIONS: usize = 60;

fn configuration(backends: &[&Backend], more: &str) -> String {
    let addresses: Vec<&str> = backends.iter().map(|backend| &*backend.address).collect();
    format!(
        r#"
[pools.one]
backends = {addresses:?}
[[routes]]
path = "/"
pool = "one"
hold = {{ resume = "always" }}
[drain]
delay = "0s"
window = "0s"
[upgrade]
sessions = "keep"
{more}
"#
    )
}

/// The JSON that a command answers, which must be done.
async fn answered(proxy: &Proxy, order: &str, flags: &[&str]) -> Value {
    let (code, said) = proxy.order_meanwhile(order, &[flags, &["--json"]].concat()).await;
    assert_eq!(code, 0, "{said}");
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// How many sessions each process has, by their rows.
async fn by_process(proxy: &Proxy) -> BTreeMap<u64, usize> {
    let listed = answered(proxy, "sessions", &[]).await;
    let rows = listed["sessions"].as_array().unwrap();
    let ids: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), rows.len(), "ids are unique over all processes");
    let mut count = BTreeMap::new();
    for row in rows {
        *count.entry(row["pid"].as_u64().unwrap()).or_insert(0) += 1;
    }
    count
}

/// Waits until the processes have these sessions: one is entered after its client has read its 101.
async fn wait_for(proxy: &Proxy, wanted: &BTreeMap<u64, usize>) {
    let mut has = by_process(proxy).await;
    for _ in 0..400 {
        if has == *wanted {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
        has = by_process(proxy).await;
    }
    panic!("the processes have {has:?}, not {wanted:?}");
}

/// What passes in all processes is told as one, and the busiest sessions are of both.
async fn assert_top(proxy: &Proxy, old: u64) {
    let top = answered(proxy, "top", &["--once", "--limit", "100"]).await;
    let on_route = &top["routes"][0]["sessions"];
    assert_eq!((&top["sessions"], on_route), (&64.into(), &64.into()), "{top}");
    let busiest = top["busiest"].as_array().unwrap();
    for is_old in [true, false] {
        let is_busy = |row: &Value| row["byte_rate"].as_f64() > Some(0.0);
        let has = busiest.iter().any(|row| (row["pid"] == old) == is_old && is_busy(row));
        assert!(has, "older: {is_old}: {top}");
    }
}

/// Frames of all processes are told by one tail.
async fn assert_tail(proxy: &Proxy, old: u64) {
    let (code, said) = proxy.order_meanwhile("tail", &["--all", "--json", "--count", "300"]).await;
    assert_eq!(code, 0, "{said}");
    let rows = said.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let pids: BTreeSet<u64> = rows.filter_map(|row| row["pid"].as_u64()).collect();
    assert!(pids.contains(&old) && pids.len() == 2, "{pids:?}: {said}");
}

#[tokio::test]
async fn older_processes_are_seen_counted_kicked_moved_and_drained_from_the_newest() {
    let (one, two) = (Backend::start(), Backend::start());
    let proxy = Proxy::start(&configuration(&[&one, &two], "")).await;
    let mut crowd = Crowd::new();
    crowd.join(SESSIONS, &proxy.plain, "/", KIND).await;
    let newest = upgraded(&proxy).await;
    crowd.join(4, &proxy.plain, "/", KIND).await;
    let old = u64::from(proxy.pid());
    wait_for(&proxy, &BTreeMap::from([(old, 60), (u64::from(newest), 4)])).await;

    let (code, said) = proxy.order("status", &[]);
    let whose = "sessions       64 (4 here, 60 in older processes)";
    assert_eq!((code, said.contains(whose)), (0, true), "{said}");
    let status = answered(&proxy, "status", &[]).await;
    let older = &status["older"][0];
    assert_eq!((&status["sessions"], &status["older_sessions"]), (&64.into(), &60.into()));
    assert_eq!((&older["pid"], &older["answered"]), (&old.into(), &true.into()), "{status}");
    assert_eq!(older["here"]["sessions"], 60, "{status}");
    let on_backends = status["backends"].as_array().unwrap().iter();
    assert_eq!(on_backends.map(|row| row["sessions"].as_u64().unwrap()).sum::<u64>(), 64);

    assert_top(&proxy, old).await;
    assert_tail(&proxy, old).await;
    let some = answered(&proxy, "sessions", &["--limit", "3", "--backend", &one.address]).await;
    assert_eq!(some["sessions"].as_array().unwrap().len(), 3, "{some}");
    assert!(some["matched"].as_u64().unwrap() >= 30, "{some}");
    let (_, said) = proxy.order("sessions", &["--route", "/"]);
    assert!(said.contains(&format!("of them 60 in older process {old}")), "{said}");
    let (code, said) = proxy.order("sessions", &["--route", "/nowhere"]);
    assert_eq!((code, said.contains("no such route")), (4, true), "{said}");

    // One of the older process by its id, and it alone.
    let of_old = |row: &&Value| row["pid"] == old;
    let rows = some["sessions"].as_array().unwrap();
    let id = rows.iter().find(of_old).unwrap()["id"].as_str().unwrap().to_owned();
    let would = answered(&proxy, "kick", &[&id, "--dry-run"]).await;
    assert_eq!((&would["sessions"], &would["outcome"]), (&1.into(), &"dry_run".into()), "{would}");
    let (code, said) = proxy.order_meanwhile("kick", &[&id, "--wait"]).await;
    assert_eq!((code, said.contains("kicked: 1 of 64 sessions")), (0, true), "{said}");
    assert!(said.contains("finished: 0 moved, 1 ended"), "{said}");
    let (code, said) = proxy.order("kick", &[&id]);
    assert_eq!((code, said.contains("no live session")), (4, true), "{said}");

    // All of a backend, wherever they live; then the backend gets work again, everywhere.
    let (code, said) = proxy.order_meanwhile("move", &["--from", &one.address, "--wait"]).await;
    assert_eq!((code, said.contains(" 0 ended")), (0, true), "{said}");
    assert!(said.contains(&format!("in older process {old}")), "{said}");
    let left = answered(&proxy, "sessions", &["--backend", &one.address]).await;
    assert_eq!((&left["matched"], &left["live"]), (&0.into(), &63.into()), "{left}");
    let enabled = answered(&proxy, "enable", &["--backend", &one.address]).await;
    let here = &enabled["older"][0]["here"]["enabled"];
    assert_eq!(here[0]["backend"], one.address, "{enabled}");

    // Once more: older than the older one.
    let last = upgraded(&proxy).await;
    crowd.join(2, &proxy.plain, "/", KIND).await;
    let wanted = BTreeMap::from([(old, 59), (u64::from(newest), 4), (u64::from(last), 2)]);
    wait_for(&proxy, &wanted).await;
    let drained = answered(&proxy, "drain", &["--pool", "one", "--wait"]).await;
    assert_eq!((&drained["sessions"], &drained["live"]), (&65.into(), &65.into()), "{drained}");
    assert_eq!(drained["finished"]["ended"], 65, "{drained}");
    let ends = crowd.ended().await;
    let with = |code| ends.iter().filter(|end| **end == Ended::Close(code)).count();
    assert_eq!((with(1008), with(1012)), (1, 65), "{}", census(&ends));
    proxy.wait("the older processes to leave", || !is_alive(newest)).await;
    assert_eq!(answered(&proxy, "status", &[]).await["sessions"], 0);
}

#[tokio::test]
async fn a_drain_that_only_older_processes_carry_out_is_cancelled_from_the_newest() {
    let one = Backend::start();
    let proxy = Proxy::start(&configuration(&[&one], "")).await;
    let mut crowd = Crowd::new();
    crowd.join(10, &proxy.plain, "/", KIND).await;
    upgraded(&proxy).await;
    let begun = answered(&proxy, "drain", &["--all", "--window", "1d"]).await;
    let number = begun["drain"].as_u64().unwrap();
    let (code, said) = proxy.order("status", &[]);
    let row = format!("\n{number}      {}  ", proxy.pid());
    assert_eq!((code, said.contains(&row)), (0, true), "{said}");
    // Of a day's window, the first may have been due already.
    let cancelled = answered(&proxy, "drain", &["--cancel", &number.to_string()]).await;
    assert!(cancelled["sessions"].as_u64().unwrap() >= 9, "{cancelled}");
    proxy.wait("its end", || !proxy.order("status", &[]).1.contains(&row)).await;
    let (code, said) = proxy.order("drain", &["--cancel", &number.to_string()]);
    assert_eq!((code, said.contains("no drain")), (4, true), "{said}");
    let ends = crowd.finish().await;
    assert!(ends.iter().filter(|end| **end == Ended::Asked).count() >= 9, "{}", census(&ends));
}

#[tokio::test]
async fn an_older_process_that_does_not_answer_is_said_and_the_rest_stands() {
    let one = Backend::start();
    let proxy = Proxy::start(&configuration(&[&one], "")).await;
    let mut crowd = Crowd::new();
    crowd.join(3, &proxy.plain, "/", KIND).await;
    upgraded(&proxy).await;
    crowd.join(2, &proxy.plain, "/", KIND).await;
    let told = || proxy.metric("tidegate_older_sessions_live") == 3.0;
    proxy.wait("its count", told).await;
    proxy.signal(libc::SIGSTOP);
    let asked = Instant::now();
    let (code, said) = proxy.order_meanwhile("sessions", &[]).await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("listed: 2 of 2 matched, 2 live"), "{said}");
    let silent = format!("older process {} (3 sessions) is left out: no answer", proxy.pid());
    assert!(said.contains(&silent), "{said}");
    let status = answered(&proxy, "status", &[]).await;
    assert_eq!((&status["sessions"], &status["older"][0]["answered"]), (&5.into(), &false.into()));
    println!("two commands took {:?} with one that is stopped", asked.elapsed());
    proxy.signal(libc::SIGCONT);
    let back = answered(&proxy, "sessions", &[]).await;
    assert_eq!(back["live"], 5, "{back}");
    assert_eq!(crowd.finish().await, vec![Ended::Asked; 5]);
}
