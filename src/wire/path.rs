//! A request's path, read once: what routes are matched with, and what is sent on.

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
    /// A dot segment that only some readers see: `%2e%2e`, `..%2f`, `..;x`; or one that removes a
    /// segment with an escaped slash in it.
    HiddenDots,
    /// A backslash, which some readers take for a slash.
    Backslash,
    /// A control character.
    Control,
    /// A letter of ASCII in more bytes than it has: some decoders take `%c0%af` for a slash.
    Overlong,
    /// It is rewritten to one that is longer than a path may be.
    TooLong,
}

impl PathError {
    /// Whether the path can be read, but not by all readers alike.
    pub fn is_ambiguous(self) -> bool {
        use PathError::{Backslash, Control, HiddenDots, Overlong};
        matches!(self, HiddenDots | Backslash | Control | Overlong)
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PathError::NotAbsolute => "the path does not begin with `/`",
            PathError::Percent => "the path has a `%` without two hexadecimal digits",
            PathError::Null => "the path has a null byte",
            PathError::AboveRoot => "the path leads above the root",
            PathError::HiddenDots => "the path has a dot segment that depends on an escape or `;`",
            PathError::Backslash => "the path has a backslash",
            PathError::Control => "the path has a control character",
            PathError::Overlong => "the path has an overlong escape",
            PathError::TooLong => "the path becomes too long",
        })
    }
}

impl std::error::Error for PathError {}

/// A path as it was read, the same for the route and for the backend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading<'a> {
    /// What routes are matched with: `sent`, percent-decoded, without the parameters of segments
    /// (from `;` to the next slash; RFC 3986 §3.3), and several slashes, plain or escaped, as one.
    /// What is no UTF-8 has replacement characters.
    pub matched: Cow<'a, str>,
    /// What is sent on: the path as it came, with dot segments resolved.
    pub sent: Cow<'a, str>,
}

/// Reads a path, which has no query. Servers disagree on what some paths mean: nginx and WSGI
/// decode `%2F` before they look for segments, Express and RFC 3986 do not; servlet containers cut
/// `;…` off. The rule is that such differences may change a segment's text, but never where in the
/// tree a path leads:
///
/// - Plain `.` and `..` segments are resolved, in what is sent as well (RFC 3986 §5.2.4; `..` also
///   removes empty segments before it, as in nginx), so that no later reader resolves them.
/// - A path is refused where a dot segment is there for some readers only: behind an escaped dot or
///   slash, or in front of parameters (`/%2e%2e/`, `/..%2fx`, `/x%2f..`, `/..;/`); and where `..`
///   removes a segment with an escaped slash, which is one segment or two.
/// - A backslash, a control character and an overlong escape are refused, plain or escaped.
/// - All else is sent as it came: `//`, `%2F` between other letters (`group%2Fproject`), `;v=1`,
///   and any other escape.
///
/// # Errors
/// A path that means nothing, leads above the root, or is ambiguous.
pub fn read(path: &str) -> Result<Reading<'_>, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    if is_plain(path.as_bytes()) {
        return Ok(Reading { matched: path.into(), sent: path.into() });
    }
    for segment in path[1..].split('/') {
        check(segment)?;
    }
    let sent = resolve(path)?;
    let matched = matched(&sent)?.into();
    Ok(Reading { matched, sent })
}

/// What an ambiguous path is matched with where it is sent as it came: all that any reader may
/// decode or resolve is decoded and resolved.
///
/// # Errors
/// A path that means nothing, or leads above the root.
pub fn read_ambiguous(path: &str) -> Result<String, PathError> {
    if !path.starts_with('/') {
        return Err(PathError::NotAbsolute);
    }
    matched(path)
}

/// What is left of `sent`, a [`Reading`]'s, behind the first `length` bytes of what it is matched
/// with; it begins with one slash. Parameters of the last segment that goes, and slashes between it
/// and what is left, go as well.
pub fn cut(sent: &str, length: usize) -> String {
    let mut letters = Letters::new(sent);
    for _ in 0..length {
        letters.next();
    }
    letters.skip_parameters();
    let start = sent.len() - letters.rest.len();
    let rest = trim_slashes(sent.get(start..).unwrap_or_default());
    ["/", rest].concat()
}

