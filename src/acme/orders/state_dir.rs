//! The directory of state: how its files are called, and how they are read and written. What is
//! written is written aside and renamed, so that nobody reads half of it.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use http::Uri;

use super::failure_note::FailureNote;
use crate::acme::challenges::is_token;
use crate::base::{clock, whole_file};

/// Bytes of a file that is read.
const FILE_BYTES_MAX: u64 = 256 << 10;

/// Bytes that an order needs in it, and some more: a chain of some certificates and a key.
const ROOM_BYTES: usize = 32 << 10;

/// Files of challenges that are looked at.
const CHALLENGES_MAX: usize = 1024;

/// The state of one authority: those of others stand beside it, so that a certificate for tries is
/// never taken for a real one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StateDir {
    below: PathBuf,
}

/// Tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FileVersion {
    modified: SystemTime,
    bytes: u64,
}

impl StateDir {
    /// The state for the authority with this directory; nothing is made yet.
    pub(super) fn new(state: &Path, directory: &str) -> StateDir {
        StateDir { below: state.join(authority_name(directory)) }
    }

    /// Makes the directories that are missing.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn make(&self) -> io::Result<()> {
        for dir in self.all() {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(())
    }

    fn all(&self) -> [PathBuf; 5] {
        [self.accounts(), self.certificates(), self.challenges(), self.locks(), self.failures()]
    }

    /// Removes what killed processes have left in it.
    pub(super) fn remove_left_aside(&self) {
        self.all().iter().for_each(|dir| whole_file::remove_left_aside(dir, clock::wall()));
    }

    /// Finds out whether there is room to write in it: for a lock, answers and a certificate.
    ///
    /// # Errors
    /// The system's: the directory is full, read-only, or another user's.
    pub(super) fn try_to_write(&self) -> io::Result<()> {
        let path = self.locks().join("room+");
        whole_file::write(&path, &" ".repeat(ROOM_BYTES), 0o600)?;
        match fs::remove_file(&path) {
            // Another instance, which looks for room as well, has removed it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// Whether others than owner and group may look into it.
    pub(super) fn is_open_to_all(&self) -> bool {
        let mode = |path: &Path| fs::metadata(path).map_or(0, |found| found.permissions().mode());
        let state = self.below.parent().unwrap_or(&self.below);
        mode(state) & mode(&self.below) & 0o007 != 0
    }

    fn accounts(&self) -> PathBuf {
        self.below.join("accounts")
    }

    fn certificates(&self) -> PathBuf {
        self.below.join("certificates")
    }

    pub(super) fn challenges(&self) -> PathBuf {
        self.below.join("challenges")
    }

    fn locks(&self) -> PathBuf {
        self.below.join("locks")
    }

    fn failures(&self) -> PathBuf {
        self.below.join("failures")
    }

    /// Notes that an order for this name has failed.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn note_failure(&self, name: &str, note: &FailureNote) -> io::Result<()> {
        write(&self.failures().join(name_word(name)), &note.text())
    }

    /// What is noted of this name; `None` also where it cannot be read.
    pub(super) fn noted_failure(&self, name: &str) -> Option<FailureNote> {
        FailureNote::read(&read(&self.failures().join(name_word(name))).ok()?)
    }

    /// Forgets it.
    pub(super) fn forget_failure(&self, name: &str) {
        // Mostly there is none.
        let _ = fs::remove_file(self.failures().join(name_word(name)));
    }

    /// The account with this contact and external account, of which each has one.
    pub(super) fn account(&self, email: Option<&str>, eab: Option<&str>) -> PathBuf {
        let words = [email.unwrap_or("none"), eab.unwrap_or_default()];
        let words = words.map(file_word);
        let name = words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>();
        self.accounts().join(format!("{}.json", name.join("+")))
    }

    /// The certificate of this name, and its key, in one file.
    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.certificates().join(format!("{}.pem", name_word(name)))
    }

    /// The lock of this name.
    pub(super) fn lock(&self, name: &str) -> PathBuf {
        self.locks().join(name_word(name))
    }

    /// The answer to a question over plain HTTP.
    pub(super) fn token(&self, token: &str) -> PathBuf {
        self.challenges().join(format!("http_{token}"))
    }

    /// The answer to a question over TLS.
    pub(super) fn digest(&self, name: &str) -> PathBuf {
        self.challenges().join(format!("tls_{name}"))
    }

    /// All answers that are there: each with what it is for, and when it was written.
    ///
    /// # Errors
    /// The system's.
    pub(super) fn read_challenges(&self) -> io::Result<Vec<StoredChallenge>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.challenges())?.take(CHALLENGES_MAX) {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let kind = match name.split_once('_') {
                Some(("http", token)) if is_token(token) => ChallengeFor::Token(token.into()),
                Some(("tls", name)) => ChallengeFor::Name(name.into()),
                _ => continue,
            };
            // One that is removed meanwhile is not needed any more.
            if let (Ok(text), Ok(meta)) = (read(&entry.path()), entry.metadata()) {
                found.push(StoredChallenge { kind, text, written: meta.modified()? });
            }
        }
        Ok(found)
    }
}

