//! The part of the pipeline in which order matters: hits become sightings at their times, and the engine judges one after
//! the other.

use std::time::Duration;

use super::Pipeline;
use super::hits::{Hit, HitFinder, HitKind, KnownHit};
use super::peer_port::peer_port;
use super::timing::{Timed, Timing, When};
use crate::engine::{Engine, Judgement, Line, Sighting, Verdict, Why};
use crate::record::{self, Outline, Record};
use crate::rules::{Evidence, Match};
use crate::time::Time;

/// In a replay, bans are dropped this long after they end: lines are not quite in order, and the engine knows by itself
/// which bans have expired.
const DISORDER: Duration = Duration::from_secs(3600);

/// Receives the outcomes of lines, in order.
pub trait OutcomeSink {
    /// Receives the outcome of a line under one rule set that matches it.
    fn take(&mut self, outcome: &Outcome<'_>);

    /// Receives a line that no rule matches, though it names an address and all such lines of its program should be known;
    /// with the number of lines before it in the chunk.
    fn missed(&mut self, _number: u64, _line: &[u8], _record: &Record<'_>) {}
}

/// Discards all outcomes.
impl OutcomeSink for () {
    fn take(&mut self, _: &Outcome<'_>) {}
}

/// The outcome of a line under one rule set.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// The text of the line.
    pub line: &'a [u8],
    /// The number of lines before it in the chunk that was pushed.
    pub number: u64,
    /// The line as a record; for "last message repeated" the line that was repeated.
    pub record: &'a Record<'a>,
    /// The rule and the address.
    pub matched: Match<'a>,
    /// The evidence of the rule set, lowered to spoofable where the line itself may be forged.
    pub evidence: Evidence,
    /// How many times the line was written.
    pub count: u32,
    /// When it counts; `None` where that is unknown, so that it does not count.
    pub time: Option<Time>,
    /// The engine's decision, and the peer that it is about.
    pub judgement: Judgement,
}

/// Totals of judged lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// All lines; counted by [`Pipeline::push`] only.
    pub lines: u64,
    /// Lines that a rule matches.
    pub known: u64,
    /// Lines among them without a readable timestamp.
    pub undated: u64,
}

impl Pipeline {
    /// The second half of [`Self::push`]: judges the hits of these lines of a log, or the first of them.
    pub fn judge(
        &mut self,
        stream: usize,
        lines: &[u8],
        hits: &[Hit],
        when: When,
        sink: &mut impl OutcomeSink,
    ) -> Judged {
        let finder = self.finder(stream);
        let place = &mut self.streams[stream];
        let mut judge = LineJudge {
            finder: &finder,
            engine: &mut self.engine,
            timing: &mut place.timing,
            source: u16::try_from(stream).unwrap_or(u16::MAX),
            when,
            sink,
        };
        let mut judged = Judged::default();
        let mut last = Last::Kept;
        for hits in hits.chunk_by(Hit::is_of_line_of) {
            if let Some(time) = judge.line(lines, hits, last.line(&place.previous)) {
                judged.known += 1;
                judged.undated += u64::from(time.is_none());
            }
            last = last.after(&hits[0], lines);
        }
        last.keep(&mut place.previous);
        judged
    }

    /// Remembers the last of some lines that were judged before a stop, so that its repeats are recognised.
    pub fn prime_last_line(&mut self, stream: usize, lines: &[u8]) {
        let mut hits = std::mem::take(&mut self.hits);
        self.finder(stream).find(lines, &mut hits);
        let last = hits.all().iter().fold(Last::Kept, |last, hit| last.after(hit, lines));
        last.keep(&mut self.streams[stream].previous);
        self.hits = hits;
    }
}

/// The last line of a log, which a repeat would refer to.
#[derive(Clone, Copy)]
enum Last<'l> {
    /// The one that the stream has kept.
    Kept,
    /// A line of the present chunk.
    Line(&'l [u8]),
    /// A line that no rule matches.
    Unknown,
}

impl<'l> Last<'l> {
    fn after(self, hit: &Hit, lines: &'l [u8]) -> Self {
        match hit.kind {
            HitKind::Known(_) => Self::Line(&lines[hit.at.clone()]),
            HitKind::Repeat => self,
            HitKind::Gap | HitKind::Missed => Self::Unknown,
        }
    }

    fn line<'k>(self, kept: &'k [u8]) -> &'k [u8]
    where
        'l: 'k,
    {
        match self {
            Self::Kept => kept,
            Self::Line(line) => line,
            Self::Unknown => b"",
        }
    }

