//! One log as the pipeline knows it: on which terms it is read, how its stamps are, and what its last line was.

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::split::{LineSplitter, last_line};
use super::timing::{Timing, When};
use crate::record::{self, Clock, Record, TimeSpec};
use crate::rules::Binding;
use crate::time::Time;

/// What an operator says of a log.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// Which rule sets are asked about it, and by which layouts it is read.
    pub binding: Arc<Binding>,
    /// Who writes it: sessions hold lines of one writer only, who else could finish what another's lines began.
    pub writer: Arc<str>,
    /// How its lines say when they were written; `None` for as their rule sets say.
    pub time: Option<TimeSpec>,
    /// The zone of stamps that name none; `None` for this machine's.
    pub zone: Option<TimeZone>,
}

/// One log.
#[derive(Debug)]
pub struct Stream {
    pub(super) timing: Timing,
    pub(super) binding: Arc<Binding>,
    pub(super) writer: Arc<str>,
    /// The last line, if a rule set knows it: it may be repeated.
    pub(super) previous: Vec<u8>,
    file: FileId,
    /// The last lines of files that were read before and may be read on, the longest unread first.
    set_aside: VecDeque<(FileId, Vec<u8>)>,
}

/// What tells the files of one log apart; the caller chooses it.
pub type FileId = (u64, u64);

/// Files of one log that are read in turn. A rotated log is written to until its logger was signalled: that is one,
/// and a second where rotations come fast.
const MAX_SET_ASIDE: usize = 4;

impl Stream {
    /// A log of which nothing was read.
    pub fn new(clock: Clock, terms: Terms) -> Self {
        let mut timing = Timing::new(clock);
        timing.set_stamps(terms.time, terms.zone);
        let (binding, writer) = (terms.binding, terms.writer);
        Self {
            timing,
            binding,
            writer,
            previous: Vec::new(),
            file: FileId::default(),
            set_aside: VecDeque::new(),
        }
    }

    pub(super) fn set_terms(&mut self, terms: Terms) {
        self.writer = terms.writer;
        self.timing.set_stamps(terms.time, terms.zone);
        self.binding = terms.binding;
    }

    /// What follows is from this file: a repeat in it is of its own last line.
    pub(super) fn turn_to(&mut self, file: FileId) {
        if file == self.file {
            return;
        }
        let known = self.set_aside.iter().position(|(other, _)| *other == file);
        let previous = known.and_then(|known| self.set_aside.remove(known)).map(|(_, line)| line);
        let left = std::mem::replace(&mut self.previous, previous.unwrap_or_default());
        self.set_aside.push_back((std::mem::replace(&mut self.file, file), left));
        if self.set_aside.len() > MAX_SET_ASIDE {
            self.set_aside.pop_front();
        }
    }

    /// The time in a line's stamp, if it has one; lines are asked in their order.
    pub(super) fn stamp(&mut self, line: &[u8]) -> Option<Time> {
        let record = self.record(line);
        self.timing.stamp(line, &record, self.binding.time())
    }

    /// Learns from the last lines of a file that was last written to at `modified`.
    pub(super) fn learn_from_end(&mut self, lines: &[u8], modified: Time) {
        let layouts = self.binding.layouts();
        let lines =
            LineSplitter::new(lines, None).map(|line| (line.text, record::parse_as(line.text, layouts)));
        self.timing.learn_from_end(lines, modified, self.binding.time());
    }

    /// Takes note of lines before they are judged: of those that were seen to arrive the last one was written just now.
    pub(super) fn begin(&mut self, lines: &[u8], when: When) {
        let When::Arrived(arrived) = when else { return };
        let last = last_line(lines);
        let record = self.record(last);
        self.timing.learn_from_newest(arrived, last, &record, self.binding.time());
    }

    fn record<'l>(&self, line: &'l [u8]) -> Record<'l> {
        record::parse_as(line, self.binding.layouts())
    }
}
