//! The project's rules that a compiler does not keep. A rule that no test keeps is only a wish.

#[path = "tidy/graph.rs"]
mod graph;
#[path = "tidy/impls.rs"]
mod impls;
#[path = "tidy/logs.rs"]
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, top down; a module uses lower layers only, and neighbours do not see each other.
const LAYERS: [&[&str]; 13] = [
    &["cli"],
    &["control"],
    &["admin"],
    &["listen"],
    &["session"],
    &["live", "probe"],
    &["access", "acme", "action", "handshake", "drain"],
    &["relay", "pool"],
    &["router", "registry", "tls", "rewrite", "limit", "discovery"],
    &["config"],
    &["end"],
    &["wire", "observe"],
    &["base", "report"],
];

/// Type names that two types of the crate have, each with the reason. Configuration needs none: a
/// table is once what was written (`config/tables`) and once what it says (`config/plan`).
const NAMES_TWICE: &[(&str, &str)] = &[];

/// File names that stand in three modules, each with the reason; configuration's are not counted.
const FILES_THRICE: &[(&str, &str)] = &[];

/// Files in which one type may be implemented.
const IMPL_FILES_MAX: usize = 3;

const FILE_LINES_MAX: usize = 400;
const COLUMNS_MAX: usize = 100;

fn layer(module: &str) -> Option<usize> {
    let from_top = LAYERS.iter().position(|modules| modules.contains(&module))?;
    Some(LAYERS.len() - from_top)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(below: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![below.to_path_buf()];
    while let Some(dir) = left.pop() {
        // A fresh clone has no directory for what was never written.
        for entry in fs::read_dir(&dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

/// Whether a file holds tests only.
fn is_test(name: &str) -> bool {
    name.ends_with("tests.rs") || name.contains("/tests/")
}

/// The text before a file's own tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text)
}

fn settle(faults: String) {
    assert!(faults.is_empty(), "\n{faults}");
}

#[test]
fn every_module_is_in_a_layer_and_says_what_it_is() {
    let mut faults = String::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let module = path.file_name().unwrap().to_str().unwrap().to_owned();
        if layer(&module).is_none() {
            writeln!(faults, "src/{module}: in no layer").unwrap();
        }
        let front = fs::read_to_string(path.join("mod.rs")).unwrap_or_default();
        for word in ["**In:**", "**Out:**", "**Never here:**"] {
            if !front.contains(word) {
                writeln!(faults, "src/{module}/mod.rs: does not say {word}").unwrap();
            }
        }
    }
    settle(faults);
}

#[test]
fn modules_use_lower_layers_only() {
    let mut faults = String::new();
    for (name, text) in rust_files(&root().join("src")) {
        let module = name.split('/').nth(1).unwrap().to_owned();
        let Some(from) = layer(&module) else { continue };
        for (number, line) in text.lines().enumerate() {
            for used in line.split("crate::").skip(1) {
                let word = used.find(|c: char| !c.is_alphanumeric() && c != '_');
                let used = &used[..word.unwrap_or(used.len())];
                let Some(to) = layer(used) else { continue };
                if used != module && to >= from {
                    writeln!(faults, "{name}:{}: {module} uses {used}", number + 1).unwrap();
                }
            }
            if line.contains("use crate::{") {
                writeln!(faults, "{name}:{}: write one `use` per module", number + 1).unwrap();
            }
        }
    }
    settle(faults);
}

#[test]
fn no_files_use_each_other_in_a_circle() {
    let files = rust_files(&root().join("src"));
    let files = files.iter().filter(|(name, _)| !is_test(name));
    let files: Vec<(&str, &str)> = files.map(|(name, text)| (&**name, code(text))).collect();
    let graph = graph::Graph::read(files.into_iter());
    let mut faults = String::new();
    for circle in graph::circles(&graph.edges()) {
        writeln!(faults, "a circle: {}", circle.join(", ")).unwrap();
    }
    settle(faults);
}

#[test]
fn a_type_is_implemented_in_three_files_at_most() {
    let files = rust_files(&root().join("src"));
    let files: Vec<_> = files.iter().filter(|(name, _)| !is_test(name)).collect();
    let mut own = BTreeSet::new();
    let mut implemented: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for (name, text) in &files {
        let module = name.split('/').nth(1).unwrap();
        own.extend(code(text).lines().filter_map(declared).map(|of| (module, of)));
        for line in code(text).lines().filter(|line| line.starts_with("impl")) {
            if let Some(of) = impls::implementer(line) {
                implemented.entry((module, of)).or_default().insert(name);
            }
        }
    }
    let mut faults = String::new();
    for (of, files) in implemented.iter().filter(|(of, _)| own.contains(*of)) {
        if files.len() > IMPL_FILES_MAX {
            writeln!(faults, "{} is implemented in {files:?}", of.1).unwrap();
        }
    }
    settle(faults);
}

#[test]
fn files_are_short_and_lines_fit() {
    let mut faults = String::new();
    for dir in ["src", "tests", "benches"] {
        for (name, text) in rust_files(&root().join(dir)) {
            let lines = text.lines().count();
            if lines > FILE_LINES_MAX {
                writeln!(faults, "{name}: {lines} lines, more than {FILE_LINES_MAX}").unwrap();
            }
            for (number, line) in text.lines().enumerate() {
                if line.chars().count() > COLUMNS_MAX {
                    writeln!(faults, "{name}:{}: over {COLUMNS_MAX} columns", number + 1).unwrap();
                }
            }
        }
    }
    settle(faults);
}

/// The name that a line declares a type by, if it does.
fn declared(line: &str) -> Option<&str> {
    let is_nested = line.starts_with(' ');
    let mut words = line.trim_start();
    if let Some(public) = words.strip_prefix("pub") {
        let scope_end = if public.starts_with('(') { public.find(')')? + 1 } else { 0 };
        words = public[scope_end..].trim_start();
    }
    let (keyword, rest) = words.split_once(' ')?;
    // A nested `type` is a trait's.
    let declares = matches!(keyword, "struct" | "enum" | "trait" | "union");
    if !declares && (keyword != "type" || is_nested) {
        return None;
    }
    let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
    Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
}

#[test]
fn a_type_name_is_used_once() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, text) in rust_files(&root().join("src")) {
        if is_test(&name) {
            continue;
        }
        let is_pair =
            name.starts_with("src/config/tables/") || name.starts_with("src/config/plan/");
        let place = if is_pair { "src/config/{tables,plan}".to_owned() } else { name.clone() };
        for found in code(&text).lines().filter_map(declared) {
            places.entry(found.to_owned()).or_default().insert(place.clone());
        }
    }
    let mut faults = String::new();
    for (found, places) in &places {
        let is_listed = NAMES_TWICE.iter().any(|(name, _)| name == found);
        if places.len() > 1 && !is_listed {
            writeln!(faults, "{found} is the name of several types: {places:?}").unwrap();
        }
    }
    for (name, _) in NAMES_TWICE {
        if places.get(*name).is_none_or(|places| places.len() < 2) {
            writeln!(faults, "{name} is used once: take it off the list").unwrap();
        }
    }
    settle(faults);
}

