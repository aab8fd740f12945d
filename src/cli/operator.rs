//! Orders and questions to the running proxy, over the operator's unix socket.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use tokio::signal::unix::{SignalKind, signal};

use super::args::operator::{ProxyTarget, ToProxy};
use super::ask::{self, Question};
use super::config_file;
use super::exit::Failure;
use super::operator_socket::OperatorSocket;
use super::output;
use super::waiting::{DrainRow, DrainView, ProgressView};
use crate::admin::{
    OperatorRequest, REMARK, ReloadRefused, ReloadRequest, Reloaded, SessionsRequest,
};
use crate::config;
use crate::report::Findings;

/// How often it is asked how far a drain is.
const WAIT_INTERVAL: Duration = Duration::from_millis(500);

/// Sends a request to the running proxy and prints the answer; waits for what it begins, where
/// that is asked for.
pub(super) fn ask<R: OperatorRequest + Args>(asked: &ToProxy<R>) -> Result<(), Failure> {
    let ToProxy { request, target } = asked;
    let operator = Operator::find(target)?;
    let body = serde_json::to_value(request).map_err(Failure::run)?;
    // The number of the drain is in the JSON only.
    let as_json = target.json || request.waits();
    let (status, answer) = operator.send(R::METHOD, &request.target(), &body, as_json)?;
    operator.heed(status, &answer, as_json)?;
    let json: Value = serde_json::from_str(&answer).unwrap_or_default();
    if !request.waits() {
        return print(&answer);
    }
    let begun = || {
        if !target.json {
            // That it cannot be printed is no reason not to wait.
            let _ = print(json["text"].as_str().unwrap_or(&answer));
            let remarks = json["remarks"].as_array().into_iter().flatten();
            remarks.filter_map(Value::as_str).for_each(|remark| eprintln!("{remark}"));
        }
    };
    let waited = match json["drain"].as_u64() {
        Some(drain) if drain > 0 => operator.wait(drain, begun)?,
        _ => {
            begun();
            let is_any = json["sessions"].as_u64() > Some(0);
            if is_any { Waited::Unseen } else { Waited::Finished(None) }
        }
    };
    waited.tell(json, target.json)
}

/// Lists sessions, in a table that fits the terminal.
pub(super) fn sessions(mut asked: ToProxy<SessionsRequest>) -> Result<(), Failure> {
    if let Some(columns) = output::columns() {
        asked.request.fit(columns);
    }
    ask(&asked)
}

/// Has the running proxy reload, or judge the configuration that is named.
pub(super) fn reload(asked: ToProxy<ReloadRequest>) -> Result<(), Failure> {
    let ToProxy { request, target } = asked;
    let named = target.file.config.as_deref().map(std::path::absolute).transpose();
    let config = named.map_err(|error| Failure::Usage(format!("`--config`: {error}")))?;
    if target.json && OperatorSocket::find(&target).is_err() {
        refuse_as_json(&config_file::find(&target.file)?)?;
    }
    ask(&ToProxy { request: ReloadRequest { config, ..request }, target })
}

/// Judges a configuration here: one that is refused does not say where the running proxy is asked.
fn refuse_as_json(file: &Path) -> Result<(), Failure> {
    config::load(file, &config::process_environment).map(drop).map_err(|refused| {
        let config::Refused { report, sources, .. } = refused;
        let why = ReloadRefused::Config(Findings { report, sources });
        match output::print_lines(&Reloaded::Refused(why.into()).json().to_string()) {
            Ok(()) => Failure::Said(Failure::CONFIG),
            Err(failure) => failure,
        }
    })
}

/// Prints an answer: data on standard output, remarks on standard error.
fn print(answer: &str) -> Result<(), Failure> {
    let mut data = String::new();
    let mut remarks = Vec::new();
    for line in answer.lines() {
        match line.strip_prefix(REMARK) {
            Some(remark) => remarks.push(remark),
            None => data.extend([line, "\n"]),
        }
    }
    output::print(&data)?;
    remarks.iter().for_each(|remark| eprintln!("{remark}"));
    Ok(())
}

