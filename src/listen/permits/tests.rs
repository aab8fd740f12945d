use std::net::IpAddr;

use super::super::waiting::Waiting;
use super::*;

fn permits(max: usize, per_address: Option<usize>, workers: usize) -> Arc<Permits> {
    let limits = Limits {
        connections_max: max,
        connections_per_address_max: per_address,
        ..Limits::default()
    };
    Permits::new(&limits, workers, usize::MAX)
}

fn network(address: &str) -> ClientNetwork {
    address.parse::<IpAddr>().unwrap().into()
}

fn enter(permits: &Arc<Permits>, here: usize) -> Result<Permit, Rejection> {
    permits.enter(here, ClientNetwork::Unshared, &Arc::default())
}

#[test]
fn connections_are_refused_at_the_limit_and_let_in_after_a_drop() {
    let permits = permits(2, None, 1);
    let first = enter(&permits, 0).unwrap();
    let _second = enter(&permits, 0).unwrap();
    assert_eq!(enter(&permits, 0).unwrap_err(), Rejection::Connections);
    assert_eq!(permits.open(), 2);
    drop(first);
    enter(&permits, 0).unwrap();
    assert_eq!(permits.open(), 1);
}

#[test]
fn a_client_is_limited_on_its_own_and_forgotten_with_its_last_connection() {
    let permits = permits(10, Some(1), 1);
    let enter = |address| permits.enter(0, network(address), &Arc::default());
    let one = enter("10.0.0.1").unwrap();
    assert_eq!(enter("::ffff:10.0.0.1").unwrap_err(), Rejection::PerAddress);
    let other = enter("10.0.0.2").unwrap();
    drop(one);
    drop(enter("10.0.0.1").unwrap());
    drop(other);
    let six = enter("2001:db8::1").unwrap();
    assert_eq!(enter("2001:db8::2:3:4:5").unwrap_err(), Rejection::PerAddress);
    drop(six);
    let mut proxied = permits.enter(0, ClientNetwork::Unshared, &Arc::default()).unwrap();
    permits.is_of(&mut proxied, network("10.0.0.3")).unwrap();
    let behind = permits.enter_behind_proxy(network("10.0.0.3"));
    assert_eq!(behind.unwrap_err(), Rejection::PerAddress);
    drop(permits.enter_behind_proxy(network("10.0.0.4")).unwrap().unwrap());
    drop(proxied);
    assert!(permits.clients().is_empty());
    assert_eq!(permits.open(), 0);
}

#[test]
fn who_has_most_connections_gives_up_the_one_that_waits_longest() {
    let permits = permits(4, None, 1);
    let enter = |client| permits.enter(0, network(client), &Arc::default());
    let wait = |client| Waiting::new(&permits.waiting, 0, network(client));
    let mut held: Vec<_> = (0..3).map(|_| enter("10.0.0.1").unwrap()).collect();
    let _greedy: Vec<_> = (0..3).map(|_| wait("10.0.0.1")).collect();
    held.push(enter("10.0.0.2").unwrap());
    let _other = wait("10.0.0.2");
    held.push(enter("10.0.0.1").unwrap());
    assert_eq!(permits.waiting.largest(), Some((network("10.0.0.1"), 2)));
    held.push(enter("10.0.0.3").unwrap());
    // Now one of each waits: who has more connections gives up its own.
    held.push(enter("10.0.0.1").unwrap());
    assert_eq!(permits.waiting.largest(), Some((network("10.0.0.2"), 1)));
    assert_eq!(enter("10.0.0.1").unwrap_err(), Rejection::Connections);
    held.push(enter("10.0.0.4").unwrap());
    assert_eq!(permits.waiting.largest(), None);
}

#[test]
fn open_files_are_left_for_more_than_connections() {
    for (files, connections) in [(1, 1), (256, 88), (1024, 448), (1_048_576, 491_488)] {
        assert_eq!(connections_of(files), connections, "{files}");
    }
}

#[test]
fn a_connection_hops_only_to_a_worker_with_clearly_fewer() {
    let permits = permits(1000, None, 2);
    let mut kept = Vec::new();
    for _ in 0..100 {
        kept.push(enter(&permits, 0).unwrap());
    }
    let on = |worker| kept.iter().filter(|permit| permit.worker() == worker).count();
    let (mine, other) = (on(0), on(1));
    assert!(mine > other && mine - other <= HOP_MARGIN + mine / HOP_SHARE + 1, "{mine} {other}");
    assert_eq!(enter(&permits, 1).unwrap().worker(), 1);
}

#[test]
fn two_workers_stay_level_while_connections_come_and_leave_at_random() {
    const LIVE: usize = 600;
    for seed in 0..64 {
        let permits = permits(10_000, None, 2);
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut live = Vec::new();
        for _ in 0..2_000 {
            // The kernel's hash does not deal evenly.
            let here = usize::from(rng.u8(..4) == 0);
            live.push(enter(&permits, here).unwrap());
            if live.len() > LIVE {
                live.swap_remove(rng.usize(..live.len()));
            }
        }
        let on = |worker| live.iter().filter(|permit| permit.worker() == worker).count();
        let (one, other) = (on(0), on(1));
        let tenth = LIVE / 2 / 10;
        assert!(one.abs_diff(other) <= tenth, "seed {seed}: {one} beside {other}");
    }
}
