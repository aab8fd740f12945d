//! A pool of two backends, `a` and `b`; a live session and one that can be held, both on `a`.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tungstenite::Message;

use super::{Ejected, Event, Fate, NewWork, Row};
use crate::actors::{Backend, Certificates, Ending, Head, Session, Wire, drain, granted, until};
use crate::proxy::Proxy;
use crate::site::{Site, site};

/// Handshakes that one client makes after the event.
const HANDSHAKES: usize = 8;

/// Who read which message.
type Readers = Arc<Mutex<Vec<(&'static str, String)>>>;

pub struct Stage {
    proxy: Proxy,
    site: Site,
    a: Backend,
    /// Kept alive.
    _b: Backend,
    /// What `a` does to its sessions.
    orders: watch::Sender<Option<Event>>,
    readers: Readers,
    live: Session,
    held: Session,
    /// What stands where `a` listened.
    instead: Vec<Box<dyn Any>>,
    asked: Arc<Mutex<usize>>,
    dir: tempfile::TempDir,
    _certificates: Option<Certificates>,
}

/// A session of a backend: an echo, until it is told to end it.
async fn serve(
    name: &'static str,
    mut session: Session,
    readers: Readers,
    mut orders: watch::Receiver<Option<Event>>,
) {
    loop {
        tokio::select! {
            message = session.forward() => match message {
                Ok(message) => readers.lock().unwrap().push((name, text(&message))),
                Err(_) => return,
            },
            changed = orders.changed() => {
                let order = *orders.borrow();
                match (changed, order) {
                    (Ok(()), Some(Event::IsLost)) => return,
                    (Ok(()), Some(Event::Resets)) => return session.reset(),
                    (Ok(()), Some(Event::ClosesWith(code))) => {
                        session.close(code, "").await;
                        return;
                    }
                    // Its stage was cleared.
                    _ => return,
                }
            }
        }
    }
}

fn text(message: &Message) -> String {
    message.to_text().unwrap_or_default().to_owned()
}

type Acting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A backend's script.
fn script(
    name: &'static str,
    readers: &Readers,
    orders: &watch::Sender<Option<Event>>,
) -> impl Fn(Head, Wire) -> Acting + Send + Sync + 'static + use<> {
    let (readers, orders) = (Arc::clone(readers), orders.clone());
    move |head, mut wire| {
        let (readers, orders) = (Arc::clone(&readers), orders.subscribe());
        let acting: Acting = Box::pin(async move {
            if wire.write_all(granted(&head).as_bytes()).await.is_ok() {
                serve(name, Session::server(wire).await, readers, orders).await;
            }
        });
        acting
    }
}

impl Stage {
    /// The stage for this event.
    pub async fn set(event: Event) -> Stage {
        let readers = Readers::default();
        let (orders, _) = watch::channel(None);
        let (a, b) = (script("a", &readers, &orders), script("b", &readers, &orders));
        let certificates = (event == Event::FailsInTls).then(|| Certificates::new(&["localhost"]));
        let (a, b) = (
            Backend::script_over(certificates.as_ref(), a).await,
            Backend::script_over(certificates.as_ref(), b).await,
        );
        let dir = tempfile::tempdir().unwrap();
        let (eject_time, sessions_after) = match event {
            Event::Returns => ("50ms", "60s"),
            Event::StaysAway => ("60s", "100ms"),
            _ => ("60s", "60s"),
        };
        let mut site = site(&[&b])
            .pool("balance = \"round_robin\"\nconnect_timeout = \"500ms\"")
            .pool("handshake_timeout = \"1s\"")
            .pool(&format!(
                "health = {{ eject_time = \"{eject_time}\", eject_time_max = \"60s\", \
                 sessions_after = \"{sessions_after}\" }}"
            ))
            .table(&format!("[control]\nsocket = \"{}\"", dir.path().join("control").display()))
            .table(
                "[[routes]]\nname = \"held\"\npath = \"/held\"\npool = \"chat\"\n\
                 hold.resume = \"always\"",
            );
        if let Some(certificates) = &certificates {
            let ca = certificates.ca();
            site = site.pool(&format!(
                "tls = {{ ca = \"{}\", server_name = \"localhost\" }}",
                ca.display()
            ));
        }
        let proxy = Proxy::start(&site.clone().backend(a.address())).await;
        let (live, held) =
            (on_a(&proxy, &readers, "/").await, on_a(&proxy, &readers, "/held").await);
        Stage {
            proxy,
            site,
            a,
            _b: b,
            orders,
            readers,
            live,
            held,
            instead: Vec::new(),
            asked: Arc::default(),
            dir,
            _certificates: certificates,
        }
    }

