//! Keys that a table does not have: renamed, wished for, misspelt, or written in the wrong table.

use std::sync::LazyLock;

use crate::config::hint::{did_you_mean, listed, slip};
use crate::config::schema::{Place, places, schema};
use crate::report::Diagnostic;

use super::wishes::wish;

/// Keys that had another name: the old one, and the one they have in the same table.
const RENAMED: &[(&str, &str)] = &[
    ("buffer", "buffer_bytes_max"),
    ("older_max", "old_processes_max"),
    ("out", "eject_time"),
    ("out_max", "eject_time_max"),
    ("queue_max", "queue_bytes_max"),
    ("quiet", "debounce"),
    ("roots", "ca"),
];

/// What is found of an unknown key.
pub struct Unknown {
    /// What to say.
    pub finding: Diagnostic,
    /// The key of the same table that was probably in mind. It is not missing, then: one mistake
    /// gives one finding.
    pub instead: Option<&'static str>,
}

/// The finding about `name`, a key that `table` does not have among its `known` ones;
/// `holds_table` tells whether its value is a table.
pub fn unknown(
    name: &str,
    table: &str,
    known: &'static [&'static str],
    holds_table: bool,
) -> Unknown {
    let find = |wanted: &str| known.iter().copied().find(|key| *key == wanted);
    let renamed = RENAMED.iter().find(|(old, new)| *old == name && find(new).is_some());
    if let Some((_, new)) = renamed {
        let said = format!("`{name}` of {table} was renamed to `{new}`");
        let finding = Diagnostic::error("renamed-key", said).hint(format!("write `{new}`"));
        return Unknown { finding, instead: find(new) };
    }
    let finding = Diagnostic::error("unknown-key", format!("{table} has no such key: `{name}`"));
    if let Some(near) = slip(name, known.iter().copied()) {
        let hint = format!("did you mean `{near}`?");
        return Unknown { finding: finding.hint(hint), instead: find(near) };
    }
    if let Some(wish) = wish(name, known) {
        let instead = wish.instead.and_then(find);
        return Unknown { finding: finding.hint(wish.answer.to_owned()), instead };
    }
    if at_the_top(name) && (holds_table || did_you_mean(name, known.iter().copied()).is_none()) {
        let hint = match holds_table {
            true => format!("`{name}` is a table at the top: write {}", header(name)),
            false => format!("`{name}` belongs above the first `[table]`"),
        };
        return Unknown { finding: finding.hint(hint), instead: None };
    }
    if let Some(near) = did_you_mean(name, known.iter().copied()) {
        let instead = known.iter().copied().find(|key| near.contains(&format!("`{key}`")));
        return Unknown { finding: finding.hint(near), instead };
    }
    let keys = || format!("its keys are {}", listed(known.iter().copied(), "and"));
    let hint = elsewhere(name).unwrap_or_else(keys);
    Unknown { finding: finding.hint(hint), instead: None }
}

/// Name and path of every key. Made once: a file may have many unknown keys, and the schema they
/// are sought in takes milliseconds to build.
static KEYS: LazyLock<Vec<(String, String)>> = LazyLock::new(|| {
    let root = schema().to_value();
    let key = |place: Place<'_>| (place.name.to_owned(), place.path());
    places(&root).into_iter().map(key).collect()
});

/// The line that begins a table of this name at the top.
fn header(name: &str) -> String {
    let is_named = KEYS.iter().any(|(_, path)| path.starts_with(&format!("{name}.NAME")));
    match name {
        "routes" => "`[[routes]]`".to_owned(),
        _ if is_named => format!("`[{name}.NAME]`"),
        _ => format!("`[{name}]`"),
    }
}

/// Whether there is a key of this name above all tables.
fn at_the_top(name: &str) -> bool {
    KEYS.iter().any(|(_, path)| path == name)
}

/// The tables that have a key of this name, for one that stands in the wrong one.
fn elsewhere(name: &str) -> Option<String> {
    let found = KEYS.iter().filter(|(key, path)| key == name && key != path);
    let found: Vec<&str> = found.map(|(_, path)| path.as_str()).collect();
    let paths = listed(found.iter().copied(), "and");
    (!found.is_empty()).then(|| format!("there is {paths}"))
}
