//! Finding files again: what was read before, under whatever name it lies now, and what was written in between.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::compressed::{Packing, unpack_bounded};
use super::fingerprint::{plain_holds, read_up_to, stream_holds};
use super::open::{Opened, Opener, open_regular};
use super::position::{FileKey, Mark, Reread, born};
use super::round::UnpackBudget;
use super::tail::Tail;
use crate::record::MAX_LINE;

/// The most rotated files of one log that are looked at, the newest ones.
const MAX_FILES: usize = 64;

/// newsyslog renames several files one after the other; a listing taken meanwhile is taken again, this often at most.
const MAX_LISTINGS: usize = 5;

/// A file that may carry lines of a followed log, held open so that no rename can change what it is.
pub(super) struct FoundFile {
    file: File,
    meta: Metadata,
    packed: bool,
    budget: UnpackBudget,
}

impl FoundFile {
    /// # Errors
    /// An error of reading its first bytes.
    pub(super) fn new(opened: Opened, budget: &UnpackBudget) -> io::Result<Self> {
        let packed = Packing::of(&opened.file)? != Packing::Plain;
        Ok(Self { file: opened.file, meta: opened.meta, packed, budget: budget.clone() })
    }

    pub(super) fn key(&self) -> FileKey {
        FileKey::of(&self.meta)
    }

    /// Whether the bytes before a mark are in this file.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        self.behind(mark, 0).is_some()
    }

    /// Whether they are, and no line behind them.
    fn ends_at(&self, mark: &Mark) -> bool {
        self.behind(mark, MAX_LINE as u64).is_some_and(|rest| !rest.contains(&b'\n'))
    }

    /// Up to `length` bytes behind a mark; `None` where the bytes before it are not in this file.
    fn behind(&self, mark: &Mark, length: u64) -> Option<Vec<u8>> {
        if !self.packed {
            if !plain_holds(&self.file, mark) {
                return None;
            }
            return Some(read_up_to(&self.file, mark.offset, length).unwrap_or_default());
        }
        let reach = mark.offset.saturating_add(length);
        let left = self.budget.after(reach)?;
        let mut stream = self.file.try_clone().and_then(unpack_bounded).ok()?.take(reach);
        let is_held = stream_holds(&mut stream, mark);
        let mut rest = Vec::new();
        if is_held {
            // A part that cannot be unpacked holds no line.
            let _ = stream.read_to_end(&mut rest);
        }
        self.budget.left.set(left + stream.limit());
        if is_held { Some(rest) } else { None }
    }

    /// Whether this is the very file that a mark was made in, as far as the file system tells, and does not hold any more
    /// what was read of it.
    pub(super) fn lost(&self, mark: &Mark) -> bool {
        let is_same = self.key() == mark.file && born(&self.meta) == mark.born && !self.packed;
        is_same && mark.offset > 0 && !self.holds(mark)
    }

    /// In bytes, packed where it is.
    pub(super) fn size(&self) -> u64 {
        self.meta.size()
    }

    /// Opened for reading on from an offset that a mark in this file has, or from the beginning. Everything in it
    /// was written before now.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn into_tail(self, offset: u64, now: Instant) -> io::Result<Tail> {
        let size = if self.packed { u64::MAX } else { self.meta.size() };
        let mut tail = Tail::new(self.file, &self.meta, self.packed, now)?;
        tail.backlog_until = size;
        if offset > 0 {
            tail.jump(offset)?;
            tail.recall()?;
        }
        Ok(tail)
    }

    /// Whether a mark was made in this very file. An inode number alone says little, it may have been given away: a
    /// mark at the beginning needs the time at which the file was made, or a file that is as it was.
    fn is(&self, mark: &Mark) -> bool {
        let born = born(&self.meta);
        let is_unchanged = !self.packed && self.meta.mtime() >= mark.modified;
        let is_likely = mark.offset > 0 || born.is_some() || is_unchanged;
        self.key() == mark.file && born == mark.born && is_likely && self.holds(mark)
    }
}

