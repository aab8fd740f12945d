//! A table of cases and their outcomes, printed whole whatever comes of it.

use std::fmt::Write as _;

/// The outcomes of a family.
pub struct Table {
    text: String,
    faults: String,
}

impl Table {
    pub fn new(family: &str) -> Table {
        let text = format!("\n{family}\n{}\n", "-".repeat(family.len()));
        Table { text, faults: String::new() }
    }

    /// Adds what was seen, and compares pairs of what is wanted (`this or that`) and what came.
    pub fn row(&mut self, name: &str, rfc: &str, outcome: &str, seen: &str, is: &[(&str, &str)]) {
        writeln!(self.text, "{name:<52} {rfc:<12} {outcome:<31} {seen}").unwrap();
        for (wanted, came) in
            is.iter().filter(|(wanted, came)| wanted.split(" or ").all(|one| one != *came))
        {
            writeln!(self.faults, "{name} ({rfc}):\n  wanted {wanted}\n  came   {came}").unwrap();
        }
    }

    /// Prints all, and fails where something was not as wanted.
    pub fn settle(self) {
        println!("{}", self.text);
        assert!(self.faults.is_empty(), "\n{}", self.faults);
    }
}
