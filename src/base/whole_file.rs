//! Files that are read whole or not at all: written aside, to the disk, then renamed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A file aside that is so old was left by a process that was killed: it is there for seconds. The
/// clock that it is compared with may be another machine's.
const LEFT_AFTER: Duration = Duration::from_secs(60 * 60);

/// What the names of files aside end in: those that are written, and locks of dead holders.
const ASIDE: [&str; 2] = ["new", "dead"];

/// Writes a file with this mode, in place of what was there.
///
/// # Errors
/// The system's; then what was there is there still.
pub fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let aside = aside(path, ASIDE[0]);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&aside)?;
        // The umask has taken from the mode.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)
    })();
    if written.is_err() {
        // What is left of it is of no use.
        let _ = fs::remove_file(&aside);
    }
    written
}

/// Where a file is put that is about to go, so that whoever looks for it finds none.
pub fn aside_as_dead(path: &Path) -> PathBuf {
    aside(path, ASIDE[1])
}

fn aside(path: &Path, end: &str) -> PathBuf {
    path.with_extension(format!("{:08x}.{end}", fastrand::u32(..)))
}

/// Removes from a directory what killed processes have left aside in it; `now` by the wall clock.
pub fn remove_left_aside(directory: &Path, now: SystemTime) {
    // Where there is no directory, or none that can be read, whoever needs it says so.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let written = entry.metadata().and_then(|found| found.modified());
        let age = written.ok().and_then(|written| now.duration_since(written).ok());
        if is_aside(&entry.file_name().to_string_lossy()) && age.is_some_and(|age| age > LEFT_AFTER)
        {
            // Another process that looks removes it as well.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether [`aside`] gives such names.
fn is_aside(name: &str) -> bool {
    let mut parts = name.rsplit('.');
    let is_end = parts.next().is_some_and(|end| ASIDE.contains(&end));
    let is_number = |part: &str| part.len() == 8 && part.bytes().all(|b| b.is_ascii_hexdigit());
    is_end && parts.next().is_some_and(is_number) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    #[test]
    fn what_killed_processes_have_left_aside_goes_once_it_is_old() {
        let dir = tempfile::tempdir().unwrap();
        let dead = aside_as_dead(Path::new("a.example")).display().to_string();
        let (now, names) = (clock::wall(), ["http_x.0123abcd.new", "room+.89abcdef.new", &dead]);
        let others =
            ["http_x", "new", "0123abcd.new", "a.0123abc.new", "a.0123abcd.newer", "a.new"];
        let make = |name: &&str, age: Duration| {
            let file = fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(now - age).unwrap();
        };
        let left = || fs::read_dir(dir.path()).unwrap().count();
        names.iter().for_each(|name| make(name, LEFT_AFTER - Duration::from_secs(60)));
        others.iter().for_each(|name| make(name, 2 * LEFT_AFTER));
        remove_left_aside(dir.path(), now);
        assert_eq!(left(), names.len() + others.len());
        names.iter().for_each(|name| make(name, LEFT_AFTER + Duration::from_secs(60)));
        remove_left_aside(dir.path(), now);
        assert_eq!(left(), others.len());
        remove_left_aside(&dir.path().join("none"), now);
    }

    #[test]
    fn a_file_has_its_mode_and_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file.pem");
        for (text, mode) in [("one", 0o644), ("other", 0o600)] {
            write(&path, text, mode).unwrap();
            let found = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), found), (text, mode));
        }
        // Nothing is left aside, neither then nor where it fails.
        fs::create_dir(dir.path().join("taken")).unwrap();
        write(&dir.path().join("taken"), "text", 0o600).unwrap_err();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }
}
