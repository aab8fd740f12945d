//! What a reload takes, refuses and reports.

use super::*;
use crate::supervisor::made::rules;
use tidegate::base::label::Label;
use tidegate::report::{Diagnostic, Findings};

const FORCE: ReloadRequest =
    ReloadRequest { force: true, dry_run: false, recheck: false, config: None, if_changed: false };

#[tokio::test]
async fn a_configuration_that_is_refused_leaves_everything_as_it_was() {
    let backend = Backend::echo("one").await;
    let process = Process::start(site(&[("one", &backend)]));
    let mut session = process.session("/one").await;
    *process.next.lock().unwrap() = Err("nonsense".into());
    let refused = process.reload(ReloadRequest::default()).await;
    assert_eq!(
        super::refused(refused),
        ReloadRefused::Config(Findings::of(Diagnostic::error("made", "nonsense")))
    );
    session.echo("still here").await;
    assert_eq!(process.generation(), 1);
    assert_eq!(process.client("/").request("GET", "").await.1, "page");
    let scrape = process.scrape(Exposition::OpenMetrics);
    assert!(scrape.contains(r#"tidegate_reloads_total{outcome="refused_config"} 1"#), "{scrape}");
    drop(session);
    process.is_quiet().await;
}

#[tokio::test]
async fn removing_a_pool_is_refused_with_the_count_then_forced_and_only_its_sessions_end() {
    let (one, two) = (Backend::echo("one").await, Backend::echo("two").await);
    let process = Process::start(site(&[("one", &one), ("two", &two)]));
    let leaving = process.session("/one").await;
    let mut staying = process.session("/two").await;
    let without_one = |plan: &mut Plan| {
        plan.pools.retain(|pool| &*pool.name != "one");
        plan.routes.retain(|route| &*route.identity != "/one");
        plan.drain.window = Duration::ZERO;
    };
    let refused = process.change(without_one).await;
    let expected = ReloadRefused::Drain { sessions_drained: 1, sessions: 2, drain_max_percent: 10 };
    assert_eq!(super::refused(refused), expected);
    assert_eq!(process.generation(), 1);
    let taken = taken(process.reload(FORCE).await);
    assert_eq!((taken.generation, taken.impact.drained, taken.impact.sessions), (2, 1, 2));
    assert_eq!(leaving.ending().await, Ending::Close(1012, "removed".into()));
    staying.echo("undisturbed").await;
    drop(staying);
    process.is_quiet().await;
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let process = Process::start(site(&[]));
    let ask = ReloadRequest { dry_run: true, ..ReloadRequest::default() };
    let reloaded = process.change_and(ask, |plan| {
        plan.routes.clear();
        plan.workers = 2;
    });
    let taken = taken(reloaded.await);
    assert_eq!(
        (taken.generation, taken.dry_run, taken.changes.at_next_start),
        (1, true, vec!["workers"])
    );
    assert_eq!(process.client("/").request("GET", "").await.1, "page");
}

#[tokio::test]
async fn every_reload_asked_for_is_a_generation_and_old_ones_are_freed() {
    let backend = Backend::echo("one").await;
    let process = Process::start(site(&[("one", &backend)]));
    let mut session = process.session("/one").await;
    for round in 1..=25 {
        let close_timeout = Duration::from_secs(round);
        let rules = Arc::new(crate::config::plan::Rules { close_timeout, ..rules() });
        route_of(process.next.lock().unwrap().as_mut().unwrap(), "/one").rules = rules;
        let both = tokio::join!(
            process.reload(ReloadRequest::default()),
            process.reload(ReloadRequest::default())
        );
        let generations = [taken(both.0).generation, taken(both.1).generation];
        assert_eq!(generations, [2 * round, 2 * round + 1]);
    }
    session.echo("through it all").await;
    until("old snapshots to be freed", || {
        process.scrape(Exposition::OpenMetrics).contains("tidegate_snapshots_alive 1\n")
    })
    .await;
    let cells = process.metrics().route(&Arc::from("/one"));
    assert_eq!(cells.live(), 1);
}

#[tokio::test]
async fn an_unchanged_file_is_no_reload_for_a_watch() {
    let process = Process::start(site(&[]));
    let ask = ReloadRequest { if_changed: true, ..ReloadRequest::default() };
    assert_eq!(process.reload(ask).await, Reloaded::Unchanged);
    assert_eq!(process.generation(), 1);
    let taken = taken(process.reload(ReloadRequest::default()).await);
    assert_eq!(taken.generation, 2);
}

#[tokio::test]
async fn new_rules_reach_live_sessions() {
    let backend = Backend::echo("one").await;
    let process = Process::start(site(&[("one", &backend)]));
    let session = process.session("/one").await;
    let reloaded = process.change(|plan| {
        let mut rules = rules();
        rules.idle_timeout = Some(Duration::from_millis(1));
        route_of(plan, "/one").rules = Arc::new(rules);
    });
    assert_eq!(taken(reloaded.await).routes_with_new_rules, 1);
    assert_eq!(session.ending().await, Ending::Close(1001, "idle".into()));
    process.is_quiet().await;
}

#[tokio::test]
async fn listeners_come_and_go_and_a_busy_port_refuses_the_whole_reload() {
    let process = Process::start(site(&[]));
    let mut second = listener("second", 0);
    second.address = Address::Inet(([127, 0, 0, 2], 0).into());
    let add = second.clone();
    let added = process.change(|plan| plan.listeners.push(Arc::new(add))).await;
    assert_eq!(taken(added).listeners_opened, ["second"]);
    let at = process.at("second");
    assert_eq!(Client::to(at).request("GET", "").await.1, "page");

    let taken_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = listener("busy", taken_port.local_addr().unwrap().port());
    let refused = process.change(|plan| {
        plan.listeners.push(Arc::new(busy));
        plan.routes.clear();
    });
    let refused = refused.await;
    assert_eq!(refused.label(), "refused_listeners");
    assert!(refused.to_string().contains("the port is in use"), "{refused}");
    assert_eq!(Client::to(at).request("GET", "").await.1, "page");

    let removed = process.change(|plan| plan.listeners.truncate(1)).await;
    assert_eq!(taken(removed).listeners_closed, ["second"]);
    until("the second to close", || std::net::TcpStream::connect(at).is_err()).await;
    assert_eq!(process.client("/").request("GET", "").await.0.status(), 404);
}

#[tokio::test]
async fn a_file_with_errors_is_reported_with_its_place_and_leaves_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tidegate.toml");
    let good = "[listeners.http]\naddress = \"127.0.0.1:0\"\n\n\
        [[routes]]\nrespond = { body = \"old\" }\n";
    std::fs::write(&file, good).unwrap();
    let supervisor = Supervisor::start(Options::new(ConfigSource::File(file.clone()))).unwrap();
    let at = match supervisor.address("http").unwrap() {
        Address::Inet(at) => at,
        Address::Unix(_) => unreachable!("cannot fail: it is an inet listener"),
    };
    assert_eq!(Client::to(at).request("GET", "").await.1, "old");
    std::fs::write(&file, good.replace("respond", "respnd")).unwrap();
    let refused = supervisor.reload(ReloadRequest::default()).await;
    assert!(refused.to_string().contains("respnd"), "{refused}");
    assert_eq!(Client::to(at).request("GET", "").await.1, "old");
    std::fs::write(&file, good.replace("old", "new")).unwrap();
    assert_eq!(taken(supervisor.reload(ReloadRequest::default()).await).generation, 2);
    assert_eq!(Client::to(at).request("GET", "").await.1, "new");
}

#[tokio::test]
async fn a_busy_port_at_the_start_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut plan = site(&[]);
    plan.listeners.push(Arc::new(listener("busy", taken.local_addr().unwrap().port())));
    let Err(error) = Process::try_start(plan) else { panic!("it started") };
    assert!(error.to_string().contains("the port is in use\nhint: "), "{error}");
}
