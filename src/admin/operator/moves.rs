//! `POST /move`: the sessions of a backend go on with others.

use std::sync::Arc;

use clap::Args;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::drains::room_beside;
use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::orders::{self, BegunDrain, CloseFields, PaceFields, carry_out};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{Filters, backends};
use crate::admin::process::Process;
use crate::drain::Begun;
use crate::end::Reason;
use crate::pool::Backend;
use crate::registry::{Disposition, Selector};

const AFTER_HELP: &str = "\
Sessions of routes without `hold`, and those that no other backend has room for, are counted and
stay as they are. So do those that no other backend takes up, which is asked first: `--wait` and
`tidegate status` count them. `tidegate drain --backend` closes them as well. The backend gets no
new sessions until `tidegate enable`: it would have the fewest, and fill again at once.";

/// Moves the sessions of one backend. It gets no new ones until it is enabled: they would fill it
/// again at once, for it would have the fewest. Those that cannot be moved stay.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(after_help = AFTER_HELP)]
#[serde(default)]
pub struct MoveRequest {
    #[command(flatten)]
    who: MoveTarget,
    #[command(flatten)]
    #[serde(flatten)]
    pace: PaceFields,
}

/// The backend whose sessions move.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub struct MoveTarget {
    /// The backend to leave, by its address; it gets no new sessions until it is enabled
    #[arg(long = "from", value_name = "ADDRESS", required = true)]
    backend: Option<String>,
    /// Its pool, where it is in several
    #[arg(long, value_name = "POOL")]
    pool: Option<String>,
    /// Only the sessions of a route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// Only those with this label; given again, they must have each of them
    #[arg(long = "label", value_name = "NAME=VALUE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
}

impl OperatorRequest for MoveRequest {
    const PATH: &'static str = "/move";

    fn waits(&self) -> bool {
        self.pace.wait
    }
}

const MOVED: &str = "moved";

pub(super) async fn move_away(
    process: &impl Process,
    asker: Asker,
    request: MoveRequest,
) -> Result<Reply, Reply> {
    let Some(address) = &request.who.backend else {
        let text = "a move is from one `backend` (of a `pool`); what else is given narrows its \
                    sessions down";
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    };
    let here = async |asker| move_here(process, asker, address, &request).await;
    let moved = Everywhere::run(process, asker, &request, here).await?;
    let text = moved.total.text();
    Ok(moved.reply(text))
}

async fn move_here(
    process: &impl Process,
    asker: Asker,
    address: &str,
    request: &MoveRequest,
) -> Result<MovedSessions, Reply> {
    let MoveRequest { who: MoveTarget { backend, pool, route, labels }, pace } = request;
    let (backend, on, route) = (backend.clone(), pool.clone(), route.clone());
    let labels = labels.clone();
    let selector = Filters { backend, pool: on, route, labels, ..Filters::default() };
    let selector = selector.selector(process).await?;
    let closing = CloseFields::default();
    let mut order = orders::order(process, asker, selector, Reason::Command, pace, &closing)?;
    let snapshot = process.snapshot();
    let leaving: Vec<&Arc<Backend>> = backends(&snapshot, pool.as_deref(), address).collect();
    let room = room_beside(&snapshot, &leaving);
    if room == 0 {
        let text = format!("no other backend can take the sessions of `{address}`");
        return Err(Reply::no(StatusCode::CONFLICT, text));
    }
    let there = process.sessions().count(&order.selector).await.matched;
    let handshaking = handshaking(process, &leaving).await;
    order.selector = Selector::AllOf([order.selector, Selector::Holding].into());
    order.disposition = Disposition::MoveOrStay;
    if !pace.dry_run {
        leaving.iter().for_each(|backend| backend.disable());
    }
    let begun = carry_out(process, &order, pace.dry_run).await;
    let without_room = begun.sessions.saturating_sub(room);
    let moved = Begun { sessions: begun.sessions - without_room, ..begun };
    Ok(MovedSessions {
        begun: BegunDrain::new(&moved, &leaving, pace.dry_run, MOVED),
        without_hold: there.saturating_sub(begun.sessions),
        without_room,
        handshaking,
    })
}

/// What a move came to: those that are moved, and why others are not.
#[derive(Serialize, Deserialize, Clone, Default, Debug)]
#[serde(default)]
struct MovedSessions {
    #[serde(flatten)]
    begun: BegunDrain,
    /// They cannot be held.
    without_hold: usize,
    /// The others have as many as they may.
    without_room: usize,
    /// They are none yet.
    handshaking: usize,
}

impl MovedSessions {
    /// For people.
    fn text(&self) -> String {
        let mut text = self.begun.headline("asked to move");
        for (count, why) in [
            (self.without_hold, "that cannot be held (their route has no `hold`)"),
            (self.without_room, "for which the other backends have no room"),
        ] {
            if count > 0 {
                text += &format!("\nstay: {count} {why}");
            }
        }
        if self.handshaking > 0 {
            let count = self.handshaking;
            text += &format!("\nin mid handshake: {count}; moved when they are sessions");
        }
        text + &self.begun.aftermath()
    }
}

impl CommandOutcome for MovedSessions {
    fn add(&mut self, other: MovedSessions) {
        self.begun.add(other.begun);
        self.without_hold += other.without_hold;
        self.without_room += other.without_room;
        self.handshaking += other.handshaking;
    }

    fn sessions(&self) -> usize {
        self.begun.sessions
    }
}

/// Handshakes under way with these backends: they count there, and have no seat yet.
async fn handshaking(process: &impl Process, leaving: &[&Arc<Backend>]) -> usize {
    let on = leaving.iter().map(|one| Selector::Backend {
        pool: Arc::clone(one.pool()),
        backend: Arc::clone(one.address()),
    });
    let seated = process.sessions().count(&Selector::AnyOf(on.collect())).await.matched;
    leaving.iter().map(|one| one.sessions()).sum::<usize>().saturating_sub(seated)
}
