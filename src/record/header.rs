//! The header between timestamp and message in BSD-like layouts: priority, host, tag.

use memchr::memchr;

use super::lines::without_bom;
use super::{Layout, Record, Stamp, priority, rfc5424};

/// The program that signed a message.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    program: &'a [u8],
    pid: Option<u32>,
}

/// Parses what follows a timestamp: `[<auth.info> ][HOST ][auth.info ]TAG MESSAGE`, or RFC 5424 in place of the tag.
///
/// The tag is the first or the second word, or the third after a priority in words; anything else is raw text.
pub(super) fn read<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (priority, rest) = priority::bracketed(rest);
    Record { priority, ..behind_priority(stamp, rest) }
}

fn behind_priority<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (first, after) = word(rest);
    let nobody = &rest[..0];
    if let Some(record) = forwarded(stamp, rest) {
        return record;
    }
    if let Some(tag) = tag(first) {
        return signed(stamp, nobody, tag, after);
    }
    if !is_host(first) {
        return behind_odd_word(stamp, first, after).unwrap_or_else(|| raw(stamp, nobody, rest));
    }
    let (second, message) = word(after);
    match tag(second) {
        Some(tag) => signed(stamp, first, tag, message),
        None => behind_host(stamp, first, after).unwrap_or_else(|| raw(stamp, first, after)),
    }
}

/// Parses other things in the place of tag or host: a host in brackets, a tag behind a byte order mark, or `ESXi`'s
/// priority.
fn behind_odd_word<'a>(stamp: Stamp<'a>, first: &'a [u8], after: &'a [u8]) -> Option<Record<'a>> {
    match marked_tag(first) {
        Some(tag) => Some(signed(stamp, &first[..0], tag, after)),
        None if priority::is_esxi(first) => esxi(stamp, after),
        None => bracketed_host(stamp, first, after),
    }
}

/// Parses `TAG MESSAGE` behind `2026-11-22T14:38:31.123Z In(182) `, as the syslogd of `ESXi` 8 writes its files.
fn esxi<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (first, message) = word(rest);
    (stamp.zone() == b"Z").then(|| Some(signed(stamp, &rest[..0], tag(first)?, message)))?
}

/// Parses `Message forwarded from HOST: TAG MESSAGE`, which AIX's syslogd writes in place of a tag for what another host
/// sent it. The receiver of such a message may have put its own host before it, or none.
fn forwarded<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (host, rest) = word(rest.strip_prefix(b"Message forwarded from ")?);
    let host = host.strip_suffix(b":").filter(|host| !host.is_empty() && is_host(host))?;
    let (first, message) = word(rest);
    let record = signed(stamp, host, tag(first)?, message);
    (record.layout == Layout::Syslog).then_some(Record { layout: Layout::Forwarded, ..record })
}

/// Parses what may follow a host and is not a plain tag.
fn behind_host<'a>(stamp: Stamp<'a>, host: &'a [u8], rest: &'a [u8]) -> Option<Record<'a>> {
    let (first, message) = word(rest);
    if host.is_empty() && stamp.is_macos() {
        // There were two blanks behind the timestamp.
        let (second, message) = word(message);
        return is_host(first).then(|| Some(signed(stamp, first, tag(second)?, message)))?;
    }
    match marked_tag(first) {
        Some(tag) => Some(signed(stamp, host, tag, message)),
        None if first == b"Message" => forwarded(stamp, rest),
        None if first == b"1" => rfc5424::embedded(stamp, host, message),
        None if priority::is_named(first) || priority::is_aix(first) => Some(busybox(stamp, host, message)),
        None => None,
    }
}

/// Parses `[HOST] TAG MESSAGE` behind a BSD timestamp; [`Layout::BracketedHost`] says how credible it is.
///
/// Behind an ISO timestamp, or with a severity in the brackets, it is what applications print.
fn bracketed_host<'a>(stamp: Stamp<'a>, first: &'a [u8], after: &'a [u8]) -> Option<Record<'a>> {
    let [b'[', host @ .., b']'] = first else { return None };
    if !stamp.is_bsd() || host.is_empty() || !is_host(host) || priority::is_severity(host) {
        return None;
    }
    let (second, message) = word(after);
    Some(signed(stamp, host, tag(second)?, message).in_layout(Layout::BracketedHost))
}