    /// Makes it happen to `a`.
    pub async fn happens(&mut self, event: Event) {
        let a = self.a.address();
        match event {
            Event::Refuses => self.a.refuse().await,
            Event::IsUnreachable => {
                self.a.refuse().await;
                self.instead.push(Box::new(unreachable(a).await));
            }
            Event::FailsInTls => {
                self.a.refuse().await;
                self.raw(a).await;
            }
            Event::Answers(status) => {
                let end = "Content-Length: 0\r\nConnection: close\r\n\r\n";
                self.answers(move |_| format!("HTTP/1.1 {status} So\r\n{end}")).await;
            }
            Event::ClosesUnanswered => self.answers(|_| "close".to_owned()).await,
            Event::AcceptsWrongly => {
                let wrong = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\nX-Was: ";
                self.answers(move |head| granted(head).replace("Sec-WebSocket-Accept: ", wrong))
                    .await;
            }
            Event::AgreesUnasked => {
                let agreed = "\r\nSec-WebSocket-Protocol: unasked\r\n\r\n";
                self.answers(move |head| granted(head).replace("\r\n\r\n", agreed)).await;
            }
            Event::NeverAnswers => self.answers(|_| String::new()).await,
            Event::IsLost | Event::Resets | Event::ClosesWith(_) => {
                self.orders.send_replace(Some(event));
            }
            Event::IsDrained => self.drains(a).await,
            Event::IsRemoved => self.proxy.force(&self.site).await.unwrap(),
            Event::StaysAway | Event::Returns => {
                self.a.refuse().await;
                until_ejected(&self.proxy, a).await;
                if event == Event::Returns {
                    let back = script("a", &self.readers, &self.orders);
                    self.instead.push(Box::new(Backend::script_at(a, back).await));
                    let handshakes = async {
                        while self.up() != Some(1) {
                            self.proxy.client().handshake().await;
                        }
                    };
                    crate::actors::within("its return", handshakes).await;
                }
            }
        }
    }

    /// From now on `a` answers handshakes so: `close` closes, nothing is silence.
    async fn answers(&mut self, answer: impl Fn(&Head) -> String + Send + Sync + 'static) {
        self.a.refuse().await;
        let asked = Arc::clone(&self.asked);
        let script = move |head: Head, mut wire: Wire| {
            *asked.lock().unwrap() += 1;
            let answer = answer(&head);
            async move {
                if answer != "close" {
                    let _ = wire.write_all(answer.as_bytes()).await;
                    drain(&mut wire).await;
                }
            }
        };
        self.instead.push(Box::new(Backend::script_at(self.a.address(), script).await));
    }

    /// From now on `a` speaks no TLS.
    async fn raw(&mut self, address: SocketAddr) {
        let listener = TcpListener::bind(address).await.unwrap();
        let serving = tokio::spawn(async move {
            loop {
                let (mut tcp, _) = listener.accept().await.unwrap();
                let _ = tcp.write_all(b"HTTP/1.0 400 This is no TLS\r\n\r\n").await;
            }
        });
        self.instead.push(Box::new(AbortOnDrop(serving)));
    }

