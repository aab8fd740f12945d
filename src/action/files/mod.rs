//! Files from a directory, with an index and a single-page fallback.

mod content;
mod open;
mod reply;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::header::LOCATION;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Response, StatusCode};

use self::open::DirEntry;
use super::action_error::ActionError;
use crate::base::body::{self, Body};
use crate::base::clock;
use crate::config::plan;
use crate::wire::path;

/// A directory that is served.
#[derive(Clone, Debug)]
pub struct FileServer {
    root: Arc<Path>,
    index: Arc<str>,
    fallback: Option<Arc<str>>,
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
        match (self.open(&name).await?, &self.fallback) {
            (Some(DirEntry::File(file)), _) => Ok(reply::answer(head, file, &name, clock::wall())),
            (Some(DirEntry::Directory), _) => self.to_slash(path, head.uri.query()),
            (None, Some(fallback)) => match self.open(fallback).await? {
                Some(DirEntry::File(file)) => {
                    Ok(reply::answer(head, file, fallback, clock::wall()))
                }
                _ => Err(ActionError::NoFile),
            },
            (None, None) => Err(ActionError::NoFile),
        }
    }

    /// Opens what has this name below the directory; `None` where nothing is that may be shown.
    async fn open(&self, name: &str) -> Result<Option<DirEntry>, ActionError> {
        let root = Arc::clone(&self.root);
        let name = PathBuf::from(OsString::from(name.trim_start_matches('/')));
        // A file system may be slow, and the worker has other things to do.
        let opened = tokio::task::spawn_blocking(move || open::open(&root, &name)).await;
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

/// Whether a name is not for everybody: `.env`, `.git`, `.htpasswd`.
fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && name != ".well-known"
}

#[cfg(test)]
mod tests;
