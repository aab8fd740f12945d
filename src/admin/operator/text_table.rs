//! Tables for people: columns as wide as what is in them.

use std::fmt;

/// A table of text.
pub(super) struct TextTable<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
}

impl<const COLUMNS: usize> TextTable<COLUMNS> {
    /// One with these names of its columns.
    pub(super) fn new(names: [&str; COLUMNS]) -> TextTable<COLUMNS> {
        TextTable { rows: vec![names.map(str::to_owned)] }
    }

    /// One more row.
    pub(super) fn add(&mut self, row: [String; COLUMNS]) {
        self.rows.push(row);
    }
}

impl<const COLUMNS: usize> fmt::Display for TextTable<COLUMNS> {
    /// Its lines; nothing where there are no rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.len() == 1 {
            return Ok(());
        }
        let mut widths = [0; COLUMNS];
        for row in &self.rows {
            let of = widths.iter_mut().zip(row);
            of.for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        }
        for (index, row) in self.rows.iter().enumerate() {
            let padded = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            let line = padded.collect::<Vec<_>>().join("  ");
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = TextTable::new(["ID", "ROUTE"]);
        assert_eq!(table.to_string(), "");
        table.add(["1".to_owned(), "/über".to_owned()]);
        table.add(["1234".to_owned(), "/".to_owned()]);
        assert_eq!(table.to_string(), "ID    ROUTE\n1     /über\n1234  /");
    }
}
