//! One followed path: reading on in its files, and closing those that are done.

use std::io;
use std::ops::ControlFlow;

use nix::errno::Errno;

use super::FollowedFile;
use crate::follow::open::reason;
use crate::follow::position::Mark;
use crate::follow::reidentify;
use crate::follow::round::{BUFFER, Round, TURN, UnpackBudget};
use crate::follow::tail::{ENDLESS, Step, Tail};
use crate::follow::watermark::Run;
use crate::follow::{Chunk, FileEnd, Sink};

/// How far a file is looked ahead for lines that were handed out before.
const WINDOW: usize = 64 * 1024;

/// The most rotated files of one path that are kept open for more to come.
const MAX_ROTATED: usize = 16;

/// The most closed files that are remembered.
const MAX_CLOSED: usize = 4;

impl FollowedFile {
    /// Reads on, older files first. Breaks when the sink does; otherwise says whether there is more to do at once.
    pub(in crate::follow) fn read(
        &mut self,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), bool> {
        let mut turn = TURN;
        for index in 0..self.tails.len() {
            self.skip_what_was_copied(index);
            while self.tails.get(index).is_some_and(|tail| !tail.drained) {
                match self.step(index, buf, round, sink)? {
                    Some(length) => turn = turn.saturating_sub(length),
                    None => return ControlFlow::Continue(false),
                }
                if turn == 0 {
                    return ControlFlow::Continue(true);
                }
            }
        }
        self.close_finished(round);
        self.tell_position(sink).map_continue(|()| false)
    }

    /// Reads one buffer of a file and hands out its lines; how much it was, or `None` where it cannot be read.
    pub(in crate::follow) fn step(
        &mut self,
        index: usize,
        buf: &mut [u8],
        round: &mut Round<'_>,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), Option<usize>> {
        let run = match self.next_run(index, round) {
            Ok(run) => run,
            Err(error) => {
                self.unreadable(index, &error, round);
                return ControlFlow::Continue(None);
            }
        };
        let Some(tail) = self.tails.get_mut(index) else { return ControlFlow::Continue(Some(0)) };
        let reach = run.map_or(buf.len(), |run| buf.len().min(tail.cursor.before.len() + run.length));
        let buf = buf.get_mut(..reach).unwrap_or_default();
        match tail.step(buf) {
            Ok(Step::Lines(lines)) if run.is_some_and(|run| run.is_known) => {
                tail.gap = true;
                self.moved = true;
                ControlFlow::Continue(Some(lines.len()))
            }
            Ok(Step::Drained) => {
                self.say_if_endless(index, round);
                ControlFlow::Continue(Some(0))
            }
            Ok(Step::Lines(lines)) if lines.is_empty() => {
                self.say_if_endless(index, round);
                ControlFlow::Continue(Some(BUFFER))
            }
            Ok(Step::Lines(lines)) => {
                let length = lines.len();
                self.hand_out(index, buf.get(lines).unwrap_or_default(), round, sink)?;
                ControlFlow::Continue(Some(length))
            }
            // The turn is over: the files are others now.
            Ok(Step::Truncated) => {
                self.truncated(index, round);
                ControlFlow::Continue(Some(TURN))
            }
            Err(error) => {
                self.unreadable(index, &error, round);
                ControlFlow::Continue(None)
            }
        }
    }

    /// Complains about a file without newlines, such as a database or a core dump that a pattern matches.
    fn say_if_endless(&mut self, index: usize, round: &mut Round<'_>) {
        if self.tails.get(index).is_some_and(|tail| tail.is_endless(ENDLESS)) {
            self.complain(super::NO_LOG.to_owned(), round);
        }
    }

