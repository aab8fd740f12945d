//! What the commands that drain sessions have in common: how fast, and what is said of it.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::{shown, value};
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
    selector: Selector,
    reason: Reason,
    pace: &PaceFields,
    closing: &CloseFields,
) -> Result<DrainOrder, Reply> {
    // A process that stops drains everything already.
    if process.phase() != Phase::Running {
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
    Ok(DrainOrder { code: closing.code, ..DrainOrder::close(selector, reason, pace) })
}

/// Carries an order out, or only says what it would come to.
pub(super) async fn carry_out(process: &impl Process, order: &DrainOrder, dry_run: bool) -> Begun {
    match dry_run {
        true => process.drains().preview(order).await,
        false => process.drains().begin(order).await,
    }
}

/// What is said of sessions that are closed.
pub(super) fn closed(
    begun: &Begun,
    disabled: &[&Arc<Backend>],
    dry_run: bool,
    done: &str,
) -> Reply {
    let Begun { number, sessions, moved, live, deadline, .. } = begun;
    let (window, within) = (Wait(whole(begun.window())), Wait(whole(*deadline)));
    let mut text = match dry_run {
        true => format!("would be {done}: {sessions} of {live} sessions, over {window}"),
        false => format!("{done}: {sessions} of {live} sessions, over {window}"),
    };
    text += &format!("; what is left after {within} is cut");
    if *moved > 0 {
        text += &format!("\n{moved} of them move to other backends instead (`hold`)");
    }
    text += &aftermath(begun, disabled, dry_run);
    let json = json!({
        "outcome": if dry_run { "dry_run" } else { done },
        "drain": number,
        "sessions": sessions,
        "moved": moved,
        "live": live,
        "window_seconds": begun.window().as_secs_f64(),
        "deadline_seconds": deadline.as_secs_f64(),
        "disabled": names(disabled),
        "text": text,
    });
    Reply::yes(text, json)
}

/// How it goes on: the number it is followed by, and what no longer gets new sessions.
pub(super) fn aftermath(begun: &Begun, disabled: &[&Arc<Backend>], dry_run: bool) -> String {
    let mut text = String::new();
    let Begun { number, sessions, .. } = begun;
    if *sessions > 0 && !dry_run {
        text += &match number {
            0 => "\ntoo many drains are under way for this one to be followed".to_owned(),
            _ => format!("\ndrain: {number} (`tidegate status` shows how far it is)"),
        };
    }
    if !disabled.is_empty() {
        let gets = if dry_run { "would get" } else { "gets" };
        let until = "no new sessions until `tidegate enable`, or a reload that changes it";
        text += &format!("\n{}", lines(disabled, &format!("{gets} {until}")));
    }
    text
}

/// Whole seconds, where there are some: more is not read.
pub(super) fn whole(time: Duration) -> Duration {
    if time.as_secs() < 5 { time } else { Duration::from_secs(time.as_secs()) }
}

/// A line for each backend.
pub(super) fn lines(backends: &[&Arc<Backend>], does: &str) -> String {
    let line = |one: &&Arc<Backend>| {
        format!("backend `{}` of pool `{}` {does}", one.address(), one.pool())
    };
    backends.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The backends, for programs.
pub(super) fn names(backends: &[&Arc<Backend>]) -> Vec<Value> {
    let name = |one: &&Arc<Backend>| json!({ "pool": &**one.pool(), "backend": &**one.address() });
    backends.iter().map(name).collect()
}
