//! Load: clients that send and a backend that echoes, on one thread with one event loop.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::LocalSet;

use crate::codec::{self, Frames};

/// Sessions that are opened at the same time; more would measure a connect storm.
const OPENING_MAX: usize = 64;

/// Bytes of one read, of clients and backend.
const READ_BYTES: usize = 16 * 1024;

/// A connected client's stream.
pub trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

/// How clients reach the proxy.
#[derive(Clone)]
pub struct Target {
    /// The proxy's address.
    pub address: SocketAddr,
    /// The certificate to trust, when it speaks TLS.
    pub trust: Option<CertificateDer<'static>>,
}

impl Target {
    async fn connect(&self, tls: Option<&tokio_rustls::TlsConnector>) -> io::Result<Box<dyn Wire>> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = tls else { return Ok(Box::new(tcp)) };
        let name = ServerName::try_from("bench.test").expect("cannot fail: it is a DNS name");
        Ok(Box::new(tls.connect(name, tcp).await?))
    }

    fn connector(&self) -> Option<tokio_rustls::TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(self.trust.clone()?).expect("the bench's own certificate");
        let config =
            rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Some(tokio_rustls::TlsConnector::from(Arc::new(config)))
    }
}

/// What the clients have done so far, read by the thread that measures.
#[derive(Default)]
pub struct Progress {
    /// Sessions whose handshake is done and whose first messages came back.
    pub open: AtomicUsize,
    /// Messages that came back.
    pub echoed: AtomicU64,
    /// Sessions that ended though nobody asked.
    pub lost: AtomicUsize,
    /// Set to end the load.
    pub stop: AtomicBool,
    /// How many sessions shall be open by now.
    pub wanted: AtomicUsize,
}

/// What each client does once it is connected.
#[derive(Clone, Copy)]
pub enum Work {
    /// Echo `size` bytes again and again: the next is sent when the last came back.
    Loop {
        /// Payload bytes.
        size: usize,
    },
    /// Echo `size` bytes once, then be quiet; pings are answered.
    Once {
        /// Payload bytes.
        size: usize,
    },
}

/// The echo backend's address, once it listens; it serves for as long as the local set lives.
pub async fn backend() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::task::spawn_local(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::task::spawn_local(async move { drop(echo(stream).await) });
        }
    });
    Ok(address)
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    read_head(&mut stream).await?;
    stream.write_all(codec::ANSWER).await?;
    let mut frames = Frames::default();
    loop {
        let mut out = Vec::new();
        let alive = read_frames(&mut stream, &mut frames, |opcode, head| match opcode {
            1 | 2 => ECHO.with_borrow(|frame| out.extend_from_slice(frame)),
            8 => out.extend([0x88, 0]),
            9 => out.extend(codec::pong(head, false)),
            _ => {}
        })
        .await?;
        if !out.is_empty() {
            stream.write_all(&out).await?;
        }
        if !alive {
            return Ok(());
        }
    }
}

/// One read, its frames told to `done`; false at the end of the stream.
async fn read_frames(
    stream: &mut (impl AsyncRead + Unpin + ?Sized),
    frames: &mut Frames,
    done: impl FnMut(u8, &[u8]),
) -> io::Result<bool> {
    // The buffer lives for one poll only: thousands of idle sessions live in this process too.
    let mut done = Some(done);
    std::future::poll_fn(move |cx| {
        let mut buffer = [0; READ_BYTES];
        let mut buffer = tokio::io::ReadBuf::new(&mut buffer);
        std::task::ready!(std::pin::Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
        if let Some(done) = done.take() {
            frames.take(buffer.filled(), done);
        }
        std::task::Poll::Ready(Ok(!buffer.filled().is_empty()))
    })
    .await
}

thread_local! {
    /// The frame that answers every data message of a run.
    static ECHO: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
    /// The frame every client of a run sends.
    static MASKED: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    if head.starts_with(b"HTTP/1.1 ") && !head.starts_with(b"HTTP/1.1 101") {
        return Err(io::Error::other(String::from_utf8_lossy(&head).into_owned()));
    }
    Ok(())
}

/// Runs clients against `target` until [`Progress::stop`]; opens as many as [`Progress::wanted`]
/// says.
pub async fn clients(target: Target, work: Work, progress: Arc<Progress>) {
    let tls = target.connector();
    let opening = Arc::new(tokio::sync::Semaphore::new(OPENING_MAX));
    let mut started = 0;
    while !progress.stop.load(Ordering::Relaxed) {
        if started >= progress.wanted.load(Ordering::Relaxed) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            continue;
        }
        let permit = Arc::clone(&opening).acquire_owned().await;
        let (target, tls, progress) = (target.clone(), tls.clone(), Arc::clone(&progress));
        started += 1;
        tokio::task::spawn_local(async move {
            let ended = client(&target, tls, work, &progress, permit.ok()).await;
            let lost = progress.lost.fetch_add(1, Ordering::Relaxed);
            if let (Err(error), 0) = (ended, lost) {
                eprintln!("first lost session: {error}");
            }
        });
    }
}

