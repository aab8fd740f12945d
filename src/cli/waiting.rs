//! Waiting for a drain: how far it is, on a terminal or in a log, and what came of it.

use std::io::{self, IsTerminal, Write};

use serde_json::{Value, json};

/// Seconds between two lines where there is no terminal to draw on.
const LINE_SECONDS: f64 = 10.0;

/// Characters of the bar.
const BAR_COLUMNS: u64 = 24;

/// A drain as the proxy tells of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct DrainRow {
    told: u64,
    left: u64,
    moved: u64,
    stayed: u64,
    withdrawn: u64,
    age_seconds: f64,
}

impl DrainRow {
    /// Reads a row of `tidegate status`.
    pub(super) fn read(row: &Value) -> DrainRow {
        let count = |key: &str| row[key].as_u64().unwrap_or_default();
        DrainRow {
            told: count("sessions"),
            left: count("left"),
            moved: count("moved"),
            stayed: count("stayed"),
            withdrawn: count("withdrawn"),
            age_seconds: row["age_seconds"].as_f64().unwrap_or_default(),
        }
    }

    /// Those of which is known what became of them.
    fn done(&self) -> u64 {
        self.told.saturating_sub(self.left)
    }

    fn ended(&self) -> u64 {
        self.done().saturating_sub(self.moved + self.stayed + self.withdrawn)
    }

    /// What became of its sessions, as data.
    pub(super) fn outcome_json(&self) -> Value {
        let DrainRow { told, left, moved, stayed, withdrawn, .. } = self;
        json!({
            "told": told, "moved": moved, "ended": self.ended(), "stayed": stayed,
            "withdrawn": withdrawn, "left": left,
        })
    }

    /// The same in words.
    pub(super) fn outcome(&self) -> String {
        let mut text = format!("finished: {} moved, {} ended", self.moved, self.ended());
        let also = [(self.stayed, "stayed"), (self.withdrawn, "withdrawn"), (self.left, "left")];
        for (count, what) in also.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!(", {count} {what}");
        }
        text
    }

    /// How far it is, and how long it may take.
    fn progress(&self) -> String {
        let (done, told) = (self.done(), self.told);
        let rate = done as f64 / self.age_seconds.max(0.5);
        let rest = match done {
            0 => String::new(),
            _ => format!(", {rate:.0}/s, about {:.0} s left", self.left as f64 / rate),
        };
        format!("{done} of {told} done{rest}")
    }

    fn bar(&self) -> String {
        let columns = (BAR_COLUMNS * self.done()).checked_div(self.told).unwrap_or(BAR_COLUMNS);
        let (full, empty) = (columns as usize, (BAR_COLUMNS - columns) as usize);
        format!("[{}{}]", "#".repeat(full), ".".repeat(empty))
    }
}

/// Where progress is shown: a bar on a terminal, lines elsewhere; always on standard error.
pub(super) struct ProgressView {
    is_terminal: bool,
    /// The drain's age at the last line.
    said_seconds: f64,
}

impl ProgressView {
    pub(super) fn new() -> ProgressView {
        ProgressView { is_terminal: io::stderr().is_terminal(), said_seconds: 0.0 }
    }

    /// Shows how far a drain is.
    pub(super) fn show(&mut self, row: &DrainRow) {
        if self.is_terminal {
            eprint!("\r{} {}\x1b[K", row.bar(), row.progress());
            // A terminal that is gone shows nothing.
            let _ = io::stderr().flush();
        } else if row.age_seconds - self.said_seconds >= LINE_SECONDS {
            self.said_seconds = row.age_seconds;
            eprintln!("{}", row.progress());
        }
    }

    /// Removes the bar.
    pub(super) fn clear(&self) {
        if self.is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_becomes_a_bar_and_then_what_came_of_it() {
        let row = DrainRow::read(&json!({
            "sessions": 1000, "left": 550, "moved": 40, "stayed": 3, "withdrawn": 0,
            "age_seconds": 9.0,
        }));
        assert_eq!(row.bar(), format!("[{}{}]", "#".repeat(10), ".".repeat(14)));
        assert_eq!(row.progress(), "450 of 1000 done, 50/s, about 11 s left");
        assert_eq!(row.outcome(), "finished: 40 moved, 407 ended, 3 stayed, 550 left");
        assert_eq!(
            (&row.outcome_json()["ended"], &row.outcome_json()["told"]),
            (&json!(407), &json!(1000))
        );
        let begun = DrainRow::read(&json!({ "sessions": 5, "left": 5 }));
        assert_eq!((begun.progress().as_str(), begun.bar().len()), ("0 of 5 done", 26));
        assert_eq!(DrainRow::read(&json!({})).bar(), format!("[{}]", "#".repeat(24)));
    }
}
