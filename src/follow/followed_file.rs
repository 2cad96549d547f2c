//! One followed path, from the first look at it to the last line of its last file.
//!
//! 1. **Seen.** Each look compares what lies at the path with the file that is open ([`FollowedFile::observe`]).
//! 2. **Opened** (`opening`). The first file is read from its beginning or its end ([`Start`]), or goes on where an earlier
//!    run stood, found again by its bytes. It becomes the last of `tails`.
//! 3. **Read** (`reading`; `look_ahead` while several paths lag behind). Whole lines go to the sink with the position behind
//!    them. A file that was truncated begins again; one that was rewritten is read on behind what was handed out.
//! 4. **Rotated.** Another file is at the path: the old one stays in `tails`, is read to its end, and so are those that came
//!    and went unseen.
//! 5. **Closed.** A rotated file that was quiet for long enough goes; its mark stays in `closed`, so that it is not read twice.

mod look_ahead;
mod opening;
mod reading;

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use self::look_ahead::LookedAt;
use super::SourceId;
use super::open::{Opener, PathState};
use super::position::{FileKey, Mark, Position};
use super::round::{ReadCounters, Round};
use super::tail::{ENDLESS, Tail};
use super::watermark::Watermark;
use crate::files::directory_of;
use crate::time::Time;

/// Said of a file in which a line does not end.
const NO_LOG: &str = "is not a log: it has a line of more than a megabyte, which is skipped up to its end";

/// Where reading begins in the first file at the path.
#[derive(Clone, Copy)]
pub(super) enum Start {
    /// At the beginning of the file.
    Beginning,
    /// At the end of the file, if there is one at the first look.
    End,
    /// It was there at the first look, this large: what stood there already is not read, however late it can be
    /// opened.
    Size(FileKey, u64),
}

/// One followed path and the files that carry its lines.
pub(super) struct FollowedFile {
    pub(super) source: SourceId,
    pub(super) path: Arc<str>,
    pub(super) opener: Arc<dyn Opener>,
    pub(super) through_links: bool,
    /// The targets of the path, symlinks followed, at the time when the open files were opened; the newest last. Rotated
    /// files lie beside them.
    pub(super) homes: Vec<PathBuf>,
    /// The path that the log would have in the directory of its rotated files, where that is another one.
    pub(super) archive: Option<PathBuf>,
    /// The files being read, oldest first.
    pub(super) tails: VecDeque<Tail>,
    /// Whether the last of them is at the path; otherwise all were rotated away or deleted.
    pub(super) at_path: bool,
    /// The last ones that were read to their end and closed: they tell where unread ones begin.
    pub(super) closed: VecDeque<Mark>,
    pub(super) start: Start,
    /// Reading has begun: every file that comes to the path from now on is read, also one that is rotated away unseen.
    pub(super) began: bool,
    /// A stored position whose files were not looked for yet.
    pub(super) stored: Option<Position>,
    /// The position changed otherwise than by reading on.
    pub(super) moved: bool,
    /// Why the path cannot be read, as the end of a sentence.
    pub(super) trouble: Option<String>,
    pub(super) tally: ReadCounters,
    /// Since when nothing is at the path.
    missing: Option<Instant>,
    /// It was read while it lagged behind, and others waited.
    pub(super) was_waited_for: bool,
    /// It lagged behind for too long and is waited for no more; with which others it is read.
    pub(super) out_of_turn: Option<u32>,
    /// The next lines, looked at while catching up.
    pub(super) looked_at: LookedAt,
    /// The newest and the last lines that were handed out.
    pub(super) watermark: Watermark,
    /// Whether the end of the file was told with the present backlog.
    pub(super) has_told_end: bool,
}

impl FollowedFile {
    pub(super) fn new(
        source: SourceId,
        path: &str,
        opener: Arc<dyn Opener>,
        through_links: bool,
        start: Start,
    ) -> Self {
        Self {
            source,
            path: path.into(),
            opener,
            through_links,
            homes: vec![PathBuf::from(path)],
            archive: None,
            tails: VecDeque::new(),
            at_path: false,
            closed: VecDeque::new(),
            start,
            began: false,
            stored: None,
            moved: false,
            trouble: None,
            tally: ReadCounters::default(),
            missing: None,
            was_waited_for: false,
            out_of_turn: None,
            looked_at: LookedAt::default(),
            watermark: Watermark::default(),
            has_told_end: false,
        }
    }

