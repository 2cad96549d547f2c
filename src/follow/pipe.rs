//! A FIFO or standard input: bytes come once, so there are no positions.

use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::cursor::Cursor;
use super::open::{Opener, ThisProcess, open_fifo, reason};
use super::position::{FileKey, Position};
use super::round::{ReadCounters, Round, TURN};
use super::{Chunk, Sink, SourceId};

/// A followed FIFO or standard input.
pub(super) struct Pipe {
    pub(super) source: SourceId,
    pub(super) path: Arc<str>,
    fifo: Option<PathBuf>,
    opener: Arc<dyn Opener>,
    through_links: bool,
    /// Whether the lines were written some time ago, as in `cat old.log |`.
    backlog: bool,
    open: Option<Open>,
    /// Another FIFO that took its place.
    next: Option<Open>,
    /// Standard input is at its end.
    pub(super) ended: bool,
    pub(super) trouble: Option<String>,
    pub(super) tally: ReadCounters,
}

struct Open {
    file: File,
    key: FileKey,
    cursor: Cursor,
    /// Bytes read behind the last whole line.
    carry: Vec<u8>,
    untouched: bool,
    /// Something was passed over since lines were last handed out.
    gap: bool,
}

impl Open {
    fn new(file: File) -> io::Result<Self> {
        let key = FileKey::of(&file.metadata()?);
        Ok(Self { file, key, cursor: Cursor::default(), carry: Vec::new(), untouched: true, gap: false })
    }
}

impl Pipe {
    /// A FIFO, opened as soon as it is there.
    pub(super) fn fifo(source: SourceId, path: &Path, opener: Arc<dyn Opener>, through_links: bool) -> Self {
        Self {
            source,
            path: path.to_string_lossy().into(),
            fifo: Some(path.to_owned()),
            opener,
            through_links,
            backlog: false,
            open: None,
            next: None,
            ended: false,
            trouble: None,
            tally: ReadCounters::default(),
        }
    }

    /// Standard input, read until it ends.
    pub(super) fn standard_input(source: SourceId) -> Self {
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(descriptor) => Self::stream(source, descriptor.into()),
            Err(error) => {
                let trouble = Some(reason(&error));
                Self { ended: true, trouble, ..Self::unopened_stream(source) }
            }
        }
    }

    /// A stream that is open already.
    pub(super) fn stream(source: SourceId, file: File) -> Self {
        let mut pipe = Self::unopened_stream(source);
        match Open::new(file) {
            Ok(open) => pipe.open = Some(open),
            Err(error) => (pipe.ended, pipe.trouble) = (true, Some(reason(&error))),
        }
        pipe
    }

    fn unopened_stream(source: SourceId) -> Self {
        Self { fifo: None, ..Self::fifo(source, Path::new("-"), Arc::new(ThisProcess), true) }
    }

    /// Says whether what it brings was written some time ago.
    pub(super) fn of_old_lines(self, backlog: bool) -> Self {
        Self { backlog, ..self }
    }

    /// The descriptor to wait for, where there is one.
    pub(super) fn descriptor(&self) -> Option<(FileKey, BorrowedFd<'_>)> {
        self.open.as_ref().filter(|_| !self.ended).map(|open| (open.key, open.file.as_fd()))
    }

    /// Opens the FIFO; again where another one took its place, to be read once the one before is at its end.
    pub(super) fn observe(&mut self, round: &mut Round<'_>) {
        let Some(path) = &self.fifo else { return };
        let key = self.next.as_ref().or(self.open.as_ref()).map(|open| open.key);
        let there = self.opener.key(path);
        if key.is_some() && key == there {
            return;
        }
        match open_fifo(&*self.opener, path, self.through_links).and_then(|opened| Open::new(opened.file)) {
            Ok(opened) => {
                self.trouble = None;
                let place = if self.open.is_some() { &mut self.next } else { &mut self.open };
                *place = Some(opened);
            }
            Err(error) => self.complain(reason(&error), round),
        }
    }

    fn complain(&mut self, why: String, round: &mut Round<'_>) {
        if self.trouble.as_deref() != Some(&why) {
            round.notes.push(format!("{} {why}", self.path));
            self.trouble = Some(why);
        }
    }

    /// Reads what is there, without waiting for more.
    pub(super) fn read(
        &mut self,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), bool> {
        let mut turn = TURN;
        while turn > 0 {
            match self.fill(buf) {
                Ok(0) => match self.next.take() {
                    Some(next) => self.open = Some(next),
                    None => return ControlFlow::Continue(false),
                },
                Ok(end) => {
                    turn = turn.saturating_sub(end);
                    self.hand_out(buf.get(..end).unwrap_or_default(), round, sink)?;
                }
                Err(error) => {
                    self.complain(reason(&error), round);
                    self.open = None;
                    self.ended = self.fifo.is_none();
                    return ControlFlow::Continue(false);
                }
            }
        }
        ControlFlow::Continue(true)
    }

    /// What stood before, what was left over and what is there now; 0 when nothing is. A writer that went away takes
    /// its unfinished line along: the next writer's text must not be appended to it.
    fn fill(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let Some(open) = self.open.as_mut().filter(|open| !self.ended && is_readable(&open.file)) else {
            return Ok(0);
        };
        let kept = open.cursor.before.len() + open.carry.len();
        let (head, room) = buf.split_at_mut(kept);
        let known = open.cursor.before.iter().chain(&open.carry);
        head.iter_mut().zip(known).for_each(|(to, from)| *to = *from);
        match open.file.read(room) {
            Ok(0) => {
                open.gap = true;
                open.carry.clear();
                open.cursor = Cursor::default();
                self.ended = self.fifo.is_none();
                self.open_again();
                Ok(0)
            }
            Ok(length) => Ok(kept + length),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Ok(0)
            }
            Err(error) => Err(error),
        }
    }

    /// A pipe that was opened anew can be waited for: it is not at its end until another writer came and went. The new
    /// descriptor is there before the old one goes, so that nothing written meanwhile is lost.
    fn open_again(&mut self) {
        let (Some(path), Some(open)) = (&self.fifo, &mut self.open) else { return };
        let opened =
            open_fifo(&*self.opener, path, self.through_links).and_then(|opened| Open::new(opened.file));
        if let Some(opened) = opened.ok().filter(|opened| opened.key == open.key) {
            *open = Open { untouched: open.untouched, gap: open.gap, ..opened };
        }
    }

    fn hand_out(&mut self, filled: &[u8], round: &Round<'_>, sink: &mut Sink<'_>) -> ControlFlow<()> {
        let Some(open) = &mut self.open else { return ControlFlow::Continue(()) };
        let mut at = open.cursor.before.len();
        loop {
            let (lines, end) = open.cursor.scan(filled, at);
            at = end;
            let overlong = std::mem::take(&mut open.cursor.overlong);
            self.tally.overlong += overlong;
            open.gap |= overlong > 0;
            let Some(lines) = lines else { break };
            let bytes = filled.get(lines).unwrap_or_default();
            self.tally.add(bytes, round.now);
            let first = std::mem::take(&mut open.untouched);
            let gap = std::mem::take(&mut open.gap);
            let nowhere = Position::default();
            sink(Chunk {
                file: open.key,
                bytes,
                position: None,
                first,
                gap,
                backlog: self.backlog,
                ..Chunk::of_position(self.source, &self.path, &nowhere)
            })?;
        }
        open.carry.clear();
        open.carry.extend_from_slice(filled.get(at..).unwrap_or_default());
        ControlFlow::Continue(())
    }
}

