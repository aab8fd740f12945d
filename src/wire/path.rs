//! A path as routes see it, in nginx's normalisation: percent-decoded, `.` and `..` resolved,
//! slashes merged.

use std::borrow::Cow;
use std::fmt;

/// Why a path is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// A percent sign without two hexadecimal digits.
    Percent,
    /// `%00`.
    Null,
    /// `..` above the root.
    AboveRoot,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotAbsolute => "the path does not begin with `/`",
            PathError::Percent => "the path has a `%` without two hexadecimal digits",
            PathError::Null => "the path has a null byte",
            PathError::AboveRoot => "the path leads above the root",
        })
    }
}

impl std::error::Error for PathError {}

/// The one path that all spellings of it mean. A query is no part of a path. What is no UTF-8 when
/// decoded is matched with replacement characters; it is forwarded as it came.
///
/// As in nginx, decoded slashes and dots count as slashes and dots, so that `%2e%2e%2f` is no way
/// round a route.
///
/// # Errors
/// A path that means nothing, or leads above the root.
pub fn normalise(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_normal(path.as_bytes()) {
        return Ok(path.into());
    }
    let mut normal: Vec<u8> = Vec::with_capacity(path.len() + 1);
    let mut rest = path.as_bytes();
    while let Some(byte) = next(&mut rest)? {
        if byte == b'/' {
            end_segment(&mut normal)?;
            if normal.last() != Some(&b'/') {
                normal.push(b'/');
            }
        } else {
            normal.push(byte);
        }
    }
    end_segment(&mut normal)?;
    let text = String::from_utf8(normal);
    Ok(text.unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into()).into())
}

/// Whether nothing is to be done, as with nearly every path.
fn is_normal(path: &[u8]) -> bool {
    !path.contains(&b'%') && !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

/// The next byte, decoded.
fn next(rest: &mut &[u8]) -> Result<Option<u8>, PathError> {
    let Some((byte, behind)) = rest.split_first() else { return Ok(None) };
    *rest = behind;
    if *byte != b'%' {
        return Ok(Some(*byte));
    }
    let [high, low, behind @ ..] = behind else { return Err(PathError::Percent) };
    let digit = |byte: u8| char::from(byte).to_digit(16).ok_or(PathError::Percent);
    *rest = behind;
    match (digit(*high)? << 4 | digit(*low)?) as u8 {
        0 => Err(PathError::Null),
        byte => Ok(Some(byte)),
    }
}

/// Resolves a last segment that is `.` or `..`, leaving the slash before it.
fn end_segment(normal: &mut Vec<u8>) -> Result<(), PathError> {
    let segments = normal.len();
    if normal.ends_with(b"/.") {
        normal.truncate(segments - 1);
    } else if normal.ends_with(b"/..") {
        let above = &normal[..segments - 3];
        let slash = above.iter().rposition(|byte| *byte == b'/').ok_or(PathError::AboveRoot)?;
        normal.truncate(slash + 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_normal_path_is_left_alone() {
        for path in ["/", "/chat", "/a/b.c/", "/a..b/c...", "/~x;y=1"] {
            assert!(matches!(normalise(path), Ok(Cow::Borrowed(same)) if same == path), "{path}");
        }
    }

    #[test]
    fn spellings_of_a_path_are_one() {
        let pairs = [
            ("//", "/"),
            ("/a//b///c", "/a/b/c"),
            ("/.", "/"),
            ("/./a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/b/../../c", "/c"),
            ("/a/..", "/"),
            ("/a//../b", "/b"),
            ("/...", "/..."),
            ("/.hidden/..x", "/.hidden/..x"),
            ("/%63hat", "/chat"),
            ("/a%2Fb", "/a/b"),
            ("/a/%2e%2E%2fb", "/b"),
            ("/a/.%2e/b", "/b"),
            ("/a/%2e", "/a/"),
            ("/%2e%2e%2e", "/..."),
            ("/%25%32%65", "/%2e"),
            ("/a%3Fb%23c%20d", "/a?b#c d"),
            ("/caf%C3%A9", "/café"),
            ("/caf%E9", "/caf\u{fffd}"),
        ];
        for (path, normal) in pairs {
            assert_eq!(normalise(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let wrong = [
            ("", PathError::NotAbsolute),
            ("*", PathError::NotAbsolute),
            ("%2fa", PathError::NotAbsolute),
            ("/%", PathError::Percent),
            ("/%4", PathError::Percent),
            ("/%zz", PathError::Percent),
            ("/%+1", PathError::Percent),
            ("/a%00", PathError::Null),
            ("/..", PathError::AboveRoot),
            ("/../a", PathError::AboveRoot),
            ("/a/../../b", PathError::AboveRoot),
            ("/%2e%2e/etc/passwd", PathError::AboveRoot),
            ("//..", PathError::AboveRoot),
        ];
        for (path, why) in wrong {
            assert_eq!(normalise(path), Err(why), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_spelling_keeps_dots_or_double_slashes(
            any in ".{0,40}",
            near in "(/|\\.|%2e|%2F|%c3|%A9|a|%25){0,20}",
        ) {
            for path in [format!("/{any}"), format!("/{near}"), any] {
                let Ok(normal) = normalise(&path) else { continue };
                prop_assert!(normal.starts_with('/'));
                prop_assert!(!normal.contains("//"));
                prop_assert!(!normal.split('/').any(|segment| matches!(segment, "." | "..")));
                if !normal.contains('%') {
                    prop_assert_eq!(normalise(&normal), Ok(Cow::from(&*normal)));
                }
            }
        }
    }
}
