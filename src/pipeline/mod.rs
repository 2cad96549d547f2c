//! From the lines of a log to what becomes of them, for all logs. `scan`, `match`, `explain` and the daemon feed the same
//! pipeline, so that they cannot decide differently.
//!
//! ```text
//! cut       bytes into whole lines; what is too long is dropped
//! merge     of several logs that are read late, the line that was written first
//! split     whole lines into lines; those that name no watched program are passed over
//! hits      what the rule sets know of each line: depends on the line alone
//! judge     when a hit counts (`timing`), and what the engine says of it; one after the other
//! stream    what is remembered of one log
//! ```

mod cut;
mod hits;
mod judge;
mod merge;
mod split;
mod stream;
mod timing;

use std::sync::Arc;

pub use cut::{Cut, WholeLines, cut};
pub use hits::{Hit, HitFinder, Hits};
pub use judge::{Judged, Outcome, OutcomeSink};
pub use merge::{Ahead, Turn};
pub use split::{LineSplitter, SplitLine, last_line};
pub use stream::{FileId, Stream, Terms};
pub use timing::When;

use crate::engine::Engine;
use crate::rules::Matcher;
use crate::time::Time;

/// The rules in force and all that is remembered. Logs are known by their numbers, from 0.
#[derive(Debug)]
pub struct Pipeline {
    /// What is looked for.
    pub matcher: Arc<Matcher>,
    /// What is remembered.
    pub engine: Engine,
    streams: Vec<Stream>,
    /// What was found in the lines pushed last; kept for its memory.
    hits: Hits,
}

impl Pipeline {
    /// A pipeline that reads these logs.
    pub fn new(matcher: impl Into<Arc<Matcher>>, engine: Engine, streams: Vec<Stream>) -> Self {
        Self { matcher: matcher.into(), engine, streams, hits: Hits::default() }
    }

    /// Takes other rules into force, and for each log by its number what holds for it under them. What is remembered
    /// stays, the last line of each log too.
    pub fn set_rules(&mut self, matcher: Matcher, terms: impl Fn(usize) -> Terms) {
        self.matcher = matcher.into();
        for (number, stream) in self.streams.iter_mut().enumerate() {
            stream.set_terms(terms(number));
        }
    }

    /// Reads one more log, or another in the place of one, and says by which number.
    pub fn read(&mut self, stream: Stream, instead: Option<usize>) -> usize {
        match instead.and_then(|number| Some((number, self.streams.get_mut(number)?))) {
            Some((number, place)) => {
                *place = stream;
                number
            }
            None => {
                self.streams.push(stream);
                self.streams.len() - 1
            }
        }
    }

    /// Judges whole lines of a log one by one; the last may have no newline. What becomes of those that a rule set knows
    /// goes into the sink.
    ///
    /// Bans that are over by then should be taken with [`Engine::expire`] before.
    pub fn push(&mut self, stream: usize, lines: &[u8], when: When, sink: &mut impl OutcomeSink) -> Judged {
        self.streams[stream].begin(lines, when);
        let mut hits = std::mem::take(&mut self.hits);
        self.finder(stream).find(lines, &mut hits);
        let judged = self.judge(stream, lines, hits.all(), when, sink);
        let lines = hits.lines();
        self.hits = hits;
        Judged { lines, ..judged }
    }

    /// The first half of [`Self::push`], for who has several threads do it; the second is [`Self::judge`].
    pub fn finder(&self, stream: usize) -> HitFinder {
        let Stream { binding, writer, .. } = &self.streams[stream];
        HitFinder {
            matcher: Arc::clone(&self.matcher),
            binding: Arc::clone(binding),
            writer: Arc::clone(writer),
        }
    }

    /// Tells the clock of a log how late it is, for the years of stamps.
    pub fn set_now(&mut self, stream: usize, now: Time) {
        self.streams[stream].timing.set_now(now);
    }

    /// Takes note of the last lines of a log's file, which was last written to at `modified`: they tell in which zone
    /// lines are stamped that nobody saw arrive.
    pub fn learn_from_end(&mut self, stream: usize, lines: &[u8], modified: Time) {
        self.streams[stream].learn_from_end(lines, modified);
    }

    /// How many lines of a log matched and say no time that is read.
    pub fn undated(&self, stream: usize) -> u64 {
        self.streams[stream].timing.undated()
    }

    /// The zone, in minutes, by which the stamps of a log are behind the clock; negative where they are ahead.
    pub fn zone_minutes(&self, stream: usize) -> Option<i64> {
        self.streams[stream].timing.zone_minutes()
    }

    /// The time in a line's stamp, if it has one; lines of a log are asked in their order.
    pub fn stamp(&mut self, stream: usize, line: &[u8]) -> Option<Time> {
        self.streams[stream].stamp(line)
    }

    /// What follows is from this file of the log: a repeat in it is of its own last line.
    pub fn turn_to(&mut self, stream: usize, file: FileId) {
        self.streams[stream].turn_to(file);
    }

    /// A file of the log begins, or lines were passed over: what follows is not a repeat of the last line.
    pub fn turn_over(&mut self, stream: usize) {
        self.streams[stream].previous.clear();
    }
}
