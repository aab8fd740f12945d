//! Addresses that change hands within one reload.

use std::net::TcpListener;
use std::os::fd::OwnedFd;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::planned::Next;
use super::*;
use crate::actors::free;
use crate::config::plan::{Admin, Control, FileMode, Listener};
use tidegate::base::label::Label;
use tidegate::listen::{Inherited, Origin};

fn at(name: &str, address: Address) -> Arc<Listener> {
    Arc::new(Listener { address, ..listener(name, 0) })
}

fn inet(name: &str, ip: [u8; 4], port: u16) -> Arc<Listener> {
    at(name, Address::Inet((ip, port).into()))
}

fn admin(address: SocketAddr) -> Option<Admin> {
    Some(Admin { address, ..crate::supervisor::made::admin() })
}

/// What answers there: the page, or the probes.
async fn answers(address: SocketAddr) -> &'static str {
    let (_, body) = Client::to(address).path("/healthz").request("GET", "").await;
    if body == "page" { "listener" } else { "admin" }
}

#[tokio::test]
async fn an_address_becomes_wider_and_narrower() {
    let mut plan = site(&[]);
    let port = free().port();
    plan.listeners = vec![inet("http", [127, 0, 0, 1], port)];
    let process = Process::start(plan);
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    for ip in [[0, 0, 0, 0], [127, 0, 0, 1], [0, 0, 0, 0], [127, 0, 0, 2]] {
        let change = |plan: &mut Plan| plan.listeners = vec![inet("http", ip, port)];
        taken(process.change(change).await);
        let there = if ip == [127, 0, 0, 2] { SocketAddr::from((ip, port)) } else { here };
        assert_eq!(answers(there).await, "listener", "{ip:?}");
    }
    assert!(std::net::TcpStream::connect(here).is_err());
    process.is_quiet().await;
}

#[tokio::test]
async fn a_listener_and_the_admin_server_exchange_their_ports_and_refuse_no_connection() {
    let (one, two) = (free(), free());
    let mut plan = site(&[]);
    plan.listeners = vec![at("http", Address::Inet(one))];
    plan.admin = admin(two);
    let process = Process::start(plan);
    let connects = async {
        let mut connected = 0;
        loop {
            for address in [one, two] {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                // One at a time: of many that are silent some give way to others.
                stream.shutdown().await.unwrap();
                let _ = stream.read_to_end(&mut Vec::new()).await;
                connected += 1;
            }
            if connected > 400 {
                return;
            }
        }
    };
    let exchanges = async {
        for _ in 0..4 {
            for (of_listener, of_admin) in [(two, one), (one, two)] {
                let change = |plan: &mut Plan| {
                    plan.listeners = vec![at("http", Address::Inet(of_listener))];
                    plan.admin = admin(of_admin);
                };
                taken(process.change(change).await);
                assert_eq!(answers(of_listener).await, "listener");
                assert_eq!(answers(of_admin).await, "admin");
            }
        }
    };
    tokio::join!(connects, exchanges);
    process.is_quiet().await;
}

#[tokio::test]
async fn the_operators_socket_and_a_listener_exchange_their_files() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
    let mut plan = site(&[]);
    plan.listeners.push(at("local", Address::Unix(one.clone())));
    plan.control = Some(Control { socket: two.clone(), mode: FileMode::PRIVATE, tail_payload: 0 });
    let process = Process::start(plan);
    let mode = |path: &std::path::Path| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(&two), 0o600);
    let exchange = |plan: &mut Plan| {
        plan.listeners[1] = at("local", Address::Unix(two.clone()));
        plan.control =
            Some(Control { socket: one.clone(), mode: FileMode::PRIVATE, tail_payload: 0 });
    };
    taken(process.change(exchange).await);
    assert_eq!(mode(&one), 0o600);
    assert_ne!(mode(&two), 0o600);
    process.is_quiet().await;
}

