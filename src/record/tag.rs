//! Tags, hosts and the words around them: which program signed a message.

use memchr::memchr;

use super::lines::without_bom;
use super::priority::{self, number};
use super::{Layout, Record, Stamp};

/// The program that signed a message.
#[derive(Clone, Copy)]
pub(super) struct Tag<'a> {
    program: &'a [u8],
    pid: Option<u32>,
}

impl<'a> Tag<'a> {
    /// A tag whose parts are fields of their own, as in RFC 5424.
    pub(super) fn new(program: &'a [u8], pid: Option<u32>) -> Self {
        Self { program, pid }
    }
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
pub(super) fn marked_tag(word: &[u8]) -> Option<Tag<'_>> {
    tag(without_bom(word)).filter(|_| word.first() == Some(&0xef))
}

pub(super) fn metalog_tag(word: &[u8]) -> Option<&[u8]> {
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
/// the program's text, never a tag. The word is empty if the logger knew no host; Linux calls itself `(none)` until it is
/// given a name.
pub(super) fn is_host(word: &[u8]) -> bool {
    let is_name = word.last() != Some(&b':') && word.iter().all(|&byte| HOST_BYTES[usize::from(byte)]);
    is_name || word == b"(none)"
}

/// Splits a text at its first blank into a word and the rest.
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
pub(super) fn behind_uptime(text: &[u8]) -> &[u8] {
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
