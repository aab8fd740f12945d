//! One instance of several orders for a name: the one whose file is there. It refreshes the file
//! while it is at it; one that is refreshed no more is a dead instance's, and is taken over.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::state_dir::{FileVersion, read, version};
use crate::base::clock::Moment;
use crate::base::whole_file;

/// How often its holder refreshes a lock.
pub(super) const REFRESH_EVERY: Duration = Duration::from_secs(10);

/// A lock that was not refreshed for so long while one looked is a dead holder's. Clocks are not
/// compared: the file may be kept by another machine.
pub(super) const STALE_AFTER: Duration = Duration::from_secs(60);

/// One that is so old by both clocks was left by a process that ended long ago.
pub(super) const LONG_AGO: Duration = Duration::from_secs(10 * 60);

/// A lock that another holds, as it was seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SeenLock {
    version: FileVersion,
    owner: String,
    since: Moment,
}

/// What came of an attempt.
#[derive(Debug)]
pub(super) enum LockAttempt {
    /// It is ours.
    Taken(NameLock),
    /// It is another's; to be shown to the next attempt.
    Held(SeenLock),
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub(super) struct NameLock {
    path: PathBuf,
    owner: String,
}

impl NameLock {
    /// Takes the lock of this file, from a dead holder too; `seen` is how the last attempt found
    /// it, and `long_ago` how old it is by both clocks when it need not be looked at for longer.
    ///
    /// # Errors
    /// The system's: the directory is full, or read-only, or not there.
    pub(super) fn attempt(
        path: &Path,
        seen: Option<&SeenLock>,
        long_ago: Duration,
        (now, wall): (Moment, SystemTime),
    ) -> io::Result<LockAttempt> {
        let owner = format!("{} {:016x}\n", std::process::id(), fastrand::u64(..));
        if create(path, &owner)? {
            return Ok(LockAttempt::Taken(NameLock { path: path.to_owned(), owner }));
        }
        let Some(present) = look(path, now)? else {
            // It was given back just now.
            let again = create(path, &owner)?;
            let lock = again.then(|| NameLock { path: path.to_owned(), owner });
            return match (lock, look(path, now)?) {
                (Some(lock), _) => Ok(LockAttempt::Taken(lock)),
                (None, Some(seen)) => Ok(LockAttempt::Held(seen)),
                (None, None) => Err(io::ErrorKind::ResourceBusy.into()),
            };
        };
        let is_same =
            |seen: &&SeenLock| seen.version == present.version && seen.owner == present.owner;
        let seen = seen.filter(is_same).cloned().unwrap_or(present);
        let is_stale = now.since(seen.since) >= STALE_AFTER;
        let age = wall.duration_since(seen.version.modified()).unwrap_or_default();
        if !is_stale && age < long_ago {
            return Ok(LockAttempt::Held(seen));
        }
        remove_dead(path, &seen)?;
        match create(path, &owner)? {
            true => Ok(LockAttempt::Taken(NameLock { path: path.to_owned(), owner })),
            false => Ok(LockAttempt::Held(SeenLock { since: now, ..seen })),
        }
    }

