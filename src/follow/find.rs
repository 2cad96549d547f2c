//! Finding files again: what was read before, under whatever name it lies now, and what was written in between.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::compressed::{Packing, unpack};
use super::ends::{plain_holds, stream_holds};
use super::open::{Opened, open_regular};
use super::position::{FileKey, Mark, born};
use super::rotations::rotations;
use super::tail::Tail;

/// How many rotated files of one log are looked at, the newest ones.
const FILES_MAX: usize = 64;

/// newsyslog renames several files one after the other; a listing taken meanwhile is taken again, this often at most.
const LISTINGS_MAX: usize = 5;

/// A file that may carry lines of a followed log, held open so that no rename can change what it is.
pub(super) struct Found {
    file: File,
    meta: Metadata,
    packed: bool,
}

impl Found {
    /// # Errors
    /// What reading its first bytes gives.
    pub(super) fn new(opened: Opened) -> io::Result<Self> {
        let packed = Packing::of(&opened.file)? != Packing::Plain;
        Ok(Self { file: opened.file, meta: opened.meta, packed })
    }

    pub(super) fn key(&self) -> FileKey {
        FileKey::of(&self.meta)
    }

    /// Whether the bytes before a mark are in this file.
    pub(super) fn holds(&self, mark: &Mark) -> bool {
        if !self.packed {
            return plain_holds(&self.file, mark);
        }
        let stream = self.file.try_clone().and_then(unpack);
        stream.is_ok_and(|mut stream| stream_holds(&mut stream, mark))
    }

    /// Opened for reading on from an offset that a mark in this file has, or from the beginning. Everything in it
    /// was written before now.
    ///
    /// # Errors
    /// What reading gives.
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
pub(super) fn survey(log: &Path, through_links: bool) -> Vec<Found> {
    let mut found = Vec::new();
    for _ in 0..LISTINGS_MAX {
        let names = rotations(log);
        let newest = names.len().saturating_sub(FILES_MAX);
        let names: Vec<PathBuf> = names.into_iter().skip(newest).collect();
        let complete;
        (found, complete) = open_all(log, &names, through_links);
        if complete && rotations(log).ends_with(&names) {
            break;
        }
    }
    found
}

/// Newest first, as renames move towards the old end: a file moving meanwhile is met twice rather than not at all.
fn open_all(log: &Path, names: &[PathBuf], through_links: bool) -> (Vec<Found>, bool) {
    let (mut found, mut complete): (Vec<Found>, _) = (Vec::new(), true);
    for path in std::iter::once(log).chain(names.iter().rev().map(PathBuf::as_path)) {
        match open_regular(path, through_links).and_then(Found::new) {
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

/// Where a mark's file lies among the found ones: the very file, or else one with the same bytes at the same place (it
/// was packed or copied). Packing keeps the time of the last write to the second, so the likely ones come first.
fn locate(mark: &Mark, found: &[Found]) -> Option<usize> {
    if let Some(same) = found.iter().position(|file| file.is(mark)) {
        return Some(same);
    }
    let is_likely = |index: &usize| found.get(*index).is_some_and(|file| file.meta.mtime() >= mark.modified);
    let (likely, others): (Vec<usize>, Vec<usize>) = (0..found.len()).partition(is_likely);
    let alike = |index: &usize| mark.offset > 0 && found.get(*index).is_some_and(|file| file.holds(mark));
    likely.into_iter().chain(others.into_iter().rev()).find(alike)
}

/// What to read after a start.
pub(super) struct Resumed {
    /// Oldest first, each with the offset to begin at; the file at the path is the last one, where there is one.
    pub(super) files: Vec<(Found, u64)>,
    /// A file that was not read to its end is gone.
    pub(super) lost: bool,
}

/// Finds stored marks (oldest first) among the rotated files (oldest first) and the one at the path.
pub(super) fn resume(marks: &[Mark], mut found: Vec<Found>, at_path: Option<Found>) -> Resumed {
    let rotated = found.len();
    found.extend(at_path);
    let mut places: Vec<Option<&Mark>> = vec![None; found.len()];
    let (mut newest_known, mut oldest_likely, mut lost) = (None, None, false);
    for mark in marks.iter().rev() {
        // A closed file is of use only to tell where the unread ones begin.
        let place = if mark.closed && newest_known.is_some() {
            found.iter().position(|file| file.is(mark))
        } else {
            locate(mark, &found)
        };
        match place.and_then(|index| places.get_mut(index).map(|place| (index, place))) {
            Some((index, place)) => {
                *place = place.or(Some(mark));
                if mark.offset > 0 {
                    newest_known = newest_known.max(Some(index));
                } else {
                    oldest_likely = Some(oldest_likely.map_or(index, |oldest: usize| oldest.min(index)));
                }
            }
            None => lost |= !mark.closed && mark.offset > 0,
        }
    }
    let newest_known = newest_known.or(oldest_likely);
    let last_write = marks.last().map_or(i64::MIN, |mark| mark.modified);
    let is_news = |index: usize, file: &Found| match newest_known {
        _ if index == rotated => true,
        Some(known) => index > known,
        None => file.meta.mtime() >= last_write,
    };
    let where_from = |index: usize, file: &Found, place: Option<&Mark>| match place {
        Some(mark) if mark.closed && index < rotated => None,
        Some(mark) => Some(mark.offset),
        None => is_news(index, file).then_some(0),
    };
    let files = found
        .into_iter()
        .zip(places)
        .enumerate()
        .filter_map(|(index, (file, place))| where_from(index, &file, place).map(|offset| (file, offset)))
        .collect();
    Resumed { files, lost }
}

/// A file that was read, in a running program.
pub(super) struct Known {
    /// Its place, or some place in it by which it can be known again.
    pub(super) mark: Mark,
    /// It is held open, so that its inode number is its own.
    pub(super) open: bool,
}

impl Known {
    fn is(&self, file: &Found) -> bool {
        if self.open { file.key() == self.mark.file } else { self.mark.offset > 0 && file.is(&self.mark) }
    }
}

/// The files that came after the known ones (oldest first) and were rotated away before anybody looked.
pub(super) fn between(known: &[Known], mut found: Vec<Found>) -> Vec<Found> {
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

/// What was not read of a file before it was truncated, where copies were made first (copytruncate): the first copy
/// from the mark on, and those of later truncations from their beginning. Files that were read are left out.
pub(super) fn copied(mark: &Mark, known: &[Known], mut found: Vec<Found>) -> Vec<(Found, u64)> {
    if let Some(itself) = found.iter().position(|file| file.key() == mark.file) {
        found.truncate(itself);
    }
    found.retain(|file| !known.iter().any(|known| known.is(file)));
    let Some(first) = locate(mark, &found).filter(|_| mark.offset > 0) else { return Vec::new() };
    let offsets = std::iter::once(mark.offset).chain(std::iter::repeat(0));
    found.into_iter().skip(first).zip(offsets).collect()
}
