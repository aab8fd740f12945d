//! The binary's commands: what they print, and their exit codes.

use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

const SITE: &str = "\
[listeners.http]
address = \"127.0.0.1:0\"

[pools.chat]
backends = [\"127.0.0.1:9001\"]

[[routes]]
path = \"^~ /chat\"
pool = \"chat\"

[[routes]]
path = \"~ ^/chat/[0-9]+$\"
respond = \"never\"

[[routes]]
host = \"example.com\"
path = \"= /old\"
redirect = \"/new\"
";

/// A directory with this `tidegate.toml`.
fn dir_with(toml: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("tidegate.toml"), toml).unwrap();
    dir
}

/// Runs the binary in `dir`.
fn tidegate(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let Output { status, stdout, stderr } =
        command.args(words).current_dir(dir).env_remove("TIDEGATE_CONFIG").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn check_reports_on_standard_output_and_by_its_exit_code() {
    let good = dir_with(SITE);
    let (code, out, err) = tidegate(good.path(), &["check"]);
    assert_eq!((code, err.as_str()), (0, "tidegate.toml can be taken\n"));
    assert!(out.contains("can never be taken") && out.contains("tidegate.toml:11"), "{out}");

    let bad = dir_with(&SITE.replace("backends", "bakends"));
    let (code, out, _) = tidegate(bad.path(), &["check"]);
    assert_eq!(code, 3);
    assert!(out.contains("bakends") && out.contains("backends"), "{out}");
    let (code, out, _) = tidegate(bad.path(), &["check", "--format", "json"]);
    assert_eq!(code, 3);
    assert!(out.starts_with("{\n") && out.contains("\"severity\": \"error\""), "{out}");

    let (code, out, err) = tidegate(Path::new("/"), &["check", "--config", "none.toml"]);
    assert_eq!(code, 3);
    assert!(out.contains("none.toml") && err.is_empty(), "{out}{err}");
}

#[test]
fn check_explains_which_route_takes_a_url() {
    let dir = dir_with(SITE);
    let explain = |words: &[&str]| {
        let all = [&["check", "--explain"], words].concat();
        let (code, out, _) = tidegate(dir.path(), &all);
        (code, out)
    };
    let (code, out) = explain(&["https://example.com/chat/7?x=1"]);
    assert_eq!(code, 0);
    assert!(out.starts_with("https://example.com/chat/7?x=1: to pool `chat`\n"), "{out}");
    assert!(out.contains("tidegate.toml:7:1") && out.contains("another path"), "{out}");
    let (code, out) = explain(&["http://EXAMPLE.com./a/../old"]);
    assert_eq!((code, out.contains("307 to `/new`")), (0, true), "{out}");
    let (code, out) = explain(&["http://example.org/old", "--format", "json"]);
    assert_eq!((code, out.contains("\"taken\": null")), (4, true), "{out}");
    assert_eq!(explain(&["not a url"]).0, 2);
}

#[test]
fn what_is_missing_is_said_with_a_hint() {
    let empty = tempfile::tempdir().unwrap();
    let (code, _, err) = tidegate(empty.path(), &["check"]);
    assert_eq!(code, 2);
    assert!(err.contains("--config") && err.contains("config/tidegate.toml"), "{err}");
    let dir = dir_with(SITE);
    let (code, _, err) = tidegate(dir.path(), &["health"]);
    assert_eq!(code, 2);
    assert!(err.contains("[admin]"), "{err}");
    assert_eq!(tidegate(dir.path(), &["chek"]).0, 2);
    let (code, out, _) = tidegate(dir.path(), &["--help"]);
    assert_eq!((code, out.contains("Exit codes:")), (0, true));
}
