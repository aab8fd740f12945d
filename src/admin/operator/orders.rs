//! What the commands that drain sessions have in common: how fast, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome};
use super::reply::Reply;
use super::request::{shown, value};
use super::selectors::age;
use crate::admin::process::{Phase, Process};
use crate::config::{Rate, Wait};
use crate::drain::{self, Begun, DrainOrder};
use crate::end::Reason;
use crate::pool::Backend;
use crate::registry::Selector;
use crate::wire::control::close_code_is_valid;

/// How fast sessions are told, and whether it is waited for.
#[derive(Args, Serialize, Deserialize, Clone, Default, Debug)]
#[command(next_help_heading = "How")]
#[serde(default)]
pub struct PaceFields {
    /// Spread them over this time at least
    #[arg(long, value_name = "TIME", value_parser = value::<Wait>)]
    #[serde(serialize_with = "shown")]
    window: Option<Wait>,
    /// Sessions per second at most, such as `100/s`; more sessions lengthen the window
    #[arg(long, value_name = "RATE", value_parser = value::<Rate>)]
    #[serde(serialize_with = "shown")]
    rate: Option<Rate>,
    /// Say how many sessions it would touch, and touch none
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Wait until the last one has gone, and say what became of them
    #[arg(long, conflicts_with = "dry_run")]
    #[serde(skip)]
    pub(super) wait: bool,
}

/// How those are closed that are.
#[derive(Args, Serialize, Deserialize, Clone, Default, Debug)]
#[command(next_help_heading = "How")]
#[serde(default)]
pub struct CloseFields {
    /// Cut what is left after this time; 30 s after the window when not given
    #[arg(long, value_name = "TIME", value_parser = value::<Wait>)]
    #[serde(serialize_with = "shown")]
    deadline: Option<Wait>,
    /// The close code for the clients, such as `4000`
    #[arg(long, value_name = "CODE")]
    code: Option<u16>,
}

impl PaceFields {
    /// Whether a window was asked for.
    pub(super) fn has_window(&self) -> bool {
        self.window.is_some()
    }
}

/// The order to close these sessions, at the pace asked for; else at the configuration's.
pub(super) fn order(
    process: &impl Process,
    asker: Asker,
    selector: Selector,
    reason: Reason,
    pace: &PaceFields,
    closing: &CloseFields,
) -> Result<DrainOrder, Reply> {
    // A process that stops drains everything already; one that was replaced keeps its sessions.
    if process.phase() != Phase::Running && !asker.is_newer() {
        return Err(Reply::no(StatusCode::SERVICE_UNAVAILABLE, "the process stops"));
    }
    if let Some(code) = closing.code.filter(|code| !close_code_is_valid(*code)) {
        let text = format!("no close code that may be sent (RFC 6455 §7.4): {code}");
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let plan = drain::Pace::of(&process.snapshot().plan.drain);
    let pace = drain::Pace {
        window: pace.window.map_or(plan.window, |window| window.0),
        rate_max: pace.rate.map_or(plan.rate_max, |rate| rate.0),
        deadline: closing.deadline.map(|deadline| deadline.0),
    };
    let (code, number) = (closing.code, asker.drain());
    Ok(DrainOrder { code, number, ..DrainOrder::close(selector, reason, pace) })
}

/// Carries an order out, or only says what it would come to.
pub(super) async fn carry_out(process: &impl Process, order: &DrainOrder, dry_run: bool) -> Begun {
    match dry_run {
        true => process.drains().preview(order).await,
        false => process.drains().begin(order).await,
    }
}

/// A backend, by its names.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct BackendName {
    pub(super) pool: String,
    pub(super) backend: String,
}

impl BackendName {
    /// The names of these.
    pub(super) fn of(backends: &[&Arc<Backend>]) -> Vec<BackendName> {
        let name = |one: &&Arc<Backend>| BackendName {
            pool: one.pool().to_string(),
            backend: one.address().to_string(),
        };
        backends.iter().map(name).collect()
    }

    /// Adds those that are not there yet.
    pub(super) fn add(names: &mut Vec<BackendName>, more: Vec<BackendName>) {
        let new: Vec<_> = more.into_iter().filter(|name| !names.contains(name)).collect();
        names.extend(new);
    }
}

/// What a drain came to that was begun, or would be.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
#[serde(default)]
pub(super) struct BegunDrain {
    pub(super) outcome: String,
    /// Its number; 0 where it is not followed.
    drain: u64,
    /// Sessions told.
    pub(super) sessions: usize,
    pub(super) live: usize,
    window_seconds: f64,
    /// Backends that get no new sessions.
    disabled: Vec<BackendName>,
}

