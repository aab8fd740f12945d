//! `POST /sessions`: which sessions live.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{Filters, age};
use super::text_table::TextTable;
use crate::admin::process::Process;
use crate::base::clock::{self, Moment};
use crate::base::id::SessionId;
use crate::base::label::Label;
use crate::registry::{Count, Seen, SessionTraffic, SideTraffic};
use crate::wire::label::SessionLabels;

/// Sessions of a process that are looked at, and listed, at most.
const LISTED_MAX: usize = 10_000;

/// The heading of what says how sessions are listed.
pub(super) const PRINTED: &str = "What is printed";

const AFTER_HELP: &str = "\
In the table MESSAGES and BYTES are those of both sides together, and RTT is how
long our last ping to the client took there and back; `--json` has each side of
all three. On a narrow terminal some columns are left out: see `--wide`.";

/// Lists sessions.
#[derive(Args, Serialize, Deserialize, Debug)]
#[command(after_help = AFTER_HELP)]
#[serde(default)]
pub struct SessionsRequest {
    #[command(flatten)]
    who: Filters,
    /// List at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000, help_heading = PRINTED)]
    limit: usize,
    /// By what they are sorted
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t, help_heading = PRINTED)]
    sort: SortKey,
    /// All columns, however narrow the terminal is
    #[arg(long, help_heading = PRINTED)]
    #[serde(skip)]
    wide: bool,
    /// Characters that a line of the table has room for.
    #[arg(skip)]
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u16>,
}

/// The column that sessions are sorted by.
#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Default, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum SortKey {
    /// The oldest first
    #[default]
    Age,
    /// By the client's address
    Client,
    /// By route
    Route,
    /// By pool and backend
    Backend,
    /// By process, the newest last
    Pid,
    /// By path
    Path,
    /// Those with most messages first, of both sides together
    Messages,
    /// Those with most bytes first, of both sides together
    Bytes,
    /// The slowest client first
    Rtt,
}

impl SortKey {
    /// Whether it is one that only the sessions themselves know.
    fn is_traffic(self) -> bool {
        matches!(self, SortKey::Messages | SortKey::Bytes | SortKey::Rtt)
    }
}

impl SessionsRequest {
    /// For a terminal of so many columns, unless all are wanted.
    pub fn fit(&mut self, columns: u16) {
        self.width = (!self.wide).then_some(columns);
    }
}

impl Default for SessionsRequest {
    fn default() -> SessionsRequest {
        let (who, sort) = Default::default();
        SessionsRequest { who, limit: 1000, sort, wide: false, width: None }
    }
}

impl OperatorRequest for SessionsRequest {
    const PATH: &'static str = "/sessions";

    /// Without what only the table is for.
    fn for_older(&self) -> Value {
        let mut body = json!(self);
        body.as_object_mut().and_then(|fields| fields.remove("width"));
        body
    }
}

/// Lists sessions, sorted. Where more match than are looked at, which of them are is not said.
pub(super) async fn list(
    process: &impl Process,
    asker: Asker,
    request: SessionsRequest,
) -> Result<Reply, Reply> {
    let limit = request.limit;
    if limit > LISTED_MAX {
        let text = format!("`limit` must be at most {LISTED_MAX}, not: {limit}");
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let here = async |_| list_here(process, &request).await;
    let mut listed = Everywhere::run(process, asker, &request, here).await?;
    listed.total.sort(request.sort, limit);
    let SessionList { live, matched, unseen, sessions } = &listed.total;
    let count = sessions.len();
    let mut remarks = vec![format!("listed: {count} of {matched} matched, {live} live")];
    if *unseen > 0 {
        remarks.push(format!("of those matched {unseen} were not looked at; narrow them down"));
    }
    let (text, left_out) = listed.total.table(request.width);
    if !left_out.is_empty() {
        let names = left_out.join(", ");
        remarks.push(format!("left out on a narrow terminal: {names} (`--wide` shows all)"));
    }
    listed.remarks.splice(0..0, remarks);
    let json = json!(listed.total);
    Ok(listed.reply_json(text, json))
}

async fn list_here(
    process: &impl Process,
    request: &SessionsRequest,
) -> Result<SessionList, Reply> {
    let SessionsRequest { sort, limit, .. } = *request;
    let selector = request.who.selector(process).await?;
    let Count { live, matched } = process.sessions().count(&selector).await;
    let mut seen = process.sessions().list(&selector, LISTED_MAX).await;
    seen.truncate(LISTED_MAX);
    let unseen = matched.saturating_sub(seen.len());
    let now = clock::now();
    let row = |seen: &Seen| SessionRow::new(seen, now);
    let mut list = SessionList { live, matched, unseen, sessions: seen.iter().map(row).collect() };
    if !sort.is_traffic() {
        // Only those that are listed need be asked.
        list.sort(sort, limit);
    }
    let ids = list.sessions.iter().filter_map(|row| row.here).collect();
    let traffic = process.sessions().traffic(ids).await;
    for row in &mut list.sessions {
        row.traffic = row.here.and_then(|id| traffic.get(&id)).map(TrafficRow::from);
    }
    list.sort(sort, limit);
    Ok(list)
}

/// The sessions of one process, or of all.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct SessionList {
    live: usize,
    matched: usize,
    /// Those matched that were not looked at, there are so many.
    unseen: usize,
    sessions: Vec<SessionRow>,
}

