//! Following logs: files that grow, rotate, vanish and come back, and pipes.
//!
//! The one operation is "look now" ([`Follower::look`]): every wake-up and a slow tick do the same thing, so nothing
//! depends on events. What comes out are whole lines only, each with the [`Position`] behind it, from which reading
//! goes on after a stop of any length: nothing lost, nothing twice.
//!
//! ```text
//! thread ── wake         the loop: look, wait for an event or the tick
//! follower               all sources: look at everything, hand out what is new
//!  └─ merge              several paths behind: the oldest line first, for a while
//! journal ── journalctl  the systemd journal, which a child prints
//! file_source, pipe      one source: a path, a pattern, a FIFO, standard input
//!  └─ pattern ── listing what matches
//! followed_file          one path, whose life its head tells
//!  └─ opening, reading, look_ahead
//! reidentify             files found again under other names, packed, copied
//!  └─ rotations, compressed
//! open ── watch          the way to the files: opening, listing, events
//! tail                   one open file: reading on, noticing truncation
//!  └─ rewritten ── watermark  lines that were read before, when the file was another
//! cursor                 how far a stream of bytes was read, line by line
//! fingerprint, position  knowing a file by its bytes; what is stored of it
//! round                  what all of them share in one look
//! ```
//!
//! Each uses those below it.
//!
//! What cannot be seen, and is the price of looking instead of being told: bytes that were cut off by a truncation
//! before they were read (unless a copy lies beside the log, as copytruncate leaves it); a file that was truncated and
//! written again with the same 256 bytes before our place, or within one tick of the file system's clock after two
//! quiet seconds and to the same size; a file rotated into another directory (`newsyslog -a`) that no
//! [`Source::archive`] names, before it was looked at.

pub mod compressed;

mod cursor;
mod file_source;
mod fingerprint;
mod followed_file;
mod follower;
mod journal;
pub mod journalctl;
mod listing;
mod merge;
mod open;
mod pattern;
mod pipe;
mod position;
mod reidentify;
mod rewritten;
mod rotations;
mod round;
mod tail;
mod thread;
mod wake;
mod watch;
mod watermark;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::settings::JOURNAL;
use crate::time::Time;

pub use follower::{Follower, Looked, Status};
pub use journalctl::{JournalQuery, JournalStart, Journalctl};
pub use listing::{Listed, MAX_ENTRIES, expand};
pub use open::{NoLog, Opened, Opener, PathState, ThisProcess, no_look};
pub use pattern::{is_match, is_pattern};
pub use position::{FileKey, Fingerprint, Mark, Position, Reread, Stored};
pub use rotations::{grouped, log_of, looks_packed};
pub use round::Stamps;
pub use thread::{Batch, Handle, Options, spawn};
pub use watch::{FileEvents, Watch};

/// A source: a followed log file (or pipe), with a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its name in the configuration; positions are stored under it.
    pub name: String,
    /// A file or FIFO; for [`SourceKind::Files`] also a pattern (`/var/log/app/*.log`). Not used for standard input.
    pub path: PathBuf,
    /// The kind of file at the path.
    pub kind: SourceKind,
    /// Follow symlinks; off for directories in which somebody else may make links, as in a jail.
    pub through_links: bool,
    /// A directory in which rotated files lie, besides that of the log (`newsyslog -a`).
    pub archive: Option<PathBuf>,
    /// At the first sight of a source that has no stored position: read what is there already, instead of starting at
    /// the end. Files that appear later are always read from their beginning. What a pipe brings then counts at its timestamps.
    pub from_start: bool,
    /// What is asked of the systemd journal, where that is the source, in place of a file.
    pub journal: Option<JournalQuery>,
}

