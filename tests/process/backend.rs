//! A backend in a process of its own, so that it can be killed.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio_tungstenite::accept_async_with_config;
use tungstenite::Message;
use tungstenite::protocol::WebSocketConfig;

/// Set in the process that is to be a backend: what it listens on.
const LISTEN: &str = "TIDEGATE_TEST_BACKEND";

/// Set beside it: milliseconds a handshake takes.
const SLOW: &str = "TIDEGATE_TEST_BACKEND_SLOW";

/// An echo backend in a process of its own.
pub struct Backend {
    child: Child,
    /// Where it listens, as a pool's configuration names it.
    pub address: String,
}

impl Backend {
    /// Starts one on a free port of 127.0.0.1.
    pub fn start() -> Backend {
        Backend::start_on("127.0.0.1:0", Duration::ZERO)
    }

    /// Starts one on `address`, `unix:/path` or `ip:port`; each handshake takes `slow`.
    pub fn start_on(address: &str, slow: Duration) -> Backend {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "backend::be_a_backend", "--nocapture"])
            .env(LISTEN, address)
            .env(SLOW, slow.as_millis().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            line.unwrap().split_once("listening on ").map(|(_, address)| address.to_owned())
        });
        // Nobody reads on: the backend prints nothing more until its end.
        std::thread::spawn(move || for _ in lines {});
        Backend { child, address: address.unwrap() }
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most handshakes it had under way at once.
    pub async fn handshakes_most(&self) -> usize {
        let address: SocketAddr = self.address.parse().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /handshakes HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.trim().parse().unwrap()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Not a test of its own: the process that [`Backend::start`] makes of this binary.
#[test]
fn be_a_backend() {
    let Ok(address) = std::env::var(LISTEN) else { return };
    let slow = std::env::var(SLOW).unwrap().parse().map(Duration::from_millis).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        if let Some(path) = address.strip_prefix("unix:") {
            let listener = UnixListener::bind(path).unwrap();
            println!("listening on {address}");
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(echo(stream));
            }
        }
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.set_reuse_address(true).unwrap();
        socket.bind(&address.parse::<SocketAddr>().unwrap().into()).unwrap();
        socket.listen(4096).unwrap();
        socket.set_nonblocking(true).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        println!("listening on {}", listener.local_addr().unwrap());
        let counts = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream, slow, Arc::clone(&counts)));
        }
    });
}

/// Counts handshakes under way, from accept to answer, and their most; `GET /handshakes` tells it.
async fn serve(mut stream: TcpStream, slow: Duration, counts: Arc<(AtomicUsize, AtomicUsize)>) {
    let mut peeked = [0; 256];
    let Ok(count) = stream.peek(&mut peeked).await else { return };
    if peeked[..count].starts_with(b"GET /handshakes") {
        let most = counts.1.load(Ordering::Relaxed).to_string();
        // Unread bytes would make the close a reset.
        let mut request = vec![0; count];
        drop(stream.read_exact(&mut request).await);
        drop(stream.write_all(most.as_bytes()).await);
        return;
    }
    let under_way = counts.0.fetch_add(1, Ordering::Relaxed) + 1;
    counts.1.fetch_max(under_way, Ordering::Relaxed);
    tokio::time::sleep(slow).await;
    counts.0.fetch_sub(1, Ordering::Relaxed);
    echo(stream).await;
}

async fn echo(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let Ok(mut socket) = accept_async_with_config(stream, Some(config)).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let done = match message {
            Message::Text(_) | Message::Binary(_) => socket.send(message).await,
            // Answers to Close and Ping are tungstenite's own.
            _ => socket.flush().await,
        };
        if done.is_err() {
            return;
        }
    }
}

/// A backend in this process whose answers are larger than anybody reads; to `/broken` they end
/// before their end.
pub async fn large_answers() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let read = stream.read(&mut head).await.unwrap_or(0);
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1_u64 << 40);
                let _ = stream.write_all(answer.as_bytes()).await;
                let is_broken = head[..read].windows(7).any(|part| part == b"/broken");
                while !is_broken && stream.write_all(&[7; 16_384]).await.is_ok() {}
            });
        }
    });
    address
}
