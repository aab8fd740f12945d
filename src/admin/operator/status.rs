//! `GET /status`: what lives in the process.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};

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
pub(super) async fn status(process: &impl Process) -> Reply {
    let phase = match process.phase() {
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Stopped(_) => "stopped",
    };
    let counts = process.counts().await;
    let now = clock::now();
    let snapshot = process.snapshot();
    let generation = snapshot.generation;
    let health: Vec<BackendHealth> =
        snapshot.pools.values().flat_map(|pool| pool.health(now)).collect();
    let held: u64 = snapshot.routes.iter().map(|route| route.cells.held()).sum();
    let drains = process.drains().under_way();
    let mut text = format!(
        "phase: {phase}\ngeneration: {generation}\nsessions: {}\nheld: {held}\nconnections: {}\n\
         leases: {}\ntasks: {}",
        counts.sessions, counts.connections, counts.leases, counts.tasks
    );
    // Writing to a string cannot fail.
    for one in &health {
        let backend = &one.backend;
        let (pool, address) = (backend.pool(), backend.address());
        let (word, sessions) = (standing(one), backend.sessions());
        let _ = write!(text, "\nbackend {address} of {pool}: {word}, {sessions} sessions");
    }
    for (number, Progress { reason, name, sessions, count, ends, cuts, .. }) in &drains {
        let (reason, left, rest) = (reason.label(), count.left, age(ends.since(now)));
        let then = if *cuts { "cut" } else { "given up" };
        let _ = write!(
            text,
            "\ndrain {number} ({reason}) of {name}: {left} of {sessions} left, {then} in {rest}"
        );
    }
    let json = json!({
        "phase": phase,
        "generation": generation,
        "sessions": counts.sessions,
        "held": held,
        "connections": counts.connections,
        "leases": counts.leases,
        "tasks": counts.tasks,
        "backends": health.iter().map(backend_row).collect::<Vec<_>>(),
        "drains": drains.iter().map(|one| drain_row(one, now)).collect::<Vec<_>>(),
        "drains_finished":
            process.drains().finished().iter().map(|one| drain_row(one, now)).collect::<Vec<_>>(),
    });
    Reply::yes(text, json)
}

/// How a backend stands, in a word.
fn standing(one: &BackendHealth) -> &'static str {
    match one.standing {
        _ if one.backend.is_disabled() => "disabled",
        Standing::Up => "in",
        Standing::Trial => "due",
        Standing::Ejected { .. } => "out",
    }
}

fn backend_row(one: &BackendHealth) -> Value {
    json!({
        "pool": &**one.backend.pool(),
        "backend": &**one.backend.address(),
        "standing": standing(one),
        "up": one.up,
        "sessions": one.backend.sessions(),
        "requests": one.backend.requests(),
    })
}

fn drain_row((number, progress): &(u64, Progress), now: Moment) -> Value {
    json!({
        "drain": number,
        "reason": progress.reason.label(),
        "of": progress.name,
        "sessions": progress.sessions,
        "left": progress.count.left,
        "moved": progress.count.moved,
        "stayed": progress.count.stayed,
        "withdrawn": progress.count.withdrawn,
        "age_seconds": now.since(progress.began).as_secs_f64(),
        "cut_in_seconds": progress.ends.since(now).as_secs_f64(),
    })
}
