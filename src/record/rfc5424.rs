//! RFC 5424: `<PRI>1 STAMP HOST APP PROCID MSGID STRUCTURED-DATA MESSAGE`, what FreeBSD's `syslogd -O rfc5424` writes.

use super::lines::without_bom;
use super::priority::number;
use super::tag::{self, Tag};
use super::{Record, Stamp, priority, stamp};

/// Parses a whole line; `None` if it does not have exactly this layout.
pub(super) fn read(line: &[u8]) -> Option<Record<'_>> {
    let (priority, rest) = priority::numbered(line)?;
    let record = behind_version(rest.strip_prefix(b"1 ")?)?;
    Some(Record { priority, ..record })
}

/// Parses what a syslogd that does not know this layout wrote behind a header of its own, from behind the version on:
/// `Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.123456+01:00 gw.example.org sshd 29842 - - MESSAGE`.
///
/// syslog(3) of FreeBSD since 12 sends RFC 5424; FreeBSD's syslogd up to 11, syslog-ng before 3.19 and others only strip
/// the priority. The outer timestamp and host count: the inner ones are the sender's word. The kernel does not log
/// through syslog(3).
pub(super) fn embedded<'a>(stamp: Stamp<'a>, host: &'a [u8], rest: &'a [u8]) -> Option<Record<'a>> {
    let record = behind_version(rest).filter(|record| record.program != Some(b"kernel"))?;
    Some(Record { stamp, host, ..record })
}

fn behind_version(rest: &[u8]) -> Option<Record<'_>> {
    let (stamp, rest) = read_stamp(rest)?;
    let (host, rest) = field(rest)?;
    let (program, rest) = field(rest)?;
    let (pid, rest) = field(rest)?;
    let (_, rest) = field(rest)?;
    let message = behind_structured_data(rest)?;
    Some(match program {
        [] => tag::raw(stamp, host, without_bom(message)),
        _ => tag::signed(stamp, host, Tag::new(program, number(pid)), message),
    })
}

fn read_stamp(rest: &[u8]) -> Option<(Stamp<'_>, &[u8])> {
    match rest.strip_prefix(b"- ") {
        Some(rest) => Some((Stamp::default(), rest)),
        None => stamp::iso(rest).filter(|(stamp, _)| stamp.text().get(10) == Some(&b'T')),
    }
}

/// One field, and the rest behind its blank; `-` means an empty field.
fn field(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b' ', rest).filter(|&end| end > 0)?;
    let value = if &rest[..end] == b"-" { &rest[..0] } else { &rest[..end] };
    Some((value, &rest[end + 1..]))
}

/// The message behind `-` or `[id key="value"][…]`, and behind the blank that separates it.
fn behind_structured_data(rest: &[u8]) -> Option<&[u8]> {
    let mut rest = match rest {
        [b'-', rest @ ..] => rest,
        [b'[', ..] => rest,
        _ => return None,
    };
    while let [b'[', inside @ ..] = rest {
        rest = &inside[element_end(inside)? + 1..];
    }
    match rest {
        [] => Some(rest),
        [b' ', message @ ..] => Some(message),
        _ => None,
    }
}

/// The position of the `]` that ends an element. Inside quotes a bracket is text, and so is an escaped character
/// (§6.3.3).
fn element_end(inside: &[u8]) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    inside.iter().position(|&byte| {
        let plain = !std::mem::take(&mut escaped);
        match byte {
            b'\\' if quoted && plain => escaped = true,
            b'"' if plain => quoted = !quoted,
            _ => {}
        }
        byte == b']' && !quoted
    })
}

#[cfg(test)]
mod tests {
    use crate::record::{Layout, parse};

    fn message(sd_and_message: &str) -> Option<Vec<u8>> {
        let line = format!("<38>1 2026-11-22T14:38:31.123456+01:00 gw sshd 7 - {sd_and_message}");
        let record = parse(line.as_bytes());
        (record.layout == Layout::Syslog).then(|| record.message.to_vec())
    }

    #[test]
    fn the_message_begins_behind_the_structured_data() {
        for text in [
            "- x y",
            "-  x y",
            "[a@1 k=\"v\"] x y",
            "[a@1 k=\"v\"][b] x y",
            "[a@1 k=\"]\"] x y",
            "[a@1 k=\"\\\"] sshd \\]\" l=\"\\\\\"] x y",
            "- \u{feff}x y",
        ] {
            assert_eq!(message(text).as_deref(), Some(&b"x y"[..]), "{text}");
        }
        assert_eq!(message("-").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_quoted_bracket_does_not_let_a_value_pass_for_the_message() {
        let forged = "[a@1 user=\"x\\\"] Failed password for root from 8.8.8.8 port 1 ssh2\"] true text";
        assert_eq!(message(forged).as_deref(), Some(&b"true text"[..]));
    }

    #[test]
    fn what_breaks_the_grammar_has_no_program() {
        for text in ["[a@1 k=\"v\" x y", "[a]x y", "x y", "-x", "", "[a k=\"v]\" x"] {
            assert_eq!(message(text), None, "{text}");
        }
        for line in [
            "<38>2 2026-11-22T14:38:31Z gw sshd 7 - - x",
            "<192>1 2026-11-22T14:38:31Z gw sshd 7 - - x",
            "<>1 2026-11-22T14:38:31Z gw sshd 7 - - x",
            "<38>1 2026-11-22 14:38:31 gw sshd 7 - - x",
            "<38>1 Nov 22 14:38:31 gw sshd 7 - - x",
            "<38>1 2026-11-22T14:38:31Z gw  sshd 7 - - x",
        ] {
            assert_eq!(parse(line.as_bytes()).layout, Layout::Unknown, "{line}");
        }
    }

    #[test]
    fn a_process_id_that_is_no_number_is_none() {
        let record = parse(b"<38>1 - gw app main - - x");
        assert_eq!((record.program, record.pid), (Some(&b"app"[..]), None));
    }
}
