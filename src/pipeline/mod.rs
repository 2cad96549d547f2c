//! From a line to a verdict: record, match, sighting, judgement, for all sources. `scan`, `explain` and the daemon feed
//! the same pipeline, so that they cannot decide differently.

mod timing;

use std::collections::VecDeque;
use std::sync::Arc;

use jiff::tz::TimeZone;

pub use timing::When;

use self::timing::{Timed, Timing};
use crate::engine::{Engine, Judgement, Line, SessionKey, Sighting, Speaker, Verdict, Why};
use crate::record::{self, Clock, Record, Repeat, TimeSpec};
use crate::rules::{AddressFrom, Binding, Connection, Evidence, Format, Match, Matcher, Names, Sieve};
use crate::time::Time;

/// The rules in force and all that is remembered, asked line by line.
#[derive(Debug)]
pub struct Pipeline {
    /// What is looked for.
    pub matcher: Matcher,
    /// What is remembered.
    pub engine: Engine,
    streams: Vec<Stream>,
}

/// What became of a line in one rule set.
#[derive(Clone, Debug)]
pub struct Outcome<'a> {
    /// The line as a record; behind "last message repeated" the line that was repeated.
    pub record: Record<'a>,
    /// The rule and the address.
    pub matched: Match<'a>,
    /// How many times the line was written.
    pub count: u32,
    /// When it counts; `None` where it was written at some time that it does not say, and so counts for nobody.
    pub time: Option<Time>,
    /// What follows from it, and for whom.
    pub judgement: Judgement,
}

/// One source, which is one file to the pipeline: how its stamps are read, whose it is, and what its last line was.
#[derive(Debug)]
pub struct Stream {
    timing: Timing,
    writer: Arc<str>,
    reader: Reader,
}

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

/// Turns the lines of one source into matches; remembers the last line that matched, for its repeats.
#[derive(Debug, Default)]
pub struct Reader {
    binding: Arc<Binding>,
    previous: Vec<u8>,
    file: FileId,
    /// The last lines of files that were read before and may be read on, the longest unread first.
    set_aside: VecDeque<(FileId, Vec<u8>)>,
}

/// What tells the files of one source apart; the caller chooses it.
pub type FileId = (u64, u64);

/// Files of one source that are read in turn. A rotated log is written to until its logger was signalled: that is one,
/// and a second where rotations come fast.
const MOST_SET_ASIDE: usize = 4;

impl Reader {
    /// A reader of lines that these rule sets are asked about.
    pub fn new(binding: Arc<Binding>) -> Self {
        Self { binding, ..Self::default() }
    }

    /// Lines were passed over, or a file begins: what follows is not a repeat of the last line.
    pub fn turn_over(&mut self) {
        self.previous.clear();
    }

    /// What follows is from this file: a repeat in it is of its own last line.
    pub fn turn_to(&mut self, file: FileId) {
        if file == self.file {
            return;
        }
        let known = self.set_aside.iter().position(|(other, _)| *other == file);
        let previous = known.and_then(|known| self.set_aside.remove(known)).map(|(_, line)| line);
        let left = std::mem::replace(&mut self.previous, previous.unwrap_or_default());
        self.set_aside.push_back((std::mem::replace(&mut self.file, file), left));
        if self.set_aside.len() > MOST_SET_ASIDE {
            self.set_aside.pop_front();
        }
    }

    /// Takes note of lines that were judged before a stop, for a repeat of the last one.
    pub fn recall(&mut self, matcher: &Matcher, lines: &[u8]) {
        for line in record::lines(lines) {
            self.each_match(matcher, line, |_, _, _, _| {});
        }
    }

    /// Calls `found` with every match of a line, and how many times it was written; true if there was one.
    ///
    /// "last message repeated" gives the matches of the line before it again, newsyslog's note of a rotation left out.
    pub fn each_match<'m>(
        &mut self,
        matcher: &'m Matcher,
        line: &[u8],
        mut found: impl FnMut(&Record<'_>, &Record<'_>, Match<'m>, u32),
    ) -> bool {
        let Self { binding, previous, .. } = self;
        let record = record::parse_as(line, binding.layouts());
        if record::is_turned_over(&record) {
            return false;
        }
        // In a program's own log nobody but the program writes, and it repeats nothing.
        let repeat = if binding.reads_headers() { record::repeat(&record) } else { None };
        if let Some(repeated @ Repeat::Previous { count, .. }) = repeat {
            let original = record::parse_as(previous, binding.layouts());
            return repeated.is_of(&original)
                && ask(matcher, binding, previous, &original, |matched| {
                    if !matched.set.format.needs_source() {
                        found(&record, &original, matched, count);
                    }
                });
        }
        let (inner, count) = match repeat {
            Some(Repeat::Quoted { count, message }) => (Record { message, ..record }, count),
            _ => (record, 1),
        };
        let any = ask(matcher, binding, line, &inner, |matched| found(&record, &inner, matched, count));
        previous.clear();
        if any {
            previous.extend_from_slice(line);
        }
        any
    }
}

