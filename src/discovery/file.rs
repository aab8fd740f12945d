//! A file of backends: one a line, with `weight=N` or `backup` behind it, and comments behind `#`.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::sleep;

use super::source_answer::SourceAnswer;
use crate::config::backend_address;
use crate::config::plan::{BackendAddress, FoundMember};

/// Bytes of a file at most.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file that has changed is read again after this time: one that changes on is being written.
const WRITING_PAUSE: Duration = Duration::from_millis(50);

/// A file of backends.
pub(super) struct MemberFile {
    path: PathBuf,
    /// What it had last.
    text: Option<String>,
}

impl MemberFile {
    pub(super) fn new(path: PathBuf) -> MemberFile {
        MemberFile { path, text: None }
    }

    /// Reads it.
    pub(super) async fn read(&mut self) -> SourceAnswer {
        match self.members().await {
            Ok(members) => SourceAnswer::Members { members, ttl: Duration::ZERO },
            Err(error) => SourceAnswer::Failed(error),
        }
    }

    async fn members(&mut self) -> Result<Vec<FoundMember>, String> {
        let mut text = text(self.path.clone()).await?;
        if self.text.as_ref().is_some_and(|known| *known != text) {
            sleep(WRITING_PAUSE).await;
            let before = std::mem::replace(&mut text, self::text(self.path.clone()).await?);
            if before != text {
                return Err("the file is being written".to_owned());
            }
        }
        let members = parse_members(&text, self.path.parent().unwrap_or(Path::new("")));
        self.text = Some(text);
        members
    }
}

/// What it has. It is read where waiting for a disk holds nothing else up.
async fn text(path: PathBuf) -> Result<String, String> {
    #[allow(clippy::disallowed_methods)]
    let read = tokio::task::spawn_blocking(move || read(&path)).await;
    read.map_err(|error| error.to_string())?
}

fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("the file cannot be read: {error}");
    // To open a pipe would wait for somebody who writes.
    if !path.metadata().map_err(cannot)?.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let mut text = String::new();
    let read = File::open(path).map_err(cannot)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    match read.map_err(cannot)? as u64 {
        ..=FILE_BYTES_MAX => Ok(text),
        _ => Err(format!("the file has more than {} KiB", FILE_BYTES_MAX >> 10)),
    }
}

/// The members that a file has, here and now.
///
/// # Errors
/// Why it cannot be read, or the first line that is wrong.
pub fn members_of(path: &Path) -> Result<Vec<FoundMember>, String> {
    parse_members(&read(path)?, path.parent().unwrap_or(Path::new("")))
}

/// The members that a file's text has; a unix socket's path is relative to the file's `directory`.
///
/// # Errors
/// The first line that is wrong, and what is wrong with it.
pub fn parse_members(text: &str, directory: &Path) -> Result<Vec<FoundMember>, String> {
    let mut members = Vec::new();
    // Editors of Windows begin a file with a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, line) in text.lines().enumerate() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(address) = words.next() else { continue };
        let wrong = |what: String| format!("line {}: {what}", number + 1);
        let address = match backend_address(address).map_err(wrong)? {
            BackendAddress::Unix(path) => BackendAddress::Unix(directory.join(path)),
            inet => inet,
        };
        let mut member = FoundMember { address, weight: 1, backup: false };
        for word in words {
            match word.strip_prefix("weight=").map(str::parse) {
                Some(Ok(weight @ 1..)) => member.weight = weight,
                None if word == "backup" => member.backup = true,
                _ => return Err(wrong(format!("must be `weight=N` or `backup`, not: `{word}`"))),
            }
        }
        members.push(member);
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_backend_a_line() {
        let text = "# ours\n10.0.0.1:80\n\n app:81 weight=3 backup # old\nunix:a.sock\n";
        let members = parse_members(text, Path::new("/run")).unwrap();
        let marked = parse_members("\u{feff}10.0.0.1:80\r\n", Path::new("")).unwrap();
        assert_eq!(marked[0].address.to_string(), "10.0.0.1:80");
        let seen: Vec<_> =
            members.iter().map(|one| (one.address.to_string(), one.weight, one.backup)).collect();
        let unix = ("unix:/run/a.sock".into(), 1, false);
        assert_eq!(seen, [("10.0.0.1:80".into(), 1, false), ("app:81".into(), 3, true), unix]);
        for (wrong, line) in [("a:1\nb", "line 2"), ("a:1 weight=0", "line 1"), ("a:1 x", "`x`")] {
            let error = parse_members(wrong, Path::new("")).unwrap_err();
            assert!(error.contains(line), "{error}");
        }
    }

    #[test]
    fn a_member_is_written_as_it_is_read() {
        for text in ["10.0.0.1:80 weight=1", "[fd00::1]:80 weight=7 backup"] {
            assert_eq!(parse_members(text, Path::new("")).unwrap()[0].to_string(), text);
        }
    }

    #[test]
    fn what_is_no_regular_file_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| read(path).unwrap_err();
        assert_eq!(error(dir.path()), "it is no regular file");
        assert_eq!(error(Path::new("/dev/zero")), "it is no regular file");
        let file = dir.path().join("members");
        assert!(error(&file).contains("cannot be read"));
        for (bytes, said) in [(vec![b'#'; 2 << 20], "1024 KiB"), (vec![0xff; 9], "cannot be read")]
        {
            std::fs::write(&file, bytes).unwrap();
            assert!(error(&file).contains(said), "{}", error(&file));
        }
    }
}
