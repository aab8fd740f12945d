//! Dials on real sockets.

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, SockAddr, Type};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::*;
use crate::base::label::Label;
use crate::base::socket::Socket;
use crate::config::plan::{Roots, UpstreamTls};
use crate::observe::metrics::{Exposition, ScrapeFacts};
use crate::tls::tests::{Made, acceptor, certificate};

/// A pool of one backend, changed by `change`, and its metrics.
fn one(at: &str, change: impl FnOnce(&mut plan::Pool)) -> (Arc<Pool>, Arc<Metrics>) {
    let metrics = Metrics::new(1);
    let mut plan = plan(&[(at, 1)]);
    change(&mut plan);
    (Pool::build(&Arc::new(plan), None, &[], &metrics).unwrap(), metrics)
}

async fn dial(pool: &Pool) -> Result<Transport, DialError> {
    // Transports are made inside clients that demand it.
    fn is_send<T: Send>(future: T) -> T {
        future
    }
    is_send(pool.dial(&pool.backends()[0], None)).await
}

async fn listener(ip: &str) -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn tcp(transport: &Transport) -> socket2::SockRef<'_> {
    socket2::SockRef::from(transport.socket())
}

#[tokio::test]
async fn a_backend_is_reached_over_ipv4_and_ipv6_without_delay() {
    for ip in ["127.0.0.1", "::1"] {
        let (listener, address) = listener(ip).await;
        let (pool, _) = one(&address.to_string(), |_| {});
        let transport = dial(&pool).await.unwrap();
        assert_eq!(
            listener.accept().await.unwrap().1,
            tcp(&transport).local_addr().unwrap().as_socket().unwrap()
        );
        assert!(tcp(&transport).tcp_nodelay().unwrap());
    }
}

#[tokio::test]
async fn a_name_is_looked_up_and_every_address_tried() {
    let (listener, address) = listener("127.0.0.1").await;
    let (pool, _) = one(&format!("localhost:{}", address.port()), |_| {});
    let (dialled, accepted) = tokio::join!(dial(&pool), listener.accept());
    assert!(dialled.is_ok() && accepted.is_ok());
}

#[tokio::test]
async fn a_refused_dial_is_the_backends_fault_and_counted() {
    let (listener, address) = listener("127.0.0.1").await;
    drop(listener);
    let (pool, metrics) = one(&address.to_string(), |_| {});
    let error = dial(&pool).await.err().unwrap();
    assert_eq!(
        (error.label(), error.fault(), error.retryable()),
        ("refused", Blame::Backend, true)
    );
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    let counted = format!("backend=\"{address}\",reason=\"refused\"}} 1");
    let page = metrics.render(&ScrapeFacts::default(), Exposition::OpenMetrics);
    assert!(page.contains(&counted), "{page}");
}

#[tokio::test]
async fn a_name_that_no_one_has_is_told_as_such() {
    // An empty label: the system refuses it without asking anybody.
    let (pool, _) = one("nobody..invalid:1", |_| {});
    let error = dial(&pool).await.err().unwrap();
    assert_eq!((error.label(), error.fault()), ("lookup", Blame::Backend));
}

#[tokio::test]
async fn a_dial_comes_from_the_source_addresses_in_turn() {
    let (listener, address) = listener("127.0.0.1").await;
    let sources: Vec<IpAddr> =
        ["127.0.0.2", "::1", "127.0.0.3"].map(|ip| ip.parse().unwrap()).into();
    let (pool, _) = one(&address.to_string(), |plan| plan.source_addresses = sources.clone());
    let mut seen = Vec::new();
    for _ in 0..4 {
        let (dialled, accepted) = tokio::join!(dial(&pool), listener.accept());
        assert!(dialled.is_ok());
        seen.push(accepted.unwrap().1.ip());
    }
    assert!(sources.iter().all(|ip| seen.contains(ip) == ip.is_ipv4()), "{seen:?}");
}

#[tokio::test]
async fn an_ipv6_dial_comes_from_an_ipv6_source() {
    let (listener, address) = listener("::1").await;
    let sources = vec!["127.0.0.2".parse().unwrap(), "::1".parse().unwrap()];
    let (pool, _) = one(&address.to_string(), |plan| plan.source_addresses = sources);
    let (dialled, accepted) = tokio::join!(dial(&pool), listener.accept());
    assert!(dialled.is_ok());
    assert!(accepted.unwrap().1.is_ipv6());
}

