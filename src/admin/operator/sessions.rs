//! `POST /sessions`: which sessions live.

use std::fmt::Write as _;

use clap::Args;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::reply::Reply;
use super::request::OperatorRequest;
use super::selectors::{Filters, age};
use crate::admin::process::Process;
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::registry::{Count, Seen};

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
}

impl Default for SessionsRequest {
    fn default() -> SessionsRequest {
        SessionsRequest { who: Filters::default(), limit: 1000 }
    }
}

impl OperatorRequest for SessionsRequest {
    const PATH: &'static str = "/sessions";
}

/// Lists sessions, the oldest first. Where more match than the limit, which of them are listed is
/// not said.
pub(super) async fn list(process: &impl Process, request: SessionsRequest) -> Result<Reply, Reply> {
    let SessionsRequest { who, limit } = request;
    if limit > LISTED_MAX {
        let text = format!("`limit` must be at most {LISTED_MAX}, not: {limit}");
        return Err(Reply::no(StatusCode::BAD_REQUEST, text));
    }
    let selector = who.selector(process).await?;
    let count = process.sessions().count(&selector).await;
    let mut listed = process.sessions().list(&selector, limit).await;
    listed.sort_by_key(|seen| (seen.facts.opened, seen.id));
    listed.truncate(limit);
    let now = clock::now();
    let sessions: Vec<Value> = listed.iter().map(|seen| row(seen, now)).collect();
    let Count { live, matched } = count;
    let json = json!({ "live": live, "matched": matched, "sessions": sessions });
    Ok(Reply::yes(table(&listed, count, now), json))
}

fn row(Seen { id, facts, leaving }: &Seen, now: Moment) -> Value {
    json!({
        "id": id.to_string(),
        "client": facts.client.map(|client| client.to_string()),
        "listener": &*facts.listener,
        "route": &*facts.route,
        "pool": &*facts.pool,
        "backend": &*facts.backend,
        "age_seconds": now.since(facts.opened).as_secs_f64(),
        "leaving": leaving.map(|reason| reason.label()),
    })
}

const COLUMNS: [&str; 8] =
    ["ID", "CLIENT", "LISTENER", "ROUTE", "POOL", "BACKEND", "AGE", "LEAVING"];

fn table(listed: &[Seen], count: Count, now: Moment) -> String {
    let cells = listed.iter().map(|Seen { id, facts, leaving }| {
        [
            id.to_string(),
            facts.client.map_or("-".to_owned(), |client| client.to_string()),
            facts.listener.to_string(),
            facts.route.to_string(),
            facts.pool.to_string(),
            facts.backend.to_string(),
            age(now.since(facts.opened)),
            leaving.map_or("-", |reason| reason.label()).to_owned(),
        ]
    });
    let rows: Vec<[String; 8]> = std::iter::once(COLUMNS.map(str::to_owned)).chain(cells).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS.len()).filter_map(width).collect();
    let mut text = String::new();
    if !listed.is_empty() {
        for row in &rows {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            text.push_str(padded.collect::<Vec<_>>().join("  ").trim_end());
            text.push('\n');
        }
    }
    // Writing to a string cannot fail.
    let Count { live, matched } = count;
    let _ = write!(text, "listed: {} of {matched} matched, {live} live", listed.len());
    text
}
