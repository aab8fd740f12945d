//! An answer to the operator.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admin::http::{line, text_as};
use crate::base::body::Body;

/// An answer, for people and for programs.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) text: String,
    pub(super) json: Value,
}

impl Reply {
    /// It was done.
    pub(super) fn yes(text: String, json: Value) -> Reply {
        Reply { status: StatusCode::OK, text, json }
    }

    /// It was not done.
    pub(super) fn no(status: StatusCode, why: impl ToString) -> Reply {
        let text = why.to_string();
        Reply { status, json: json!({ "outcome": "refused", "why": text }), text }
    }

    pub(super) fn response(self, as_json: bool) -> Response<Body> {
        match as_json {
            true => text_as(self.status, "application/json", self.json.to_string()),
            false => line(self.status, &self.text),
        }
    }
}
