//! `GET /status`: what lives in the process, and in those before it.

use std::fmt::Write as _;

use clap::Args;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, Everywhere, Outcome};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::age;
use crate::admin::process::{Phase, Process};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::drain::Progress;
use crate::pool::{BackendHealth, Standing};

/// Says what lives in the process.
#[derive(Args, Serialize, Debug)]
pub struct StatusRequest {}

impl OperatorRequest for StatusRequest {
    const METHOD: &'static str = "GET";
    const PATH: &'static str = "/status";
}

/// Tells what lives, how every backend stands, and how far every drain is.
pub(super) async fn status(process: &impl Process, asker: Asker) -> Result<Reply, Reply> {
    let here = async |_| Ok(ProcessStatus::of(process).await);
    let status = Everywhere::run(process, asker, &StatusRequest {}, here).await?;
    let text = status.total.text();
    let json = serde_json::json!(status.total);
    Ok(status.reply_json(text, json))
}

/// What lives in a process, or in it and those before it: then counts are sums.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct ProcessStatus {
    pid: u32,
    phase: String,
    generation: u64,
    sessions: usize,
    /// Those among them that are in older processes.
    older_sessions: usize,
    held: u64,
    connections: usize,
    leases: usize,
    tasks: usize,
    backends: Vec<BackendStatus>,
    drains: Vec<DrainStatus>,
    drains_finished: Vec<DrainStatus>,
}

/// How a backend stands.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct BackendStatus {
    pool: String,
    backend: String,
    standing: String,
    up: bool,
    sessions: usize,
    requests: usize,
}

/// How far a drain is.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct DrainStatus {
    pid: u32,
    drain: u64,
    reason: String,
    of: String,
    sessions: usize,
    left: usize,
    moved: usize,
    stayed: usize,
    withdrawn: usize,
    age_seconds: f64,
    cut_in_seconds: f64,
    cuts: bool,
}

impl ProcessStatus {
    async fn of(process: &impl Process) -> ProcessStatus {
        let phase = match process.phase() {
            Phase::Running => "running",
            Phase::Draining => "draining",
            Phase::Stopped(_) => "stopped",
        };
        let counts = process.counts().await;
        let now = clock::now();
        let snapshot = process.snapshot();
        let health = snapshot.pools.values().flat_map(|pool| pool.health(now));
        let drains = |all: Vec<(u64, Progress)>| -> Vec<DrainStatus> {
            all.iter().map(|(number, progress)| DrainStatus::of(*number, progress, now)).collect()
        };
        ProcessStatus {
            pid: std::process::id(),
            phase: phase.to_owned(),
            generation: snapshot.generation,
            sessions: counts.sessions,
            older_sessions: 0,
            held: snapshot.routes.iter().map(|route| route.cells.held()).sum(),
            connections: counts.connections,
            leases: counts.leases,
            tasks: counts.tasks,
            backends: health.map(|one| BackendStatus::of(&one)).collect(),
            drains: drains(process.drains().under_way()),
            drains_finished: drains(process.drains().finished()),
        }
    }

    /// For people.
    fn text(&self) -> String {
        let ProcessStatus { phase, generation, sessions, older_sessions, held, .. } = self;
        let older = match older_sessions {
            0 => String::new(),
            older => format!(" ({} here, {older} in older processes)", sessions - older),
        };
        let ProcessStatus { connections, leases, tasks, .. } = self;
        let mut text = format!(
            "phase: {phase}\ngeneration: {generation}\nsessions: {sessions}{older}\nheld: {held}\n\
             connections: {connections}\nleases: {leases}\ntasks: {tasks}"
        );
        // Writing to a string cannot fail.
        for BackendStatus { pool, backend, standing, sessions, .. } in &self.backends {
            let _ = write!(text, "\nbackend {backend} of {pool}: {standing}, {sessions} sessions");
        }
        for drain in &self.drains {
            let (then, rest) = (drain.then(), age(drain.cut_in_seconds));
            let whose = match drain.pid == self.pid {
                true => String::new(),
                false => format!(" in older process {}", drain.pid),
            };
            let DrainStatus { drain, reason, of, sessions, left, .. } = drain;
            let _ = write!(
                text,
                "\ndrain {drain} ({reason}) of {of}{whose}: {left} of {sessions} left, {then} in \
                 {rest}"
            );
        }
        text
    }
}

impl Outcome for ProcessStatus {
    fn add(&mut self, older: ProcessStatus) {
        self.sessions += older.sessions;
        self.older_sessions += older.sessions;
        self.held += older.held;
        self.connections += older.connections;
        self.leases += older.leases;
        self.tasks += older.tasks;
        for one in older.backends {
            let same =
                |own: &&mut BackendStatus| own.pool == one.pool && own.backend == one.backend;
            match self.backends.iter_mut().find(same) {
                Some(own) => {
                    own.sessions += one.sessions;
                    own.requests += one.requests;
                }
                // Its configuration is in force there still.
                None if one.sessions + one.requests > 0 => {
                    let standing = "removed".to_owned();
                    self.backends.push(BackendStatus { standing, up: false, ..one });
                }
                None => {}
            }
        }
        self.drains.extend(older.drains);
        self.drains_finished.extend(older.drains_finished);
    }

    fn add_unanswered(&mut self, sessions: usize) {
        self.sessions += sessions;
        self.older_sessions += sessions;
    }

    fn sessions(&self) -> usize {
        self.sessions
    }
}

impl BackendStatus {
    fn of(one: &BackendHealth) -> BackendStatus {
        let standing = match one.standing {
            _ if one.backend.is_disabled() => "disabled",
            Standing::Up => "in",
            Standing::Trial => "due",
            Standing::Ejected { .. } => "out",
        };
        BackendStatus {
            pool: one.backend.pool().to_string(),
            backend: one.backend.address().to_string(),
            standing: standing.to_owned(),
            up: one.up,
            sessions: one.backend.sessions(),
            requests: one.backend.requests(),
        }
    }
}

impl DrainStatus {
    fn of(drain: u64, progress: &Progress, now: Moment) -> DrainStatus {
        DrainStatus {
            pid: std::process::id(),
            drain,
            reason: progress.reason.label().to_owned(),
            of: progress.name.clone(),
            sessions: progress.sessions,
            left: progress.count.left,
            moved: progress.count.moved,
            stayed: progress.count.stayed,
            withdrawn: progress.count.withdrawn,
            age_seconds: now.since(progress.began).as_secs_f64(),
            cut_in_seconds: progress.ends.since(now).as_secs_f64(),
            cuts: progress.cuts,
        }
    }

    /// What becomes of those that are left.
    fn then(&self) -> &'static str {
        if self.cuts { "cut" } else { "given up" }
    }
}
