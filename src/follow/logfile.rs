//! One followed path: what lies there now, and the conclusions from it.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::SourceId;
use super::find::{self, Found, Known, survey};
use super::open::{Opened, Sight, open_regular, reason, sight};
use super::position::{FileKey, Mark, Position};
use super::tail::Tail;

/// A symlink that is led elsewhere again and again is looked for at its last targets only.
const HOMES_MAX: usize = 4;

/// What a look knows beside the files.
pub(super) struct Eyes<'a> {
    pub(super) now: Instant,
    /// How long a rotated file must have been quiet before it is closed.
    pub(super) quiet: Duration,
    /// Nobody looked for long: what is found now was not written just now.
    pub(super) away: bool,
    /// Sentences for the operator.
    pub(super) notes: &'a mut Vec<String>,
}

/// Where to begin in the first file that is seen at the path.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// At its beginning.
    Beginning,
    /// At the end, if there is a file at the first sight.
    End,
    /// It was there at the first sight, this large: what stood there already is not read, however late it can be
    /// opened.
    Size(FileKey, u64),
}

/// What was read of one path, for the operator.
#[derive(Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) overlong: u64,
    pub(super) last_data: Option<Instant>,
}

/// One followed path.
pub(super) struct Log {
    pub(super) source: SourceId,
    pub(super) path: Arc<str>,
    pub(super) through_links: bool,
    /// Where the path led to, symlinks followed, when the files still read were opened; the newest last. Rotated
    /// files lie beside them.
    pub(super) homes: Vec<PathBuf>,
    /// The files being read, oldest first.
    pub(super) tails: VecDeque<Tail>,
    /// Whether the last of them is at the path; otherwise all were rotated away or deleted.
    pub(super) at_path: bool,
    /// The last ones that were read to their end and closed: they tell where unread ones begin.
    pub(super) closed: VecDeque<Mark>,
    start: Start,
    /// What comes from now on is to be read, whatever becomes of it before the next look.
    began: bool,
    /// A stored position whose files were not looked for yet.
    stored: Option<Position>,
    /// The position changed otherwise than by reading on.
    pub(super) moved: bool,
    /// Why the path cannot be read, as the end of a sentence.
    pub(super) trouble: Option<String>,
    pub(super) tally: Tally,
}

impl Log {
    pub(super) fn new(source: SourceId, path: &str, through_links: bool, start: Start) -> Self {
        Self {
            source,
            path: path.into(),
            through_links,
            homes: vec![PathBuf::from(path)],
            tails: VecDeque::new(),
            at_path: false,
            closed: VecDeque::new(),
            start,
            began: false,
            stored: None,
            moved: false,
            trouble: None,
            tally: Tally::default(),
        }
    }

    /// Goes on where reading stood.
    pub(super) fn resume_at(&mut self, position: Position) {
        (self.stored, self.start, self.began) = (Some(position), Start::Beginning, true);
    }

    pub(super) fn sight(&self) -> Sight {
        sight(Path::new(&*self.path), self.through_links)
    }

    /// Whether anything is left to read, now or of what was stored.
    pub(super) fn is_in_use(&self) -> bool {
        !self.tails.is_empty() || self.stored.is_some()
    }

    /// The file at the path, by its key.
    pub(super) fn current_key(&self) -> Option<FileKey> {
        self.tails.back().filter(|_| self.at_path).map(|tail| tail.key)
    }

    /// Draws the conclusions from what lies at the path now.
    pub(super) fn observe(&mut self, sight: &Sight, eyes: &mut Eyes<'_>) {
        self.notice(eyes);
        match sight {
            Sight::File(meta) => {
                if let Start::End = self.start {
                    self.start = Start::Size(FileKey::of(meta), meta.size());
                }
                if self.current_key() == Some(FileKey::of(meta)) {
                    self.trouble = None;
                } else {
                    self.another_file(eyes);
                }
            }
            Sight::Missing => self.no_file(eyes),
            Sight::Refused(why) => self.complain(why.clone(), eyes),
        }
    }

    /// Says what is wrong once, until it is something else.
    pub(super) fn complain(&mut self, why: String, eyes: &mut Eyes<'_>) {
        if self.trouble.as_deref() != Some(&why) {
            eyes.notes.push(format!("{} {why}", self.path));
            self.trouble = Some(why);
        }
    }

    fn notice(&mut self, eyes: &Eyes<'_>) {
        for tail in &mut self.tails {
            // A descriptor that cannot be asked any more fails at the next read, where that is dealt with.
            let _ = tail.notice(eyes);
        }
    }

    fn no_file(&mut self, eyes: &mut Eyes<'_>) {
        if !self.began {
            self.remember_rotated(eyes);
        }
        self.leave(eyes);
        if self.tails.is_empty() && self.closed.is_empty() {
            self.complain("is not there; it will be read as soon as it is".to_owned(), eyes);
        }
    }

    /// Nothing is there at the first sight: whatever comes is new, also what is rotated away before the next look.
    fn remember_rotated(&mut self, eyes: &Eyes<'_>) {
        self.start = Start::Beginning;
        let newest = self.neighbours(None).pop();
        let mark = newest.and_then(|file| file.into_tail(0, eyes.now).ok()).map(|tail| tail.identity());
        self.closed.extend(mark.map(|mark| Mark { closed: true, ..mark }));
        (self.began, self.moved) = (true, true);
    }

    /// There is no file of its own at the path; what was there is read to its end.
    fn leave(&mut self, eyes: &mut Eyes<'_>) {
        if let Some(position) = self.stored.take() {
            self.resume(&position, None, eyes);
        }
        self.at_path = false;
    }

