//! What a reload changes and what happens to whom, as lines for people.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::base::label::Label;
use crate::live::{Impact, ImpactRow, PartChanges, PlanChanges, ReloadRule};

/// Names and rows that are shown of one kind; the others are counted. JSON has all.
const SHOWN_MAX: usize = 20;

/// Which parts are added, removed, changed and kept, each kind on a line of its own, and below it
/// those that are not kept.
pub(super) fn parts(changes: &PlanChanges) -> String {
    let mut text = String::new();
    for (kind, part) in changes.parts() {
        let PartChanges { added, removed, changed, kept } = part;
        let counts = [
            (added.len(), "added"),
            (removed.len(), "removed"),
            (changed.len(), "changed"),
            (*kept, "kept"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<_> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        if counts.is_empty() {
            continue;
        }
        add(&mut text, format_args!("{kind}: {}", counts.join(", ")));
        for (word, names) in [("added", added), ("removed", removed), ("changed", changed)] {
            for name in names.iter().take(SHOWN_MAX) {
                add(&mut text, format_args!("  {word:<8} {name}"));
            }
            add_rest(&mut text, word, names.len().saturating_sub(SHOWN_MAX));
        }
    }
    if !changes.settings.is_empty() {
        add(&mut text, format_args!("tables changed: {}", changes.settings.join(", ")));
    }
    if !changes.at_next_start.is_empty() {
        let keys = changes.at_next_start.join(", ");
        add(&mut text, format_args!("apply at the next start, not before: {keys}"));
    }
    text
}

/// How many sessions are drained, moved and kept; and by which rule, of which route on which
/// backend.
pub(super) fn impact(impact: &Impact) -> String {
    let (mut text, all) = (String::new(), impact.sessions);
    add(&mut text, format_args!("sessions drained: {} of {all}", impact.drained));
    for (word, count) in [
        ("moved", impact.moved),
        ("kept", impact.kept()),
        ("held to new rules", impact.with_new_rules),
    ] {
        if count > 0 {
            add(&mut text, format_args!("sessions {word}: {count} of {all}"));
        }
    }
    for row in impact.rows.iter().take(SHOWN_MAX) {
        add(&mut text, format_args!("  {}", line(row)));
    }
    let rest = impact.rows.len().saturating_sub(SHOWN_MAX) + impact.rows_left_off;
    add_rest(&mut text, "rows", rest);
    text
}

/// The same rows for programs.
pub(super) fn rows(impact: &Impact) -> Vec<Value> {
    let row = |row: &ImpactRow| {
        json!({
            "rule": row.rule.label(),
            "listener": &*row.listener,
            "route": &*row.route,
            "pool": &*row.pool,
            "backend": &*row.backend,
            "sessions": row.sessions,
            "drained": row.drained,
            "moved": row.moved,
        })
    };
    impact.rows.iter().map(row).collect()
}

fn line(row: &ImpactRow) -> String {
    let ImpactRow { rule, listener, route, pool, backend, sessions, drained, moved } = row;
    let why = match rule {
        ReloadRule::RouteRemoved => "route removed".to_owned(),
        ReloadRule::ListenerRemoved => format!("listener `{listener}` removed"),
        ReloadRule::PoolRemoved => "pool removed".to_owned(),
        ReloadRule::BackendRemoved => "backend removed".to_owned(),
        ReloadRule::NewRules => "new rules".to_owned(),
    };
    let fates = [(*drained, "drained"), (*moved, "moved"), (sessions - drained - moved, "kept")];
    let fates = fates.iter().filter(|(count, _)| *count > 0);
    let fates: Vec<_> = fates.map(|(count, word)| format!("{count} {word}")).collect();
    format!("{why}: route `{route}` on {pool}/{backend}: {}", fates.join(", "))
}

fn add_rest(text: &mut String, word: &str, rest: usize) {
    if rest > 0 {
        add(text, format_args!("  and {rest} more {word}"));
    }
}

fn add(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Cannot fail: it is memory.
    let _ = writeln!(text, "{line}");
}
