//! Messages whose end a logger may have cut off.
//!
//! A cut message is dangerous: a peer that pushes the true address past the limit leaves its own text at the end. The
//! limits apply to the packet that a program or another logger sent, while the log file shows a header of the logger's
//! own: `syslogd -vv`, `-O rfc5424`, rsyslog and metalog write the same packet at lengths that differ by 60 bytes. So the
//! length of the line says nothing. Packet and line have the message and the tag in common: a message may be cut if there
//! is a packet header that fills up a limit together with them. "Maybe" means no ban.

use super::{Layout, Record};

/// A length at which packets are cut, and the range of their headers without the tag.
struct Limit {
    /// Length of the longest packet, in bytes.
    limit: usize,
    /// The shortest header, in bytes without tag.
    least: usize,
    /// The longest header, in bytes without tag.
    most: usize,
}

/// `<7>`: some programs send neither timestamp nor host.
const MIN_HEADER: usize = 3;

/// The longest header consists of:
/// - 40 bytes of `<191>1 2026-11-22T14:38:31.123456+01:00 `
/// - 65 of a host and a blank: Linux has no longer names, and the file may show a shorter form
/// - 2 by which RFC 5424's `sshd 1 - - ` is longer than `sshd[1]: `
/// - 29 that the parser takes off a message: `[ID 800047 authpriv.warning] `, or the kernel's uptime
const MAX_HEADER: usize = 40 + 65 + 2 + 29;

/// `<7>Nov 22 14:38:31 ` and `<191>Nov 22 14:38:31 ` with a host of up to 24 bytes: what FreeBSD's syslogd forwards unless
/// it was told `-O rfc5424`.
const MIN_BSD_HEADER: usize = 19;
const MAX_BSD_HEADER: usize = 21 + 25;

/// The limits of all loggers.
///
/// At 480 the header is assumed to be BSD's, the default, or the one in the file. Allowing headers of all kinds would
/// make the range so wide that sshd's longest honest `Invalid user` lines named nobody: a name of 90 bytes that the
/// logger expands makes 404 of them.
const LIMITS: [Limit; 6] = [
    // busybox reads this much of a packet of its own host, `<38>Nov 22 14:38:31 sshd[29842]: …`, unless it was built with
    // another `FEATURE_SYSLOGD_READ_BUFFER_SIZE`. It also forwards packets, so a line of any layout may be cut here.
    Limit { limit: 256, least: 19, most: 21 },
    // `syslogd -M 480`, FreeBSD's default for forwarding; RFC 5426 §3.2, over IPv4.
    Limit { limit: 480, least: MIN_BSD_HEADER, most: MAX_BSD_HEADER },
    // MAXLINE of FreeBSD up to 11, Solaris and old Linux syslogd; the longest of RFC 3164.
    Limit { limit: 1024, least: MIN_HEADER, most: MAX_HEADER },
    // RFC 5426 §3.2, over IPv6.
    Limit { limit: 1180, least: MIN_HEADER, most: MAX_HEADER },
    // MAXLINE of FreeBSD 12 and 13, and what RFC 5424 §6.1 recommends.
    Limit { limit: 2048, least: MIN_HEADER, most: MAX_HEADER },
    // MAXLINE of FreeBSD 14; the defaults of rsyslog and metalog.
    Limit { limit: 8192, least: MIN_HEADER, most: MAX_HEADER },
];

/// Buffers that keep their last byte or two for a NUL or a newline.
const SPARE: usize = 2;

/// If packet and line have the same header, the line lacks `<191>` and a spare byte, or has a byte or two more that were
/// added for the file.
const OWN_BELOW: usize = 6;
const OWN_ABOVE: usize = 2;

/// `message repeated 1000 times: [ ` and a bracket, which rsyslog put around the message before it was cut.
const QUOTE: usize = 32;

/// `Message forwarded from ` and a host with `: `, which AIX puts before the tag of what it hands on.
const FORWARDED: usize = 23 + 64 + 2;

/// Shorter messages cannot be cut: a packet of 256 bytes would need a tag of more than 80.
pub const MIN_CUT_MESSAGE: usize = 150;