/// Whether a read would give bytes or the end without waiting. Asked before each read because standard input must not
/// be made non-blocking: the terminal belongs to the shell as well.
fn is_readable(file: &File) -> bool {
    let mut descriptors = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::fd::OwnedFd;
    use std::time::{Duration, Instant};

    use crate::record::MAX_LINE;

    fn read(pipe: &mut Pipe) -> String {
        let mut notes = Vec::new();
        let mut text = Vec::new();
        let now = Instant::now();
        let quiet = Duration::ZERO;
        let wall = crate::time::Time::from_secs(0);
        let mut round = Round {
            now,
            quiet,
            away: false,
            wall,
            stamps: &mut |_, _| None,
            notes: &mut notes,
            unpacked: Default::default(),
        };
        let mut sink = |chunk: Chunk<'_>| {
            assert!(chunk.position.is_none());
            text.extend_from_slice(chunk.bytes);
            ControlFlow::Continue(())
        };
        let _ = pipe.read(&mut round, &mut vec![0; crate::follow::round::BUFFER], &mut sink);
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_stream_is_read_as_it_comes_and_ends_without_its_half_line() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pipe = Pipe::stream(SourceId(0), OwnedFd::from(reader).into());
        assert_eq!(read(&mut pipe), "");
        let steps = [("one\ntw", "one\n"), ("o\n", "two\n"), ("\n\nthree\nfo", "\n\nthree\n")];
        for (written, whole) in steps {
            writer.write_all(written.as_bytes()).unwrap();
            assert_eq!(read(&mut pipe), whole);
        }
        drop(writer);
        assert_eq!(read(&mut pipe), "");
        assert!(pipe.ended && pipe.descriptor().is_none());
    }

    #[test]
    fn an_over_long_line_is_dropped_whole_however_it_arrives() {
        let (reader, mut writer) = io::pipe().unwrap();
        let mut pipe = Pipe::stream(SourceId(0), OwnedFd::from(reader).into());
        for _ in 0..3 {
            writer.write_all("x".repeat(MAX_LINE / 2 + 1).as_bytes()).unwrap();
            assert_eq!(read(&mut pipe), "");
        }
        writer.write_all(b"Failed password for root from 8.8.8.8 port 1 ssh2\nnext\n").unwrap();
        assert_eq!(read(&mut pipe), "next\n");
        assert_eq!(pipe.tally.overlong, 1);
    }
}
