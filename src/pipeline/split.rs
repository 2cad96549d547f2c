//! The one place where whole lines are taken apart: each is handed out, or passed over where no rule set can know it.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::record::{self, MAX_LINE};
use crate::rules::LinePrefilter;

/// Whole lines of a log, from which one after the other is taken; the last one may have no newline.
#[derive(Debug)]
pub struct LineSplitter<'l> {
    lines: &'l [u8],
    names: Option<&'l LinePrefilter>,
    /// Where the next line begins.
    at: usize,
    /// Up to where there is no name, from the next line on.
    nameless_until: usize,
    /// Lines taken or passed over.
    passed: u64,
    is_apart: bool,
}

/// A line as [`record::text`] has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitLine<'l> {
    /// Its text.
    pub text: &'l [u8],
    /// Where the text stands among the lines.
    pub at: Range<usize>,
    /// Where the next line begins.
    pub end: usize,
    /// How many lines stand before it.
    pub number: u64,
    /// Whether there are lines between it and the one handed out before: foreign ones, or those that may have been lost where
    /// NULs stand now. Then it cannot be a repeat of that one.
    pub is_apart: bool,
}

/// The text of the last of these lines.
pub fn last_line(lines: &[u8]) -> &[u8] {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let begin = memrchr(b'\n', lines).map_or(0, |newline| newline + 1);
    record::text(&lines[begin..])
}

impl<'l> LineSplitter<'l> {
    /// Hands out every line, but where there are names only those that may hold one.
    pub fn new(lines: &'l [u8], names: Option<&'l LinePrefilter>) -> Self {
        Self { lines, names, at: 0, nameless_until: 0, passed: 0, is_apart: false }
    }

    /// How many lines were handed out or passed over.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether lines were passed over since one was handed out.
    pub fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Passes over lines that are certainly of no interest, neither to a rule set nor as a repeat of another line.
    fn pass_foreign(&mut self) {
        while let Some(end) = self.foreign_line() {
            self.at = end;
            self.passed += 1;
            self.is_apart = true;
        }
    }

    /// Where the next line ends, if it is a foreign one. None is that begins with a number, as in layouts that name no
    /// program; nor one that is too long, which is to be told.
    fn foreign_line(&mut self) -> Option<usize> {
        let names = self.names?;
        let rest = &self.lines[self.at..];
        if !rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'<') {
            return None;
        }
        if self.nameless_until <= self.at {
            self.nameless_until = self.at + names.before(rest);
        }
        let nameless = &self.lines[self.at..self.nameless_until];
        let newline = memchr(b'\n', nameless).filter(|length| *length <= MAX_LINE)?;
        Some(self.at + newline + 1)
    }
}

impl<'l> Iterator for LineSplitter<'l> {
    type Item = SplitLine<'l>;

    fn next(&mut self) -> Option<SplitLine<'l>> {
        self.pass_foreign();
        let rest = &self.lines[self.at..];
        let first = *rest.first()?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        let whole = &rest[..length];
        let text = record::text(whole);
        let text_end = self.at + whole.strip_suffix(b"\r").unwrap_or(whole).len();
        let line = SplitLine {
            text,
            at: text_end - text.len()..text_end,
            end: self.lines.len().min(self.at + length + 1),
            number: self.passed,
            is_apart: self.is_apart || first == 0,
        };
        self.at = line.end;
        self.passed += 1;
        self.is_apart = false;
        Some(line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::Layouts;
    use crate::rules::{Binding, RuleSet};

    fn names() -> LinePrefilter {
        let programs = vec!["sshd".into(), "kernel".into()];
        let set = RuleSet { name: "a".into(), programs, ..RuleSet::default() };
        Binding::new([&set], None, Layouts::Syslog).names().unwrap().clone()
    }

    /// The lines that are left, and how many were passed over.
    fn sifted(text: &[u8]) -> (Vec<&[u8]>, u64) {
        let names = names();
        let mut lines = LineSplitter::new(text, Some(&names));
        let left: Vec<&[u8]> = lines.by_ref().map(|line| &text[line.at]).collect();
        let passed = lines.passed() - left.len() as u64;
        (left, passed)
    }

    proptest! {
        #[test]
        fn what_is_passed_over_is_what_each_line_alone_says(
            lines in prop::collection::vec("(Nov|<38>|2026|@|)( |sshd|kernel|ker|cron|repeated|turned over|x){0,4}", 0..30),
        ) {
            let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
            let is_left = |line: &&String| {
                let named = ["sshd", "kernel", "repeated", "turned over"].iter().any(|name| line.contains(name));
                named || !line.starts_with(|first: char| first.is_ascii_alphabetic() || first == '<')
            };
            let expected: Vec<&[u8]> = lines.iter().filter(is_left).map(String::as_bytes).collect();
            let (left, passed) = sifted(text.as_bytes());
            prop_assert_eq!(passed, (lines.len() - expected.len()) as u64);
            prop_assert_eq!(left, expected);
        }

        #[test]
        fn without_names_the_lines_are_those_of_a_plain_split(text in "[a\n\r\0\u{feff}]{0,40}") {
            let bytes = text.as_bytes();
            let mut plain: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').map(record::text).collect();
            if bytes.last().is_none_or(|byte| *byte == b'\n') {
                plain.pop();
            }
            let lines: Vec<SplitLine<'_>> = LineSplitter::new(bytes, None).collect();
            prop_assert_eq!(lines.iter().map(|line| line.text).collect::<Vec<_>>(), plain.clone());
            prop_assert_eq!(lines.iter().map(|line| &bytes[line.at.clone()]).collect::<Vec<_>>(), plain);
            prop_assert_eq!(lines.last().map_or(0, |line| line.end), bytes.len());
        }
    }

    #[test]
    fn a_line_that_has_not_ended_or_is_too_long_is_left() {
        assert_eq!(sifted(b"Nov 22 cron\nNov 22 ss"), (vec![&b"Nov 22 ss"[..]], 1));
        let long =
            ["x".repeat(MAX_LINE), "x".repeat(MAX_LINE + 1), "x".into()].map(|line| line + "\n").concat();
        let (left, passed) = sifted(long.as_bytes());
        assert_eq!((left.len(), left[0].len(), passed), (1, MAX_LINE + 1, 2));
    }

    #[test]
    fn what_stands_before_and_behind_a_line_is_taken_off() {
        let lines: Vec<&[u8]> =
            LineSplitter::new(b"\xef\xbb\xbfone\n\0\0two\r\nthree ", None).map(|line| line.text).collect();
        assert_eq!(lines, [&b"one"[..], b"two", b"three "]);
    }

    #[test]
    fn a_line_behind_foreign_ones_or_nuls_is_apart() {
        let text = b"Nov sshd\nNov sshd\nNov cron\nNov cron\nNov sshd\n\0\0Nov sshd\nNov cron\n";
        let names = names();
        let mut lines = LineSplitter::new(text, Some(&names));
        let apart: Vec<(u64, bool)> = lines.by_ref().map(|line| (line.number, line.is_apart)).collect();
        assert_eq!(apart, [(0, false), (1, false), (4, true), (5, true)]);
        assert!(lines.is_apart() && lines.passed() == 7);
    }
}