/// Parses what `OpenWrt`'s `logread` writes behind `Sun Nov 22 14:38:31 2026 `: `[[1795354711.123] ]authpriv.warn TAG
/// MESSAGE`.
///
/// Many programs print such timestamps themselves; the priority in words shows that it was logread.
pub(super) fn openwrt<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Option<Record<'a>> {
    let (priority, rest) = word(behind_uptime(rest));
    if !priority::is_named(priority) {
        return None;
    }
    let (first, message) = word(rest);
    let nobody = &rest[..0];
    let record =
        tag(first).map_or_else(|| raw(stamp, nobody, rest), |tag| signed(stamp, nobody, tag, message));
    Some(Record { priority, ..record })
}

/// Parses what follows a timestamp in metalog's layout: `[TAG] MESSAGE`. Applications write the same into their own logs,
/// with words of their own between the brackets.
pub(super) fn metalog<'a>(stamp: Stamp<'a>, rest: &'a [u8]) -> Record<'a> {
    let (first, after) = word(rest);
    let nobody = &rest[..0];
    match metalog_tag(first) {
        Some(program) => {
            let tag = Tag { program, pid: None };
            signed(stamp, nobody, tag, after).in_layout(Layout::Metalog)
        }
        None => Record { layout: Layout::Foreign, ..raw(stamp, nobody, rest) },
    }
}

fn busybox<'a>(stamp: Stamp<'a>, host: &'a [u8], rest: &'a [u8]) -> Record<'a> {
    if let Some(record) = forwarded(stamp, rest) {
        return record;
    }
    let (word, message) = word(rest);
    let record = tag(word).map_or_else(|| raw(stamp, host, rest), |tag| signed(stamp, host, tag, message));
    record.in_layout(Layout::Busybox)
}

/// A syslog line without a program name.
pub(super) fn raw<'a>(stamp: Stamp<'a>, host: &'a [u8], message: &'a [u8]) -> Record<'a> {
    Record { stamp, priority: b"", host, program: None, pid: None, message, layout: Layout::Syslog }
}

/// A syslog line with a tag.
pub(super) fn signed<'a>(stamp: Stamp<'a>, host: &'a [u8], tag: Tag<'a>, text: &'a [u8]) -> Record<'a> {
    if tag.program == b"kernel" && tag.pid.is_some() {
        // `logger -i -t kernel`: the kernel has no pid.
        return raw(stamp, host, text);
    }
    let text = without_bom(text.trim_ascii_start());
    let (program, message, layout) = match (kernel(tag), cut_solaris_id(text)) {
        (Some(kernel), _) => (kernel, behind_uptime(text), Layout::Syslog),
        (None, Some(message)) => (tag.program, message, Layout::MessageId),
        (None, None) => (tag.program, text, Layout::Syslog),
    };
    Record { stamp, priority: b"", host, program: Some(program), pid: tag.pid, message, layout }
}

impl<'a> Tag<'a> {
    /// A tag whose parts are fields of their own, as in RFC 5424.
    pub(super) fn new(program: &'a [u8], pid: Option<u32>) -> Self {
        Self { program, pid }
    }
}

/// Parses a word as a tag: `sshd[29842]:`, `kernel:`, or `sshd[20974]` as some write it.
///
/// Names consist of `A-Z a-z 0-9 _ . / - ( )`: without colon and bracket, so that a tag has only one reading.
///
/// Some programs put more than their name there: `sshd(pam_unix)[7]:`, `(CRON)[7]:`, `wordpress(example.org)[7]:`. The
/// last one is the host that a web client asked for. A client cannot end the tag early, since that needs a blank, which
/// no web server accepts in a host name; and names are compared as a whole, so that it can only invent programs of its
/// own.
pub(super) fn tag(word: &[u8]) -> Option<Tag<'_>> {
    let length = word.iter().take_while(|&&byte| NAME_BYTES[usize::from(byte)]).count();
    let (program, rest) = word.split_at(length);
    let pid = match rest {
        [b':'] => None,
        [b'[', digits @ .., b']', b':'] | [b'[', digits @ .., b']'] => Some(number(digits)?),
        _ => return None,
    };
    (length > 0).then_some(Tag { program, pid })
}

/// A tag behind a byte order mark, which its sender put before the whole text.
fn marked_tag(word: &[u8]) -> Option<Tag<'_>> {
    tag(without_bom(word)).filter(|_| word.first() == Some(&0xef))
}

fn metalog_tag(word: &[u8]) -> Option<&[u8]> {
    let [b'[', program @ .., b']'] = word else { return None };
    is_program_name(program).then_some(program)
}

/// Whether a tag can hold this program name.
pub fn is_program_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|&byte| NAME_BYTES[usize::from(byte)])
}

const NAME_BYTES: [bool; 256] = alphabet(b"_./-()");

/// Host names, addresses (`fe80::1%em0`), and syslog-ng's chains (`source@relay/host`).
const HOST_BYTES: [bool; 256] = alphabet(b"_./-:%@~");