#[tokio::test]
async fn what_made_way_in_vain_is_as_it_was() {
    let (one, two) = (free(), free());
    // Of another process: `0.0.0.0` cannot be had while it is there.
    let foreign = TcpListener::bind(("127.0.0.2", one.port())).unwrap();
    let backend = Backend::echo("one").await;
    let mut plan = site(&[("one", &backend)]);
    plan.listeners = vec![at("http", Address::Inet(one))];
    plan.admin = admin(two);
    plan.reload.drain_max_percent = 100;
    let process = Process::start(plan.clone());
    let mut session = process.session("/one").await;
    type Wish<'a> = Box<dyn Fn(&mut Plan) + 'a>;
    let wishes: [Wish<'_>; 3] = [
        Box::new(|plan| plan.listeners = vec![inet("http", [0, 0, 0, 0], one.port())]),
        Box::new(|plan| {
            plan.listeners =
                vec![at("http", Address::Inet(two)), inet("also", [127, 0, 0, 2], one.port())];
            plan.admin = admin(one);
        }),
        Box::new(|plan| {
            plan.listeners = vec![inet("http", [0, 0, 0, 0], two.port())];
            plan.admin = admin(([127, 0, 0, 2], one.port()).into());
        }),
    ];
    for (wished, wish) in wishes.iter().enumerate() {
        let refused = process.change(|plan| wish(plan)).await;
        assert_eq!(refused.label(), "refused_listeners", "{wished}: {refused}");
        assert_eq!((answers(one).await, answers(two).await), ("listener", "admin"), "{wished}");
        session.echo("still here").await;
        *process.next.lock().unwrap() = Ok(plan.clone());
    }
    // It is taken once nothing is in its way.
    drop(foreign);
    taken(process.change(|plan| wishes[1](plan)).await);
    assert_eq!((answers(one).await, answers(two).await), ("admin", "listener"));
    drop(session);
    process.is_quiet().await;
}

/// A process with a socket of a service manager's, which keeps its own descriptor.
fn activated(name: &str, plan: &Plan, socket: &TcpListener) -> Process {
    let next: Next = Arc::new(Mutex::new(Ok(plan.clone())));
    let asked = Arc::clone(&next);
    let source = ConfigSource::made(move || asked.lock().unwrap().clone().map(Arc::new));
    let mut options = Options::new(source);
    options.inherited.push(Inherited {
        address: Address::Inet(socket.local_addr().unwrap()),
        listener: None,
        origin: Origin::Manager { name: name.to_owned() },
        fd: OwnedFd::from(socket.try_clone().unwrap()),
    });
    Process { supervisor: Supervisor::start(options).unwrap(), next }
}

#[tokio::test]
async fn a_service_managers_socket_comes_back_after_a_reload_without_it() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let mut with = site(&[]);
    with.listeners.push(at("managed", Address::Inet(address)));
    let without = site(&[]);
    let mut as_admin = site(&[]);
    as_admin.admin = admin(address);
    let mut elsewhere = site(&[]);
    // The service manager names it, wherever the configuration says it is.
    elsewhere.listeners.push(inet("managed", [127, 0, 0, 9], 9));
    let process = activated("managed", &with, &socket);
    for round in 0..2 {
        for (plan, expected) in [
            (&with, "listener"),
            (&as_admin, "admin"),
            (&with, "listener"),
            (&elsewhere, "listener"),
        ] {
            taken(process.change(|next| *next = plan.clone()).await);
            assert_eq!(answers(address).await, expected, "{round}");
            let mut refused = without.clone();
            let busy = TcpListener::bind("127.0.0.1:0").unwrap();
            refused.listeners.push(at("busy", Address::Inet(busy.local_addr().unwrap())));
            let told = process.change(|next| *next = refused).await;
            assert_eq!(told.label(), "refused_listeners");
            assert_eq!(answers(address).await, expected, "after a refusal, {round}");
            taken(process.change(|next| *next = without.clone()).await);
            // It waits in the queue until somebody accepts again.
            let waits = std::net::TcpStream::connect(address).unwrap();
            drop(waits);
        }
    }
    process.is_quiet().await;
}
