//! One open file, read on from where it was left, whole lines at a time.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::{memchr, memrchr};
use nix::errno::Errno;
use nix::unistd::{Whence, lseek};

use super::FileEnd;
use super::compressed::unpack_bounded;
use super::cursor::Cursor;
use super::fingerprint::{ends_of_plain, ends_of_stream, plain_holds, read_up_to};
use super::position::{FileKey, Fingerprint, Mark, Reread, born};
use super::rewritten::Rewritten;
use super::round::{BUFFER, Round};
use super::watermark::Watermark;
use crate::pipeline::{Cut, cut};
use crate::record::MAX_LINE;
use crate::time::Time;

/// A file that changed within this time is read even when its times and size say that nothing happened: UFS may keep
/// times to the second only (`vfs.timestamp_precision`), so a second change may not show.
const TIMES_SETTLE: Duration = Duration::from_secs(2);

/// How far into a file it is compared with others to know it again.
const IDENTITY_AT: u64 = 64 * 1024;

/// A line that is longer than this is taken for one that never ends.
pub(super) const ENDLESS: u64 = 1 << 20;

/// How many bytes of it are searched for its end before the rest of the file is passed over.
const SEARCHED_FOR_END: u64 = 16 << 20;

/// The result of one step of reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Whole lines, here in the buffer.
    Lines(Range<usize>),
    /// The file was read to its present end.
    Drained,
    /// The bytes before our place are not those that were read: the file was truncated.
    Truncated,
}

/// The source of the bytes.
enum Body {
    /// A file that may grow; read by offset, so that a partial line is simply read again when it is whole.
    Plain(File),
    /// A packed file, which does not change; `carry` was unpacked and not yet handed out.
    Packed { reader: Box<dyn Read + Send>, carry: Vec<u8> },
}

/// The fields of `stat` that change when a file is written to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct FileStat {
    size: u64,
    changed: (i64, i64),
}

/// One open file and how far it was read.
pub(super) struct Tail {
    body: Body,
    pub(super) key: FileKey,
    born: Option<i64>,
    pub(super) cursor: Cursor,
    pub(super) drained: bool,
    stat: FileStat,
    /// The last write, in seconds since the epoch.
    pub(super) modified: i64,
    /// How many names the file has.
    pub(super) links: u64,
    /// The time at which a change was last noticed.
    pub(super) active: Instant,
    /// Bytes below this offset were in the file before we came.
    pub(super) backlog_until: u64,
    /// No line was handed out yet since the file was opened or truncated.
    pub(super) untouched: bool,
    /// Something was passed over since lines were last handed out.
    pub(super) gap: bool,
    /// Whole lines before the place where we went on after a stop.
    pub(super) known_before: Vec<u8>,
    /// Found under the name of a rotated file, so that it may be what copytruncate left beside the log.
    pub(super) may_be_copy: bool,
    size_at_first: u64,
    /// An offset and a time in seconds since the epoch: bytes below were in the file before anybody saw it grow, and were
    /// written by then.
    unseen_until: (u64, i64),
    rewritten: Option<Rewritten>,
}

impl Tail {
    /// A file to be read from its beginning.
    ///
    /// # Errors
    /// An error of preparing a packed file.
    pub(super) fn new(file: File, meta: &Metadata, packed: bool, now: Instant) -> io::Result<Self> {
        let body = if packed {
            Body::Packed { reader: unpack_bounded(file)?, carry: Vec::new() }
        } else {
            Body::Plain(file)
        };
        Ok(Self {
            body,
            key: FileKey::of(meta),
            born: born(meta),
            cursor: Cursor::default(),
            drained: false,
            stat: FileStat::of(meta),
            modified: meta.mtime(),
            links: meta.nlink(),
            active: now,
            backlog_until: 0,
            untouched: true,
            gap: false,
            known_before: Vec::new(),
            may_be_copy: false,
            size_at_first: meta.size(),
            rewritten: None,
            unseen_until: (if packed { u64::MAX } else { meta.size() }, meta.mtime()),
        })
    }

