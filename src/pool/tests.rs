//! Pools in invented time; what needs sockets is in `tests/dial.rs`.

mod choice;
mod dial;
mod rebalance;

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;

use super::*;
use crate::base::network::ClientNetwork;
use crate::config::plan::{BackendAddress, Balance, Health, Retry};

fn address(written: &str) -> BackendAddress {
    if let Some(path) = written.strip_prefix("unix:") {
        return BackendAddress::Unix(path.into());
    }
    let (host, port) = written.rsplit_once(':').unwrap();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    BackendAddress::Inet { host: host.into(), port: port.parse().unwrap() }
}

pub(crate) fn plan(backends: &[(&str, u32)]) -> plan::Pool {
    let backend =
        |&(at, weight): &(&str, u32)| plan::Backend { weight, ..plan::Backend::new(address(at)) };
    plan::Pool {
        handshakes_in_flight_max: 2,
        health: Health {
            failures_max: 2,
            eject_time: Duration::from_secs(10),
            ..Health::default()
        },
        retry: Retry { budget_min_per_second: 1, ..Retry::default() },
        ..plan::Pool::new("chat", backends.iter().map(backend).collect())
    }
}

const THREE: [(&str, u32); 3] = [("a:1", 1), ("b:1", 1), ("c:1", 1)];

fn pool(plan: plan::Pool) -> Arc<Pool> {
    Pool::build(&Arc::new(plan), None, &[], &Metrics::new(1)).unwrap()
}

fn at(seconds: u64) -> Moment {
    Moment::from_millis(seconds * 1000)
}

fn lease(pool: &Pool, kind: Kind, seconds: u64) -> Lease {
    pool.lease(&Ask::new(at(seconds), kind, None)).unwrap()
}

pub(crate) fn eject(backend: &Backend, seconds: u64) {
    (0..2).for_each(|_| backend.record(Evidence::Unreachable, None, at(seconds)));
}

#[test]
fn sessions_go_where_the_fewest_are_and_leave_with_their_lease() {
    let pool = pool(plan(&THREE));
    let mut leases: Vec<Lease> = (0..30).map(|_| lease(&pool, Kind::Session, 0)).collect();
    assert!(pool.backends().iter().all(|backend| backend.sessions() == 10));
    leases.retain(|lease| &**lease.backend().address() != "b:1");
    assert_eq!(pool.backends()[1].sessions(), 0);
    leases.extend((0..10).map(|_| lease(&pool, Kind::Session, 0)));
    assert!(pool.backends().iter().all(|backend| backend.sessions() == 10));
    drop(leases);
    assert!(pool.backends().iter().all(|backend| backend.sessions() == 0));
}

#[test]
fn workers_that_choose_at_once_share_out_as_evenly_as_one() {
    let pool = pool(plan(&THREE));
    let taken = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let take = |_| lease(&pool, Kind::Session, 0);
                    let leases: Vec<Lease> = (0..75).map(take).collect();
                    taken.fetch_add(leases.len(), Relaxed);
                    leases
                })
            })
            .collect();
        let leases: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(pool.backends().iter().all(|backend| backend.sessions() == 100));
        drop(leases);
    });
    assert_eq!(taken.load(Relaxed), 300);
}

#[test]
fn plain_requests_go_in_turn_whatever_sessions_there_are() {
    let pool = pool(plan(&[("a:1", 3), ("b:1", 1)]));
    let _sessions: Vec<Lease> = (0..9).map(|_| lease(&pool, Kind::Session, 0)).collect();
    let requests: Vec<Lease> = (0..8).map(|_| lease(&pool, Kind::Request, 0)).collect();
    let counts: Vec<usize> = pool.backends().iter().map(|backend| backend.requests()).collect();
    assert_eq!(counts, [6, 2]);
    drop(requests);
    assert!(pool.backends().iter().all(|backend| backend.requests() == 0));
}

#[test]
fn a_backend_that_failed_is_passed_over_until_its_trial() {
    let pool = pool(plan(&[("a:1", 1), ("b:1", 1)]));
    let a = &pool.backends()[0];
    eject(a, 0);
    let leases: Vec<Lease> = (0..5).map(|_| lease(&pool, Kind::Session, 9)).collect();
    assert!(leases.iter().all(|lease| &**lease.backend().address() == "b:1"));
    // Due: it has the fewest, so the next is its trial; there is no other until that is decided.
    let trial = lease(&pool, Kind::Session, 10);
    assert_eq!(trial.backend().address(), a.address());
    assert_eq!(&**lease(&pool, Kind::Session, 10).backend().address(), "b:1");
    a.record(Evidence::Healthy, None, at(11));
    assert_eq!(lease(&pool, Kind::Session, 11).backend().address(), a.address());
}