    /// Shows others that its holder lives.
    ///
    /// # Errors
    /// The system's; `NotFound` where another has taken it over.
    pub(super) fn refresh(&self, wall: SystemTime) -> io::Result<()> {
        if read(&self.path)? != self.owner {
            return Err(io::ErrorKind::NotFound.into());
        }
        File::options().write(true).open(&self.path)?.set_modified(wall)
    }
}

impl Drop for NameLock {
    fn drop(&mut self) {
        // Where another has taken it over it is theirs.
        if read(&self.path).is_ok_and(|owner| owner == self.owner) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl SeenLock {
    /// The process that holds it, as its machine numbers it.
    pub(super) fn owner(&self) -> &str {
        self.owner.split_whitespace().next().unwrap_or("?")
    }
}

/// Whether the file was made now; false where there is one.
fn create(path: &Path, owner: &str) -> io::Result<bool> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => match file.write_all(owner.as_bytes()) {
            Ok(()) => Ok(true),
            Err(error) => {
                // On a full disk there is room for a name, and for nothing in it.
                let _ = fs::remove_file(path);
                Err(error)
            }
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn look(path: &Path, now: Moment) -> io::Result<Option<SeenLock>> {
    let Some(version) = version(path)? else { return Ok(None) };
    match read(path) {
        Ok(owner) => Ok(Some(SeenLock { version, owner, since: now })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        // Garbage is nobody's; it is taken over like any other that nobody refreshes.
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Ok(Some(SeenLock { version, owner: String::new(), since: now }))
        }
        Err(error) => Err(error),
    }
}

/// Removes a dead holder's file. Two that find it dead do not both have it: it is moved aside, and
/// whoever finds that it has moved another file puts it back.
fn remove_dead(path: &Path, seen: &SeenLock) -> io::Result<()> {
    let aside = whole_file::aside_as_dead(path);
    match fs::rename(path, &aside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        renamed => renamed?,
    }
    let is_dead = read(&aside).unwrap_or_default() == seen.owner;
    if !is_dead {
        // It fails where a third has made one meanwhile, whose it is then.
        let _ = fs::hard_link(&aside, path);
    }
    fs::remove_file(&aside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    fn attempt(path: &Path, seen: Option<&SeenLock>, seconds: u64) -> LockAttempt {
        NameLock::attempt(path, seen, LONG_AGO, (at(seconds), clock::wall())).unwrap()
    }

    fn held(attempt: LockAttempt) -> SeenLock {
        match attempt {
            LockAttempt::Held(seen) => seen,
            LockAttempt::Taken(_) => panic!("it was free"),
        }
    }

    #[test]
    fn one_of_two_has_it_until_it_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.example");
        let LockAttempt::Taken(lock) = attempt(&path, None, 0) else { panic!("it is free") };
        let seen = held(attempt(&path, None, 1));
        assert_eq!(seen.owner(), std::process::id().to_string());
        held(attempt(&path, Some(&seen), 60));
        drop(lock);
        assert!(matches!(attempt(&path, Some(&seen), 2), LockAttempt::Taken(_)));
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_holder_s_is_taken_over_and_one_that_is_refreshed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.example");
        let LockAttempt::Taken(lock) = attempt(&path, None, 0) else { panic!("it is free") };
        let seen = held(attempt(&path, None, 1));
        lock.refresh(clock::wall() + Duration::from_secs(5)).unwrap();
        // It has changed since.
        let seen = held(attempt(&path, Some(&seen), 100));
        std::mem::forget(lock);
        let seen = held(attempt(&path, Some(&seen), 159));
        let LockAttempt::Taken(_second) = attempt(&path, Some(&seen), 160) else {
            panic!("nobody has refreshed it for a minute")
        };
    }

    #[test]
    fn who_was_taken_for_dead_finds_out_and_leaves_the_other_s_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.example");
        let LockAttempt::Taken(first) = attempt(&path, None, 0) else { panic!("it is free") };
        let seen = held(attempt(&path, None, 0));
        let LockAttempt::Taken(second) = attempt(&path, Some(&seen), 61) else {
            panic!("it is old")
        };
        assert_eq!(first.refresh(clock::wall()).unwrap_err().kind(), io::ErrorKind::NotFound);
        drop(first);
        second.refresh(clock::wall()).unwrap();
    }

    #[test]
    fn one_that_was_left_long_ago_and_garbage_are_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.example");
        fs::write(&path, [0xff; 100]).unwrap();
        let seen = held(attempt(&path, None, 0));
        let long_after = clock::wall() + LONG_AGO;
        let now = (at(1), long_after);
        let taken = NameLock::attempt(&path, Some(&seen), LONG_AGO, now).unwrap();
        assert!(matches!(taken, LockAttempt::Taken(_)), "{taken:?}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left aside");
    }

    #[test]
    fn without_a_directory_there_is_no_lock() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("none/a.example");
        let now = (at(0), clock::wall());
        let error = NameLock::attempt(&path, None, LONG_AGO, now).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
