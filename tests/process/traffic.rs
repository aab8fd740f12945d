//! Traffic that can be checked: numbered messages of every size, whole or in fragments, that must
//! come back once, in order and unchanged.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tungstenite::protocol::WebSocketConfig;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::{Error, Message};

/// How a session ended, as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// We asked for the end, and every message had come back.
    Asked,
    /// A Close frame with this code.
    Close(u16),
    /// The transport ended between two frames, without a Close.
    Cut,
    /// Anything else: a defect, in words.
    Wrong(String),
}

/// What all sessions of a crowd have done, and what they shall do.
#[derive(Default)]
pub struct Shared {
    /// Messages that came back right.
    pub echoed: AtomicU64,
    /// Sessions whose first message came back.
    pub open: AtomicUsize,
    /// Sessions that ended before we asked.
    pub failed: AtomicUsize,
    /// Set to let every session finish.
    pub stop: AtomicBool,
}

/// What each session sends.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The largest message, in bytes.
    pub size_max: usize,
    /// The longest pause between two messages.
    pub pause: Duration,
}

/// Sessions that talk all the time.
pub struct Crowd {
    /// What they did.
    pub shared: Arc<Shared>,
    sessions: JoinSet<Ended>,
    started: u64,
}

impl Crowd {
    /// Nobody yet.
    pub fn new() -> Crowd {
        Crowd { shared: Arc::default(), sessions: JoinSet::new(), started: 0 }
    }

    /// Opens `count` sessions to `url`, and waits until each has had its first message back.
    pub async fn join(&mut self, count: usize, to: &str, path: &str, kind: Kind) {
        let before = self.shared.open.load(Ordering::Relaxed);
        for _ in 0..count {
            let (to, path) = (to.to_owned(), path.to_owned());
            let shared = Arc::clone(&self.shared);
            self.started += 1;
            let seed = self.started;
            self.sessions.spawn(async move {
                let end = match open(&to, &path).await {
                    Ok(socket) => talk(socket, seed, kind, &shared, None).await,
                    Err(error) => Ended::Wrong(format!("handshake: {error}")),
                };
                shared.failed.fetch_add(usize::from(end != Ended::Asked), Ordering::Relaxed);
                end
            });
            // Gently: a connect storm is another test.
            if self.started.is_multiple_of(50) {
                self.opened(before, self.started as usize - before).await;
            }
        }
        self.opened(before, count).await;
    }

    async fn opened(&self, before: usize, count: usize) {
        while self.shared.open.load(Ordering::Relaxed) < before + count {
            // One that did not get in is found when the crowd's ends are asked for.
            if self.shared.failed.load(Ordering::Relaxed) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Lets every session finish, and tells how they ended.
    pub async fn finish(self) -> Vec<Ended> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.ended().await
    }

    /// Waits for every session's end.
    pub async fn ended(mut self) -> Vec<Ended> {
        let mut ends = Vec::new();
        while let Some(end) = self.sessions.join_next().await {
            ends.push(end.unwrap());
        }
        ends
    }
}

/// A byte stream to the proxy.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

/// A WebSocket through the proxy.
pub type Socket = WebSocketStream<Box<dyn Wire>>;

/// Opens a WebSocket; `to` is `ip:port` or `unix:/path`.
pub async fn open(to: &str, path: &str) -> Result<Socket, Error> {
    let stream: Box<dyn Wire> = match to.strip_prefix("unix:") {
        Some(path) => Box::new(UnixStream::connect(path).await?),
        None => {
            let tcp = TcpStream::connect(to).await?;
            tcp.set_nodelay(true)?;
            Box::new(tcp)
        }
    };
    open_on(stream, path).await
}

/// Opens a WebSocket on a connection.
pub async fn open_on(stream: Box<dyn Wire>, path: &str) -> Result<Socket, Error> {
    let url = format!("ws://process.test{path}");
    Ok(tokio_tungstenite::client_async_with_config(url, stream, Some(config())).await?.0)
}

fn config() -> WebSocketConfig {
    WebSocketConfig::default().max_message_size(None).max_frame_size(None)
}

/// A small generator of our own: what it gives must be the same on both ends of a session's life.
pub struct Dice(pub u64);

impl Dice {
    /// The next number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides.max(1)
    }
}

