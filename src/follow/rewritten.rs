//! A file that was rewritten, or lost its end: it may hold lines which were handed out before.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use memchr::memmem;

use super::fingerprint::read_up_to;
use super::position::Reread;
use super::round::BUFFER;
use super::watermark::Watermark;
use crate::time::Time;

/// How many bytes of such a file are searched for our place in it, from its end.
const MAX_SEARCH: u64 = 64 << 20;

/// The part of a file that may hold lines which were handed out before.
pub(super) struct Rewritten {
    /// The lines that were handed out before.
    pub(super) before: Arc<Watermark>,
    /// The end of that part, in bytes from the file's beginning.
    until: u64,
    /// Until when what writes the file anew may be at work: what it appends until then may be such lines too.
    settled: Instant,
    /// Up to here our place was looked for.
    searched: u64,
}

impl Rewritten {
    pub(super) fn new(before: Watermark, until: u64, settled: Instant) -> Self {
        Self { before: Arc::new(before), until, settled, searched: 0 }
    }

    /// Restores it from a stored position.
    pub(super) fn restored(Reread { newest, until }: Reread, now: Instant) -> Self {
        Self::new(Watermark::restored(newest), until, now)
    }

    /// The form that is stored.
    pub(super) fn reread(&self) -> Reread {
        Reread { newest: self.before.newest.map(Time::as_millis), until: self.until }
    }

    /// The file has this size now.
    pub(super) fn grow(&mut self, size: u64, now: Instant) {
        if now < self.settled {
            self.until = self.until.max(size);
        }
    }

    /// Whether nothing of that kind can stand behind this offset any more.
    pub(super) fn is_over(&self, offset: u64, now: Instant) -> bool {
        offset >= self.until && now >= self.settled
    }

    /// The end of the last place where these whole lines stand, behind the cursor; each part of the file is searched once.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(super) fn find(&mut self, file: &File, lines: &[u8], cursor: u64) -> io::Result<Option<u64>> {
        let from = self.searched.max(cursor).max(self.until.saturating_sub(MAX_SEARCH));
        let found = find_lines(file, lines, from, self.until)?;
        self.searched = self.until.saturating_sub(lines.len() as u64);
        Ok(found)
    }
}

/// The end of the last place in this part of a file where these whole lines stand.
fn find_lines(file: &File, lines: &[u8], mut from: u64, to: u64) -> io::Result<Option<u64>> {
    let finder = memmem::FinderRev::new(lines);
    let mut found = None;
    while !lines.is_empty() && from + lines.len() as u64 <= to {
        // With the byte before, which ends another line unless the file begins here.
        let start = from.saturating_sub(1);
        let bytes = read_up_to(file, start, (BUFFER as u64).min(to - start))?;
        let mut end = bytes.len();
        while let Some(at) = bytes.get(..end).and_then(|bytes| finder.rfind(bytes)) {
            let starts_line = match at.checked_sub(1) {
                None => start == 0 && from == 0,
                Some(before) => bytes.get(before) == Some(&b'\n'),
            };
            if starts_line {
                found = Some(start + (at + lines.len()) as u64);
                break;
            }
            end = at + lines.len() - 1;
        }
        if bytes.len() < BUFFER {
            break;
        }
        from = start + (BUFFER - lines.len()) as u64;
    }
    Ok(found)
}