    /// A file that was copied and put in its own place (`sed -i` and editors do so) begins with what was read already.
    pub(in crate::follow) fn skip_what_was_copied(&mut self, index: usize) {
        let is_untouched = |tail: &Tail| tail.untouched && tail.cursor.offset == 0 && !tail.drained;
        let Some(tail) = self.tails.get(index).filter(|tail| is_untouched(tail)) else { return };
        let earlier = self.closed.iter().copied().chain(self.tails.iter().take(index).map(Tail::mark));
        let copied = earlier.rev().find(|mark| mark.offset > 0 && tail.holds(mark));
        if let (Some(mark), Some(tail)) = (copied, self.tails.get_mut(index)) {
            // Read a moment ago; should it fail now, the file is read from its beginning.
            let _ = tail.jump(mark.offset);
            self.moved = true;
        }
    }

    fn hand_out(
        &mut self,
        index: usize,
        bytes: &[u8],
        round: &mut Round<'_>,
        sink: &mut Sink<'_>,
    ) -> ControlFlow<()> {
        self.note_lines(bytes, round);
        let Some(tail) = self.tails.get_mut(index) else { return ControlFlow::Continue(()) };
        let first = std::mem::take(&mut tail.untouched);
        let begin = tail.cursor.offset - (bytes.len() as u64);
        let backlog = begin < tail.backlog_until;
        let written_by = tail.written_by(begin);
        let overlong = std::mem::take(&mut tail.cursor.overlong);
        let gap = std::mem::take(&mut tail.gap) || overlong > 0;
        let before = std::mem::take(&mut tail.known_before);
        // The lines before a gap do not stand just before these.
        let before = if gap { Vec::new() } else { before };
        self.tally.overlong += overlong;
        self.tally.add(bytes, round.now);
        let file = tail.key;
        let file_end = self.end_of_backlog(backlog);
        let position = self.position();
        self.moved = false;
        sink(Chunk {
            source: self.source,
            path: &self.path,
            file,
            bytes,
            position: Some(&position),
            gone: false,
            before: &before,
            first,
            gap,
            backlog,
            written_by,
            file_end: file_end.as_ref(),
        })
    }

    /// The end of the newest file, once at the beginning of a backlog.
    fn end_of_backlog(&mut self, backlog: bool) -> Option<FileEnd> {
        let is_first = backlog && !self.has_told_end;
        self.has_told_end = backlog;
        if !is_first {
            return None;
        }
        // Without it the lines count at their timestamps as they are.
        self.tails.iter().rev().find_map(|tail| tail.end().ok()?)
    }

    /// A new position without lines: a file came, went or was truncated.
    fn tell_position(&mut self, sink: &mut Sink<'_>) -> ControlFlow<()> {
        if !std::mem::take(&mut self.moved) {
            return ControlFlow::Continue(());
        }
        sink(Chunk::of_position(self.source, &self.path, &self.position()))
    }

    /// The file begins again; what was not read of it may be in a copy beside it (copytruncate). Where it is
    /// such a copy itself, the next copy was written over it: what is new in that is found from the log.
    fn truncated(&mut self, index: usize, round: &mut Round<'_>) {
        if self.tails.get(index).is_some_and(|tail| tail.may_be_copy) {
            self.tails.remove(index);
            self.moved = true;
            return;
        }
        let budget = round.unpacked.budget();
        let rest = self.rest_of_truncated(index, &budget, round);
        if !round.unpacked.settle(&budget) {
            return;
        }
        round.notes.push(format!("{} was truncated; reading it from its beginning", self.path));
        let rest = rest.unwrap_or_else(|error| {
            let note =
                format!("{}: a copy of it {}; what was not read before is lost", self.path, reason(&error));
            round.notes.push(note);
            Vec::new()
        });
        if let Some(tail) = self.tails.get_mut(index) {
            tail.restart();
        }
        self.read_again(index, round);
        for tail in rest.into_iter().rev() {
            self.tails.insert(index, tail);
        }
        self.moved = true;
    }

    fn rest_of_truncated(
        &self,
        index: usize,
        budget: &UnpackBudget,
        round: &Round<'_>,
    ) -> io::Result<Vec<Tail>> {
        let Some(tail) = self.tails.get(index) else { return Ok(Vec::new()) };
        let mark = tail.mark();
        let mut rest = Vec::new();
        for (file, offset) in reidentify::copied(&mark, &self.known(), self.neighbours(None, budget)) {
            let mut copy = file.into_tail(offset, round.now)?;
            copy.backlog_until = if round.away { copy.backlog_until } else { 0 };
            copy.may_be_copy = true;
            rest.push(copy);
        }
        Ok(rest)
    }