#[test]
fn a_file_name_stands_in_two_modules_at_most() {
    let mut places: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (name, _) in rust_files(&root().join("src")) {
        let parts: Vec<&str> = name.split('/').collect();
        let (module, file) = (parts[1], parts[parts.len() - 1]);
        let is_counted = parts.len() > 2 && module != "config" && !is_test(&name);
        if is_counted && file != "mod.rs" {
            places.entry(file.to_owned()).or_default().insert(module.to_owned());
        }
    }
    let mut faults = String::new();
    for (file, modules) in &places {
        let is_listed = FILES_THRICE.iter().any(|(name, _)| name == file);
        if modules.len() > 2 && !is_listed {
            writeln!(faults, "{file} stands in {modules:?}").unwrap();
        }
    }
    for (name, _) in FILES_THRICE {
        if places.get(*name).is_none_or(|modules| modules.len() < 3) {
            writeln!(faults, "{name} stands in two modules at most: take it off the list").unwrap();
        }
    }
    settle(faults);
}

#[test]
fn every_file_says_what_it_is_for() {
    let mut faults = String::new();
    for dir in ["src", "tests", "benches"] {
        for (name, text) in rust_files(&root().join(dir)) {
            if !is_test(&name) && !text.starts_with("//! ") {
                writeln!(faults, "{name}: does not begin with a sentence").unwrap();
            }
        }
    }
    settle(faults);
}

#[test]
fn what_cannot_fail_says_why() {
    let mut faults = String::new();
    for (name, text) in rust_files(&root().join("src")) {
        if is_test(&name) {
            continue;
        }
        let lines: Vec<&str> = code(&text).lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let near = &lines[number.saturating_sub(4)..lines.len().min(number + 3)];
            let says = |word: &str| near.iter().any(|line| line.contains(word));
            let mut need = |found: bool, word: &str| {
                if found && !says(word) {
                    writeln!(faults, "{name}:{}: needs `{word}`", number + 1).unwrap();
                }
            };
            let may_panic = [".unwrap()", ".expect(", "unreachable!(", "panic!("];
            let trimmed = line.trim_start();
            if trimmed.starts_with("//") {
                continue;
            }
            need(may_panic.iter().any(|call| trimmed.contains(call)), "cannot fail:");
            need(trimmed.contains("unsafe ") && !trimmed.contains("unsafe_op"), "SAFETY");
        }
    }
    settle(faults);
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that this file has none either.
    let calls = ["todo", "unimplemented", "dbg"].map(|name| format!("{name}!("));
    let words = [["FIX", "ME"], ["#[", "ignore"]].map(|halves| halves.concat());
    let marks = [&calls[..], &words[..]].concat();
    let mut faults = String::new();
    for dir in ["src", "tests", "benches"] {
        for (name, text) in rust_files(&root().join(dir)) {
            for mark in &marks {
                if text.contains(mark) {
                    writeln!(faults, "{name}: {mark}").unwrap();
                }
            }
        }
    }
    settle(faults);
}

#[test]
fn the_top_level_holds_nothing_more() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "build.rs",
        "clippy.toml",
        "deny.toml",
        "rustfmt.toml",
        "src",
        "config",
        "tests",
        "benches",
        "certs",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "Dockerfile",
        "target",
        "fuzz",
    ];
    let mut faults = String::new();
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with('.') && !known.contains(&name.as_str()) {
            writeln!(faults, "{name}: does not belong at the top").unwrap();
        }
    }
    settle(faults);
}