fn ask<'m>(
    matcher: &'m Matcher,
    binding: &Binding,
    line: &[u8],
    record: &Record<'_>,
    mut found: impl FnMut(Match<'m>),
) -> bool {
    let mut any = false;
    matcher.each_match(binding, line, record, |matched| {
        any = true;
        found(matched);
    });
    any
}

impl Stream {
    /// A source of which nothing was read.
    pub fn new(clock: Clock, terms: Terms) -> Self {
        let mut timing = Timing::new(clock);
        timing.set_stamps(terms.time, terms.zone);
        Self { timing, writer: terms.writer, reader: Reader::new(terms.binding) }
    }

    fn set_terms(&mut self, terms: Terms) {
        self.writer = terms.writer;
        self.timing.set_stamps(terms.time, terms.zone);
        self.reader.binding = terms.binding;
    }
}

impl Pipeline {
    /// A pipeline that reads these sources, which are known by their numbers from 0.
    pub fn new(matcher: Matcher, engine: Engine, streams: Vec<Stream>) -> Self {
        Self { matcher, engine, streams }
    }

    /// Takes other rules into force, and for each source by its number what holds for it under them. What is remembered
    /// stays, the last line of each source too.
    pub fn set_rules(&mut self, matcher: Matcher, terms: impl Fn(usize) -> Terms) {
        self.matcher = matcher;
        for (number, stream) in self.streams.iter_mut().enumerate() {
            stream.set_terms(terms(number));
        }
    }

    /// Reads one more source, or another in the place of one, and says by which number.
    pub fn read(&mut self, source: Stream, instead: Option<usize>) -> usize {
        match instead.and_then(|number| Some((number, self.streams.get_mut(number)?))) {
            Some((number, place)) => {
                *place = source;
                number
            }
            None => {
                self.streams.push(source);
                self.streams.len() - 1
            }
        }
    }

    /// Tells the clocks how late it is, for the years of stamps.
    pub fn set_now(&mut self, source: usize, now: Time) {
        self.streams[source].timing.set_now(now);
    }

    /// Takes note of the last lines of a source's file, which was last written to at `modified`: they tell in which zone
    /// lines are stamped that nobody saw arrive.
    pub fn learn_from_end(&mut self, source: usize, lines: &[u8], modified: Time) {
        let Stream { timing, reader, .. } = &mut self.streams[source];
        let lines = record::lines(lines);
        let records = lines.map(|line| (line, record::parse_as(line, reader.binding.layouts())));
        timing.learn_from_end(records, modified, reader.binding.time());
    }

    /// Takes note of lines before they are judged: of those that were seen to arrive the last one was written just now.
    fn begin(&mut self, source: usize, lines: &[u8], when: When) {
        let Stream { timing, reader, .. } = &mut self.streams[source];
        if let When::Arrived(arrived) = when {
            let lines = lines.strip_suffix(b"\n").unwrap_or(lines);
            let last = memchr::memrchr(b'\n', lines).map_or(lines, |newline| &lines[newline + 1..]);
            let last = record::text(last);
            let record = record::parse_as(last, reader.binding.layouts());
            timing.learn_from_newest(arrived, last, &record, reader.binding.time());
        }
    }

    /// How many lines of a source matched and say no time that is read.
    pub fn undated(&self, source: usize) -> u64 {
        self.streams[source].timing.undated()
    }

    /// The zone, in minutes, by which the stamps of a source are behind the clock; negative where they are ahead.
    pub fn zone_minutes(&self, source: usize) -> Option<i64> {
        self.streams[source].timing.zone_minutes()
    }

    /// The time in a line's stamp, if it has one; lines of a source are asked in their order.
    pub fn stamp(&mut self, source: usize, line: &[u8]) -> Option<Time> {
        let Stream { timing, reader, .. } = &mut self.streams[source];
        let record = record::parse_as(line, reader.binding.layouts());
        timing.stamp(line, &record, reader.binding.time())
    }

    /// What the lines of interest of a source hold; `None` where any line may be one.
    pub fn names(&self, source: usize) -> Option<Names> {
        self.streams[source].reader.binding.names()
    }

    /// What follows is from this file of the source: a repeat in it is of its own last line.
    pub fn turn_to(&mut self, source: usize, file: FileId) {
        self.streams[source].reader.turn_to(file);
    }

    /// A file of the source begins, or lines were passed over: what follows is not a repeat of the last line.
    pub fn turn_over(&mut self, source: usize) {
        self.streams[source].reader.turn_over();
    }

