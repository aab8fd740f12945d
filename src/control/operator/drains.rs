//! `POST /drain`, `/kick` and `/enable`: sessions and backends are let go by command.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::filters::{Filters, backends, no_backend};
use super::{Reply, runs};
use crate::base::clock;
use crate::config::{Rate, Wait};
use crate::control::drains::{DRAINS_MAX, Drained, Order, Pace};
use crate::control::handle::Handle;
use crate::end::Reason;
use crate::live::Snapshot;
use crate::pool::Backend;
use crate::registry::{Disposition, Selector};
use crate::wire::control::close_code_is_valid;

#[derive(Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    who: Filters,
    window: Option<Wait>,
    rate: Option<Rate>,
    deadline: Option<Wait>,
    code: Option<u16>,
    /// Even the last backend of a pool.
    force: bool,
    dry_run: bool,
}

impl Ask {
    /// Only whom, how fast, and whether only to say it.
    pub(super) fn of(who: Filters, window: Option<Wait>, rate: Option<Rate>, dry_run: bool) -> Ask {
        Ask { who, window, rate, dry_run, ..Ask::default() }
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct Enable {
    backend: String,
    #[serde(default)]
    pool: Option<String>,
}

/// Lets the sessions of one thing go. A backend gets no new ones until it is told back.
pub(super) async fn drain(handle: &Handle, ask: Ask) -> Result<Reply, Reply> {
    let Filters { all, route, pool, backend, listener, client, older_than, ids } = &ask.who;
    let whole = [*all, route.is_some(), listener.is_some(), backend.is_some() || pool.is_some()];
    let narrower = client.is_some() || older_than.is_some() || !ids.is_empty();
    if narrower || whole.iter().filter(|given| **given).count() != 1 {
        let said = "a drain is of one thing: `route`, `pool`, `backend` (of a `pool`), `listener` \
                    or `all` (`tidegate kick` takes single sessions)";
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    }
    let mut order = order(handle, &ask, Reason::Command).await?;
    let snapshot = handle.0.app.live.now();
    let leaving: Vec<&Arc<Backend>> = match backend {
        Some(address) => backends(&snapshot, pool.as_deref(), address).collect(),
        None => Vec::new(),
    };
    if !ask.force {
        leave_one(&snapshot, &leaving)?;
    }
    if !ask.dry_run {
        // Before its sessions hear of it: they come back at once.
        leaving.iter().for_each(|backend| backend.disable());
    }
    if backend.is_some() && (leaving.is_empty() || room_beside(&snapshot, &leaving) > 0) {
        order.disposition = Disposition::MoveOrClose(Selector::All);
    }
    let drained = execute(handle, &order, ask.dry_run).await;
    Ok(said(&drained, &leaving, ask.dry_run, "drained"))
}

/// Lets single sessions go, at once.
pub(super) async fn kick(handle: &Handle, ask: Ask) -> Result<Reply, Reply> {
    if ask.who.is_empty() {
        let said = "say whom to kick: ids, `route`, `client` …, or `all`";
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    }
    let mut order = order(handle, &ask, Reason::Kick).await?;
    if ask.window.is_none() {
        order.pace.window = Duration::ZERO;
    }
    let drained = execute(handle, &order, ask.dry_run).await;
    if drained.sessions == 0 {
        return Err(Reply::no(StatusCode::NOT_FOUND, "no live session is meant"));
    }
    Ok(said(&drained, &[], ask.dry_run, "kicked"))
}

/// Gives a backend work again.
pub(super) fn enable(handle: &Handle, ask: &Enable) -> Result<Reply, Reply> {
    let snapshot = handle.0.app.live.now();
    let (pool, address) = (ask.pool.as_deref(), ask.backend.as_str());
    let found: Vec<&Arc<Backend>> = backends(&snapshot, pool, address).collect();
    if found.is_empty() {
        return Err(no_backend(&snapshot, pool, address));
    }
    let back: Vec<&Arc<Backend>> = found.into_iter().filter(|one| one.enable()).collect();
    let outcome = if back.is_empty() { "unchanged" } else { "enabled" };
    let text = match back.as_slice() {
        [] => format!("backend `{address}` was not disabled by a command"),
        back => lines(back, "gets new sessions again"),
    };
    Ok(Reply::yes(text, json!({ "outcome": outcome, "enabled": names(&back) })))
}

/// What is common to all orders, at the pace asked for; else at the configuration's.
pub(super) async fn order(handle: &Handle, ask: &Ask, why: Reason) -> Result<Order, Reply> {
    runs(handle)?;
    if let Some(code) = ask.code.filter(|code| !close_code_is_valid(*code)) {
        let said = format!("no close code that may be sent (RFC 6455 §7.4): {code}");
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    }
    if !ask.dry_run && handle.drains().len() >= DRAINS_MAX {
        let said = format!("drains under way already: {DRAINS_MAX} (`tidegate status` lists them)");
        return Err(Reply::no(StatusCode::SERVICE_UNAVAILABLE, said));
    }
    let who = ask.who.who(handle).await?;
    let plan = Pace::of(&handle.0.app.live.now().plan.drain);
    let pace = Pace {
        window: ask.window.map_or(plan.window, |window| window.0),
        rate_max: ask.rate.map_or(plan.rate_max, |rate| rate.0),
        deadline: ask.deadline.map(|deadline| deadline.0),
    };
    Ok(Order { who, disposition: Disposition::Close, why, code: ask.code, pace })
}

pub(super) async fn execute(handle: &Handle, order: &Order, dry_run: bool) -> Drained {
    match dry_run {
        true => handle.would_let_go(order).await,
        false => handle.let_go(order).await,
    }
}

/// The last backend that works is not taken out by mistake.
fn leave_one(snapshot: &Snapshot, leaving: &[&Arc<Backend>]) -> Result<(), Reply> {
    for backend in leaving {
        let Some(pool) = snapshot.pools.get(backend.pool()) else { continue };
        let mut others = pool.backends().iter().filter(|one| !Arc::ptr_eq(one, backend));
        if others.all(|one| one.is_disabled()) {
            let said = format!(
                "backend `{}` is the last of pool `{}` that gets sessions: its clients would read \
                 503 when they come back (force it if that is meant)",
                backend.address(),
                backend.pool()
            );
            return Err(Reply::no(StatusCode::CONFLICT, said));
        }
    }
    Ok(())
}

fn said(drained: &Drained, out: &[&Arc<Backend>], dry_run: bool, done: &str) -> Reply {
    let Drained { number, sessions, moved, live, window, deadline } = drained;
    let (over, within) = (Wait(whole(*window)), Wait(whole(*deadline)));
    let mut text = match dry_run {
        true => format!("would be {done}: {sessions} of {live} sessions, over {over}"),
        false => format!("{done}: {sessions} of {live} sessions, over {over}"),
    };
    text += &format!("; what is left after {within} is cut");
    if *moved > 0 {
        text += &format!("\n{moved} of them move to other backends instead (`hold`)");
    }
    text += &aftermath(drained, out, dry_run);
    let json = json!({
        "outcome": if dry_run { "dry_run" } else { done },
        "drain": number,
        "sessions": sessions,
        "moved": moved,
        "live": live,
        "window_seconds": window.as_secs_f64(),
        "deadline_seconds": deadline.as_secs_f64(),
        "disabled": names(out),
        "text": text,
    });
    Reply::yes(text, json)
}

/// How it goes on: the number it is followed by, and what no longer gets new sessions.
pub(super) fn aftermath(drained: &Drained, out: &[&Arc<Backend>], dry_run: bool) -> String {
    let mut text = String::new();
    let Drained { number, sessions, .. } = drained;
    if *number > 0 && *sessions > 0 {
        text += &format!("\ndrain: {number} (`tidegate status` shows how far it is)");
    }
    if !out.is_empty() {
        let is = if dry_run { "would get" } else { "gets" };
        let until = "no new sessions until `tidegate enable`, or a reload that changes it";
        text += &format!("\n{}", lines(out, &format!("{is} {until}")));
    }
    text
}

/// Sessions that there is room for elsewhere when these backends are left; in each pool for its
/// own.
pub(super) fn room_beside(snapshot: &Snapshot, leaving: &[&Arc<Backend>]) -> usize {
    let room = leaving.iter().filter_map(|one| snapshot.pools.get(one.pool()));
    room.map(|pool| pool.room_beside(leaving, clock::now())).fold(0, usize::saturating_add)
}

/// Whole seconds, where there are some: nobody reads more.
pub(super) fn whole(time: Duration) -> Duration {
    if time.as_secs() < 5 { time } else { Duration::from_secs(time.as_secs()) }
}

fn lines(backends: &[&Arc<Backend>], does: &str) -> String {
    let line = |one: &&Arc<Backend>| {
        format!("backend `{}` of pool `{}` {does}", one.address(), one.pool())
    };
    backends.iter().map(line).collect::<Vec<_>>().join("\n")
}

pub(super) fn names(backends: &[&Arc<Backend>]) -> Vec<Value> {
    let name = |one: &&Arc<Backend>| json!({ "pool": &**one.pool(), "backend": &**one.address() });
    backends.iter().map(name).collect()
}
