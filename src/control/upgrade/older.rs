//! The processes before this one that have not ended: what they still have, and a word to them.

use std::os::fd::{AsFd, BorrowedFd};

use tokio::sync::oneshot;

use super::predecessor::Predecessor;
use super::state::Known;
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
    /// For writing, and for the process after this one.
    link: Link,
    _ended: oneshot::Sender<()>,
}

impl Older {
    /// Listens to all before this one on this thread, until they end.
    pub(in crate::control) fn listen(handle: &Handle, before: Predecessor) -> Older {
        let mut each = Vec::new();
        for (OlderProcess { pid, sessions }, link) in before.into_older() {
            // Without a copy there is nothing to say it by; it ends all the same.
            let Ok(copy) = link.try_clone() else { continue };
            let Ok(listening) = link.into_async() else { continue };
            handle.upgrades().older().insert(pid, sessions);
            let (ended, ends) = oneshot::channel();
            let handle = handle.clone();
            task::spawn("older", async move {
                tokio::select! {
                    () = follow(&handle, pid, listening) => {}
                    _ = ends => {}
                }
            });
            each.push(OlderLink { pid, link: copy, _ended: ended });
        }
        Older(each)
    }

    /// For the process after this one: those that have not ended.
    pub(super) fn links(&self, known: &Known) -> Vec<(OlderProcess, BorrowedFd<'_>)> {
        let alive = self.0.iter().filter_map(|older| {
            let sessions = *known.get(&older.pid)?;
            Some((OlderProcess { pid: older.pid, sessions }, older.link.as_fd()))
        });
        alive.collect()
    }

    /// Tells all of them to stop.
    pub(in crate::control) fn stop(&self) {
        for older in &self.0 {
            // One that is gone has stopped.
            let _ = older.link.send(&words::line(&New::Stop), &[]);
        }
    }
}

/// Keeps what is known of a process until it ends.
async fn follow(handle: &Handle, pid: u32, mut link: AsyncLink) {
    while let Ok(Some(line)) = link.receive().await {
        match serde_json::from_str(&line) {
            Ok(Old::Left { sessions }) => drop(handle.upgrades().older().insert(pid, sessions)),
            Ok(Old::Reload) => {
                tracing::info!(pid, "reload: asked of an older process");
                let request = ReloadRequest { if_changed: true, ..ReloadRequest::default() };
                handle.reload(request).await;
            }
            // A later version may say more.
            _ => {}
        }
    }
    handle.upgrades().older().remove(&pid);
    tracing::info!(pid, "an older process has ended");
}
