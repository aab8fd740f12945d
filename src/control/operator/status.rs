//! `GET /status`: what lives in the process.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::Reply;
use super::filters::age;
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::control::drains::Progress;
use crate::control::handle::{Handle, Phase};
use crate::pool::{BackendHealth, Standing};

/// Tells what lives, how every backend stands, and how far every drain is.
pub(super) async fn status(handle: &Handle) -> Reply {
    let phase = match handle.phase() {
        Phase::Running => "running",
        Phase::Draining => "draining",
        Phase::Stopped(_) => "stopped",
    };
    let counts = handle.counts().await;
    let generation = handle.generation();
    let now = clock::now();
    let snapshot = handle.0.app.live.now();
    let health: Vec<BackendHealth> =
        snapshot.pools.values().flat_map(|pool| pool.health(now)).collect();
    let held: u64 = snapshot.routes.iter().map(|route| route.cells.held()).sum();
    let drains = handle.drains();
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
    for (number, Progress { why, who, sessions, tally, ends, cuts, .. }) in &drains {
        let (why, left, rest) = (why.label(), tally.left, age(ends.since(now)));
        let then = if *cuts { "cut" } else { "over" };
        let _ = write!(
            text,
            "\ndrain {number} ({why}) of {who}: {left} of {sessions} left, {then} in {rest}"
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
        "drains_over":
            handle.drains_over().iter().map(|one| drain_row(one, now)).collect::<Vec<_>>(),
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
        "why": progress.why.label(),
        "who": progress.who,
        "sessions": progress.sessions,
        "left": progress.tally.left,
        "moved": progress.tally.moved,
        "stayed": progress.tally.stayed,
        "age_seconds": now.since(progress.began).as_secs_f64(),
        "cut_in_seconds": progress.ends.since(now).as_secs_f64(),
    })
}
