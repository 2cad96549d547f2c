//! The rules that match the lines of a log. The result depends on the lines alone, and on nothing that was read or judged
//! before: several threads may search several pieces of a log.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::missed::names_an_address;
use super::split::{LineSplitter, SplitLine};
use crate::engine::{SessionKey, Speaker};
use crate::record::{self, Outline, Record, Repeat};
use crate::rules::{AddressFrom, Binding, Connection, Evidence, Format, Match, Matcher};

/// Finds the hits in one log.
#[derive(Clone, Debug)]
pub struct HitFinder {
    pub(super) matcher: Arc<Matcher>,
    pub(super) binding: Arc<Binding>,
    pub(super) writer: Arc<str>,
}

/// The hits of a chunk of lines, in order. Reused for the next chunk, it allocates nothing.
#[derive(Debug, Default)]
pub struct Hits {
    all: Vec<Hit>,
    lines: u64,
}

/// A line, or a gap between lines, that matters for a decision.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The position of the line in the chunk; of a gap, its end.
    pub(super) at: Range<usize>,
    /// The number of lines before it in the chunk.
    pub(super) number: u64,
    pub(super) kind: HitKind,
}

#[derive(Clone, Debug)]
pub(super) enum HitKind {
    /// A rule matches the line. If rules of several sets do, their hits follow each other.
    Known(KnownHit),
    /// The line says that the one before it was repeated.
    Repeat,
    /// No rule matches the line, though it names an address and all such lines of its program should be known; what else
    /// it means is that of a gap.
    Missed,
    /// Lines that no rule matches were skipped here: a repeat behind them does not refer to a line before them.
    Gap,
}

/// The match of one rule set on a line.
#[derive(Clone, Debug)]
pub(super) struct KnownHit {
    pub(super) set: usize,
    pub(super) rule: usize,
    pub(super) address: Option<IpAddr>,
    /// The parts of the line as a record; its message is the one that rsyslog quotes as repeated, if it does.
    pub(super) record: Outline,
    pub(super) evidence: Evidence,
    pub(super) session: Option<SessionKey>,
    /// How many times the line was written.
    pub(super) count: u32,
}

impl Hits {
    /// The number of lines that were searched.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// All hits, in the order of the lines.
    pub fn all(&self) -> &[Hit] {
        &self.all
    }

    fn gap(&mut self, at: usize) {
        self.all.push(Hit { at: at..at, number: 0, kind: HitKind::Gap });
    }
}

impl Hit {
    /// The end of its line in the chunk.
    pub fn end(&self) -> usize {
        self.at.end
    }

    /// Whether both are matches of the same line.
    pub(super) fn is_of_line_of(&self, other: &Self) -> bool {
        let are_known = matches!((&self.kind, &other.kind), (HitKind::Known(_), HitKind::Known(_)));
        are_known && self.at == other.at
    }
}

impl HitFinder {
    /// Searches whole lines, and replaces the content of `hits`.
    pub fn find(&self, lines: &[u8], hits: &mut Hits) {
        hits.all.clear();
        let mut split = LineSplitter::new(lines, self.binding.names());
        for line in split.by_ref() {
            if line.is_apart {
                hits.gap(line.at.start);
            }
            self.look_at(line, hits);
        }
        if split.is_apart() {
            hits.gap(lines.len());
        }
        hits.lines = split.passed();
    }

    fn look_at(&self, line: SplitLine<'_>, hits: &mut Hits) {
        let SplitLine { text, at, number, .. } = line;
        let record = record::parse_as(text, self.binding.layouts());
        if record::is_turned_over(&record) {
            return;
        }
        // A program's own log has no logger that could report repeats.
        let repeat = if self.binding.reads_headers() { record::repeat(&record) } else { None };
        let (record, count) = match repeat {
            None => (record, 1),
            Some(Repeat::Quoted { count, message }) => (Record { message, ..record }, count),
            Some(Repeat::Previous { .. }) => {
                hits.all.push(Hit { at, number, kind: HitKind::Repeat });
                return;
            }
        };
        let before = hits.all.len();
        let outline = Outline::of(&record, text);
        for matched in self.matcher.matches(&self.binding, text, &record) {
            let known = self.known(&matched, text, &record, outline, count);
            hits.all.push(Hit { at: at.clone(), number, kind: HitKind::Known(known) });
        }
        if hits.all.len() > before {
            return;
        }
        if self.binding.should_know(&record) && names_an_address(record.message) {
            hits.all.push(Hit { at, number, kind: HitKind::Missed });
        } else {
            hits.gap(at.end);
        }
    }

    /// The hit of one match on a line that was written `count` times.
    #[inline]
    pub(super) fn known(
        &self,
        matched: &Match<'_>,
        line: &[u8],
        record: &Record<'_>,
        outline: Outline,
        count: u32,
    ) -> KnownHit {
        let evidence = matched.evidence(record);
        KnownHit {
            set: matched.set_index,
            rule: matched.rule_index,
            address: matched.address,
            record: outline,
            evidence,
            session: self.session(matched, line, record).map(|key| key.on(evidence)),
            count,
        }
    }

    /// The session of a line. A program that logs no process id has no sessions: each of its lines counts. Where the layout
    /// hides process ids, all lines about one address belong to one session.
    fn session(&self, matched: &Match<'_>, line: &[u8], record: &Record<'_>) -> Option<SessionKey> {
        let program = record.program.unwrap_or_default();
        let speaker = Speaker { writer: &self.writer, host: record.host, program };
        // All programs of one service, as of Postfix, name the same queue id.
        let service = Speaker { program: matched.set.name.as_bytes(), ..speaker };
        match self.matcher.connection(matched, line, record) {
            Connection::Process(pid) => Some(SessionKey::new(speaker, pid)),
            Connection::Id(id) if matched.set.format.needs_source() => {
                Some(SessionKey::of_id(Speaker { host: b"", ..service }, &id))
            }
            Connection::Id(id) => Some(SessionKey::of_id(service, &id)),
            Connection::Doubtful => None,
            Connection::Unnamed => matched
                .address
                .filter(|_| is_of_hidden_connection(matched, record))
                .map(|peer| SessionKey::of_peer(speaker, peer)),
        }
    }
}

/// Whether the line belongs to a connection whose process id the layout hides. Never for rules that need another line of
/// the same connection: a line of a different connection would satisfy them.
fn is_of_hidden_connection(matched: &Match<'_>, record: &Record<'_>) -> bool {
    matched.set.format == Format::Syslog
        && matched.set.evidence == Evidence::Handshake
        && matched.rule.address != AddressFrom::Confirmed
        && record.hides_pids()
}
