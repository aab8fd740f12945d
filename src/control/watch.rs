//! Watches the configuration's files, and asks for a reload when they have changed and are quiet.
//!
//! What is watched is directories: editors and tools replace a file by renaming another over it,
//! and Kubernetes swaps a symlink further up the path.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::handle::Handle;
use crate::admin::ReloadRequest;
use crate::base::task;

/// The longest that quiet is waited for: a directory that is never quiet is read all the same.
pub(super) const QUIET_WAIT_MAX: Duration = Duration::from_secs(60);

/// Symlinks followed from one path, as the kernel does.
const LINKS_MAX: usize = 40;

/// A watch; its drop ends it.
pub(super) struct Watch {
    watcher: RecommendedWatcher,
    places: BTreeSet<PathBuf>,
    quiet: Duration,
    _ended: oneshot::Sender<()>,
}

impl Watch {
    /// Watches these files.
    pub(super) fn start(
        handle: Handle,
        quiet: Duration,
        files: impl Iterator<Item = PathBuf>,
    ) -> notify::Result<Watch> {
        let changed = Arc::new(Notify::new());
        let seen = Arc::clone(&changed);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error says that events were lost: as good as a change.
            if event.map_or(true, |event| is_change(event.kind)) {
                seen.notify_one();
            }
        })?;
        let (ended, ends) = oneshot::channel();
        task::spawn("watch", async move {
            tokio::select! {
                () = reload_when_quiet(&handle, &changed, quiet) => {}
                _ = ends => {}
            }
        });
        let mut watch = Watch { watcher, places: BTreeSet::new(), quiet, _ended: ended };
        watch.look_at(files);
        Ok(watch)
    }

    /// How long files must be quiet.
    pub(super) fn quiet(&self) -> Duration {
        self.quiet
    }

    /// Watches these files and no others from now on.
    pub(super) fn look_at(&mut self, files: impl Iterator<Item = PathBuf>) {
        let mut places = BTreeSet::new();
        files.for_each(|file| add_places(&file, &mut places));
        for gone in self.places.difference(&places) {
            // A directory that was removed is watched no more already.
            let _ = self.watcher.unwatch(gone);
        }
        // One that was removed and made anew must be watched anew, so none is passed over.
        places.retain(|place| {
            let watched = self.watcher.watch(place, RecursiveMode::NonRecursive);
            watched
                .inspect_err(|error| tracing::warn!(%error, ?place, "a directory is not watched"))
                .is_ok()
        });
        self.places = places;
    }
}

async fn reload_when_quiet(handle: &Handle, changed: &Notify, quiet: Duration) {
    loop {
        changed.notified().await;
        let quiet_again = async { while timeout(quiet, changed.notified()).await.is_ok() {} };
        // Never quiet: read it as it is.
        let _ = timeout(QUIET_WAIT_MAX, quiet_again).await;
        handle.reload(ReloadRequest { if_changed: true, ..ReloadRequest::default() }).await;
    }
}

/// Whether an event can have changed what a file says; reading one is an event as well.
fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

/// Adds the directories in which something changes when the file's content does: its own, and that
/// of every symlink on the way to it.
fn add_places(file: &Path, places: &mut BTreeSet<PathBuf>) {
    let Ok(file) = std::path::absolute(file) else { return };
    let mut paths = vec![file];
    for _ in 0..LINKS_MAX {
        let Some(path) = paths.pop() else { return };
        places.extend(path.parent().map(Path::to_owned));
        for part in path.ancestors() {
            let (Ok(target), Some(parent)) = (part.read_link(), part.parent()) else { continue };
            places.insert(parent.to_owned());
            // What follows the link on the path follows its target.
            let rest = path.strip_prefix(part).unwrap_or(Path::new(""));
            paths.push(parent.join(target).join(rest));
            break;
        }
    }
}
