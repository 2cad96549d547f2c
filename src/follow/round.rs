//! One round of looking at all paths: what all sources share in it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memchr_iter;

use crate::time::Time;

/// The read buffer: large enough that system calls do not matter, small enough to stay in the processor's cache.
pub(super) const BUFFER: usize = 256 * 1024;

/// Bytes that one path may hand out in one look; then the others have their turn.
pub(super) const TURN: usize = 1 << 20;

/// Bytes that are unpacked at most to find one log's files again; whoever may write beside a log can make packed files
/// that begin as it does and have any length.
const MAX_UNPACKED: u64 = 64 << 20;

/// The number of unpacked bytes after which other logs wait for the next look.
const MAX_UNPACKED_IN_LOOK: u64 = MAX_UNPACKED / 2;

/// Says when a line of a path was written, if it says so itself; a path's lines are asked for in their order.
pub type Stamps = dyn FnMut(&Arc<str>, &[u8]) -> Option<Time> + Send;

/// One round of looking at all paths: what it knows besides the files.
pub(super) struct Round<'a> {
    pub(super) now: Instant,
    /// How long a rotated file must have been quiet before it is closed.
    pub(super) quiet: Duration,
    /// Whether nobody looked for long: what is found now was not written just now.
    pub(super) away: bool,
    /// The time of day, to judge timestamps by.
    pub(super) wall: Time,
    /// Reads the timestamps of lines.
    pub(super) stamps: &'a mut Stamps,
    /// Sentences for the operator.
    pub(super) notes: &'a mut Vec<String>,
    /// How much was unpacked in this look to find files again.
    pub(super) unpacked: Unpacked,
}

/// Counters of one path, for the operator.
#[derive(Clone, Copy, Default)]
pub(super) struct ReadCounters {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    pub(super) overlong: u64,
    pub(super) last_data: Option<Instant>,
}

impl ReadCounters {
    /// Counts lines that are handed out.
    pub(super) fn add(&mut self, lines: &[u8], now: Instant) {
        self.bytes += lines.len() as u64;
        self.lines += memchr_iter(b'\n', lines).count() as u64;
        self.last_data = Some(now);
    }
}

/// How much may be unpacked to find one log's files again.
#[derive(Clone)]
pub(super) struct UnpackBudget {
    /// The granted bytes; 0 where those of the look are used up.
    granted: u64,
    pub(super) left: Rc<Cell<u64>>,
    is_overdrawn: Rc<Cell<bool>>,
}

impl UnpackBudget {
    fn new(granted: u64) -> Self {
        Self { granted, left: Rc::new(Cell::new(granted)), is_overdrawn: Rc::default() }
    }

    /// The bytes that are left after unpacking so many; `None` where these are too many.
    pub(super) fn after(&self, bytes: u64) -> Option<u64> {
        let left = self.left.get().checked_sub(bytes);
        self.is_overdrawn.set(self.is_overdrawn.get() || left.is_none());
        left
    }
}

/// How much was unpacked in one look, of all logs. Between two looks lines are read, so that whoever makes packed files for a
/// hundred logs holds up nobody else's.
#[derive(Clone, Copy, Default)]
pub(super) struct Unpacked {
    bytes: u64,
    /// A log waits for the next look.
    pub(super) has_put_off: bool,
}

impl Unpacked {
    /// The budget of one log.
    pub(super) fn budget(self) -> UnpackBudget {
        UnpackBudget::new(if self.bytes < MAX_UNPACKED_IN_LOOK { MAX_UNPACKED } else { 0 })
    }

    /// Whether what was found within the budget counts; otherwise the log must wait for the next look.
    pub(super) fn settle(&mut self, budget: &UnpackBudget) -> bool {
        self.bytes += budget.granted - budget.left.get();
        let waits = budget.granted == 0 && budget.is_overdrawn.get();
        self.has_put_off |= waits;
        !waits
    }
}