#[tokio::test]
async fn a_source_that_cannot_be_had_gives_way_to_the_next_and_is_counted() {
    // 192.0.2.0/24 is for documentation (RFC 5737): no machine has it.
    let foreign: IpAddr = "192.0.2.1".parse().unwrap();
    let (listener, address) = listener("127.0.0.1").await;
    let sources = vec![foreign, "127.0.0.2".parse().unwrap()];
    let (pool, metrics) = one(&address.to_string(), |plan| plan.source_addresses = sources);
    for _ in 0..2 {
        let (dialled, accepted) = tokio::join!(dial(&pool), listener.accept());
        assert!(dialled.is_ok());
        assert_eq!(accepted.unwrap().1.ip().to_string(), "127.0.0.2");
    }
    assert_eq!(metrics.pool(&"chat".into()).sources_exhausted.get(), 1);

    let (pool, _) = one(&address.to_string(), |plan| plan.source_addresses = vec![foreign]);
    let error = dial(&pool).await.err().unwrap();
    assert_eq!((error.label(), error.fault()), ("source_address", Blame::Ours));
    assert!(error.retryable());
}

#[tokio::test]
async fn a_backend_that_takes_the_connection_and_says_nothing_in_tls_is_left_in_time() {
    let (listener, address) = listener("127.0.0.1").await;
    let (pool, _) = one(&address.to_string(), |plan| {
        plan.tls = Some(trusting(&certificate(&["localhost"]), None));
        plan.connect_timeout = Duration::from_millis(50);
    });
    let error = dial(&pool).await.err().unwrap();
    assert!(matches!(error, DialError::Timeout { stage: DialStage::Tls, .. }), "{error}");
    assert_eq!((error.label(), error.retryable()), ("timeout", true));
    drop(listener);
}

#[tokio::test]
async fn a_unix_socket_is_dialled_and_a_missing_one_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backend.sock");
    let (pool, _) = one(&format!("unix:{}", path.display()), |_| {});
    assert_eq!(dial(&pool).await.err().unwrap().label(), "not_found");
    let listener = UnixListener::bind(&path).unwrap();
    let (dialled, accepted) = tokio::join!(dial(&pool), listener.accept());
    accepted.unwrap().0.write_all(b"hello").await.unwrap();
    let mut heard = [0; 5];
    dialled.unwrap().read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"hello");
}

#[tokio::test]
async fn a_unix_socket_whose_backlog_is_full_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("backend.sock");
    let listener = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let mut waiting = Vec::new();
    let full = loop {
        let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        match socket.connect(&SockAddr::unix(&path).unwrap()) {
            Ok(()) => waiting.push(socket),
            Err(error) => break error.kind(),
        }
    };
    assert_eq!(full, std::io::ErrorKind::WouldBlock);
    let (pool, _) = one(&format!("unix:{}", path.display()), |_| {});
    let room = async { waiting.iter().for_each(|_| drop(listener.accept().unwrap())) };
    let (dialled, ()) = tokio::join!(dial(&pool), room);
    assert!(dialled.is_ok());
}

fn trusting(made: &Made, server_name: Option<&str>) -> UpstreamTls {
    let roots =
        Roots::File { path: "test.pem".into(), stamp: 0, loaded: Arc::clone(&made.trusted) };
    UpstreamTls { server_name: server_name.map(Into::into), roots }
}

/// Dials a backend that speaks TLS with `made`; what the backend sent after the handshake.
async fn dial_tls(made: &Made, tls: UpstreamTls) -> Result<Vec<u8>, DialError> {
    let (listener, address) = listener("127.0.0.1").await;
    let (pool, _) = one(&address.to_string(), |plan| plan.tls = Some(tls));
    let backend = async {
        let socket = Socket::from(listener.accept().await.unwrap().0);
        let Ok((mut stream, _)) = acceptor(made).accept(socket, &[]).await else { return };
        stream.write_all(b"hello").await.unwrap();
        stream.shutdown().await.unwrap();
    };
    let client = async {
        let mut heard = Vec::new();
        dial(&pool).await?.read_to_end(&mut heard).await.unwrap();
        Ok(heard)
    };
    tokio::join!(client, backend).0
}

#[tokio::test]
async fn a_backend_in_tls_is_verified_by_its_address_or_by_the_name_it_should_have() {
    let by_address = certificate(&["127.0.0.1"]);
    let tls = trusting(&by_address, None);
    assert_eq!(dial_tls(&by_address, tls).await.unwrap(), b"hello");
    let by_name = certificate(&["chat.internal"]);
    let tls = trusting(&by_name, Some("chat.internal"));
    assert_eq!(dial_tls(&by_name, tls).await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_backend_that_is_not_who_it_should_be_is_not_used() {
    let made = certificate(&["chat.internal"]);
    let tls = trusting(&made, Some("other.internal"));
    let error = dial_tls(&made, tls).await.unwrap_err();
    assert_eq!((error.label(), error.fault()), ("tls", Blame::Backend));
    let inside = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
    assert!(inside.get_ref().unwrap().is::<rustls::Error>(), "{inside}");
}
