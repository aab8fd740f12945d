//! The JSON Schema of a configuration file, made from the structs it is read into.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform as _};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use super::tables::FileTable;

/// Where definitions lie, and how they are referred to.
const DEFINITIONS: &str = "#/definitions/";

/// The schema of a file, in the draft that editors of TOML understand.
pub fn schema() -> Schema {
    let generator: SchemaGenerator = SchemaSettings::draft07().into_generator();
    let mut schema = generator.into_root_schema_for::<FileTable>();
    RecursiveTransform(tidy).transform(&mut schema);
    schema
}

/// Unknown keys are errors; keys that must be there are listed by their table; a default is one
/// only where it can be written; a paragraph is one line.
fn tidy(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    // Where a table's keys say it each for itself, it says nothing.
    if object.get("x-reload").is_some_and(|word| word == "each") {
        object.remove("x-reload");
    }
    if let Some(Value::Object(keys)) = object.get_mut("properties") {
        let mut required = Vec::new();
        for (name, key) in keys {
            if key.as_object_mut().is_some_and(|key| key.remove("x-required").is_some()) {
                required.push(Value::from(name.as_str()));
            }
        }
        object.insert("additionalProperties".to_owned(), Value::Bool(false));
        if !required.is_empty() {
            object.insert("required".to_owned(), Value::Array(required));
        }
    }
    if matches!(object.get("default"), Some(Value::Null | Value::Object(_))) {
        object.remove("default");
    }
    if let Some(Value::String(text)) = object.get_mut("description") {
        let paragraphs = text.split("\n\n").map(|paragraph| paragraph.replace('\n', " "));
        *text = paragraphs.collect::<Vec<_>>().join("\n\n");
    }
}

/// A key of a table, as the schema has it.
pub struct SchemaKey<'a> {
    /// Its name.
    pub name: &'a str,
    /// What the schema says of it.
    pub schema: &'a Value,
    /// Whether it must be there.
    pub required: bool,
    /// The table it holds, by the name of its definition, and how tables of it are written.
    pub table: Option<(&'a str, Shape)>,
}

/// How a table is written below its key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// `[key]`.
    One,
    /// `[key.NAME]`.
    Named,
    /// `[[key]]`.
    List,
}

/// The keys of a table, in the order they are declared.
pub fn keys<'a>(root: &'a Value, table: &'a Value) -> Vec<SchemaKey<'a>> {
    let required = |name: &str| {
        let list = table.get("required").and_then(Value::as_array);
        list.is_some_and(|list| list.iter().any(|one| one == name))
    };
    let properties = table.get("properties").and_then(Value::as_object);
    let key = |(name, schema): (&'a String, &'a Value)| SchemaKey {
        name,
        schema,
        required: required(name),
        table: table_of(root, schema),
    };
    properties.into_iter().flatten().map(key).collect()
}

/// A definition by its name.
pub fn definition<'a>(root: &'a Value, name: &str) -> &'a Value {
    root.get("definitions").and_then(|all| all.get(name)).unwrap_or(&Value::Null)
}

/// The name a schema refers to.
pub fn referred(schema: &Value) -> Option<&str> {
    let direct = schema.get("$ref");
    // With keys beside it, a reference of draft 7 stands in an `allOf`.
    let wrapped = schema.pointer("/allOf/0/$ref");
    direct.or(wrapped)?.as_str()?.strip_prefix(DEFINITIONS)
}

fn table_of<'a>(root: &'a Value, schema: &'a Value) -> Option<(&'a str, Shape)> {
    let is_table = |name: &&str| definition(root, name).get("properties").is_some();
    if let Some(name) = referred(schema).filter(is_table) {
        return Some((name, Shape::One));
    }
    let inner = |key: &str, shape| Some((table_of(root, schema.get(key)?)?.0, shape));
    let listed = inner("items", Shape::List);
    let named = inner("additionalProperties", Shape::Named);
    let either = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    listed.or(named).or_else(|| either.filter_map(|one| table_of(root, one)).next())
}

/// A key and where it stands.
pub struct Place<'a> {
    /// The tables above it: `pools.NAME.health`; empty at the top.
    pub above: String,
    /// Its name.
    pub name: &'a str,
    /// What the schema says of it.
    pub schema: &'a Value,
    /// Whether it holds a table, whose keys have places of their own.
    pub is_table: bool,
}

impl Place<'_> {
    /// `pools.NAME.health.eject_time`.
    pub fn path(&self) -> String {
        if self.above.is_empty() {
            return self.name.to_owned();
        }
        format!("{}.{}", self.above, self.name)
    }
}

/// Every key there is. A table that stands in two places has its keys in the higher.
pub fn places(root: &Value) -> Vec<Place<'_>> {
    let mut found = Vec::new();
    collect(root, root, String::new(), &mut Vec::new(), &mut found);
    found
}

fn collect<'a>(
    root: &'a Value,
    table: &'a Value,
    above: String,
    seen: &mut Vec<&'a str>,
    found: &mut Vec<Place<'a>>,
) {
    let mut below = Vec::new();
    for SchemaKey { name, schema, table, .. } in keys(root, table) {
        let is_table = table.is_some();
        let place = Place { above: above.clone(), name, schema, is_table };
        if let Some((definition, shape)) = table {
            if seen.contains(&definition) {
                continue;
            }
            seen.push(definition);
            let name = if shape == Shape::Named { ".NAME" } else { "" };
            below.push((definition, format!("{}{name}", place.path())));
        }
        found.push(place);
    }
    for (name, path) in below {
        collect(root, definition(root, name), path, seen, found);
    }
}