    /// The directory of the path.
    pub(super) fn directory(&self) -> &Path {
        directory_of(Path::new(&*self.path))
    }

    /// Looks for rotated files in this directory too.
    pub(super) fn archived_in(&mut self, directory: Option<&Path>) {
        let name = Path::new(&*self.path).file_name();
        self.archive = directory.zip(name).map(|(directory, name)| directory.join(name));
    }

    /// Resumes at a stored position.
    pub(super) fn resume_at(&mut self, position: Position) {
        self.stored = Some(position);
        self.start = Start::Beginning;
        self.began = true;
    }

    pub(super) fn path_state(&self) -> PathState {
        self.opener.look(Path::new(&*self.path), self.through_links)
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
    pub(super) fn observe(&mut self, state: &PathState, round: &mut Round<'_>) {
        self.notice(round);
        match state {
            PathState::File(meta) => {
                self.missing = None;
                if let Start::End = self.start {
                    self.start = Start::Size(FileKey::of(meta), meta.size());
                }
                if self.current_key() == Some(FileKey::of(meta)) {
                    let is_endless = self.tails.back().is_some_and(|tail| tail.is_endless(ENDLESS));
                    self.trouble.take_if(|trouble| !is_endless || trouble != NO_LOG);
                } else {
                    self.another_file(round);
                }
            }
            PathState::Missing => self.no_file(round),
            PathState::Strange(kind) => {
                self.leave(round);
                self.complain(kind.as_str().to_owned(), round);
            }
            PathState::Unreachable(why) => self.complain(why.clone(), round),
        }
    }

    /// Says what is wrong once, until it is something else.
    pub(super) fn complain(&mut self, why: String, round: &mut Round<'_>) {
        if self.trouble.as_deref() != Some(&why) {
            round.notes.push(format!("{} {why}", self.path));
            self.trouble = Some(why);
        }
    }

    fn notice(&mut self, round: &Round<'_>) {
        for tail in &mut self.tails {
            // A descriptor that cannot be asked any more fails at the next read, where that is dealt with.
            let _ = tail.notice(round);
        }
    }

    fn no_file(&mut self, round: &mut Round<'_>) {
        self.leave(round);
        let since = *self.missing.get_or_insert(round.now);
        let was_there = !self.tails.is_empty() || !self.closed.is_empty();
        // No rotation takes this long.
        if !was_there || round.now.saturating_duration_since(since) > round.quiet {
            self.complain("does not exist; it will be read as soon as it appears".to_owned(), round);
        }
    }

    /// Nothing is there at the first look: whatever comes is new, also what is rotated away before the next look.
    fn begin_without_a_file(&mut self, round: &Round<'_>) {
        self.start = Start::Beginning;
        self.remember_rotated(round);
        self.began = true;
        self.moved = true;
    }

    /// Remembers the newest rotated file, so that only newer ones are read.
    pub(super) fn remember_rotated(&mut self, round: &Round<'_>) {
        let newest = self.neighbours(None, &round.unpacked.budget()).pop();
        let mark = newest.and_then(|file| file.into_tail(0, round.now).ok()).map(|tail| tail.identity());
        self.closed.extend(mark.map(|mark| Mark { closed: true, ..mark }));
    }

    /// There is no file of its own at the path; what was there is read to its end.
    fn leave(&mut self, round: &mut Round<'_>) {
        if !self.began {
            self.begin_without_a_file(round);
        }
        self.resume(None, &round.unpacked.budget(), round);
        self.at_path = false;
    }

    /// The path leads to a file that another path of the same source reads.
    pub(super) fn observe_alias(&mut self, round: &mut Round<'_>) {
        self.notice(round);
        self.leave(round);
        self.trouble = None;
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

    pub(super) fn put_at_path(&mut self, tail: Tail) {
        self.tails.push_back(tail);
        self.at_path = true;
    }

    /// The position behind the last line that was handed out.
    pub(super) fn position(&self) -> Position {
        let elsewhere = self.homes.iter().filter(|home| home.as_path() != Path::new(&*self.path));
        let homes = elsewhere.filter_map(|home| home.to_str().map(str::to_owned)).collect();
        let files = self.closed.iter().copied().chain(self.tails.iter().map(Tail::mark)).collect();
        Position { homes, files, newest: self.watermark.newest.map(Time::as_millis), cursor: None }
    }
}
