//! `POST /sessions`: which sessions live.

use std::fmt::Write as _;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Reply;
use super::filters::{Filters, age};
use crate::base::clock::{self, Moment};
use crate::base::label::Label;
use crate::control::handle::Handle;
use crate::registry::{self, Seen};

/// Sessions listed where no other limit was asked for.
const LISTED: usize = 1_000;

/// Sessions listed at most.
const LISTED_MAX: usize = 10_000;

#[derive(Deserialize, Default, Debug)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Ask {
    who: Filters,
    limit: Option<usize>,
}

/// Lists sessions, the oldest first. Where more are meant than the limit, which are listed is not
/// said.
pub(super) async fn list(handle: &Handle, ask: Ask) -> Result<Reply, Reply> {
    let limit = ask.limit.unwrap_or(LISTED);
    if limit > LISTED_MAX {
        let said = format!("`limit` must be at most {LISTED_MAX}, not: {limit}");
        return Err(Reply::no(StatusCode::BAD_REQUEST, said));
    }
    let who = ask.who.who(handle).await?;
    let (live, meant) = handle.count(Some(&who)).await;
    let listed = handle.0.queues.ask_all(move |_| registry::list(&who, limit)).await;
    let mut listed: Vec<Seen> = listed.into_iter().flatten().collect();
    listed.sort_by_key(|seen| (seen.facts.opened, seen.id));
    listed.truncate(limit);
    let now = clock::now();
    let sessions: Vec<Value> = listed.iter().map(|seen| row(seen, now)).collect();
    Ok(Reply::yes(
        table(&listed, meant, live, now),
        json!({ "live": live, "meant": meant, "sessions": sessions }),
    ))
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
        "leaving": leaving.map(|why| why.label()),
    })
}

const COLUMNS: [&str; 8] =
    ["ID", "CLIENT", "LISTENER", "ROUTE", "POOL", "BACKEND", "AGE", "LEAVING"];

fn table(listed: &[Seen], meant: usize, live: usize, now: Moment) -> String {
    let cells = listed.iter().map(|Seen { id, facts, leaving }| {
        [
            id.to_string(),
            facts.client.map_or("-".to_owned(), |client| client.to_string()),
            facts.listener.to_string(),
            facts.route.to_string(),
            facts.pool.to_string(),
            facts.backend.to_string(),
            age(now.since(facts.opened)),
            leaving.map_or("-", |why| why.label()).to_owned(),
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
    let _ = write!(text, "listed: {} of {meant} meant, {live} live", listed.len());
    text
}
