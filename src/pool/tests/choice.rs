//! Who may be chosen, and by what.

use futures_util::FutureExt as _;

use super::*;
use crate::base::clock;

/// Where `of` sends a session with this key; the lease is given back at once.
fn home(of: &Pool, key: Option<Key>) -> Arc<str> {
    let ask = Ask::new(at(0), Kind::Session, key);
    Arc::clone(of.lease(&ask).unwrap().backend().address())
}

#[test]
fn a_hashed_key_has_one_home_over_reloads_and_its_next_choice_is_kept_too() {
    let metrics = Metrics::new(1);
    let hashed = |members: &[(&str, u32)]| {
        let by = plan::RequestKey::Path;
        let balance = Balance::Hash { by, excess_percent: Some(25) };
        Arc::new(plan::Pool { balance, ..plan(members) })
    };
    let old = Pool::build(&hashed(&THREE), None, &[], &metrics).unwrap();
    let keys: Vec<_> = (0..200_u32).map(|key| old.key(Some(&key.to_le_bytes()), None)).collect();
    let homes: Vec<_> = keys.iter().map(|key| home(&old, *key)).collect();
    // `a` is out: only its keys move.
    eject(&old.backends()[0], 0);
    let without: Vec<_> = keys.iter().map(|key| home(&old, *key)).collect();
    assert!(without.iter().all(|home| &**home != "a:1"));
    let moved = homes.iter().zip(&without).filter(|(one, other)| one != other);
    assert!(moved.clone().count() > 0 && moved.clone().all(|(home, _)| &**home == "a:1"));
    // A reload takes it away, in another order of the file: the same choices.
    let new = Pool::build(&hashed(&[("c:1", 1), ("b:1", 1)]), Some(&old), &[], &metrics).unwrap();
    let after: Vec<_> = keys.iter().map(|key| home(&new, *key)).collect();
    assert_eq!(after, without);
    // Plain requests find the same home.
    let ask = Ask::new(at(0), Kind::Request, keys[0]);
    assert_eq!(new.lease(&ask).unwrap().backend().address(), &after[0]);
}

#[test]
fn without_a_key_a_hashing_pool_goes_by_the_fewest_sessions() {
    let balance = Balance::Hash { by: plan::RequestKey::Path, excess_percent: None };
    let pool = pool(plan::Pool { balance, ..plan(&THREE) });
    assert_eq!(pool.key(None, Some(b"x")), None);
    assert_eq!(pool.key(Some(b""), None), None);
    let _leases: Vec<Lease> = (0..30).map(|_| lease(&pool, Kind::Session, 0)).collect();
    assert!(pool.backends().iter().all(|backend| backend.sessions() == 10));
}

#[test]
fn random_two_shares_out_sessions_and_requests_by_their_own_counts() {
    let pool = pool(plan::Pool { balance: Balance::RandomTwo, ..plan(&THREE) });
    let _sessions: Vec<Lease> = (0..300).map(|_| lease(&pool, Kind::Session, 0)).collect();
    let _requests: Vec<Lease> = (0..300).map(|_| lease(&pool, Kind::Request, 0)).collect();
    for backend in pool.backends() {
        let counts = [backend.sessions(), backend.requests()];
        assert!(counts.iter().all(|count| (80..=120).contains(count)), "{counts:?}");
    }
}

const SECRET: [u8; 32] = [1; 32];

fn sticky(secrets: &[[u8; 32]], members: &[(&str, u32)]) -> plan::Pool {
    let secrets = secrets.iter().map(|secret| plan::Secret::new(secret)).collect();
    let same_site = plan::SameSite::Lax;
    let sticky = plan::Sticky { cookie: "c".into(), same_site, secrets };
    plan::Pool { sticky: Some(sticky), ..plan(members) }
}