impl BegunDrain {
    /// `done` is the word for what was done.
    pub(super) fn new(
        begun: &Begun,
        disabled: &[&Arc<Backend>],
        dry_run: bool,
        done: &str,
    ) -> BegunDrain {
        BegunDrain {
            outcome: if dry_run { DRY_RUN } else { done }.to_owned(),
            drain: begun.number,
            sessions: begun.sessions,
            live: begun.live,
            window_seconds: begun.window().as_secs_f64(),
            disabled: BackendName::of(disabled),
        }
    }

    /// The same drain in another process.
    pub(super) fn add(&mut self, other: BegunDrain) {
        let BegunDrain { outcome, drain, sessions, live, window_seconds, disabled } = other;
        if self.outcome.is_empty() {
            self.outcome = outcome;
        }
        if self.drain == 0 {
            self.drain = drain;
        }
        self.sessions += sessions;
        self.live += live;
        self.window_seconds = self.window_seconds.max(window_seconds);
        BackendName::add(&mut self.disabled, disabled);
    }

    fn is_dry_run(&self) -> bool {
        self.outcome == DRY_RUN
    }

    /// How many, in words.
    pub(super) fn headline(&self, done: &str) -> String {
        let BegunDrain { sessions, live, .. } = self;
        let would = if self.is_dry_run() { "would be " } else { "" };
        let pace = match self.window_seconds {
            0.0 => "at once".to_owned(),
            window => format!("over {}", shown_seconds(window)),
        };
        format!("{would}{done}: {sessions} of {live} sessions, {pace}")
    }

    /// How it goes on: the number it is followed by, and what no longer gets new sessions.
    pub(super) fn aftermath(&self) -> String {
        let mut text = String::new();
        let BegunDrain { drain, sessions, disabled, .. } = self;
        if *sessions > 0 && !self.is_dry_run() {
            text += &match drain {
                0 => "\ntoo many drains are under way for this one to be followed".to_owned(),
                _ => format!("\ndrain: {drain} (`tidegate status` shows how far it is)"),
            };
        }
        if !disabled.is_empty() {
            let gets = if self.is_dry_run() { "would get" } else { "gets" };
            let until = "no new sessions until `tidegate enable`, or a reload that changes it";
            text += &format!("\n{}", lines(disabled, &format!("{gets} {until}")));
        }
        text
    }
}

/// The word for an outcome that is none.
const DRY_RUN: &str = "dry_run";

/// What a command came to that closes sessions.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
#[serde(default)]
pub(super) struct ClosedSessions {
    #[serde(flatten)]
    begun: BegunDrain,
    /// Those that move to other backends instead.
    moved: usize,
    deadline_seconds: f64,
}

impl ClosedSessions {
    pub(super) fn new(
        begun: &Begun,
        disabled: &[&Arc<Backend>],
        dry_run: bool,
        done: &str,
    ) -> ClosedSessions {
        ClosedSessions {
            moved: begun.moved,
            deadline_seconds: begun.deadline.as_secs_f64(),
            begun: BegunDrain::new(begun, disabled, dry_run, done),
        }
    }

    /// For people.
    pub(super) fn text(&self, done: &str) -> String {
        let ClosedSessions { begun, moved, deadline_seconds } = self;
        let mut text = begun.headline(done);
        text += &format!("; what is left after {} is cut", shown_seconds(*deadline_seconds));
        if *moved > 0 {
            text += &format!("\n{moved} of them move to other backends instead (`hold`)");
        }
        text + &begun.aftermath()
    }
}

impl CommandOutcome for ClosedSessions {
    fn add(&mut self, other: ClosedSessions) {
        self.begun.add(other.begun);
        self.moved += other.moved;
        self.deadline_seconds = self.deadline_seconds.max(other.deadline_seconds);
    }

    fn sessions(&self) -> usize {
        self.begun.sessions
    }
}

/// A time as configuration writes it.
pub(super) fn shown_seconds(seconds: f64) -> String {
    let time = whole(Duration::try_from_secs_f64(seconds).unwrap_or_default());
    // Of a day and half a minute nobody reads the seconds.
    let is_long = time >= Duration::from_secs(3_600) && !time.as_secs().is_multiple_of(3_600);
    if is_long { age(seconds) } else { Wait(time).to_string() }
}

/// Whole seconds, where there are some: more is not read.
fn whole(time: Duration) -> Duration {
    if time.as_secs() < 5 { time } else { Duration::from_secs(time.as_secs()) }
}

/// A line for each backend.
pub(super) fn lines(backends: &[BackendName], does: &str) -> String {
    let line = |BackendName { pool, backend }: &BackendName| {
        format!("backend `{backend}` of pool `{pool}` {does}")
    };
    backends.iter().map(line).collect::<Vec<_>>().join("\n")
}
