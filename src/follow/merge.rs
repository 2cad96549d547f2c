//! Catching up on several logs at once: what was written while nobody read is handed out in the order of its stamps, as
//! it would have come. Read log after log, lines of one attempt that two logs tell of lie hours apart, and what counts
//! within ten minutes does not meet.
//!
//! Of each log a window is looked at ahead and not handed out; handing out reads it again, so that a position is always
//! behind what was handed out, and nothing else.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Sink;
use super::logfile::{FollowedFile, Round};
use super::position::FileKey;
use super::tail::{BUFFER, Tail};
use crate::pipeline::{Ahead, Cut, Turn, cut};
use crate::time::Time;

/// Says when a line of a path was written, if it says so itself; a path's lines are asked for in their order.
pub type Stamps = dyn FnMut(&Arc<str>, &[u8]) -> Option<Time> + Send;

/// How far one log is looked ahead: some hundreds of lines, and longer than the longest line.
const WINDOW: usize = 64 * 1024;

/// Lines of one file that were looked at and not handed out.
#[derive(Default)]
pub(super) struct LookedAt {
    /// Of which file, and from where in it.
    file: Option<FileKey>,
    from: u64,
    ahead: Ahead,
}

impl LookedAt {
    fn is_of(&self, tail: &Tail) -> bool {
        !self.ahead.is_empty() && self.file == Some(tail.key) && self.from == tail.place.cursor
    }

    fn fill(&mut self, tail: &mut Tail, path: &Arc<str>, stamps: &mut Stamps) -> io::Result<()> {
        self.ahead.clear();
        (self.file, self.from) = (Some(tail.key), tail.place.cursor);
        let mut is_inside = tail.place.is_inside();
        let bytes = tail.peek(WINDOW)?;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let length = match cut(rest, is_inside) {
                Cut::Wait => break,
                Cut::Lines(length) => {
                    let lines = rest.get(..length).unwrap_or_default();
                    self.ahead.look(lines, |line| stamps(path, line));
                    length
                }
                // What is too long is dropped when its turn comes.
                Cut::Overlong(length) => {
                    self.ahead.pass(length);
                    is_inside = false;
                    length
                }
                Cut::Endless => {
                    self.ahead.pass(rest.len());
                    rest.len()
                }
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// Takes the lines whose turn it is and which fit into a buffer, one at least; how many bytes they are.
    fn take(&mut self, turn: Turn) -> usize {
        let mut length = 0;
        while let Some(next) = self.ahead.length(turn) {
            if length > 0 && length + next > BUFFER / 2 {
                break;
            }
            length += next;
            self.ahead.take(turn);
        }
        self.from += length as u64;
        length
    }
}

/// Reads the logs that lag behind, the oldest line first, until so many bytes were handed out. True when none lags
/// behind any more, or none that does can be read.
pub(super) fn catch_up(
    logs: &mut [&mut FollowedFile],
    mut budget: usize,
    round: &mut Round<'_>,
    buf: &mut [u8],
    sink: &mut Sink<'_>,
) -> ControlFlow<(), bool> {
    let mut lagging: Vec<usize> = (0..logs.len()).collect();
    while budget > 0 {
        lagging.retain(|&index| logs.get_mut(index).is_some_and(|log| log.lags()));
        let alone = lagging.len() == 1;
        let mut heads = Vec::new();
        for &index in &lagging {
            let Some(log) = logs.get_mut(index) else { continue };
            let head = if alone { None } else { log.look_ahead(round.stamps) };
            heads.push((head, index));
        }
        let Some(turn) = Turn::next(heads.into_iter()) else { return ControlFlow::Continue(true) };
        let Some(log) = logs.get_mut(turn.log) else { return ControlFlow::Continue(true) };
        log.was_waited_for = true;
        match log.read_ahead(turn, round, buf, sink)? {
            Some(length) => budget = budget.saturating_sub(length),
            // It is tried again at the next look; the others do not wait for it.
            None => lagging.retain(|&index| index != turn.log),
        }
    }
    ControlFlow::Continue(false)
}

impl FollowedFile {
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
        if !self.looked_at.is_of(tail) {
            // What fails here fails again when it is read, where that is dealt with.
            self.looked_at.fill(tail, &self.path, stamps).ok()?;
        }
        self.looked_at.ahead.time()
    }

    /// Reads the lines whose turn it is, as far as one buffer reaches; how much that was, `None` where it cannot be read.
    fn read_ahead(
        &mut self,
        turn: Turn,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), Option<usize>> {
        let Some(index) = self.next_tail() else { return ControlFlow::Continue(Some(0)) };
        let known = self.tails.get(index).filter(|tail| !turn.is_alone() && self.looked_at.is_of(tail));
        let before = known.map(|tail| tail.place.before.len());
        let reach = before.map_or(buf.len(), |before| before + self.looked_at.take(turn));
        self.step(index, buf.get_mut(..reach).unwrap_or_default(), round, sink)
    }
}
