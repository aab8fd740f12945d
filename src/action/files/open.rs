//! Opening a file so that nothing outside its root, and nothing but a file, is opened.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, openat, statat};
use rustix::io::Errno;

use crate::wire::content_coding::ContentCoding;

/// What a name stands for.
pub(super) enum DirEntry {
    /// A regular file, open.
    File(RegularFile),
    /// A directory.
    Directory,
}

/// A regular file that is open.
pub(super) struct RegularFile {
    pub(super) file: File,
    pub(super) metadata: Metadata,
    /// How it is compressed.
    pub(super) coding: Option<ContentCoding>,
}

/// Opens what [`open`] does; of a file the first that is compressed beside it, by these codings in
/// this order, and is not older.
///
/// # Errors
/// As [`open`].
pub(super) fn open_coded(
    root: &Path,
    name: &Path,
    codings: &[ContentCoding],
) -> io::Result<DirEntry> {
    let opened = open(root, name)?;
    let DirEntry::File(plain) = &opened else { return Ok(opened) };
    for coding in codings {
        let mut beside = name.as_os_str().to_owned();
        beside.push(".");
        beside.push(coding.ending());
        if let Ok(DirEntry::File(coded)) = open(root, Path::new(&beside))
            && coded.metadata.modified().ok() >= plain.metadata.modified().ok()
        {
            return Ok(DirEntry::File(RegularFile { coding: Some(*coding), ..coded }));
        }
    }
    Ok(opened)
}

/// Opens what has this relative name below `root`. Links are followed first, in names alone; what
/// they lead to must be below `root`, which may itself be one. Then the way is walked from `root`
/// down without following any, so that one made meanwhile leads nowhere. May block, on the file
/// system's own account only: neither a FIFO nor a device is opened.
///
/// # Errors
/// The system's; what [`is_absence`] holds for is as good as not there.
pub(super) fn open(root: &Path, name: &Path) -> io::Result<DirEntry> {
    let root = fs::canonicalize(root)?;
    let real = fs::canonicalize(root.join(name))?;
    let outside = || io::Error::from(io::ErrorKind::NotFound);
    let below = real.strip_prefix(&root).map_err(|_| outside())?;
    let is_slash_at_end = name.as_os_str().as_encoded_bytes().ends_with(b"/");
    let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut dir: OwnedFd = rustix::fs::open(&root, flags, Mode::empty())?;
    let mut components = below.components().peekable();
    while let Some(component) = components.next() {
        let Component::Normal(name) = component else { return Err(outside()) };
        if components.peek().is_none() && !is_slash_at_end {
            return open_in(&dir, name.as_ref());
        }
        dir = openat(&dir, name, flags | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(DirEntry::Directory)
}

fn open_in(dir: impl AsFd, name: &Path) -> io::Result<DirEntry> {
    let kind = |mode| FileType::from_raw_mode(mode);
    match kind(statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Ok(DirEntry::Directory),
        _ => return Err(io::ErrorKind::NotFound.into()),
    }
    // Were it replaced by a FIFO meanwhile, opening it would not wait for a writer.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&dir, name, flags, Mode::empty())?);
    let metadata = file.metadata()?;
    match metadata.is_file() {
        true => Ok(DirEntry::File(RegularFile { file, metadata, coding: None })),
        false => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Whether an error says that there is nothing; what may not be read is not shown to exist.
pub(super) fn is_absence(error: &io::Error) -> bool {
    let by_number = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(by_number, Some(Errno::LOOP | Errno::NXIO))
        || matches!(
            error.kind(),
            io::ErrorKind::NotFound
                | io::ErrorKind::PermissionDenied
                | io::ErrorKind::NotADirectory
                | io::ErrorKind::InvalidFilename
                | io::ErrorKind::InvalidInput
        )
}
