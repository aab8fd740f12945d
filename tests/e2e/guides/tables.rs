//! Tables of pages are shown as tables: each has a header, and rows as wide as that.

use regex::Regex;

use super::markdown::{files, prose_with_spans, read};

/// What is wrong with the tables of a page, each with its line.
fn faults(page: &str) -> Vec<(usize, String)> {
    // A bar ends a cell inside of code, too, unless it is escaped.
    let bar = Regex::new(r"(^|[^\\])\|").unwrap();
    let rule = Regex::new(r"^\|[-:| ]+\|$").unwrap();
    let cells = |row: &str| bar.find_iter(row).count();
    let lines = prose_with_spans(page);
    let (mut found, mut from) = (Vec::new(), 0);
    for block in lines.split(|line| !line.starts_with('|')) {
        match block {
            [] => {}
            [header, under, rows @ ..] if rule.is_match(under) => {
                let is_other = |row: &&String| cells(row) != cells(header);
                found.extend(rows.iter().filter(is_other).map(|row| (from + 1, row.clone())));
            }
            [row, ..] => found.push((from + 1, format!("has no header: {row}"))),
        }
        from += block.len() + 1;
    }
    found
}

#[test]
fn every_table_has_a_header_and_rows_as_wide_as_that() {
    let mut wrong = Vec::new();
    for page in files(".", ".md") {
        let found = faults(&read(&page)).into_iter();
        wrong.extend(found.map(|(line, what)| format!("{}:{line}: {what}", page.display())));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let page = "| a | b |\n|---|---|\n| `c|d` | e |\n\n| f |\n";
    assert_eq!(faults(page).len(), 2);
    assert_eq!(faults("| a | b |\n|---|---|\n| `c\\|d` | e |\n"), []);
}
