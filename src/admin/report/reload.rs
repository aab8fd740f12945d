//! What is asked of a reload, and what came of it.

use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use super::changes;
use crate::base::label::Label;
use crate::live::{Impact, PlanChanges};
use crate::report::Findings;

/// What is asked of a reload.
#[derive(Args, Clone, PartialEq, Eq, Debug, Default)]
pub struct ReloadRequest {
    /// Take it even when more than `reload.drain_max` of the sessions would end
    #[arg(long)]
    pub force: bool,
    /// Say what would happen, and change nothing; with `--config` that file is judged, whichever
    /// is in force. New addresses are not tried
    #[arg(long)]
    pub dry_run: bool,
    /// Judge live sessions anew by the lists of addresses in `[access]`: whom they refuse now is
    /// closed with 4403
    #[arg(long)]
    pub recheck: bool,
    /// The configuration that is named. A dry run judges it; a reload is refused where the process
    /// takes its own from another file.
    #[arg(skip)]
    pub config: Option<PathBuf>,
    /// Do nothing when the configuration means what the one in force does: for a file watch, which
    /// wakes for much that is no change.
    #[arg(skip)]
    pub if_changed: bool,
}

/// A reload that was taken, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// Where its configuration is.
    pub config: String,
    /// The configuration now in force; of a dry run, the one that still is.
    pub generation: u64,
    /// Whether this is only what would be.
    pub dry_run: bool,
    /// What the configuration says differently.
    pub changes: PlanChanges,
    /// What happens to live sessions.
    pub impact: Impact,
    /// Sessions whose client may not pass any more, where that was asked.
    pub revoked: Option<usize>,
    /// Routes whose sessions hear of new rules.
    pub routes_with_new_rules: usize,
    /// Listeners that appear.
    pub listeners_opened: Vec<String>,
    /// Listeners that vanish.
    pub listeners_closed: Vec<String>,
    /// The configuration's warnings.
    pub warnings: Findings,
}

/// Why a reload was refused. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReloadRefused {
    /// The configuration is wrong; this is all that was found.
    Config(Findings),
    /// Nothing can be built from the configuration.
    Build(String),
    /// These could not be opened.
    Listeners(Vec<String>),
    /// It would end too many sessions.
    Drain {
        /// How many.
        sessions_drained: usize,
        /// Of how many.
        sessions: usize,
        /// `reload.drain_max`, in percent.
        drain_max_percent: u32,
    },
    /// The process takes its configuration from a file, and a reload named another.
    OtherFile {
        /// Where it takes it from.
        own: String,
        /// What was named.
        named: PathBuf,
    },
    /// That process has taken over: it looks whether anything changed.
    Passed(u32),
    /// The process stops.
    Stopping,
}

/// What came of a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reloaded {
    /// It was taken, or would be.
    Taken(Box<Taken>),
    /// The configuration means what the one in force does.
    Unchanged,
    /// It was refused.
    Refused(RefusedReload),
}

/// A refused reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RefusedReload {
    /// Why.
    pub why: ReloadRefused,
    /// What it would have done, where its configuration can be put to work.
    pub would: Option<Box<Taken>>,
}

impl From<ReloadRefused> for RefusedReload {
    /// One of which it is not known what it would have done.
    fn from(why: ReloadRefused) -> RefusedReload {
        RefusedReload { why, would: None }
    }
}

impl Reloaded {
    /// Whether nothing came of it because the process stops.
    pub fn is_stopping(&self) -> bool {
        matches!(self, Reloaded::Refused(RefusedReload { why: ReloadRefused::Stopping, .. }))
    }

    /// For programs. The findings of its configuration are told as `tidegate check --json` does,
    /// whatever came of the reload.
    pub fn json(&self) -> Value {
        let mut value = match self {
            Reloaded::Taken(taken) => taken.json(),
            Reloaded::Unchanged => Findings::default().json(),
            Reloaded::Refused(RefusedReload { why, would }) => {
                let would = would.as_ref().map(|would| would.json());
                let mut value = would.unwrap_or_else(|| why.findings().json());
                if let ReloadRefused::Drain { drain_max_percent, .. } = why {
                    value["drain_max_percent"] = (*drain_max_percent).into();
                }
                value["why"] = why.to_string().into();
                value
            }
        };
        value["outcome"] = self.label().into();
        value
    }
}