/// The rotated files of a log, oldest first, and then the log itself where it is there.
pub(super) fn survey(
    opener: &dyn Opener,
    log: &Path,
    through_links: bool,
    budget: &UnpackBudget,
) -> Vec<FoundFile> {
    let mut found = Vec::new();
    for _ in 0..MAX_LISTINGS {
        let names = opener.rotations(log);
        let newest = names.len().saturating_sub(MAX_FILES);
        let names: Vec<PathBuf> = names.into_iter().skip(newest).collect();
        let (opened, is_complete) = open_all(opener, log, &names, through_links, budget);
        found = opened;
        if is_complete && opener.rotations(log).ends_with(&names) {
            break;
        }
    }
    found
}

/// Newest first, as renames move towards the old end: a file moving meanwhile is met twice rather than not at all.
fn open_all(
    opener: &dyn Opener,
    log: &Path,
    names: &[PathBuf],
    through_links: bool,
    budget: &UnpackBudget,
) -> (Vec<FoundFile>, bool) {
    let mut found: Vec<FoundFile> = Vec::new();
    let mut complete = true;
    for path in std::iter::once(log).chain(names.iter().rev().map(PathBuf::as_path)) {
        match open_regular(opener, path, through_links).and_then(|opened| FoundFile::new(opened, budget)) {
            Ok(file) => {
                found.retain(|other| other.key() != file.key());
                found.push(file);
            }
            Err(_) => complete &= path == log,
        }
    }
    found.reverse();
    (found, complete)
}

/// The index of a mark's file among the found ones: the very file, or else one with the same bytes at the same place (it
/// was packed or copied). Packing keeps the time of the last write to the second, so the likely ones come first.
fn locate(mark: &Mark, found: &[FoundFile]) -> Option<usize> {
    if let Some(same) = found.iter().position(|file| file.is(mark)) {
        return Some(same);
    }
    let is_likely = |index: &usize| found.get(*index).is_some_and(|file| file.meta.mtime() >= mark.modified);
    let (likely, others): (Vec<usize>, Vec<usize>) = (0..found.len()).partition(is_likely);
    let alike = |index: &usize| {
        let file = found.get(*index).filter(|_| mark.offset > 0);
        // A closed file was read to its end. One that goes on there only began like it: an editor's copy of it did, or
        // what a power cut left of another.
        file.is_some_and(|file| if mark.closed { file.ends_at(mark) } else { file.holds(mark) })
    };
    likely.into_iter().chain(others.into_iter().rev()).find(alike)
}

/// The files to read after a start.
pub(super) struct Resumed {
    /// Oldest first; the file at the path is the last one, where there is one.
    pub(super) files: Vec<Unread>,
    /// A file that was not read to its end is gone.
    pub(super) lost: bool,
}

/// A file that has anything to read.
pub(super) struct Unread {
    pub(super) file: FoundFile,
    /// The offset in bytes at which reading begins.
    pub(super) offset: u64,
    /// The part behind the offset that may have been read before.
    pub(super) reread: Option<Reread>,
    /// It is the very file that was read up to there, not one that begins with the same bytes.
    pub(super) is_same: bool,
}

/// Finds stored marks (oldest first) among the rotated files (oldest first) and the one at the path.
pub(super) fn resume(marks: &[Mark], mut found: Vec<FoundFile>, at_path: Option<FoundFile>) -> Resumed {
    let rotated = found.len();
    found.extend(at_path);
    let matched = match_marks(marks, &found);
    let last_write = marks.last().map_or(i64::MIN, |mark| mark.modified);
    Resumed { lost: matched.lost, files: files_to_read(found, &matched, rotated, last_write) }
}

/// The stored marks, matched with the files that were found.
struct Matched<'m> {
    /// For each file the newest mark that was made in it.
    marks: Vec<Option<&'m Mark>>,
    /// The newest file of which something was read.
    newest_read: Option<usize>,
    /// The oldest file that has a mark only at its beginning, where a mark proves little.
    oldest_begun: Option<usize>,
    /// A file that was not read to its end is gone.
    lost: bool,
}

fn match_marks<'m>(marks: &'m [Mark], found: &[FoundFile]) -> Matched<'m> {
    let marks_of_files = vec![None; found.len()];
    let mut matched = Matched { marks: marks_of_files, newest_read: None, oldest_begun: None, lost: false };
    for mark in marks.iter().rev() {
        // A closed file is of use only to tell where the unread ones begin.
        let is_enough = mark.closed && matched.newest_read.is_some();
        let place = if is_enough { found.iter().position(|file| file.is(mark)) } else { locate(mark, found) };
        matched.add(mark, place);
    }
    matched
}

