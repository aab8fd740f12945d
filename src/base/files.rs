//! Open files: how many this process may have, and how many it has.

use std::fs;
use std::io;

use rustix::process::{Resource, getrlimit, setrlimit};

/// Raises the limit of open files as far as the system lets this process (`RLIMIT_NOFILE`,
/// getrlimit(2)); the limit before and after.
///
/// # Errors
/// The system's; the limit is as it was.
pub fn raise_limit() -> io::Result<(usize, usize)> {
    let mut limit = getrlimit(Resource::Nofile);
    let before = count(limit.current);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok((before, self::limit()))
}

/// Files that this process may have open at once.
pub fn limit() -> usize {
    count(getrlimit(Resource::Nofile).current)
}

/// Files that it has open. It costs a look at each on systems before Linux 6.2.
///
/// # Errors
/// The system's, where `/proc` is not there.
pub fn open() -> io::Result<usize> {
    // Since Linux 6.2 the directory's size is the count (proc_pid_fd(5)).
    match usize::try_from(fs::metadata("/proc/self/fd")?.len()) {
        Ok(count) if count > 0 => Ok(count),
        // One of them is the directory's own.
        _ => Ok(fs::read_dir("/proc/self/fd")?.count().saturating_sub(1)),
    }
}

fn count(limit: Option<u64>) -> usize {
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_is_counted_and_is_no_more_than_may_be() {
        let before = open().unwrap();
        let more: Vec<_> = (0..8).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        // Other tests open and close files meanwhile; eight more are held for sure.
        assert!(before > 0 && open().unwrap() >= more.len() && open().unwrap() <= limit());
    }
}
