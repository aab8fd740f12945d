//! Why an action could not be done.

use std::fmt;
use std::io;

use crate::base::label::Label;
use http::StatusCode;

/// An action that came to nothing; nothing of an answer was sent.
#[derive(Debug)]
pub enum ActionError {
    /// A redirect's target names the host, and the request does not.
    NoHost,
    /// Files are read with GET and HEAD only.
    Method,
    /// There is no such file.
    NoFile,
    /// The file cannot be read.
    File(io::Error),
}

impl ActionError {
    /// The answer's status.
    pub fn status(&self) -> StatusCode {
        match self {
            ActionError::NoHost => StatusCode::BAD_REQUEST,
            ActionError::Method => StatusCode::METHOD_NOT_ALLOWED,
            ActionError::NoFile => StatusCode::NOT_FOUND,
            ActionError::File(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl ActionError {
    /// Whether what stands behind the files may have an answer: there is no file, or none is asked
    /// for.
    pub fn is_for_fallback(&self) -> bool {
        matches!(self, ActionError::NoFile | ActionError::Method)
    }
}

impl Label for ActionError {
    fn label(&self) -> &'static str {
        match self {
            ActionError::NoHost => "no_host",
            ActionError::Method => "method",
            ActionError::NoFile => "no_file",
            ActionError::File(_) => "file",
        }
    }
}

impl fmt::Display for ActionError {
    /// For the client, which does not learn where files are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ActionError::NoHost => "the redirect needs a `Host`",
            ActionError::Method => "files are read with GET and HEAD",
            ActionError::NoFile => "there is no such file",
            ActionError::File(_) => "the file cannot be read",
        })
    }
}

impl std::error::Error for ActionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ActionError::File(error) => Some(error),
            _ => None,
        }
    }
}
