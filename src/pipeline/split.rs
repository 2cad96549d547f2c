//! The one splitter of whole lines: it yields each line, or skips it where no rule can match it.

use std::ops::Range;

use memchr::{memchr, memrchr};

use crate::record::{self, MAX_LINE};
use crate::rules::LinePrefilter;

/// An iterator over the lines of a chunk; the last one may lack its newline.
#[derive(Debug)]
pub struct LineSplitter<'l> {
    lines: &'l [u8],
    prefilter: Option<&'l LinePrefilter>,
    /// Where the next line begins.
    at: usize,
    /// From the next line up to here, the prefilter found nothing.
    clear_until: usize,
    /// Lines yielded or skipped.
    passed: u64,
    is_apart: bool,
}

/// One line, without its newline and what else [`record::text`] takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitLine<'l> {
    /// The text of the line.
    pub text: &'l [u8],
    /// The position of the text in the chunk.
    pub at: Range<usize>,
    /// Where the next line begins.
    pub end: usize,
    /// The number of lines before it in the chunk.
    pub number: u64,
    /// Whether lines were skipped before it, or may have been lost where NUL bytes stand now: then it cannot say that the
    /// line yielded before was repeated.
    pub is_apart: bool,
}

/// The text of the last of these lines.
pub fn last_line(lines: &[u8]) -> &[u8] {
    let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
    let begin = memrchr(b'\n', lines).map_or(0, |newline| newline + 1);
    record::text(&lines[begin..])
}

impl<'l> LineSplitter<'l> {
    /// Yields every line, or only those that the prefilter lets through.
    pub fn new(lines: &'l [u8], prefilter: Option<&'l LinePrefilter>) -> Self {
        Self { lines, prefilter, at: 0, clear_until: 0, passed: 0, is_apart: false }
    }

    /// The number of lines yielded or skipped so far.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// Whether lines were skipped since the last one was yielded.
    pub fn is_apart(&self) -> bool {
        self.is_apart
    }

    /// Skips lines that no rule can match and that report no repeat of another line.
    fn skip_foreign(&mut self) {
        while let Some(end) = self.foreign_line() {
            self.at = end;
            self.passed += 1;
            self.is_apart = true;
        }
    }

    /// The end of the next line, if it can be skipped. Never a line that begins with a digit, as in layouts that name no
    /// program, nor one that is too long, which must be reported.
    fn foreign_line(&mut self) -> Option<usize> {
        let prefilter = self.prefilter?;
        let rest = &self.lines[self.at..];
        if !rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'<') {
            return None;
        }
        if self.clear_until <= self.at {
            self.clear_until = self.at + prefilter.before(rest);
        }
        let clear = &self.lines[self.at..self.clear_until];
        let newline = memchr(b'\n', clear).filter(|length| *length <= MAX_LINE)?;
        Some(self.at + newline + 1)
    }
}

impl<'l> Iterator for LineSplitter<'l> {
    type Item = SplitLine<'l>;

    fn next(&mut self) -> Option<SplitLine<'l>> {
        self.skip_foreign();
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
