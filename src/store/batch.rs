//! The unit of storage: everything that changed since the last batch.

use std::sync::Arc;

use crate::address::Prefix;
use crate::engine::Row;
use crate::time::Time;

/// The most log lines that are kept of one ban, the first ones.
pub const MAX_LINES: usize = 10;

/// The most bytes that are kept of one log line.
pub const MAX_LINE_BYTES: usize = 512;

/// Everything that changed since the last batch. It is stored completely or not at all, so that after a crash the logs are
/// read again exactly from where the counters stand.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteBatch {
    /// The current time, for purging.
    pub now: Time,
    /// Changed rows of the engine. Bans and ends of bans are in order, and each of them counts; of any other kind there is
    /// at most one row for each key.
    pub rows: Vec<Row>,
    /// Changed read positions, in order.
    pub positions: Vec<PositionChange>,
    /// The lines that led to bans of this batch or of earlier ones.
    pub lines: Vec<BanLines>,
}

/// A changed read position. Positions are text that only the reader of files understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PositionChange {
    /// A file has been read further.
    At(FilePosition),
    /// A file is no longer followed.
    Gone {
        /// The source's name.
        source: String,
        /// The file.
        file: String,
    },
}

/// The read position of one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The source's name.
    pub source: String,
    /// The path of the file.
    pub file: String,
    /// The position as text.
    pub position: String,
}

/// The lines that led to a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanLines {
    /// The banned prefix.
    pub offender: Prefix,
    /// The time at which the ban began; with the offender, it identifies the ban.
    pub since: Time,
    /// The lines, of which the first [`MAX_LINES`] are kept.
    pub lines: Vec<BanLine>,
}

/// A log line that led to a ban.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BanLine {
    /// The time at which the line was counted.
    pub at: Time,
    /// The source's name.
    pub source: Arc<str>,
    /// The bytes of the line, of which the first [`MAX_LINE_BYTES`] are kept; they may be any bytes.
    pub text: Vec<u8>,
}

impl BanLines {
    pub(super) fn cut(mut self) -> Self {
        self.lines.truncate(MAX_LINES);
        self.lines.iter_mut().for_each(|line| line.text.truncate(MAX_LINE_BYTES));
        self
    }
}
