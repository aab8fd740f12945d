//! Waiting for a drain: how far it is, on a terminal or in a log, and what came of it.

use std::collections::BTreeMap;
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

    /// The same drain in several processes.
    fn plus(self, other: DrainRow) -> DrainRow {
        DrainRow {
            told: self.told + other.told,
            left: self.left + other.left,
            moved: self.moved + other.moved,
            stayed: self.stayed + other.stayed,
            withdrawn: self.withdrawn + other.withdrawn,
            age_seconds: self.age_seconds.max(other.age_seconds),
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

/// A drain in every process that carries it out, as they last told of it.
pub(super) struct DrainView {
    drain: u64,
    /// By process.
    rows: BTreeMap<u64, DrainRow>,
}

impl DrainView {
    pub(super) fn new(drain: u64) -> DrainView {
        DrainView { drain, rows: BTreeMap::new() }
    }

    /// Reads an answer of `tidegate status`: whether the drain is under way anywhere.
    pub(super) fn update(&mut self, status: &Value) -> bool {
        let rows = |list: &str| status[list].as_array().map_or(&[][..], Vec::as_slice);
        let pid = |row: &Value| row["pid"].as_u64().unwrap_or_default();
        // A process that has ended has none of its sessions any more.
        self.rows.values_mut().for_each(|row| row.left = 0);
        let mut is_under_way = false;
        for list in ["drains_finished", "drains"] {
            for row in rows(list).iter().filter(|row| row["drain"] == self.drain) {
                self.rows.insert(pid(row), DrainRow::read(row));
                is_under_way |= list == "drains";
            }
        }
        // One that does not answer this time has not finished for that.
        let silent = rows("older").iter().filter(|row| row["answered"] == false);
        is_under_way | silent.map(pid).any(|pid| self.rows.contains_key(&pid))
    }

    /// All of it; `None` where no process tells of it.
    pub(super) fn row(&self) -> Option<DrainRow> {
        self.rows.values().copied().reduce(DrainRow::plus)
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
    fn a_drain_in_several_processes_is_one() {
        let mut view = DrainView::new(7);
        assert!(!view.update(&json!({})) && view.row().is_none());
        let row = |pid, left| json!({ "pid": pid, "drain": 7, "sessions": 10, "left": left });
        let other = json!({ "pid": 1, "drain": 8, "sessions": 99, "left": 99 });
        assert!(view.update(&json!({ "drains": [row(1, 4), row(2, 2), other] })));
        assert_eq!(view.row().unwrap().progress(), "14 of 20 done, 28/s, about 0 s left");
        // The first has finished, and the second does not answer this time.
        let silent = json!([{ "pid": 2, "answered": false }, { "pid": 3, "answered": false }]);
        assert!(view.update(&json!({ "drains_finished": [row(1, 0)], "older": silent })));
        // It has ended with its sessions.
        assert!(!view.update(&json!({ "drains_finished": [row(1, 0)] })));
        assert_eq!(view.row().unwrap().outcome(), "finished: 0 moved, 20 ended");
    }

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
