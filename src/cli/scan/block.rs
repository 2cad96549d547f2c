//! Whole lines of one file, and what was found in them.

use std::ops::Range;

use crate::pipeline::{HitFinder, Hits};

/// A chunk of a file at the most.
#[derive(Default)]
pub(super) struct Block {
    /// Holds the lines, and is used again for others.
    pub(super) bytes: Vec<u8>,
    pub(super) at: Range<usize>,
    pub(super) hits: Hits,
    /// How many bytes are judged, and how many hits.
    pub(super) judged: usize,
    pub(super) hits_judged: usize,
    /// Whether a file begins with it, or lines were dropped before it.
    pub(super) is_apart: bool,
    /// How many lines before it were too long.
    pub(super) dropped: u64,
}

impl Block {
    pub(super) fn lines(&self) -> &[u8] {
        &self.bytes[self.at.clone()]
    }

    pub(super) fn find(&mut self, finder: &HitFinder) {
        finder.find(&self.bytes[self.at.clone()], &mut self.hits);
    }
}
