//! Catching up on several logs at once: what was written while nobody read is handed out in the order of its stamps, as
//! it would have come. Read log after log, lines of one attempt that two logs tell of lie hours apart, and what counts
//! within ten minutes does not meet.
//!
//! Of each log a window is looked at ahead and not handed out; handing out reads it again, so that a position is always
//! behind what was handed out, and nothing else.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use memchr::memchr;

use super::Sink;
use super::logfile::{Log, Round};
use super::position::FileKey;
use super::tail::{BUFFER, Tail};
use crate::record::MAX_LINE;
use crate::time::Time;

/// Says when a line of a path was written, if it says so itself; a path's lines are asked for in their order.
pub type Stamps = dyn FnMut(&Arc<str>, &[u8]) -> Option<Time> + Send;

/// How far one log is looked ahead: some hundreds of lines, and longer than the longest line.
const WINDOW: usize = 64 * 1024;

/// Lines of one log that were looked at and not handed out.
#[derive(Default)]
pub(super) struct Ahead {
    /// Of which file, and from where in it.
    file: Option<FileKey>,
    from: u64,
    /// How long each is, and when it was written; a line without a stamp comes with the one before it.
    lines: VecDeque<(Option<Time>, usize)>,
    last: Option<Time>,
}

impl Ahead {
    fn is_of(&self, tail: &Tail) -> bool {
        !self.lines.is_empty() && self.file == Some(tail.key) && self.from == tail.place.cursor
    }

    fn fill(&mut self, tail: &mut Tail, path: &Arc<str>, stamps: &mut Stamps) -> io::Result<()> {
        self.lines.clear();
        (self.file, self.from) = (Some(tail.key), tail.place.cursor);
        let mut inside = tail.place.cursor > tail.place.offset;
        let bytes = tail.peek(WINDOW)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let end = memchr(b'\n', rest).map(|end| end + 1);
            if end.is_none() && !inside && rest.len() <= MAX_LINE {
                break;
            }
            let (line, behind) = rest.split_at(end.unwrap_or(rest.len()));
            // What is too long is dropped when its turn comes, and has no stamp to believe.
            if !inside && line.len() <= MAX_LINE + 1 {
                self.last = stamps(path, line.strip_suffix(b"\n").unwrap_or(line)).or(self.last);
            }
            self.lines.push_back((self.last, line.len()));
            (inside, rest) = (end.is_none(), behind);
        }
        Ok(())
    }

    /// Takes the lines that are not later than `latest` and fit into a buffer, one at least; how many bytes they are.
    fn take(&mut self, latest: Option<Time>) -> usize {
        let mut length = 0;
        while let Some((time, line)) = self.lines.front() {
            if length > 0 && (*time > latest || length + line > BUFFER / 2) {
                break;
            }
            length += line;
            self.lines.pop_front();
        }
        self.from += length as u64;
        length
    }
}

/// How far one log may be read on.
#[derive(Clone, Copy)]
enum Until {
    /// To its end: no other lags behind.
    End,
    /// To the last line that is not later than the next one of another log; that one may have no stamp.
    Line(Option<Time>),
}

/// Reads the logs that lag behind, the oldest line first, until so many bytes were handed out. True when none lags
/// behind any more, or none that does can be read.
pub(super) fn catch_up(
    logs: &mut [&mut Log],
    mut turn: usize,
    round: &mut Round<'_>,
    buf: &mut [u8],
    sink: &mut Sink<'_>,
) -> ControlFlow<(), bool> {
    let mut lagging: Vec<usize> = (0..logs.len()).collect();
    while turn > 0 {
        lagging.retain(|&index| logs.get_mut(index).is_some_and(|log| log.lags()));
        let alone = lagging.len() == 1;
        let mut heads = Vec::new();
        for &index in &lagging {
            let Some(log) = logs.get_mut(index) else { continue };
            let head = if alone { None } else { log.look_ahead(round.stamps) };
            heads.push((head, index));
        }
        heads.sort_unstable();
        let Some(&(_, first)) = heads.first() else { return ControlFlow::Continue(true) };
        let until = heads.get(1).map_or(Until::End, |(head, _)| Until::Line(*head));
        let Some(log) = logs.get_mut(first) else { return ControlFlow::Continue(true) };
        log.was_waited_for = true;
        match log.read_ahead(until, round, buf, sink)? {
            Some(length) => turn = turn.saturating_sub(length),
            // It is tried again at the next look; the others do not wait for it.
            None => lagging.retain(|&index| index != first),
        }
    }
    ControlFlow::Continue(false)
}

impl Log {
    /// Whether what was there before we came, or while nobody looked, was not all handed out.
    pub(super) fn lags(&self) -> bool {
        self.tails.iter().any(Tail::lags)
    }

    /// Nothing lags behind any more.
    pub(super) fn is_in_turn_again(&mut self) {
        (self.was_waited_for, self.out_of_turn) = (false, None);
    }

    /// The file to read on in.
    fn next_tail(&mut self) -> Option<usize> {
        let index = self.tails.iter().position(|tail| !tail.drained)?;
        self.skip_what_was_copied(index);
        Some(index)
    }

    /// When the next line was written; `None` also where reading is the way to find out.
    fn look_ahead(&mut self, stamps: &mut Stamps) -> Option<Time> {
        let index = self.next_tail()?;
        let tail = self.tails.get_mut(index)?;
        if !self.ahead.is_of(tail) {
            // What fails here fails again when it is read, where that is dealt with.
            self.ahead.fill(tail, &self.path, stamps).ok()?;
        }
        self.ahead.lines.front().and_then(|(time, _)| *time)
    }

    /// Reads on up to a time, or as far as one buffer reaches; how much that was, `None` where it cannot be read.
    fn read_ahead(
        &mut self,
        until: Until,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), Option<usize>> {
        let Some(index) = self.next_tail() else { return ControlFlow::Continue(Some(0)) };
        let known = self.tails.get(index).filter(|tail| self.ahead.is_of(tail));
        let before = known.map(|tail| tail.place.before.len());
        let reach = match (until, before) {
            (Until::Line(latest), Some(before)) => before + self.ahead.take(latest),
            _ => buf.len(),
        };
        self.step(index, buf.get_mut(..reach).unwrap_or_default(), round, sink)
    }
}
