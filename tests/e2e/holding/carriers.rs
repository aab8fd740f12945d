//! Whatever carries a session holds it: each kind of client before each kind of backend, two
//! backends, two workers, and every key at its default.

use std::net::SocketAddr;
use std::path::PathBuf;

use tempfile::TempDir;
use tokio::net::TcpStream;

use super::*;
use crate::actors::{Certificates, Ending, bytes};
use crate::http2::Streams;

/// What a pool's backends listen on.
#[derive(Clone, Copy)]
enum Kind {
    Tcp,
    Tls,
    Unix,
}

/// The two places of a pool, and the backends there while they live.
struct Places {
    kind: Kind,
    certificates: Certificates,
    dir: TempDir,
    addresses: [Option<SocketAddr>; 2],
    backends: [Option<Backend>; 2],
}

impl Places {
    async fn of(kind: Kind) -> Places {
        let certificates = Certificates::new(&["localhost"]);
        let dir = tempfile::tempdir().unwrap();
        let (addresses, backends) = ([None; 2], [None, None]);
        let mut places = Places { kind, certificates, dir, addresses, backends };
        for place in 0..2 {
            places.start(place).await;
        }
        places
    }

    fn path(&self, place: usize) -> PathBuf {
        self.dir.path().join(format!("{place}.sock"))
    }

    /// A backend starts here, the first or one after another's death.
    async fn start(&mut self, place: usize) {
        let certificates = &self.certificates;
        let backend = match (self.kind, self.addresses[place]) {
            (Kind::Tcp, None) => Backend::echo("a").await,
            (Kind::Tcp, Some(address)) => Backend::echo_at("a", address).await,
            (Kind::Tls, None) => Backend::echo_tls("a", certificates).await,
            (Kind::Tls, Some(address)) => Backend::echo_tls_at("a", address, certificates).await,
            (Kind::Unix, _) => Backend::echo_unix("a", &self.path(place)),
        };
        self.addresses[place] = Some(backend.address());
        self.backends[place] = Some(backend);
    }

    async fn kill(&mut self, place: usize) {
        self.backends[place].take().unwrap().kill().await;
    }

    /// Waits until so many sessions were begun or taken up here.
    async fn has(&self, place: usize, sessions: usize) {
        let backend = self.backends[place].as_ref().unwrap();
        until("the sessions", || backend.heads().len() >= sessions).await;
    }

    fn site(&self) -> Site {
        let named = |place| match self.kind {
            Kind::Unix => format!("unix:{}", self.path(place).display()),
            _ => self.addresses[place].unwrap().to_string(),
        };
        let ca = self.certificates.ca();
        let tls = match self.kind {
            Kind::Tls => format!("tls = {{ server_name = \"localhost\", ca = {ca:?} }}"),
            _ => String::new(),
        };
        holding(&[], "").backend(named(0)).backend(named(1)).pool(&tls)
    }
}

/// Clients of each kind, their connections, and a session of each.
pub struct Clients {
    pub sessions: Vec<Session>,
    _streams: [Streams; 2],
}

impl Clients {
    pub async fn open(proxy: &Proxy, certificates: &Certificates) -> Clients {
        let (plain, secure) = (proxy.client(), proxy.client_of("https").tls(certificates));
        let clear = TcpStream::connect(plain.address()).await.unwrap();
        let mut streams =
            [Streams::on(clear).await, Streams::over_tls(secure.address(), certificates).await];
        let mut sessions = vec![plain.open().await, secure.open().await];
        for streams in &mut streams {
            sessions.push(streams.open("/").await);
        }
        for session in &mut sessions {
            session.echo("before").await;
        }
        Clients { sessions, _streams: streams }
    }

    pub async fn echo(&mut self, text: &str) {
        for session in &mut self.sessions {
            session.echo(text).await;
        }
    }
}

async fn each_client_is_held_before(kind: Kind) {
    let mut places = Places::of(kind).await;
    let certificates = Certificates::new(&["localhost"]);
    let site = places.site().listener("http2.h2c = true").https(&[&certificates], "");
    let proxy = Proxy::start(&site).await;
    let mut clients = Clients::open(&proxy, &certificates).await;
    let all = clients.sessions.len();

    // Each backend dies while the other lives, and comes back.
    places.kill(0).await;
    places.has(1, all).await;
    clients.echo("on the second").await;
    places.start(0).await;
    places.kill(1).await;
    places.has(0, all).await;
    clients.echo("on the first again").await;

    // Both are gone: what is said meanwhile goes to the one that comes back.
    places.kill(0).await;
    until_held(&proxy, all as u64).await;
    for session in &mut clients.sessions {
        session.send("kept").await;
        session.send(bytes(70_000)).await;
    }
    places.start(1).await;
    for session in &mut clients.sessions {
        assert_eq!(session.text().await, "kept");
        assert_eq!(session.next().await.unwrap().into_data(), bytes(70_000));
        session.echo("after").await;
    }
    let ended = |result| sample(&proxy, "tidegate_holds_ended_total", result);
    assert_eq!((ended("in_vain"), ended("no_room")), (None, None));
    for session in clients.sessions.drain(..) {
        assert_eq!(session.close(4001, "enough").await, Ending::Close(4001, "enough".into()));
    }
    drop(clients);
    proxy.stop().await;
}

#[tokio::test]
async fn clients_of_each_kind_are_held_before_backends_on_tcp() {
    each_client_is_held_before(Kind::Tcp).await;
}

#[tokio::test]
async fn clients_of_each_kind_are_held_before_backends_that_speak_tls() {
    each_client_is_held_before(Kind::Tls).await;
}

#[tokio::test]
async fn clients_of_each_kind_are_held_before_backends_on_unix_sockets() {
    each_client_is_held_before(Kind::Unix).await;
}
