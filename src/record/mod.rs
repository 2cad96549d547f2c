//! Records: the time, host, program, pid and message of a log line.
//!
//! [`text`] strips from a line what no program wrote, [`parse`] reads it, [`repeat()`] recognises lines that only count
//! the one before, [`Clock`] turns a timestamp into a point in time, and [`may_be_cut`] says whether the logger may have
//! cut off the line's end. [`ExportReader`] and [`write_line`] make lines of the systemd journal's entries. Nothing here does I/O
//! or asks a clock, and what reads lines allocates nothing per line.
//!
//! **Whose word is it?** A rule set applies to one program, so the program's name must come from the logger, never from
//! text that a program wrote. Hence every layout is read from the left at fixed places, nothing is searched for, and a
//! line that fits no layout exactly has no program. The price is that lines of odd layouts are lost; the gain is that `gw
//! httpd[1]: sshd[2]: Failed …` is httpd's and `gw foo sshd[1]: …` is nobody's.

mod clock;
mod cut;
mod date;
mod export;
mod format;
mod header;
mod json;
mod lag;
mod layout;
mod lines;
mod outline;
mod priority;
mod repeat;
mod rfc5424;
mod sender;
mod service;
mod stamp;
mod supervised;
mod tag;

pub use clock::{Clock, FUTURE_SLACK, ORDER_SLACK};
pub use cut::{MIN_CUT_MESSAGE, may_be_cut};
pub use date::offset;
pub use export::{ExportReader, FIELDS, JournalEntry, NoExport};
pub use format::{FormatError, TimeFormat};
pub use lag::{Lag, Written};
pub use layout::{Layout, Layouts};
pub use lines::{MAX_LINE, text};
pub use outline::Outline;
pub use priority::named_priority_regex;
pub use repeat::{MAX_REPEATS, Repeat, Writer, is_turned_over, repeat};
pub use sender::{ProgramNames, Sent, write_line};
pub use service::{TimePlace, TimeSpec, known_beginning_regex, known_regex};
pub use stamp::Stamp;
pub use tag::is_program_name;

/// One parsed log line. All texts are borrowed from the line and may hold any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The timestamp as printed; [`Clock::time`] interprets it.
    pub stamp: Stamp<'a>,
    /// Facility and severity as printed (`auth.info`, `4.6`, RFC 5424's `38`); empty if the line has none.
    pub priority: &'a [u8],
    /// The host name as printed; empty if the layout has none.
    pub host: &'a [u8],
    /// The program's name without its pid, `kernel` for all kernel lines; `None` if the line has none, see [`Layout`].
    pub program: Option<&'a [u8]>,
    /// The process id, if printed.
    pub pid: Option<u32>,
    /// The message without header and leading blanks; the whole line if it has no known header.
    pub message: &'a [u8],
    /// The kind of header.
    pub layout: Layout,
}

impl<'a> Record<'a> {
    fn unknown(line: &'a [u8]) -> Self {
        let stamp = Stamp::default();
        let empty = &line[..0];
        let program = None;
        let pid = None;
        let layout = Layout::Unknown;
        Self { stamp, priority: empty, host: empty, program, pid, message: line, layout }
    }

    /// Whether the line has a logger's header. Its timestamp then counts, whatever else the line holds.
    pub fn is_headed(&self) -> bool {
        self.program.is_some() || self.any_program()
    }

    /// The record with another layout, unless its own is a less credible one.
    fn in_layout(self, layout: Layout) -> Self {
        let layout = if self.layout == Layout::MessageId { self.layout } else { layout };
        Self { layout, ..self }
    }

    /// Whether the layout hides process ids.
    pub fn hides_pids(&self) -> bool {
        matches!(self.layout, Layout::Metalog | Layout::Bare)
    }

    /// Whether the whole line, header included, may be text of a peer's choosing, as far as its layout tells.
    ///
    /// A supervisor puts a timestamp before each line that its service writes. If the service writes newlines that a peer
    /// sent, as `sshd -e` does, a whole line may be the peer's; through syslog(3) sshd encodes them. For the other
    /// layouts see [`Layout::BracketedHost`] and [`Layout::MessageId`].
    pub fn may_be_forged(&self) -> bool {
        self.stamp.is_supervisors() || matches!(self.layout, Layout::BracketedHost | Layout::MessageId)
    }

