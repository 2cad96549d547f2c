//! The positions of a record's parts in its line, which can be kept without borrowing the line.

use super::stamp::StampMarks;
use super::{Layout, Record};

/// A record without its line. It is only valid with the line that it was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outline {
    stamp: StampMarks,
    stamp_text: Span,
    priority: Span,
    host: Span,
    program: Option<Span>,
    pid: Option<u32>,
    message: Span,
    layout: Layout,
}

/// A range of bytes in a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Outline {
    /// The outline of a record that was parsed from this line.
    pub fn of(record: &Record<'_>, line: &[u8]) -> Self {
        Self {
            stamp: record.stamp.marks(),
            stamp_text: Span::of(record.stamp.text(), line),
            priority: Span::of(record.priority, line),
            host: Span::of(record.host, line),
            program: record.program.map(|program| Span::of(program, line)),
            pid: record.pid,
            message: Span::of(record.message, line),
            layout: record.layout,
        }
    }

    /// The record again, on the same line.
    pub fn on<'a>(&self, line: &'a [u8]) -> Record<'a> {
        Record {
            stamp: self.stamp.on(self.stamp_text.on(line)),
            priority: self.priority.on(line),
            host: self.host.on(line),
            program: self.program.map(|program| program.on(line)),
            pid: self.pid,
            message: self.message.on(line),
            layout: self.layout,
        }
    }
}

impl Span {
    /// The position of a part in the line. A part outside the line is an empty one that the parser made.
    fn of(part: &[u8], line: &[u8]) -> Self {
        let start = part.as_ptr().addr().wrapping_sub(line.as_ptr().addr());
        let end = start.saturating_add(part.len());
        if end > line.len() {
            return Self { start: 0, end: 0 };
        }
        // No line is longer than [`super::MAX_LINE`].
        let number = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: number(start), end: number(end) }
    }

    fn on(self, line: &[u8]) -> &[u8] {
        line.get(self.start as usize..self.end as usize).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Layouts, parse_as};

    #[test]
    fn a_record_is_the_same_on_a_copy_of_its_line() {
        for line in [
            "Nov 22 14:38:31 gw sshd[4711]: Failed password for root from 192.0.2.7 port 4 ssh2",
            "<38>1 2026-11-22T14:38:31.123456+01:00 gw sshd 4711 - - Failed",
            "<38>Nov 22 14:38:31 gw sshd[1]: text",
            "Nov 22 2026 14:38:31 gw auth.info sshd[1]: text",
            "2026-11-22 14:38:31.123456-0700  gw sshd[1]: text",
            "Nov 22 14:38:31 gw last message repeated 2 times",
            "Nov 22 14:38:31 [sshd] Failed",
            "@4000000052a3c1f2061d1f9c Failed",
            "no header at all",
            "",
        ] {
            for layouts in [Layouts::Syslog, Layouts::Metalog, Layouts::Supervised] {
                let record = parse_as(line.as_bytes(), layouts);
                let outline = Outline::of(&record, line.as_bytes());
                let copy = line.to_owned();
                assert_eq!(outline.on(copy.as_bytes()), record, "{line}");
            }
        }
    }
}