/// A session.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
pub(super) struct SessionRow {
    /// In this process.
    #[serde(skip)]
    here: Option<SessionId>,
    id: String,
    pid: u32,
    client: Option<String>,
    listener: String,
    route: String,
    path: Option<String>,
    pool: String,
    backend: String,
    age_seconds: f64,
    leaving: Option<String>,
    labels: BTreeMap<String, String>,
    /// None of one that has ended meanwhile, or is in an older process that does not tell.
    #[serde(flatten)]
    traffic: Option<TrafficRow>,
}

/// What passed in a session, by the names that the log has for it.
#[derive(Serialize, Deserialize, Clone, Debug)]
struct TrafficRow {
    client_messages: u64,
    client_bytes: u64,
    client_rtt_ms: Option<u64>,
    upstream_messages: u64,
    upstream_bytes: u64,
    upstream_rtt_ms: Option<u64>,
}

impl From<&SessionTraffic> for TrafficRow {
    fn from(SessionTraffic { client, upstream, .. }: &SessionTraffic) -> TrafficRow {
        let millis = |side: &SideTraffic| Some(side.rtt?.as_millis() as u64);
        TrafficRow {
            client_messages: client.messages,
            client_bytes: client.bytes,
            client_rtt_ms: millis(client),
            upstream_messages: upstream.messages,
            upstream_bytes: upstream.bytes,
            upstream_rtt_ms: millis(upstream),
        }
    }
}

impl TrafficRow {
    fn messages(&self) -> u64 {
        self.client_messages.saturating_add(self.upstream_messages)
    }

    fn bytes(&self) -> u64 {
        self.client_bytes.saturating_add(self.upstream_bytes)
    }
}

impl SessionList {
    /// Sorted, as many as asked for.
    fn sort(&mut self, key: SortKey, limit: usize) {
        let sessions = &mut self.sessions;
        // The oldest first, where the column does not decide.
        sessions.sort_by(|one, other| {
            let by_age = other.age_seconds.total_cmp(&one.age_seconds);
            by_age.then_with(|| one.id.cmp(&other.id))
        });
        let address = |row: &SessionRow| row.client.as_ref()?.parse::<SocketAddr>().ok();
        let most = |of: fn(&TrafficRow) -> Option<u64>| {
            move |row: &SessionRow| Reverse(row.traffic.as_ref().and_then(of))
        };
        match key {
            SortKey::Age => {}
            SortKey::Client => sessions.sort_by_cached_key(address),
            SortKey::Route => sessions.sort_by(|one, other| one.route.cmp(&other.route)),
            SortKey::Backend => sessions.sort_by(|one, other| {
                (&one.pool, &one.backend).cmp(&(&other.pool, &other.backend))
            }),
            SortKey::Pid => sessions.sort_by_key(|row| row.pid),
            SortKey::Path => sessions.sort_by(|one, other| one.path.cmp(&other.path)),
            SortKey::Messages => sessions.sort_by_key(most(|row| Some(row.messages()))),
            SortKey::Bytes => sessions.sort_by_key(most(|row| Some(row.bytes()))),
            SortKey::Rtt => sessions.sort_by_key(most(|row| row.client_rtt_ms)),
        }
        sessions.truncate(limit);
    }