    fn keep(self, kept: &mut Vec<u8>) {
        match self {
            Self::Kept => {}
            Self::Line(line) => {
                kept.clear();
                kept.extend_from_slice(line);
            }
            Self::Unknown => kept.clear(),
        }
    }
}

/// Judges the lines of one log.
struct LineJudge<'p, S> {
    finder: &'p HitFinder,
    engine: &'p mut Engine,
    timing: &'p mut Timing,
    /// Number of the log.
    source: u16,
    when: When,
    sink: &'p mut S,
}

/// The line that is judged. For a repeat this is the note of it, not the line that was repeated.
#[derive(Clone, Copy)]
struct JudgedLine<'l> {
    line: &'l [u8],
    number: u64,
    /// The record whose timestamp counts.
    header: &'l Record<'l>,
}

impl<S: OutcomeSink> LineJudge<'_, S> {
    /// Judges all hits of one line; returns when it counts, or nothing if no rule matches it.
    fn line(&mut self, lines: &[u8], hits: &[Hit], previous: &[u8]) -> Option<Option<Time>> {
        let first = hits.first()?;
        let line = &lines[first.at.clone()];
        let time = match &first.kind {
            HitKind::Gap => return None,
            HitKind::Missed => {
                let record = record::parse_as(line, self.finder.binding.layouts());
                self.sink.missed(first.number, line, &record);
                return None;
            }
            HitKind::Repeat => self.repeat(line, first.number, previous)?,
            HitKind::Known(_) => {
                let mut time = None;
                for hit in hits {
                    let HitKind::Known(known) = &hit.kind else { continue };
                    let record = known.record.on(line);
                    let written = JudgedLine { line, number: hit.number, header: &record };
                    time = self.known(&written, &record, known);
                }
                time
            }
        };
        if let Some(time) = time.filter(|_| self.when.is_replay()) {
            self.engine.expire(time.minus(DISORDER));
        }
        Some(time)
    }

    /// Judges the line before this one again, as many times as this one says.
    fn repeat(&mut self, line: &[u8], number: u64, previous: &[u8]) -> Option<Option<Time>> {
        let layouts = self.finder.binding.layouts();
        let header = record::parse_as(line, layouts);
        let repeated = record::repeat(&header)?;
        let original = record::parse_as(previous, layouts);
        if !repeated.is_of(&original) {
            return None;
        }
        let written = JudgedLine { line, number, header: &header };
        let outline = Outline::of(&original, previous);
        let mut time = None;
        for matched in self.finder.matcher.matches(&self.finder.binding, previous, &original) {
            if !matched.set.format.needs_source() {
                let known = self.finder.known(&matched, previous, &original, outline, repeated.count());
                time = Some(self.known(&written, &original, &known));
            }
        }
        time
    }

    /// Judges one match on a line; returns when it counts.
    fn known(&mut self, written: &JudgedLine<'_>, record: &Record<'_>, known: &KnownHit) -> Option<Time> {
        let matched = self.finder.matcher.at(known.set, known.rule, known.address);
        let timed = self.timing.of(self.when, written.line, written.header, matched.set.time.as_ref());
        let judgement = match timed {
            Some(timed) => self.engine.observe(&self.sighting(written, record, &matched, known, timed)),
            // Dated with the present, the lines of whole days would count as those of one moment.
            None => Verdict::Ignored(Why::NoTime).into(),
        };
        let time = timed.map(|timed| timed.time);
        self.sink.take(&Outcome {
            line: written.line,
            number: written.number,
            record,
            matched,
            evidence: known.evidence,
            count: known.count,
            time,
            judgement,
        });
        time
    }

    fn sighting<'l>(
        &self,
        written: &JudgedLine<'l>,
        record: &Record<'l>,
        matched: &Match<'_>,
        known: &KnownHit,
        timed: Timed,
    ) -> Sighting<'l>
    where
        Self: 'l,
    {
        // A program's own log has no headers, whatever its lines look like.
        let line = if matched.set.format.needs_source() {
            Line { program: None, pid: None, message: written.line }
        } else {
            Line { program: record.program, pid: record.pid, message: record.message }
        };
        let is_reported = self.engine.settings().has_reports && matched.set.reports.is_some();
        let port = known.address.filter(|_| is_reported).and_then(|peer| peer_port(line.message, peer));
        Sighting {
            time: timed.time,
            is_late: timed.is_late,
            writer: &self.finder.writer,
            source: self.source,
            set: known.set,
            rule: known.rule,
            address: known.address,
            session: known.session,
            line,
            evidence: known.evidence,
            port,
            count: known.count,
        }
    }
}
