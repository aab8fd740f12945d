//! Tables for people: columns as wide as what is in them, and where a terminal is narrow no more of
//! them than fit.

use std::fmt;

/// Characters between two columns.
const GAP: usize = 2;

/// Characters that a column which may be cut has at least.
const CUT_MIN: usize = 8;

/// What stands for the rest of a cell that was cut.
const CUT: &str = "…";

/// A table of text.
pub(super) struct TextTable<const COLUMNS: usize> {
    rows: Vec<[String; COLUMNS]>,
    shown: [bool; COLUMNS],
    widths: [usize; COLUMNS],
}

impl<const COLUMNS: usize> TextTable<COLUMNS> {
    /// One with these names of its columns.
    pub(super) fn new(names: [&str; COLUMNS]) -> TextTable<COLUMNS> {
        let mut table =
            TextTable { rows: Vec::new(), shown: [true; COLUMNS], widths: [0; COLUMNS] };
        table.add(names.map(str::to_owned));
        table
    }

    /// One more row.
    pub(super) fn add(&mut self, row: [String; COLUMNS]) {
        let of = self.widths.iter_mut().zip(&row);
        of.for_each(|(width, cell)| *width = cell.chars().count().max(*width));
        self.rows.push(row);
    }

    /// Makes it no wider than this: cuts the cells of the column `cut` as far as that can be, and
    /// leaves columns out, those that `first_out` names first. Gives the names of those left out.
    pub(super) fn fit(&mut self, width: usize, cut: usize, first_out: &[usize]) -> Vec<String> {
        let mut out = Vec::new();
        for column in first_out {
            if self.width() - self.spare(cut) <= width {
                break;
            }
            self.shown[*column] = false;
            out.push(self.rows[0][*column].clone());
        }
        let over = self.width().saturating_sub(width);
        self.widths[cut] -= over.min(self.spare(cut));
        out
    }

    /// Characters that a column can be cut by.
    fn spare(&self, column: usize) -> usize {
        if self.shown[column] { self.widths[column].saturating_sub(CUT_MIN) } else { 0 }
    }

    /// Characters of its longest line.
    fn width(&self) -> usize {
        let shown = self.widths.iter().zip(&self.shown).filter(|(_, shown)| **shown);
        shown.map(|(width, _)| width + GAP).sum::<usize>().saturating_sub(GAP)
    }

    /// Whether all of a column's cells are the same.
    pub(super) fn is_uniform(&self, column: usize) -> bool {
        let mut cells = self.rows.iter().skip(1).map(|row| &row[column]);
        let first = cells.next();
        cells.all(|cell| Some(cell) == first)
    }
}

impl<const COLUMNS: usize> fmt::Display for TextTable<COLUMNS> {
    /// Its lines; nothing where there are no rows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.len() == 1 {
            return Ok(());
        }
        for (index, row) in self.rows.iter().enumerate() {
            let cells = row.iter().zip(&self.widths).zip(&self.shown);
            let cells = cells.filter(|(_, shown)| **shown);
            let padded =
                cells.map(|((cell, width), _)| format!("{:width$}", shortened(cell, *width)));
            let line = padded.collect::<Vec<_>>().join("  ");
            write!(f, "{}{}", if index == 0 { "" } else { "\n" }, line.trim_end())?;
        }
        Ok(())
    }
}

/// As much of a cell as there is room for.
fn shortened(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(CUT.chars()).collect()
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

    #[test]
    fn a_narrow_table_has_fewer_columns_and_one_that_is_cut() {
        let wide = || {
            let mut table = TextTable::new(["ID", "PATH", "POOL", "AGE"]);
            table.add(["1", "/a/long/way/to/go", "chat", "3s"].map(str::to_owned));
            table
        };
        let mut table = wide();
        assert_eq!((table.width(), table.fit(32, 1, &[2, 1])), (32, vec![]));
        assert_eq!(table.fit(30, 1, &[2, 1]), Vec::<String>::new());
        assert_eq!(
            table.to_string(),
            "ID  PATH             POOL  AGE\n1   /a/long/way/to…  chat  3s"
        );
        let mut table = wide();
        assert_eq!(table.fit(18, 1, &[2, 1]), ["POOL"]);
        assert_eq!(table.to_string(), "ID  PATH       AGE\n1   /a/long/…  3s");
        let mut table = wide();
        assert_eq!(table.fit(10, 1, &[2, 1]), ["POOL", "PATH"]);
        assert_eq!(table.to_string(), "ID  AGE\n1   3s");
        // What has no column to spare is as wide as it is.
        assert_eq!(wide().fit(1, 1, &[]), Vec::<String>::new());
        assert!(table.is_uniform(0));
    }
}