async fn client(
    target: &Target,
    tls: Option<tokio_rustls::TlsConnector>,
    work: Work,
    progress: &Progress,
    permit: Option<tokio::sync::OwnedSemaphorePermit>,
) -> io::Result<()> {
    let mut stream = target.connect(tls.as_ref()).await?;
    drop(tls);
    stream.write_all(codec::REQUEST).await?;
    read_head(&mut stream).await?;
    let (Work::Loop { size } | Work::Once { size }) = work;
    stream.write_all(&codec::frame(size, true)).await?;
    let mut permit = permit;
    let mut frames = Frames::default();
    loop {
        let mut echoed = 0;
        let mut pongs = Vec::new();
        let alive = read_frames(&mut stream, &mut frames, |opcode, head| match opcode {
            1 | 2 => echoed += 1,
            9 => pongs.extend(codec::pong(head, true)),
            _ => {}
        })
        .await?;
        if !alive {
            return Err(io::Error::other("the proxy closed a session"));
        }
        if !pongs.is_empty() {
            stream.write_all(&pongs).await?;
        }
        if echoed > 0 {
            progress.echoed.fetch_add(echoed, Ordering::Relaxed);
            if permit.take().is_some() {
                progress.open.fetch_add(1, Ordering::Relaxed);
            }
            if let Work::Loop { size } = work {
                // The same frame each time: built once per thread, not per message.
                let frame = MASKED.with_borrow_mut(|frame| {
                    if frame.len() < size {
                        *frame = codec::frame(size, true);
                    }
                    std::mem::take(frame)
                });
                let sent = stream.write_all(&frame).await;
                MASKED.set(frame);
                sent?;
            }
        }
    }
}

/// Starts the load on its own thread, pinned to `core`; the backend's address comes back at once.
pub fn start(core: usize, size: usize) -> Load {
    let progress = Arc::new(Progress::default());
    let (tell, backend_address) = std::sync::mpsc::channel();
    let (aim, aimed) = tokio::sync::oneshot::channel::<(Target, Work)>();
    let shared = Arc::clone(&progress);
    let thread = std::thread::spawn(move || {
        crate::system::pin(core);
        ECHO.set(codec::frame(size, false));
        MASKED.set(codec::frame(size, true));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the load");
        LocalSet::new().block_on(&runtime, async move {
            let address = backend().await.expect("a backend on loopback");
            tell.send(address).expect("the measuring thread waits for it");
            if let Ok((target, work)) = aimed.await {
                clients(target, work, shared).await;
            }
        });
    });
    let backend = backend_address.recv().expect("the load thread tells it");
    Load { backend, progress, aim: Some(aim), thread: Some(thread) }
}

/// A running load; dropping it ends every session.
pub struct Load {
    /// Where the echo backend listens.
    pub backend: SocketAddr,
    /// What the clients have done.
    pub progress: Arc<Progress>,
    aim: Option<tokio::sync::oneshot::Sender<(Target, Work)>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    /// Points the clients at the proxy.
    pub fn aim(&mut self, target: Target, work: Work) {
        if let Some(aim) = self.aim.take() {
            drop(aim.send((target, work)));
        }
    }

    /// Waits until `count` sessions are open; false when the load lost any, or after a minute.
    pub fn open(&self, count: usize) -> bool {
        self.progress.wanted.store(count, Ordering::Relaxed);
        for _ in 0..6_000 {
            if self.progress.open.load(Ordering::Relaxed) >= count {
                return true;
            }
            if self.progress.lost.load(Ordering::Relaxed) > 0 {
                return false;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.progress.stop.store(true, Ordering::Relaxed);
        self.aim = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}
