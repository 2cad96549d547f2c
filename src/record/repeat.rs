//! Lines that only say that the line before them came again.

use super::{Layout, Record};

/// The most repeats that one line is believed to stand for.
///
/// Any local user may write such a line behind somebody else's single failure (`facts/syslog.md` §3), and each repeat
/// is work. 1,000 is above what is honest: syslogd reports at least every ten minutes, and one sshd session is closed
/// after a handful of failures. What a forged count may still do to a threshold is for the engine to bound.
pub const MAX_REPEATS: u32 = 1000;

/// What a repeat line repeats, and how often; the first time, which has a line of its own, is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat<'a> {
    /// The record just before it in the same source. Ask [`Repeat::is_of`] before counting it again.
    Previous {
        /// How often it came again, at most [`MAX_REPEATS`].
        count: u32,
        /// Whose record it must be, where the line says so; syslogd's says nothing.
        program: Option<&'a [u8]>,
        /// How its message must begin: syslog-ng quotes 20 bytes; empty elsewhere.
        start: &'a [u8],
    },
    /// A message that the line quotes whole. It is of the line's own program and pid.
    Quoted {
        /// How often it came again, at most [`MAX_REPEATS`].
        count: u32,
        /// The message.
        message: &'a [u8],
    },
}

impl Repeat<'_> {
    /// How often the message came again, at most [`MAX_REPEATS`].
    pub fn count(&self) -> u32 {
        match *self {
            Self::Previous { count, .. } | Self::Quoted { count, .. } => count,
        }
    }

    /// Whether the previous record of the source, of which these are program and message, is the one repeated.
    ///
    /// syslog-ng and metalog sign the line with the program it speaks of. If that were not compared, a program whose
    /// text a peer chooses could multiply another program's line. Never so for [`Repeat::Quoted`].
    pub fn is_of(&self, previous: Option<&[u8]>, message: &[u8]) -> bool {
        match *self {
            Self::Previous { program, start, .. } => {
                (program.is_none() || program == previous) && message.starts_with(start)
            }
            Self::Quoted { .. } => false,
        }
    }
}

/// Reads a record as a repeat, if it is one and comes from who may say so:
///
/// | writer | line | accepted from |
/// | --- | --- | --- |
/// | syslogd up to FreeBSD 11, Solaris | `gw last message repeated 2 times` | raw text only |
/// | syslogd since FreeBSD 12 | `gw syslogd: last message repeated 2 times`, also in RFC 5424 | `syslogd` without pid |
/// | syslog-ng | `gw sshd: Last message 'Failed password for ' repeated 2 times, suppressed by syslog-ng on gw` | the program it repeats |
/// | metalog | `                - Last output repeated twice -`, with no header; also `[sshd] Last output repeated 2 times` | a bare line; the program it repeats |
/// | rsyslog | `gw sshd[7]: message repeated 2 times: [ Failed password …]` | the program it repeats |
///
/// Sources: `facts/syslog.md` §3, syslog-ng `logwriter.c`, metalog `metalog.c` (`LAST_OUTPUT`), rsyslog `ratelimit.c`.
/// Old rsyslog's `sshd[7]: last message repeated 2 times` is not believed: any program may say that of another's line.
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

fn syslogd<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let raw = matches!(record.layout, Layout::Syslog | Layout::Busybox) && record.program.is_none();
    let own = record.program == Some(b"syslogd") && record.pid.is_none();
    let (count, rest) = times(record.message.strip_prefix(b"last message repeated ")?)?;
    (rest.is_empty() && (raw || own)).then_some(Repeat::Previous { count, program: None, start: b"" })
}

/// The quote is cut at 20 bytes (`%.20s`) and may hold quotes itself, so its end is looked for from the line's end.
fn syslog_ng<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let program = record.program?;
    let quoted = record.message.strip_prefix(b"Last message '")?;
    let reach = quoted.len().min(LONGEST_QUOTE + b"' repeated ".len());
    let end = memchr::memmem::rfind(&quoted[..reach], b"' repeated ")?;
    let (count, rest) = times(&quoted[end + b"' repeated ".len()..])?;
    rest.starts_with(b", suppressed by syslog-ng on ").then_some(())?;
    Some(Repeat::Previous { count, program: Some(program), start: quoted[..end].trim_ascii_start() })
}

/// How much of a message syslog-ng quotes.
const LONGEST_QUOTE: usize = 20;

fn metalog<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    let count = last_output(record.message, b"")?;
    Some(Repeat::Previous { count, program: record.program, start: b"" })
}

