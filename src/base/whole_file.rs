//! Files that are read whole or not at all: written aside, to the disk, then renamed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Writes a file with this mode, in place of what was there.
///
/// # Errors
/// The system's; then what was there is there still.
pub fn write(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let aside = path.with_extension(format!("{:08x}.new", fastrand::u32(..)));
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

#[cfg(test)]
mod tests {
    use super::*;

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
