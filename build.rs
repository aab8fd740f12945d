//! Tells the program which commit it is built from; `tidegate --version` says it.

use std::path::{Path, PathBuf};
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A package's build names the commit itself, where there is no checkout.
    println!("cargo::rerun-if-env-changed=TIDEGATE_COMMIT");
    if std::env::var_os("TIDEGATE_COMMIT").is_some() {
        return;
    }
    let root = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    // This source's own, and not that of a repository that a tarball was unpacked in.
    if !root.join(".git").exists() {
        return;
    }
    let Some(commit) = git(&root, &["rev-parse", "--short=12", "HEAD"]) else { return };
    if std::env::var_os("PROFILE").is_none_or(|profile| profile != "release") {
        // To look again at each commit would build the whole crate anew for it.
        println!("cargo::rustc-env=TIDEGATE_COMMIT={commit} or one near it (debug build)");
        return;
    }
    println!("cargo::rustc-env=TIDEGATE_COMMIT={commit}");
    // It is another file for each commit; a file that is not there would build anew each time.
    let log = git(&root, &["rev-parse", "--git-path", "logs/HEAD"]);
    if let Some(log) = log.filter(|log| root.join(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
}

/// What git answers; `None` where there is no git, or it does not answer.
fn git(root: &Path, words: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(words).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    let answer = answer.trim();
    (output.status.success() && !answer.is_empty()).then(|| answer.to_owned())
}
