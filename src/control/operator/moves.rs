//! `POST /move`: the sessions of a backend go on with others, by command.

use std::sync::Arc;

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::Reply;
use super::drains::{self, aftermath, execute, room_beside, whole};
use super::filters::{Filters, backends};
use crate::config::{Rate, Wait};
use crate::control::drains::Drained;
use crate::control::handle::Handle;
use crate::end::Reason;
use crate::pool::Backend;
use crate::registry::{Disposition, Selector};

#[derive(Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    who: Filters,
    window: Option<Wait>,
    rate: Option<Rate>,
    dry_run: bool,
}

/// Moves the sessions of one backend. It gets no new ones until it is told back: they would fill it
/// again at once, for it would have the fewest. Those that cannot be moved stay.
pub(super) async fn move_away(handle: &Handle, ask: Ask) -> Result<Reply, Reply> {
    let Ask { who, window, rate, dry_run } = ask;
    let (Some(address), false, true) = (&who.backend, who.all, who.ids.is_empty()) else {
        let said = "a move is from one `backend` (of a `pool`); what else is given narrows its \
                    sessions down";
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    };
    let (address, pool) = (address.clone(), who.pool.clone());
    let ask = drains::Ask::of(who, window, rate, dry_run);
    let mut order = drains::order(handle, &ask, Reason::Command).await?;
    let snapshot = handle.0.app.live.now();
    let leaving: Vec<&Arc<Backend>> = backends(&snapshot, pool.as_deref(), &address).collect();
    // One that a reload removed has sessions still, and no pool that we could ask.
    let room = if leaving.is_empty() { usize::MAX } else { room_beside(&snapshot, &leaving) };
    if room == 0 {
        let said = format!("no other backend can take the sessions of `{address}`");
        return Err(Reply::no(StatusCode::CONFLICT, said));
    }
    let there = handle.count(Some(&order.who)).await.1;
    let handshaking = handshaking(handle, &leaving).await;
    order.who = Selector::AllOf([order.who, Selector::Holding].into());
    order.disposition = Disposition::MoveOrStay;
    if !dry_run {
        leaving.iter().for_each(|backend| backend.disable());
    }
    let drained = execute(handle, &order, dry_run).await;
    let stay = Stay {
        without_hold: there.saturating_sub(drained.sessions),
        without_room: drained.sessions.saturating_sub(room),
        handshaking,
    };
    Ok(said(&drained, &stay, &leaving, dry_run))
}

/// Why sessions are not moved, and how many.
struct Stay {
    /// They cannot be held.
    without_hold: usize,
    /// The others have as many as they may.
    without_room: usize,
    /// They are none yet.
    handshaking: usize,
}

/// Handshakes under way with these backends: they count there, and have no seat yet.
async fn handshaking(handle: &Handle, leaving: &[&Arc<Backend>]) -> usize {
    let who = leaving.iter().map(|one| Selector::Backend {
        pool: Arc::clone(one.pool()),
        backend: Arc::clone(one.address()),
    });
    let seated = handle.count(Some(&Selector::AnyOf(who.collect()))).await.1;
    leaving.iter().map(|one| one.sessions()).sum::<usize>().saturating_sub(seated)
}

fn said(drained: &Drained, stay: &Stay, out: &[&Arc<Backend>], dry_run: bool) -> Reply {
    let Drained { number, sessions, live, window, .. } = drained;
    let Stay { without_hold, without_room, handshaking } = stay;
    let moved = sessions - without_room;
    let over = Wait(whole(*window));
    let is = if dry_run { "would be moved" } else { "moved" };
    let mut text = format!("{is}: {moved} of {live} sessions, over {over}");
    for (count, why) in [
        (without_hold, "that cannot be held (their route has no `hold`)"),
        (without_room, "for which the other backends have no room"),
    ] {
        if *count > 0 {
            text += &format!("\nstay: {count} {why}");
        }
    }
    if *handshaking > 0 {
        text += &format!("\nin mid handshake: {handshaking}; moved when they are sessions");
    }
    text += &aftermath(drained, out, dry_run);
    let json = json!({
        "outcome": if dry_run { "dry_run" } else { "moved" },
        "drain": number,
        "sessions": moved,
        "without_hold": without_hold,
        "without_room": without_room,
        "handshaking": handshaking,
        "live": live,
        "window_seconds": window.as_secs_f64(),
        "disabled": drains::names(out),
        "text": text,
    });
    Reply::yes(text, json)
}