/// Whether the logger, or one that forwarded the message, may have cut off its end. `line` is the line that holds the
/// message: if it continues behind the message, that was quoted.
///
/// Not recognised: cuts where the logger lengthened the rest afterwards (`^X` for each control character; sshd sends
/// none), limits that an operator configured, and sshd's own cut at 500 bytes of message, which the rules check.
pub fn may_be_cut(line: &[u8], record: &Record<'_>) -> bool {
    let message = record.message.len();
    if message < MIN_CUT_MESSAGE {
        return false;
    }
    let (short, long) = tags(record);
    let quote = if line.ends_with(record.message) { 0 } else { QUOTE };
    let forwarded = if record.layout == Layout::Forwarded { FORWARDED } else { 0 };
    let around = quote + forwarded;
    LIMITS.iter().any(|&Limit { limit, least, most }| {
        let any_header = message + least + short <= limit && message + most + long + around + SPARE >= limit;
        any_header || (limit - OWN_BELOW..=limit + OWN_ABOVE).contains(&line.len())
    })
}

/// The possible lengths of the packet's tag, such as `sshd[29842]: `. metalog's files do not show the pid, and those of
/// socklog and multilog may show neither.
fn tags(record: &Record<'_>) -> (usize, usize) {
    const PID: usize = "[4194304]".len();
    match (record.program, record.pid) {
        (Some(program), Some(pid)) => {
            let digits = pid.checked_ilog10().map_or(1, |tens| tens as usize + 1);
            let tag = program.len() + digits + "[]: ".len();
            (tag, tag)
        }
        (Some(program), None) => (program.len() + 2, program.len() + 2 + PID),
        (None, _) => (0, 2 * PID + 16),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Record, parse_as_any, repeat};

    fn parse(line: &[u8]) -> Record<'_> {
        parse_as_any(line).1
    }

    const HEADER: &str = "Nov 22 14:38:31 gw sshd[29842]: ";

    fn is_doubtful(header: &str, message: usize) -> bool {
        let line = format!("{header}{}", "x".repeat(message));
        may_be_cut(line.as_bytes(), &parse(line.as_bytes()))
    }

    #[test]
    fn messages_of_ordinary_length_are_whole() {
        for length in [
            60, 149, 150, 217, 227, 290, 404, 417, 451, 465, 499, 532, 700, 870, 1009, 1300, 1890, 2040, 8000,
        ] {
            assert!(!is_doubtful(HEADER, length), "{length}");
        }
    }

    #[test]
    fn messages_near_a_limit_may_be_cut_at_both_ends_of_the_range() {
        for length in [220, 224, 419, 448, 873, 1008, 1029, 1164, 1897, 2032, 8041, 8176] {
            assert!(is_doubtful(HEADER, length), "{length}");
        }
    }

    /// Headers of packets: `P` is the priority, `H` the host, `T` the tag of BSD's and `U` that of RFC 5424's layout.
    const SENT: [&str; 6] = [
        "<P>Nov 22 14:38:31 T",
        "<P>Nov 22 14:38:31 H T",
        "<P>Nov 22 14:38:31 H T[ID 800047 auth.info] ",
        "<P>1 2026-11-22T14:38:31.123456+01:00 H U",
        "<P>2026-11-22T14:38:31+01:00 H T",
        "<P>T",
    ];

    /// Headers as they are written, of the packet's or another host.
    const WRITTEN: [&str; 21] = [
        "Nov 22 14:38:31 H T",
        "Nov 22 14:38:31 <4.6> H T",
        "Nov 22 14:38:31 <authpriv.warning> H T",
        "<38>1 2026-11-22T14:38:31.123456+01:00 H U",
        "2026-11-22T14:38:31.123456+01:00 H T",
        "2026-11-22T14:38:31+01:00 H T",
        "2026 Nov 22 14:38:31 H T",
        "Nov 22 14:38:31 [sshd] ",
        "Nov 22 14:38:31 H T[ID 800047 auth.info] ",
        "Nov 22 14:38:31 H auth.info T",
        "Nov 22 14:38:31 H auth|security:info T",
        "Nov 22 14:38:31 H Message forwarded from G: T",
        "2026-11-22T14:38:31.123Z In(182) T",
        "Nov 22 14:38:31 [web-1] T",
        "<38>Nov 22 14:38:31 H T",
        "Sun Nov 22 14:38:31 H T",
        "Sun Nov 22 14:38:31 2026 authpriv.warn T",
        "Nov 22 14:38:31 H 1 2026-11-22T14:38:31.123456+01:00 H U",
        "2026-11-22 06:07:50.998187-0700  H T",
        "2026-11-22_13:38:31.12345 auth.info: Nov 22 14:38:31 T",
        "@400000006740000012345678 auth.info: T",
    ];

    fn header(layout: &str, priority: u32, host: &str, pid: u32) -> String {
        let layout = layout.replace("<P>", &format!("<{priority}>")).replace(" H ", &format!(" {host} "));
        layout.replace('T', &format!("sshd[{pid}]: ")).replace('U', &format!("sshd {pid} - - "))
    }

    /// AIX's own words are a part of what it sends on.
    #[test]
    fn what_was_handed_on_with_a_long_name_may_be_cut() {
        for (limit, gateway) in [(480, 24), (1024, 64), (1180, 64), (2048, 64), (8192, 64)] {
            let behind =
                format!("{} Message forwarded from {}: sshd[7]: ", "g".repeat(gateway), "h".repeat(64));
            let message = "x".repeat(limit - "<38>Nov 22 14:38:31 ".len() - behind.len());
            let line = format!("Nov 22 14:38:31 {behind}{message}");
            assert!(may_be_cut(line.as_bytes(), &parse(line.as_bytes())), "{limit}");
        }
    }

    fn host() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9]{0,19}|[a-z0-9-]{1,40}\\.example\\.org|[a-z0-9.]{60,64}|2001:db8::7"
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whoever sends and whoever writes: a message that lost its end is never taken for a whole one.
        #[test]
        fn a_cut_packet_is_seen_in_every_written_form(
            sent_by in host(), written_for in host(), priority in 0..=191_u32, pid in 1..4_194_304_u32,
            quoted in prop::option::of(1..1000_u32), spare in 0..=SPARE,
        ) {
            for limit in [480, 1024, 1180, 2048, 8192] {
                let forwarded = limit == 480;
                let senders = if forwarded { &SENT[..2] } else { &SENT[..] };
                let sent_by = sent_by.get(..24).filter(|_| forwarded).unwrap_or(&sent_by);
                for (sent, written) in senders.iter().flat_map(|sent| WRITTEN.map(|written| (sent, written))) {
                    // A stampless layout of BSD has a `T` of its own; the letter in RFC 3339 is no tag.
                    let sent = header(&sent.replace("22T14", "22_14"), priority, sent_by, pid);
                    let quote = quoted.map(|n| format!("message repeated {n} times: [ ")).unwrap_or_default();
                    let closing = if quoted.is_some() { "]" } else { "" };
                    let message = "x".repeat(limit - spare - sent.len() - quote.len() - closing.len());
                    let written = header(&written.replace("22T14", "22_14"), 38, &written_for, pid);
                    let line = format!("{}{quote}{message}{closing}", written.replace("22_14", "22T14"));
                    let mut record = parse(line.as_bytes());
                    if let Some(super::super::Repeat::Quoted { message, .. }) = repeat(&record) {
                        record.message = message;
                    }
                    prop_assert!(may_be_cut(line.as_bytes(), &record), "{limit} {sent}: {line}");
                }
            }
        }

        /// busybox's packets come from its own host.
        #[test]
        fn busyboxes_short_limit_is_seen_in_every_written_form(
            written_for in host(), priority in 0..=191_u32, pid in 1..4_194_304_u32, spare in 0..=SPARE,
        ) {
            let message = "x".repeat(256 - spare - header(SENT[0], priority, "", pid).len());
            for written in WRITTEN {
                let written = header(&written.replace("22T14", "22_14"), 38, &written_for, pid);
                let line = format!("{}{message}", written.replace("22_14", "22T14"));
                prop_assert!(may_be_cut(line.as_bytes(), &parse(line.as_bytes())), "{line}");
            }
        }
    }
}
