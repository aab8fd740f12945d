//! An answer to the operator.

use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::admin::http::{line, text_as};
use crate::base::body::Body;

/// What stands before a remark in an answer's text: what follows is no data.
pub const REMARK: &str = "# ";

/// An answer, for people and for programs. What is to be said beside the text is `remarks` of the
/// JSON, a list of texts.
#[derive(Debug)]
pub(in crate::admin) struct Reply {
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

    pub(in crate::admin) fn response(self, as_json: bool) -> Response<Body> {
        if as_json {
            return text_as(self.status, "application/json", self.json.to_string());
        }
        let remarks = self.json["remarks"].as_array().into_iter().flatten();
        let remarks = remarks.filter_map(Value::as_str).map(|text| format!("{REMARK}{text}"));
        let lines: Vec<String> =
            std::iter::once(self.text).filter(|text| !text.is_empty()).chain(remarks).collect();
        line(self.status, &lines.join("\n"))
    }
}