/// A path without its leading slashes, plain or escaped.
pub fn trim_slashes(mut path: &str) -> &str {
    loop {
        let escaped = path.get(..3).filter(|escape| escape.eq_ignore_ascii_case("%2f"));
        path = match escaped {
            Some(_) => &path[3..],
            None if path.starts_with('/') => &path[1..],
            None => return path,
        };
    }
}

/// A text without regard to case, to be compared with another: as near to Unicode's simple case
/// folding, which regexes use, as the standard library's tables go.
pub fn fold(text: &str) -> Cow<'_, str> {
    match text.chars().all(|letter| fold_letter(letter) == letter) {
        true => text.into(),
        false => text.chars().map(fold_letter).collect::<String>().into(),
    }
}

/// How many bytes of `text` are the same as `folded` without regard to case; `None` where it does
/// not begin so.
pub fn folded_prefix(text: &str, folded: &str) -> Option<usize> {
    let mut letters = text.char_indices();
    for wanted in folded.chars() {
        let (_, letter) = letters.next()?;
        if fold_letter(letter) != wanted {
            return None;
        }
    }
    Some(text.len() - letters.as_str().len())
}

fn fold_letter(letter: char) -> char {
    fn single(mut letters: impl Iterator<Item = char>) -> Option<char> {
        letters.next().filter(|_| letters.next().is_none())
    }
    if letter.is_ascii() {
        return letter.to_ascii_lowercase();
    }
    // By way of the capital: `ſ` is a small letter, and the same as `s`.
    let capital = single(letter.to_uppercase()).unwrap_or(letter);
    single(capital.to_lowercase()).unwrap_or(letter)
}

/// Escapes all but what may stand in a path (RFC 3986 §3.3). `is_escaped` says that the text has
/// escapes, which stay.
pub fn escape(path: &str, is_escaped: bool) -> Cow<'_, str> {
    let may = |byte: u8| {
        byte.is_ascii_alphanumeric()
            || b"/-._~!$&'()*+,;=:@".contains(&byte)
            || is_escaped && byte == b'%'
    };
    if path.bytes().all(may) {
        return path.into();
    }
    let mut escaped = String::with_capacity(path.len() + 16);
    for byte in path.bytes() {
        if may(byte) {
            escaped.push(byte as char);
        } else {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            escaped.push('%');
            escaped.push(HEX[usize::from(byte >> 4)] as char);
            escaped.push(HEX[usize::from(byte & 15)] as char);
        }
    }
    escaped.into()
}

/// Whether there is nothing to decode, to resolve or to refuse, as with nearly every path.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|&byte| {
        let pair = (std::mem::replace(&mut before, byte), byte);
        !matches!(pair, (b'/', b'/' | b'.') | (_, b'%' | b';' | b'\\' | 0..=0x1f | 0x7f))
    })
}

/// Refuses a segment that readers do not agree on.
fn check(segment: &str) -> Result<(), PathError> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some(byte) = decode(&mut rest)? {
        match byte {
            b'\\' => return Err(PathError::Backslash),
            0..=0x1f | 0x7f => return Err(PathError::Control),
            _ => decoded.push(byte),
        }
    }
    if is_overlong(&decoded) {
        return Err(PathError::Overlong);
    }
    let is_dots = |part: &[u8]| {
        let name = part.split(|&byte| byte == b';').next();
        matches!(name, Some(b"." | b".."))
    };
    let is_plain = matches!(segment, "." | "..");
    match !is_plain && decoded.split(|&byte| byte == b'/').any(is_dots) {
        true => Err(PathError::HiddenDots),
        false => Ok(()),
    }
}

