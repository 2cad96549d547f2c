//! The state of one log: its terms, what is known of its timestamps, and its last line.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashlink::LinkedHashMap;
use jiff::tz::TimeZone;

use super::split::{LineSplitter, last_line};
use super::timing::{Timing, When};
use crate::record::{self, Clock, Record, TimeSpec};
use crate::rules::Binding;
use crate::time::Time;

/// The configuration of a log.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// The rule sets that apply to it, and the layouts that its lines may have.
    pub binding: Arc<Binding>,
    /// Its writer. A session holds lines of one writer only; otherwise one could finish what another's lines began.
    pub writer: Arc<str>,
    /// The format of its timestamps; `None` if its rule sets state it.
    pub time: Option<TimeSpec>,
    /// The zone of timestamps that name none; `None` for this machine's.
    pub zone: Option<TimeZone>,
}

/// One log.
#[derive(Debug)]
pub struct Stream {
    pub(super) timing: Timing,
    pub(super) binding: Arc<Binding>,
    pub(super) writer: Arc<str>,
    /// The last line if a rule matches it, else empty: a repeat may refer to it.
    pub(super) previous: Vec<u8>,
    file: FileId,
    /// The last lines of files that were read before and may be continued, the least recently read first.
    set_aside: VecDeque<(FileId, Vec<u8>)>,
}

/// Distinguishes logs that come and go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct StreamKey {
    /// The name of the log's source.
    pub source: Arc<str>,
    /// The path at which it is read.
    pub path: Arc<str>,
}

/// Logs with a number at a time, four times as many as one pattern may match.
const MAX_NUMBERED: usize = 1024;

/// The numbers of logs that come and go, the least recently used first.
#[derive(Debug, Default)]
pub(super) struct StreamNumbers(LinkedHashMap<StreamKey, usize, RandomState>);

impl StreamNumbers {
    /// The number of a log, which is now the most recently used.
    pub(super) fn get(&mut self, key: &StreamKey) -> Option<usize> {
        self.0.to_back(key).copied()
    }

    /// If there is no room for another log, forgets the least recently used and returns its number.
    pub(super) fn make_room(&mut self) -> Option<usize> {
        if self.0.len() < MAX_NUMBERED {
            return None;
        }
        self.0.pop_front().map(|(_, number)| number)
    }

    pub(super) fn insert(&mut self, key: StreamKey, number: usize) {
        self.0.insert(key, number);
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (&StreamKey, usize)> {
        self.0.iter().map(|(key, number)| (key, *number))
    }
}

/// Distinguishes the files of one log; chosen by the caller.
pub type FileId = (u64, u64);

/// Files of one log that are read by turns. A rotated file is written to until its logger is signalled: that is one file,
/// or two where rotations follow quickly.
const MAX_SET_ASIDE: usize = 4;

impl Stream {
    /// A log that has not been read yet.
    pub fn new(clock: Clock, terms: Terms) -> Self {
        let mut timing = Timing::new(clock);
        timing.set_stamps(terms.time, terms.zone);
        Self {
            timing,
            binding: terms.binding,
            writer: terms.writer,
            previous: Vec::new(),
            file: FileId::default(),
            set_aside: VecDeque::new(),
        }
    }

    /// How many matching lines had no readable timestamp.
    pub fn undated(&self) -> u64 {
        self.timing.undated()
    }

    /// The offset, in minutes, by which the timestamps are behind the clock; negative where they are ahead.
    pub fn zone_minutes(&self) -> Option<i64> {
        self.timing.zone_minutes()
    }

    pub(super) fn set_terms(&mut self, terms: Terms) {
        self.writer = terms.writer;
        self.timing.set_stamps(terms.time, terms.zone);
        self.binding = terms.binding;
    }

    /// Continues with another file: a repeat in it refers to the file's own last line.
    pub(super) fn switch_file(&mut self, file: FileId) {
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

    /// The time of a line's timestamp, if it has one; must be called in the order of the lines.
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

    /// Learns from lines before they are judged: the last of those that were seen to arrive was written just now.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_logs_the_least_recently_used_gives_its_number_away() {
        let mut numbers = StreamNumbers::default();
        let key = |path: usize| StreamKey { source: "web".into(), path: path.to_string().into() };
        for number in 0..MAX_NUMBERED {
            assert_eq!(numbers.make_room(), None);
            numbers.insert(key(number), number);
        }
        assert_eq!(numbers.get(&key(0)), Some(0), "and is now the last to go");
        assert_eq!(numbers.make_room(), Some(1));
        numbers.insert(key(MAX_NUMBERED), 1);
        assert_eq!([0, 1, MAX_NUMBERED].map(|path| numbers.get(&key(path))), [Some(0), None, Some(1)]);
        assert_eq!(numbers.all().count(), MAX_NUMBERED);
    }
}
