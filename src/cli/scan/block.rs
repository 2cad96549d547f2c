//! Whole lines of one file, and the hits in them.

use std::ops::Range;

use crate::pipeline::{HitFinder, Hits};

/// At most one chunk of a file.
#[derive(Default)]
pub(super) struct Block {
    /// Contains the lines; the memory is reused.
    pub(super) bytes: Vec<u8>,
    /// The place of the lines in `bytes`.
    pub(super) at: Range<usize>,
    pub(super) hits: Hits,
    /// The number of bytes that are judged.
    pub(super) judged: usize,
    /// The number of hits that are judged.
    pub(super) hits_judged: usize,
    /// Whether it is the first of a file, or follows dropped lines.
    pub(super) is_apart: bool,
    /// The number of lines before it that were dropped because they were too long.
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
