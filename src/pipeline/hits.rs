//! What the rule sets know of the lines of a log. It depends on the lines alone, and on nothing that was read or judged
//! before: several threads may look for it in several pieces of a log.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::split::{LineSplitter, SplitLine};
use crate::engine::{SessionKey, Speaker};
use crate::record::{self, Outline, Record, Repeat};
use crate::rules::{AddressFrom, Binding, Connection, Evidence, Format, Match, Matcher};

/// The rule sets, as they are asked about one log.
#[derive(Clone, Debug)]
pub struct HitFinder {
    pub(super) matcher: Arc<Matcher>,
    pub(super) binding: Arc<Binding>,
    pub(super) writer: Arc<str>,
}

/// What was found in lines, in their order. It may be used again and again, and then allocates nothing.
#[derive(Debug, Default)]
pub struct Hits {
    all: Vec<Hit>,
    lines: u64,
}

/// What bears on a decision.
#[derive(Clone, Debug)]
pub struct Hit {
    /// Where the line stands among the lines looked at; of a gap, where it ends.
    pub(super) at: Range<usize>,
    /// How many lines stand before it.
    pub(super) number: u64,
    pub(super) kind: HitKind,
}

#[derive(Clone, Debug)]
pub(super) enum HitKind {
    /// A rule set knows the line. Of several the hits follow each other.
    Known(KnownHit),
    /// It says that the line before it came again.
    Repeat,
    /// Here lines were passed over that no rule set knows: what follows is no repeat of what stands before.
    Gap,
}

/// What a rule set knows of a line.
#[derive(Clone, Debug)]
pub(super) struct KnownHit {
    pub(super) set: usize,
    pub(super) rule: usize,
    pub(super) address: Option<IpAddr>,
    /// The line as a record; what rsyslog quotes as repeated is its message.
    pub(super) record: Outline,
    pub(super) evidence: Evidence,
    pub(super) session: Option<SessionKey>,
    /// How many times the line was written.
    pub(super) count: u32,
}

impl Hits {
    /// How many lines were looked at.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// All of them.
    pub fn all(&self) -> &[Hit] {
        &self.all
    }

    fn gap(&mut self, at: usize) {
        self.all.push(Hit { at: at..at, number: 0, kind: HitKind::Gap });
    }
}

impl Hit {
    /// Where its line ends among the lines looked at.
    pub fn end(&self) -> usize {
        self.at.end
    }

    /// Whether both are what rule sets know of one line.
    pub(super) fn is_of_line_of(&self, other: &Self) -> bool {
        let are_known = matches!((&self.kind, &other.kind), (HitKind::Known(_), HitKind::Known(_)));
        are_known && self.at == other.at
    }
}

impl HitFinder {
    /// Looks at whole lines, and puts what it finds in the place of what was there.
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
        // In a program's own log nobody but the program writes, and it repeats nothing.
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
        if hits.all.len() == before {
            hits.gap(at.end);
        }
    }

    /// What a rule set knows of a line that was written so many times.
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

    /// The session of a line. A program that gives no process id has none: each of its lines counts. But where the layout
    /// hides the process ids that sshd and its like give, all lines about one address are of one session.
    fn session(&self, matched: &Match<'_>, line: &[u8], record: &Record<'_>) -> Option<SessionKey> {
        let program = record.program.unwrap_or_default();
        let speaker = Speaker { writer: &self.writer, host: record.host, program };
        // Of the parts of one service, as Postfix has them, each names the same queue id.
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

/// Whether the line is of a connection of which the layout hides the process id. Not for rules that need another line of
/// the same connection: other connections would do.
fn is_of_hidden_connection(matched: &Match<'_>, record: &Record<'_>) -> bool {
    matched.set.format == Format::Syslog
        && matched.set.evidence == Evidence::Handshake
        && matched.rule.address != AddressFrom::Confirmed
        && record.hides_pids()
}
