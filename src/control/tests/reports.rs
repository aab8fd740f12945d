//! What a reload says that it changes and does, whole: text and JSON, of two workers' sessions.

use serde_json::{Value, json};

use super::*;
use crate::base::label::Label;
use crate::live::tests::plan::{hold, rules};
use crate::registry::Selector;

/// Two backends in one pool and one in another; sessions of `/one` can be held.
fn before(backends: [&Backend; 3]) -> Plan {
    let [a, b, c] = backends.map(|backend| backend.address());
    let paths = [("/one", "one"), ("/talk", "one"), ("/two", "two"), ("/old", "two")];
    let mut routes = vec![route("/", respond("page"))];
    routes.extend(paths.map(|(path, pool)| route(path, to_pool(pool))));
    let mut plan = plan(&[pool("one", &[a, b]), pool("two", &[c])], &routes);
    plan.listeners = vec![Arc::new(listener("http", 0))];
    plan.workers = 2;
    route_of(&mut plan, "/one").hold = Some(Arc::new(hold()));
    plan
}

/// A backend and a route are gone, a route holds its sessions to other rules, and a route, a
/// backend and a listener are new.
fn change(plan: &mut Plan, new: SocketAddr) {
    let pool = Arc::make_mut(&mut plan.pools[0]);
    pool.backends.remove(0);
    pool.backends.extend(self::pool("one", &[new]).backends);
    plan.routes.retain(|route| &*route.identity != "/old");
    plan.routes.push(Arc::new(route("/new", respond("new"))));
    let idle_timeout = Some(Duration::from_secs(99));
    route_of(plan, "/two").rules = Arc::new(crate::config::plan::Rules { idle_timeout, ..rules() });
    plan.listeners.push(Arc::new(listener("second", 0)));
    plan.limits.silent_max = 7;
    plan.workers = 3;
}

/// Two sessions on each route, those of pool `one` on a backend each, and some on each worker.
async fn sessions(process: &Process, backends: [&Backend; 3]) -> Vec<Session> {
    for attempt in 1.. {
        let mut sessions = Vec::new();
        for path in ["/one", "/one", "/talk", "/talk", "/two", "/two", "/old", "/old"] {
            sessions.push(process.session(path).await);
        }
        let listed = process.0.sessions.list(&Selector::All, 99).await;
        if [0, 1].iter().all(|worker| listed.iter().any(|one| one.id.worker() == *worker)) {
            return sessions;
        }
        let all = attempt * sessions.len();
        drop(sessions);
        are_gone(process).await;
        // Who counts what backends were told counts these with it.
        until("backends to know it", || {
            backends.iter().map(|backend| backend.endings().len()).sum::<usize>() == all
        })
        .await;
    }
    unreachable!("there is always another attempt")
}

