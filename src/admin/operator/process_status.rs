//! What a process tells of itself by `GET /status`, as data.

use serde::{Deserialize, Serialize};

use super::everywhere::CommandOutcome;
use crate::access::KeySetState;
use crate::acme::NameState;
use crate::admin::process::{Phase, Process};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::config::plan::SourceKey;
use crate::discovery::SourceState;
use crate::drain::Progress;
use crate::pool::{BackendHealth, ProbeState, ProbeVerdict, Standing};

/// What lives in a process, or in it and those before it: then counts are sums.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct ProcessStatus {
    pub(super) version: String,
    pub(super) pid: u32,
    pub(super) phase: String,
    pub(super) uptime_seconds: f64,
    pub(super) configuration: String,
    pub(super) generation: u64,
    /// How long the configuration has been in force.
    pub(super) configuration_age_seconds: f64,
    pub(super) workers: usize,
    pub(super) listeners: Vec<ListenerStatus>,
    pub(super) sessions: usize,
    /// Those among them that are in older processes.
    pub(super) older_sessions: usize,
    pub(super) held: u64,
    pub(super) connections: usize,
    pub(super) leases: usize,
    pub(super) tasks: usize,
    pub(super) backends: Vec<BackendStatus>,
    pub(super) sources: Vec<SourceStatus>,
    pub(super) key_sets: Vec<KeySetStatus>,
    pub(super) certificates: Vec<CertificateStatus>,
    pub(super) drains: Vec<DrainStatus>,
    pub(super) drains_finished: Vec<DrainStatus>,
}

/// A listener.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct ListenerStatus {
    pub(super) name: String,
    pub(super) address: String,
}

/// How a backend stands.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct BackendStatus {
    pub(super) pool: String,
    pub(super) backend: String,
    pub(super) state: String,
    pub(super) up: bool,
    pub(super) sessions: usize,
    pub(super) requests: usize,
    pub(super) handshakes_waiting: usize,
    /// What its probes have found, where it is probed.
    pub(super) probe: Option<ProbeStatus>,
}

/// What a backend's probes have found.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct ProbeStatus {
    pub(super) verdict: String,
    /// For how long.
    pub(super) since_seconds: f64,
    /// How long ago the last one ended.
    pub(super) age_seconds: Option<f64>,
    /// What was wrong at the last one.
    pub(super) error: Option<String>,
}

/// Where members of a pool are found.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct SourceStatus {
    pub(super) pool: String,
    pub(super) source: String,
    pub(super) members: usize,
    /// Those of them that the last answer did not have.
    pub(super) missing: usize,
    /// How old that is.
    pub(super) age_seconds: Option<f64>,
    /// Why there was no answer the last time, or why it is not believed.
    pub(super) error: Option<String>,
}

impl SourceStatus {
    fn of((key, state): (SourceKey, SourceState), now: Moment) -> SourceStatus {
        SourceStatus {
            pool: key.pool.to_string(),
            source: key.source.to_string(),
            members: state.members.len(),
            missing: state.missing,
            age_seconds: state.answered.map(|at| now.since(at).as_secs_f64()),
            error: state.error.map(|error| error.to_string()),
        }
    }
}

/// How a set of keys stands that is fetched by URL.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct KeySetStatus {
    pub(super) rule: String,
    pub(super) url: String,
    /// Keys that serve; none where the last good ones are too old.
    pub(super) keys: usize,
    /// How long ago they were fetched.
    pub(super) age_seconds: Option<f64>,
    /// What went wrong with the last fetch.
    pub(super) error: Option<String>,
}

/// How a name stands that certificates are ordered for.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct CertificateStatus {
    pub(super) name: String,
    /// Until its certificate expires; `None` where clients are shown one that nobody trusts.
    pub(super) expires_in_seconds: Option<f64>,
    /// Until the next order.
    pub(super) order_in_seconds: f64,
    /// Orders that failed since one succeeded.
    pub(super) failures: u32,
    /// What went wrong with the last one.
    pub(super) error: Option<String>,
    /// The process of another instance that orders it now, as its machine numbers it.
    pub(super) ordered_by: Option<String>,
}

