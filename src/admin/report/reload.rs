//! What is asked of a reload, and what came of it.

use std::fmt;

use clap::Args;
use serde_json::{Value, json};

use crate::base::label::Label;

/// What is asked of a reload.
#[derive(Args, Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReloadRequest {
    /// Take it even when more than `reload.drain_max` of the sessions would end
    #[arg(long)]
    pub force: bool,
    /// Say what would happen, and change nothing; new addresses are not tried
    #[arg(long)]
    pub dry_run: bool,
    /// Do nothing when the configuration means what the one in force does: for a file watch, which
    /// wakes for much that is no change.
    #[arg(skip)]
    pub if_changed: bool,
}

/// A reload that was taken, or would be.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Taken {
    /// The configuration now in force; of a dry run, the one that still is.
    pub generation: u64,
    /// Whether this is only what would be.
    pub dry_run: bool,
    /// Sessions live.
    pub sessions: usize,
    /// Those among them that are drained.
    pub sessions_drained: usize,
    /// Those that go on with another backend, where there is one for them.
    pub sessions_moved: usize,
    /// Routes whose sessions hear of new rules.
    pub routes_with_new_rules: usize,
    /// Listeners that appear.
    pub listeners_opened: Vec<String>,
    /// Listeners that vanish.
    pub listeners_closed: Vec<String>,
    /// Keys that changed but apply at the next start only.
    pub at_next_start: Vec<&'static str>,
    /// The configuration's warnings.
    pub warnings: String,
}

/// Why a reload was refused. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReloadRefused {
    /// The configuration is wrong; this is its report.
    Config(String),
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
    /// That process has taken over: it looks whether anything changed.
    Passed(u32),
    /// The process stops.
    Stopping,
}

/// What came of a reload.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reloaded {
    /// It was taken, or would be.
    Taken(Taken),
    /// The configuration means what the one in force does.
    Unchanged,
    /// It was refused.
    Refused(ReloadRefused),
}

impl Reloaded {
    /// For programs.
    pub fn json(&self) -> Value {
        let mut value = match self {
            Reloaded::Taken(taken) => json!({
                "generation": taken.generation,
                "sessions": taken.sessions,
                "sessions_drained": taken.sessions_drained,
                "sessions_moved": taken.sessions_moved,
                "routes_with_new_rules": taken.routes_with_new_rules,
                "listeners_opened": taken.listeners_opened,
                "listeners_closed": taken.listeners_closed,
                "at_next_start": taken.at_next_start,
                "warnings": taken.warnings,
            }),
            Reloaded::Unchanged => json!({}),
            Reloaded::Refused(ReloadRefused::Drain {
                sessions_drained,
                sessions,
                drain_max_percent,
            }) => {
                json!({
                    "sessions": sessions,
                    "sessions_drained": sessions_drained,
                    "drain_max_percent": drain_max_percent,
                })
            }
            Reloaded::Refused(_) => json!({}),
        };
        value["outcome"] = self.label().into();
        if let Reloaded::Refused(refused) = self {
            value["why"] = refused.to_string().into();
        }
        value
    }
}

impl Label for Reloaded {
    fn label(&self) -> &'static str {
        match self {
            Reloaded::Taken(Taken { dry_run: true, .. }) => "dry_run",
            Reloaded::Taken(_) => "taken",
            Reloaded::Unchanged => "unchanged",
            Reloaded::Refused(ReloadRefused::Config(_) | ReloadRefused::Build(_)) => {
                "refused_config"
            }
            Reloaded::Refused(ReloadRefused::Listeners(_)) => "refused_listeners",
            Reloaded::Refused(ReloadRefused::Drain { .. }) => "refused_drain",
            Reloaded::Refused(ReloadRefused::Passed(_)) => "passed_on",
            Reloaded::Refused(ReloadRefused::Stopping) => "refused_stopping",
        }
    }
}

impl fmt::Display for Reloaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reloaded::Taken(taken) => taken.fmt(f),
            Reloaded::Unchanged => f.write_str("the configuration has not changed"),
            Reloaded::Refused(refused) => refused.fmt(f),
        }
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.warnings)?;
        let generation = self.generation;
        match self.dry_run {
            true => write!(f, "would be taken; in force is generation {generation}")?,
            false => write!(f, "generation {generation} is in force")?,
        }
        write!(f, "\nsessions drained: {} of {}", self.sessions_drained, self.sessions)?;
        if self.sessions_moved > 0 {
            write!(f, "\nsessions moved: {} of {}", self.sessions_moved, self.sessions)?;
        }
        if self.routes_with_new_rules > 0 {
            write!(f, "\nroutes with new rules: {}", self.routes_with_new_rules)?;
        }
        for (what, names) in
            [("opened", &self.listeners_opened), ("closed", &self.listeners_closed)]
        {
            if !names.is_empty() {
                write!(f, "\nlisteners {what}: {}", names.join(", "))?;
            }
        }
        if !self.at_next_start.is_empty() {
            write!(f, "\napply at the next start: {}", self.at_next_start.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for ReloadRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReloadRefused::Config(report) => write!(f, "{}", report.trim_end()),
            ReloadRefused::Build(why) => {
                write!(f, "the configuration cannot be put to work: {why}")
            }
            ReloadRefused::Listeners(errors) => write!(f, "{}", errors.join("\n")),
            ReloadRefused::Drain { sessions_drained, sessions, drain_max_percent } => write!(
                f,
                "the reload would end {sessions_drained} of {sessions} sessions, more than \
                 `reload.drain_max` allows: {drain_max_percent} % (force it if that is meant)"
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_reload_says_what_it_did() {
        let taken = Reloaded::Taken(Taken {
            generation: 7,
            sessions: 20,
            sessions_drained: 2,
            listeners_opened: vec!["https".into()],
            at_next_start: vec!["workers"],
            ..Taken::default()
        });
        assert_eq!(
            taken.to_string(),
            "generation 7 is in force\nsessions drained: 2 of 20\nlisteners opened: https\n\
             apply at the next start: workers"
        );
        let json = taken.json();
        assert_eq!((&json["outcome"], &json["generation"]), (&json!("taken"), &json!(7)));
    }

    #[test]
    fn a_refused_reload_says_the_count() {
        let refused = Reloaded::Refused(ReloadRefused::Drain {
            sessions_drained: 3,
            sessions: 9,
            drain_max_percent: 10,
        });
        assert!(refused.to_string().starts_with("the reload would end 3 of 9 sessions"));
        assert_eq!(refused.json()["sessions_drained"], 3);
        assert_eq!(refused.json()["outcome"], "refused_drain");
    }
}