async fn are_gone(process: &Process) {
    within("the sessions' ends", async {
        while process.counts().await.leases > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// The text with the names of backends for their addresses.
fn readable(text: &str, backends: [&Backend; 3], new: SocketAddr) -> String {
    let addresses = backends.map(|backend| backend.address());
    let names = addresses.into_iter().chain([new]).zip(["a", "b", "c", "d"]);
    names.fold(text.to_owned(), |text, (address, name)| text.replace(&address.to_string(), name))
}

const CHANGES: &str = "\
configuration: built in
routes: 1 added, 1 removed, 1 changed, 3 kept
  added    /new
  removed  /old
  changed  /two
pools: 1 changed, 1 kept
  changed  one
backends: 1 added, 1 removed, 2 kept
  added    one/d
  removed  one/a
listeners: 1 added, 1 kept
  added    second
tables changed: limits
apply at the next start, not before: workers
listeners opened: second
sessions drained: 3 of 8
sessions moved: 1 of 8
sessions kept: 4 of 8
sessions held to new rules: 2 of 8
  route removed: route `/old` on two/c: 2 drained
  backend removed: route `/one` on one/a: 1 moved
  backend removed: route `/talk` on one/a: 1 drained
  new rules: route `/two` on two/c: 2 kept";

fn expected_json() -> Value {
    let row = |rule: &str, route: &str, place: [&str; 2], drained: u32, moved: u32, all: u32| {
        let [pool, backend] = place;
        json!({
            "rule": rule, "listener": "http", "route": route, "pool": pool, "backend": backend,
            "sessions": all, "drained": drained, "moved": moved,
        })
    };
    json!({
        "outcome": "dry_run", "config": "built in", "generation": 1,
        "changes": {
            "routes": {
                "added": ["/new"], "removed": ["/old"], "changed": ["/two"], "kept": 3,
            },
            "pools": { "added": [], "removed": [], "changed": ["one"], "kept": 1 },
            "backends": {
                "added": ["one/d"], "removed": ["one/a"], "changed": [], "kept": 2,
            },
            "listeners": { "added": ["second"], "removed": [], "changed": [], "kept": 1 },
            "certificates": { "added": [], "removed": [], "changed": [], "kept": 0 },
            "settings": ["limits"], "at_next_start": ["workers"],
        },
        "at_next_start": ["workers"], "routes_with_new_rules": 1,
        "listeners_opened": ["second"], "listeners_closed": [],
        "sessions": 8, "sessions_drained": 3, "sessions_moved": 1, "sessions_revoked": null,
        "sessions_with_new_rules": 2, "sessions_kept": 4,
        "sessions_by_rule": [
            row("route_removed", "/old", ["two", "c"], 2, 0, 2),
            row("backend_removed", "/one", ["one", "a"], 0, 1, 1),
            row("backend_removed", "/talk", ["one", "a"], 1, 0, 1),
            row("new_rules", "/two", ["two", "c"], 0, 0, 2),
        ],
        "sessions_by_rule_left_off": 0,
        "errors": 0, "warnings": 0, "findings": [],
    })
}

#[tokio::test]
async fn a_dry_run_a_refusal_and_a_reload_say_the_same_changes_and_the_same_fates() {
    let (a, b) = (Backend::echo("a").await, Backend::echo("b").await);
    let (c, d) = (Backend::echo("c").await, Backend::echo("d").await);
    let (backends, new) = ([&a, &b, &c], d.address());
    let process = Process::start(before(backends));
    let sessions = sessions(&process, backends).await;
    let (of_a, of_c) = (a.endings().len(), c.endings().len());
    let read = |reloaded: &Reloaded| {
        let json = readable(&reloaded.json().to_string(), backends, new);
        (readable(&reloaded.to_string(), backends, new), serde_json::from_str(&json).unwrap())
    };

    let dry_run = ReloadRequest { dry_run: true, force: true, ..ReloadRequest::default() };
    let would = process.change_and(dry_run, |plan| change(plan, new)).await;
    let (text, json): (String, Value) = read(&would);
    assert_eq!(text, format!("would be taken; in force is generation 1\n{CHANGES}"));
    assert_eq!(json, expected_json());

    let refused = process.reload(ReloadRequest::default()).await;
    let (text, mut json) = read(&refused);
    let why = "the reload would end 3 of 8 sessions, more than `reload.drain_max` allows: 10 % \
               (`--force` ends them)";
    assert_eq!(text, format!("{why}\n{CHANGES}"));
    assert_eq!((&json["why"], &json["drain_max_percent"]), (&json!(why), &json!(10)));
    json["outcome"] = "dry_run".into();
    json.as_object_mut().unwrap().retain(|key, _| key != "why" && key != "drain_max_percent");
    assert_eq!(json, expected_json());
    assert_eq!((refused.label(), process.generation()), ("refused_drain", 1));

    let force = ReloadRequest { force: true, ..ReloadRequest::default() };
    let taken = process.reload(force).await;
    let (text, mut json) = read(&taken);
    assert_eq!(text, format!("generation 2 is in force\n{CHANGES}"));
    (json["outcome"], json["generation"]) = ("dry_run".into(), 1.into());
    assert_eq!(json, expected_json());
    until("what was said", || c.endings().len() == of_c + 2 && a.endings().len() == of_a + 2).await;
    drop(sessions);
    are_gone(&process).await;
}
