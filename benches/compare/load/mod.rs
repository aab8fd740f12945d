//! Load: clients and the backend they reach through the proxy, on one thread with one event loop.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::LocalSet;

use crate::scenario::Scenario;

mod backend;
mod clients;
mod paced;
mod target;
mod wire;

pub use target::Target;

/// How long [`Load::open`] waits for the load to be at work.
const OPEN_MAX: Duration = Duration::from_secs(120);

/// What the load has done so far, read by the thread that measures.
#[derive(Default)]
pub struct Progress {
    /// Sessions at work: handshake done, first message back.
    pub open: AtomicUsize,
    /// Messages that came back, or connections that came and went.
    pub done: AtomicU64,
    /// Bytes of a stream that arrived.
    pub bytes: AtomicU64,
    /// TLS connections that resumed a session, and those that did not.
    pub resumed: AtomicU64,
    /// See [`Progress::resumed`].
    pub full: AtomicU64,
    /// Pings that came to a client or to the backend, and were answered.
    pub pings: AtomicU64,
    /// Sessions that ended though nobody asked.
    pub lost: AtomicUsize,
    /// Set to end the load.
    stop: AtomicBool,
    /// How many sessions shall be open by now.
    wanted: AtomicUsize,
    /// While set, the open loop writes its latencies down.
    recording: AtomicBool,
    /// Latencies of the open loop in nanoseconds, from when a message was due.
    latencies: Mutex<Vec<u32>>,
}

impl Progress {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Counts a session that ended though nobody asked; the first says why.
    fn lose(&self, ended: std::io::Result<()>) {
        if self.stopped() {
            return;
        }
        let lost = self.lost.fetch_add(1, Ordering::Relaxed);
        if let (Err(error), 0) = (ended, lost) {
            eprintln!("first lost session: {error}");
        }
    }

    /// Starts writing latencies down.
    pub fn record(&self) {
        self.recording.store(true, Ordering::Relaxed);
    }

    /// The latencies since [`Progress::record`], sorted.
    pub fn recorded(&self) -> Vec<u32> {
        self.recording.store(false, Ordering::Relaxed);
        let latencies = self.latencies.lock();
        let mut all = latencies.map(|mut all| std::mem::take(&mut *all)).unwrap_or_default();
        all.sort_unstable();
        all
    }
}

/// Starts the load on its own thread, pinned to `core`; the backend listens when it returns.
pub fn start(core: usize, scenario: Scenario) -> Load {
    let progress = Arc::new(Progress::default());
    let (tell, backend) = std::sync::mpsc::channel();
    let (aim, aimed) = tokio::sync::oneshot::channel::<Target>();
    let shared = Arc::clone(&progress);
    let thread = std::thread::spawn(move || {
        crate::system::pin(core);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime for the load");
        LocalSet::new().block_on(&runtime, async move {
            let serving = backend::start(scenario, Arc::clone(&shared)).await;
            tell.send(serving.expect("a backend on loopback")).expect("somebody waits for it");
            if let Ok(target) = aimed.await {
                clients::run(target, scenario, shared).await;
            }
        });
    });
    let backend = backend.recv().expect("the load thread tells it");
    Load { backend, progress, aim: Some(aim), thread: Some(thread) }
}

/// A running load; dropping it ends every session.
pub struct Load {
    /// Where the backend listens.
    pub backend: SocketAddr,
    /// What the clients have done.
    pub progress: Arc<Progress>,
    aim: Option<tokio::sync::oneshot::Sender<Target>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Load {
    /// Points the clients at the proxy.
    pub fn aim(&mut self, target: Target) {
        if let Some(aim) = self.aim.take() {
            drop(aim.send(target));
        }
    }

    /// Waits until `count` sessions are at work.
    pub fn open(&self, count: usize) -> Result<(), String> {
        self.progress.wanted.store(count, Ordering::Relaxed);
        let start = std::time::Instant::now();
        while start.elapsed() < OPEN_MAX {
            if self.progress.open.load(Ordering::Relaxed) >= count {
                return Ok(());
            }
            if self.progress.lost.load(Ordering::Relaxed) > 0 {
                return Err("sessions were lost".into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let open = self.progress.open.load(Ordering::Relaxed);
        Err(format!("only {open} of {count} sessions opened"))
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
