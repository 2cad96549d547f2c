//! Lines that only report how often the line before them was repeated.

use super::{Layout, Record, tag};

/// The highest count that one line is believed to stand for.
///
/// Any local user may write such a line after somebody else's single failure with logger(1), and each repeat is work.
/// 1,000 is above any honest count: syslogd reports at least every ten minutes, and sshd closes a session after a handful
/// of failures. The engine bounds what a forged count can still do to a threshold.
pub const MAX_REPEATS: u32 = 1000;

/// What was repeated, and how often; the first time, which has a line of its own, is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat<'a> {
    /// The record just before it in the same source. Check [`Repeat::is_of`] before counting that again.
    Previous {
        /// How often it was repeated, at most [`MAX_REPEATS`].
        count: u32,
        /// The logger that says so.
        writer: Writer<'a>,
    },
    /// A message that the line quotes completely. It has the line's own program and pid.
    Quoted {
        /// How often it was repeated, at most [`MAX_REPEATS`].
        count: u32,
        /// The quoted message.
        message: &'a [u8],
    },
}

/// The loggers that report a repeat of the previous record, and what each says about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer<'a> {
    /// syslogd, which names the record's host, and its priority if it prints priorities.
    Syslogd {
        /// The host that the record must be of.
        host: &'a [u8],
        /// The priority that the record must have, if both lines print one.
        priority: &'a [u8],
    },
    /// syslog-ng, which signs with the program and quotes the first bytes of the message.
    SyslogNg {
        /// The program that the record must be of.
        program: &'a [u8],
        /// The bytes that its message must begin with.
        start: &'a [u8],
    },
    /// metalog, which may sign with the program.
    Metalog {
        /// The program that the record must be of, if the line names one.
        program: Option<&'a [u8]>,
    },
}

impl Repeat<'_> {
    /// How often the message was repeated, at most [`MAX_REPEATS`].
    pub fn count(&self) -> u32 {
        match *self {
            Self::Previous { count, .. } | Self::Quoted { count, .. } => count,
        }
    }

    /// Whether the source's previous record is the one that was repeated. Always false for [`Repeat::Quoted`].
    ///
    /// A reader keeps the bytes of the last line that mattered and parses them again when a repeat comes; nothing is kept
    /// over a rotation. Everything that the line says about that record is compared: otherwise a program whose text a
    /// peer chooses could multiply another program's line.
    pub fn is_of(&self, previous: &Record<'_>) -> bool {
        match *self {
            Self::Previous { writer, .. } => writer.may_mean(previous),
            Self::Quoted { .. } => false,
        }
    }
}

impl Writer<'_> {
    fn may_mean(&self, previous: &Record<'_>) -> bool {
        match *self {
            Self::Syslogd { host, priority } => {
                let may_be =
                    priority.is_empty() || previous.priority.is_empty() || previous.priority == priority;
                let is_syslog = matches!(previous.layout, Layout::Syslog | Layout::Busybox);
                is_syslog && previous.host == host && may_be
            }
            Self::SyslogNg { program, start } => {
                previous.program == Some(program) && previous.message.starts_with(start)
            }
            Self::Metalog { program } => {
                previous.layout == Layout::Metalog && (program.is_none() || program == previous.program)
            }
        }
    }
}

/// Parses a record as a repeat, if it is one and its writer may say so:
///
/// | writer | line | accepted from |
/// | --- | --- | --- |
/// | syslogd up to FreeBSD 11, Solaris | `gw last message repeated 2 times` | raw text only |
/// | syslogd since FreeBSD 12 | `gw syslogd: last message repeated 2 times`, also in RFC 5424 | `syslogd` without pid |
/// | syslog-ng | `gw sshd: Last message 'Failed password for ' repeated 2 times, suppressed by syslog-ng on gw` | the program it repeats |
/// | metalog | `                - Last output repeated twice -`, with no header; also `[sshd] Last output repeated 2 times` | a bare line; the program it repeats |
/// | rsyslog | `gw sshd[7]: message repeated 2 times: [ Failed password …]` | the program it repeats |
///
/// Sources: FreeBSD `usr.sbin/syslogd/syslogd.c`, syslog-ng `logwriter.c`, metalog `metalog.c` (`LAST_OUTPUT`), rsyslog
/// `ratelimit.c`.
/// Old rsyslog's `sshd[7]: last message repeated 2 times` is not believed: any program could say that about another's
/// line.
pub fn repeat<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    match record.message.first()? {
        b'l' => syslogd(record),
        b'L' if record.layout == Layout::Metalog => metalog(record),
        b'L' => syslog_ng(record),
        b'm' => rsyslog(record),
        b' ' if record.layout == Layout::Unknown => metalog_bare(record.message),
        _ => None,
    }
}

