//! `tidegate tail`: the frames that pass in chosen sessions, line by line.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::args::Tail;
use super::exit::Failure;
use super::operator::Operator;
use super::output;

/// How often it is asked what passed.
const TAIL_INTERVAL: Duration = Duration::from_millis(200);

/// The same where more passes than anybody reads: what is shown is a sample then, and the proxy is
/// not kept busy with it.
const OVERRUN_INTERVAL: Duration = Duration::from_secs(1);

/// Shows them until the person has seen enough.
pub(super) fn tail(asked: &Tail) -> Result<(), Failure> {
    let operator = Operator::find(&asked.asked.target)?;
    let mut body = serde_json::to_value(&asked.asked.request).map_err(Failure::run)?;
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = built.map_err(Failure::run)?;
    let mut tail =
        SessionTail { asked, said: BTreeSet::new(), left: asked.count, names_one: false };
    let names = |list: &Value| list.as_array().is_some_and(|ids| !ids.is_empty());
    tail.names_one = names(&body["sessions"]) || names(&body["who"]["ids"]);
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::run)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::run)?;
        loop {
            let answer = operator.answer("POST", "/tail", &body)?;
            body["tap"] = answer["tap"].clone();
            if !tail.print(&answer)? {
                break;
            }
            let is_overrun = answer["lost"].as_u64() > Some(0);
            let wait = if is_overrun { OVERRUN_INTERVAL } else { TAIL_INTERVAL };
            tokio::select! {
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // It would end by itself; so it makes room for another at once.
        body["end"] = true.into();
        let _ = operator.answer("POST", "/tail", &body);
        Ok(())
    })
}

/// What is shown.
struct SessionTail<'a> {
    asked: &'a Tail,
    /// Remarks, each of which is said once.
    said: BTreeSet<String>,
    /// Frames that are still to be shown, where they are counted.
    left: Option<u64>,
    /// Whether sessions were named: it ends with the last of them.
    names_one: bool,
}

impl SessionTail<'_> {
    /// Prints an answer; whether there may be more.
    fn print(&mut self, answer: &Value) -> Result<bool, Failure> {
        let mut lines = String::new();
        for frame in answer["frames"].as_array().into_iter().flatten() {
            if self.left == Some(0) {
                break;
            }
            self.left = self.left.map(|left| left - 1);
            lines += &if self.asked.asked.target.json { frame.to_string() } else { line(frame) };
            lines.push('\n');
        }
        let lost = answer["lost"].as_u64().unwrap_or_default();
        if lost > 0 && self.left != Some(0) {
            lines += &match self.asked.asked.target.json {
                true => format!("{}\n", json!({ "lost": lost })),
                false => format!("… {lost} frames not shown\n"),
            };
        }
        let is_read = output::print_while_read(&lines)?;
        self.remark(answer);
        let is_last = self.names_one && answer["sessions"] == 0 && answer["begun"] == false;
        if is_last {
            eprintln!("no session is left");
        }
        Ok(is_read && self.left != Some(0) && !is_last)
    }

    fn remark(&mut self, answer: &Value) {
        let left_out = answer["left_out"].as_u64().filter(|count| *count > 0);
        let too_many = left_out.map(|_| "too many sessions match: not all of them are shown");
        let sessions = &answer["sessions"];
        let begun = (answer["begun"] == true).then(|| format!("watching {sessions} sessions"));
        let remarks = answer["remarks"].as_array().into_iter().flatten().filter_map(Value::as_str);
        // How many are in an older process changes all the time.
        let remarks = remarks.filter(|remark| !remark.starts_with("of them ")).map(str::to_owned);
        for remark in begun.into_iter().chain(too_many.map(str::to_owned)).chain(remarks) {
            if self.said.insert(remark.clone()) {
                eprintln!("{remark}");
            }
        }
    }
}

/// A frame, for people.
fn line(frame: &Value) -> String {
    let text = |key: &str| frame[key].as_str().unwrap_or("?").to_owned();
    let flag = |key: &str, is: &'static str, not: &'static str| {
        if frame[key].as_bool().unwrap_or_default() { is } else { not }
    };
    let after = frame["after_ms"].as_u64().map_or("-".to_owned(), |ms| format!("+{ms}ms"));
    let payload = match (frame["text"].as_str(), frame["hex"].as_str()) {
        (Some(text), _) => format!("  {text:?}"),
        (None, Some(hex)) => format!("  {hex}"),
        (None, None) => String::new(),
    };
    format!(
        "{}  {}  {:<8} > {:<8}  {:<12}  {} {}  {:>8}  {:>8}{payload}",
        time_of_day(frame["time_ms"].as_u64().unwrap_or_default()),
        text("session"),
        text("from"),
        text("to"),
        text("opcode"),
        flag("fin", "FIN", "-  "),
        flag("rsv1", "RSV1", "-   "),
        format!("{}B", frame["length"].as_u64().unwrap_or_default()),
        after,
    )
}

/// The time of day (UTC) of so many milliseconds since 1970.
fn time_of_day(millis: u64) -> String {
    let (hours, minutes) = (millis / 3_600_000 % 24, millis / 60_000 % 60);
    let (seconds, millis) = (millis / 1_000 % 60, millis % 1_000);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{millis:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_one_line_whatever_it_says() {
        let frame = json!({
            "session": "a0012ca27baa-0000000000000000", "time_ms": 1_764_160_000_123_u64,
            "after_ms": 7, "from": "client", "to": "upstream", "opcode": "text", "fin": true,
            "rsv1": false, "length": 6, "text": "a\nb\u{1b}[",
        });
        let (head, tail) = ("12:26:40.123  a0012ca27baa-0000000000000000  ", r#""a\nb\u{1b}[""#);
        let columns = "client   > upstream  text          FIN -           6B      +7ms  ";
        assert_eq!(line(&frame), format!("{head}{columns}{tail}"));
    }
}
