//! The reference for people, printed from the same schema.

use std::fmt::Write as _;

use serde_json::Value;

use super::schema::{Place, SchemaKey, Shape, definition, keys, places, referred, schema};

/// What no declaration says: units, includes, precedence, identity.
const INTRODUCTION: &str = include_str!("reference.md");

/// Where the introduction wants the table of reloads.
const RELOADS_HERE: &str = "<!-- reloads -->\n";

/// Where it wants the table of contents.
const CONTENTS_HERE: &str = "<!-- contents -->\n";

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
    let mut keys =
        KeySections { root: &root, seen: Vec::new(), tables: Vec::new(), text: String::new() };
    keys.section(&root, "");
    let text = INTRODUCTION.replace(RELOADS_HERE, &reloads(&root));
    text.replace(CONTENTS_HERE, &keys.contents()) + "\n" + &keys.text
}

/// The schema, in JSON.
pub fn schema_json() -> String {
    format!("{:#}\n", schema().to_value())
}

/// Every key, a section per table. Writing to a string cannot fail: it only grows.
struct KeySections<'a> {
    root: &'a Value,
    /// Tables that are described, with the place where; others with the same keys refer to it.
    seen: Vec<(&'a str, String)>,
    /// The tables in their order, with their keys.
    tables: Vec<(String, Vec<&'a str>)>,
    text: String,
}

impl<'a> KeySections<'a> {
    /// A table's keys; the tables below it follow.
    fn section(&mut self, table: &'a Value, path: &str) {
        let mut below = Vec::new();
        self.tables.push((path.to_owned(), Vec::new()));
        let own = self.tables.len() - 1;
        for key in keys(self.root, table) {
            let inner = key.table.map(|(name, shape)| (name, header(path, key.name, shape)));
            let Some((name, inner)) = inner else {
                self.tables[own].1.push(key.name);
                self.describe(&key, path, None);
                continue;
            };
            let first = self.seen.iter().find(|(known, _)| *known == name);
            let first = first.map(|(_, path)| path.clone());
            if !path.is_empty() {
                self.tables[own].1.push(key.name);
                self.describe(&key, path, Some(first.as_ref().unwrap_or(&inner)));
            }
            if first.is_none() {
                self.seen.push((name, inner.clone()));
                below.push((key, name, inner));
            }
        }
        for (key, name, inner) in below {
            let about = if path.is_empty() { key.schema } else { definition(self.root, name) };
            let _ = write!(self.text, "## `{inner}`\n\n{}\n\n", description(about));
            self.section(definition(self.root, name), &inner);
        }
    }

    fn describe(&mut self, key: &SchemaKey<'_>, path: &str, table: Option<&String>) {
        let mut facts = vec![kind(self.root, key.schema)];
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
        let (facts, anchor) = (facts.join(" · "), anchor(path, key.name));
        let _ = writeln!(self.text, "<a id=\"{anchor}\"></a>\n**`{}`** · {facts}", key.name);
        let _ = write!(self.text, "<br>{}", description(key.schema));
        if let Some(table) = table {
            let _ = write!(self.text, " Keys: [`{table}`](#{}).", heading_anchor(table));
        }
        self.text.push_str("\n\n");
    }

    /// The tables, with a link to each and to each of its keys.
    fn contents(&self) -> String {
        let mut text = String::from("| table | keys |\n|---|---|\n");
        for (path, keys) in &self.tables {
            let of = match &**path {
                "" => "the file itself".to_owned(),
                path => format!("[`{path}`](#{})", heading_anchor(path)),
            };
            let link = |key: &&str| format!("[`{key}`](#{})", anchor(path, key));
            let keys: Vec<String> = keys.iter().map(link).collect();
            let _ = writeln!(text, "| {of} | {} |", keys.join(", "));
        }
        text
    }
}

/// A table's place without brackets.
fn bare(header: &str) -> &str {
    header.trim_matches(['[', ']'])
}

/// What a key is found by: its place, as `pools.NAME.balance`.
fn anchor(table: &str, key: &str) -> String {
    match bare(table) {
        "" => key.to_owned(),
        table => format!("{table}.{key}"),
    }
}

/// What is made of a table's heading: its letters in lower case.
fn heading_anchor(header: &str) -> String {
    bare(header).replace('.', "").to_lowercase()
}

/// `[pools.NAME]` below `pools`; `[pools.NAME.health]` below that.
fn header(above: &str, key: &str, shape: Shape) -> String {
    let path = anchor(above, key);
    match shape {
        Shape::One => format!("[{path}]"),
        Shape::Named => format!("[{path}.NAME]"),
        Shape::List => format!("[[{path}]]"),
    }
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
