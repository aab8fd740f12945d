//! `conf.d/*.toml`: a star in a file's name, and nowhere else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The files `pattern` names below `directory`, in the order of their names. A pattern without a
/// star names one file, there or not. Hidden files match only a pattern that begins with a dot,
/// so that an editor's leftovers are not read.
///
/// # Errors
/// The directory cannot be read, or a star stands in its name.
pub fn files(directory: &Path, pattern: &str) -> io::Result<Vec<PathBuf>> {
    let whole = directory.join(pattern);
    let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
    let parent = whole.parent().unwrap_or(directory);
    if parent.to_string_lossy().contains('*') && pattern.contains('/') {
        let said = "a star may stand in the file's name only";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
    }
    if !name.contains('*') {
        return Ok(vec![whole]);
    }
    let mut found = Vec::new();
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        // No directory, no files: the caller says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let Ok(file) = entry.file_name().into_string() else { continue };
        if is_named(&name, &file) && entry.path().is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file of this name is one of those that `pattern`, a name with stars, stands for.
pub fn is_named(pattern: &str, name: &str) -> bool {
    let hidden = name.starts_with('.') && !pattern.starts_with('.');
    !hidden && matches(pattern, name)
}

/// Whether `name` is `pattern` with something, or nothing, in place of each star.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_in_a_files_name() {
        for (pattern, name, expected) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml~", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*b*c", "acb", false),
            ("ab*b", "ab", false),
            ("plain", "plain", true),
            ("plain", "plainly", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
