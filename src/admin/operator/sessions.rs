//! `POST /sessions`: which sessions live.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use clap::{Args, ValueEnum};
use http::StatusCode;
use serde::{Deserialize, Serialize};

use super::everywhere::{Asker, CommandOutcome, Everywhere};
use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{Filters, age};
use super::text_table::TextTable;
use crate::admin::process::Process;
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::registry::{Count, Seen};
use crate::wire::label::SessionLabels;

/// Sessions listed at most.
const LISTED_MAX: usize = 10_000;

/// Lists sessions.
#[derive(Args, Serialize, Deserialize, Debug)]
#[serde(default)]
pub struct SessionsRequest {
    #[command(flatten)]
    who: Filters,
    /// List at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    limit: usize,
    /// By what they are sorted
    #[arg(long, value_enum, value_name = "COLUMN", default_value_t)]
    sort: SortKey,
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
}

impl Default for SessionsRequest {
    fn default() -> SessionsRequest {
        SessionsRequest { who: Filters::default(), limit: 1000, sort: SortKey::default() }
    }
}

impl OperatorRequest for SessionsRequest {
    const PATH: &'static str = "/sessions";
}

/// Lists sessions, sorted. Where more match than the limit, which of them are listed is
/// not said.
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
    let SessionList { live, matched, sessions } = &listed.total;
    let count = sessions.len();
    listed.remarks.insert(0, format!("listed: {count} of {matched} matched, {live} live"));
    let text = listed.total.table();
    let json = serde_json::json!(listed.total);
    Ok(listed.reply_json(text, json))
}

async fn list_here(
    process: &impl Process,
    request: &SessionsRequest,
) -> Result<SessionList, Reply> {
    let selector = request.who.selector(process).await?;
    let Count { live, matched } = process.sessions().count(&selector).await;
    let seen = process.sessions().list(&selector, request.limit).await;
    let now = clock::now();
    let sessions = seen.iter().map(|seen| SessionRow::new(seen, now)).collect();
    let mut list = SessionList { live, matched, sessions };
    list.sort(request.sort, request.limit);
    Ok(list)
}

/// The sessions of one process, or of all.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct SessionList {
    live: usize,
    matched: usize,
    sessions: Vec<SessionRow>,
}

/// A session.
#[derive(Serialize, Deserialize, Default, Debug)]
#[serde(default)]
struct SessionRow {
    id: String,
    pid: u32,
    client: Option<String>,
    listener: String,
    route: String,
    pool: String,
    backend: String,
    age_seconds: f64,
    leaving: Option<String>,
    labels: BTreeMap<String, String>,
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
        match key {
            SortKey::Age => {}
            SortKey::Client => sessions.sort_by_cached_key(address),
            SortKey::Route => sessions.sort_by(|one, other| one.route.cmp(&other.route)),
            SortKey::Backend => sessions.sort_by(|one, other| {
                (&one.pool, &one.backend).cmp(&(&other.pool, &other.backend))
            }),
            SortKey::Pid => sessions.sort_by_key(|row| row.pid),
        }
        sessions.truncate(limit);
    }

    /// For people; empty where there is none.
    fn table(&self) -> String {
        const COLUMNS: [&str; 10] = [
            "ID", "PID", "CLIENT", "LISTENER", "ROUTE", "POOL", "BACKEND", "AGE", "LEAVING",
            "LABELS",
        ];
        let mut table = TextTable::new(COLUMNS);
        self.sessions.iter().for_each(|row| table.add(row.cells()));
        table.to_string()
    }
}

impl CommandOutcome for SessionList {
    fn add(&mut self, other: SessionList) {
        self.live += other.live;
        self.matched += other.matched;
        self.sessions.extend(other.sessions);
    }

    fn sessions(&self) -> usize {
        self.matched
    }
}

impl SessionRow {
    fn shown_labels(&self) -> String {
        let pairs = self.labels.iter().map(|(name, value)| format!("{name}={value}"));
        let pairs: Vec<String> = pairs.collect();
        if pairs.is_empty() { "-".to_owned() } else { pairs.join(",") }
    }

    fn new(Seen { id, facts, leaving }: &Seen, now: Moment) -> SessionRow {
        SessionRow {
            id: id.to_string(),
            pid: std::process::id(),
            client: facts.client.map(|client| client.to_string()),
            listener: facts.listener.to_string(),
            route: facts.route.to_string(),
            pool: facts.pool.to_string(),
            backend: facts.backend.to_string(),
            age_seconds: now.since(facts.opened).as_secs_f64(),
            leaving: leaving.map(|reason| reason.label().to_owned()),
            labels: labels(&facts.labels),
        }
    }

    fn cells(&self) -> [String; 10] {
        let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        [
            self.id.clone(),
            self.pid.to_string(),
            or_dash(&self.client),
            self.listener.clone(),
            self.route.clone(),
            self.pool.clone(),
            self.backend.clone(),
            age(self.age_seconds),
            or_dash(&self.leaving),
            self.shown_labels(),
        ]
    }
}

fn labels(labels: &SessionLabels) -> BTreeMap<String, String> {
    labels.iter().map(|label| (label.name().to_owned(), label.value().to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_sorted_by_a_column_and_then_by_age() {
        let row = |id: &str, client: &str, route: &str, age_seconds| SessionRow {
            id: id.to_owned(),
            client: Some(client.to_owned()),
            route: route.to_owned(),
            age_seconds,
            ..SessionRow::default()
        };
        let sorted = |key, limit| {
            let sessions = vec![
                row("a", "10.0.0.10:1", "/y", 1.0),
                row("b", "10.0.0.9:1", "/x", 2.0),
                row("c", "10.0.0.9:1", "/y", 3.0),
            ];
            let mut list = SessionList { live: 3, matched: 3, sessions };
            list.sort(key, limit);
            list.sessions.into_iter().map(|row| row.id).collect::<String>()
        };
        assert_eq!(sorted(SortKey::Age, 9), "cba");
        assert_eq!(sorted(SortKey::Client, 9), "cba");
        assert_eq!(sorted(SortKey::Route, 9), "bca");
        assert_eq!(sorted(SortKey::Route, 1), "b");
    }
}
