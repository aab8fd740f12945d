//! Where a change of a file can be seen: each name on the way to it, in its directory. Files may
//! be there or not.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::config;

/// Symlinks followed from one path, as the kernel does (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Names in one directory whose files, links or directories are of interest.
#[derive(Debug, Default)]
pub(super) struct NamesInDirectory {
    /// As they are.
    exact: HashSet<OsString>,
    /// With a star for any text.
    patterns: HashSet<String>,
    /// Whether a file's own name is among them, not only names on the way to one.
    pub(super) has_files: bool,
}

impl NamesInDirectory {
    /// Whether this name is of interest.
    pub(super) fn contains(&self, name: &OsStr) -> bool {
        let is_named = |name: &str| self.patterns.iter().any(|one| config::is_named(one, name));
        self.exact.contains(name) || name.to_str().is_some_and(is_named)
    }

    fn add(&mut self, name: &OsStr, is_file: bool) {
        self.has_files |= is_file;
        match pattern(name).filter(|_| is_file) {
            Some(pattern) => drop(self.patterns.insert(pattern.to_owned())),
            None => drop(self.exact.insert(name.to_owned())),
        }
    }

    /// Adds all names of another.
    pub(super) fn merge(&mut self, other: NamesInDirectory) {
        self.exact.extend(other.exact);
        self.patterns.extend(other.patterns);
        self.has_files |= other.has_files;
    }
}

/// The directories on the way to some files, with the names that lead further.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<PathBuf, NamesInDirectory>);

impl Places {
    /// The directories, those that are not there among them.
    pub(super) fn into_directories(self) -> impl Iterator<Item = (PathBuf, NamesInDirectory)> {
        self.0.into_iter()
    }

    /// Adds a file, or a pattern of files, and all that leads to it: every directory, and every
    /// symlink with what leads to its target. A directory that is made where none is, one that
    /// another takes the place of, a link that leads elsewhere: each shows in one of them.
    pub(super) fn add(&mut self, file: &Path) {
        let Ok(file) = std::path::absolute(file) else { return };
        let mut directory = PathBuf::from("/");
        // The next is the last.
        let mut ahead: Vec<OsString> = steps(&file);
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            if name == ".." {
                // What `directory` says is free of links, so this is what the kernel does.
                directory.pop();
                continue;
            }
            let is_file = ahead.is_empty();
            let names = self.0.entry(directory.clone()).or_default();
            names.add(&name, is_file);
            if is_file && let Some(pattern) = pattern(&name) {
                return self.add_links(&directory, pattern);
            }
            let path = directory.join(&name);
            let Ok(target) = path.read_link() else {
                // A directory, the file, or nothing yet.
                directory = path;
                continue;
            };
            links += 1;
            if links > LINKS_MAX {
                return;
            }
            if target.is_absolute() {
                directory = PathBuf::from("/");
            }
            ahead.extend(steps(&target));
        }
    }

    /// Adds what those links lead to that have such a name: one that leads nowhere is none of the
    /// files that the pattern finds, and will be when it leads somewhere.
    fn add_links(&mut self, directory: &Path, pattern: &str) {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
            let is_named = |name: &str| config::is_named(pattern, name) && !name.contains('*');
            if is_link && entry.file_name().to_str().is_some_and(is_named) {
                self.add(&entry.path());
            }
        }
    }
}

/// The names in a path, last first, and its steps upwards.
fn steps(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });
    names.rev().collect()
}

/// A name with a star in it.
fn pattern(name: &OsStr) -> Option<&str> {
    name.to_str().filter(|name| name.contains('*'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// The names below `root` that are looked for, each as `directory: name`.
    fn looked_for(root: &Path, files: &[&str]) -> Vec<String> {
        let mut places = Places::default();
        files.iter().for_each(|file| places.add(&root.join(file)));
        let mut found = Vec::new();
        for (directory, names) in places.into_directories() {
            let Ok(below) = directory.strip_prefix(root) else { continue };
            let exact = names.exact.iter().map(|name| name.to_str().unwrap().to_owned());
            let all = exact.chain(names.patterns.iter().cloned());
            found.extend(all.map(|name| format!("{}: {name}", below.display())));
        }
        found.sort();
        found
    }

    #[test]
    fn every_name_on_the_way_is_looked_for_there_or_not() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let found = looked_for(&root, &["a/b/c", "a/../d", "e/*.toml"]);
        assert_eq!(found, [": a", ": d", ": e", "a/b: c", "a: b", "e: *.toml"]);
    }

    #[test]
    fn links_are_followed_as_the_kernel_does() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("real/deep")).unwrap();
        symlink("real/deep", root.join("link")).unwrap();
        symlink("../none/x", root.join("real/deep/x")).unwrap();
        symlink(root.join("real"), root.join("whole")).unwrap();
        symlink("round", root.join("round")).unwrap();
        let found = looked_for(&root, &["link/x"]);
        let through = [": link", ": real", "real/deep: x", "real/none: x", "real: deep"];
        assert_eq!(found, [&through[..], &["real: none"]].concat());
        assert_eq!(
            looked_for(&root, &["link/../y"]),
            [": link", ": real", "real: deep", "real: y"]
        );
        assert_eq!(looked_for(&root, &["whole/y"]), [": real", ": whole", "real: y"]);
        assert_eq!(looked_for(&root, &["round/y"]), [": round"]);
        let by_pattern = looked_for(&root, &["real/deep/*"]);
        assert!(by_pattern.contains(&"real/none: x".to_owned()), "{by_pattern:?}");
    }
}
