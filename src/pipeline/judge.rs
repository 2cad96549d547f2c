//! The part of the pipeline in which order matters: hits become sightings at their times, and the engine judges them one
//! after the other.

use std::time::Duration;

use super::Pipeline;
use super::hits::{Hit, HitFinder, HitKind, KnownHit};
use super::timing::{Timed, Timing, When};
use crate::engine::{Engine, Judgement, Line, Sighting, Verdict, Why};
use crate::record::{self, Outline, Record};
use crate::rules::{Evidence, Match};
use crate::time::Time;

/// In a replay bans are dropped so long after they end: lines are not quite in order, and the engine knows which bans are over.
const DISORDER: Duration = Duration::from_secs(3600);

/// Takes what becomes of lines, in their order.
pub trait OutcomeSink {
    /// Takes what became of a line in one rule set that knows it.
    fn take(&mut self, outcome: &Outcome<'_>);
}

/// Nobody wants to know.
impl OutcomeSink for () {
    fn take(&mut self, _: &Outcome<'_>) {}
}

/// What became of a line in one rule set.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// The line.
    pub line: &'a [u8],
    /// How many lines stand before it among those that were pushed together.
    pub number: u64,
    /// The line as a record; behind "last message repeated" the line that was repeated.
    pub record: &'a Record<'a>,
    /// The rule and the address.
    pub matched: Match<'a>,
    /// What the line is worth: what its rule set says, and less where the line itself may be forged.
    pub evidence: Evidence,
    /// How many times the line was written.
    pub count: u32,
    /// When it counts; `None` where it was written at some time that it does not say, and so counts for nobody.
    pub time: Option<Time>,
    /// What follows from it, and for whom.
    pub judgement: Judgement,
}

/// What became of lines in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Lines in all; counted by [`Pipeline::push`] alone.
    pub lines: u64,
    /// Lines that a rule set knows.
    pub known: u64,
    /// Those of them that count at no time.
    pub undated: u64,
}

impl Pipeline {
    /// The second half of [`Self::push`]: judges what was found in these lines of a log, or a part of it.
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

    /// Takes note of lines of a log that were judged before a stop, for a repeat of the last one.
    pub fn recall(&mut self, stream: usize, lines: &[u8]) {
        let mut hits = std::mem::take(&mut self.hits);
        self.finder(stream).find(lines, &mut hits);
        let last = hits.all().iter().fold(Last::Kept, |last, hit| last.after(hit, lines));
        last.keep(&mut self.streams[stream].previous);
        self.hits = hits;
    }
}

/// The last line of a log, if a rule set knows it.
#[derive(Clone, Copy)]
enum Last<'l> {
    /// What the stream keeps.
    Kept,
    /// A line that was just looked at.
    Line(&'l [u8]),
    /// None that a rule set knows.
    Unknown,
}

impl<'l> Last<'l> {
    fn after(self, hit: &Hit, lines: &'l [u8]) -> Self {
        match hit.kind {
            HitKind::Known(_) => Self::Line(&lines[hit.at.clone()]),
            HitKind::Repeat => self,
            HitKind::Gap => Self::Unknown,
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
    /// The number of the log.
    source: u16,
    when: When,
    sink: &'p mut S,
}

/// The line that is judged; a repeat is written in another line than the one that it is about.
#[derive(Clone, Copy)]
struct JudgedLine<'l> {
    line: &'l [u8],
    number: u64,
    /// Has the stamp that counts.
    header: &'l Record<'l>,
}

impl<S: OutcomeSink> LineJudge<'_, S> {
    /// Judges all hits of one line. Says when it counts; nothing where no rule set knows it.
    fn line(&mut self, lines: &[u8], hits: &[Hit], previous: &[u8]) -> Option<Option<Time>> {
        let first = hits.first()?;
        let line = &lines[first.at.clone()];
        let time = match &first.kind {
            HitKind::Gap => return None,
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

    /// Judges the line before this one again, as often as this one says.
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

    /// Judges what one rule set knows of a line; when it counts.
    fn known(&mut self, written: &JudgedLine<'_>, record: &Record<'_>, known: &KnownHit) -> Option<Time> {
        let matched = self.finder.matcher.at(known.set, known.rule, known.address);
        let timed = self.timing.of(self.when, written.line, written.header, matched.set.time.as_ref());
        let judgement = match timed {
            Some(timed) => self.engine.observe(&self.sighting(written, record, &matched, known, timed)),
            // Taken for the present, the lines of days would be those of one moment.
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
        // What tells the line from others. A program's own log has no header, whatever its lines look like.
        let line = match matched.set.format.needs_source() {
            true => Line { program: None, pid: None, message: written.line },
            false => Line { program: record.program, pid: record.pid, message: record.message },
        };
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
            count: known.count,
        }
    }
}
