//! `POST /kick`: single sessions end at once.

use std::time::Duration;

use clap::{ArgGroup, Args};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome as _, Everywhere};
use super::orders::{self, CloseFields, ClosedSessions, PaceFields, carry_out};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::Filters;
use crate::admin::process::Process;
use crate::end::Reason;

/// Ends single sessions at once.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true)
    .args(["ids", "all", "route", "pool", "backend", "listener", "client", "older_than",
        "labels"]))]
#[serde(default)]
pub struct KickRequest {
    #[command(flatten)]
    who: Filters,
    #[command(flatten)]
    #[serde(flatten)]
    closing: CloseFields,
    #[command(flatten)]
    #[serde(flatten)]
    pace: PaceFields,
}

impl OperatorRequest for KickRequest {
    const PATH: &'static str = "/kick";

    fn waits(&self) -> bool {
        self.pace.wait
    }
}

pub(super) async fn kick(
    process: &impl Process,
    asker: Asker,
    request: KickRequest,
) -> Result<Reply, Reply> {
    if request.who.is_empty() {
        let text = "say whom to kick: ids, `route`, `labels`, `client` …, or `all`";
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let here = async |asker| kick_here(process, asker, &request).await;
    let kicked = Everywhere::run(process, asker, &request, here).await?;
    if kicked.total.sessions() == 0 {
        return Err(kicked.refuse(StatusCode::NOT_FOUND, "no live session matches"));
    }
    let text = kicked.total.text(KICKED);
    Ok(kicked.reply(text))
}

const KICKED: &str = "kicked";

async fn kick_here(
    process: &impl Process,
    asker: Asker,
    request: &KickRequest,
) -> Result<ClosedSessions, Reply> {
    let KickRequest { who, closing, pace } = request;
    let selector = who.selector(process).await?;
    let mut order = orders::order(process, asker, selector, Reason::Kick, pace, closing)?;
    if !pace.has_window() {
        order.pace.window = Duration::ZERO;
    }
    let begun = carry_out(process, &order, pace.dry_run).await;
    Ok(ClosedSessions::new(&begun, &[], pace.dry_run, KICKED))
}
