//! The reference for people, printed from the same schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{Place, SchemaKey, Shape, definition, keys, places, referred, schema};

/// What no declaration says: units, includes, precedence, identity.
const INTRODUCTION: &str = include_str!("reference.md");

/// Where the introduction wants the table of reloads.
const RELOADS_HERE: &str = "<!-- reloads -->\n";

/// What a reload that changes a key does: the word beside the key, and what it says to people.
const RELOADS: [(&str, &str, &str); 4] = [
    ("now", "at once", "applies at once, also to live sessions"),
    ("next", "next", "applies to the next connection, request or handshake"),
    (
        "drains",
        "drains",
        "the sessions of what was removed or renamed are drained with 1012; \
         those of a pool or backend move, where their route has `hold`",
    ),
    ("restart", "restart", "applies when the process starts anew"),
];

/// The reference, in Markdown.
pub fn reference_markdown() -> String {
    let root = schema().to_value();
    let mut text = INTRODUCTION.replace(RELOADS_HERE, &reloads(&root));
    text.push('\n');
    let mut seen = Vec::new();
    section(&root, &root, "", &mut seen, &mut text);
    text
}

/// The schema, in JSON.
pub fn schema_json() -> String {
    format!("{:#}\n", schema().to_value())
}

/// One section per table; tables below it follow. Writing to a string cannot fail: it only grows.
fn section<'a>(
    root: &'a Value,
    table: &'a Value,
    path: &str,
    seen: &mut Vec<(&'a str, String)>,
    text: &mut String,
) {
    let mut below = Vec::new();
    for key in keys(root, table) {
        let inner = key.table.map(|(name, shape)| (name, header(path, key.name, shape)));
        if let Some((name, inner)) = &inner {
            let first = seen.iter().find(|(known, _)| known == name);
            let first = first.map(|(_, path)| path.clone());
            if !path.is_empty() {
                describe(root, &key, Some(first.as_ref().unwrap_or(inner)), text);
            }
            if first.is_none() {
                seen.push((name, inner.clone()));
                below.push((key, *name, inner.clone()));
            }
        } else {
            describe(root, &key, None, text);
        }
    }
    for (key, name, inner) in below {
        let _ = write!(text, "## `{inner}`\n\n");
        let about = if path.is_empty() { key.schema } else { definition(root, name) };
        let _ = write!(text, "{}\n\n", description(about));
        section(root, definition(root, name), &inner, seen, text);
    }
}

/// `[pools.NAME]` below `pools`; `[pools.NAME.health]` below that.
fn header(above: &str, key: &str, shape: Shape) -> String {
    let above = above.trim_matches(['[', ']']);
    let path = if above.is_empty() { key.to_owned() } else { format!("{above}.{key}") };
    match shape {
        Shape::One => format!("[{path}]"),
        Shape::Named => format!("[{path}.NAME]"),
        Shape::List => format!("[[{path}]]"),
    }
}

fn describe(root: &Value, key: &SchemaKey<'_>, table: Option<&String>, text: &mut String) {
    let mut facts = vec![kind(root, key.schema)];
    if key.required {
        facts.push("required".to_owned());
    }
    if let Some(default) = key.schema.get("default") {
        facts.push(format!("default `{}`", toml(default)));
    }
    if let Some(example) = key.schema.pointer("/examples/0") {
        facts.push(format!("as in `{}`", toml(example).trim()));
    }
    if let Some((_, word, _)) = reload_of(key.schema) {
        facts.push(format!("reload: {word}"));
    }
    let _ = writeln!(text, "**`{}`** · {}", key.name, facts.join(" · "));
    let _ = write!(text, "<br>{}", description(key.schema));
    if let Some(table) = table {
        let _ = write!(text, " Keys: `{table}`.");
    }
    text.push_str("\n\n");
}

fn description(schema: &Value) -> &str {
    schema.get("description").and_then(Value::as_str).unwrap_or("")
}

fn reload_of(schema: &Value) -> Option<(&'static str, &'static str, &'static str)> {
    let word = schema.get("x-reload")?.as_str()?;
    RELOADS.into_iter().find(|(known, ..)| *known == word)
}

/// What may be written, in a few words.
fn kind(root: &Value, schema: &Value) -> String {
    if let Some(name) = referred(schema) {
        let table = definition(root, name).get("properties").is_some();
        return if table { "table".to_owned() } else { name.to_owned() };
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        let words: Vec<String> = words.iter().map(|word| format!("`{}`", toml(word))).collect();
        return words.join(" or ");
    }
    if let Some(word) = schema.get("const") {
        return format!("`{}`", toml(word));
    }
    if let Some(either) = schema.get("anyOf").and_then(Value::as_array) {
        let kinds: Vec<String> = either.iter().map(|one| kind(root, one)).collect();
        return kinds.join(" or ");
    }
    match schema.get("type") {
        Some(Value::String(name)) if name == "array" => {
            let of = schema.get("items").map(|items| kind(root, items)).unwrap_or_default();
            format!("list of ({of})").replace("(string)", "strings").replace("(table)", "tables")
        }
        Some(Value::String(name)) if name == "object" => match schema.get("properties") {
            Some(_) => "table".to_owned(),
            None => "table of names".to_owned(),
        },
        Some(Value::String(name)) if name == "integer" => "number".to_owned(),
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")
        }
        _ => "value".to_owned(),
    }
}

/// A value as it is written in TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(list) => {
            format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        Value::Object(table) => {
            let bare =
                |key: &str| key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            let entry = |(key, value): (&String, &Value)| {
                let key = if bare(key) { key.clone() } else { format!("{key:?}") };
                format!("{key} = {}", toml(value))
            };
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// The keys by what a reload that changes them does.
fn reloads(root: &Value) -> String {
    let places: Vec<Place<'_>> = places(root).into_iter().filter(|place| !place.is_table).collect();
    let mut text = String::from("| what | which keys |\n|---|---|\n");
    for (word, shown, meaning) in RELOADS {
        let is = |schema: &Value| schema.get("x-reload").is_some_and(|found| found == word);
        let mut listed: Vec<String> = keys(root, root)
            .into_iter()
            .filter(|key| key.table.is_some() && is(key.schema))
            .filter_map(|key| Some(header("", key.name, key.table?.1)))
            .collect();
        for place in &places {
            let beside = || places.iter().filter(|other| other.above == place.above);
            let all = !place.above.is_empty() && beside().all(|other| is(other.schema));
            let path = if all { format!("{}.*", place.above) } else { place.path() };
            if is(place.schema) && !listed.contains(&path) {
                listed.push(path);
            }
        }
        let listed: Vec<String> = listed.iter().map(|path| format!("`{path}`")).collect();
        let _ = writeln!(text, "| **{shown}**: {meaning} | {} |", listed.join(", "));
    }
    text
}
