//! Which binary an upgrade starts.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// This process's own program, as it was started: once its file is replaced, `/proc/self/exe` names
/// the old one, and where the path leads over a symlink it never named the link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Where it was, absolute; what is there by the time of an upgrade is started.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// Looks for it. To be called at the start, while its file is what runs.
    ///
    /// # Errors
    /// The system's.
    pub fn this() -> io::Result<Program> {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        let executable = env::current_exe()?;
        let path = as_started(Path::new(&name), &executable).unwrap_or(executable);
        Ok(Program { path, arguments: arguments.collect() })
    }
}

/// The path by which `name` was started, if it leads to `executable`.
fn as_started(name: &Path, executable: &Path) -> Option<PathBuf> {
    let runs = fs::metadata(executable).ok()?;
    let is_it = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| {
            (found.dev(), found.ino()) == (runs.dev(), runs.ino()) && found.is_file()
        })
    };
    let candidates: Vec<PathBuf> = match name.components().count() {
        0 => Vec::new(),
        1 if !name.has_root() => {
            let path = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&path).map(|dir| dir.join(name)).collect()
        }
        _ => vec![name.to_owned()],
    };
    let mut absolute = candidates.iter().filter_map(|path| std::path::absolute(path).ok());
    absolute.find(is_it)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_symlink_is_followed_anew_by_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let (first, link) = (dir.path().join("1"), dir.path().join("current"));
        fs::write(&first, "").unwrap();
        symlink(&first, &link).unwrap();
        assert_eq!(as_started(&link, &first), Some(link));
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        fs::write(&one, "").unwrap();
        fs::write(&other, "").unwrap();
        assert_eq!(as_started(&one, &other), None);
        assert_eq!(as_started(Path::new(""), &other), None);
        assert_eq!(as_started(Path::new("no such program"), &other), None);
    }
}
