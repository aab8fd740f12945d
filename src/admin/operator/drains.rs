//! `POST /drain`: the sessions of one thing close, or move.

use std::sync::Arc;

use clap::{ArgGroup, Args};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::orders::{self, CloseFields, ClosedSessions, PaceFields, carry_out};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{Filters, backends};
use crate::admin::process::Process;
use crate::base::clock;
use crate::end::Reason;
use crate::live::Snapshot;
use crate::pool::Backend;
use crate::registry::{Disposition, Selector};

/// Drains the sessions of one thing. A backend gets no new ones until it is enabled.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["route", "labels", "pool", "backend", "listener", "all", "cancel"]))]
#[serde(default)]
pub struct DrainRequest {
    #[command(flatten)]
    who: DrainTarget,
    /// Cancel the drain of this number, as `tidegate status` shows it: sessions that have not gone
    /// stay. A backend that it disabled stays so until it is enabled
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["route", "labels", "pool", "backend",
        "listener", "all", "force", "window", "rate", "deadline", "code", "dry_run"])]
    cancel: Option<u64>,
    /// Disable even the last backend of a pool
    #[arg(long, requires = "backend")]
    force: bool,
    #[command(flatten)]
    #[serde(flatten)]
    closing: CloseFields,
    #[command(flatten)]
    #[serde(flatten)]
    pace: PaceFields,
}

/// The one thing whose sessions are drained.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub struct DrainTarget {
    /// The sessions of a route; new ones may come
    #[arg(long, value_name = "ROUTE", conflicts_with_all = ["pool", "backend", "listener", "all"])]
    route: Option<String>,
    /// The sessions of a pool; new ones may come. With `--backend`: of this pool only
    #[arg(long, value_name = "POOL", conflicts_with_all = ["listener", "all"])]
    pool: Option<String>,
    /// The sessions of a backend, by its address; it gets no new ones until it is enabled. On
    /// routes with `hold` they go on with another backend, where there is one
    #[arg(long, value_name = "ADDRESS", conflicts_with_all = ["listener", "all"])]
    backend: Option<String>,
    /// The sessions that came in by a listener; new ones may come
    #[arg(long, value_name = "LISTENER", conflicts_with = "all")]
    listener: Option<String>,
    /// Every session; new ones may come
    #[arg(long)]
    all: bool,
    /// The sessions with this label, given again those that have each of them; with `--route`
    /// those of the route. New ones may come
    #[arg(long = "label", value_name = "NAME=VALUE",
        conflicts_with_all = ["pool", "backend", "listener", "all"])]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

impl OperatorRequest for DrainRequest {
    const PATH: &'static str = "/drain";

    fn waits(&self) -> bool {
        self.pace.wait
    }

    /// The newest process has looked whether the last backend of a pool goes.
    fn for_older(&self) -> Value {
        let mut body = json!(self);
        body["force"] = true.into();
        body
    }
}

const DRAINED: &str = "drained";

