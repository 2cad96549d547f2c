//! Finds the words of which every line of interest contains one. Four of five lines of a common log name no watched
//! program; these are skipped before their headers are read.

use regex_automata::util::prefilter::Prefilter;
use regex_automata::{MatchKind, Span};

/// Part of all lines that report a repeat of another line.
const REPEATED: &[u8] = b"repeated";

/// Part of newsyslog's note that a log was rotated; a repeat behind it refers to the line before the note.
const TURNED_OVER: &[u8] = b"turned over";

/// Finds the names of watched programs, and the words of lines that refer to other lines.
#[derive(Clone, Debug)]
pub struct LinePrefilter(Prefilter);

impl LinePrefilter {
    /// `None` if there are so many names that searching for them would take longer than reading headers.
    pub(super) fn new<'n>(programs: impl Iterator<Item = &'n [u8]>) -> Option<Self> {
        let words: Vec<&[u8]> = programs.chain([REPEATED, TURNED_OVER]).collect();
        Prefilter::new(MatchKind::LeftmostFirst, &words).map(Self)
    }

    /// The number of bytes before the first name in the text.
    pub fn before(&self, text: &[u8]) -> usize {
        self.0.find(text, Span { start: 0, end: text.len() }).map_or(text.len(), |found| found.start)
    }
}
