use super::*;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use crate::report::Colour;

/// Writes the golden files anew instead of comparing them.
const BLESS: &str = "TIDEGATE_BLESS";

fn nothing(_: &str) -> Option<String> {
    None
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Compares `text` with a committed file, or writes it.
fn golden(path: &Path, text: &str) {
    if std::env::var_os(BLESS).is_some() {
        fs::write(path, text).unwrap();
        return;
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    let shown = path.strip_prefix(root()).unwrap().display();
    assert!(expected == text, "{shown} differs; {BLESS}=1 writes it anew:\n{text}");
}

/// What is said of `text`, warnings included; `Ok` when it is taken.
fn said(path: &str, text: &str) -> Result<String, String> {
    match load_text(Path::new(path), text, &nothing) {
        Ok(loaded) => Ok(loaded.warnings.text(&loaded.sources, Colour::Plain)),
        Err(refused) => Err(refused.report.text(&refused.sources, Colour::Plain)),
    }
}

/// Whether this build takes what a text asks for: without its feature it is refused.
fn is_built(text: &str) -> bool {
    let asks = |words: &[&str]| words.iter().any(|word| text.contains(word));
    (cfg!(feature = "acme") || !asks(&["acme"]))
        && (cfg!(feature = "dns") || !asks(&["dns:", "srv:"]))
}

#[test]
fn what_a_build_cannot_do_is_refused_with_the_feature_that_it_lacks() {
    let (acme, dns) = ("[acme]\nstate = \"acme\"\n", "[pools.a]\nbackends = \"dns:a:1\"\n");
    for (text, feature) in [(acme, "acme"), (dns, "dns")] {
        let said = said("x.toml", text).unwrap_or_else(|refused| refused);
        let is_refused = said.contains(&format!("build it with the feature `{feature}`"));
        assert_eq!(is_refused, !is_built(text), "{said}");
    }
}

/// The files of configuration in a directory, by name.
fn files(dir: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(root().join(dir)).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        all.filter(|path| path.extension().is_some_and(|ending| ending == "toml")).collect();
    files.sort();
    files
}

#[test]
fn bad_files_are_answered_as_written_in_their_golden_files() {
    let cases = files("tests/config");
    assert!(!cases.is_empty());
    for case in cases.into_iter().chain(files("tests/config/broken")) {
        let text = fs::read_to_string(&case).unwrap();
        if !is_built(&text) {
            continue;
        }
        let name = case.file_name().unwrap().to_str().unwrap();
        // A bare name, so that the answer does not depend on where the sources lie.
        let answer = said(name, &text).unwrap_or_else(|refused| refused);
        golden(&case.with_extension("txt"), &answer);
    }
}

/// Each with one mistake, as somebody makes it who writes such a table.
#[test]
fn a_file_with_one_mistake_has_one_error_which_says_where_it_is() {
    let cases = files("tests/config/broken");
    assert!(cases.len() >= 30, "{}", cases.len());
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let refused = said(name, &fs::read_to_string(&case).unwrap()).expect_err(name);
        let errors = refused.lines().filter(|line| line.starts_with("error[")).count();
        assert_eq!(errors, 1, "{refused}");
        let place = format!(" --> {name}:");
        assert!(refused.lines().any(|line| line.trim_start().starts_with(place.trim_start())));
    }
}

#[test]
fn the_committed_reference_and_schema_are_those_that_are_printed() {
    golden(&root().join("config/README.md"), &reference_markdown());
    golden(&root().join("config/tidegate.schema.json"), &schema_json());
}

#[test]
fn every_key_of_the_reference_is_found_by_its_place() {
    let text = reference_markdown();
    let lines: Vec<&str> = text.lines().collect();
    let (mut table, mut found) = ("", HashSet::new());
    for (above, line) in lines.iter().zip(&lines[1..]) {
        if let Some(header) = above.strip_prefix("## `") {
            table = header.trim_matches(['[', ']', '`']);
        }
        let Some((key, _)) = line.strip_prefix("**`").and_then(|rest| rest.split_once("`** · "))
        else {
            continue;
        };
        let place = if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") };
        assert_eq!(*above, format!("<a id=\"{place}\"></a>"));
        assert!(text.contains(&format!("[`{key}`](#{place})")), "{place} is not in the contents");
        assert!(found.insert(place), "{key} of {table} stands there twice");
    }
    assert!(found.len() > 200, "{}", found.len());
}

mod access;
mod files;
mod guides;
mod meaning;
mod part;
mod revocations;
mod samples;
mod secrets;
