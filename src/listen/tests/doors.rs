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
async fn a_request_in_flight_is_finished_when_its_listener_closes() {
    let (mut stand, address) = Stand::with(plain("a"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(WAIT).await.unwrap();
    stand.house.arrived.acquire().await.unwrap().forget();
    stand.doors.close_all();
    until(|| stand.workers.tasks() == 1).await;
    assert!(is_refused(address).await);
    stand.house.let_go.add_permits(1);
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
    stand.doors.close_all();
    drop(go_on);
    assert!(rest(&mut client).await.contains("200 OK"));
    stand.is_quiet().await;
}

#[tokio::test]
async fn a_busy_port_refuses_all_that_was_to_be_opened_and_changes_nothing() {
    let (mut stand, address) = Stand::with(plain("a"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut busy = plain("busy");
    busy.address = Address::Inet(taken.local_addr().unwrap());
    let new = plain("new");
    let wanted = [plain("a"), new, busy].map(Arc::new);
    let errors = stand.doors.open(&wanted).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert!(errors[0].to_string().contains("in use"), "{}", errors[0]);
    assert_eq!(stand.doors.bound().count(), 1);
    assert!(once(address).await.contains("200 OK"));
}

#[tokio::test]
async fn a_unix_listener_serves_clients_without_an_address() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("http.sock");
    let mut stand = Stand::new(1, 100, None);
    stand.takes(&[Listener { address: Address::Unix(path.clone()), ..plain("u") }]);
    let mut client = UnixStream::connect(&path).await.unwrap();
    assert!(ask(&mut client).await.starts_with("client None, local None"));
    stand.doors.close_all();
    assert_eq!(rest(&mut client).await, "");
    stand.is_quiet().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn an_inherited_socket_is_taken_instead_of_a_new_one() {
    let first = Listening::open(&plain("a").address).unwrap();
    let address = first.bound().clone();
    let fd = std::os::fd::AsFd::as_fd(&first).try_clone_to_owned().unwrap();
    let workers = Workers::start(1).unwrap();
    let permits = Permits::new(
        &Limits { connections_max: 9, connections_per_address_max: None, hold_bytes_max: 0 },
        workers.queues().len(),
    );
    let house = Echo::new();
    let queues = workers.queues().clone();
    let mut doors = Doors::new(house, permits, queues, [(address.clone(), fd)]);
    // While the first is open the port is in use: only the inherited one can serve.
    doors.open(&[Arc::new(Listener { address, ..plain("a") })]).unwrap();
}

#[tokio::test]
async fn peers_are_told_by_their_address() {
    let (_stand, address) = Stand::with(plain("a"));
    let mut client = TcpStream::connect(address).await.unwrap();
    let expected = format!("client Some({})", client.local_addr().unwrap());
    assert!(ask(&mut client).await.starts_with(&expected));
    assert_eq!(client.peer_addr().unwrap().ip(), IpAddr::from([127, 0, 0, 1]));
}