impl<'m> Matched<'m> {
    fn add(&mut self, mark: &'m Mark, place: Option<usize>) {
        let Some((index, file)) = place.and_then(|index| Some((index, self.marks.get_mut(index)?))) else {
            self.lost |= !mark.closed && mark.offset > 0;
            return;
        };
        file.get_or_insert(mark);
        if mark.offset > 0 {
            self.newest_read = self.newest_read.max(Some(index));
        } else {
            self.oldest_begun = Some(self.oldest_begun.map_or(index, |oldest| oldest.min(index)));
        }
    }

    /// Behind this file, all are news.
    fn last_known(&self) -> Option<usize> {
        self.newest_read.or(self.oldest_begun)
    }
}

/// The files that have anything to read; the first ones are rotated.
fn files_to_read(
    found: Vec<FoundFile>,
    matched: &Matched<'_>,
    rotated: usize,
    last_write: i64,
) -> Vec<Unread> {
    let last_known = matched.last_known();
    let is_news = |index: usize, file: &FoundFile| {
        index == rotated || last_known.map_or_else(|| file.meta.mtime() >= last_write, |known| index > known)
    };
    let offset = |index: usize, file: &FoundFile, mark: Option<&Mark>| match mark {
        Some(mark) if mark.closed && index < rotated => None,
        Some(mark) => Some(mark.offset),
        None if is_news(index, file) => Some(0),
        None => None,
    };
    let files = found.into_iter().zip(&matched.marks).enumerate();
    let unread = |(index, (file, mark)): (usize, (FoundFile, &Option<&Mark>))| {
        let offset = offset(index, &file, *mark)?;
        let reread = mark.and_then(|mark| mark.reread);
        let is_same = mark.is_some_and(|mark| file.is(mark));
        Some(Unread { file, offset, reread, is_same })
    };
    files.filter_map(unread).collect()
}

/// A file that was read, in a running program.
pub(super) struct KnownFile {
    /// Its place, or some place in it by which it can be known again.
    pub(super) mark: Mark,
    /// It is held open, so that its inode number is its own.
    pub(super) open: bool,
}

impl KnownFile {
    fn is(&self, file: &FoundFile) -> bool {
        if self.open { file.key() == self.mark.file } else { self.mark.offset > 0 && file.is(&self.mark) }
    }
}

/// Whether the file that was read last (the known ones come oldest first) lies among the rotated ones, so that another
/// one at the path is what a rotation put there and not the same lines once more. True also where none was read.
pub(super) fn was_rotated(known: &[KnownFile], rotated: &[FoundFile]) -> bool {
    known
        .last()
        .is_none_or(|last| rotated.iter().any(|file| last.is(file)) || locate(&last.mark, rotated).is_some())
}

/// The files that came after the known ones (oldest first) and were rotated away before anybody looked.
pub(super) fn between(known: &[KnownFile], mut found: Vec<FoundFile>) -> Vec<FoundFile> {
    let base = known.iter().rev().find_map(|known| {
        let same = found.iter().position(|file| known.is(file));
        same.or_else(|| locate(&known.mark, &found))
    });
    let last_write = known.last().map_or(i64::MIN, |known| known.mark.modified);
    let mut index = 0;
    found.retain(|file| {
        let after = base.map_or_else(|| file.meta.mtime() >= last_write, |base| index > base);
        index += 1;
        after && !known.iter().any(|known| known.is(file))
    });
    found
}

/// The unread rest of a file before it was truncated, where copies were made first (copytruncate): the first copy
/// from the mark on, and those of later truncations from their beginning. Files that were read are left out.
pub(super) fn copied(mark: &Mark, known: &[KnownFile], mut found: Vec<FoundFile>) -> Vec<(FoundFile, u64)> {
    if let Some(itself) = found.iter().position(|file| file.key() == mark.file) {
        found.truncate(itself);
    }
    found.retain(|file| !known.iter().any(|known| known.is(file)));
    let Some(first) = locate(mark, &found).filter(|_| mark.offset > 0) else { return Vec::new() };
    let offsets = std::iter::once(mark.offset).chain(std::iter::repeat(0));
    found.into_iter().skip(first).zip(offsets).collect()
}