/// What an answer is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum ChallengeFor {
    /// The token that is asked for over plain HTTP.
    Token(Box<str>),
    /// The name that is asked about over TLS.
    Name(Box<str>),
}

/// An answer in the directory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct StoredChallenge {
    pub(super) kind: ChallengeFor,
    pub(super) text: String,
    pub(super) written: SystemTime,
}

/// A directory's name for the authority with this URL.
fn authority_name(directory: &str) -> String {
    let uri: Uri = directory.parse().unwrap_or_default();
    let place = uri.authority().map_or("", |authority| authority.as_str());
    file_word(&format!("{place}{}", uri.path().trim_end_matches('/')))
}

/// A certificate's name as a file's: no name has a `+`.
fn name_word(name: &str) -> String {
    name.replacen('*', "+", 1)
}

/// Text as a file's name: what is odd becomes `_`.
fn file_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '@');
    text.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// Which version of a file is there; `None` where there is none.
///
/// # Errors
/// The system's.
pub(super) fn version(path: &Path) -> io::Result<Option<FileVersion>> {
    match fs::metadata(path) {
        Ok(found) => {
            let modified = found.modified()?;
            Ok(Some(FileVersion { modified, bytes: found.len() }))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

impl FileVersion {
    /// When it was written, by the clock of who keeps the files.
    pub(super) fn modified(&self) -> SystemTime {
        self.modified
    }
}

/// A file's text.
///
/// # Errors
/// The system's; `InvalidData` where it is no text, or too long.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    match read as u64 > FILE_BYTES_MAX {
        true => Err(io::Error::new(io::ErrorKind::InvalidData, "it is too long")),
        false => Ok(text),
    }
}

/// Writes a file for this user only: aside, to the disk, then in its place.
///
/// # Errors
/// The system's; then what was there is there still.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    whole_file::write(path, text, 0o600)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_authority_has_a_state_of_its_own() {
        let of = |url| authority_name(url);
        assert_eq!(
            of("https://acme-v02.api.letsencrypt.org/directory"),
            "acme-v02.api.letsencrypt.org_directory"
        );
        assert_eq!(of("https://localhost:14000/dir"), "localhost_14000_dir");
        assert_ne!(of("https://a.example/one"), of("https://a.example/two"));
        assert_eq!(of("https://a.example/../../etc"), "a.example_.._.._etc");
    }

    #[test]
    fn names_are_files_in_their_directory() {
        let state = StateDir::new(Path::new("/s"), "https://a.example/d");
        let shown = |path: PathBuf| path.display().to_string();
        assert_eq!(
            shown(state.certificate("*.b.example")),
            "/s/a.example_d/certificates/+.b.example.pem"
        );
        assert_eq!(
            shown(state.account(Some("me@b.example"), Some("../k"))),
            "/s/a.example_d/accounts/me@b.example+.._k.json"
        );
        assert_eq!(shown(state.account(None, None)), "/s/a.example_d/accounts/none.json");
    }

    #[test]
    fn what_is_written_is_for_its_owner_and_replaces_what_was_there() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(&dir.path().join("state"), "https://a.example/d");
        state.make().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join("state")), 0o700);
        assert!(!state.is_open_to_all());
        let path = state.certificate("a.example");
        assert_eq!(version(&path).unwrap(), None);
        write(&path, "one").unwrap();
        write(&path, "other").unwrap();
        assert_eq!((read(&path).unwrap().as_str(), mode(&path)), ("other", 0o600));
        // Nothing is left aside.
        assert_eq!(fs::read_dir(state.certificates()).unwrap().count(), 1);
    }

    #[test]
    fn instances_that_look_for_room_at_once_all_find_it() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path(), "https://a.example/d");
        state.make().unwrap();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..50).for_each(|_| state.try_to_write().unwrap()));
            }
        });
        assert_eq!(fs::read_dir(state.locks()).unwrap().count(), 0);
    }

    #[test]
    fn challenges_are_found_and_odd_files_passed_by() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::new(dir.path(), "https://a.example/d");
        assert!(state.read_challenges().is_err());
        state.make().unwrap();
        write(&state.token("abc-_9"), "abc.key").unwrap();
        write(&state.digest("a.example"), "00ff").unwrap();
        for odd in ["http_a.b", "README", "http_", "dns_a"] {
            fs::write(state.challenges().join(odd), "odd").unwrap();
        }
        fs::write(state.challenges().join("http_binary"), [0xff, 0xfe]).unwrap();
        let mut found = state.read_challenges().unwrap();
        found.sort_by(|one, other| one.text.cmp(&other.text));
        let found: Vec<_> = found.into_iter().map(|one| (one.kind, one.text)).collect();
        assert_eq!(
            found,
            [
                (ChallengeFor::Name("a.example".into()), "00ff".to_owned()),
                (ChallengeFor::Token("abc-_9".into()), "abc.key".to_owned()),
            ]
        );
    }
}
