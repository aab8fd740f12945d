//! The open loop: messages are sent when they are due, whether or not earlier ones came back, and
//! their latency counts from when they were due. So a proxy that stalls is charged for all that
//! had to wait, and not for one message only (coordinated omission).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, ReadHalf, WriteHalf};

use crate::codec::{self, Frames};
use crate::scenario::{PACED_PER_SECOND, Scenario};

use super::Progress;
use super::target::{Connector, Opened};
use super::wire::{Wire, read_frames};

/// When the messages under way were due, oldest first.
type Due = Rc<RefCell<VecDeque<Instant>>>;

/// What is to be sent on a session, and when.
struct Pace {
    sending: WriteHalf<Box<dyn Wire>>,
    /// Bytes the connection did not take yet, Pongs among them.
    outbox: Rc<RefCell<Vec<u8>>>,
    due: Due,
    next: Instant,
}

/// Opens the sessions, then sends by the clock until the load is stopped. The clock is watched
/// without sleeping: a timer would add its own latency.
pub async fn run(
    connector: &Rc<Connector>,
    scenario: Scenario,
    frame: &[u8],
    progress: &Arc<Progress>,
) -> io::Result<()> {
    let interval = Duration::from_secs_f64(scenario.clients as f64 / PACED_PER_SECOND as f64);
    let mut paces = Vec::new();
    for _ in 0..scenario.clients {
        let Opened { stream, early, .. } = connector.open().await?;
        let (receiving, sending) = tokio::io::split(stream);
        let (due, outbox) = (Due::default(), Rc::<RefCell<Vec<u8>>>::default());
        let mut frames = Frames::default();
        frames.take(&early, |_, _| {});
        let shared = (Rc::clone(&due), Rc::clone(&outbox), Arc::clone(progress));
        tokio::task::spawn_local(async move {
            let (due, outbox, progress) = shared;
            let ended = receive(receiving, frames, &due, &outbox, &progress).await;
            progress.lose(ended);
        });
        paces.push(Pace { sending, outbox, due, next: Instant::now() });
    }
    let start = Instant::now();
    for (place, pace) in paces.iter_mut().enumerate() {
        pace.next = start + interval.mul_f64(place as f64 / scenario.clients as f64);
    }
    progress.open.store(scenario.clients, Ordering::Relaxed);
    while !progress.stopped() {
        let now = Instant::now();
        for pace in &mut paces {
            let mut outbox = pace.outbox.take();
            while pace.next <= now {
                pace.due.borrow_mut().push_back(pace.next);
                outbox.extend_from_slice(frame);
                pace.next += interval;
            }
            if !outbox.is_empty() {
                send(&mut pace.sending, &mut outbox).await?;
            }
            // Sending does not wait, so nobody has put anything there meanwhile.
            pace.outbox.replace(outbox);
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

/// Sends as much as the connection takes now.
async fn send(sending: &mut WriteHalf<Box<dyn Wire>>, outbox: &mut Vec<u8>) -> io::Result<()> {
    std::future::poll_fn(|cx| {
        while !outbox.is_empty() {
            match Pin::new(&mut *sending).poll_write(cx, outbox) {
                Poll::Ready(sent) => drop(outbox.drain(..sent?)),
                Poll::Pending => break,
            }
        }
        // Of TLS something may be left; the next message takes it along.
        match Pin::new(&mut *sending).poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    })
    .await
}

async fn receive(
    mut receiving: ReadHalf<Box<dyn Wire>>,
    mut frames: Frames,
    due: &Due,
    outbox: &RefCell<Vec<u8>>,
    progress: &Progress,
) -> io::Result<()> {
    loop {
        let mut came = 0;
        let read = read_frames(&mut receiving, &mut frames, |opcode, control| match opcode {
            1 | 2 => came += 1,
            9 => outbox.borrow_mut().extend(codec::pong(control, true)),
            _ => {}
        });
        if read.await? == 0 {
            return Err(io::Error::other("the proxy closed a session"));
        }
        let now = Instant::now();
        progress.done.fetch_add(came, Ordering::Relaxed);
        let recording = progress.recording.load(Ordering::Relaxed);
        let mut latencies = progress.latencies.lock().map_err(|_| io::ErrorKind::Other)?;
        for due in due.borrow_mut().drain(..came as usize) {
            if recording {
                let nanoseconds = now.saturating_duration_since(due).as_nanos();
                latencies.push(u32::try_from(nanoseconds).unwrap_or(u32::MAX));
            }
        }
    }
}