/// What came of waiting for a drain.
enum Waited {
    /// It has finished, with this row where it told any session.
    Finished(Option<DrainRow>),
    /// The person does not wait any longer.
    Interrupted(u64),
    /// Too many drains are under way: nobody can say how far this one is.
    Unseen,
}

impl Waited {
    /// Prints it; `begun` is what was answered as the drain began.
    fn tell(self, mut begun: Value, as_json: bool) -> Result<(), Failure> {
        if as_json {
            let row = if let Waited::Finished(row) = &self { *row } else { None };
            begun["finished"] = row.map_or(Value::Null, |row| row.outcome_json());
            output::print_lines(&begun.to_string())?;
        }
        match self {
            Waited::Finished(Some(row)) if !as_json => output::print_lines(&row.outcome())?,
            Waited::Finished(_) => {}
            Waited::Interrupted(drain) => {
                eprintln!(
                    "drain {drain} goes on: `tidegate status` shows how far it is, \
                     `tidegate drain --cancel {drain}` ends it"
                );
                return Err(Failure::Said(Failure::INTERRUPTED));
            }
            Waited::Unseen => {
                let text = "too many drains are under way to wait for this one; it goes on";
                return Err(Failure::No(text.to_owned()));
            }
        }
        Ok(())
    }
}

/// The running proxy, as it is reached.
pub(super) struct Operator<'a> {
    socket: OperatorSocket,
    target: &'a ProxyTarget,
}

impl<'a> Operator<'a> {
    /// The one that is named.
    pub(super) fn find(target: &'a ProxyTarget) -> Result<Operator<'a>, Failure> {
        Ok(Operator { socket: OperatorSocket::find(target)?, target })
    }

    /// Its answer to a question, as data.
    pub(super) fn answer(
        &self,
        method: &str,
        target: &str,
        body: &Value,
    ) -> Result<Value, Failure> {
        let (status, answer) = self.send(method, target, body, true)?;
        self.heed(status, &answer, true)?;
        serde_json::from_str(&answer).map_err(Failure::run)
    }
}

impl Operator<'_> {
    /// Waits until a drain has finished, or the person presses Ctrl-C; calls `begun` when that may
    /// be pressed.
    fn wait(&self, drain: u64, begun: impl FnOnce()) -> Result<Waited, Failure> {
        let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let (mut view, mut seen) = (ProgressView::new(), DrainView::new(drain));
        let waited = built.map_err(Failure::run)?.block_on(async {
            let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::run)?;
            begun();
            loop {
                let (status, answer) = self.send("GET", "/status", &Value::Null, true)?;
                self.heed(status, &answer, true)?;
                let is_under_way =
                    seen.update(&serde_json::from_str(&answer).map_err(Failure::run)?);
                match seen.row() {
                    Some(row) if is_under_way => view.show(&row),
                    row => return Ok(Waited::Finished(row)),
                }
                tokio::select! {
                    _ = interrupt.recv() => return Ok(Waited::Interrupted(drain)),
                    () = tokio::time::sleep(WAIT_INTERVAL) => {}
                }
            }
        });
        view.clear();
        waited
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
        let stream = self.socket.connect();
        let answer = stream.and_then(|stream| ask::ask(stream, &question));
        answer.map_err(|error| self.socket.failure(&error))
    }

    /// What a status means to a person: an exit code, and the reason.
    fn heed(&self, status: u16, told: &str, as_json: bool) -> Result<(), Failure> {
        let failure: fn(String) -> Failure = match status {
            200 => return Ok(()),
            400 => Failure::Usage,
            404 | 409 => Failure::No,
            422 => Failure::Config,
            _ => Failure::Run,
        };
        // A configuration's report speaks for itself.
        let end = if status == 422 { "\n" } else { "" };
        if self.target.json {
            output::print_lines(told)?;
            return Err(Failure::Said(failure(String::new()).code()));
        }
        let json: Value = serde_json::from_str(told).unwrap_or_default();
        let why = json["why"].as_str().filter(|_| as_json).unwrap_or(told);
        Err(failure(format!("{why}{end}")))
    }
}