    /// The path leads to a file that another path of the same source reads.
    pub(super) fn observe_alias(&mut self, eyes: &mut Eyes<'_>) {
        self.notice(eyes);
        self.leave(eyes);
        self.trouble = None;
    }

    fn another_file(&mut self, eyes: &mut Eyes<'_>) {
        match open_regular(Path::new(&*self.path), self.through_links) {
            // It was renamed just now; the next look finds the new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.complain(reason(&error), eyes),
            Ok(opened) => match self.open(opened, eyes) {
                Ok(()) => self.trouble = None,
                Err(error) => self.complain(reason(&error), eyes),
            },
        }
    }

    fn open(&mut self, opened: Opened, eyes: &mut Eyes<'_>) -> io::Result<()> {
        let key = FileKey::of(&opened.meta);
        if self.current_key() == Some(key) {
            return Ok(());
        }
        if let Some(tail) = self.take(key) {
            self.adopt(tail);
            return Ok(());
        }
        let found = Found::new(opened)?;
        if let Some(position) = self.stored.take() {
            self.resume(&position, Some(found), eyes);
        } else if self.began {
            self.rotated(found, eyes)?;
        } else {
            self.first(found, eyes)?;
        }
        self.arrived();
        Ok(())
    }

    fn arrived(&mut self) {
        (self.start, self.began) = (Start::Beginning, true);
        let home = std::fs::canonicalize(&*self.path).unwrap_or_else(|_| PathBuf::from(&*self.path));
        self.homes.retain(|other| *other != home);
        self.homes.push(home);
        self.moved = true;
    }

    fn first(&mut self, found: Found, eyes: &Eyes<'_>) -> io::Result<()> {
        let key = found.key();
        let mut tail = found.into_tail(0, eyes.now)?;
        match self.start {
            Start::Size(seen, size) if seen == key => tail.jump_to_line_at(size)?,
            _ => {}
        }
        self.put_at_path(tail);
        Ok(())
    }

    /// Another file is at the path: the one before is read to its end, then those that came and went unseen.
    fn rotated(&mut self, new: Found, eyes: &Eyes<'_>) -> io::Result<()> {
        let between = find::between(&self.known(), self.neighbours(Some(new.key())));
        let mut tails = Vec::new();
        for file in between.into_iter().chain([new]) {
            let mut tail = file.into_tail(0, eyes.now)?;
            // It came after the last look, so it was written just now.
            tail.backlog_until = if eyes.away { tail.backlog_until } else { 0 };
            tails.push(tail);
        }
        self.tails.extend(tails);
        self.at_path = true;
        Ok(())
    }

    /// What was read of this path and may be met again, oldest first.
    pub(super) fn known(&self) -> Vec<Known> {
        let closed = self.closed.iter().map(|mark| Known { mark: *mark, open: false });
        // As it was when it was read, perhaps now in a copy; and as it is now.
        let open = self.tails.iter().flat_map(|tail| [tail.mark(), tail.identity()]);
        let open = open.map(|mark| Known { mark, open: true });
        closed.chain(open).collect()
    }

    /// The rotated files and, where a symlink led elsewhere meanwhile, the file that it led to; oldest first.
    pub(super) fn neighbours(&self, but_not: Option<FileKey>) -> Vec<Found> {
        let mut found: Vec<Found> = Vec::new();
        for home in self.homes.iter().rev().take(HOMES_MAX).rev() {
            for file in survey(home, self.through_links) {
                found.retain(|other| other.key() != file.key());
                found.push(file);
            }
        }
        found.retain(|file| Some(file.key()) != but_not);
        found
    }

    fn resume(&mut self, position: &Position, at_path: Option<Found>, eyes: &mut Eyes<'_>) {
        self.homes.extend(position.homes.iter().map(PathBuf::from));
        let key = at_path.as_ref().map(Found::key);
        let others = self.neighbours(key);
        let resumed = find::resume(&position.files, others, at_path);
        for (file, offset) in resumed.files {
            self.at_path = Some(file.key()) == key;
            match file.into_tail(offset, eyes.now) {
                Ok(tail) => self.tails.push_back(tail),
                Err(error) => {
                    self.at_path = false;
                    eyes.notes.push(format!("{}: a rotated file {}", self.path, reason(&error)));
                }
            }
        }
        self.closed.extend(position.files.iter().filter(|mark| mark.closed));
        self.moved = true;
        if resumed.lost {
            eyes.notes.push(format!(
                "{}: the file that was read last is gone, and with it what was written to it since; reading what \
                 came after it from the beginning",
                self.path
            ));
        }
    }

    /// Gives up a file, because it was renamed to another path of the same source or came back to this one.
    pub(super) fn take(&mut self, key: FileKey) -> Option<Tail> {
        let index = self.tails.iter().position(|tail| tail.key == key)?;
        self.at_path &= index + 1 < self.tails.len();
        self.moved = true;
        self.tails.remove(index)
    }

    /// Takes over a file that was renamed to this path, with its place.
    pub(super) fn adopt(&mut self, tail: Tail) {
        self.put_at_path(tail);
        self.arrived();
    }

    fn put_at_path(&mut self, tail: Tail) {
        self.tails.push_back(tail);
        self.at_path = true;
    }

    /// How far this path is read.
    pub(super) fn position(&self) -> Position {
        let elsewhere = self.homes.iter().filter(|home| home.as_path() != Path::new(&*self.path));
        let homes = elsewhere.filter_map(|home| home.to_str().map(str::to_owned)).collect();
        let files = self.closed.iter().copied().chain(self.tails.iter().map(Tail::mark)).collect();
        Position { homes, files }
    }
}