    /// Takes note of lines of a source that were judged before a stop, for a repeat of the last one.
    pub fn recall(&mut self, source: usize, lines: &[u8]) {
        self.streams[source].reader.recall(&self.matcher, lines);
    }

    /// Judges the lines of a source one by one, as [`Self::line`] does, and reports with each outcome its line.
    pub fn lines(
        &mut self,
        source: usize,
        bytes: &[u8],
        when: When,
        mut report: impl FnMut(&[u8], Outcome<'_>),
    ) {
        self.begin(source, bytes, when);
        let mut sieve = Sieve::new(self.names(source), bytes);
        loop {
            // In the place of NULs lines may have been lost.
            if sieve.pass_foreign() > 0 || sieve.rest.first() == Some(&0) {
                self.turn_over(source);
            }
            let Some(line) = sieve.next_line() else { return };
            self.line(source, line, when, |outcome| report(line, outcome));
        }
    }

    /// Judges one line of a source and reports what became of it in each rule set that knows it; true if any does.
    ///
    /// Bans that are over by then should be taken with [`Engine::expire`] before.
    pub fn line(
        &mut self,
        source: usize,
        line: &[u8],
        when: When,
        mut report: impl FnMut(Outcome<'_>),
    ) -> bool {
        let Stream { timing, writer, reader } = &mut self.streams[source];
        let (engine, matcher) = (&mut self.engine, &self.matcher);
        reader.each_match(matcher, line, |written, record, matched, count| {
            let timed = timing.of(when, line, written, matched.set.time.as_ref());
            let judgement = match timed {
                Some(timed) => {
                    let read = Read { matcher, source: (source, writer), line, record };
                    engine.observe(&read.sighting(&matched, count, timed))
                }
                // Taken for the present, the lines of days would be those of one moment.
                None => Verdict::Ignored(Why::NoTime).into(),
            };
            let time = timed.map(|timed| timed.time);
            report(Outcome { record: *record, matched, count, time, judgement });
        })
    }
}

impl Outcome<'_> {
    /// What the line is worth: what its rule set says, and less where the line itself may be forged.
    pub fn evidence(&self) -> Evidence {
        self.matched.evidence(&self.record)
    }
}

/// What was read in a line, as the engine takes it.
struct Read<'a> {
    matcher: &'a Matcher,
    /// The number of the source, and who writes it.
    source: (usize, &'a str),
    line: &'a [u8],
    record: &'a Record<'a>,
}

impl<'a> Read<'a> {
    fn sighting(&self, matched: &Match<'_>, count: u32, timed: Timed) -> Sighting<'a> {
        let ((source, writer), evidence) = (self.source, matched.evidence(self.record));
        Sighting {
            time: timed.time,
            is_late: timed.is_late,
            writer,
            source: u16::try_from(source).unwrap_or(u16::MAX),
            set: matched.set_index,
            rule: matched.rule_index,
            address: matched.address,
            session: self.session(matched).map(|key| key.on(evidence)),
            line: self.told(matched),
            evidence,
            count,
        }
    }

    /// What tells the line from others. A program's own log has no header, whatever its lines look like.
    fn told(&self, matched: &Match<'_>) -> Line<'a> {
        match matched.set.format.needs_source() {
            true => Line { program: None, pid: None, message: self.line },
            false => {
                Line { program: self.record.program, pid: self.record.pid, message: self.record.message }
            }
        }
    }

    /// The session of a line. A program that gives no process id has none: each of its lines counts. But where the layout
    /// hides the process ids that sshd and its like give, all lines about one address are of one session.
    fn session(&self, matched: &Match<'_>) -> Option<SessionKey> {
        let program = self.record.program.unwrap_or_default();
        let speaker = Speaker { writer: self.source.1, host: self.record.host, program };
        // Of the parts of one service, as Postfix has them, each names the same queue id.
        let service = Speaker { program: matched.set.name.as_bytes(), ..speaker };
        match self.matcher.connection(matched, self.line, self.record) {
            Connection::Process(pid) => Some(SessionKey::new(speaker, pid)),
            Connection::Id(id) if matched.set.format.needs_source() => {
                Some(SessionKey::of_id(Speaker { host: b"", ..service }, &id))
            }
            Connection::Id(id) => Some(SessionKey::of_id(service, &id)),
            Connection::Doubtful => None,
            Connection::Unnamed => matched
                .address
                .filter(|_| self.is_of_hidden_connection(matched))
                .map(|peer| SessionKey::of_peer(speaker, peer)),
        }
    }

    /// Whether the line is of a connection of which the layout hides the process id. Not for rules that need another line of
    /// the same connection: other connections would do.
    fn is_of_hidden_connection(&self, matched: &Match<'_>) -> bool {
        matched.set.format == Format::Syslog
            && matched.set.evidence == Evidence::Handshake
            && matched.rule.address != AddressFrom::Confirmed
            && self.record.hides_pids()
    }
}
