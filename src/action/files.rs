//! FileServer from a directory, with an index and a single-page fallback.

use std::io;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use tower_http::services::fs::ServeFileSystemResponseBody;
use tower_http::services::{ServeDir, ServeFile};

use super::error::ActionError;
use crate::base::body::{Body, BoxError};
use crate::config::plan;

/// A directory that is served. Ranges, conditional requests and HEAD are `tower-http`'s; it
/// follows no `..` out of the directory.
#[derive(Clone, Debug)]
pub struct FileServer {
    dir: ServeDir,
    index: Arc<str>,
    fallback: Option<ServeFile>,
}

impl FileServer {
    /// Serves what the plan says; `prefix` is what is cut from the path before it comes here, and
    /// put back where a directory is redirected to its slash.
    pub fn new(plan: &plan::Files, prefix: Option<&str>) -> FileServer {
        let prefix = prefix.unwrap_or_default().trim_end_matches('/');
        FileServer {
            dir: ServeDir::new(&plan.root).redirect_path_prefix(prefix),
            index: Arc::clone(&plan.index),
            fallback: plan.fallback.as_ref().map(|file| ServeFile::new(plan.root.join(&**file))),
        }
    }

    /// Answers GET and HEAD for `path`, which is normalised, percent-encoded, and cut of the
    /// route's prefix where that is asked for.
    ///
    /// # Errors
    /// [`ActionError::Method`] for another method, [`ActionError::NoFile`] where there is none and
    /// no fallback, [`ActionError::File`] where the file cannot be read.
    pub async fn serve(
        &self,
        head: Parts,
        path: PathAndQuery,
    ) -> Result<Response<Body>, ActionError> {
        if head.method != Method::GET && head.method != Method::HEAD {
            return Err(ActionError::Method);
        }
        let mut request = Request::from_parts(head, Empty::<bytes::Bytes>::new());
        *request.uri_mut() = self.with_index(path);
        let again = self.fallback.as_ref().map(|fallback| (fallback.clone(), request.clone()));
        // The services are cheap to clone and want to be borrowed mutably.
        let mut found = there(self.dir.clone().try_call(request).await)?;
        if let (None, Some((mut fallback, request))) = (&found, again) {
            found = there(fallback.try_call(request).await)?;
        }
        found.map(|answer| answer.map(boxed)).ok_or(ActionError::NoFile)
    }

    /// The file asked for: a path that ends with a slash means the directory's index.
    fn with_index(&self, path: PathAndQuery) -> Uri {
        if !path.path().ends_with('/') {
            return Uri::from(path);
        }
        let query = path.query().map(|query| format!("?{query}")).unwrap_or_default();
        let whole = format!("{}{}{query}", path.path(), self.index);
        // An index whose name no path can hold is a file nobody can ask for.
        Uri::try_from(whole).unwrap_or_else(|_| Uri::from(path))
    }
}

/// The answer, or `None` where there is no such file.
fn there<B>(answer: io::Result<Response<B>>) -> Result<Option<Response<B>>, ActionError> {
    match answer {
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => Ok(None),
        Ok(answer) => Ok(Some(answer)),
        // What may not be read is not shown to exist.
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::InvalidFilename => Ok(None),
            _ => Err(ActionError::File(error)),
        },
    }
}

fn boxed(body: ServeFileSystemResponseBody) -> Body {
    body.map_err(|error| -> BoxError { Box::new(error) }).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{CONTENT_TYPE, LOCATION, RANGE};
    use std::fs;

    fn site() -> tempfile::TempDir {
        let site = tempfile::tempdir().unwrap();
        fs::create_dir_all(site.path().join("root/sub")).unwrap();
        for (name, text) in [
            ("root/home.html", "home"),
            ("root/a b.txt", "0123456789"),
            ("root/sub/home.html", "sub"),
            ("outside.txt", "secret"),
        ] {
            fs::write(site.path().join(name), text).unwrap();
        }
        site
    }

    fn files(site: &tempfile::TempDir, fallback: Option<&str>, prefix: Option<&str>) -> FileServer {
        let plan = plan::Files {
            root: site.path().join("root"),
            index: "home.html".into(),
            fallback: fallback.map(Arc::from),
            strip_prefix: prefix.is_some(),
        };
        FileServer::new(&plan, prefix)
    }

    async fn get(
        files: &FileServer,
        path: &str,
        range: Option<&str>,
    ) -> Result<(u16, String), ActionError> {
        let mut request = Request::get(path);
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        let head = request.body(()).unwrap().into_parts().0;
        let answer = files.serve(head, path.parse().unwrap()).await?;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        Ok((status, String::from_utf8(body.to_vec()).unwrap()))
    }

    #[tokio::test]
    async fn an_index_stands_for_its_directory() {
        let site = site();
        let files = files(&site, None, None);
        assert_eq!(get(&files, "/", None).await.unwrap(), (200, "home".into()));
        assert_eq!(get(&files, "/sub/?x", None).await.unwrap(), (200, "sub".into()));
    }

    #[tokio::test]
    async fn a_directory_is_redirected_to_its_slash_with_the_prefix_put_back() {
        let site = site();
        let files = files(&site, None, Some("/static"));
        let head = Request::get("/static/sub").body(()).unwrap().into_parts().0;
        let answer = files.serve(head, "/sub?q".parse().unwrap()).await.unwrap();
        assert_eq!(answer.headers()[LOCATION], "/static/sub/?q");
    }

    #[tokio::test]
    async fn ranges_and_encoded_names_are_served() {
        let site = site();
        let files = files(&site, None, None);
        let part = get(&files, "/a%20b.txt", Some("bytes=2-4")).await.unwrap();
        assert_eq!(part, (206, "234".into()));
    }

    #[tokio::test]
    async fn nothing_outside_the_directory_is_served() {
        let site = site();
        let files = files(&site, None, None);
        for path in ["/../outside.txt", "/%2e%2e/outside.txt", "/sub/..%2f..%2foutside.txt"] {
            assert!(matches!(get(&files, path, None).await, Err(ActionError::NoFile)), "{path}");
        }
    }

    #[tokio::test]
    async fn a_fallback_is_found_for_what_is_not_there() {
        let site = site();
        let without = files(&site, None, None);
        assert!(matches!(get(&without, "/no", None).await, Err(ActionError::NoFile)));
        assert!(matches!(get(&without, "/no/", None).await, Err(ActionError::NoFile)));
        assert!(matches!(get(&without, "/home.html/x", None).await, Err(ActionError::NoFile)));
        let with = files(&site, Some("home.html"), None);
        assert_eq!(get(&with, "/no/such/page", None).await.unwrap(), (200, "home".into()));
        let head = Request::get("/no").body(()).unwrap().into_parts().0;
        let answer = with.serve(head, "/no".parse().unwrap()).await.unwrap();
        assert_eq!(answer.headers()[CONTENT_TYPE], "text/html");
    }

    #[tokio::test]
    async fn a_file_is_not_posted_to() {
        let site = site();
        let files = files(&site, Some("home.html"), None);
        let head = Request::post("/").body(()).unwrap().into_parts().0;
        assert!(matches!(files.serve(head, "/".parse().unwrap()).await, Err(ActionError::Method)));
    }
}
