//! `POST /top`: a summary of what lives and what passes, to be asked for again and again. Counts
//! only grow, so that who asks twice knows the rates between.

use clap::{Args, ValueEnum};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::process_status::ProcessStatus;
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::Filters;
use super::sessions::{PRINTED, SessionRow};
use crate::admin::process::Process;
use crate::base::clock;
use crate::base::side::Side;
use crate::live::LiveRoute;
use crate::registry::{Activity, BusiestBy, Seen};

/// Sessions listed at most.
const BUSIEST_MAX: usize = 500;

/// Says what lives and what passes.
#[derive(Args, Serialize, Deserialize, Debug)]
#[serde(default)]
pub struct TopRequest {
    #[command(flatten)]
    who: Filters,
    /// List at most so many of the busiest sessions
    #[arg(long, value_name = "COUNT", default_value_t = 50, help_heading = PRINTED)]
    limit: usize,
    /// By what the busiest sessions are found
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t, help_heading = PRINTED)]
    sort: TopSort,
}

/// By what the busiest sessions are found.
#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Default, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum TopSort {
    /// Bytes in a second
    #[default]
    Rate,
    /// Messages in a second
    Messages,
    /// All bytes since they were opened
    Bytes,
}

impl From<TopSort> for BusiestBy {
    fn from(sort: TopSort) -> BusiestBy {
        match sort {
            TopSort::Rate => BusiestBy::ByteRate,
            TopSort::Messages => BusiestBy::MessageRate,
            TopSort::Bytes => BusiestBy::Bytes,
        }
    }
}

impl Default for TopRequest {
    fn default() -> TopRequest {
        TopRequest { who: Filters::default(), limit: 50, sort: TopSort::default() }
    }
}

impl OperatorRequest for TopRequest {
    const PATH: &'static str = "/top";
}

/// What lives and what passes, in one process or in all.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct TopSummary {
    #[serde(flatten)]
    status: ProcessStatus,
    routes: Vec<RouteTraffic>,
    busiest: Vec<BusySession>,
    #[serde(skip)]
    sort: TopSort,
}

/// What passed by a route since the process started.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct RouteTraffic {
    route: String,
    sessions: u64,
    held: u64,
    opened: u64,
    #[serde(flatten)]
    traffic: TrafficCount,
}

/// What passed, by the side that sent it.
#[derive(Serialize, Deserialize, Clone, Copy, Default, Debug)]
#[serde(default)]
struct TrafficCount {
    client_messages: u64,
    client_bytes: u64,
    upstream_messages: u64,
    upstream_bytes: u64,
}

/// One of the busiest sessions, and its rates, both ways.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct BusySession {
    #[serde(flatten)]
    session: SessionRow,
    message_rate: f64,
    byte_rate: f64,
}

/// Tells what lives and what passes.
pub(super) async fn top(
    process: &impl Process,
    asker: Asker,
    request: TopRequest,
) -> Result<Reply, Reply> {
    if request.limit > BUSIEST_MAX {
        let text = format!("`limit` must be at most {BUSIEST_MAX}, not: {}", request.limit);
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let here = async |_| top_here(process, &request).await;
    let mut summary = Everywhere::run(process, asker, &request, here).await?;
    summary.total.sort = request.sort;
    summary.total.settle(request.limit);
    let json = serde_json::json!(summary.total);
    let text = format!("{json:#}");
    Ok(summary.reply_json(text, json))
}

async fn top_here(process: &impl Process, request: &TopRequest) -> Result<TopSummary, Reply> {
    let selector = request.who.selector(process).await?;
    let sort = request.sort;
    let busiest = process.sessions().busiest(&selector, sort.into(), request.limit).await;
    let now = clock::now();
    let busy = |(seen, activity): &(Seen, Activity)| BusySession {
        session: SessionRow::new(seen, now).with_traffic(&activity.traffic),
        message_rate: activity.message_rate,
        byte_rate: activity.byte_rate,
    };
    let busiest = busiest.iter().map(busy).collect();
    let status = ProcessStatus::of(process).await;
    let snapshot = process.snapshot();
    let routes = snapshot.routes.iter().map(|route| RouteTraffic::of(route)).collect();
    let mut summary = TopSummary { status, routes, busiest, sort };
    summary.settle(request.limit);
    Ok(summary)
}

impl TopSummary {
    /// The busiest first, as many as asked for.
    fn settle(&mut self, limit: usize) {
        let sort = self.sort;
        let key = |one: &BusySession| match sort {
            TopSort::Rate => one.byte_rate,
            TopSort::Messages => one.message_rate,
            TopSort::Bytes => one.session.bytes() as f64,
        };
        self.busiest.sort_by(|one, other| {
            let by_key = key(other).total_cmp(&key(one));
            by_key.then_with(|| one.session.id().cmp(other.session.id()))
        });
        self.busiest.truncate(limit);
    }
}

impl CommandOutcome for TopSummary {
    fn add(&mut self, older: TopSummary) {
        self.status.add(older.status);
        for route in older.routes {
            match self.routes.iter_mut().find(|own| own.route == route.route) {
                Some(own) => own.add(&route),
                // Its configuration is in force there still.
                None if route.sessions > 0 => self.routes.push(route),
                None => {}
            }
        }
        self.busiest.extend(older.busiest);
    }

    fn add_unanswered(&mut self, sessions: usize) {
        self.status.add_unanswered(sessions);
    }

    fn sessions(&self) -> usize {
        self.status.sessions()
    }
}

impl RouteTraffic {
    fn of(route: &LiveRoute) -> RouteTraffic {
        let cells = &route.cells;
        let of = |side: Side| {
            (cells.sum(|cells| &cells.messages[side]), cells.sum(|cells| &cells.bytes[side]))
        };
        let ((client_messages, client_bytes), (upstream_messages, upstream_bytes)) =
            (of(Side::Client), of(Side::Upstream));
        RouteTraffic {
            route: route.plan.identity.to_string(),
            sessions: cells.live(),
            held: cells.held(),
            opened: cells.sum(|cells| &cells.opened),
            traffic: TrafficCount {
                client_messages,
                client_bytes,
                upstream_messages,
                upstream_bytes,
            },
        }
    }

    fn add(&mut self, other: &RouteTraffic) {
        self.sessions += other.sessions;
        self.held += other.held;
        self.opened += other.opened;
        self.traffic.client_messages += other.traffic.client_messages;
        self.traffic.client_bytes += other.traffic.client_bytes;
        self.traffic.upstream_messages += other.traffic.upstream_messages;
        self.traffic.upstream_bytes += other.traffic.upstream_bytes;
    }
}
