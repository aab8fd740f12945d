//! A request's target as the log shows it: no user info, no values of a query that may be secret,
//! and no more than fits in a line.

use std::fmt::{self, Write};

use http::Uri;

use crate::config::plan::QueryLog;

/// Bytes of a target that are shown; a mark stands for the rest.
const BYTES_MAX: usize = 1024;

/// Bytes of a target that are kept of a session while it lives.
const KEPT_BYTES_MAX: usize = 96;

/// What stands for what is left out.
const LEFT_OUT: &str = "…";

/// A target's path and query; host and user info are not part of it.
pub(super) struct LoggedTarget {
    uri: Uri,
    query: QueryLog,
}

impl LoggedTarget {
    /// Of a request for `uri`, as `log.query` says.
    pub(super) fn new(uri: &Uri, query: &QueryLog) -> LoggedTarget {
        LoggedTarget { uri: uri.clone(), query: query.clone() }
    }

    /// Its path alone.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// Takes something out of it.
    pub(super) fn redact(&mut self, redact: impl FnOnce(&mut Uri)) {
        redact(&mut self.uri);
    }

    /// As much of it as a session keeps.
    pub(super) fn kept(&self) -> String {
        fmt::from_fn(|f| self.write(Shortened::new(f, KEPT_BYTES_MAX))).to_string()
    }

    fn write(&self, mut line: Shortened<'_, '_>) -> fmt::Result {
        line.write_str(self.uri.path())?;
        match (self.uri.query(), &self.query) {
            (None, _) | (_, QueryLog::Drop) => Ok(()),
            (Some(query), QueryLog::Keep) => write!(line, "?{query}"),
            (Some(query), QueryLog::Names) => names(&mut line, query, &[]),
            (Some(query), QueryLog::Only(shown)) => names(&mut line, query, shown),
        }
    }
}

impl fmt::Display for LoggedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(Shortened::new(f, BYTES_MAX))
    }
}

/// The query's parameters, with the values of those that are `shown`.
fn names(line: &mut Shortened<'_, '_>, query: &str, shown: &[String]) -> fmt::Result {
    for (at, parameter) in query.split('&').enumerate() {
        line.write_str(if at == 0 { "?" } else { "&" })?;
        match parameter.split_once('=') {
            Some((name, _)) if shown.iter().any(|one| one == name) => line.write_str(parameter)?,
            Some((name, _)) => write!(line, "{name}={LEFT_OUT}")?,
            // What has no name may be a token.
            None if parameter.is_empty() => {}
            None if shown.iter().any(|one| one == parameter) => line.write_str(parameter)?,
            None => line.write_str(LEFT_OUT)?,
        }
    }
    Ok(())
}

/// Text of so many bytes at most; a mark stands for the rest.
pub(super) struct Shortened<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    room: usize,
    is_full: bool,
}

impl<'a, 'f> Shortened<'a, 'f> {
    /// Writes to `f`, as much as there is room for.
    pub(super) fn new(f: &'a mut fmt::Formatter<'f>, room: usize) -> Shortened<'a, 'f> {
        Shortened { f, room, is_full: false }
    }
}

impl Write for Shortened<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.is_full {
            return Ok(());
        }
        if text.len() <= self.room {
            self.room -= text.len();
            return self.f.write_str(text);
        }
        self.is_full = true;
        self.f.write_str(&text[..text.floor_char_boundary(self.room)])?;
        self.f.write_str(LEFT_OUT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(uri: &str, query: QueryLog) -> String {
        LoggedTarget::new(&uri.parse().unwrap(), &query).to_string()
    }

    #[test]
    fn values_of_a_query_are_left_out_unless_they_are_asked_for() {
        let target = "/chat?token=s3cret&room=7&flag&=x";
        assert_eq!(shown(target, QueryLog::Names), "/chat?token=…&room=…&…&=…");
        assert_eq!(shown(target, QueryLog::Drop), "/chat");
        assert_eq!(shown(target, QueryLog::Keep), target);
        let only = QueryLog::Only(["room".to_owned(), "flag".to_owned()].into());
        assert_eq!(shown(target, only), "/chat?token=…&room=7&flag&=…");
        assert_eq!(shown("/chat?s3cret", QueryLog::Names), "/chat?…");
        assert_eq!(shown("/chat?", QueryLog::Names), "/chat?");
    }

    #[test]
    fn a_target_is_its_path_however_it_was_written() {
        let user = "http://user:s3cret@example.com/a?x=1";
        assert_eq!(shown(user, QueryLog::Names), "/a?x=…");
        assert_eq!(shown("https://example.com", QueryLog::Keep), "/");
        assert_eq!(shown("*", QueryLog::Keep), "*");
    }

    #[test]
    fn a_long_target_is_cut_with_a_mark() {
        let long = shown(&format!("/{}", "a".repeat(60_000)), QueryLog::Names);
        assert_eq!((long.len(), long.ends_with("a…")), (BYTES_MAX + LEFT_OUT.len(), true));
        let long = shown(&format!("/?{}", "a=1&".repeat(10_000)), QueryLog::Names);
        assert!(long.len() <= BYTES_MAX + LEFT_OUT.len() && long.ends_with('…'));
        let uri = format!("/{}?token=s3cret", "a".repeat(90)).parse().unwrap();
        let kept = LoggedTarget::new(&uri, &QueryLog::Names).kept();
        assert_eq!(kept, format!("/{}?toke…", "a".repeat(90)));
    }
}