/// Whether a word consists of letters, digits and the given bytes.
const fn alphabet(others: &[u8]) -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric();
        byte += 1;
    }
    let mut index = 0;
    while index < others.len() {
        table[others[index] as usize] = true;
        index += 1;
    }
    table
}

/// Whether a word may be a host: a word that ends in a colon or holds brackets is an odd tag, and what follows that is
/// the program's text, never a tag. Empty if the logger knew none; Linux calls itself `(none)` until it is given a name.
pub(super) fn is_host(word: &[u8]) -> bool {
    let is_name = word.last() != Some(&b':') && word.iter().all(|&byte| HOST_BYTES[usize::from(byte)]);
    is_name || word == b"(none)"
}

/// The first word and the text behind the one blank after it.
pub(super) fn word(text: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b' ', text) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &text[text.len()..]),
    }
}

/// The name `kernel` from `kernel:` or, with `syslogd -o`, from the path of the booted file: `/boot/kernel/kernel:`.
fn kernel(tag: Tag<'_>) -> Option<&[u8]> {
    let (directory, name) = tag.program.split_at_checked(tag.program.len().checked_sub(6)?)?;
    let booted = tag.pid.is_none() && directory.starts_with(b"/") && directory.ends_with(b"/");
    (name == b"kernel" && (directory.is_empty() || booted)).then_some(name)
}

/// Strips `[12345] ` or `[   12.345678] `, which `kern.msgbuf_show_timestamp` or Linux puts before the text.
fn behind_uptime(text: &[u8]) -> &[u8] {
    let [b'[', inside @ ..] = text else { return text };
    let length = inside.iter().take(24).take_while(|byte| matches!(byte, b'0'..=b'9' | b'.' | b' ')).count();
    let uptime = length > 0 && inside[length - 1].is_ascii_digit();
    inside[length..].strip_prefix(b"] ").filter(|_| uptime).unwrap_or(text)
}

/// The text behind Solaris' `[ID 800047 auth.info] `.
fn cut_solaris_id(text: &[u8]) -> Option<&[u8]> {
    let (id, rest) = word(text.strip_prefix(b"[ID ")?);
    let (bracketed, rest) = word(rest);
    let priority = bracketed.strip_suffix(b"]")?;
    (number(id).is_some() && priority::is_named(priority)).then_some(rest)
}

/// A decimal number, of digits only, that fits into 32 bits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        value.checked_mul(10)?.checked_add(u32::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_a_name_with_pid_or_colon() {
        let read = |text: &'static str| tag(text.as_bytes()).map(|tag| (tag.program, tag.pid));
        assert_eq!(read("sshd-session[29842]:"), Some((&b"sshd-session"[..], Some(29842))));
        assert_eq!(read("postfix/smtpd[1]:"), Some((&b"postfix/smtpd"[..], Some(1))));
        assert_eq!(read("python3.11:"), Some((&b"python3.11"[..], None)));
        assert_eq!(read("wordpress(example.org)[1]:"), Some((&b"wordpress(example.org)"[..], Some(1))));
        assert_eq!(read("sshd[20974]"), Some((&b"sshd"[..], Some(20974))));
        assert_eq!(read("sshd[4294967295]:"), Some((&b"sshd"[..], Some(u32::MAX))));
        for other in [
            "",
            ":",
            "[1]:",
            "sshd",
            "sshd[]:",
            "sshd[x]:",
            "sshd[-1]:",
            "sshd[4294967296]:",
            "a[1][2]:",
            "a]:",
            "a(b) :",
            "a(b[1]:c)[2]:",
            "a:b:",
            "sshd[1]::",
            "[sshd]:",
        ] {
            assert_eq!(read(other), None, "{other}");
        }
    }

    #[test]
    fn solaris_ids_and_uptimes_are_cut_only_when_exact() {
        assert_eq!(cut_solaris_id(b"[ID 800047 auth.info] x"), Some(&b"x"[..]));
        for text in
            ["[ID x auth.info] x", "[ID 1 auth.foo] x", "[ID 1 auth.info x", "[ID 1", "ID 1 auth.info] x"]
        {
            assert_eq!(cut_solaris_id(text.as_bytes()), None);
        }
        assert_eq!(behind_uptime(b"[1] [2] x"), b"[2] x", "once");
        for text in ["[] x", "[ ] x", "[1 ] x", "[1]x", "[1", "[1.2.3.4]:80 x", "[1a] x"] {
            assert_eq!(behind_uptime(text.as_bytes()), text.as_bytes());
        }
    }
}