    /// For people, empty where there is none; and the columns for which there is no room.
    fn table(&self, width: Option<u16>) -> (String, Vec<String>) {
        const COLUMNS: [&str; 14] = [
            "ID", "PID", "CLIENT", "LISTENER", "ROUTE", "POOL", "BACKEND", "AGE", "MESSAGES",
            "BYTES", "RTT", "LEAVING", "LABELS", "PATH",
        ];
        let [_, pid, _, listener, route, pool, _, _, messages, _, rtt, leaving, labels, path] =
            std::array::from_fn(|column| column);
        let mut table = TextTable::new(COLUMNS);
        self.sessions.iter().for_each(|row| table.add(row.cells()));
        let Some(width) = width.filter(|_| !self.sessions.is_empty()) else {
            return (table.to_string(), Vec::new());
        };
        // What says the same of all of them goes first.
        let order = [listener, pool, leaving, pid, route, path, labels, rtt, messages];
        let (same, other): (Vec<usize>, Vec<usize>) =
            order.into_iter().partition(|column| table.is_uniform(*column));
        let left_out = table.fit(width.into(), path, &[same, other].concat());
        (table.to_string(), left_out)
    }
}

impl CommandOutcome for SessionList {
    fn add(&mut self, other: SessionList) {
        self.live += other.live;
        self.matched += other.matched;
        self.unseen += other.unseen;
        self.sessions.extend(other.sessions);
    }

    fn sessions(&self) -> usize {
        self.matched
    }
}

impl SessionRow {
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Bytes that passed in it, both ways, as far as is known.
    pub(super) fn bytes(&self) -> u64 {
        self.traffic.as_ref().map_or(0, TrafficRow::bytes)
    }

    /// The same session, with what passed in it.
    pub(super) fn with_traffic(self, traffic: &SessionTraffic) -> SessionRow {
        SessionRow { traffic: Some(traffic.into()), ..self }
    }

    pub(super) fn new(Seen { id, facts, target, leaving }: &Seen, now: Moment) -> SessionRow {
        SessionRow {
            here: Some(*id),
            id: id.to_string(),
            pid: std::process::id(),
            client: facts.client.get().map(|client| client.to_string()),
            listener: facts.listener.to_string(),
            route: facts.route.to_string(),
            path: target.as_ref().map(ToString::to_string),
            pool: facts.pool.to_string(),
            backend: facts.backend.to_string(),
            age_seconds: now.since(facts.opened).as_secs_f64(),
            leaving: leaving.map(|reason| reason.label().to_owned()),
            labels: labels(&facts.labels),
            traffic: None,
        }
    }

    fn shown_labels(&self) -> Option<String> {
        let pairs = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<String> = pairs.collect();
        (!pairs.is_empty()).then(|| pairs.join(","))
    }

    fn cells(&self) -> [String; 14] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let traffic = self.traffic.as_ref();
        let rtt = traffic.and_then(|traffic| traffic.client_rtt_ms);
        [
            self.id.clone(),
            self.pid.to_string(),
            or_dash(self.client.clone()),
            self.listener.clone(),
            self.route.clone(),
            self.pool.clone(),
            self.backend.clone(),
            age(self.age_seconds),
            or_dash(traffic.map(|traffic| traffic.messages().to_string())),
            or_dash(traffic.map(|traffic| size(traffic.bytes()))),
            or_dash(rtt.map(|millis| match millis {
                0 => "<1ms".to_owned(),
                millis => format!("{millis}ms"),
            })),
            or_dash(self.leaving.clone()),
            or_dash(self.shown_labels()),
            or_dash(self.path.clone()),
        ]
    }
}

fn labels(labels: &SessionLabels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect()
}

/// Bytes for people: three digits at most, and the unit.
fn size(bytes: u64) -> String {
    let mut of = bytes as f64;
    for unit in ["B", "kB", "MB", "GB"] {
        match of {
            _ if of >= 999.5 => of /= 1000.0,
            _ if of < 9.95 && unit != "B" => return format!("{of:.1}{unit}"),
            _ => return format!("{of:.0}{unit}"),
        }
    }
    format!("{of:.1}TB")
}

#[cfg(test)]
mod tests;
