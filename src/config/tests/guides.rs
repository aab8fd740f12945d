use super::*;

/// Tables whose tables have names of their own.
const NAMED: [&str; 3] = ["listeners", "pools", "access"];

/// A file or a host.
fn is_name(path: &str) -> bool {
    [".toml", ".com"].iter().any(|ending| path.ends_with(ending))
}

/// The keys that a quotation of a guide speaks of: `[access.NAME.jwt]`, `health.probe` or
/// `hold = {}`; none where it is something else, as a file or a host.
fn keys<'a>(quoted: &'a str, known: &[&str]) -> Vec<&'a str> {
    let table = quoted.trim_start_matches('[').trim_end_matches(']');
    let is_table = quoted.starts_with('[') && quoted.ends_with(']');
    let written = quoted.split_once(" = ").map(|(key, _)| key);
    let path = written.unwrap_or(table);
    let parts: Vec<&str> = path.split('.').collect();
    let is_path = path.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c));
    let is_dotted = parts.len() > 1 && known.contains(&parts[0]) && !is_name(path);
    if !is_path || !(is_table || written.is_some() || is_dotted) {
        return Vec::new();
    }
    let named = NAMED.contains(&parts[0]);
    let is_key = |part: &&str| part.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let parts = parts.into_iter().enumerate().filter(|(at, _)| !(named && *at == 1));
    parts.map(|(_, part)| part).filter(is_key).collect()
}

/// Prose between blocks of code, line by line.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence
    })
}

#[test]
fn guides_speak_of_keys_that_there_are() {
    let schema = schema_json();
    let known: Vec<&str> = schema
        .split('"')
        .skip(1)
        .step_by(2)
        .filter(|word| !word.is_empty() && !word.contains(' '))
        .collect();
    let mut guides = vec![root().join("README.md")];
    let all = fs::read_dir(root().join("config/guides")).unwrap();
    guides.extend(all.map(|entry| entry.unwrap().path()));
    let (mut read, mut faults) = (0, Vec::new());
    for guide in guides.iter().filter(|path| path.extension().is_some_and(|e| e == "md")) {
        let text = fs::read_to_string(guide).unwrap();
        for (number, line) in prose(&text) {
            for quoted in line.split('`').skip(1).step_by(2) {
                for key in keys(quoted, &known) {
                    read += 1;
                    if !known.contains(&key) {
                        let name = guide.display();
                        faults.push(format!("{name}:{}: `{quoted}`: no key `{key}`", number + 1));
                    }
                }
            }
        }
    }
    assert!(read > 200, "{read}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
