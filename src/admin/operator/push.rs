//! `POST /push`: a message to sessions, from a shell.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::everywhere::left_out;
use super::reply::Reply;
use super::request::OperatorRequest;
use crate::action::api::{PushRequest, PushTargets};
use crate::admin::process::Process;
use crate::wire::label;

/// Bytes of a body with a message in it; the routes bound the message itself.
pub const PUSH_BODY_BYTES_MAX: usize = 16 << 20;

/// Sends sessions a message.
#[derive(Args, Serialize, Deserialize, Default, Debug)]
#[command(group = ArgGroup::new("whom").required(true).multiple(true)
    .args(["ids", "all", "route", "labels"]))]
#[command(group = ArgGroup::new("message").required(true).args(["text", "file"]))]
#[serde(default)]
pub struct PushCommand {
    /// Sessions by their ids, as `tidegate sessions` and the log show them
    #[arg(value_name = "ID", help_heading = "Which sessions")]
    ids: Vec<String>,
    /// Those with this label; given again, they must have each of them
    #[arg(long = "label", value_name = "NAME=VALUE", help_heading = "Which sessions")]
    labels: Vec<String>,
    /// Those of a route, by its name
    #[arg(long, value_name = "ROUTE", help_heading = "Which sessions")]
    route: Option<String>,
    /// Every session that can be pushed to
    #[arg(long, requires = "yes", help_heading = "Which sessions")]
    all: bool,
    /// They are meant, all of them
    #[arg(long, help_heading = "Which sessions")]
    #[serde(skip)]
    yes: bool,
    /// The message
    #[arg(long, help_heading = "The message")]
    text: Option<String>,
    /// The file that has the message; `-` is standard input
    #[arg(long, value_name = "FILE", help_heading = "The message")]
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// It is a binary message, and not text
    #[arg(long, help_heading = "The message")]
    #[serde(skip)]
    pub binary: bool,
    #[arg(skip)]
    base64: Option<String>,
    /// What is waited for: `queued`, `written` or `read`
    #[arg(long, value_name = "LEVEL", value_parser = ["queued", "written", "read"])]
    wait: Option<String>,
    /// How long it is waited, such as `5s`
    #[arg(long, value_name = "TIME")]
    timeout: Option<String>,
    /// Only say for how many sessions it would be
    #[arg(long)]
    dry_run: bool,
}

impl OperatorRequest for PushCommand {
    const PATH: &'static str = "/push";
}

impl PushCommand {
    /// The text that was typed.
    pub fn typed(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The same command with this message: as text, or in base64.
    pub fn with_message(self, text: Option<String>, base64: Option<String>) -> PushCommand {
        PushCommand { text, base64, ..self }
    }

    fn request(self) -> Result<PushRequest, Reply> {
        let PushCommand { ids, labels, route, all, text, base64, wait, timeout, dry_run, .. } =
            self;
        let wrong = |said: String| Reply::no(StatusCode::BAD_REQUEST, said);
        let mut targets = PushTargets { sessions: ids, route, all, ..PushTargets::default() };
        for text in labels {
            let (name, value) = label::parse(&text, '=').map_err(|error| {
                wrong(format!("`label` must be `NAME=VALUE`, not: `{text}`\nhint: {error}"))
            })?;
            targets.add_label(name, value).map_err(|refusal| wrong(refusal.reason()))?;
        }
        let to = vec![targets];
        Ok(PushRequest { to, except: Vec::new(), text, base64, wait, timeout, dry_run })
    }
}

pub(super) async fn push(process: &impl Process, command: PushCommand) -> Result<Reply, Reply> {
    let request = command.request()?;
    let dry_run = request.dry_run;
    let (status, mut report) = process.push(request).await;
    if let Some(why) = report["error"].as_str() {
        return Err(Reply::no(status, why));
    }
    let remarks = remarks(&report);
    if report["matched"] == 0 {
        let text = "no live session that can be pushed to matches";
        return Err(Reply::no(
            StatusCode::NOT_FOUND,
            [&[text.to_owned()], &*remarks].concat().join("\n"),
        ));
    }
    let text = match dry_run {
        true => format!("it would be for {} sessions", report["matched"]),
        false => text(&report),
    };
    report["sessions"] = report["matched"].clone();
    report["outcome"] = if dry_run { "dry_run" } else { "done" }.into();
    report["text"] = text.as_str().into();
    report["remarks"] = remarks.into();
    Ok(Reply::yes(text, report))
}

/// What became of the message, in words.
fn text(report: &Value) -> String {
    let mut text = format!("queued: {} of {} matched", report["queued"], report["matched"]);
    for what in ["written", "read", "full", "refused", "late", "gone"] {
        if report[what] != 0 {
            text += &format!(", {} {what}", report[what]);
        }
    }
    text
}

/// The processes that have not answered.
fn remarks(report: &Value) -> Vec<String> {
    let missing = report["instances"]["missing"].as_array().into_iter().flatten();
    let remark = |one: &Value| {
        let why = one["why"].as_str().unwrap_or_default();
        left_out(one["pid"].as_u64().unwrap_or_default(), one["sessions"].as_u64(), why)
    };
    missing.map(remark).collect()
}

/// What is written down of a request: all but the message.
pub(super) fn without_message(body: &[u8]) -> Vec<u8> {
    let mut written: Value = serde_json::from_slice(body).unwrap_or_default();
    if let Some(fields) = written.as_object_mut() {
        fields.retain(|name, value| !value.is_null() && !["text", "base64"].contains(&&**name));
    }
    written.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_became_of_a_message_is_said_and_the_message_is_not_written_down() {
        let report = json!({
            "matched": 3, "queued": 2, "full": 1, "refused": 0, "written": 2, "read": 0, "late": 0,
            "gone": 0,
            "instances": { "missing": [
                { "pid": 7, "sessions": 2, "why": "no answer" }, { "pid": 8, "why": "none" },
            ] },
        });
        assert_eq!(text(&report), "queued: 2 of 3 matched, 2 written, 1 full");
        let left_out = [
            "older process 7 (2 sessions) is left out: no answer",
            "older process 8 (how many sessions is not known) is left out: none",
        ];
        assert_eq!(remarks(&report), left_out);
        let body = br#"{"ids":[],"labels":["user=42"],"text":"secret","base64":null}"#;
        let written = String::from_utf8(without_message(body)).unwrap();
        assert_eq!(written, r#"{"ids":[],"labels":["user=42"]}"#);
    }
}