    /// An operator drains `a`.
    async fn drains(&self, a: SocketAddr) {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tidegate"));
        command.args(["drain", "--backend", &a.to_string(), "--socket"]);
        command.arg(self.dir.path().join("control"));
        let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    /// Whether `a` is given work; `None` when it is no member.
    fn up(&self) -> Option<u64> {
        let sample =
            format!("tidegate_backend_up{{pool=\"chat\",backend=\"{}\"}} ", self.a.address());
        let page = self.proxy.scrape();
        page.lines().find_map(|line| line.strip_prefix(&*sample)?.parse().ok())
    }

    /// Dials of `a` that failed, and handshakes that came to what stands in its place.
    fn attempts(&self) -> usize {
        let sample =
            format!("tidegate_dial_failures_total{{pool=\"chat\",backend=\"{}\"", self.a.address());
        let page = self.proxy.scrape();
        let failures = page.lines().filter(|line| line.starts_with(&sample));
        let failures = failures.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        failures.sum::<usize>() + *self.asked.lock().unwrap()
    }

    /// Handshakes of a client at this address: their statuses, and who opened those that did.
    async fn handshakes(&self, from: u8) -> Vec<(u16, Option<&'static str>)> {
        let mut seen = Vec::new();
        for _ in 0..HANDSHAKES {
            let client = self.proxy.client().from(IpAddr::from([127, 0, 0, from]));
            let (answer, wire) = client.handshake().await;
            seen.push(match answer.status() {
                101 => (
                    101,
                    Some(reader(&mut Session::client(wire).await, &self.readers).await.unwrap()),
                ),
                status => (status, None),
            });
        }
        seen
    }

    /// New work has the fate of the row.
    pub async fn expect_new_work(&self, row: &Row) {
        let before = self.attempts();
        let seen = self.handshakes(1).await;
        let attempts = self.attempts() - before;
        let opened_by = |name| seen.iter().filter(|(_, by)| *by == Some(name)).count();
        let (by_a, by_b) = (opened_by("a"), opened_by("b"));
        let context = format!("{:?}: {attempts} attempts, {seen:?}", row.event);
        match row.new_work {
            NewWork::TriedElsewhere => assert!(by_b == HANDSHAKES && attempts > 0, "{context}"),
            NewWork::Others => assert!(by_b == HANDSHAKES && attempts == 0, "{context}"),
            NewWork::Here => assert!(by_a > 0 && by_a + by_b == HANDSHAKES, "{context}"),
            NewWork::Answered(status) => {
                let so = seen.iter().filter(|one| **one == (status, None)).count();
                assert!(so > 0 && so == attempts && so + by_b == HANDSHAKES, "{context}");
            }
        }
        match row.ejected {
            Ejected::AtThird => assert_eq!((self.up(), attempts), (Some(0), 3), "{context}"),
            Ejected::Already => assert_ne!(self.up(), Some(1), "{context}"),
            Ejected::Never | Ejected::ByClients => {
                assert_eq!(self.up(), Some(1), "{context}");
                for client in 2..=4 {
                    self.handshakes(client).await;
                }
                let up = if row.ejected == Ejected::Never { 1 } else { 0 };
                assert_eq!(self.up(), Some(up), "{:?}, four clients", row.event);
            }
        }
    }

    /// The sessions have the fates of the row.
    pub async fn expect_fates(&mut self, row: &Row) {
        for (name, fate) in [("live", row.live), ("held", row.held)] {
            let context = format!("{:?}, the {name} session", row.event);
            if fate == Fate::GoesOn {
                let resumed = || {
                    let sample = "tidegate_holds_ended_total{route=\"held\",result=\"resumed\"} 1";
                    self.proxy.scrape().lines().any(|line| line == sample)
                };
                until("the resumption", resumed).await;
            }
            let session = if name == "live" { &mut self.live } else { &mut self.held };
            let read = reader(session, &self.readers).await;
            match fate {
                Fate::Stays => assert_eq!(read, Ok("a"), "{context}"),
                Fate::GoesOn => assert_eq!(read, Ok("b"), "{context}"),
                Fate::Closed(code) => {
                    let is_so = matches!(read, Err(Ending::Close(seen, _)) if seen == code);
                    assert!(is_so, "{context}: {read:?}");
                }
            }
        }
    }

    /// Ends it all.
    pub async fn clear(self) {
        let Stage { proxy, live, held, .. } = self;
        drop((live, held));
        proxy.stop().await;
    }
}

/// A session on `a` of this path.
async fn on_a(proxy: &Proxy, readers: &Readers, path: &str) -> Session {
    loop {
        let mut session = proxy.client().path(path).open().await;
        match reader(&mut session, readers).await {
            Ok("a") => return session,
            _ => drop(session.close(1000, "").await),
        }
    }
}

/// Who reads what is sent in a session, which is sent back.
async fn reader(session: &mut Session, readers: &Readers) -> Result<&'static str, Ending> {
    let said = format!("{}", fastrand::u64(..));
    // Where it has ended, reading it says how.
    let _ = session.try_send(said.as_str()).await;
    let back = session.next().await?;
    assert_eq!(text(&back), said);
    let find = || readers.lock().unwrap().iter().find(|(_, read)| *read == said).map(|one| one.0);
    until("the reader's word", || find().is_some()).await;
    Ok(find().unwrap())
}

async fn until_ejected(proxy: &Proxy, backend: SocketAddr) {
    let down = format!("tidegate_backend_up{{pool=\"chat\",backend=\"{backend}\"}} 0");
    let handshakes = async {
        while !proxy.scrape().contains(&down) {
            proxy.client().handshake().await;
        }
    };
    crate::actors::within("its ejection", handshakes).await;
}

/// A socket at this address whose queue is full, so that the system answers no one who comes.
async fn unreachable(address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await
    {
        waiting.push(connected.unwrap());
    }
    (listener, waiting)
}

/// A task that ends with this.
struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