impl Source {
    /// Regular files at a path or pattern, through symlinks, from their end.
    pub fn files(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            path: path.into(),
            kind: SourceKind::Files,
            through_links: true,
            archive: None,
            from_start: false,
            journal: None,
        }
    }

    /// The systemd journal, from its end.
    pub fn of_journal(name: impl Into<String>, query: JournalQuery) -> Self {
        Self { journal: Some(query), ..Self::files(name, JOURNAL) }
    }

    /// Whether the path is a pattern that may match many files.
    pub fn is_pattern(&self) -> bool {
        self.kind == SourceKind::Files && is_pattern(&self.path)
    }

    /// A source from the command line: `-` is standard input, a FIFO is read as such.
    pub fn argument(argument: impl Into<PathBuf>) -> Self {
        use std::os::unix::fs::FileTypeExt;
        let path = argument.into();
        let is_fifo = std::fs::metadata(&path).is_ok_and(|meta| meta.file_type().is_fifo());
        let kind = match path.as_os_str().as_encoded_bytes() {
            b"-" => SourceKind::StandardInput,
            _ if is_fifo => SourceKind::Fifo,
            _ => SourceKind::Files,
        };
        let name = path.to_string_lossy().into_owned();
        Self { kind, ..Self::files(name, path) }
    }
}

/// How many files these sources may be, for comparing lines across files: a pattern may match any number.
pub fn files(sources: &[Source]) -> usize {
    sources.iter().map(|source| if source.is_pattern() { 2 } else { 1 }).sum()
}

/// The kind of file that a source reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SourceKind {
    /// Regular files; anything else at the path is refused.
    Files,
    /// A named pipe, as syslog.conf's `|/path` or `|exec cat > /path` fills it; has no positions.
    Fifo,
    /// Standard input; has no positions, and ends.
    StandardInput,
}

/// A source by its place in the list that the follower was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(pub u16);

/// Whole lines of one file.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The source they came from.
    pub source: SourceId,
    /// The path they were read at (for a pattern, the matching one); with the source's name the key of the position.
    pub path: &'a Arc<str>,
    /// The file, which may have another name by now; lines of one file come in order.
    pub file: FileKey,
    /// Whole lines with their newlines, at most 256 KiB. Empty when only the position is news.
    pub bytes: &'a [u8],
    /// How far the path is read after these lines; `None` for pipes.
    pub position: Option<&'a Position>,
    /// The path is followed no more and read to its end; its position is of no use.
    pub gone: bool,
    /// Whole lines that were read before a stop and stand just before these: "last message repeated" may mean the last.
    pub before: &'a [u8],
    /// The first lines of this file: what was remembered of a line before them does not belong to it.
    pub first: bool,
    /// Something was passed over between the lines before and these, such as a line that is too long: "last message
    /// repeated" in these may mean what was not read.
    pub gap: bool,
    /// The lines were written some time ago (while the program was stopped, blocked or suspended): their own timestamps
    /// count, not the time of reading.
    pub backlog: bool,
    /// The latest time at which they were written, to the second, where nobody saw the file grow.
    pub written_by: Option<Time>,
    /// With the first lines of a backlog: the last lines of the path's file.
    pub file_end: Option<&'a FileEnd>,
}

/// The last lines of a file, and when it was last written to: in which zone lines are stamped that nobody saw arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEnd {
    /// Whole lines with their newlines, at most [`MAX_LINE`](crate::record::MAX_LINE) bytes.
    pub lines: Vec<u8>,
    /// The file's time of modification.
    pub modified: Time,
}

impl<'a> Chunk<'a> {
    /// A position without lines.
    fn of_position(source: SourceId, path: &'a Arc<str>, position: &'a Position) -> Self {
        let file = position.files.last().map_or(FileKey::NONE, |mark| mark.file);
        Self {
            source,
            path,
            file,
            bytes: &[],
            position: Some(position),
            gone: false,
            before: &[],
            first: false,
            gap: false,
            backlog: false,
            written_by: None,
            file_end: None,
        }
    }
}

/// Takes chunks; a break ends the look, the chunk counts as taken.
pub type Sink<'a> = dyn FnMut(Chunk<'_>) -> ControlFlow<()> + 'a;
