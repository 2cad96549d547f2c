//! How values are printed for people: tables, counts, spans; never a control character from a log.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(super) use crate::daemon::count;
pub(super) use crate::printable::printable;

/// Rows of text in aligned columns; a heading that begins with `>` is of a column of numbers.
#[derive(Debug)]
pub(super) struct Table {
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let headings = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { right, rows: vec![headings] }
    }

    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.right);
            let padded =
                cells.map(
                    |((cell, width), right)| {
                        if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                    },
                );
            writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Tenths as people write them: `3`, `2.5`.
pub(super) fn tenths(tenths: impl Into<u64>) -> String {
    let tenths = tenths.into();
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

/// A path for a terminal: whoever may make files in a directory of logs chooses their names.
pub(super) fn printable_path(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

/// Text in lines that fit a terminal, all but the first indented.
pub(super) fn wrapped(text: &str, indent: &str) -> String {
    const WIDTH: usize = 96;
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().filter(|line| line.is_empty() || line.len() + word.len() < WIDTH);
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) => {
                line.push(' ');
                line.push_str(word);
            }
            None => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{indent}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let mut table = Table::new(&["NAME", ">N"]);
        table.row(vec!["a".into(), "10".into()]);
        table.row(vec!["long".into(), "5".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME   N\na     10\nlong   5\n");
    }

    #[test]
    fn words_wrap() {
        let long = wrapped(&"word ".repeat(40), "  ");
        assert!(long.lines().all(|line| line.len() <= 100) && long.contains("\n  word"));
    }
}