/// metalog's real line has no header at all; a logger that writes headers cannot be made to write one like it.
fn metalog_bare(line: &[u8]) -> Option<Repeat<'static>> {
    let count = last_output(line.strip_prefix(b"                - ")?, b" -")?;
    Some(Repeat::Previous { count, program: None, start: b"" })
}

/// `twice` means once more: metalog writes it when it has left out one line.
fn last_output(text: &[u8], end: &[u8]) -> Option<u32> {
    let text = text.strip_prefix(b"Last output repeated ")?;
    let (count, rest) = text.strip_prefix(b"twice").map(|rest| (1, rest)).or_else(|| times(text))?;
    (rest == end).then_some(count)
}

/// The longest message that rsyslog quotes (`%.800s`); one that long may have lost its end, and is not believed.
const RSYSLOG_CUT: usize = 800;

fn rsyslog<'a>(record: &Record<'a>) -> Option<Repeat<'a>> {
    record.program?;
    let (count, rest) = times(record.message.strip_prefix(b"message repeated ")?)?;
    let quoted = rest.strip_prefix(b": [")?.strip_suffix(b"]")?;
    (quoted.len() < RSYSLOG_CUT).then_some(Repeat::Quoted { count, message: quoted.trim_ascii_start() })
}

/// Reads `12 times`, capped, and what follows it.
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
    use crate::record::parse;

    fn read(line: &str) -> Option<Repeat<'_>> {
        repeat(&parse(line.as_bytes()))
    }

    fn anybodys(count: u32) -> Option<Repeat<'static>> {
        Some(Repeat::Previous { count, program: None, start: b"" })
    }

    #[test]
    fn syslogds_repeats_are_of_whatever_came_before() {
        for line in [
            "Nov 22 14:38:31 gw last message repeated 3 times",
            "Nov 22 14:38:31 <auth.info> gw last message repeated 3 times",
            "Nov 22 14:38:31 gw syslogd: last message repeated 3 times",
            "<38>1 2026-11-22T14:38:31.123456+01:00 gw syslogd - - - last message repeated 3 times",
            "                - Last output repeated 3 times -",
        ] {
            assert_eq!(read(line), anybodys(3), "{line}");
        }
        assert_eq!(read("Nov 22 14:38:31 gw syslogd: last message repeated 1 times"), anybodys(1));
        assert_eq!(read("                - Last output repeated twice -"), anybodys(1));
    }

    #[test]
    fn signed_repeats_are_of_the_same_program() {
        let ng = "Nov 22 14:38:31 gw sshd[9]: Last message 'Failed password for ' repeated 2 times, suppressed by syslog-ng on gw";
        let ng = read(ng).expect("a repeat");
        assert_eq!(ng.count(), 2);
        assert!(ng.is_of(Some(b"sshd"), b"Failed password for root from 192.0.2.7 port 1 ssh2"));
        assert!(!ng.is_of(Some(b"httpd"), b"Failed password for root"));
        assert!(!ng.is_of(None, b"Failed password for root"));
        assert!(!ng.is_of(Some(b"sshd"), b"Invalid user"));
        let metalog = read("Nov 22 14:38:31 [sshd] Last output repeated twice").expect("a repeat");
        assert!(
            metalog.count() == 1 && metalog.is_of(Some(b"sshd"), b"x") && !metalog.is_of(Some(b"su"), b"x")
        );
        assert_eq!(
            read("Nov 22 14:38:31 [sshd] Last output repeated 7 times").map(|repeat| repeat.count()),
            Some(7)
        );
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

    /// mistakes.md: a repeat counts, but only when the logger itself says so.
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
    fn a_quote_may_hold_the_words_around_it() {
        let line = "Nov 22 14:38:31 gw a: Last message 'b' repeated 9 times' repeated 2 times, suppressed by syslog-ng on gw";
        assert_eq!(read(line).map(|repeat| repeat.count()), Some(2));
    }

    #[test]
    fn huge_counts_are_held_at_the_cap() {
        let line = format!("Nov 22 14:38:31 gw syslogd: last message repeated {} times", "9".repeat(500));
        assert_eq!(read(&line), anybodys(MAX_REPEATS));
        assert_eq!(
            read("Nov 22 14:38:31 gw syslogd: last message repeated 1001 times"),
            anybodys(MAX_REPEATS)
        );
        assert_eq!(read("Nov 22 14:38:31 gw syslogd: last message repeated 0 times"), anybodys(0));
    }
}