    /// Whether the layout has no place for a program, so that a rule set of any program may try the message.
    pub fn any_program(&self) -> bool {
        self.layout == Layout::Bare
    }
}

/// Parses one line of a syslog daemon's log, without its newline. Never fails: a line without a known header is all
/// message.
pub fn parse(line: &[u8]) -> Record<'_> {
    parse_as(line, Layouts::Syslog)
}

/// Parses one line of a log whose lines have these layouts. A line in another layout names no program.
pub fn parse_as(line: &[u8], layouts: Layouts) -> Record<'_> {
    let known = match line.first() {
        Some(b'<') if layouts == Layouts::Syslog => rfc5424::read(line).or_else(|| packet(line)),
        Some(b'A'..=b'Z') => match stamp::bsd(line) {
            Some(read) => Some(behind_stamp(read, layouts)),
            None if layouts == Layouts::Syslog => behind_weekday(line),
            None => None,
        },
        // A line that begins with a year: ISO timestamps of all writers, or a BSD timestamp with the year in front.
        Some(b'0'..=b'9') => {
            let read = stamp::iso(line).or_else(|| stamp::bsd_behind_year(line));
            read.map(|read| behind_stamp(read, layouts))
        }
        Some(b'@') => stamp::tai64n(line).map(|read| behind_stamp(read, layouts)),
        _ => None,
    };
    known.unwrap_or_else(|| Record::unknown(line))
}

/// Parses a packet of RFC 3164 as it was sent, or rsyslog's `RSYSLOG_ForwardFormat`: `<38>Nov 22 14:38:31 gw sshd[1]:
/// text`.
fn packet(line: &[u8]) -> Option<Record<'_>> {
    let (priority, rest) = priority::numbered(line)?;
    let (stamp, rest) = stamp::bsd(rest).or_else(|| stamp::iso(rest))?;
    if stamp.is_supervisors() {
        return None;
    }
    Some(Record { priority, ..header::read(stamp, rest) })
}

/// Parses a line that begins with the day of the week: `OpenWrt`'s, journalctl's `short-full`, or a BSD header behind it.
///
/// Many programs write logs of their own with the year at the end of the timestamp, but no syslog daemon except
/// `OpenWrt`'s does.
fn behind_weekday(line: &[u8]) -> Option<Record<'_>> {
    let rest = stamp::behind_weekday(line)?;
    if let Some((stamp, rest)) = stamp::bsd_before_year(rest) {
        return header::openwrt(stamp, rest);
    }
    let (stamp, rest) = stamp::bsd(rest).or_else(|| stamp::iso_before_zone(rest))?;
    Some(header::read(stamp, rest))
}

/// Parses a line whose log is unknown, as in a sample or a question: in the first of all layouts that it fits, which is
/// returned too.
pub fn parse_as_any(line: &[u8]) -> (Layouts, Record<'_>) {
    let read = |layouts| (layouts, parse_as(line, layouts));
    let others = [Layouts::Metalog, Layouts::Supervised].map(read);
    let mut known = [read(Layouts::Syslog)].into_iter().chain(others);
    known
        .find(|(_, record)| record.program.is_some() || record.any_program())
        .unwrap_or_else(|| read(Layouts::Syslog))
}

/// Parses what follows a timestamp. If the timestamp is not of the kind that the source's writer prints, a header behind
/// it is not believed.
fn behind_stamp<'a>((stamp, rest): (Stamp<'a>, &'a [u8]), layouts: Layouts) -> Record<'a> {
    match (layouts, stamp.is_supervisors()) {
        (Layouts::Syslog, false) => header::read(stamp, rest),
        (Layouts::Metalog, false) => header::metalog(stamp, rest),
        (Layouts::Supervised, true) => supervised::read(stamp, rest),
        (Layouts::Syslog | Layouts::Metalog, true) | (Layouts::Supervised, false) => {
            Record { layout: Layout::Foreign, ..tag::raw(stamp, &rest[..0], rest) }
        }
    }
}

#[cfg(test)]
mod tests;
