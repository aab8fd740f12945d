//! The queue before the log's writer: whoever logs never waits, and what the queue may hold is
//! counted in bytes, which is what it costs.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long the end of a process waits for what is still queued.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// What the queue holds for a line beside its text.
const LINE_BYTES: usize = 64;

enum QueueItem {
    Line(Vec<u8>),
    Flush(mpsc::Sender<()>),
}

#[derive(Debug, Default)]
struct QueueCounts {
    queued: AtomicUsize,
    dropped: AtomicU64,
}

/// Where lines are put; cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct LogQueue {
    items: mpsc::Sender<QueueItem>,
    counts: Arc<QueueCounts>,
    bytes_max: usize,
}

/// How many lines were dropped because the queue was full.
#[derive(Clone, Debug)]
pub struct Dropped(Arc<QueueCounts>);

impl Dropped {
    /// The lines dropped since the start.
    pub fn lines(&self) -> u64 {
        self.0.dropped.load(Relaxed)
    }
}

impl LogQueue {
    /// A queue of at most `bytes_max` bytes, and the thread that writes from it to `out`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(
        bytes_max: usize,
        mut out: impl Write + Send + 'static,
    ) -> io::Result<LogQueue> {
        let (items, waiting) = mpsc::channel();
        let counts = Arc::new(QueueCounts::default());
        let queued = Arc::clone(&counts);
        let write = move || {
            for item in waiting {
                match item {
                    QueueItem::Line(line) => {
                        // A log that cannot be written has no place to say so.
                        let _ = out.write_all(&line);
                        queued.queued.fetch_sub(line.len() + LINE_BYTES, Relaxed);
                    }
                    QueueItem::Flush(done) => {
                        let _ = out.flush();
                        // Its receiver may have given up.
                        let _ = done.send(());
                    }
                }
            }
        };
        thread::Builder::new().name("log".to_owned()).spawn(write)?;
        Ok(LogQueue { items, counts, bytes_max })
    }

    /// The count of lines dropped.
    pub(super) fn dropped(&self) -> Dropped {
        Dropped(Arc::clone(&self.counts))
    }

    /// Waits until what is queued is written, for a second at most.
    pub(super) fn flush(&self) {
        let (done, written) = mpsc::channel();
        if self.items.send(QueueItem::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_TIMEOUT);
        }
    }

    fn push(&self, line: &[u8]) {
        let cost = line.len() + LINE_BYTES;
        let fits = |queued: usize| (queued + cost <= self.bytes_max).then_some(queued + cost);
        if self.counts.queued.try_update(Relaxed, Relaxed, fits).is_err() {
            self.counts.dropped.fetch_add(1, Relaxed);
        } else if self.items.send(QueueItem::Line(line.to_vec())).is_err() {
            self.counts.queued.fetch_sub(cost, Relaxed);
        }
    }
}

/// One line on its way into the queue.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for LogQueue {
    type Writer = LogQueue;

    fn make_writer(&'w self) -> LogQueue {
        self.clone()
    }
}
