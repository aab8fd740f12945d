//! A whole file of another kind: said once, not line by line.

/// What is said to who comes from HAProxy or Caddy.
const FROM_OTHERS: &str = "write `[listeners.NAME]`, `[pools.NAME]` and `[[routes]]`; the guide \
    `from-others` (config/guides) shows how";

/// What a text that is not TOML looks like, and what to say of it.
pub fn format_of(text: &str) -> Option<(&'static str, &'static str)> {
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_comment(line)).collect();
    let most = |is: &dyn Fn(&str) -> bool, percent: usize| {
        lines.iter().filter(|line| is(line)).count() * 100 >= lines.len() * percent
    };
    let any = |is: &dyn Fn(&str) -> bool| lines.iter().any(|line| is(line));
    let first = lines.first()?;
    if first.starts_with('{') || (first.starts_with('[') && first.ends_with('{')) {
        return Some(("JSON", "write `key = value` lines below `[table]` lines"));
    }
    let is_assigned = |line: &str| line.split('"').next().unwrap_or("").contains('=');
    if most(&is_assigned, 30) {
        return None;
    }
    let in_braces = |line: &str| line.ends_with(['{', '}', ';']);
    if any(&|line| line.ends_with(';')) && most(&in_braces, 70) {
        let hint =
            "the guide `from-nginx` (config/guides) has each directive and what to write for it";
        return Some(("nginx's configuration", hint));
    }
    if any(&|line| line.ends_with('{')) && any(&|line| line == "}") {
        return Some(("a Caddyfile", FROM_OTHERS));
    }
    let sections = ["frontend", "backend", "listen", "defaults", "global"];
    let is_section = |line: &str| line.split(' ').next().is_some_and(|w| sections.contains(&w));
    if any(&is_section) && !any(&|line| line.ends_with(':')) {
        return Some(("HAProxy's configuration", FROM_OTHERS));
    }
    let is_yaml = |line: &str| line == "---" || line.starts_with("- ") || has_colon(line);
    if most(&is_yaml, 70) {
        return Some(("YAML", "write `key = value` lines below `[table]` lines"));
    }
    None
}

fn is_comment(line: &str) -> bool {
    line.starts_with('#') || line.starts_with("//")
}

/// `key: value`, or `key:` alone.
fn has_colon(line: &str) -> bool {
    let key = line.split(": ").next().unwrap_or(line);
    let key = key.trim_end_matches(':').trim_matches('"');
    let is_word = |c: char| c.is_alphanumeric() || "._-/".contains(c);
    (line.contains(": ") || line.ends_with(':')) && !key.is_empty() && key.chars().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_told_apart_and_broken_toml_is_none_of_them() {
        let name = |text| format_of(text).map(|(name, _)| name);
        let nginx = "server {\n  listen 80;\n  location / {\n    proxy_pass http://a;\n  }\n}\n";
        assert_eq!(name(nginx), Some("nginx's configuration"));
        assert_eq!(name("a.example {\n\treverse_proxy b:80\n}\n"), Some("a Caddyfile"));
        assert_eq!(name("frontend www\n  bind :80\n"), Some("HAProxy's configuration"));
        assert_eq!(name("http:\n  routers:\n    - rule: Host(`a`)\n"), Some("YAML"));
        assert_eq!(name("{\n \"listeners\": {}\n}\n"), Some("JSON"));
        assert_eq!(name("[listeners.http]\naddress = 127.0.0.1:80\n"), None);
        assert_eq!(name("[pools.a\nbackends = [\"a:1\"]\n"), None);
    }
}
