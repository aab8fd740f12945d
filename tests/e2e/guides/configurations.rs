//! Configurations that a page shows: whole files, and parts of one.

use std::collections::BTreeSet;
use std::path::Path;

use tidegate::config::{self, NamedFiles};
use tidegate::report::Colour;
use toml::{Table, Value};

/// What was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Taken {
    /// As it is.
    Whole,
    /// Once what it refers to was there.
    Part,
}

/// Whether the checker takes it; if it is a part of a file, once the tables that it refers to are
/// beside it. No file that it names is read.
pub fn take(text: &str) -> Result<Taken, String> {
    let Err(refused) = load(text) else { return Ok(Taken::Whole) };
    let Ok(table) = text.parse::<Table>() else { return Err(refused) };
    let completed = toml::to_string(&completed(table)).unwrap();
    load(&completed).map(|()| Taken::Part)
}

fn load(text: &str) -> Result<(), String> {
    let environment = |_: &str| Some("0123456789".repeat(4));
    let (name, skip) = (Path::new("tidegate.toml"), NamedFiles::Skip);
    match config::load_from(name, text.as_bytes(), &environment, skip) {
        Ok(_) => Ok(()),
        Err(refused) => Err(refused.report.text(&refused.sources, Colour::Plain)),
    }
}

/// A part of a file, with the tables that it refers to.
fn completed(mut part: Table) -> Table {
    let routes = routes(&part);
    let named = |key: &str| -> BTreeSet<String> {
        routes.iter().filter_map(|route| route.get(key)).flat_map(names).collect()
    };
    let mut pools = named("pool");
    let fallbacks = named("files").into_iter();
    pools.extend(fallbacks.filter_map(|name| name.strip_prefix("pool:").map(str::to_owned)));
    let (rules, callable) = (named("access"), named("api"));
    let mut listeners = named("listener");

    for rule in rules {
        let rule = table(table(&mut part, "access"), &rule);
        if rule.is_empty() {
            rule.insert("allow".to_owned(), "10.0.0.0/8".into());
        }
    }
    for rule in part.get("access").and_then(Value::as_table).into_iter().flat_map(Table::values) {
        let forward = rule.get("forward").and_then(|forward| forward.get("pool"));
        pools.extend(forward.into_iter().flat_map(names));
    }
    for pool in &pools {
        table(table(&mut part, "pools"), pool);
    }
    for pool in table(&mut part, "pools").iter_mut().filter_map(|(_, pool)| pool.as_table_mut()) {
        pool.entry("backends").or_insert_with(|| "127.0.0.1:3000".into());
    }
    let known = part.get("listeners").and_then(Value::as_table).is_some_and(|all| !all.is_empty());
    if !known {
        listeners.insert("http".to_owned());
    }
    for listener in listeners {
        table(table(&mut part, "listeners"), &listener);
    }
    complete_listeners(table(&mut part, "listeners"));
    complete_acme(&mut part);
    complete_routes(&mut part, &callable);
    part
}

/// A table of a table, made where there is none.
fn table<'a>(parent: &'a mut Table, key: &str) -> &'a mut Table {
    let entry = parent.entry(key).or_insert_with(|| Table::new().into());
    entry.as_table_mut().unwrap_or_else(|| panic!("`{key}` is no table"))
}

/// All routes, those of sites included.
fn routes(part: &Table) -> Vec<Table> {
    let tables = |value: Option<&Value>| -> Vec<Table> {
        let list = value.and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_table).cloned().collect()
    };
    let sites = tables(part.get("sites"));
    let inner = sites.iter().flat_map(|site| tables(site.get("routes")));
    let mut all: Vec<Table> = tables(part.get("routes")).into_iter().chain(inner).collect();
    all.extend(sites);
    all
}

/// The names that a value refers to: text, a list of it, or those in a table.
fn names(value: &Value) -> Vec<String> {
    match value {
        Value::String(name) => vec![name.clone()],
        Value::Array(list) => list.iter().flat_map(names).collect(),
        Value::Table(table) => {
            let keys = ["any", "routes", "fallback"];
            keys.iter().filter_map(|key| table.get(*key)).flat_map(names).collect()
        }
        _ => Vec::new(),
    }
}

fn complete_listeners(listeners: &mut Table) {
    for (number, (_, listener)) in listeners.iter_mut().enumerate() {
        let Some(listener) = listener.as_table_mut() else { continue };
        // Loopback, where what has no rule may be open.
        let address = format!("127.0.0.1:{}", 8080 + number);
        listener.entry("address").or_insert_with(|| address.into());
        let Some(tls) = listener.get_mut("tls").and_then(Value::as_table_mut) else { continue };
        if !tls.contains_key("certificates") && !tls.contains_key("acme") {
            let files = Table::from_iter(
                [("chain", "site.pem"), ("key", "site.key")]
                    .map(|(key, file)| (key.to_owned(), Value::from(file))),
            );
            tls.insert("certificates".to_owned(), Value::Array(vec![files.into()]));
        }
    }
}

fn complete_acme(part: &mut Table) {
    let Some(acme) = part.get_mut("acme").and_then(Value::as_table_mut) else { return };
    acme.entry("agree_to_terms").or_insert(true.into());
}

/// Something must be served, and routes that are called by their name be there.
fn complete_routes(part: &mut Table, callable: &BTreeSet<String>) {
    let named: BTreeSet<String> =
        routes(part).iter().filter_map(|route| route.get("name")).flat_map(names).collect();
    let served = part.contains_key("routes") || part.contains_key("sites");
    let pool = table(part, "pools").keys().next().cloned();
    let list = part.entry("routes").or_insert_with(|| Value::Array(Vec::new()));
    let list = list.as_array_mut().unwrap();
    for name in callable.difference(&named) {
        let mut route = Table::new();
        route.insert("name".to_owned(), name.as_str().into());
        route.insert("path".to_owned(), format!("/{name}").into());
        route.insert("respond".to_owned(), "ok".into());
        list.push(route.into());
    }
    if !served {
        let (key, value) = pool.map_or(("respond", "ok".to_owned()), |pool| ("pool", pool));
        list.push(Table::from_iter([(key.to_owned(), value.into())]).into());
    }
}

#[test]
fn a_part_is_completed_and_a_wrong_one_is_not() {
    assert_eq!(
        take("[[routes]]\npool = \"a\"\naccess = [\"b\"]\nlistener = \"c\""),
        Ok(Taken::Part)
    );
    assert_eq!(take("[pools.a.health.probe]\ntcp = true"), Ok(Taken::Part));
    let whole = "[listeners.a]\naddress = \"127.0.0.1:1\"\n[[routes]]\nrespond = \"ok\"";
    assert_eq!(take(whole), Ok(Taken::Whole));
    let wrong =
        ["[[routes]]\npol = \"a\"", "[pools.a]\nbalance = \"x\"", "[relay]\nping = 3", "a ="];
    for wrong in wrong {
        assert!(take(wrong).is_err(), "{wrong}");
    }
}
