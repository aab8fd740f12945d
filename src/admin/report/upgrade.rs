//! What came of an upgrade, as a value, as text and as JSON.

use std::fmt;

use crate::base::label::Label;
use serde_json::{Value, json};

/// What came of an upgrade.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Upgraded {
    /// Another process serves.
    Done {
        /// Its process id.
        pid: u32,
        /// Sessions in this one.
        sessions: usize,
        /// Whether this one stays with them, or lets them go.
        keep: bool,
    },
    /// It was not tried.
    Refused(NoUpgrade),
    /// It was tried; this process serves on.
    Failed(UpgradeFailure),
}

/// Why an upgrade is not tried.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoUpgrade {
    /// The process is the first of a container.
    First,
    /// The process was not started by `tidegate run`.
    NotRun,
    /// One is under way.
    UnderWay,
    /// These older processes have not ended, and no more may live: `upgrade.old_processes_max`.
    Older(Vec<u32>),
    /// This process serves no more: that one does.
    Passed(u32),
    /// The process stops.
    Stopping,
}

/// Why an upgrade failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum UpgradeFailure {
    /// The new process could not be started.
    Start(String),
    /// It refused its configuration; this is its report.
    Config(String),
    /// It failed before it served, in words.
    New(String),
    /// It was not ready in time: `upgrade.timeout`.
    Slow(std::time::Duration),
    /// This process was told to stop.
    Stopped,
}

impl Upgraded {
    /// For programs.
    pub fn json(&self) -> Value {
        match self {
            Upgraded::Done { pid, sessions, keep } => {
                let does = if *keep { "keep" } else { "drain" };
                json!({ "outcome": "done", "pid": pid, "sessions": sessions, "older": does })
            }
            _ => json!({ "outcome": self.label(), "why": self.to_string() }),
        }
    }
}

impl Label for Upgraded {
    fn label(&self) -> &'static str {
        match self {
            Upgraded::Done { .. } => "done",
            Upgraded::Refused(_) => "refused",
            Upgraded::Failed(UpgradeFailure::Config(_)) => "failed_config",
            Upgraded::Failed(UpgradeFailure::Slow(_)) => "failed_timeout",
            Upgraded::Failed(_) => "failed",
        }
    }
}

impl fmt::Display for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Upgraded::Done { pid, sessions, keep: true } => {
                write!(f, "process {pid} serves; sessions kept by the old one: {sessions}")
            }
            Upgraded::Done { pid, sessions, keep: false } => {
                write!(f, "process {pid} serves; sessions drained by the old one: {sessions}")
            }
            Upgraded::Refused(refused) => refused.fmt(f),
            // A report brings its own words.
            Upgraded::Failed(UpgradeFailure::Config(report)) => f.write_str(report.trim_end()),
            Upgraded::Failed(failure) => write!(f, "{failure}; this process serves on"),
        }
    }
}

impl fmt::Display for NoUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoUpgrade::First => f.write_str(
                "this is the first process of its container (PID 1), which ends with it: start a \
                 new container beside this one instead",
            ),
            NoUpgrade::NotRun => f.write_str("only `tidegate run` can be upgraded"),
            NoUpgrade::UnderWay => f.write_str("an upgrade is under way"),
            NoUpgrade::Older(pids) => {
                let each: Vec<_> = pids.iter().map(u32::to_string).collect();
                let (count, pids) = (pids.len(), each.join(", "));
                write!(
                    f,
                    "{count} older processes still have sessions, more than \
                     `upgrade.old_processes_max` allows: {pids} (SIGTERM lets the sessions of one \
                     go)"
                )
            }
            NoUpgrade::Passed(pid) => write!(f, "process {pid} has taken over: upgrade that one"),
            NoUpgrade::Stopping => f.write_str("the process stops"),
        }
    }
}

impl fmt::Display for UpgradeFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpgradeFailure::Start(error) => {
                write!(f, "the new process could not be started: {error}")
            }
            UpgradeFailure::Config(report) => f.write_str(report.trim_end()),
            UpgradeFailure::New(why) => write!(f, "the new process failed: {why}"),
            UpgradeFailure::Slow(timeout) => write!(
                f,
                "the new process was not ready within `upgrade.timeout`, {} s, and was ended",
                timeout.as_secs_f64()
            ),
            UpgradeFailure::Stopped => {
                f.write_str("the new process was ended, because this one stops")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upgrade_says_what_became_of_the_sessions() {
        let done = Upgraded::Done { pid: 7, sessions: 20, keep: false };
        assert_eq!(done.to_string(), "process 7 serves; sessions drained by the old one: 20");
        assert_eq!(done.json()["older"], "drain");
        let refused = Upgraded::Refused(NoUpgrade::Older(vec![7, 8]));
        assert!(refused.to_string().contains(": 7, 8 ("), "{refused}");
        assert_eq!(refused.json()["outcome"], "refused");
        let failed = Upgraded::Failed(UpgradeFailure::New("exit status: 1".into()));
        assert!(failed.to_string().ends_with("exit status: 1; this process serves on"), "{failed}");
    }
}
