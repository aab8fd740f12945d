//! The binary's commands: what they print, and their exit codes.

mod checking;
mod demo;
mod judged;
mod labels;
mod moving;
mod pushing;
mod reaching;
mod rechecking;
mod tailing;
mod waiting;
mod watching;

use std::io::{BufRead, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use crate::actors::{Backend, Certificates, Client, Ending, Session, free, until};

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

fn command(dir: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    command.args(words).current_dir(dir);
    command.env_remove("TIDEGATE_CONFIG").env_remove("TIDEGATE_CONTROL");
    command
}

/// Runs the binary in `dir`.
fn tidegate(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(dir, words).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Runs the binary while the backends and clients of this thread go on.
pub async fn meanwhile(dir: &Path, words: &[&str]) -> (i32, String, String) {
    let mut command = command(dir, words);
    let Output { status, stdout, stderr } =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
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
    let (code, long, _) = tidegate(dir.path(), &["--version"]);
    let lines = ["\nfeatures: ", "\nallocator: ", "\nTLS: "].map(|line| long.contains(line));
    assert_eq!((code, lines), (0, [true; 3]), "{long}");
    assert!(long.contains("\ncommit: "), "{long}");
    assert_eq!(tidegate(dir.path(), &["version"]).1, long);
    assert_eq!(tidegate(dir.path(), &["help", "drain"]).0, 0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let dir = dir_with(SITE);
    // Each prints more than a pipe holds, or nothing that anybody reads.
    for words in [&["reference"][..], &["completions", "zsh"], &["man"], &["check", "--json"]] {
        let mut command = command(dir.path(), words);
        let mut running =
            Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
        drop(running.0.stdout.take());
        let (code, said) = running.end();
        assert_eq!(code, Some(0), "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{words:?}: {said}");
    }
}

/// A running binary; killed if its test fails.
struct Running(Child);

impl Running {
    fn start(dir: &Path, words: &[&str]) -> Running {
        let mut command = command(dir, words);
        Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: kill(2) takes no pointer; the child is ours and not waited for.
        assert_eq!(unsafe { libc::kill(self.0.id() as i32, signal) }, 0);
    }

    /// Waits for its end; gives its exit code and what it said on standard error.
    fn end(mut self) -> (Option<i32>, String) {
        let mut said = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.0.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless its test failed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_running_proxy_is_asked_reloaded_and_stopped() {
    let backend = Backend::echo("a").await;
    let (address, admin) = (free(), free());
    let toml = |more: &str| {
        format!(
            "[listeners.http]\naddress = \"{address}\"\n[admin]\naddress = \"{admin}\"\n\
             [control]\nsocket = \"control.sock\"\n\
             [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
             [pools.chat]\nbackends = [\"{}\"]\n\
             [[routes]]\npath = \"/chat\"\npool = \"chat\"\n{more}",
            backend.address()
        )
    };
    let dir = dir_with(&toml(""));
    let running = Running::start(dir.path(), &["run"]);
    until("a healthy proxy", || tidegate(dir.path(), &["health"]).0 == 0).await;
    let mut session = Client::to(address).path("/chat").open().await;
    session.echo("hello").await;

    let write = |text: &str| std::fs::write(dir.path().join("tidegate.toml"), text).unwrap();
    let reload = |words: &[&str]| tidegate(dir.path(), &[&["reload"], words].concat());
    write(&toml("[[routes]]\npath = \"/new\"\nrespond = \"new\"\n"));
    let (code, out, err) = reload(&["--dry-run"]);
    assert_eq!((code, out.contains("would be taken")), (0, true), "{out}{err}");
    let (code, out, err) = reload(&[]);
    assert_eq!((code, out.contains("generation 2 is in force")), (0, true), "{out}{err}");
    write(&toml("").replace("/chat", "/talk"));
    let (code, _, err) = reload(&[]);
    assert_eq!((code, err.contains("drain_max")), (4, true), "{err}");
    session.echo("still here").await;
    let (code, out, err) = reload(&["--force"]);
    assert_eq!((code, out.contains("sessions drained: 1 of 1")), (0, true), "{out}{err}");
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    write(&toml("colour = 1\n"));
    let (code, out, err) = reload(&[]);
    assert_eq!((code, out.is_empty(), err.contains("colour")), (3, true, true), "{out}{err}");
    let (code, _, err) = reload(&["--socket", "control.sock"]);
    assert_eq!((code, err.contains("colour")), (3, true), "{err}");

    let session = Client::to(address).path("/talk").open().await;
    running.signal(libc::SIGTERM);
    assert!(matches!(session.ending().await, Ending::Close(1012, _)));
    // On another thread: the backend answers its Close on this one.
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(reload(&["--socket", "control.sock"]).0, 1);
}

/// Lists two sessions, of `/chat` and `/talk`, that had a message each; the id of the first.
fn listed_id(dir: &Path) -> String {
    let (code, out, err) = tidegate(dir, &["sessions", "--route", "/chat"]);
    assert_eq!((code, err.as_str()), (0, "listed: 1 of 1 matched, 2 live\n"), "{out}");
    assert_eq!(out.lines().count(), 2, "{out}");
    for column in ["MESSAGES", "BYTES", "RTT", "PATH"] {
        assert!(out.lines().next().unwrap().contains(column), "{out}");
    }
    let (code, json, err) = tidegate(dir, &["sessions", "--sort", "bytes", "--json"]);
    assert_eq!((code, err.as_str()), (0, ""), "{json}");
    let listed: serde_json::Value = serde_json::from_str(&json).unwrap();
    for (row, path) in listed["sessions"].as_array().unwrap().iter().zip(["/chat", "/talk"]) {
        let passed = [&row["client_messages"], &row["upstream_messages"]];
        assert_eq!((&row["path"], passed), (&path.into(), [&1.into(), &1.into()]), "{json}");
        // Four bytes of mask more than an echo has (RFC 6455 §5.2).
        assert_eq!((&row["client_bytes"], &row["upstream_bytes"]), (&11.into(), &7.into()));
    }
    out.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_running_proxys_sessions_are_listed_drained_and_kicked() {
    let (one, two) = (Backend::echo("a").await, Backend::echo("b").await);
    let address = free();
    let backend = one.address();
    let dir = dir_with(&format!(
        "[listeners.http]\naddress = \"{address}\"\n[control]\nsocket = \"control.sock\"\n\
         [drain]\ndelay = \"0s\"\nwindow = \"0s\"\n\
         [pools.chat]\nbackends = [\"{backend}\"]\n[pools.talk]\nbackends = [\"{}\"]\n\
         [[routes]]\npath = \"/chat\"\npool = \"chat\"\n\
         [[routes]]\npath = \"/talk\"\npool = \"talk\"\n",
        two.address()
    ));
    let (code, _, err) = tidegate(dir.path(), &["status"]);
    assert_eq!((code, err.contains("hint: a running tidegate makes it")), (1, true), "{err}");
    let running = Running::start(dir.path(), &["run"]);
    until("a proxy", || tidegate(dir.path(), &["status"]).0 == 0).await;
    let opened = async |path: &str| {
        let mut session = Client::to(address).path(path).open().await;
        session.echo("hello").await;
        session
    };
    let (chat, mut talk) = (opened("/chat").await, opened("/talk").await);

    let id = listed_id(dir.path());
    let (code, _, err) = tidegate(dir.path(), &["sessions", "--route", "/chta"]);
    assert_eq!((code, err.contains("did you mean `*/chat`?")), (4, true), "{err}");
    let (code, out, _) = tidegate(dir.path(), &["drain", "--pool", "chta", "--json"]);
    assert_eq!((code, out.contains("\"outcome\":\"refused\"")), (4, true), "{out}");
    let (code, _, err) = tidegate(dir.path(), &["drain", "--all", "--window", "5"]);
    assert_eq!((code, err.contains("write `\"5s\"`")), (2, true), "{err}");
    for wrong in [&["drain"][..], &["drain", "--all", "--pool", "chat"], &["kick"]] {
        assert_eq!(tidegate(dir.path(), wrong).0, 2, "{wrong:?}");
    }

    let backend = backend.to_string();
    let drain = ["drain", "--backend", &backend];
    let (code, _, err) = tidegate(dir.path(), &drain);
    assert_eq!((code, err.contains("the last of pool `chat`")), (4, true), "{err}");
    let (code, out, _) = tidegate(dir.path(), &[&drain[..], &["--force", "--dry-run"]].concat());
    assert_eq!((code, out.contains("would be drained: 1 of 2 sessions")), (0, true), "{out}");
    let ending = tokio::spawn(chat.ending());
    let path = dir.path().to_owned();
    let drained = tokio::task::spawn_blocking(move || {
        let words = ["drain", "--backend", &backend, "--force", "--wait"];
        (tidegate(&path, &words), tidegate(&path, &["status"]).1, backend)
    });
    // The backends answer their Closes on this thread.
    let ((code, out, err), status, backend) = drained.await.unwrap();
    assert_eq!((code, out.contains("drained: 1 of 2 sessions")), (0, true), "{out}{err}");
    let row = |line: &&str| line.contains(&*backend) && line.contains("  disabled  0  ");
    assert!(status.lines().any(|line| row(&line)), "{status}");
    assert!(matches!(ending.await.unwrap(), Ending::Close(1012, _)));
    let (code, out, _) = tidegate(dir.path(), &["enable", "--backend", &backend]);
    assert_eq!((code, out.contains("gets new sessions again")), (0, true), "{out}");

    let (code, _, err) = tidegate(dir.path(), &["kick", &id]);
    assert_eq!((code, err.contains("no live session")), (4, true), "{err}");
    talk.echo("still here").await;
    let (code, out, _) = tidegate(dir.path(), &["kick", "--client", "127.0.0.1", "--code", "4001"]);
    assert_eq!((code, out.contains("kicked: 1 of 1 sessions")), (0, true), "{out}");
    assert!(matches!(talk.ending().await, Ending::Close(4001, _)));
    running.signal(libc::SIGTERM);
    let (code, said) = tokio::task::spawn_blocking(move || running.end()).await.unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("drain begins") && said.contains("drain finished"), "{said}");
}

#[test]
fn what_cannot_be_run_says_why_and_how() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let dir = dir_with(&SITE.replace("127.0.0.1:0", &address.to_string()));
    let (code, _, err) = tidegate(dir.path(), &["run"]);
    assert_eq!((code, err.contains(&address.to_string())), (1, true), "{err}");
    let dir = dir_with("[listeners.http]\n");
    let (code, out, err) = tidegate(dir.path(), &["run"]);
    assert_eq!((code, out.as_str(), err.contains("address")), (3, "", true), "{err}");

    let port = address.port().to_string();
    let demo = ["demo", "--http-port", &port, "--https-port", "0"];
    let (code, _, err) = tidegate(dir.path(), &demo);
    assert_eq!((code, err.contains("--http-port PORT")), (1, true), "{err}");
}
