//! A backend: keeps what it was asked, and answers by its script.

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tungstenite::Message;
use tungstenite::handshake::derive_accept_key;

use super::client::read_body;
use super::{Certificates, Ending, Head, Io, Session, Wire, within};

type Doing = Pin<Box<dyn Future<Output = ()> + Send>>;
type Script = Arc<dyn Fn(Head, Wire) -> Doing + Send + Sync>;

/// What a backend saw.
#[derive(Default)]
struct Log {
    heads: Vec<Head>,
    messages: Vec<Message>,
    endings: Vec<Ending>,
    connections: usize,
}

/// A backend on a port of its own; dropping it is its death.
pub struct Backend {
    address: SocketAddr,
    log: Arc<Mutex<Log>>,
    #[allow(dead_code)]
    closing: Arc<Notify>,
    serving: JoinHandle<()>,
}

impl Backend {
    /// Echoes WebSockets' messages, and plain requests: `name METHOD target`, then the body.
    pub async fn echo(name: &'static str) -> Backend {
        Backend::start(None, |log| echoing(name, log)).await
    }

    /// The same where another has died.
    pub async fn echo_at(name: &'static str, address: SocketAddr) -> Backend {
        Backend::start_at(address, None, |log| echoing(name, log)).await
    }

    /// The same over TLS.
    pub async fn echo_tls(name: &'static str, certificates: &Certificates) -> Backend {
        Backend::start(Some(certificates.server()), |log| echoing(name, log)).await
    }

    /// [`Backend::echo_tls`] where another has died.
    // For end-to-end tests.
    #[allow(dead_code)]
    pub async fn echo_tls_at(
        name: &'static str,
        address: SocketAddr,
        certificates: &Certificates,
    ) -> Backend {
        let tls = Some(certificates.server());
        Backend::start_at(address, tls, |log| echoing(name, log)).await
    }

    /// [`Backend::echo`] on a unix socket, in the place of one that has died; its
    /// [`Backend::address`] means nothing.
    #[allow(dead_code)]
    pub fn echo_unix(name: &'static str, path: &Path) -> Backend {
        let _ = std::fs::remove_file(path);
        let listening = Listening::Unix(UnixListener::bind(path).unwrap());
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        Backend::listening(listening, nowhere, None, |log| echoing(name, log))
    }

    /// Answers every head with these bytes, then waits for the other end to leave.
    pub async fn answering(answer: impl Into<Vec<u8>>) -> Backend {
        let answer = answer.into();
        let script = move |_head, mut wire: Wire| {
            let answer = answer.clone();
            async move {
                // The proxy may have left: that is for the test to judge.
                let _ = wire.write_all(&answer).await;
                super::wire::drain(&mut wire).await;
            }
        };
        Backend::script(script).await
    }

    /// Takes connections and never says a word.
    pub async fn silent() -> Backend {
        Backend::answering([]).await
    }

    /// Does with each head, and the wire behind it, what `script` says.
    pub async fn script<F, Fut>(script: F) -> Backend
    where
        F: Fn(Head, Wire) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        Backend::script_over(None, script).await
    }

    /// [`Backend::script`], over TLS with these certificates.
    pub async fn script_over<F, Fut>(certificates: Option<&Certificates>, script: F) -> Backend
    where
        F: Fn(Head, Wire) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |head, wire| Box::pin(script(head, wire)));
        Backend::start(certificates.map(Certificates::server), |_log| script).await
    }

    /// Grants every WebSocket, then does with it what `script` says.
    pub async fn sessions<F, Fut>(script: F) -> Backend
    where
        F: Fn(Session) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script = Arc::new(script);
        Backend::script(move |head, mut wire| {
            let script = Arc::clone(&script);
            async move {
                wire.write_all(granted(&head).as_bytes()).await.unwrap();
                script(Session::server(wire).await).await;
            }
        })
        .await
    }

    /// [`Backend::script`] where another has died.
    pub async fn script_at<F, Fut>(address: SocketAddr, script: F) -> Backend
    where
        F: Fn(Head, Wire) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let script: Script = Arc::new(move |head, wire| Box::pin(script(head, wire)));
        Backend::start_at(address, None, |_log| script).await
    }

    async fn start(
        tls: Option<Arc<ServerConfig>>,
        script: impl FnOnce(Arc<Mutex<Log>>) -> Script,
    ) -> Backend {
        // A certificate is for 127.0.0.1.
        let address = if tls.is_some() { SocketAddr::from(([127, 0, 0, 1], 0)) } else { its_own() };
        Backend::start_at(address, tls, script).await
    }

    async fn start_at(
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        script: impl FnOnce(Arc<Mutex<Log>>) -> Script,
    ) -> Backend {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        Backend::listening(Listening::Tcp(listener), address, tls, script)
    }

    fn listening(
        listening: Listening,
        address: SocketAddr,
        tls: Option<Arc<ServerConfig>>,
        script: impl FnOnce(Arc<Mutex<Log>>) -> Script,
    ) -> Backend {
        let log = Arc::new(Mutex::new(Log::default()));
        let script = script(Arc::clone(&log));
        let closing = Arc::new(Notify::new());
        let serving = serve(listening, tls, script, Arc::clone(&log), Arc::clone(&closing));
        Backend { address, log, closing, serving: tokio::spawn(serving) }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The heads it was sent, in their order.
    pub fn heads(&self) -> Vec<Head> {
        self.log.lock().unwrap().heads.clone()
    }

    /// The one head it was sent.
    pub fn head(&self) -> Head {
        let heads = self.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads.into_iter().next().unwrap()
    }

    /// The messages its echo received, over all sessions.
    pub fn messages(&self) -> Vec<Message> {
        self.log.lock().unwrap().messages.clone()
    }

    /// How its echo's sessions ended.
    pub fn endings(&self) -> Vec<Ending> {
        self.log.lock().unwrap().endings.clone()
    }

    /// Connections it took.
    pub fn connections(&self) -> usize {
        self.log.lock().unwrap().connections
    }

    /// Closes its listening socket: who comes is refused from now on, who is there stays.
    // For the tests beside the code.
    #[allow(dead_code)]
    pub async fn refuse(&self) {
        self.closing.notify_one();
        super::until("a closed port", || std::net::TcpStream::connect(self.address).is_err()).await;
    }

    /// Dies as a process does: every socket is closed by the system, no word is said. Its address
    /// is free for another.
    pub async fn kill(mut self) -> SocketAddr {
        self.serving.abort();
        let _ = within("a backend's death", &mut self.serving).await;
        self.address
    }
}