#[test]
fn at_least_half_of_the_pool_is_always_given_work() {
    let pool = pool(plan(&[("a:1", 1), ("b:1", 1), ("c:1", 1), ("d:1", 1)]));
    for (seconds, backend) in pool.backends().iter().enumerate() {
        eject(backend, seconds as u64);
    }
    let up: Vec<bool> = pool.health(at(4)).iter().map(|seen| seen.up).collect();
    assert_eq!(up, [true, true, false, false]);
    assert!(
        pool.health(at(4)).iter().all(|seen| matches!(seen.standing, Standing::Ejected { .. }))
    );
    assert_eq!(pool.facts(at(4)).filter(|(_, facts, _)| facts.up).count(), 2);
}

#[test]
fn a_request_is_refused_when_all_that_are_in_were_tried_and_told_when_to_return() {
    let pool = pool(plan(&THREE));
    let mut tried = Vec::new();
    for _ in 0..3 {
        let ask = Ask { tried: &tried, ..Ask::new(at(0), Kind::Session, None) };
        let lease = pool.lease(&ask).unwrap();
        tried.push(Arc::clone(lease.backend().address()));
    }
    tried.sort();
    assert_eq!(tried, ["a:1".into(), "b:1".into(), "c:1".into()]);
    let again =
        |now| pool.lease(&Ask { tried: &tried, ..Ask::new(now, Kind::Session, None) }).unwrap_err();
    assert_eq!(again(at(0)).retry_after, Duration::from_secs(1));
    eject(&pool.backends()[0], 0);
    assert_eq!(again(Moment::from_millis(2500)).retry_after, Duration::from_secs(8));
}

#[test]
fn retries_are_bounded_by_attempts_and_by_the_budget() {
    let metrics = Metrics::new(1);
    let pool = Pool::build(&Arc::new(plan(&THREE)), None, &[], &metrics).unwrap();
    assert!(!pool.may_retry(at(0), 3));
    assert!(pool.may_retry(at(0), 1));
    assert!(!pool.may_retry(at(0), 2), "one a second, and no requests yet");
    let _leases: Vec<Lease> = (0..10).map(|_| lease(&pool, Kind::Request, 0)).collect();
    assert!(pool.may_retry(at(0), 2));
    assert!(!pool.may_retry(at(0), 2));
    assert_eq!(metrics.pool(&"chat".into()).retries.get(), 2);
}

#[test]
fn an_equal_plan_gives_the_same_pool() {
    let metrics = Metrics::new(1);
    let old = Pool::build(&Arc::new(plan(&THREE)), None, &[], &metrics).unwrap();
    let new = Pool::build(&Arc::new(plan(&THREE)), Some(&old), &[], &metrics).unwrap();
    assert!(Arc::ptr_eq(&old, &new));
}

#[test]
fn counts_and_health_live_on_over_a_reload_by_the_backends_address() {
    let metrics = Metrics::new(1);
    let old = Pool::build(&Arc::new(plan(&THREE)), None, &[], &metrics).unwrap();
    let leases: Vec<Lease> = (0..6).map(|_| lease(&old, Kind::Session, 0)).collect();
    eject(&old.backends()[1], 0);
    // `a` stays as it is, `b` gets another weight, `c` goes, `d` comes.
    let changed = plan(&[("d:1", 1), ("b:1", 7), ("a:1", 1)]);
    let new = Pool::build(&Arc::new(changed), Some(&old), &[], &metrics).unwrap();
    assert!(Arc::ptr_eq(&old.backends()[0], &new.backends()[2]));
    let counts: Vec<usize> = new.backends().iter().map(|backend| backend.sessions()).collect();
    assert_eq!(counts, [0, 2, 2]);
    let b = &new.backends()[1];
    assert_eq!((b.weight(), b.standing(at(1))), (7, Standing::Ejected { until: at(10) }));

    let c = Arc::downgrade(&old.backends()[2]);
    drop(old);
    assert!(c.upgrade().is_some(), "its sessions keep it alive");
    drop(leases);
    assert!(c.upgrade().is_none(), "and nothing else does");
    assert_eq!(new.backends()[1].sessions(), 0);
}

