//! The accept loop: one per worker and listening socket.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;

use super::accept_queue::AcceptQueue;
use super::conn::{self, Arrival};
use super::permits::Rejection;
use super::sockets::BACKLOG;
use super::waiting::Waiting;
use super::{Accepting, ListenContext, ListenSocket};
use crate::base::clock::{self, Moment};
use crate::base::network::ClientNetwork;
use crate::base::{task, worker};

/// How long accepting pauses when the process or the system has no file or no memory left. What
/// waits in the kernel's queue meanwhile is not refused: that is why no file is kept in reserve to
/// turn clients away with.
pub const EXHAUSTED_PAUSE: Duration = Duration::from_millis(100);

/// How often the log says that accepting pauses.
pub const EXHAUSTED_LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Starts the loop on this worker. It drops `accepting` when it has ended.
///
/// # Errors
/// The system's, when the socket cannot be registered.
pub(super) fn start(
    socket: Arc<ListenSocket>,
    context: Arc<ListenContext>,
    mut accepting: watch::Receiver<Accepting>,
) -> io::Result<()> {
    let queue = AcceptQueue::new(&socket.listening)?;
    task::spawn("accept", async move {
        tokio::select! {
            () = accept_all(&queue, &socket, &context) => {}
            // The sender lives in the socket, which this task holds.
            _ = accepting.wait_for(|state| *state != Accepting::Open) => {}
        }
        if *accepting.borrow() != Accepting::Paused {
            accept_queued(&socket, &context);
        }
        drop((queue, socket));
        // Last of all: who waits for it finds the socket given up.
        drop(accepting);
    });
    Ok(())
}

/// Closing the last descriptor resets what is still queued: takes it in first.
fn accept_queued(socket: &Arc<ListenSocket>, context: &Arc<ListenContext>) {
    for _ in 0..BACKLOG {
        match socket.listening.accept() {
            Ok((fd, peer)) => arrive(fd, peer, socket, context),
            Err(_) => break,
        }
    }
}

/// Accepts for ever. After a burst the runtime's own budget gives other tasks their turn.
async fn accept_all(queue: &AcceptQueue, socket: &Arc<ListenSocket>, context: &Arc<ListenContext>) {
    let mut complaints = Complaints::default();
    loop {
        match judge(queue.accept().await) {
            AcceptOutcome::Take((fd, peer)) => arrive(fd, peer, socket, context),
            AcceptOutcome::Next => {}
            AcceptOutcome::Pause(error) => {
                socket.endpoint.listener.load_full().cells.backoffs.inc();
                if complaints.is_due(clock::now()) {
                    let address = tracing::field::display(socket.listening.bound());
                    tracing::error!(%error, address, "accepting pauses: out of resources");
                }
                sleep(EXHAUSTED_PAUSE).await;
            }
        }
    }
}

/// What an accept's outcome asks for.
#[derive(Debug)]
enum AcceptOutcome<T> {
    Take(T),
    /// That connection is gone; the next one may be well.
    Next,
    Pause(io::Error),
}

fn judge<T>(accepted: io::Result<T>) -> AcceptOutcome<T> {
    let error = match accepted {
        Ok(accepted) => return AcceptOutcome::Take(accepted),
        Err(error) => error,
    };
    match error.raw_os_error() {
        // accept(2): errors of the connection itself, already pending on it, are to be retried.
        Some(
            libc::EINTR
            | libc::ECONNABORTED
            | libc::EPROTO
            | libc::ENETDOWN
            | libc::ENOPROTOOPT
            | libc::EHOSTDOWN
            | libc::ENONET
            | libc::EHOSTUNREACH
            | libc::EOPNOTSUPP
            | libc::ENETUNREACH
            | libc::EPERM,
        ) => AcceptOutcome::Next,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM; and an unknown error must not spin either.
        _ => AcceptOutcome::Pause(error),
    }
}

/// Says when the log may complain again.
#[derive(Default)]
struct Complaints(Option<Moment>);

impl Complaints {
    fn is_due(&mut self, now: Moment) -> bool {
        let due = self.0.is_none_or(|last| now.since(last) >= EXHAUSTED_LOG_INTERVAL);
        if due {
            self.0 = Some(now);
        }
        due
    }
}

/// A new connection: permitted, counted, and brought to its worker.
fn arrive(
    fd: OwnedFd,
    peer: Option<SocketAddr>,
    socket: &Arc<ListenSocket>,
    context: &Arc<ListenContext>,
) {
    let listener = socket.endpoint.listener.load_full();
    let cells = Arc::clone(&listener.cells);
    let here = usize::from(worker::index().unwrap_or(0));
    // Before a PROXY header only the proxy is known.
    let network = match &listener.plan.proxy_protocol {
        Some(_) => ClientNetwork::Unshared,
        None => listener.plan.client_network(peer),
    };
    let permit = match context.permits.enter(here, network, &cells) {
        Ok(permit) => permit,
        Err(rejection) => {
            cells.refused.count(rejection);
            let name = &listener.plan.name;
            return context.refusals.connection(name, peer, rejection, None);
        }
    };
    cells.accepted.inc();
    let there = permit.worker();
    let waiting = Waiting::new(&context.permits.waiting, there, network);
    if context.permits.waiting.thin_out() {
        cells.evicted.inc();
    }
    let endpoint = Arc::clone(&socket.endpoint);
    let (bound, context) = (socket.listening.bound().clone(), Arc::clone(context));
    let arrival = Arrival { fd, peer, bound, listener, permit, waiting, endpoint, context };
    if there == here {
        conn::start(arrival);
        return;
    }
    let (name, context) = (arrival.listener.plan.name.clone(), Arc::clone(&arrival.context));
    if context.queues.try_run_on(there, || conn::start(arrival)).is_err() {
        cells.refused.count(Rejection::WorkerBusy);
        context.refusals.connection(&name, peer, Rejection::WorkerBusy, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_files_pauses_and_a_lost_connection_does_not() {
        let judged = |code| judge::<()>(Err(io::Error::from_raw_os_error(code)));
        for code in [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM] {
            assert!(matches!(judged(code), AcceptOutcome::Pause(_)), "{code}");
        }
        for code in [libc::ECONNABORTED, libc::EPROTO, libc::EINTR] {
            assert!(matches!(judged(code), AcceptOutcome::Next), "{code}");
        }
        assert!(matches!(judge(Ok(7)), AcceptOutcome::Take(7)));
    }

    #[test]
    fn the_log_complains_once_per_period() {
        let mut complaints = Complaints::default();
        let start = Moment::from_millis(5);
        assert!(complaints.is_due(start));
        assert!(!complaints.is_due(start.after(EXHAUSTED_LOG_INTERVAL / 2)));
        assert!(complaints.is_due(start.after(EXHAUSTED_LOG_INTERVAL)));
    }
}
