//! One followed path: another file lies there, or reading begins.

use std::io;
use std::path::{Path, PathBuf};

use super::{FollowedFile, Start};
use crate::follow::open::{Opened, open_regular, reason};
use crate::follow::position::FileKey;
use crate::follow::reidentify::{self, FoundFile, KnownFile, Unread, survey};
use crate::follow::round::{Round, UnpackBudget};
use crate::follow::watermark::Watermark;
use crate::time::Time;

/// A symlink that is led elsewhere again and again is looked for at its last targets only.
const MAX_HOMES: usize = 4;

impl FollowedFile {
    pub(in crate::follow) fn another_file(&mut self, round: &mut Round<'_>) {
        match open_regular(&*self.opener, Path::new(&*self.path), self.through_links) {
            // It was renamed just now; the next look finds the new one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => self.complain(reason(&error), round),
            Ok(opened) => match self.open(opened, round) {
                Ok(()) => self.trouble = None,
                Err(error) => self.complain(reason(&error), round),
            },
        }
    }

    fn open(&mut self, opened: Opened, round: &mut Round<'_>) -> io::Result<()> {
        let key = FileKey::of(&opened.meta);
        if self.current_key() == Some(key) {
            return Ok(());
        }
        if let Some(tail) = self.take(key) {
            self.adopt(tail);
            return Ok(());
        }
        let budget = round.unpacked.budget();
        let found = FoundFile::new(opened, &budget)?;
        let is_settled = if self.stored.is_some() {
            self.resume(Some(found), &budget, round)
        } else if self.began {
            self.rotated(found, &budget, round)?
        } else {
            self.first(found, round)?;
            true
        };
        if is_settled {
            self.arrived();
        }
        Ok(())
    }

    pub(in crate::follow) fn arrived(&mut self) {
        self.start = Start::Beginning;
        self.began = true;
        let home = self.opener.target(Path::new(&*self.path));
        self.homes.retain(|other| *other != home);
        self.homes.push(home);
        self.moved = true;
    }

    fn first(&mut self, found: FoundFile, round: &Round<'_>) -> io::Result<()> {
        let key = found.key();
        let mut tail = found.into_tail(0, round.now)?;
        match self.start {
            Start::Size(seen, size) if seen == key => tail.jump_to_line_at(size)?,
            _ => {}
        }
        self.put_at_path(tail);
        Ok(())
    }

    /// Another file is at the path: the one before is read to its end, then those that came and went unseen. False where
    /// all that must wait for the next look.
    fn rotated(&mut self, new: FoundFile, budget: &UnpackBudget, round: &mut Round<'_>) -> io::Result<bool> {
        let key = new.key();
        let known = self.known();
        let rotated = self.neighbours(Some(key), budget);
        let was_rotated = reidentify::was_rotated(&known, &rotated);
        let between = reidentify::between(&known, rotated);
        if !round.unpacked.settle(budget) {
            return Ok(false);
        }
        let mut tails = Vec::new();
        for file in between.into_iter().chain([new]) {
            let mut tail = file.into_tail(0, round.now)?;
            // It came after the last look, so it was written just now.
            tail.backlog_until = if round.away { tail.backlog_until } else { 0 };
            tail.may_be_copy = tail.key != key;
            tails.push(tail);
        }
        self.tails.extend(tails);
        self.at_path = true;
        if !was_rotated && self.read_again(self.tails.len() - 1, round) {
            round.notes.push(format!(
                "{} was replaced by another file without a rotation; lines that were read before are skipped",
                self.path
            ));
        }
        Ok(true)
    }

    /// The marks of files that were read and may be met again, oldest first.
    pub(in crate::follow) fn known(&self) -> Vec<KnownFile> {
        let closed = self.closed.iter().map(|mark| KnownFile { mark: *mark, open: false });
        // As it was when it was read, perhaps now in a copy; and as it is now.
        let open = self.tails.iter().flat_map(|tail| [tail.mark(), tail.identity()]);
        let open = open.map(|mark| KnownFile { mark, open: true });
        closed.chain(open).collect()
    }

    /// The rotated files, those in an archive first, and, where a symlink led elsewhere meanwhile, the file that it led to; oldest first.
    pub(in crate::follow) fn neighbours(
        &self,
        but_not: Option<FileKey>,
        budget: &UnpackBudget,
    ) -> Vec<FoundFile> {
        let mut found: Vec<FoundFile> = Vec::new();
        let homes = self.homes.iter().rev().take(MAX_HOMES).rev();
        for home in self.archive.iter().chain(homes) {
            for file in survey(&*self.opener, home, self.through_links, budget) {
                found.retain(|other| other.key() != file.key());
                found.push(file);
            }
        }
        found.retain(|file| Some(file.key()) != but_not);
        found
    }

    /// Goes on where an earlier run stood. False where that must wait for the next look.
    pub(in crate::follow) fn resume(
        &mut self,
        at_path: Option<FoundFile>,
        budget: &UnpackBudget,
        round: &mut Round<'_>,
    ) -> bool {
        let Some(position) = self.stored.take() else { return true };
        let homes = position.homes.iter().map(PathBuf::from);
        let unknown: Vec<PathBuf> = homes.filter(|home| !self.homes.contains(home)).collect();
        self.homes.extend(unknown);
        let key = at_path.as_ref().map(FoundFile::key);
        let others = self.neighbours(key, budget);
        let remains = at_path.as_ref().and_then(|found| {
            let mark = position.files.iter().find(|mark| found.lost(mark))?;
            Some((mark.offset, found.size()))
        });
        let resumed = reidentify::resume(&position.files, others, at_path);
        if !round.unpacked.settle(budget) {
            self.stored = Some(position);
            return false;
        }
        self.watermark = Watermark::restored(position.newest);
        for Unread { file, offset, reread, is_same } in resumed.files {
            self.at_path = Some(file.key()) == key;
            match file.into_tail(offset, round.now) {
                Ok(mut tail) => {
                    tail.may_be_copy = !self.at_path;
                    tail.restore_rewritten(reread, round.now);
                    self.tails.push_back(tail);
                    if resumed.lost && !is_same {
                        self.read_again(self.tails.len() - 1, round);
                    }
                }
                Err(error) => {
                    self.at_path = false;
                    round.notes.push(format!("{}: a rotated file {}", self.path, reason(&error)));
                }
            }
        }
        self.closed.extend(position.files.iter().filter(|mark| mark.closed));
        if self.tails.is_empty() && self.closed.is_empty() {
            self.remember_rotated(round);
        }
        self.moved = true;
        if resumed.lost {
            let what = lost(remains, self.watermark.newest);
            round.notes.push(format!("{}{what}", self.path));
        }
        true
    }
}

/// The sentence about the file that was read last and is lost. `remains` is how many bytes were read of it and how many it
/// has now, where it is still there.
fn lost(remains: Option<(u64, u64)>, newest: Option<Time>) -> String {
    let what = match remains {
        Some((read, size)) if size < read => format!(
            " is shorter than what was read of it, for example after a power cut or an edit: {read} bytes were read, and it \
             has {size}"
        ),
        Some(_) => {
            " no longer holds what was read of it, for example after a power cut or an edit".to_owned()
        }
        None => ": the file that was read last is gone, and with it what was written to it since".to_owned(),
    };
    match newest.map(|newest| newest.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()) {
        Some(newest) => {
            format!("{what}; going on with lines that are newer than {newest}, up to which all was read")
        }
        None => format!("{what}; reading what came after it from the beginning"),
    }
}