/// How far a drain is.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct DrainStatus {
    pub(super) pid: u32,
    pub(super) drain: u64,
    pub(super) reason: String,
    pub(super) of: String,
    pub(super) sessions: usize,
    pub(super) left: usize,
    pub(super) moved: usize,
    pub(super) stayed: usize,
    pub(super) withdrawn: usize,
    pub(super) age_seconds: f64,
    pub(super) cut_in_seconds: f64,
    pub(super) cuts: bool,
}

impl ProcessStatus {
    pub(super) async fn of(process: &impl Process) -> ProcessStatus {
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
        let rules = snapshot.access.values();
        let setup = process.setup();
        let listener = |(name, address)| ListenerStatus { name, address };
        ProcessStatus {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            phase: phase.to_owned(),
            // The clock runs from the process's start on.
            uptime_seconds: now.since(Moment::default()).as_secs_f64(),
            configuration: setup.configuration,
            generation: snapshot.generation,
            configuration_age_seconds: now.since(setup.taken).as_secs_f64(),
            workers: setup.workers,
            listeners: setup.listeners.into_iter().map(listener).collect(),
            sessions: counts.sessions,
            older_sessions: 0,
            held: snapshot.routes.iter().map(|route| route.cells.held()).sum(),
            connections: counts.connections,
            leases: counts.leases,
            tasks: counts.tasks,
            backends: health.map(|one| BackendStatus::of(&one)).collect(),
            sources: process.sources().into_iter().map(|one| SourceStatus::of(one, now)).collect(),
            key_sets: rules.filter_map(|rule| rule.key_set_state()).map(Into::into).collect(),
            certificates: process.ordered_names().iter().map(CertificateStatus::of).collect(),
            drains: drains(process.drains().under_way()),
            drains_finished: drains(process.drains().finished()),
        }
    }
}

impl CommandOutcome for ProcessStatus {
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
                    own.handshakes_waiting += one.handshakes_waiting;
                }
                // Its configuration is in force there still.
                None if one.sessions + one.requests > 0 => {
                    let state = "removed".to_owned();
                    self.backends.push(BackendStatus { state, up: false, ..one });
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

impl CertificateStatus {
    fn of(one: &NameState) -> CertificateStatus {
        let now = clock::since_1970().as_secs() as i64;
        CertificateStatus {
            name: one.name.to_string(),
            expires_in_seconds: one.not_after.map(|at| (at - now) as f64),
            order_in_seconds: (one.due - now).max(0) as f64,
            failures: one.failures,
            error: one.error.as_ref().map(ToString::to_string),
            ordered_by: one.ordered_by.as_ref().map(ToString::to_string),
        }
    }
}

impl BackendStatus {
    fn of(one: &BackendHealth) -> BackendStatus {
        let probes = one.backend.probe_state();
        let is_failing =
            probes.as_ref().is_some_and(|probes| probes.verdict == ProbeVerdict::Failing);
        let state = match one.standing {
            _ if one.backend.is_disabled() => "disabled",
            Standing::Up => "up",
            Standing::Trial => "trial",
            Standing::Ejected { .. } if is_failing => "failing",
            Standing::Ejected { .. } => "ejected",
            Standing::Unproven => "unproven",
        };
        BackendStatus {
            pool: one.backend.pool().to_string(),
            backend: one.backend.address().to_string(),
            state: state.to_owned(),
            up: one.up,
            sessions: one.backend.sessions(),
            requests: one.backend.requests(),
            handshakes_waiting: one.backend.handshakes_waiting(),
            probe: probes.map(Into::into),
        }
    }
}

impl From<ProbeState> for ProbeStatus {
    fn from(state: ProbeState) -> ProbeStatus {
        let now = clock::now();
        let verdict = match state.verdict {
            ProbeVerdict::Unproven => "unproven",
            ProbeVerdict::Passing => "passing",
            ProbeVerdict::Failing => "failing",
        };
        ProbeStatus {
            verdict: verdict.to_owned(),
            since_seconds: now.since(state.since).as_secs_f64(),
            age_seconds: state.last.map(|last| now.since(last).as_secs_f64()),
            error: state.error.map(|error| error.to_string()),
        }
    }
}

impl From<KeySetState> for KeySetStatus {
    fn from(state: KeySetState) -> KeySetStatus {
        KeySetStatus {
            rule: state.rule.to_string(),
            url: state.url.to_string(),
            keys: state.keys,
            age_seconds: state.age.map(|age| age.as_secs_f64()),
            error: state.error.map(|error| error.to_string()),
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
}