/// Whether the record is newsyslog(8)'s own note that a log was rotated, the last line of the old file and the first of
/// the new one.
///
/// newsyslog writes it into the files itself, before it signals syslogd: "last message repeated" behind it refers to the
/// record before it, the only one that syslogd knows of.
pub fn is_turned_over(record: &Record<'_>) -> bool {
    record.program == Some(b"newsyslog")
        && record.pid.is_some()
        && record.message.starts_with(b"logfile turned over")
}

fn syslogd<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let raw = matches!(record.layout, Layout::Syslog | Layout::Busybox) && record.program.is_none();
    let own = record.program == Some(b"syslogd") && record.pid.is_none();
    let (count, rest) = times(record.message.strip_prefix(b"last message repeated ")?)?;
    let writer = Writer::Syslogd { host: record.host, priority: record.priority };
    (rest.is_empty() && (raw || own)).then_some(Repeat::Previous { count, writer })
}

/// The quoted text is cut at 20 bytes (`%.20s`) and may hold quotes itself, so its end is searched for backwards.
fn syslog_ng<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let program = record.program?;
    let quoted = record.message.strip_prefix(b"Last message '")?;
    let reach = quoted.len().min(MAX_QUOTE + b"' repeated ".len());
    let end = memchr::memmem::rfind(&quoted[..reach], b"' repeated ")?;
    let (count, rest) = times(&quoted[end + b"' repeated ".len()..])?;
    let host = rest.strip_prefix(b", suppressed by syslog-ng on ")?;
    if host.is_empty() || !tag::is_host(host) {
        return None;
    }
    let start = quoted[..end].trim_ascii_start();
    Some(Repeat::Previous { count, writer: Writer::SyslogNg { program, start } })
}

/// The number of bytes of a message that syslog-ng quotes.
const MAX_QUOTE: usize = 20;

fn metalog<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let count = last_output(record.message, b"")?;
    Some(Repeat::Previous { count, writer: Writer::Metalog { program: record.program } })
}

/// metalog's own line has no header at all. A peer may be able to write such a line into a file without headers, so it
/// refers only to metalog's records.
fn metalog_bare(line: &[u8]) -> Option<Repeat<'static>> {
    let count = last_output(line.strip_prefix(b"                - ")?, b" -")?;
    Some(Repeat::Previous { count, writer: Writer::Metalog { program: None } })
}

/// `twice` means one repeat: metalog writes it when it has left out one line.
fn last_output(text: &[u8], end: &[u8]) -> Option<u32> {
    let text = text.strip_prefix(b"Last output repeated ")?;
    let (count, rest) = text.strip_prefix(b"twice").map(|rest| (1, rest)).or_else(|| times(text))?;
    (rest == end).then_some(count)
}

/// The length in bytes at which rsyslog cuts the message that it quotes (`%.800s`); one of this length may have lost its
/// end and is not believed.
const RSYSLOG_CUT: usize = 800;

fn rsyslog<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    record.program?;
    let (count, rest) = times(record.message.strip_prefix(b"message repeated ")?)?;
    let quoted = rest.strip_prefix(b": [")?.strip_suffix(b"]")?;
    (quoted.len() < RSYSLOG_CUT).then_some(Repeat::Quoted { count, message: quoted.trim_ascii_start() })
}

/// Parses `12 times`, capped, and returns the text behind it.
fn times(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let rest = text[digits..].strip_prefix(b" time")?;
    let rest = rest.strip_prefix(b"s").unwrap_or(rest);
    (digits > 0).then(|| (capped(&text[..digits]), rest))
}

