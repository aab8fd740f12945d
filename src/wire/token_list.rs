//! A list of tokens that are good no more: a name in a line.

use std::collections::HashSet;

use super::byte_order_mark::without_mark;

/// Bytes of a name at most.
const NAME_BYTES_MAX: usize = 1024;

/// Names of tokens (`jti`, RFC 7519 §4.1.7), or of whom they are for (`sub`, §4.1.2).
#[derive(Debug, Default)]
pub struct TokenList(HashSet<Box<str>>);

/// A line that is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadTokenLine {
    /// Its number, from 1.
    pub line: usize,
    /// What is wrong with it; the end of a sentence.
    pub what: &'static str,
}

impl TokenList {
    /// Reads a file: a name in each line, without the spaces around it. Empty lines, and those that
    /// begin with `#`, say nothing.
    ///
    /// # Errors
    /// The first line that is wrong: a list that is read in part would leave somebody in.
    pub fn read(bytes: &[u8]) -> Result<TokenList, BadTokenLine> {
        let mut names = HashSet::new();
        for (index, line) in without_mark(bytes).split(|byte| *byte == b'\n').enumerate() {
            let wrong = |what| BadTokenLine { line: index + 1, what };
            let line = str::from_utf8(line).map_err(|_| wrong("is no text (UTF-8)"))?.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.len() > NAME_BYTES_MAX {
                return Err(wrong("has more than 1024 bytes"));
            }
            if line.chars().any(char::is_control) {
                return Err(wrong("has a control character"));
            }
            names.insert(line.into());
        }
        Ok(TokenList(names))
    }

    /// Whether a name is on it.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_the_names_of_its_lines_and_nothing_else() {
        let list = TokenList::read(b"# since Monday\r\nada\r\n\n  token 7 \n").unwrap();
        for name in ["ada", "token 7"] {
            assert!(list.has(name), "{name}");
        }
        for name in ["", "# since Monday", "ad", "ada ", "token"] {
            assert!(!list.has(name), "{name}");
        }
        assert!(!TokenList::read(b"").unwrap().has(""));
        let marked = TokenList::read(b"\xef\xbb\xbfada\r\neve\r\n").unwrap();
        assert!(marked.has("ada") && marked.has("eve"), "a byte order mark is no letter");
    }

    #[test]
    fn a_list_with_a_wrong_line_is_none() {
        let long = [b"x".repeat(NAME_BYTES_MAX), b"\n".to_vec(), b"y".repeat(1025)].concat();
        for (bytes, line) in [(&b"a\n\xff\nb"[..], 2), (b"a\n\nb\x07", 3), (&long, 2)] {
            assert_eq!(TokenList::read(bytes).unwrap_err().line, line);
        }
    }
}
