//! From the lines of all logs to decisions. `scan`, `match`, `explain` and the daemon feed the same pipeline, so that they
//! cannot decide differently.
//!
//! ```text
//! cut       cuts bytes into whole lines, and drops lines that are too long
//! merge     interleaves several logs by timestamp while catching up
//! split     splits whole lines, and skips those that name no watched program
//! hits      finds the rules that match each line: depends on the line alone
//! peer_port finds the port in a line, by which it is joined with a report
//! missed    counts lines that should have been known, by their shape
//! judge     decides when each hit counts (`timing`) and has the engine judge it, strictly in order
//! reports   has the engine judge what servers report of connections
//! stream    the state of one log
//! ```

mod cut;
mod hits;
mod judge;
mod merge;
mod missed;
mod peer_port;
mod reports;
mod split;
mod stream;
mod timing;

use std::sync::Arc;

pub use cut::{Cut, WholeLines, cut};
pub use hits::{Hit, HitFinder, Hits};
pub use judge::{Judged, Outcome, OutcomeSink};
pub use merge::{Ahead, Turn};
pub use missed::{MissedLines, MissedOfProgram, names_an_address};
pub use reports::ReportOutcome;
pub use split::{LineSplitter, SplitLine, last_line};
pub use stream::{FileId, Stream, StreamKey, Terms};
pub use timing::When;

use self::stream::StreamNumbers;
use crate::engine::Engine;
use crate::rules::Matcher;
use crate::time::Time;

/// The rules in force, the engine, and the state of every log. Logs are numbered from 0.
#[derive(Debug)]
pub struct Pipeline {
    /// The rules in force.
    pub matcher: Arc<Matcher>,
    /// Counts and decides.
    pub engine: Engine,
    streams: Vec<Stream>,
    /// The numbers of logs that come and go.
    numbers: StreamNumbers,
    /// The hits of the lines pushed last; kept so that its memory is reused.
    hits: Hits,
}

impl Pipeline {
    /// A pipeline that reads these logs, numbered in their order, and those that [`Self::number_of`] adds.
    pub fn new(matcher: impl Into<Arc<Matcher>>, engine: Engine, streams: Vec<Stream>) -> Self {
        Self {
            matcher: matcher.into(),
            engine,
            streams,
            numbers: StreamNumbers::default(),
            hits: Hits::default(),
        }
    }

    /// Replaces the rules, and the terms of each log that [`Self::number_of`] added. Counters and the last line of each log
    /// stay.
    pub fn set_rules(&mut self, matcher: Matcher, terms: impl Fn(&StreamKey) -> Terms) {
        self.matcher = matcher.into();
        for (key, number) in self.numbers.all() {
            self.streams[number].set_terms(terms(key));
        }
    }

    /// The number of a log that comes and goes; `new` makes its stream if it has no number yet. Of more than 1,024 such
    /// logs the least recently used is forgotten.
    pub fn number_of(&mut self, key: &StreamKey, new: impl FnOnce() -> Stream) -> usize {
        if let Some(number) = self.numbers.get(key) {
            return number;
        }
        let number = self.numbers.make_room().unwrap_or(self.streams.len());
        match self.streams.get_mut(number) {
            Some(forgotten) => *forgotten = new(),
            None => self.streams.push(new()),
        }
        self.numbers.insert(key.clone(), number);
        number
    }

    /// The streams of a source's logs among those that [`Self::number_of`] added.
    pub fn streams_of<'p>(&'p self, source: &'p str) -> impl Iterator<Item = &'p Stream> {
        let of_source = self.numbers.all().filter(move |(key, _)| *key.source == *source);
        of_source.map(|(_, number)| &self.streams[number])
    }

    /// The state of a log.
    pub fn stream(&self, number: usize) -> &Stream {
        &self.streams[number]
    }

    /// Judges whole lines of a log one by one; the last may lack its newline. The outcome of each line that a rule matches
    /// goes into the sink.
    ///
    /// Call [`Engine::expire`] first, so that expired bans have ended.
    pub fn push(&mut self, stream: usize, lines: &[u8], when: When, sink: &mut impl OutcomeSink) -> Judged {
        self.streams[stream].begin(lines, when);
        let mut hits = std::mem::take(&mut self.hits);
        self.finder(stream).find(lines, &mut hits);
        let judged = self.judge(stream, lines, hits.all(), when, sink);
        let lines = hits.lines();
        self.hits = hits;
        Judged { lines, ..judged }
    }

    /// The first half of [`Self::push`], which may run on several threads; the second is [`Self::judge`].
    pub fn finder(&self, stream: usize) -> HitFinder {
        let Stream { binding, writer, .. } = &self.streams[stream];
        HitFinder {
            matcher: Arc::clone(&self.matcher),
            binding: Arc::clone(binding),
            writer: Arc::clone(writer),
        }
    }

    /// Sets the present time for a log's clock, which dates timestamps without a year by it.
    pub fn set_now(&mut self, stream: usize, now: Time) {
        self.streams[stream].timing.set_now(now);
    }

    /// Learns from the last lines of a log's file, which was last written to at `modified`: they show the time zone of
    /// lines that nobody saw arrive.
    pub fn learn_from_end(&mut self, stream: usize, lines: &[u8], modified: Time) {
        self.streams[stream].learn_from_end(lines, modified);
    }

    /// The time of a line's timestamp, if it has one; must be called in the order of the lines.
    pub fn stamp(&mut self, stream: usize, line: &[u8]) -> Option<Time> {
        self.streams[stream].stamp(line)
    }

    /// Continues with another file of the log: "last message repeated" in it refers to the file's own last line.
    pub fn switch_file(&mut self, stream: usize, file: FileId) {
        self.streams[stream].switch_file(file);
    }

    /// Forgets the last line, at the start of a file or after a gap: no "last message repeated" can refer to it.
    pub fn forget_last_line(&mut self, stream: usize) {
        self.streams[stream].previous.clear();
    }
}