#[test]
fn a_cookie_leads_back_to_its_backend_and_is_not_given_twice() {
    let pool = pool(sticky(&[SECRET], &THREE));
    let _elsewhere: Vec<Lease> = (0..2).map(|_| lease(&pool, Kind::Session, 0)).collect();
    for backend in pool.backends() {
        let cookie = pool.cookie(None, backend.address()).unwrap();
        assert!(!cookie.contains(&**backend.address()) && cookie.len() == 22, "{cookie}");
        let key = pool.key(None, Some(cookie.as_bytes()));
        assert_eq!(home(&pool, key), *backend.address());
        assert_eq!(pool.cookie(key, backend.address()), None);
        assert_eq!(pool.pinned(None, backend.address()), key);
    }
    let cookies = |pool: &Pool| {
        let cookie = |one: &Arc<Backend>| pool.cookie(None, one.address()).unwrap();
        pool.backends().iter().map(cookie).collect::<Vec<_>>()
    };
    let again = super::pool(sticky(&[SECRET], &THREE));
    assert_eq!(cookies(&again), cookies(&pool), "as another proxy, or after a restart");
    let other = super::pool(sticky(&[[2; 32]], &THREE));
    assert!(cookies(&other).iter().all(|one| !cookies(&pool).contains(one)));
}

#[test]
fn a_new_secret_signs_and_the_old_one_still_leads_back() {
    let old = pool(sticky(&[SECRET], &THREE));
    let new = pool(sticky(&[[2; 32], SECRET], &THREE));
    let cookie = old.cookie(None, "b:1").unwrap();
    let key = new.key(None, Some(cookie.as_bytes()));
    assert_eq!(&*home(&new, key), "b:1");
    let renewed = new.cookie(key, "b:1").expect("the new secret's");
    assert_ne!(renewed, cookie);
    assert_eq!(&*home(&new, new.key(None, Some(renewed.as_bytes()))), "b:1");
}

#[test]
fn a_cookie_that_was_tampered_with_or_whose_backend_is_lost_is_for_nobody() {
    let metrics = Metrics::new(1);
    let mut bounded = sticky(&[SECRET], &THREE);
    bounded.backends[1].sessions_max = Some(1);
    let pool = Pool::build(&Arc::new(bounded), None, &[], &metrics).unwrap();
    let cookie = pool.cookie(None, "b:1").unwrap();
    let key = pool.key(None, Some(cookie.as_bytes()));
    let lost = |reason| metrics.pool(&"chat".into()).sticky_lost.get(reason);

    let mut forged = cookie.clone().into_bytes();
    forged[0] = if forged[0] == b'A' { b'B' } else { b'A' };
    let forged = pool.key(None, Some(&forged));
    let homes: Vec<_> = (0..3).map(|_| home(&pool, forged)).collect();
    assert!(homes.iter().any(|home| *home != homes[0]), "{homes:?}");
    assert_eq!((lost("unknown"), pool.key(None, Some(b"nonsense"))), (3, None));

    let held = pool.lease(&Ask::new(at(0), Kind::Session, key)).unwrap();
    assert_ne!(&*home(&pool, key), "b:1");
    assert_eq!(lost("full"), 1);
    let request = Ask::new(at(0), Kind::Request, key);
    assert_eq!(&**pool.lease(&request).unwrap().backend().address(), "b:1");
    drop(held);
    eject(&pool.backends()[1], 0);
    assert_ne!(&*home(&pool, key), "b:1");
    assert_eq!(lost("out"), 1);
    pool.backends()[1].record(Evidence::Healthy, None, at(1));
    assert_eq!(&*home(&pool, key), "b:1");
}

#[test]
fn a_full_backend_is_passed_over_and_when_all_are_the_client_is_told_so() {
    let metrics = Metrics::new(1);
    let mut bounded = plan(&[("a:1", 100), ("b:1", 1)]);
    for (backend, most) in bounded.backends.iter_mut().zip([2, 3]) {
        backend.sessions_max = Some(most);
    }
    let pool = Pool::build(&Arc::new(bounded), None, &[], &metrics).unwrap();
    let mut leases: Vec<Lease> = (0..5).map(|_| lease(&pool, Kind::Session, 0)).collect();
    let counts: Vec<usize> = pool.backends().iter().map(|backend| backend.sessions()).collect();
    assert_eq!(counts, [2, 3]);
    let ask = Ask::new(at(0), Kind::Session, None);
    let refused = pool.lease(&ask).unwrap_err();
    assert_eq!(refused, NoBackend { is_full: true, retry_after: Duration::from_secs(1) });
    assert_eq!(metrics.pool(&"chat".into()).full.get(), 1);
    assert!(pool.lease(&Ask { kind: Kind::Request, ..ask }).is_ok());
    leases.pop();
    assert!(pool.lease(&ask).is_ok());
}

