use std::os::fd::AsFd;

use tokio::net::UnixStream;

use super::*;

const WAIT: &[u8] = b"GET /wait HTTP/1.1\r\nHost: a\r\n\r\n";

async fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err()
}

#[tokio::test]
async fn a_listener_vanishes_without_the_others_noticing() {
    let mut stand = Stand::new(2, 100, None);
    let [gone, stays] = stand.takes(&[plain("gone"), plain("stays")])[..] else { panic!() };
    let mut idle = TcpStream::connect(gone).await.unwrap();
    let mut other = TcpStream::connect(stays).await.unwrap();
    ask(&mut idle).await;
    ask(&mut other).await;
    assert_eq!(stand.takes(&[plain("stays")]), [stays]);
    assert_eq!(rest(&mut idle).await, "");
    ask(&mut other).await;
    drop((idle, other));
    stand.is_quiet().await;
    assert!(is_refused(gone).await);
    assert!(once(stays).await.contains("200 OK"));
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_hold_an_address() {
    let (listener, _) = super::secure::secured("a");
    let (mut stand, address) = Stand::with(listener);
    let _silent = TcpStream::connect(address).await.unwrap();
    until(|| stand.permits.open() == 1).await;
    stand.sockets.close_all();
    until(|| stand.workers.tasks() == 1).await;
    assert!(is_refused(address).await);
    drop(Listening::open(&Address::Inet(address)).unwrap());
}

#[tokio::test]
async fn a_connection_goes_by_what_its_listener_is_called_now() {
    const NAME: &[u8] = b"GET /name HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut stand = Stand::new(1, 100, None);
    let fixed = |name: &str, address: SocketAddr| Listener {
        address: Address::Inet(address),
        ..plain(name)
    };
    let free = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (one, two) = (free(), free());
    stand.takes(&[fixed("one", one), fixed("two", two)]);
    let mut client = TcpStream::connect(one).await.unwrap();
    client.write_all(NAME).await.unwrap();
    assert_eq!(answer(&mut client).await, "one");
    stand.takes(&[fixed("two", one), fixed("one", two)]);
    client.write_all(NAME).await.unwrap();
    assert_eq!(answer(&mut client).await, "two");
}

#[tokio::test]
async fn a_request_in_flight_is_finished_when_its_listener_closes() {
    let (mut stand, address) = Stand::with(plain("a"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(WAIT).await.unwrap();
    stand.handler.arrived.acquire().await.unwrap().forget();
    stand.sockets.close_all();
    until(|| stand.workers.tasks() == 1).await;
    assert!(is_refused(address).await);
    stand.handler.release.add_permits(1);
    assert!(rest(&mut client).await.contains("200 OK"));
    stand.is_quiet().await;
}

#[tokio::test]
async fn what_was_queued_when_a_listener_closes_is_served() {
    let (mut stand, address) = Stand::with(plain("a"));
    // The worker is kept from accepting until the client is queued and the listener closed.
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let block = move || wait.recv().unwrap_or_default();
    stand.workers.queues().try_run_on(0, block).unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(GET_AND_CLOSE).await.unwrap();
    stand.sockets.close_all();
    drop(go_on);
    assert!(rest(&mut client).await.contains("200 OK"));
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_busy_port_refuses_all_that_was_to_be_opened_and_changes_nothing() {
    let (stand, address) = Stand::with(plain("a"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = plain("busy");
    busy.address = Address::Inet(taken.local_addr().unwrap());
    let new = plain("new");
    let wanted = [plain("a"), new, busy].map(Arc::new);
    let errors = stand.sockets.open(&wanted, &mut InheritedSockets::default()).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("in use"), "{}", errors[0]);
    assert_eq!(stand.sockets.bound().count(), 1);
    assert!(once(address).await.contains("200 OK"));
}

#[tokio::test]
async fn a_unix_listeners_mode_is_that_of_the_configuration_also_after_a_reload() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let with = |mode: &str| Listener {
        address: Address::Unix(path.clone()),
        mode: serde_json::from_value(mode.into()).unwrap(),
        ..plain("u")
    };
    let mode = || std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap()) & 0o7777;
    let mut stand = Stand::new(1, 100, None);
    stand.takes(&[with("0666")]);
    assert_eq!(mode(), 0o666);
    let mut before = UnixStream::connect(&path).await.unwrap();
    stand.takes(&[with("0600")]);
    assert_eq!(mode(), 0o600);
    assert!(ask(&mut before).await.starts_with("client None, "));
    drop(before);
    stand.sockets.close_all();
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_unix_listener_serves_clients_without_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let mut stand = Stand::new(1, 100, None);
    stand.takes(&[Listener { address: Address::Unix(path.clone()), ..plain("u") }]);
    let mut client = UnixStream::connect(&path).await.unwrap();
    assert!(ask(&mut client).await.starts_with("client None, "));
    stand.sockets.close_all();
    assert_eq!(rest(&mut client).await, "");
    stand.is_quiet().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn an_inherited_socket_is_taken_by_its_address_or_by_its_name() {
    let first = [plain("a"), plain("b")].map(|plan| Listening::open(&plan.address).unwrap());
    let inherit = |at: usize, origin| Inherited {
        address: first[at].bound().clone(),
        listener: None,
        origin,
        fd: first[at].as_fd().try_clone_to_owned().unwrap(),
    };
    let named = |name: &str| Origin::Manager { name: name.into() };
    let unused = inherit(0, Origin::Process { file: true });
    let mut inherited = InheritedSockets::new(vec![
        unused,
        inherit(0, named("a")),
        inherit(1, named("b")),
        inherit(1, named("later")),
    ]);
    let at = first[0].bound().clone();
    let stand = Stand::new(1, 9, None);
    let wanted = [Listener { address: at.clone(), ..plain("x") }, plain("b")].map(Arc::new);
    // While the first ones are open their ports are in use: only what was inherited can serve.
    let opened = stand.sockets.open(&wanted, &mut inherited).unwrap();
    assert_eq!(opened.addresses().collect::<Vec<_>>(), [&at, &wanted[1].address]);
    let bound = inherited.open(&plain("later").address, Some("later")).unwrap();
    assert_eq!(bound.listening.bound(), first[1].bound());
    inherited.close_unused();
    assert_eq!(inherited.unused().len(), 1, "the service manager's is kept: {inherited:?}");
}

#[tokio::test]
async fn a_listener_that_moved_leaves_its_inherited_socket_to_the_one_at_its_address() {
    let first = Listening::open(&plain("a").address).unwrap();
    let at = first.bound().clone();
    let mut inherited = InheritedSockets::new(vec![Inherited {
        address: at.clone(),
        listener: None,
        origin: Origin::Manager { name: "a".into() },
        fd: first.as_fd().try_clone_to_owned().unwrap(),
    }]);
    let wanted = [plain("a"), Listener { address: at, ..plain("b") }].map(Arc::new);
    let stand = Stand::new(1, 9, None);
    // Its port is in use: only what was inherited can serve there.
    let opened = stand.sockets.open(&wanted, &mut inherited).unwrap();
    assert_eq!(opened.addresses().count(), 2);
    assert!(inherited.unused().is_empty());
}

/// Another process's share of the first listening socket.
fn share(stand: &Stand) -> Inherited {
    let handover = stand.sockets.handovers().next().unwrap();
    let fd = handover.fd.try_clone_to_owned().unwrap();
    Inherited {
        address: handover.address,
        listener: handover.listener,
        origin: handover.origin,
        fd,
    }
}

#[tokio::test]
async fn a_service_managers_socket_is_there_again_after_a_configuration_that_was_refused() {
    let first = Listening::open(&plain("a").address).unwrap();
    let inherited = Inherited {
        address: first.bound().clone(),
        listener: None,
        origin: Origin::Manager { name: "a".into() },
        fd: first.as_fd().try_clone_to_owned().unwrap(),
    };
    let mut inherited = InheritedSockets::new(vec![inherited]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = Address::Inet(taken.local_addr().unwrap());
    let wanted = [plain("a"), Listener { address: busy, ..plain("busy") }].map(Arc::new);
    let stand = Stand::new(1, 9, None);
    stand.sockets.open(&wanted, &mut inherited).unwrap_err();
    assert_eq!(inherited.unused().len(), 1);
    let opened = stand.sockets.open(&wanted[..1], &mut inherited).unwrap();
    assert!(inherited.unused().is_empty());
    opened.give_back(&mut inherited);
    let again = inherited.open(first.bound(), None).unwrap();
    assert_eq!(again.listening.bound(), first.bound());
}

#[tokio::test]
async fn listeners_whose_ports_the_system_chooses_are_told_by_their_names() {
    let named = |name: &str| Listener { name: name.into(), ..plain("x") };
    let mut stand = Stand::new(1, 9, None);
    let [one, other] = stand.takes(&[named("one"), named("other")])[..] else { panic!() };
    assert_ne!(one, other);
    assert!(once(one).await.contains("200 OK") && once(other).await.contains("200 OK"));
    assert_eq!(stand.takes(&[named("other"), named("one")]), [other, one]);
    // Another process takes each for the same listener, in whichever order it opens them.
    let share = |handover: Handover<'_>| Inherited {
        address: handover.address,
        listener: handover.listener,
        origin: handover.origin,
        fd: handover.fd.try_clone_to_owned().unwrap(),
    };
    let mut inherited = InheritedSockets::new(stand.sockets.handovers().map(share).collect());
    for (name, at) in [("other", other), ("one", one)] {
        let taken = inherited.open(&plain("x").address, Some(name)).unwrap();
        assert_eq!(*taken.listening.bound(), Address::Inet(at));
    }
    assert_eq!(stand.takes(&[named("other")]), [other]);
    stand.is_quiet().await;
    assert!(is_refused(one).await);
}

#[tokio::test]
async fn while_accepting_pauses_clients_wait_and_are_served_when_it_goes_on() {
    let mut stand = Stand::new(2, 100, None);
    let address = stand.takes(&[plain("a")])[0];
    stand.sockets.pause().await;
    until(|| stand.workers.tasks() == 0).await;
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(GET_AND_CLOSE).await.unwrap();
    stand.sockets.resume();
    // Once more than is needed.
    stand.sockets.resume();
    assert!(rest(&mut client).await.contains("200 OK"));
    stand.is_quiet().await;
}

#[tokio::test]
async fn what_was_passed_on_is_accepted_by_the_next_and_nobody_is_cut() {
    let (mut stand, address) = Stand::with(plain("a"));
    let mut idle = TcpStream::connect(address).await.unwrap();
    ask(&mut idle).await;
    stand.sockets.pause().await;
    let Inherited { address: known, origin, fd, .. } = share(&stand);
    let next = Listening::inherit(&known, fd).unwrap();
    let mut queued = TcpStream::connect(address).await.unwrap();
    queued.write_all(GET_AND_CLOSE).await.unwrap();
    stand.sockets.hand_over(&[known]);
    assert_eq!((origin, stand.sockets.bound().count()), (Origin::Process { file: false }, 0));
    // The queue is the next one's, and the idle connection's next request is answered here.
    let accepted = next.accept().unwrap();
    assert_eq!(accepted.1, Some(queued.local_addr().unwrap()));
    idle.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let answer = rest(&mut idle).await;
    assert!(answer.contains("200 OK") && answer.contains("Connection: close"), "{answer}");
    until(|| stand.permits.open() == 0 && stand.workers.tasks() == 0).await;
    drop((next, accepted));
    assert!(is_refused(address).await);
}

#[tokio::test]
async fn what_the_next_does_not_take_is_closed_when_its_queue_is_served() {
    let (mut stand, address) = Stand::with(plain("a"));
    stand.sockets.pause().await;
    let mut queued = TcpStream::connect(address).await.unwrap();
    queued.write_all(GET_AND_CLOSE).await.unwrap();
    stand.sockets.hand_over(&[]);
    assert!(rest(&mut queued).await.contains("200 OK"));
    until(|| stand.workers.tasks() == 0).await;
    assert!(is_refused(address).await);
}

#[tokio::test]
async fn the_file_of_a_unix_socket_goes_with_who_owns_it_last() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let mut stand = Stand::new(1, 100, None);
    stand.takes(&[Listener { address: Address::Unix(path.clone()), ..plain("u") }]);
    let Inherited { address, listener, origin, fd } = share(&stand);
    assert_eq!(origin, Origin::Process { file: true });
    let fails = fd.try_clone().unwrap();
    drop(Listening::inherit(&address, fails).unwrap());
    assert!(path.exists(), "who did not come to own it leaves it");
    let inherited = Inherited { address: address.clone(), listener, origin, fd };
    let next = InheritedSockets::new(vec![inherited]).open(&address, None).unwrap();
    stand.sockets.pause().await;
    stand.sockets.hand_over(&[address]);
    next.own();
    until(|| stand.workers.tasks() == 0).await;
    assert!(path.exists() && next.listening.owns_file());
    drop(next);
    assert!(!path.exists());
}

#[tokio::test]
async fn peers_are_told_by_their_address() {
    let (_stand, address) = Stand::with(plain("a"));
    let mut client = TcpStream::connect(address).await.unwrap();
    let expected = format!("client Some({})", client.local_addr().unwrap());
    assert!(ask(&mut client).await.starts_with(&expected));
    assert_eq!(client.peer_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 1]));
}