#[tokio::test]
async fn a_handshake_waits_for_one_of_the_permits_and_no_longer_than_a_dial() {
    let mut quick = plan(&THREE);
    quick.connect_timeout = Duration::from_millis(50);
    let pool = pool(quick);
    let backend = &pool.backends()[0];
    let first = backend.handshake_permit(ClientNetwork::Unshared).await.unwrap();
    let _second = backend.handshake_permit(ClientNetwork::Unshared).await.unwrap();
    let busy = backend.handshake_permit(ClientNetwork::Unshared).await.unwrap_err();
    assert_eq!(busy, Busy::Waited { after: Duration::from_millis(50) });
    let (third, ()) =
        tokio::join!(backend.handshake_permit(ClientNetwork::Unshared), async { drop(first) });
    assert!(third.is_ok());
    assert!(
        pool.backends()[1].handshake_permit(ClientNetwork::Unshared).await.is_ok(),
        "each backend has its own"
    );
}

#[tokio::test]
async fn handshakes_under_way_count_on_over_a_reload() {
    let metrics = Metrics::new(1);
    let mut quick = plan(&THREE);
    quick.connect_timeout = Duration::from_millis(20);
    let old = Pool::build(&Arc::new(quick.clone()), None, &[], &metrics).unwrap();
    let backend = &old.backends()[0];
    let _held = (
        backend.handshake_permit(ClientNetwork::Unshared).await.unwrap(),
        backend.handshake_permit(ClientNetwork::Unshared).await,
    );
    quick.backends[0].weight = 2;
    let new = Pool::build(&Arc::new(quick), Some(&old), &[], &metrics).unwrap();
    assert!(!Arc::ptr_eq(backend, &new.backends()[0]));
    assert!(new.backends()[0].handshake_permit(ClientNetwork::Unshared).await.is_err());
}

#[test]
fn who_waits_tries_what_is_ejected_at_a_pace_and_what_it_has_lost_last() {
    let pool = pool(plan(&[("a:1", 1), ("b:1", 1)]));
    let a = Arc::clone(pool.backends()[0].address());
    let lease = |millis: u64, lost: Option<&str>| {
        let now = Moment::from_millis(millis);
        let lost = lost.map(Arc::from);
        let ask = Ask { waits: true, avoided: lost.as_ref(), ..Ask::new(now, Kind::Session, None) };
        pool.lease(&ask).ok().map(|lease| lease.backend().address().to_string())
    };
    assert_eq!(lease(0, Some("a:1")).as_deref(), Some("b:1"));
    eject(&pool.backends()[1], 0);
    assert_eq!(lease(0, Some("a:1")), Some(a.to_string()), "the other is ejected");
    eject(&pool.backends()[0], 0);
    let early = Ask { waits: true, ..Ask::new(Moment::from_millis(10), Kind::Session, None) };
    assert!(!pool.lease(&early).unwrap_err().is_full, "it is not due, which is not full");
    eject(&pool.backends()[0], 0);
    let tried: Vec<_> =
        (0..=4000).step_by(10).filter_map(|now| Some((now, lease(now, None)?))).collect();
    let of = |name: &str| -> Vec<u64> {
        tried.iter().filter(|(_, backend)| backend == name).map(|(now, _)| *now).collect()
    };
    assert_eq!(of("a:1"), [50, 150, 350, 750, 1550, 2550, 3550]);
    // One is tried at a time.
    assert_eq!(of("b:1"), [60, 160, 360, 760, 1560, 2560, 3560]);
    assert_eq!(pool.until_waiting_trial(at(4)), Some(Duration::from_millis(550)));
    let now = at(5);
    pool.backends()[1].record(Evidence::Healthy, None, now);
    assert_eq!(pool.until_waiting_trial(now), None);
    assert_eq!(lease(5000, Some("b:1")).as_deref(), Some("b:1"), "it is up, and the other is not");
    pool.backends()[1].disable();
    assert_eq!(lease(5010, None).as_deref(), Some("a:1"));
    pool.backends()[0].disable();
    assert_eq!((lease(9000, None), pool.until_waiting_trial(at(9))), (None, None));
}
