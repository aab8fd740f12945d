//! Which files of `src` use which, by their `use` lines and paths.
//!
//! What is read: `use` declarations with their braces, and paths in code that begin with `crate`,
//! `super`, `self`, or the name of a module that a `use` brought in. A name that a `mod.rs` gives
//! on is followed to the file that declares it, by itself or in a macro's braces. What is not seen:
//! paths that a macro makes, globs, methods.

use std::collections::{BTreeMap, BTreeSet};

/// A path, segment by segment.
type Segments = Vec<String>;

/// The files and what they declare.
pub struct Graph {
    files: BTreeMap<Segments, File>,
}

struct File {
    name: String,
    /// Its code, without comments and `use` declarations.
    code: String,
    /// Names declared at its top level.
    items: BTreeSet<String>,
    /// `use` declarations: public or not, the path, and the name it is known by.
    uses: Vec<(bool, Segments, String)>,
}

impl Graph {
    /// Reads files by their names and texts.
    pub fn read<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> Graph {
        let parsed = files.map(|(name, text)| {
            let path = name.trim_start_matches("src/").trim_end_matches(".rs");
            let module: Segments = path.split('/').map(str::to_owned).collect();
            let module = match module.split_last() {
                Some((last, rest)) if last == "mod" => rest.to_vec(),
                _ => module,
            };
            (module, File::parse(name, text))
        });
        Graph { files: parsed.collect() }
    }

    /// The files that each file uses.
    pub fn edges(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut edges = BTreeMap::new();
        for (module, file) in &self.files {
            let mut used = BTreeSet::new();
            let mut modules: Vec<(String, Segments)> = Vec::new();
            for (is_public, path, name) in &file.uses {
                let path = self.absolute(module, path);
                // A name that is only given on is used by who asks for it.
                let is_front = file.name.ends_with("/mod.rs");
                if let Some(target) = self.resolve(&path, 0).filter(|_| !(*is_public && is_front)) {
                    used.insert(target);
                }
                if self.files.contains_key(&path) {
                    modules.push((name.clone(), path));
                }
            }
            let mut paths = Vec::new();
            for start in ["crate", "super", "self"] {
                paths.extend(file.paths(start).map(|path| self.absolute(module, &path)));
            }
            for (name, at) in &modules {
                let inside = file.paths(name);
                paths.extend(inside.map(|path| [at.as_slice(), &path[1..]].concat()));
            }
            used.extend(paths.iter().filter_map(|path| self.resolve(path, 0)));
            used.remove(&*file.name);
            edges.insert(&*file.name, used);
        }
        edges
    }

    /// A path from the crate's root.
    fn absolute(&self, module: &[String], path: &[String]) -> Segments {
        let mut at = module.to_vec();
        let mut rest = path;
        loop {
            match rest.first().map(String::as_str) {
                Some("crate") => (at, rest) = (Vec::new(), &rest[1..]),
                Some("self") => rest = &rest[1..],
                Some("super") => {
                    at.pop();
                    rest = &rest[1..];
                }
                _ => break,
            }
        }
        let is_own = rest.len() < path.len() || {
            let child =
                rest.first().map(|first| [at.as_slice(), std::slice::from_ref(first)].concat());
            child.is_some_and(|child| self.files.contains_key(&child))
        };
        if is_own { [at.as_slice(), rest].concat() } else { Vec::new() }
    }

    /// The file that declares what a path leads to.
    fn resolve(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut module = Vec::new();
        for (index, segment) in path.iter().enumerate() {
            let child = [module.as_slice(), std::slice::from_ref(segment)].concat();
            if self.files.contains_key(&child) {
                module = child;
                continue;
            }
            let file = self.files.get(&module)?;
            if file.items.contains(segment) {
                return Some(&file.name);
            }
            let (_, target, _) = file.uses.iter().find(|(_, _, name)| name == segment)?;
            let rest = [self.absolute(&module, target).as_slice(), &path[index + 1..]].concat();
            return if depth < 8 { self.resolve(&rest, depth + 1) } else { None };
        }
        // A module as a whole: its front is not an edge, a file is.
        let file = self.files.get(&module)?;
        (!file.name.ends_with("/mod.rs")).then_some(&*file.name)
    }
}

impl File {
    fn parse(name: &str, text: &str) -> File {
        let lines = text.lines().map(|line| match line.trim_start().starts_with("//") {
            true => "",
            false => line,
        });
        let text: String = lines.flat_map(|line| [line, "\n"]).collect();
        let (mut code, mut uses) = (String::new(), Vec::new());
        let mut items = BTreeSet::new();
        let mut is_in_macro = false;
        let mut rest = text.as_str();
        while let Some(end) = rest.find('\n') {
            let line = &rest[..end];
            let (is_public, bare) = bare(line);
            if bare.starts_with("use ") {
                let statement = &rest[..rest.find(';').map_or(rest.len(), |at| at + 1)];
                let tree = statement.split_once("use ").map_or("", |(_, tree)| tree);
                expand(tree.trim_end_matches(';'), &mut Vec::new(), is_public, &mut uses);
                rest = rest[statement.len()..].trim_start_matches('\n');
                continue;
            }
            // What a macro is given to declare is declared by its file.
            let declares = match line.strip_prefix("    ") {
                Some(inside) => is_in_macro && !inside.starts_with(' '),
                None => true,
            };
            if declares {
                let table = || table(bare).filter(|_| is_in_macro);
                items.extend(item(bare).or_else(table).map(str::to_owned));
            }
            if !line.starts_with(' ') && !line.is_empty() {
                is_in_macro = line.ends_with("! {") || line.ends_with("!(");
            }
            code.push_str(line);
            code.push('\n');
            rest = &rest[end + 1..];
        }
        File { name: name.to_owned(), code, items, uses }
    }

