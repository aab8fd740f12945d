//! Orders and questions to the running proxy, over the operator's unix socket.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::args::operator::{ProxyTarget, ToProxy};
use super::ask::{self, Question};
use super::config_file;
use super::exit::Failure;
use crate::admin::OperatorRequest;

/// How long an answer may take: reading thousands of certificates is not done in a moment, and an
/// upgrade may take `upgrade.timeout`.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often it is asked how far a drain is.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// Sends a request to the running proxy and prints the answer; waits for what it begins, where
/// that is asked for.
pub(super) fn ask<R: OperatorRequest + Args>(asked: &ToProxy<R>) -> Result<(), Failure> {
    let ToProxy { request, target } = asked;
    let operator = Operator::of(target)?;
    let body = serde_json::to_value(request).map_err(Failure::run)?;
    // The number of the drain is in the JSON only.
    let as_json = target.json || request.waits();
    let (status, answer) = operator.send(R::METHOD, &request.target(), &body, as_json)?;
    let json: Value = serde_json::from_str(&answer).unwrap_or_default();
    let text = |key: &str| json[key].as_str().unwrap_or(&answer).to_owned();
    if as_json && !target.json {
        operator.heed(status, &text("why"))?;
        println!("{}", text("text"));
    } else {
        operator.heed(status, &answer)?;
        println!("{answer}");
    }
    match json["drain"].as_u64() {
        Some(drain) if request.waits() && drain > 0 => operator.wait(drain),
        _ => Ok(()),
    }
}

/// The running proxy, as it is reached.
struct Operator<'a> {
    socket: PathBuf,
    target: &'a ProxyTarget,
}

impl Operator<'_> {
    /// The socket named, or else the configuration's; one that would be refused is reported here.
    fn of(target: &ProxyTarget) -> Result<Operator<'_>, Failure> {
        if let Some(socket) = &target.socket {
            return Ok(Operator { socket: socket.clone(), target });
        }
        let file = config_file::find(&target.file)?;
        match config_file::load(&file)?.plan.control.as_ref() {
            Some(control) => Ok(Operator { socket: control.socket.clone(), target }),
            None => Err(Failure::Usage(format!(
                "`{}` has no `[control]` socket; add the table `[control]` and reload by SIGHUP, \
                 or name a socket with `--socket`",
                file.display()
            ))),
        }
    }

    /// Waits until a drain has finished, and prints what became of its sessions.
    fn wait(&self, drain: u64) -> Result<(), Failure> {
        loop {
            let (status, told) = self.send("GET", "/status", &Value::Null, true)?;
            self.heed(status, &told)?;
            let json: Value = serde_json::from_str(&told).map_err(Failure::run)?;
            let row = |list: &str| {
                let rows = json[list].as_array().map_or(&[][..], Vec::as_slice);
                rows.iter().find(|row| row["drain"] == drain).cloned()
            };
            if row("drains").is_none() {
                if let (Some(finished), false) = (row("drains_finished"), self.target.json) {
                    println!("{}", outcome(&finished));
                }
                return Ok(());
            }
            std::thread::sleep(WAIT_INTERVAL);
        }
    }

    fn send(
        &self,
        method: &str,
        target: &str,
        body: &Value,
        as_json: bool,
    ) -> Result<(u16, String), Failure> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let accept = if as_json { "application/json" } else { "text/plain" };
        let question = Question { method, target, host: "localhost", accept, body: &body };
        connect(&self.socket)
            .and_then(|stream| ask::ask(stream, &question))
            .map_err(|error| unreachable(&self.socket, &error))
    }

    /// What a status means to a person: an exit code.
    fn heed(&self, status: u16, told: &str) -> Result<(), Failure> {
        let failure: fn(String) -> Failure = match status {
            200 => return Ok(()),
            400 => Failure::Usage,
            404 | 409 => Failure::No,
            422 => Failure::Config,
            _ => Failure::Run,
        };
        // A configuration's report speaks for itself.
        let end = if status == 422 { "\n" } else { "" };
        let failure = failure(format!("{told}{end}"));
        if self.target.json {
            println!("{told}");
            return Err(Failure::Said(failure.code()));
        }
        Err(failure)
    }
}

/// What became of the sessions of a drain that has finished.
fn outcome(row: &Value) -> String {
    let count = |key: &str| row[key].as_u64().unwrap_or_default();
    let [told, moved, stayed, left] = ["sessions", "moved", "stayed", "left"].map(count);
    let ended = told.saturating_sub(moved + stayed + left);
    let mut text = format!("finished: {moved} moved, {ended} ended");
    for (count, what) in [(stayed, "stayed"), (left, "left")] {
        if count > 0 {
            text += &format!(", {count} {what}");
        }
    }
    text
}

fn connect(socket: &Path) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

fn unreachable(socket: &Path, error: &io::Error) -> Failure {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => {
            "\nhint: a running tidegate makes it when its configuration has the table `[control]`; \
             `--socket PATH` names another"
        }
        io::ErrorKind::ConnectionRefused => "\nhint: the tidegate that made it has ended",
        io::ErrorKind::PermissionDenied => {
            "\nhint: it is open to the user that tidegate runs as, and to root"
        }
        _ => "",
    };
    let socket = socket.display();
    Failure::run(format!("no answer from the operator's socket `{socket}`: {error}{hint}"))
}