impl Taken {
    fn json(&self) -> Value {
        let mut value = json!({
            "config": self.config,
            "generation": self.generation,
            "changes": self.changes,
            "at_next_start": self.changes.at_next_start,
            "routes_with_new_rules": self.routes_with_new_rules,
            "listeners_opened": self.listeners_opened,
            "listeners_closed": self.listeners_closed,
            "sessions": self.impact.sessions,
            "sessions_drained": self.impact.drained,
            "sessions_moved": self.impact.moved,
            "sessions_with_new_rules": self.impact.with_new_rules,
            "sessions_revoked": self.revoked,
            "sessions_kept": self.impact.kept(),
            "sessions_by_rule": changes::rows(&self.impact),
            "sessions_by_rule_left_off": self.impact.rows_left_off,
        });
        if let (Value::Object(value), Value::Object(found)) = (&mut value, self.warnings.json()) {
            value.extend(found);
        }
        value
    }
}

impl ReloadRefused {
    /// Why, on one line: of a configuration its first error, with its place.
    pub fn summary(&self) -> String {
        match self {
            ReloadRefused::Config(findings) => findings.summary(),
            _ => self.to_string().lines().next().unwrap_or_default().to_owned(),
        }
    }

    fn findings(&self) -> Findings {
        match self {
            ReloadRefused::Config(findings) => findings.clone(),
            _ => Findings::default(),
        }
    }
}

impl Label for Reloaded {
    fn label(&self) -> &'static str {
        match self {
            Reloaded::Taken(taken) if taken.dry_run => "dry_run",
            Reloaded::Taken(_) => "taken",
            Reloaded::Unchanged => "unchanged",
            Reloaded::Refused(RefusedReload { why, .. }) => match why {
                ReloadRefused::Config(_) | ReloadRefused::Build(_) => "refused_config",
                ReloadRefused::Listeners(_) => "refused_listeners",
                ReloadRefused::Drain { .. } => "refused_drain",
                ReloadRefused::OtherFile { .. } => "refused_other_file",
                ReloadRefused::Passed(_) => "passed_on",
                ReloadRefused::Stopping => "refused_stopping",
            },
        }
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reloaded::Taken(taken) => {
                f.write_str(&taken.warnings.text())?;
                let Taken { generation, config, .. } = &**taken;
                match taken.dry_run {
                    true => write!(f, "would be taken; in force is generation {generation}")?,
                    false => write!(f, "generation {generation} is in force")?,
                }
                write!(f, "\nconfiguration: {config}\n{}", taken.details())
            }
            Reloaded::Unchanged => f.write_str("the configuration has not changed"),
            Reloaded::Refused(RefusedReload { why, would: Some(would) }) => {
                write!(f, "{why}\nconfiguration: {}\n{}", would.config, would.details())
            }
            Reloaded::Refused(RefusedReload { why, would: None }) => why.fmt(f),
        }
    }
}

impl Taken {
    /// What it changes, and what happens to whom.
    fn details(&self) -> String {
        let mut text = changes::parts(&self.changes);
        let mut names = |what: &str, names: &[String]| {
            if !names.is_empty() {
                text.push_str(&format!("{what}: {}\n", names.join(", ")));
            }
        };
        names("listeners opened", &self.listeners_opened);
        names("listeners closed", &self.listeners_closed);
        text.push_str(&changes::impact(&self.impact));
        if let Some(revoked) = self.revoked {
            let all = self.impact.sessions;
            text.push_str(&format!("sessions that may not pass any more: {revoked} of {all}\n"));
        }
        text.truncate(text.trim_end().len());
        text
    }
}

impl fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadRefused::Config(findings) => f.write_str(findings.text().trim_end()),
            ReloadRefused::Build(why) => {
                write!(f, "the configuration cannot be put to work: {why}")
            }
            ReloadRefused::Listeners(errors) => write!(f, "{}", errors.join("\n")),
            ReloadRefused::Drain { sessions_drained, sessions, drain_max_percent } => write!(
                f,
                "the reload would end {sessions_drained} of {sessions} sessions, more than \
                 `reload.drain_max` allows: {drain_max_percent} % (`--force` ends them)"
            ),
            ReloadRefused::OtherFile { own, named } => write!(
                f,
                "the running process takes its configuration from `{own}`, not from `{}`: put it \
                 there, or have it judged with `--dry-run`",
                named.display()
            ),
            ReloadRefused::Passed(pid) => {
                write!(
                    f,
                    "process {pid} has taken over; it reloads if the configuration has changed"
                )
            }
            ReloadRefused::Stopping => f.write_str("the process stops"),
        }
    }
}
