//! Files from a directory, with an index and a single-page fallback.

mod content;
mod open;
mod reply;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::{CACHE_CONTROL, LOCATION, RANGE, VARY};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode};

use self::open::{DirEntry, RegularFile};
use super::action_error::ActionError;
use crate::base::body::{self, Body};
use crate::base::clock;
use crate::config::plan;
use crate::wire::{content_coding, path};

/// A directory that is served.
#[derive(Clone, Debug)]
pub struct FileServer {
    root: Arc<Path>,
    index: Arc<str>,
    fallback: Option<Arc<str>>,
    precompressed: bool,
    cache: Arc<[(Option<Box<str>>, HeaderValue)]>,
    /// What was cut from a path before it came here.
    prefix: String,
}

impl FileServer {
    /// Serves what the plan says; `prefix` is what is cut from the path before it comes here, and
    /// put back where a directory is redirected to its slash.
    pub fn new(plan: &plan::Files, prefix: Option<&str>) -> FileServer {
        FileServer {
            root: plan.root.as_path().into(),
            index: Arc::clone(&plan.index),
            fallback: plan.fallback.clone(),
            precompressed: plan.precompressed,
            cache: plan.cache.clone().into(),
            prefix: prefix.unwrap_or_default().trim_end_matches('/').to_owned(),
        }
    }

    /// Answers GET and HEAD for `path`, which is decoded, without dot segments and doubled slashes,
    /// and cut of the route's prefix where that is asked for: with ranges (RFC 9110 §14) and
    /// preconditions (§13). Names that begin with a dot are hidden, but for `.well-known`
    /// (RFC 8615); so is what lies outside the directory, wherever links lead, and what is no
    /// regular file.
    ///
    /// # Errors
    /// [`ActionError::Method`] for another method, [`ActionError::NoFile`] where there is none and
    /// no fallback, [`ActionError::File`] where the file cannot be read.
    pub async fn serve(&self, head: &Parts, path: &str) -> Result<Response<Body>, ActionError> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(ActionError::Method);
        }
        if path.split('/').any(is_hidden) {
            return Err(ActionError::NoFile);
        }
        let mut name = path.to_owned();
        if name.ends_with('/') {
            name.push_str(&self.index);
        }
        match (self.open(head, &name).await?, &self.fallback) {
            (Some(DirEntry::File(file)), _) => Ok(self.answer(head, file, &name)),
            (Some(DirEntry::Directory), _) => self.to_slash(path, head.uri.query()),
            (None, Some(fallback)) => match self.open(head, fallback).await? {
                Some(DirEntry::File(file)) => Ok(self.answer(head, file, fallback)),
                _ => Err(ActionError::NoFile),
            },
            (None, None) => Err(ActionError::NoFile),
        }
    }

    /// The answer with a file, and how it may be kept.
    fn answer(&self, head: &Parts, file: RegularFile, name: &str) -> Response<Body> {
        let mut answer = reply::answer(head, file, name, clock::wall());
        if self.precompressed {
            // Whichever it is, another client would have another.
            answer.headers_mut().append(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        let is_kept = answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED;
        let ending = Path::new(name).extension().and_then(|ending| ending.to_str());
        let is_for = |of: &Option<Box<str>>| match (of, ending) {
            (Some(of), Some(ending)) => of.eq_ignore_ascii_case(ending),
            (Some(_), None) => false,
            (None, _) => true,
        };
        if let Some((_, value)) = self.cache.iter().find(|(of, _)| is_kept && is_for(of)) {
            answer.headers_mut().insert(CACHE_CONTROL, value.clone());
        }
        answer
    }

    /// Opens what has this name below the directory, or of a file what is compressed beside it and
    /// the client takes; `None` where nothing is that may be shown.
    async fn open(&self, head: &Parts, name: &str) -> Result<Option<DirEntry>, ActionError> {
        let root = Arc::clone(&self.root);
        let name = PathBuf::from(OsString::from(name.trim_start_matches('/')));
        let codings = match self.precompressed && !asks_several_parts(head) {
            true => content_coding::accepted(&head.headers).collect(),
            false => Vec::new(),
        };
        // A file system may be slow, and the worker has other things to do.
        let open = move || open::open_coded(&root, &name, &codings);
        let opened = tokio::task::spawn_blocking(open).await;
        match opened.map_err(io::Error::other).flatten() {
            Ok(entry) => Ok(Some(entry)),
            Err(error) if open::is_absence(&error) => Ok(None),
            Err(error) => Err(ActionError::File(error)),
        }
    }

    /// A directory's relative links need its slash.
    fn to_slash(&self, path: &str, query: Option<&str>) -> Result<Response<Body>, ActionError> {
        let rest = path.trim_matches('/');
        let whole = [&*self.prefix, "/", rest, "/"].concat();
        let mut target = path::escape(&whole, false).into_owned();
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        // What came through an HTTP parser can stand in a field.
        let target = PathAndQuery::try_from(target).map_err(|_| ActionError::NoFile)?;
        let target = HeaderValue::try_from(target.as_str()).map_err(|_| ActionError::NoFile)?;
        let mut answer = Response::new(body::empty());
        *answer.status_mut() = StatusCode::TEMPORARY_REDIRECT;
        answer.headers_mut().insert(LOCATION, target);
        Ok(answer)
    }
}

/// Whether several parts of a file are asked for: their own heads stand in the body, which has no
/// content coding then.
fn asks_several_parts(head: &Parts) -> bool {
    head.headers.get_all(RANGE).iter().any(|range| range.as_bytes().contains(&b','))
}

/// Whether a name is not for everybody: `.env`, `.git`, `.htpasswd`.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

#[cfg(test)]
mod tests;