#[test]
fn one_client_leaves_places_for_sessions_to_others_and_what_it_has_goes_on() {
    let metrics = Metrics::new(1);
    let mut bounded = plan(&[("a:1", 1), ("b:1", 1)]);
    bounded.backends.iter_mut().for_each(|backend| backend.sessions_max = Some(18));
    let bounded = Arc::new(bounded);
    let pool = Pool::build(&bounded, None, &[], &metrics).unwrap();
    let client = |last: u8| std::net::IpAddr::from([10, 0, 0, last]).into();
    let ask = |client| Ask { client, ..Ask::new(at(0), Kind::Session, None) };
    let all = |client| std::iter::from_fn(|| pool.lease(&ask(client)).ok()).collect::<Vec<_>>();
    let office = all(client(1));
    assert_eq!((office.len(), pool.lease(&ask(client(1))).unwrap_err().is_full), (32, true));
    let other = pool.lease(&ask(client(2))).unwrap();
    // A session of the office that lives finds the place that a new one does not.
    let goes_on = pool.lease(&Ask { continues: true, ..ask(client(1)) }).unwrap();
    // The clients of a proxy are not told apart.
    let proxied = all(ClientNetwork::Unshared);
    assert_eq!((proxied.len(), all(client(3)).len()), (2, 0));
    drop((office, goes_on));
    // Whoever leaves makes room, also for the greedy one, and over a reload.
    let without = plan::Pool { connect_timeout: Duration::from_secs(7), ..(*bounded).clone() };
    let pool = Pool::build(&Arc::new(without), Some(&pool), &[], &metrics).unwrap();
    let again: Vec<_> = std::iter::from_fn(|| pool.lease(&ask(client(1))).ok()).collect();
    // Three places are others': two of one backend, and one.
    assert_eq!(again.len(), 15 + 16);
    drop((other, proxied, again));
    assert!(pool.backends().iter().all(|backend| backend.sessions() == 0));
}

#[test]
fn a_backup_is_used_only_when_no_other_is_up_or_can_be_had() {
    let mut with_backup = plan(&[("a:1", 1), ("b:1", 1), ("backup:1", 9)]);
    with_backup.backends[2].backup = true;
    with_backup.backends[0].sessions_max = Some(20);
    let pool = pool(with_backup);
    let held: Vec<Lease> = (0..20).map(|_| lease(&pool, Kind::Session, 0)).collect();
    let requests: Vec<Lease> = (0..20).map(|_| lease(&pool, Kind::Request, 0)).collect();
    let backup = &pool.backends()[2];
    assert_eq!((backup.sessions(), backup.requests()), (0, 0));
    assert!(pool.health(at(0)).iter().all(|seen| seen.up));

    eject(&pool.backends()[1], 1);
    assert_eq!(&*home_at(&pool, 1), "a:1");
    // Both are out: better the backup than one that has failed.
    eject(&pool.backends()[0], 1);
    assert_eq!(&*home_at(&pool, 1), "backup:1");
    let up: Vec<bool> = pool.health(at(1)).iter().map(|seen| seen.up).collect();
    assert_eq!(up, [false, false, true]);
    // All are: then one of the others rather than nobody, but the backup again while it is tried.
    eject(backup, 1);
    assert_ne!(&*home_at(&pool, 1), "backup:1");
    pool.backends()[0].record(Evidence::Healthy, None, at(2));
    backup.record(Evidence::Healthy, None, at(2));
    assert_eq!(&*home_at(&pool, 2), "a:1");
    let tried = [Arc::clone(pool.backends()[0].address())];
    let again = Ask { tried: &tried, ..Ask::new(at(2), Kind::Session, None) };
    assert_eq!(&**pool.lease(&again).unwrap().backend().address(), "backup:1");
    drop((held, requests));
}

fn home_at(pool: &Pool, seconds: u64) -> Arc<str> {
    Arc::clone(lease(pool, Kind::Session, seconds).backend().address())
}

#[test]
fn a_backend_that_returned_comes_to_its_share_of_the_new_sessions_in_time() {
    let slow = plan::Pool { slow_start: Duration::from_secs(100), ..plan(&THREE) };
    let pool = pool(slow);
    // Long ago all three began, and `c` was lost with its sessions.
    let mut leases: Vec<Lease> = (0..300).map(|_| lease(&pool, Kind::Session, 0)).collect();
    let c = &pool.backends()[2];
    eject(c, 1000);
    leases.retain(|lease| &**lease.backend().address() != "c:1");
    c.record(Evidence::Healthy, None, at(1010));
    let mut grown = Vec::new();
    for seconds in [1010, 1035, 1060, 1110] {
        leases.extend((0..30).map(|_| lease(&pool, Kind::Session, seconds)));
        grown.push(c.sessions());
    }
    // What it would have at once, without a slow start: 30, 60, 90 and 106.
    assert_eq!(grown, [1, 29, 58, 88]);
}