    /// The paths in its code that begin with this name.
    fn paths<'a>(&'a self, start: &'a str) -> impl Iterator<Item = Segments> + 'a {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        self.code.match_indices(start).filter_map(move |(at, _)| {
            let before = self.code[..at].chars().next_back();
            let after = self.code[at + start.len()..].strip_prefix("::")?;
            if before.is_some_and(|c| is_word(c) || c == ':') {
                return None;
            }
            let end = after.find(|c: char| !is_word(c) && c != ':').unwrap_or(after.len());
            let rest = after[..end].split("::").filter(|part| !part.is_empty());
            Some(std::iter::once(start).chain(rest).map(str::to_owned).collect())
        })
    }
}

/// A line without its visibility, and whether it had one.
fn bare(line: &str) -> (bool, &str) {
    let line = line.trim_start();
    let Some(rest) = line.strip_prefix("pub") else { return (false, line) };
    match rest.strip_prefix('(') {
        Some(scope) => (true, scope.split_once(')').map_or("", |(_, rest)| rest).trim_start()),
        None => (rest.starts_with(' '), rest.trim_start()),
    }
}

/// The name that a line declares.
fn item(line: &str) -> Option<&str> {
    let line = KEYWORDS.iter().find_map(|keyword| line.strip_prefix(keyword))?;
    let end = line.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(line.len());
    Some(&line[..end]).filter(|name| !name.is_empty())
}

/// The type that a line declares in a macro's own words: its name, then a text.
fn table(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once(' ')?;
    let is_type = name.starts_with(|c: char| c.is_ascii_uppercase());
    (is_type && rest.starts_with('"')).then_some(name)
}

const KEYWORDS: [&str; 12] = [
    "const fn ",
    "async fn ",
    "unsafe fn ",
    "fn ",
    "struct ",
    "enum ",
    "trait ",
    "type ",
    "const ",
    "static ",
    "union ",
    "macro_rules! ",
];

/// Reads a tree of a `use` declaration.
fn expand(
    tree: &str,
    before: &mut Segments,
    is_public: bool,
    uses: &mut Vec<(bool, Segments, String)>,
) {
    for part in parts(tree) {
        let depth = before.len();
        match part.split_once('{') {
            Some((path, inside)) => {
                before.extend(segments(path));
                let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
                expand(inside, before, is_public, uses);
            }
            None => {
                let (path, alias) =
                    part.split_once(" as ").map_or((part, None), |(p, a)| (p, Some(a)));
                before.extend(segments(path));
                if before.last().is_some_and(|last| last == "self") {
                    before.pop();
                }
                let name = alias.map(|alias| alias.trim().to_owned());
                let name = name.or_else(|| before.last().cloned()).unwrap_or_default();
                uses.push((is_public, before.clone(), name));
            }
        }
        before.truncate(depth);
    }
}

fn segments(path: &str) -> impl Iterator<Item = String> {
    path.split("::").map(|part| part.trim().to_owned()).filter(|part| !part.is_empty())
}

/// The parts between commas that stand in no braces.
fn parts(tree: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in tree.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(tree[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(tree[start..].trim());
    parts.retain(|part| !part.is_empty());
    parts
}

/// The groups of files that use each other in a circle, each sorted.
pub fn circles(edges: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<Vec<String>> {
    let reachable = |from: &str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![from.to_owned()]);
        while let Some(file) = left.pop() {
            for next in edges.get(&*file).into_iter().flatten() {
                if seen.insert((*next).to_owned()) {
                    left.push((*next).to_owned());
                }
            }
        }
        seen
    };
    let reach: BTreeMap<&str, BTreeSet<String>> =
        edges.keys().map(|file| (*file, reachable(file))).collect();
    let mut groups = BTreeSet::new();
    for (file, seen) in &reach {
        if seen.contains(*file) {
            let back = |other: &&String| reach.get(&***other).is_some_and(|of| of.contains(*file));
            groups.insert(seen.iter().filter(back).cloned().collect::<Vec<_>>());
        }
    }
    groups.into_iter().collect()
}

#[test]
fn what_a_macro_declares_is_its_files() {
    let files = [
        ("src/m/mod.rs", "mod a;\nmod b;\npub use a::A;\n"),
        ("src/m/a.rs", "use super::b::B;\ntable! {\n    /// One.\n    pub struct A {\n    }\n}\n"),
        ("src/m/b.rs", "use super::A;\npub struct B;\n"),
    ];
    let graph = Graph::read(files.into_iter());
    assert_eq!(circles(&graph.edges()), [["src/m/a.rs", "src/m/b.rs"]]);
}

#[test]
fn a_circle_is_seen_through_a_front_and_an_alias() {
    let files = [
        ("src/m/mod.rs", "mod a;\nmod b;\npub use a::A;\n"),
        ("src/m/a.rs", "use super::b;\npub struct A(b::B);\n"),
        ("src/m/b.rs", "use crate::m::{A, c::C};\npub struct B;\n"),
        ("src/m/c.rs", "pub struct C;\n"),
    ];
    let graph = Graph::read(files.into_iter());
    assert_eq!(circles(&graph.edges()), [["src/m/a.rs", "src/m/b.rs"]]);
}
