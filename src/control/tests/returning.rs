//! What a reload takes away and another gives back while its sessions still live: it is as if
//! nothing had been.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::operated::{Operated, addresses, pair};
use super::*;
use crate::actors::{Head, Io};
use crate::config::plan::Listener;
use crate::registry::Selector;

const FORCE: ReloadRequest =
    ReloadRequest { force: true, dry_run: false, recheck: false, config: None, if_changed: false };

type Change = fn(&mut Plan);

/// What can be taken away.
const PARTS: [(&str, Change); 6] = [
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
    ("the listener's address", |plan| plan.listeners[0] = at("http", INET)),
    ("the listener's address, for a file", |plan| {
        let file = format!("tidegate-moves-{}.sock", std::process::id());
        plan.listeners[0] = at("http", Address::Unix(std::env::temp_dir().join(file)));
    }),
];

/// An address of the machine that `http` has not.
const INET: Address = Address::Inet(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)), 0));

fn at(name: &str, address: Address) -> Arc<Listener> {
    Arc::new(Listener { address, ..listener(name, 0) })
}

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
        let listed = process.0.sessions.list(&Selector::All, 9).await;
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

/// A session by a unix socket.
async fn session_by(file: &Path) -> Session {
    let asked = Client::to(([127, 0, 0, 1], 80).into()).path("/one");
    let mut stream = UnixStream::connect(file).await.unwrap();
    stream.write_all(asked.upgrade("dGhlIHNhbXBsZSBub25jZQ==").as_bytes()).await.unwrap();
    let mut wire = BufReader::new(Box::new(stream) as Box<dyn Io>);
    assert_eq!(Head::read(&mut wire).await.unwrap().status(), 101);
    let mut session = Session::client(wire).await;
    session.echo("hello").await;
    session
}

#[tokio::test]
async fn a_session_belongs_to_the_address_that_it_came_in_by_whatever_that_is_called() {
    let backend = Backend::echo("one").await;
    let dir = tempfile::tempdir().unwrap();
    let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
    let file = |path: &Path| Address::Unix(path.to_owned());
    let mut plan = site(&[("one", &backend)]);
    plan.drain.window = Duration::from_secs(600);
    plan.drain.timeout = Duration::from_secs(1200);
    plan.listeners = vec![at("http", file(&first)), at("local", file(&second))];
    let process = Process::start(plan);
    let (mut one, mut two) = (session_by(&first).await, session_by(&second).await);
    let listed = async |listener: &str| {
        let selector = Selector::Listener(listener.into());
        let listed = process.0.sessions.list(&selector, 9).await;
        listed.iter().map(|seen| seen.leaving.is_some()).collect::<Vec<_>>()
    };
    let reload = async |listeners: &[(&str, &Path)]| {
        let listeners = listeners.iter().map(|(name, path)| at(name, file(path))).collect();
        let told = process.change_and(FORCE, |plan| plan.listeners = listeners).await;
        taken(told).impact.drained
    };
    // They exchange their addresses: no socket is closed.
    assert_eq!(reload(&[("http", &second), ("local", &first)]).await, 0);
    assert_eq!((listed("http").await, listed("local").await), (vec![false], vec![false]));
    // One goes to the other's address, and the other away.
    assert_eq!(reload(&[("local", &second)]).await, 1);
    assert_eq!((listed("http").await, listed("local").await), (vec![], vec![true, false]));
    // While its address is away, its listener's name is another's, which is named anew.
    assert_eq!(reload(&[("web", &second)]).await, 0);
    assert_eq!((listed("local").await, listed("web").await), (vec![true], vec![false]));
    // Back, each under another name than before.
    assert_eq!(reload(&[("http", &first), ("local", &second)]).await, 0);
    assert_eq!((listed("http").await, listed("local").await), (vec![false], vec![false]));
    one.echo("undisturbed").await;
    two.echo("undisturbed").await;
    drop((one, two));
    process.is_quiet().await;
}
