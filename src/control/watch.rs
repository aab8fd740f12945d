//! Watches the configuration's files, and asks for a reload when they have changed and are quiet.
//!
//! What is watched is names in directories: editors and tools replace a file by renaming another
//! over it, Kubernetes exchanges a symlink further up the path, and what a configuration names may
//! not be there yet. After each attempt to reload the watch is renewed, for a directory may be
//! another one by then.

mod places;

use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use super::handle::Handle;
use crate::admin::ReloadRequest;
use crate::base::task;
use places::{NamesInDirectory, Places};

/// The longest that quiet is waited for: files that are never quiet are read all the same.
pub(super) const QUIET_WAIT_MAX: Duration = Duration::from_secs(60);

/// Bytes of events that are read at once: a hundred at least.
const EVENTS_BYTES: usize = 4096;

/// What the kernel calls an event of a directory's own end: where it was, another may be.
const OWN_END: ReadFlags = ReadFlags::DELETE_SELF
    .union(ReadFlags::MOVE_SELF)
    .union(ReadFlags::UNMOUNT)
    .union(ReadFlags::IGNORED);

/// All that can change what a file says, or whether it can be read.
fn events() -> WatchFlags {
    WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::MOVE
        | WatchFlags::MODIFY
        | WatchFlags::CLOSE_WRITE
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR
}

/// A watch; its drop ends it.
pub(super) struct Watch {
    directories: Rc<Directories>,
    quiet: Duration,
    _ended: oneshot::Sender<()>,
}

impl Watch {
    /// Watches these files, or patterns of files. Where one changed since it was read, this is seen
    /// as a change after the start.
    pub(super) fn start<'a>(
        handle: Handle,
        quiet: Duration,
        files: impl Iterator<Item = &'a Path>,
    ) -> std::io::Result<Watch> {
        let directories = Rc::new(Directories::new()?);
        let (ended, ends) = oneshot::channel();
        let seen = Rc::clone(&directories);
        task::spawn("watch", async move {
            tokio::select! {
                () = reload_when_quiet(&handle, &seen, quiet) => {}
                _ = ends => {}
            }
        });
        let watch = Watch { directories, quiet, _ended: ended };
        watch.renew(files);
        Ok(watch)
    }

    /// How long files must be quiet.
    pub(super) fn quiet(&self) -> Duration {
        self.quiet
    }

    /// Watches these files and no others from now on, where they are now.
    pub(super) fn renew<'a>(&self, files: impl Iterator<Item = &'a Path>) {
        let mut places = Places::default();
        files.for_each(|file| places.add(file));
        self.directories.watch(places);
    }
}

async fn reload_when_quiet(handle: &Handle, directories: &Directories, quiet: Duration) {
    loop {
        directories.changed().await;
        let quiet_again = async { while timeout(quiet, directories.changed()).await.is_ok() {} };
        // Never quiet: read it as it is.
        let _ = timeout(QUIET_WAIT_MAX, quiet_again).await;
        handle.reload(ReloadRequest { if_changed: true, ..ReloadRequest::default() }).await;
    }
}

/// The directories watched.
struct Directories {
    kernel: AsyncFd<OwnedFd>,
    /// By the kernel's number of the watch, which is the directory's own: another one in its place
    /// has another number.
    watched: RefCell<HashMap<i32, NamesInDirectory>>,
    /// A directory was not watched as its files were read.
    found: Notify,
}

impl Directories {
    fn new() -> std::io::Result<Directories> {
        let kernel = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        // SAFETY: the `AsyncFd` owns the descriptor, which stays open and the same until its drop.
        let kernel = unsafe { AsyncFd::register_with_interest(kernel, Interest::READABLE)? };
        Ok(Directories { kernel, watched: RefCell::default(), found: Notify::new() })
    }

    fn watch(&self, places: Places) {
        let mut watched: HashMap<i32, NamesInDirectory> = HashMap::new();
        for (directory, names) in places.into_directories() {
            match inotify::add_watch(self.kernel.get_ref(), &directory, events()) {
                Ok(number) => watched.entry(number).or_default().merge(names),
                // It shows in the directory above when it is there.
                Err(Errno::NOENT | Errno::NOTDIR) => {}
                // One on the way that may not be read is hardly exchanged by who may not either.
                Err(Errno::ACCESS) if !names.has_files => {}
                Err(error) => tracing::warn!(%error, ?directory, "a directory is not watched"),
            }
        }
        let before = self.watched.replace(watched);
        let watched = self.watched.borrow();
        for gone in before.keys().filter(|number| !watched.contains_key(number)) {
            // Of a directory that was removed the kernel has ended it.
            let _ = inotify::remove_watch(self.kernel.get_ref(), *gone);
        }
        if watched.keys().any(|number| !before.contains_key(number)) {
            // What changed in it before it was watched was not seen.
            self.found.notify_one();
        }
    }

    /// Waits for a change.
    async fn changed(&self) {
        tokio::select! {
            () = self.found.notified() => {}
            () = self.event() => {}
        }
    }

    async fn event(&self) {
        // An error is that of a runtime that ends.
        while let Ok(mut ready) = self.kernel.readable().await {
            match self.read_events() {
                Ok(true) => return,
                Ok(false) => {}
                // All were read.
                Err(_) => ready.clear_ready(),
            }
        }
        std::future::pending::<()>().await;
    }

    /// Reads some of the events there are; whether one of them is a change.
    fn read_events(&self) -> rustix::io::Result<bool> {
        let watched = self.watched.borrow();
        let mut buffer = [MaybeUninit::uninit(); EVENTS_BYTES];
        let mut reader = Reader::new(self.kernel.get_ref(), &mut buffer);
        let mut is_change = false;
        loop {
            let event = reader.next()?;
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            // Events that were lost may have been any.
            is_change |= event.events().contains(ReadFlags::QUEUE_OVERFLOW)
                || watched.get(&event.wd()).is_some_and(|names| {
                    event.events().intersects(OWN_END)
                        || name.is_some_and(|name| names.contains(name))
                });
            if reader.is_buffer_empty() {
                return Ok(is_change);
            }
        }
    }
}