    /// The file at the path is tried again at every look, by its name if its server forgot it; a rotated one is let go.
    fn unreadable(&mut self, index: usize, error: &io::Error, round: &mut Round<'_>) {
        let is_current = self.at_path && index + 1 == self.tails.len();
        if is_current && error.raw_os_error() == Some(Errno::ESTALE as i32) {
            let position = self.position();
            self.tails.clear();
            self.closed.clear();
            self.at_path = false;
            self.resume_at(position);
        } else if !is_current {
            self.tails.remove(index);
            self.moved = true;
        } else if let Some(tail) = self.tails.get_mut(index) {
            tail.gap = true;
        }
        self.complain(reason(error), round);
    }

    /// Closes rotated files from the old end on, so that the order of what is remembered is the order of the files.
    fn close_finished(&mut self, round: &Round<'_>) {
        while self.tails.len() > usize::from(self.at_path) {
            let crowded = self.tails.len() > MAX_ROTATED;
            let Some(tail) = self.tails.front() else { return };
            let done = tail.is_finished(round.quiet, round.now) && !self.may_be_written_to();
            let must_go = crowded && tail.drained;
            if !done && !must_go {
                return;
            }
            self.closed.push_back(Mark { closed: true, ..tail.mark() });
            while self.closed.len() > MAX_CLOSED {
                self.closed.pop_front();
            }
            self.tails.pop_front();
            self.moved = true;
        }
        if self.tails.len() <= 1 {
            self.homes.drain(..self.homes.len().saturating_sub(1));
        }
    }

    /// Whether the oldest file is the last one whose writer may not have gone over to a new file yet: it still has a
    /// name, and nothing was written to its successor. A quiet log may need hours for its first line.
    fn may_be_written_to(&self) -> bool {
        let Some(oldest) = self.tails.front() else { return false };
        let moved_on = self.tails.len() > 2 || self.tails.get(1).is_some_and(Tail::has_changed);
        oldest.links > 0 && !moved_on
    }

    /// Whether a rotated file may still get lines any moment.
    pub(in crate::follow) fn is_draining(&self, round: &Round<'_>) -> bool {
        let rotated = self.tails.len() - usize::from(self.at_path);
        self.tails.iter().take(rotated).any(|tail| !tail.is_finished(round.quiet, round.now))
    }

    /// Lines of this path were handed out.
    pub(in crate::follow) fn note_lines(&mut self, lines: &[u8], round: &mut Round<'_>) {
        self.watermark.note(&self.path, lines, round.stamps, round.wall);
    }

    /// The file with this index may hold lines that were handed out before, when it was another one or longer; false
    /// where none were.
    pub(in crate::follow) fn read_again(&mut self, index: usize, round: &Round<'_>) -> bool {
        let Some(tail) = self.tails.get_mut(index).filter(|_| !self.watermark.is_empty()) else {
            return false;
        };
        tail.read_again(self.watermark.met_again(round.wall), round);
        true
    }

    /// The next lines of a file that may hold lines which were handed out before; `None` where all is new, or where
    /// reading tells.
    ///
    /// # Errors
    /// An error of the file system, or of damaged packed data.
    pub(in crate::follow) fn next_run(
        &mut self,
        index: usize,
        round: &mut Round<'_>,
    ) -> io::Result<Option<Run>> {
        let Some(tail) = self.tails.get_mut(index) else { return Ok(None) };
        let Some(before) = tail.handed_out_before(round.now) else { return Ok(None) };
        if tail.cursor.next > tail.cursor.offset {
            return Ok(None);
        }
        self.moved |= tail.jump_behind(before.anchor())?;
        let bytes = tail.peek(WINDOW)?;
        Ok(before.run(&bytes, &self.path, round.stamps))
    }
}
