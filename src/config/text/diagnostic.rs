//! What is said about a file: place, sentence, the cited line and a caret.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::source::{self, TextPosition};
use crate::printable::printable;
use crate::rules::Severity;

/// How many characters of a cited line are shown around the caret: enough for most patterns, and it fits a terminal.
const CITED: usize = 100;

/// One sentence about one place of one file.
///
/// Printed as `FILE:LINE:COLUMN: error: SENTENCE`, the line and a caret; what comes from the file is printed
/// without control characters, for a rule file may be a stranger's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnostic {
    /// The path of the file.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// The line, from 1; `None` when the file as a whole is meant.
    pub line: Option<usize>,
    /// The column, from 1, in characters.
    pub column: Option<usize>,
    /// Whether the file is refused because of it.
    #[serde(serialize_with = "word", deserialize_with = "severity")]
    pub severity: Severity,
    /// A sentence: what is wrong, why, and what to do.
    pub text: String,
    /// The line as it stands in the file.
    pub cited: Option<String>,
}

impl Diagnostic {
    /// A diagnostic about a file as a whole.
    pub fn whole(path: &Path, severity: Severity, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { path: path.to_owned(), line: None, column: None, severity, text, cited: None }
    }

    /// A diagnostic about the byte at `offset` of the file with this content.
    pub fn at(
        path: &Path,
        content: &[u8],
        offset: usize,
        severity: Severity,
        text: impl Into<String>,
    ) -> Self {
        let TextPosition { line, column, cited } = source::position(content, offset);
        let whole = Self::whole(path, severity, text);
        Self { line: Some(line), column: Some(column), cited: Some(cited), ..whole }
    }

    /// `FILE:LINE:COLUMN: error: SENTENCE`, without the line: for a log, whose messages are one line each.
    pub fn headline(&self) -> String {
        let place = match (self.line, self.column) {
            (Some(line), Some(column)) => format!(":{line}:{column}"),
            _ => String::new(),
        };
        let path = printable(self.path.as_os_str().as_bytes());
        format!("{path}{place}: {}: {}", severity_word(self.severity), printable(self.text.as_bytes()))
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        match (self.line, self.column, &self.cited) {
            (Some(line), Some(column), Some(cited)) => cite(f, line, column, cited),
            _ => Ok(()),
        }
    }
}

/// The cited line without its indentation, and a caret below the column.
fn cite(f: &mut fmt::Formatter<'_>, line: usize, column: usize, cited: &str) -> fmt::Result {
    let cited: Vec<char> = printable(cited.trim_end().as_bytes()).chars().collect();
    let column = column.saturating_sub(1);
    let indent = cited.iter().take_while(|c| **c == ' ').count().min(column);
    let first = if column - indent >= CITED { column - CITED / 2 } else { indent };
    let window: String = cited.iter().skip(first).take(CITED).collect();
    let before = if first > indent { "…" } else { "" };
    let after = if cited.len() > first + CITED { "…" } else { "" };
    let margin = " ".repeat(line.to_string().len());
    let caret = " ".repeat(before.chars().count() + column - first);
    write!(f, "\n{line} | {before}{window}{after}\n{margin} | {caret}^")
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this form")]
fn word<S: Serializer>(severity: &Severity, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(severity_word(*severity))
}

fn severity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
    let word = String::deserialize(deserializer)?;
    let known = [Severity::Warning, Severity::Error].into_iter().find(|known| severity_word(*known) == word);
    known.ok_or_else(|| D::Error::custom("no severity"))
}

fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

/// Everything that is to be said about all files, each thing once, file by file and from top to bottom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diagnostics(Vec<Diagnostic>);

/// Whether any of these refuses its file.
pub(crate) fn has_errors(diagnostics: &[Diagnostic]) -> bool {
    diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
}

impl Diagnostics {
    /// Adds one, unless it was said already, or is a second error about the same place: that follows from the first.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        let place = |of: &Diagnostic| (of.path.clone(), of.line, of.column, of.severity);
        let is_second = diagnostic.severity == Severity::Error
            && diagnostic.line.is_some()
            && self.0.iter().any(|other| place(other) == place(&diagnostic));
        if !is_second && !self.0.contains(&diagnostic) {
            self.0.push(diagnostic);
        }
    }

    /// Whether a file is refused.
    pub fn has_errors(&self) -> bool {
        has_errors(&self.0)
    }

    /// The number of diagnostics of one severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.0.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// The diagnostics, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.0.iter()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Brings what later layers added into the order of the file's lines; files stay in the order they came.
    pub fn sort(&mut self) {
        let mut files: Vec<PathBuf> = Vec::new();
        for diagnostic in &self.0 {
            if !files.contains(&diagnostic.path) {
                files.push(diagnostic.path.clone());
            }
        }
        let file = |d: &Diagnostic| files.iter().position(|path| *path == d.path);
        self.0.sort_by_cached_key(|d| (file(d), d.line, d.column));
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|diagnostic| writeln!(f, "{diagnostic}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_at(content: &str, offset: usize) -> Diagnostic {
        Diagnostic::at(Path::new("/x/sshd.yaml"), content.as_bytes(), offset, Severity::Error, "no")
    }

    #[test]
    fn the_caret_stands_below_the_column_without_the_indentation() {
        let text = error_at("a: 1\n    treshold: {offences: 5}\n", 9).to_string();
        assert_eq!(text, "/x/sshd.yaml:2:5: error: no\n2 | treshold: {offences: 5}\n  | ^");
        let text = error_at("a: é(x\n", 6).to_string();
        assert_eq!(text, "/x/sshd.yaml:1:6: error: no\n1 | a: é(x\n  |      ^");
    }

    #[test]
    fn a_long_line_is_shown_around_the_caret() {
        let line = format!("{}X{}", "a".repeat(300), "b".repeat(300));
        let text = error_at(&line, 300).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].chars().count() <= CITED + 6
                && lines[1].starts_with("1 | …a")
                && lines[1].ends_with('…')
        );
        let caret = lines[2].chars().position(|c| c == '^');
        assert_eq!(caret, lines[1].chars().position(|c| c == 'X'));
    }

    #[test]
    fn a_strangers_file_cannot_paint_the_terminal() {
        let text = error_at("a: \u{1b}[31m\u{202e}\u{61c}x\tb", 1).to_string();
        assert!(
            !text.contains('\u{1b}') && !text.contains(['\u{202e}', '\u{61c}']) && !text.contains('\t'),
            "{text:?}"
        );
    }

    #[test]
    fn said_once_and_in_the_order_of_the_lines() {
        let mut all = Diagnostics::default();
        all.extend([error_at("a\nb", 2), error_at("a\nb", 0), error_at("a\nb", 2)]);
        all.push(Diagnostic::whole(Path::new("/y"), Severity::Warning, "hm"));
        all.sort();
        let lines: Vec<Option<usize>> = all.iter().map(|d| d.line).collect();
        assert_eq!(lines, [Some(1), Some(2), None]);
        assert!(all.has_errors() && all.count(Severity::Warning) == 1);
        assert!(all.to_string().ends_with("/y: warning: hm\n"));
    }

    #[test]
    fn json_has_the_same_facts() {
        let json = serde_json::to_value(error_at("a: 1", 3)).unwrap();
        let expected = serde_json::json!({
            "path": "/x/sshd.yaml", "line": 1, "column": 4, "severity": "error", "text": "no", "cited": "a: 1"
        });
        assert_eq!(json, expected);
    }
}
