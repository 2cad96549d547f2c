//! Lines that name no watched program, passed over in whole chunks before any header is read: four of five lines of a
//! common log.

use memchr::memchr;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{MatchKind, Span};

use crate::record::{self, MAX_LINE};

/// Part of all lines that say that another came again.
const REPEATED: &[u8] = b"repeated";

/// Part of newsyslog's note that a log was rotated, behind which a repeat is of the line before the note.
const TURNED_OVER: &[u8] = b"turned over";

/// Finds what every line of interest holds: a program's name, or what lines about other lines hold.
#[derive(Clone, Debug)]
pub struct Names(Prefilter);

/// A chunk of a log, of which foreign lines are taken off.
#[derive(Debug)]
pub struct Sieve<'c> {
    names: Option<Names>,
    /// What is left of the chunk; lines may be taken off its beginning.
    pub rest: &'c [u8],
    /// How many bytes at the end of the chunk were not searched yet; before them is no name.
    unsearched: usize,
}

impl Names {
    /// `None` where so many names are looked for that it would take longer than to read headers.
    pub(super) fn new<'n>(programs: impl Iterator<Item = &'n [u8]>) -> Option<Self> {
        let words: Vec<&[u8]> = programs.chain([REPEATED, TURNED_OVER]).collect();
        Prefilter::new(MatchKind::LeftmostFirst, &words).map(Self)
    }

    /// How many bytes of the text stand before the first name.
    fn before(&self, text: &[u8]) -> usize {
        self.0.find(text, Span { start: 0, end: text.len() }).map_or(text.len(), |found| found.start)
    }
}

impl<'c> Sieve<'c> {
    /// Nothing is passed over without names.
    pub fn new(names: Option<Names>, chunk: &'c [u8]) -> Self {
        Self { names, rest: chunk, unsearched: chunk.len() }
    }

    /// Takes whole lines off the chunk that are certainly of no interest, neither to a rule set nor as a repeat of
    /// another line, and says how many.
    ///
    /// The chunk must begin with the beginning of a line.
    pub fn pass_foreign(&mut self) -> u64 {
        let mut passed = 0;
        while let Some(length) = self.foreign_line() {
            self.rest = &self.rest[length..];
            passed += 1;
        }
        passed
    }

    /// Takes the next line off the chunk, as [`record::text`] has it; the last one may have no newline.
    pub fn next_line(&mut self) -> Option<&'c [u8]> {
        let end = memchr(b'\n', self.rest).unwrap_or(self.rest.len());
        let (line, behind) = (&self.rest[..end], self.rest.get(end + 1..).unwrap_or_default());
        let is_over = self.rest.is_empty();
        self.rest = behind;
        (!is_over).then(|| record::text(line))
    }

    /// The length of the next line, if it is a foreign one. Not where it begins with a number, as layouts do that name no
    /// program; nor if it is too long, which is to be told.
    fn foreign_line(&mut self) -> Option<usize> {
        let names = self.names.as_ref()?;
        if !self.rest.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'<') {
            return None;
        }
        if self.unsearched >= self.rest.len() {
            self.unsearched = self.rest.len() - names.before(self.rest);
        }
        let nameless = &self.rest[..self.rest.len() - self.unsearched];
        memchr(b'\n', nameless).filter(|end| *end <= MAX_LINE).map(|end| end + 1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names() -> Option<Names> {
        Names::new([&b"sshd"[..], b"kernel"].into_iter())
    }

    /// The lines that are left, and how many were passed over.
    fn sifted(text: &[u8]) -> (Vec<&[u8]>, u64) {
        let (mut sieve, mut left, mut passed) = (Sieve::new(names(), text), Vec::new(), 0);
        loop {
            passed += sieve.pass_foreign();
            let Some(line) = sieve.next_line() else { return (left, passed) };
            left.push(line);
        }
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
    }

    #[test]
    fn a_line_that_has_not_ended_or_is_too_long_is_left() {
        let mut sieve = Sieve::new(names(), b"Nov 22 cron\nNov 22 ss");
        assert_eq!((sieve.pass_foreign(), sieve.rest), (1, &b"Nov 22 ss"[..]));
        let long =
            ["x".repeat(MAX_LINE), "x".repeat(MAX_LINE + 1), "x".into()].map(|line| line + "\n").concat();
        let mut sieve = Sieve::new(names(), long.as_bytes());
        assert_eq!((sieve.pass_foreign(), sieve.rest.len()), (1, MAX_LINE + 4));
    }

    #[test]
    fn what_stands_before_and_behind_a_line_is_taken_off() {
        let mut sieve = Sieve::new(names(), b"\xef\xbb\xbfone\n\0\0two\r\nthree ");
        let lines: Vec<&[u8]> = std::iter::from_fn(|| sieve.next_line()).collect();
        assert_eq!(lines, [&b"one"[..], b"two", b"three "]);
    }

    #[test]
    fn without_names_every_line_is_looked_at() {
        assert_eq!(Sieve::new(None, b"Nov 22 cron\n").pass_foreign(), 0);
    }
}