pub(super) async fn drain(
    process: &impl Process,
    asker: Asker,
    request: DrainRequest,
) -> Result<Reply, Reply> {
    let DrainRequest { who, cancel, .. } = &request;
    let DrainTarget { all, route, pool, backend, listener, labels } = who;
    let a_backends = backend.is_some() || pool.is_some();
    let a_routes = route.is_some() || !labels.is_empty();
    let things = [*all, a_routes, listener.is_some(), a_backends, cancel.is_some()];
    if things.iter().filter(|given| **given).count() != 1 {
        let text = "a drain is of one thing: `route` or `labels` (of a `route`), `pool`, `backend` \
                    (of a `pool`), `listener` or `all` (`tidegate kick` takes single sessions); or \
                    `cancel` names one";
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    if let Some(number) = *cancel {
        let here = async |_| cancel_here(process, number).await;
        let cancelled = Everywhere::run(process, asker, &request, here).await?;
        let text = format!("cancelled: {} sessions stay", cancelled.total.sessions);
        return Ok(cancelled.reply(text));
    }
    let here = async |asker| drain_here(process, asker, &request).await;
    let drained = Everywhere::run(process, asker, &request, here).await?;
    let text = drained.total.text(DRAINED);
    Ok(drained.reply(text))
}

async fn drain_here(
    process: &impl Process,
    asker: Asker,
    request: &DrainRequest,
) -> Result<ClosedSessions, Reply> {
    let DrainRequest { who, force, closing, pace, .. } = request;
    let selector = Filters::from(who).selector(process).await?;
    let mut order = orders::order(process, asker, selector, Reason::Command, pace, closing)?;
    let snapshot = process.snapshot();
    let leaving: Vec<&Arc<Backend>> = match &who.backend {
        Some(address) => backends(&snapshot, who.pool.as_deref(), address).collect(),
        None => Vec::new(),
    };
    let room = room_beside(&snapshot, &leaving);
    if !force {
        leave_one(&snapshot, &leaving)?;
    }
    if !pace.dry_run {
        // Before its sessions hear of it: they come back at once.
        leaving.iter().for_each(|backend| backend.disable());
    }
    if who.backend.is_some() && room > 0 {
        order.disposition = Disposition::MoveOrClose(Selector::All);
    }
    let mut begun = carry_out(process, &order, pace.dry_run).await;
    begun.moved = begun.moved.min(room);
    Ok(ClosedSessions::new(&begun, &leaving, pace.dry_run, DRAINED))
}

/// A drain that was cancelled.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct CancelledDrain {
    outcome: String,
    drain: u64,
    /// Those that stay.
    sessions: usize,
}

impl CommandOutcome for CancelledDrain {
    fn add(&mut self, other: CancelledDrain) {
        let sessions = self.sessions + other.sessions;
        *self = CancelledDrain { sessions, ..other };
    }

    fn sessions(&self) -> usize {
        self.sessions
    }
}

async fn cancel_here(process: &impl Process, drain: u64) -> Result<CancelledDrain, Reply> {
    let Some(sessions) = process.drains().cancel(drain).await else {
        let text = format!(
            "no drain {drain} is under way that can be cancelled (`tidegate status` lists them; \
             those of a stop and of an upgrade cannot)"
        );
        return Err(Reply::no(StatusCode::NOT_FOUND, text));
    };
    Ok(CancelledDrain { outcome: "cancelled".to_owned(), drain, sessions })
}

/// The last backend that works is not disabled by mistake.
fn leave_one(snapshot: &Snapshot, leaving: &[&Arc<Backend>]) -> Result<(), Reply> {
    for backend in leaving {
        let Some(pool) = snapshot.pools.get(backend.pool()) else { continue };
        if pool.room_beside(leaving, clock::now()) == 0 {
            let text = format!(
                "backend `{}` is the last of pool `{}` that is up and has room: its clients would \
                 read 503 when they come back (force it if that is wanted)",
                backend.address(),
                backend.pool()
            );
            return Err(Reply::no(StatusCode::CONFLICT, text));
        }
    }
    Ok(())
}

/// Sessions that there is room for elsewhere when these backends are left; in each pool for its
/// own. One that a reload removed has no pool that could be asked.
pub(super) fn room_beside(snapshot: &Snapshot, leaving: &[&Arc<Backend>]) -> usize {
    if leaving.is_empty() {
        return usize::MAX;
    }
    let room = leaving.iter().filter_map(|one| snapshot.pools.get(one.pool()));
    room.map(|pool| pool.room_beside(leaving, clock::now())).fold(0, usize::saturating_add)
}

impl From<&DrainTarget> for Filters {
    fn from(target: &DrainTarget) -> Filters {
        let DrainTarget { route, pool, backend, listener, labels, .. } = target;
        Filters {
            route: route.clone(),
            pool: pool.clone(),
            backend: backend.clone(),
            listener: listener.clone(),
            labels: labels.clone(),
            ..Filters::default()
        }
    }
}