/// Whether some bytes are ASCII written longer than it is (RFC 3629 §3).
fn is_overlong(bytes: &[u8]) -> bool {
    let goes_on = |byte: &u8| (0x80..=0xbf).contains(byte);
    bytes.windows(2).any(|pair| matches!(pair, [0xc0 | 0xc1, next] if goes_on(next)))
        || bytes.windows(3).any(|three| matches!(three, [0xe0, 0x80 | 0x81, end] if goes_on(end)))
        || bytes
            .windows(4)
            .any(|four| matches!(four, [0xf0, 0x80, 0x80 | 0x81, end] if goes_on(end)))
}

/// The path without its plain dot segments.
fn resolve(path: &str) -> Result<Cow<'_, str>, PathError> {
    if !path.contains("/.") {
        return Ok(path.into());
    }
    let mut kept: Vec<&str> = Vec::new();
    let mut ends_with_dots = false;
    for segment in path[1..].split('/') {
        ends_with_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => remove_last(&mut kept)?,
            _ => kept.push(segment),
        }
    }
    if ends_with_dots {
        kept.push("");
    }
    Ok(["/", &kept.join("/")].concat().into())
}

/// Removes what `..` stands behind.
fn remove_last(kept: &mut Vec<&str>) -> Result<(), PathError> {
    let removed = loop {
        match kept.pop() {
            None => return Err(PathError::AboveRoot),
            Some("") => {}
            Some(segment) => break segment,
        }
    };
    match removed.to_ascii_lowercase().contains("%2f") {
        true => Err(PathError::HiddenDots),
        false => Ok(()),
    }
}

/// What a path is matched with; in one that [`check`] has let pass no dot segment is left.
fn matched(path: &str) -> Result<String, PathError> {
    let mut normal: Vec<u8> = Vec::with_capacity(path.len() + 1);
    for letter in Letters::new(path) {
        let letter = letter?;
        if letter == b'/' {
            end_segment(&mut normal)?;
            if normal.last() == Some(&b'/') {
                continue;
            }
        }
        normal.push(letter);
    }
    end_segment(&mut normal)?;
    let text = String::from_utf8(normal);
    Ok(text.unwrap_or_else(|wrong| String::from_utf8_lossy(wrong.as_bytes()).into()))
}

/// Resolves a last segment that is `.` or `..`, leaving the slash before it.
fn end_segment(normal: &mut Vec<u8>) -> Result<(), PathError> {
    let bytes = normal.len();
    if normal.ends_with(b"/.") {
        normal.truncate(bytes - 1);
    } else if normal.ends_with(b"/..") {
        let above = &normal[..bytes - 3];
        let slash = above.iter().rposition(|byte| *byte == b'/').ok_or(PathError::AboveRoot)?;
        normal.truncate(slash + 1);
    }
    Ok(())
}

/// The letters a path is matched with, one after another: decoded, without parameters, slashes
/// merged.
struct Letters<'a> {
    rest: &'a [u8],
    last: u8,
}

impl<'a> Letters<'a> {
    fn new(path: &'a str) -> Letters<'a> {
        Letters { rest: path.as_bytes(), last: 0 }
    }

    /// Parameters end at a plain slash: an escaped one is part of them.
    fn skip_parameters(&mut self) {
        if self.rest.first() == Some(&b';') {
            let end = self.rest.iter().position(|byte| *byte == b'/');
            self.rest = &self.rest[end.unwrap_or(self.rest.len())..];
        }
    }
}

impl Iterator for Letters<'_> {
    type Item = Result<u8, PathError>;

    fn next(&mut self) -> Option<Result<u8, PathError>> {
        loop {
            self.skip_parameters();
            let letter = match decode(&mut self.rest) {
                Ok(letter) => letter?,
                Err(error) => return Some(Err(error)),
            };
            let before = std::mem::replace(&mut self.last, letter);
            if (before, letter) != (b'/', b'/') {
                return Some(Ok(letter));
            }
        }
    }
}

/// The next byte, decoded.
fn decode(rest: &mut &[u8]) -> Result<Option<u8>, PathError> {
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

#[cfg(test)]
mod tests;
