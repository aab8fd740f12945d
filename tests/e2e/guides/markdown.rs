//! Pages of Markdown as tests read them: fenced blocks, anchors, links.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What a comment says above a block that no test carries out; the reason follows.
pub const NOT_RUN: &str = "not run: ";

/// A fenced block.
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The word behind the fence.
    pub kind: String,
    pub text: String,
    /// Why no test carries it out.
    pub not_run: Option<String>,
}

/// The top of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a directory whose name ends so, by its path from the top; what is built or
/// fetched aside.
pub fn files(dir: &str, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut dirs) = (Vec::new(), vec![root().join(dir)]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() && !["target", "node_modules", ".git", "dev"].contains(&name) {
                dirs.push(path);
            } else if name.ends_with(ending) && path.is_file() {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a file, by its path from the top.
pub fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The fenced blocks of a page, or the line of a fence that is none.
pub fn blocks(page: &str) -> Result<Vec<Block>, usize> {
    let (mut found, mut not_run) = (Vec::new(), None);
    let mut lines = page.lines().zip(1..);
    while let Some((line, number)) = lines.next() {
        let Some(kind) = line.strip_prefix("```") else {
            if line.trim_start().starts_with("```") || line.trim_start().starts_with("~~~") {
                return Err(number);
            }
            let comment = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
            not_run = comment.and_then(|words| words.strip_prefix(NOT_RUN)).map(str::to_owned);
            continue;
        };
        let (mut text, mut closed) = (String::new(), false);
        for (line, _) in lines.by_ref() {
            closed = line == "```";
            if closed {
                break;
            }
            text = text + line + "\n";
        }
        if !closed {
            return Err(number);
        }
        let (kind, not_run) = (kind.to_owned(), not_run.take());
        found.push(Block { line: number, kind, text, not_run });
    }
    Ok(found)
}

/// A page line by line; those of blocks are empty.
pub fn prose_with_spans(page: &str) -> Vec<String> {
    let mut inside = false;
    let without_blocks = |line: &str| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        if inside || fence { String::new() } else { line.to_owned() }
    };
    page.lines().map(without_blocks).collect()
}

/// The same without spans of code.
fn prose(page: &str) -> Vec<String> {
    let span = Regex::new("``[^`]+``|`[^`]*`").unwrap();
    let lines = prose_with_spans(page).into_iter();
    lines.map(|line| span.replace_all(&line, "").into_owned()).collect()
}

/// The links of a page, each with its line: of text, pictures and HTML.
pub fn links(page: &str) -> Vec<(usize, String)> {
    let link = Regex::new(concat!(
        r#"\]\(([^()\s]+)(?: "[^"]*")?\)"#,
        r#"|(?:href|src|srcset)="([^"]+)""#,
        r"|^\[[^\]]+\]: (\S+)",
    ));
    let link = link.unwrap();
    let mut found = Vec::new();
    for (line, number) in prose(page).iter().zip(1..) {
        for captures in link.captures_iter(line) {
            let target = captures.iter().skip(1).flatten().next().unwrap();
            found.push((number, target.as_str().to_owned()));
        }
    }
    found
}

/// What may stand behind `#` in a link to a page: its headings, as GitHub makes anchors of them,
/// and ids of its HTML.
pub fn anchors(page: &str) -> HashSet<String> {
    let id = Regex::new(r#"<a id="([^"]+)">"#).unwrap();
    let link = Regex::new(r"\[([^\]]*)\]\([^)]*\)").unwrap();
    let (mut found, mut times) = (HashSet::new(), HashMap::new());
    let mut inside = false;
    for line in page.lines() {
        inside ^= line.trim_start().starts_with("```");
        let heading = line.trim_start_matches('#');
        if !inside && heading.len() < line.len() && heading.starts_with(' ') {
            let slug = slug(&link.replace_all(heading.trim(), "$1"));
            let before = times.entry(slug.clone()).and_modify(|times| *times += 1).or_insert(0);
            found.insert(if *before == 0 { slug } else { format!("{slug}-{before}") });
        }
        found.extend(id.captures_iter(line).map(|captures| captures[1].to_owned()));
    }
    found
}

fn slug(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || "-_ ".contains(*letter);
    let lower = heading.to_lowercase();
    lower.chars().filter(kept).map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

#[test]
fn a_page_is_read_as_it_is_shown() {
    let page =
        "# A `b`, c\n<!-- not run: why -->\n```sh\nls ](x)\n```\n## A `b`, c\n[d](e#f) `[g](h)`\n";
    let found = blocks(page).unwrap();
    assert_eq!(
        (found.len(), found[0].line, &*found[0].kind, &*found[0].text),
        (1, 3, "sh", "ls ](x)\n")
    );
    assert_eq!(found[0].not_run.as_deref(), Some("why"));
    assert_eq!(anchors(page), ["a-b-c", "a-b-c-1"].map(str::to_owned).into());
    assert_eq!(links(page), [(7, "e#f".to_owned())]);
    assert_eq!(blocks("```sh\nls\n").err(), Some(1));
    assert_eq!(blocks("- x\n  ```sh\n").err(), Some(2));
}