/// A loopback address that no other backend of this process has, nor one of another run beside it:
/// the port of one that is dead for a moment is not given to another test.
fn its_own() -> SocketAddr {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let number = std::process::id().wrapping_mul(7_919).wrapping_add(STARTED.fetch_add(1, Relaxed));
    let [_, second, third, fourth] = number.to_be_bytes();
    // Those from 127.0.0.1 to 127.63.255.255 are for what a test names itself.
    SocketAddr::from(([127, 64 + second % 128, third, 1 + fourth % 254], 0))
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Where connections come from.
enum Listening {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listening {
    async fn accept(&self) -> Accepted {
        match self {
            Listening::Tcp(listener) => Accepted::Tcp(listener.accept().await.unwrap().0),
            Listening::Unix(listener) => Accepted::Unix(listener.accept().await.unwrap().0),
        }
    }
}

/// A connection on which nothing was said yet.
enum Accepted {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Accepted {
    async fn wire(self, tls: Option<Arc<ServerConfig>>) -> Option<Box<dyn Io>> {
        match self {
            Accepted::Tcp(tcp) => shake_hands(tcp, tls).await,
            Accepted::Unix(unix) => Some(Box::new(unix)),
        }
    }
}

async fn serve(
    listener: Listening,
    tls: Option<Arc<ServerConfig>>,
    script: Script,
    log: Arc<Mutex<Log>>,
    closing: Arc<Notify>,
) {
    // The set is dropped with this task, and takes every connection with it.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = closing.notified() => break,
        };
        log.lock().unwrap().connections += 1;
        let (tls, script, log) = (tls.clone(), Arc::clone(&script), Arc::clone(&log));
        connections.spawn(async move {
            let Some(io) = accepted.wire(tls).await else { return };
            let mut wire = BufReader::new(io);
            let Some(head) = Head::read(&mut wire).await else { return };
            log.lock().unwrap().heads.push(head.clone());
            script(head, wire).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn shake_hands(tcp: TcpStream, tls: Option<Arc<ServerConfig>>) -> Option<Box<dyn Io>> {
    tcp.set_nodelay(true).ok()?;
    Some(match tls {
        None => Box::new(tcp),
        Some(config) => Box::new(TlsAcceptor::from(config).accept(tcp).await.ok()?),
    })
}

/// The answer to a handshake; the first subprotocol offered is taken (RFC 6455 §4.2.2).
pub fn granted(head: &Head) -> String {
    let accept = derive_accept_key(head.get("sec-websocket-key").as_bytes());
    let protocol = head.get("sec-websocket-protocol").split(',').next().unwrap_or_default().trim();
    let protocol = match protocol {
        "" => String::new(),
        protocol => format!("Sec-WebSocket-Protocol: {protocol}\r\n"),
    };
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    )
}

fn echoing(name: &'static str, log: Arc<Mutex<Log>>) -> Script {
    Arc::new(move |head, wire| {
        let log = Arc::clone(&log);
        Box::pin(async move {
            if head.is_upgrade() {
                echo_messages(head, wire, log).await;
            } else {
                echo_requests(name, head, wire, log).await;
            }
        })
    })
}

async fn echo_messages(head: Head, mut wire: Wire, log: Arc<Mutex<Log>>) {
    if wire.write_all(granted(&head).as_bytes()).await.is_err() {
        return;
    }
    let mut session = Session::server(wire).await;
    let ending = loop {
        match session.forward().await {
            Ok(message) => log.lock().unwrap().messages.push(message.clone()),
            Err(ending) => break ending,
        }
    };
    log.lock().unwrap().endings.push(ending);
}

/// Answers requests on one connection, one after another.
async fn echo_requests(name: &str, first: Head, mut wire: Wire, log: Arc<Mutex<Log>>) {
    let mut next = Some(first);
    while let Some(head) = next {
        let sent = match head.get("content-length").is_empty()
            && head.all("transfer-encoding").next().is_none()
        {
            true => String::new(),
            false => read_body(&head, &mut wire).await,
        };
        let body = format!("{name} {}\n{sent}", head.first);
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nX-Backend: {name}\r\n\r\n{body}",
            body.len()
        );
        if wire.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        next = Head::read(&mut wire).await;
        log.lock().unwrap().heads.extend(next.clone());
    }
}
