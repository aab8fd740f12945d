//! The processes before this one that have not ended: what they still have, and words to them.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::peer::{Peer, WaitingWord};
use super::pieces;
use super::predecessor::Predecessor;
use super::state::{Known, KnownProcess};
use super::words::{self, New, Old, OlderProcess};
use crate::admin::ReloadRequest;
use crate::base::link::{AsyncLink, Link};
use crate::base::task;
use crate::control::handle::Handle;

/// The links to them. Its drop leaves them to another process.
#[derive(Default)]
pub(in crate::control) struct Older(Vec<OlderLink>);

struct OlderLink {
    pid: u32,
    /// For the process after this one.
    link: Link,
    peer: Arc<Peer>,
    _ended: oneshot::Sender<()>,
}

impl Older {
    /// Listens to all before this one on this thread, until they end.
    pub(in crate::control) fn listen(handle: &Handle, before: Predecessor) -> Older {
        let each = before.into_older().into_iter();
        Older(each.filter_map(|(known, link)| listen(handle, known, link).ok()).collect())
    }

    /// For the process after this one: those that have not ended.
    pub(super) fn links(&self, known: &Known) -> Vec<(OlderProcess, BorrowedFd<'_>)> {
        let alive = self.0.iter().filter_map(|OlderLink { pid, link, peer, .. }| {
            let (pid, sessions) = (*pid, known.get(pid)?.sessions);
            let commands = peer.takes_commands();
            Some((OlderProcess { pid, sessions, commands }, link.as_fd()))
        });
        alive.collect()
    }

    /// Tells all of them to stop: their drains shall begin after this time, and may take so long.
    pub(in crate::control) fn stop(&self, after: Duration, within: Duration) {
        self.0.iter().for_each(|older| older.peer.stop(after, within));
    }

    /// Waits until they were told what was to be said to them: this process may end sooner.
    pub(in crate::control) async fn are_told(&self) {
        let told = async {
            while self.0.iter().any(|older| !older.peer.is_told()) {
                sleep(TELL_INTERVAL).await;
            }
        };
        let _ = timeout(TELL_TIMEOUT, told).await;
    }
}

/// How often it is looked whether older processes were told, and for how long at most: one that
/// does not read cannot be.
const TELL_INTERVAL: Duration = Duration::from_millis(2);
const TELL_TIMEOUT: Duration = Duration::from_millis(500);

/// Listens to one. Where the system gives no descriptor for it, it cannot be spoken to, and ends
/// all the same.
fn listen(handle: &Handle, known: OlderProcess, link: Link) -> std::io::Result<OlderLink> {
    let OlderProcess { pid, sessions, commands } = known;
    let writing = link.try_clone()?.into_async()?;
    let copy = link.try_clone()?;
    let reading = link.into_async()?;
    // Apart from those of another process that asks it.
    let asked = u64::from(std::process::id()) << u32::BITS;
    let (peer, words) = Peer::new(commands, asked);
    let known = KnownProcess { sessions, peer: Arc::clone(&peer) };
    handle.upgrades().older().insert(pid, known);
    let (ended, ends) = oneshot::channel();
    let (handle, listening) = (handle.clone(), Arc::clone(&peer));
    task::spawn("older", async move {
        tokio::select! {
            () = follow(&handle, pid, &listening, reading) => {}
            // Apart from reading: neither process waits for the other to read.
            () = write(words, writing) => {}
            _ = ends => {}
        }
    });
    Ok(OlderLink { pid, link: copy, peer, _ended: ended })
}

/// Keeps what is known of a process until it ends.
async fn follow(handle: &Handle, pid: u32, peer: &Arc<Peer>, mut link: AsyncLink) {
    while let Ok(Some(line)) = link.receive().await {
        peer.on_word();
        match serde_json::from_str(&line) {
            Ok(Old::Left { sessions }) => {
                let known = KnownProcess { sessions: Some(sessions), peer: Arc::clone(peer) };
                handle.upgrades().older().insert(pid, known);
            }
            Ok(Old::Answer { number, piece, status }) => peer.on_answer(number, &piece, status),
            Ok(Old::Reload) => {
                tracing::info!(older_pid = pid, "reload: asked of an older process");
                let request = ReloadRequest { if_changed: true, ..ReloadRequest::default() };
                // Apart: its answers are read meanwhile.
                let handle = handle.clone();
                task::spawn("reload", async move { drop(handle.reload(request).await) });
            }
            // A later version may say more.
            _ => {}
        }
    }
    handle.upgrades().older().remove(&pid);
    peer.on_end();
    tracing::info!(older_pid = pid, "an older process has ended");
}

/// Writes words to a process until it ends.
async fn write(mut words: mpsc::Receiver<WaitingWord>, link: AsyncLink) {
    'words: while let Some(WaitingWord { word, .. }) = words.recv().await {
        let pieces = match word {
            New::Ask { number, question, .. } => pieces::question(number, question),
            word => vec![word],
        };
        for piece in pieces {
            if link.send(&words::line(&piece), &[]).await.is_err() {
                break 'words;
            }
        }
    }
    // Its end is read as well.
    std::future::pending::<()>().await;
}
