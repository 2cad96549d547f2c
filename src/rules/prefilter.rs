//! What every line of interest holds: four of five lines of a common log name no watched program, and are passed over before
//! any header is read.

use regex_automata::util::prefilter::Prefilter;
use regex_automata::{MatchKind, Span};

/// Part of all lines that say that another came again.
const REPEATED: &[u8] = b"repeated";

/// Part of newsyslog's note that a log was rotated, behind which a repeat is of the line before the note.
const TURNED_OVER: &[u8] = b"turned over";

/// Finds what every line of interest holds: a program's name, or what lines about other lines hold.
#[derive(Clone, Debug)]
pub struct LinePrefilter(Prefilter);

impl LinePrefilter {
    /// `None` where so many names are looked for that it would take longer than to read headers.
    pub(super) fn new<'n>(programs: impl Iterator<Item = &'n [u8]>) -> Option<Self> {
        let words: Vec<&[u8]> = programs.chain([REPEATED, TURNED_OVER]).collect();
        Prefilter::new(MatchKind::LeftmostFirst, &words).map(Self)
    }

    /// How many bytes of the text stand before the first name.
    pub fn before(&self, text: &[u8]) -> usize {
        self.0.find(text, Span { start: 0, end: text.len() }).map_or(text.len(), |found| found.start)
    }
}