#[test]
fn a_slow_start_weighs_on_every_balance_and_on_plain_requests() {
    for balance in [Balance::RoundRobin, Balance::RandomTwo, hash_by_path()] {
        let slow = plan::Pool {
            slow_start: Duration::from_secs(100),
            balance: balance.clone(),
            ..plan(&[("a:1", 1), ("b:1", 1)])
        };
        let pool = pool(slow);
        let _first = lease(&pool, Kind::Request, 0);
        let b = &pool.backends()[1];
        eject(b, 500);
        b.record(Evidence::Healthy, None, at(600));
        let ask = |number: u32, seconds| {
            let key = pool.key(Some(&number.to_le_bytes()), None);
            let ask = Ask::new(at(seconds), Kind::Request, key);
            pool.lease(&ask).unwrap()
        };
        let early: Vec<Lease> = (0..200).map(|number| ask(number, 605)).collect();
        let had = b.requests();
        assert!(had < 40, "{balance:?}: {had} of 200 after a twentieth of the time");
        drop(early);
        let _late: Vec<Lease> = (0..200).map(|number| ask(number, 700)).collect();
        assert!(b.requests() > 60, "{balance:?}: {} of 200 after all of it", b.requests());
    }
}

fn hash_by_path() -> Balance {
    Balance::Hash { by: plan::RequestKey::Path, excess_percent: None }
}

#[tokio::test]
async fn handshakes_begin_no_faster_than_their_rate_whoever_asks() {
    let mut paced = plan(&THREE);
    paced.handshakes_in_flight_max = 64;
    paced.handshake_rate_max = Some(50);
    let metrics = Metrics::new(1);
    let pool = Pool::build(&Arc::new(paced.clone()), None, &[], &metrics).unwrap();
    let backend = &pool.backends()[0];
    let started = clock::now();
    let asked = (0..8).map(|_| backend.handshake_permit(ClientNetwork::Unshared));
    let permits = futures_util::future::join_all(asked).await;
    assert!(permits.iter().all(Result::is_ok));
    // One at once, and one each 20 ms; the clock is read in whole milliseconds.
    assert!(clock::now().since(started) >= Duration::from_millis(7 * 20 - 1));
    assert_eq!(backend.handshakes_waiting(), 0);

    // A reload does not begin the pace anew. Turns are taken though nobody waits for them.
    paced.handshake_rate_max = Some(1);
    let slow = Pool::build(&Arc::new(paced.clone()), Some(&pool), &[], &metrics).unwrap();
    (0..4).for_each(|_| {
        drop(slow.backends()[0].handshake_permit(ClientNetwork::Unshared).now_or_never());
    });
    paced.connect_timeout = Duration::from_millis(1);
    let again = Pool::build(&Arc::new(paced), Some(&slow), &[], &metrics).unwrap();
    let busy = again.backends()[0].handshake_permit(ClientNetwork::Unshared).await.unwrap_err();
    assert_eq!(busy, Busy::Paced { rate: 1 });
}

#[test]
fn a_pool_that_is_built_and_not_taken_leaves_the_limits_as_they_are() {
    let metrics = Metrics::new(1);
    let of = |most| plan::Pool { requests_in_flight_max: most, ..plan(&[("a:1", 1)]) };
    let pool = Pool::build(&Arc::new(of(3)), None, &[], &metrics).unwrap();
    let narrow = Pool::build(&Arc::new(of(1)), Some(&pool), &[], &metrics).unwrap();
    let one = pool.lease(&Ask::new(at(0), Kind::Request, None)).unwrap();
    let two = pool.lease(&Ask::new(at(0), Kind::Request, None)).unwrap();
    narrow.backends().iter().for_each(|backend| backend.apply_limits());
    drop(two);
    assert!(narrow.lease(&Ask::new(at(0), Kind::Request, None)).is_err());
    drop(one);
    assert!(narrow.lease(&Ask::new(at(0), Kind::Request, None)).is_ok());
}
