//! What is stored together.

use std::sync::Arc;

use crate::address::Prefix;
use crate::engine::Row;
use crate::time::Time;

/// Log lines kept of one ban; those that came first.
pub const MAX_LINES: usize = 10;

/// Bytes kept of one log line.
pub const MAX_LINE_BYTES: usize = 512;

/// Everything that changed since the last batch. It is stored as a whole or not at all, so that after a crash the
/// logs are read again from just where the counters stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteBatch {
    /// The time, for purging.
    pub now: Time,
    /// What the engine wants remembered. Of bans and their ends every row counts, in their order; no two others are about
    /// one thing.
    pub rows: Vec<Row>,
    /// Where reading stands, in order.
    pub positions: Vec<PositionChange>,
    /// The lines that led to bans; bans of this batch or of earlier ones.
    pub lines: Vec<BanLines>,
}

/// Where reading stands now. Positions are text that only the reader of files understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionChange {
    /// In one file.
    At(FilePosition),
    /// A file is no longer followed.
    Gone {
        /// The source's name.
        source: String,
        /// The file.
        file: String,
    },
}

/// Where reading stands in one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The source's name.
    pub source: String,
    /// What tells the file from others of the source.
    pub file: String,
    /// The position.
    pub position: String,
}

/// The lines that led to a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanLines {
    /// On whom the ban is.
    pub offender: Prefix,
    /// When it began; with the offender, this names the ban.
    pub since: Time,
    /// The first [`MAX_LINES`] are kept.
    pub lines: Vec<BanLine>,
}

/// One log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanLine {
    /// The time at which the line was read.
    pub at: Time,
    /// The source's name.
    pub source: Arc<str>,
    /// The line's bytes, whatever its writer put into them; the first [`MAX_LINE_BYTES`] are kept.
    pub text: Vec<u8>,
}

impl BanLines {
    pub(super) fn cut(mut self) -> Self {
        self.lines.truncate(MAX_LINES);
        self.lines.iter_mut().for_each(|line| line.text.truncate(MAX_LINE_BYTES));
        self
    }
}