/// Message `number` of session `seed`: its size is spread evenly over the powers of two.
fn message(seed: u64, number: u64, size_max: usize) -> Vec<u8> {
    let mut dice = Dice((seed << 32 | number) | 1);
    dice.roll(2);
    let power = dice.roll(u64::from(size_max.ilog2()) + 1);
    let size = (1 + dice.roll(2 << power) as usize).min(size_max);
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        bytes.extend(dice.roll(u64::MAX).to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Sends numbered messages, each when the last came back unchanged, until all are asked to stop or
/// `until` has come.
pub async fn talk(
    mut socket: Socket,
    seed: u64,
    kind: Kind,
    shared: &Shared,
    until: Option<Instant>,
) -> Ended {
    let mut dice = Dice(seed * 7919 + 1);
    for number in 0.. {
        let message = message(seed, number, kind.size_max);
        // A send that fails says less than what can still be read: the proxy's Close.
        let _ = send(&mut socket, &message, &mut dice).await;
        match read(&mut socket).await {
            Ok(back) if back == message => {}
            Ok(back) => {
                let (sent, back) = (message.len(), back.len());
                return Ended::Wrong(format!("message {number}: {sent} bytes out, {back} back"));
            }
            Err(end) => return end,
        }
        shared.echoed.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            shared.open.fetch_add(1, Ordering::Relaxed);
        }
        let over = until.is_some_and(|until| Instant::now() >= until);
        if over || shared.stop.load(Ordering::Relaxed) {
            return match socket.close(None).await {
                Ok(()) => Ended::Asked,
                Err(error) => Ended::Wrong(format!("closing: {error}")),
            };
        }
        let pause = kind.pause.as_millis() as u64;
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(dice.roll(pause))).await;
        }
    }
    Ended::Asked
}

/// Sends `message` whole, or in up to five fragments with a Ping among them.
async fn send(socket: &mut Socket, message: &[u8], dice: &mut Dice) -> Result<(), Error> {
    let fragments = 1 + dice.roll(10).saturating_sub(5) as usize;
    if fragments == 1 || message.len() < fragments {
        return socket.send(Message::binary(message.to_vec())).await;
    }
    let piece = message.len() / fragments;
    for index in 0..fragments {
        let last = index + 1 == fragments;
        let from = index * piece;
        let to = if last { message.len() } else { from + piece };
        let opcode = if index == 0 { Data::Binary } else { Data::Continue };
        let payload = message[from..to].to_vec();
        let frame = Frame::message(payload, OpCode::Data(opcode), last);
        socket.feed(Message::Frame(frame)).await?;
        if index == 0 {
            socket.feed(Message::Ping(b"between fragments".as_slice().into())).await?;
        }
    }
    socket.flush().await
}

/// The next data message, or the end.
pub async fn read(socket: &mut Socket) -> Result<Vec<u8>, Ended> {
    loop {
        match socket.next().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes.to_vec()),
            Some(Ok(Message::Text(text))) => return Ok(text.as_bytes().to_vec()),
            Some(Ok(Message::Close(frame))) => {
                // tungstenite answers a Close when it is polled again.
                while let Some(Ok(_)) = socket.next().await {}
                return Err(Ended::Close(frame.map_or(1005, |frame| frame.code.into())));
            }
            Some(Ok(_)) => {}
            None => return Err(Ended::Cut),
            Some(Err(Error::Protocol(
                tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
            ))) => return Err(Ended::Cut),
            Some(Err(Error::Io(_) | Error::ConnectionClosed)) => return Err(Ended::Cut),
            Some(Err(error)) => return Err(Ended::Wrong(error.to_string())),
        }
    }
}

/// How many sessions ended in each way, for a failed test's words.
pub fn census(ends: &[Ended]) -> String {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    for end in ends {
        *counts.entry(format!("{end:?}")).or_default() += 1;
    }
    format!("{counts:?}")
}