    /// Goes on at a place that is known to be a line's start; packed files are unpacked up to there.
    ///
    /// # Errors
    /// An error of the file system; a file shorter than the offset is one as well.
    pub(super) fn jump(&mut self, offset: u64) -> io::Result<()> {
        let (head, before) = match &mut self.body {
            Body::Plain(file) => ends_of_plain(file, offset)?,
            Body::Packed { reader, .. } => ends_of_stream(reader, offset)?,
        };
        self.cursor = Cursor::at(offset, before, head);
        self.drained = false;
        Ok(())
    }

    /// Reads the line before our place once more, for what is said of it behind; with what stands before it, as it may
    /// itself speak of an earlier one. Of a packed file only what is at hand.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn recall(&mut self) -> io::Result<()> {
        let start = self.cursor.offset.saturating_sub(MAX_LINE as u64);
        let (bytes, is_whole) = match &self.body {
            Body::Plain(file) => (read_up_to(file, start, self.cursor.offset - start)?, start == 0),
            Body::Packed { .. } => {
                (self.cursor.before.clone(), self.cursor.offset == self.cursor.before.len() as u64)
            }
        };
        let cut = if is_whole { 0 } else { memchr(b'\n', &bytes).map_or(bytes.len(), |newline| newline + 1) };
        self.known_before = bytes.get(cut..).unwrap_or_default().to_vec();
        Ok(())
    }

    /// Goes on at the start of the line that the byte at `end` belongs to: a line that is being written when we come
    /// is read whole. Where that line is over-long, at a place from which on it is known to be.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn jump_to_line_at(&mut self, end: u64) -> io::Result<()> {
        let Body::Plain(file) = &self.body else { return Ok(()) };
        let start = end.saturating_sub(MAX_LINE as u64 + 1);
        let bytes = read_up_to(file, start, end - start)?;
        self.jump(memrchr(b'\n', &bytes).map_or(start, |newline| start + newline as u64 + 1))
    }

    /// Begins again after a truncation.
    pub(super) fn restart(&mut self) {
        self.cursor = Cursor { overlong: self.cursor.overlong, ..Cursor::default() };
        self.drained = false;
        self.untouched = true;
        self.backlog_until = 0;
        self.unseen_until = (0, 0);
    }

    /// Asks the file whether it changed and so decides whether there may be something to read: an idle file costs no
    /// read. A change that leaves size and change time as they are is missed once the file was quiet for two seconds.
    ///
    /// # Errors
    /// An error of `fstat`.
    pub(super) fn notice(&mut self, round: &Round<'_>) -> io::Result<()> {
        let Body::Plain(file) = &self.body else { return Ok(()) };
        let meta = file.metadata()?;
        let stat = FileStat::of(&meta);
        if stat != self.stat {
            self.stat = stat;
            self.active = round.now;
        }
        self.modified = meta.mtime();
        self.links = meta.nlink();
        if round.now.saturating_duration_since(self.active) <= TIMES_SETTLE {
            self.drained = false;
        }
        if round.away {
            self.backlog_until = meta.size();
            self.unseen_until = (meta.size(), meta.mtime());
        }
        if let Some(rewritten) = &mut self.rewritten {
            rewritten.grow(meta.size(), round.now);
        }
        Ok(())
    }

    /// Notes that the content of the file, and what is written until it has been quiet, may have been handed out before.
    pub(super) fn read_again(&mut self, before: Watermark, round: &Round<'_>) {
        self.rewritten = Some(Rewritten::new(before, self.stat.size, round.now + round.quiet));
    }

    /// Restores that note from a stored position.
    pub(super) fn restore_rewritten(&mut self, reread: Option<Reread>, now: Instant) {
        self.rewritten = reread.map(|reread| Rewritten::restored(reread, now));
    }

    /// The lines that were handed out before, as long as the next line may be one of them.
    pub(super) fn handed_out_before(&mut self, now: Instant) -> Option<Arc<Watermark>> {
        self.rewritten.take_if(|rewritten| rewritten.is_over(self.cursor.offset, now));
        self.rewritten.as_ref().map(|rewritten| Arc::clone(&rewritten.before))
    }

    /// Goes on behind the last place where these whole lines stand, if they do; true if so.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn jump_behind(&mut self, lines: &[u8]) -> io::Result<bool> {
        let (Some(rewritten), Body::Plain(file)) = (&mut self.rewritten, &self.body) else {
            return Ok(false);
        };
        let found = rewritten.find(file, lines, self.cursor.next)?;
        let Some(at) = found else { return Ok(false) };
        self.jump(at)?;
        self.gap = true;
        Ok(true)
    }

    /// Reads on, at most one buffer full. No lines (an empty range) when all of it belongs to over-long ones.
    ///
    /// # Errors
    /// An error of the file system; reading may be tried again.
    pub(super) fn step(&mut self, buf: &mut [u8]) -> io::Result<Step> {
        if self.drained {
            return Ok(Step::Drained);
        }
        self.pass_over()?;
        let from = self.cursor.before.len();
        let Some(end) = self.fill(buf)? else { return Ok(Step::Truncated) };
        let filled = buf.get(..end).unwrap_or_default();
        let (lines, at) = self.cursor.scan(filled, from);
        let rest = filled.get(at..).unwrap_or_default();
        self.drained = end < buf.len() && cut(rest, false) == Cut::Wait;
        if let Body::Packed { carry, .. } = &mut self.body {
            // A small buffer has not taken all of what was carried.
            carry.splice(..carry.len().min(end - from), rest.iter().copied());
        }
        Ok(match lines {
            Some(lines) => Step::Lines(lines),
            None if self.drained => Step::Drained,
            None => Step::Lines(at..at),
        })
    }

    /// Passes over what need not be read: a hole, which a file of any size may have without taking any room on the disk,
    /// and the rest of a file in which no line ends.
    fn pass_over(&mut self) -> io::Result<()> {
        let Body::Plain(file) = &self.body else { return Ok(()) };
        let from = self.cursor.next;
        let size = self.stat.size;
        if size.saturating_sub(from) < BUFFER as u64 {
            return Ok(());
        }
        let to = if self.is_endless(SEARCHED_FOR_END) { size } else { data_from(file, from, size)? };
        if to - from > BUFFER as u64 {
            let reach = Fingerprint::REACH as u64;
            self.cursor.pass(to, read_up_to(file, to - reach, reach)?);
        }
        Ok(())
    }

    /// Whether the line at our place is longer than this, as far as it was read; in bytes.
    pub(super) fn is_endless(&self, length: u64) -> bool {
        self.cursor.next - self.cursor.offset > length
    }

    /// Fills the buffer with what stands before the cursor and what comes next; `None` when what stands before it has
    /// changed. The check costs no system call of its own.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<Option<usize>> {
        let before = &self.cursor.before;
        match &mut self.body {
            Body::Plain(file) => {
                let end = read_once_at(file, buf, self.cursor.next - before.len() as u64)?;
                let is_unchanged = buf.get(..end).is_some_and(|bytes| bytes.starts_with(before));
                Ok(if is_unchanged { Some(end) } else { None })
            }
            Body::Packed { reader, carry } => {
                let mut unread = before.as_slice().chain(carry.as_slice()).chain(reader);
                read_full(&mut unread, buf).map(Some)
            }
        }
    }

    /// The next bytes, which stay where they are; fewer than asked for at the end of the file.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn peek(&mut self, length: usize) -> io::Result<Vec<u8>> {
        match &mut self.body {
            Body::Plain(file) => read_up_to(file, self.cursor.next, length as u64),
            Body::Packed { reader, carry } => {
                let missing = length.saturating_sub(carry.len());
                reader.take(missing as u64).read_to_end(carry)?;
                Ok(carry.get(..length).unwrap_or(carry).to_vec())
            }
        }
    }

    /// Whether what was in the file before we came was not all read.
    pub(super) fn lags(&self) -> bool {
        !self.drained && self.cursor.offset < self.backlog_until
    }

    /// The latest time at which the line at an offset was written, to the second; `None` where the file was seen to grow
    /// beyond it.
    pub(super) fn written_by(&self, offset: u64) -> Option<Time> {
        let (until, modified) = self.unseen_until;
        (offset < until).then(|| Time::from_secs(modified.saturating_add(1)))
    }

    /// The last whole lines and when they were written; `None` of a packed file, and where there are none.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn end(&self) -> io::Result<Option<FileEnd>> {
        let Body::Plain(file) = &self.body else { return Ok(None) };
        let meta = file.metadata()?;
        let start = meta.size().saturating_sub(MAX_LINE as u64);
        let mut lines = read_up_to(file, start, meta.size() - start)?;
        lines.truncate(memrchr(b'\n', &lines).map_or(0, |newline| newline + 1));
        if start > 0 {
            let cut = memchr(b'\n', &lines).map_or(lines.len(), |newline| newline + 1);
            lines.drain(..cut);
        }
        let modified = Time::from_millis(
            meta.mtime().saturating_mul(1000).saturating_add(meta.mtime_nsec() / 1_000_000),
        );
        Ok(if lines.is_empty() { None } else { Some(FileEnd { lines, modified }) })
    }

    /// The mark of the present offset.
    pub(super) fn mark(&self) -> Mark {
        Mark {
            file: self.key,
            offset: self.cursor.offset,
            print: self.cursor.print,
            head: Fingerprint::of(&self.cursor.head),
            born: self.born,
            modified: self.modified,
            closed: false,
            reread: self.rewritten.as_ref().map(Rewritten::reread),
        }
    }

    /// A mark by which the file is known again under another name, or packed, as it is now: it may have been truncated
    /// since it was read. Not far into it, so that little must be unpacked to compare.
    pub(super) fn identity(&self) -> Mark {
        let Body::Plain(file) = &self.body else { return self.mark() };
        let offset = file.metadata().map_or(0, |meta| meta.size().min(IDENTITY_AT));
        let (head, before) = ends_of_plain(file, offset).unwrap_or_default();
        Mark { offset, print: Fingerprint::of(&before), head: Fingerprint::of(&head), ..self.mark() }
    }

    /// Whether the bytes before a mark are in this file.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        let Body::Plain(file) = &self.body else { return false };
        plain_holds(file, mark)
    }

    /// Whether a rotated file can be closed as far as the file can tell: read to its end and quiet for this long.
    pub(super) fn is_finished(&self, quiet: Duration, now: Instant) -> bool {
        let packed = matches!(self.body, Body::Packed { .. });
        self.drained && (packed || now.saturating_duration_since(self.active) >= quiet)
    }

    /// Whether anything was written to the file since it was opened.
    pub(super) fn has_changed(&self) -> bool {
        self.stat.size != self.size_at_first
    }

    /// Bytes that were not read yet.
    pub(super) fn behind(&self) -> u64 {
        match self.body {
            Body::Plain(_) => self.stat.size.saturating_sub(self.cursor.next),
            Body::Packed { .. } => 0,
        }
    }
}

impl FileStat {
    fn of(meta: &Metadata) -> Self {
        Self { size: meta.size(), changed: (meta.ctime(), meta.ctime_nsec()) }
    }
}

/// One system call; fewer bytes than asked for means the end of the file.
fn read_once_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    loop {
        match file.read_at(buf, offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The offset of the next data in a file; its size where there is none. A file system that does not know has data
/// everywhere.
fn data_from(file: &File, from: u64, size: u64) -> io::Result<u64> {
    let Ok(offset) = i64::try_from(from) else { return Ok(from) };
    match lseek(file, offset, Whence::SeekData) {
        Ok(data) => Ok(u64::try_from(data).unwrap_or(from).clamp(from, size)),
        Err(Errno::ENXIO) => Ok(size),
        Err(Errno::EINVAL | Errno::EOPNOTSUPP | Errno::ENOTTY) => Ok(from),
        Err(error) => Err(error.into()),
    }
}

fn read_full(reader: &mut impl Read, buf: &mut [u8]) -> io::Result<usize> {
    let mut done = 0;
    while let Some(rest) = buf.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest) {
            Ok(0) => break,
            Ok(length) => done += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
