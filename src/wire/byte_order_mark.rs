//! The byte order mark with which editors of Windows begin a file of UTF-8 (RFC 3629 §6).

/// The mark in UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// A file without its mark: who takes it for a part of the first line takes a list's first name for
/// another.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}
