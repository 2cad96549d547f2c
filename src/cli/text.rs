//! How values are printed for people: tables, counts, spans; never a control character from a log.

use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use crate::printable::drives;
pub(super) use crate::printable::{count, printable};

/// The most characters in a cell: one long name must not widen every row.
const MAX_CELL_WIDTH: usize = 200;

/// Truncates a cell that is too wide.
fn cut(cell: String) -> String {
    if cell.chars().count() <= MAX_CELL_WIDTH {
        return cell;
    }
    cell.chars().take(MAX_CELL_WIDTH - 1).chain(['…']).collect()
}

/// Rows of text in aligned columns; a heading that begins with `>` marks a right-aligned column.
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
        self.rows.push(cells.into_iter().map(cut).collect());
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.right.len()).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).zip(&self.right);
            let padded = cells.map(|((cell, width), right)| {
                let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
                if *right { blanks + cell } else { format!("{cell}{blanks}") }
            });
            writeln!(out, "{}", padded.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Writes a value as one line of JSON. Characters that control a terminal are escaped, which does not change the value.
pub(super) fn write_json(out: &mut dyn Write, value: impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, TerminalSafe))?;
    out.write_all(b"\n")
}

/// Compact JSON without characters that control a terminal.
struct TerminalSafe;

impl Formatter for TerminalSafe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if fragment.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return out.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if drives(c) {
                // None of these needs a surrogate pair.
                write!(out, "\\u{:04x}", u32::from(c))?;
            } else {
                write!(out, "{c}")?;
            }
        }
        Ok(())
    }
}

/// A number of tenths as a decimal: `3`, `2.5`.
pub(super) fn tenths(tenths: impl Into<u64>) -> String {
    let tenths = tenths.into();
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        rest => format!("{}.{rest}", tenths / 10),
    }
}

/// A path for a terminal: attackers may choose the names of files in a directory of logs.
pub(super) fn printable_path(path: &Path) -> String {
    printable(path.as_os_str().as_bytes())
}

/// Wraps text into lines that fit a terminal; all but the first are indented.
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
    fn a_cell_of_any_width_is_cut_and_the_other_rows_stay_short() {
        let mut table = Table::new(&["NAME", ">N"]);
        table.row(vec!["é".repeat(100_000), "9".repeat(70_000)]);
        table.row(vec!["short".into(), "5".into()]);
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.chars().count() == 2 * MAX_CELL_WIDTH + 2), "{text}");
        assert!(text.contains("é…  "), "{text}");
    }

    #[test]
    fn json_keeps_its_values_and_drives_no_terminal() {
        let value = "a\u{9b}31m\u{202e}b\u{2066}\u{2028}é\u{7f}\n\"\\";
        let mut out = Vec::new();
        write_json(&mut out, [value]).unwrap();
        let line = String::from_utf8(out).unwrap();
        assert!(!line.trim_end().chars().any(drives) && line.contains('é'), "{line:?}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&line).unwrap(), [value]);
    }

    #[test]
    fn words_wrap() {
        let long = wrapped(&"word ".repeat(40), "  ");
        assert!(long.lines().all(|line| line.len() <= 100) && long.contains("\n  word"));
    }
}