fn capped(digits: &[u8]) -> u32 {
    digits.iter().fold(0, |value: u32, byte| (value * 10 + u32::from(byte - b'0')).min(MAX_REPEATS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Layouts, parse, parse_as};

    fn read(line: &str) -> Option<Repeat<'_>> {
        repeat(&parse(line.as_bytes()))
    }

    fn count(line: &str) -> Option<u32> {
        read(line).map(|repeat| repeat.count())
    }

    fn is_of(repeat: &str, previous: &str) -> bool {
        read(repeat).expect("a repeat").is_of(&parse(previous.as_bytes()))
    }

    #[test]
    fn syslogds_repeats_are_of_whatever_came_before() {
        for line in [
            "Nov 22 14:38:31 gw last message repeated 3 times",
            "Nov 22 14:38:31 <auth.info> gw last message repeated 3 times",
            "Nov 22 14:38:31 gw syslogd: last message repeated 3 times",
            "<38>1 2026-11-22T14:38:31.123456+01:00 gw syslogd - - - last message repeated 3 times",
        ] {
            assert_eq!(count(line), Some(3), "{line}");
            assert!(is_of(line, "Nov 22 14:38:31 gw sshd[7]: x"));
            assert!(!is_of(line, "no header"));
            assert!(
                !is_of(line, "Nov 22 14:38:31 other sshd[7]: x"),
                "one file may have lines of many hosts"
            );
        }
        assert_eq!(count("Nov 22 14:38:31 gw syslogd: last message repeated 1 times"), Some(1));
    }

    /// syslogd prints the priority of the line that came again.
    #[test]
    fn a_repeat_of_another_priority_is_of_another_line() {
        let stamp = "2026-11-22T14:38:31.123456+01:00 gw";
        for (previous, repeat, want) in [
            (format!("<38>1 {stamp} sshd 7 - - x"), format!("<38>1 {stamp} syslogd - - - "), true),
            (format!("<38>1 {stamp} sshd 7 - - x"), format!("<30>1 {stamp} syslogd - - - "), false),
            ("Nov 22 14:38:31 <4.6> gw sshd[7]: x".into(), "Nov 22 14:38:32 <4.6> gw syslogd: ".into(), true),
            (
                "Nov 22 14:38:31 <4.6> gw sshd[7]: x".into(),
                "Nov 22 14:38:32 <3.5> gw syslogd: ".into(),
                false,
            ),
            ("Nov 22 14:38:31 <4.6> gw sshd[7]: x".into(), "Nov 22 14:38:32 <3.5> gw ".into(), false),
        ] {
            let repeat = format!("{repeat}last message repeated 20 times");
            assert_eq!(is_of(&repeat, &previous), want, "{repeat} after {previous}");
        }
    }

    #[test]
    fn syslog_ngs_repeats_are_of_the_program_and_text_that_they_name() {
        let line = "Nov 22 14:38:31 gw sshd[9]: Last message 'Failed password for ' repeated 2 times, suppressed by \
                    syslog-ng on gw";
        assert_eq!(count(line), Some(2));
        assert!(is_of(
            line,
            "Nov 22 14:38:31 gw sshd[7]: Failed password for root from 192.0.2.7 port 1 ssh2"
        ));
        assert!(!is_of(line, "Nov 22 14:38:31 gw sshd[7]: Invalid user"));
        assert!(!is_of(line, "Nov 22 14:38:31 gw httpd[7]: Failed password for root"));
        assert!(!is_of(line, "Nov 22 14:38:31 gw Failed password for root"));
    }

    #[test]
    fn metalogs_repeats_are_of_its_own_records() {
        let bare = "                - Last output repeated twice -";
        let signed = "Nov 22 14:38:31 [sshd] Last output repeated 7 times";
        let as_metalog = |line: &'static str| parse_as(line.as_bytes(), Layouts::Metalog);
        let count = |line| repeat(&as_metalog(line)).map(|repeat| repeat.count());
        assert_eq!(count(bare), Some(1), "it was there once already");
        assert_eq!(count(signed), Some(7));
        assert_eq!(repeat(&parse(signed.as_bytes())), None, "nobody said that it is metalog's");
        for (line, previous, want) in [
            (bare, "Nov 22 14:38:31 [sshd] x", true),
            (bare, "Nov 22 14:38:31 gw sshd[7]: x", false),
            (bare, "a file without headers", false),
            (signed, "Nov 22 14:38:31 [sshd] x", true),
            (signed, "Nov 22 14:38:31 [su] x", false),
        ] {
            let repeat = repeat(&as_metalog(line)).expect("a repeat");
            assert_eq!(repeat.is_of(&as_metalog(previous)), want, "{line} after {previous}");
        }
    }

    #[test]
    fn rsyslogs_repeat_quotes_the_message() {
        let record =
            parse(b"Nov 22 14:38:31 gw sshd[7]: message repeated 3 times: [ Failed password for [x]]");
        assert_eq!(record.pid, Some(7));
        let quoted = Some(Repeat::Quoted { count: 3, message: b"Failed password for [x]" });
        assert_eq!(repeat(&record), quoted);
        let cut = format!("Nov 22 14:38:31 gw sshd[7]: message repeated 3 times: [{}]", "x".repeat(800));
        assert_eq!(read(&cut), None, "its end may be lost");
    }

    /// A repeat counts, but only when the logger itself says so.
    #[test]
    fn nobody_else_may_repeat() {
        for line in [
            "Nov 22 14:38:31 gw sshd[7]: last message repeated 5 times",
            "Nov 22 14:38:31 gw httpd: last message repeated 5 times",
            "Nov 22 14:38:31 gw syslogd[7]: last message repeated 5 times",
            "Nov 22 14:38:31 gw syslogd: last message repeated 5 times!",
            "Nov 22 14:38:31 gw syslogd: last message repeated  times",
            "Nov 22 14:38:31 gw syslogd: last message repeated -1 times",
            "Nov 22 14:38:31 gw syslogd: the last message repeated 5 times",
            "Nov 22 14:38:31 gw message repeated 3 times: [ x]",
            "Nov 22 14:38:31 gw sshd: Last output repeated 5 times",
            "Nov 22 14:38:31 gw Last message 'x' repeated 5 times, suppressed by syslog-ng on gw",
            "Nov 22 14:38:31 gw sshd: Last message 'x' repeated 5 times, suppressed by nobody",
            "Nov 22 14:38:31 gw sshd: Last message 'x' repeated 5 times, suppressed by syslog-ng on x from 192.0.2.7",
            "2015-05-27T04:31:27.46667 auth.info: last message repeated 5 times",
            "2015-05-27T04:31:27.46667 last message repeated 5 times",
            "last message repeated 5 times",
            "                - Last output repeated 5 times",
            "               - Last output repeated 5 times -",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn newsyslogs_note_is_its_own() {
        let is = |line: &str| is_turned_over(&parse(line.as_bytes()));
        for line in [
            "Nov 22 15:48:27 gw newsyslog[559]: logfile turned over",
            "Nov 22 15:48:27 gw newsyslog[559]: logfile turned over due to size>1000K",
            "<14>1 2026-11-22T15:48:27.000000+00:00 gw newsyslog 559 - - logfile turned over due to -F request",
        ] {
            assert!(is(line), "{line}");
        }
        for line in [
            "Nov 22 15:48:27 gw newsyslog: logfile turned over",
            "Nov 22 15:48:27 gw newsyslog[559]: logfile first created",
            "Nov 22 15:48:27 gw sshd[559]: logfile turned over",
            "logfile turned over",
        ] {
            assert!(!is(line), "{line}");
        }
    }

    #[test]
    fn a_quote_may_hold_the_words_around_it() {
        let line = "Nov 22 14:38:31 gw a: Last message 'b' repeated 9 times' repeated 2 times, suppressed by syslog-ng on gw";
        assert_eq!(count(line), Some(2));
    }

    #[test]
    fn huge_counts_are_held_at_the_cap() {
        let line = format!("Nov 22 14:38:31 gw syslogd: last message repeated {} times", "9".repeat(500));
        assert_eq!(count(&line), Some(MAX_REPEATS));
        assert_eq!(count("Nov 22 14:38:31 gw syslogd: last message repeated 1001 times"), Some(MAX_REPEATS));
        assert_eq!(count("Nov 22 14:38:31 gw syslogd: last message repeated 0 times"), Some(0));
    }
}
