//! One followed path: the next lines and their timestamps, looked at before it is their turn.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::FollowedFile;
use crate::follow::Sink;
use crate::follow::position::FileKey;
use crate::follow::round::{BUFFER, Round, Stamps};
use crate::follow::tail::Tail;
use crate::pipeline::{Ahead, Cut, Turn, cut};
use crate::time::Time;

/// How far one log is looked ahead: some hundreds of lines, and longer than the longest line.
const WINDOW: usize = 64 * 1024;

/// Lines of one file that were looked at and not handed out.
#[derive(Default)]
pub(in crate::follow) struct LookedAt {
    /// The file of the lines; they begin at `from`, in bytes.
    file: Option<FileKey>,
    from: u64,
    ahead: Ahead,
}

impl LookedAt {
    fn is_of(&self, tail: &Tail) -> bool {
        !self.ahead.is_empty() && self.file == Some(tail.key) && self.from == tail.cursor.next
    }

    fn fill(&mut self, tail: &mut Tail, path: &Arc<str>, stamps: &mut Stamps) -> io::Result<()> {
        self.ahead.clear();
        self.file = Some(tail.key);
        self.from = tail.cursor.next;
        let mut is_inside = tail.cursor.is_inside();
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
                // A line that is too long is dropped when its turn comes.
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

impl FollowedFile {
    /// Whether what was there before we came, or while nobody looked, was not all handed out.
    pub(in crate::follow) fn lags(&self) -> bool {
        self.tails.iter().any(Tail::lags)
    }

    /// Nothing lags behind any more.
    pub(in crate::follow) fn is_in_turn_again(&mut self) {
        self.was_waited_for = false;
        self.out_of_turn = None;
    }

    /// The file to read on in.
    fn next_tail(&mut self) -> Option<usize> {
        let index = self.tails.iter().position(|tail| !tail.drained)?;
        self.skip_what_was_copied(index);
        Some(index)
    }

    /// The time of the next line; `None` also where only reading can tell.
    pub(in crate::follow) fn look_ahead(&mut self, stamps: &mut Stamps) -> Option<Time> {
        let index = self.next_tail()?;
        let tail = self.tails.get_mut(index)?;
        if !self.looked_at.is_of(tail) {
            // A failure here comes again at the reading, where it is dealt with.
            self.looked_at.fill(tail, &self.path, stamps).ok()?;
        }
        self.looked_at.ahead.time()
    }

    /// Reads the lines whose turn it is, as far as one buffer reaches; how much that was, `None` where it cannot be read.
    pub(in crate::follow) fn read_ahead(
        &mut self,
        turn: Turn,
        round: &mut Round<'_>,
        buf: &mut [u8],
        sink: &mut Sink<'_>,
    ) -> ControlFlow<(), Option<usize>> {
        let Some(index) = self.next_tail() else { return ControlFlow::Continue(Some(0)) };
        let known = self.tails.get(index).filter(|tail| !turn.is_alone() && self.looked_at.is_of(tail));
        let before = known.map(|tail| tail.cursor.before.len());
        let reach = before.map_or(buf.len(), |before| before + self.looked_at.take(turn));
        self.step(index, buf.get_mut(..reach).unwrap_or_default(), round, sink)
    }
}
