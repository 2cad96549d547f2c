//! Lines whose end a logger may have cut off.
//!
//! A cut line is dangerous: a peer that pushes the true address past the limit leaves its own text at the end. The
//! limits hold for the packet that a program sent, of which the log file shows another header, so that the length of
//! a written line tells only roughly whether it was cut. Near a limit the answer is "maybe", and maybe means no ban.

use super::{Layout, Record};

/// Lengths of written lines, in bytes and inclusive, that a line cut at `limit` can have.
struct Limit {
    /// Longest packet, in bytes.
    limit: usize,
    /// How much shorter than the packet the written line may be.
    below: usize,
    /// How much longer it may be, beside the host name.
    above: usize,
}

/// libc sends since FreeBSD 12 `<38>1 2026-11-22T14:38:31.123456+01:00 host.example.org sshd 29842 - - `, of which
/// `Nov 22 14:38:31 host sshd[29842]: ` is written: 25 bytes less, and the domain, to which 75 are given.
const BELOW: usize = 100;

/// Others send `<38>Nov 22 14:38:31 sshd[29842]: `, of which at most the header above is written: the host, two
/// blanks, 17 bytes of a longer stamp, 5 of other fields; or the host, a blank and `<authpriv.warning> `.
const ABOVE: usize = 24;

/// The limits of all loggers, in the order of length.
const LIMITS: [Limit; 4] = [
    // `syslogd -M 480`, the default for forwarding (RFC 3164 form). The packet has the written header, host included,
    // and `<38>` before it. The range is narrow, since honest lines of sshd come near to it.
    Limit { limit: 480, below: 6, above: 2 },
    // MAXLINE of FreeBSD up to 11, Solaris and old Linux syslogd; the longest that FreeBSD forwards.
    Limit { limit: 1024, below: BELOW, above: ABOVE },
    // MAXLINE of FreeBSD 12 and 13, and what RFC 5424 §6.1 recommends.
    Limit { limit: 2048, below: BELOW, above: ABOVE },
    // MAXLINE of FreeBSD 14; the defaults of rsyslog and metalog.
    Limit { limit: 8192, below: BELOW, above: ABOVE },
];

/// busybox syslogd reads packets of 256 bytes unless it was built otherwise (`FEATURE_SYSLOGD_READ_BUFFER_SIZE`).
const BUSYBOX: Limit = Limit { limit: 256, below: 6, above: ABOVE };

/// Whether the logger, or one that forwarded the line, may have cut off its end.
///
/// Not seen: cuts where the logger made the rest longer afterwards (`^X` for each control character; sshd sends none),
/// limits that an operator set, and sshd's own cut at 500 bytes of message, which the rules look at.
pub fn may_be_cut(line: &[u8], record: &Record<'_>) -> bool {
    if line.len() < BUSYBOX.limit - BUSYBOX.below {
        return false;
    }
    let near = |limit: &Limit| {
        let longest = limit.limit + limit.above + record.host.len();
        (limit.limit - limit.below..=longest).contains(&line.len())
    };
    LIMITS.iter().any(near) || (record.layout == Layout::Busybox && near(&BUSYBOX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::parse;

    fn cut_at(header: &str, length: usize) -> bool {
        let line = format!("{header}{}", "x".repeat(length - header.len()));
        may_be_cut(line.as_bytes(), &parse(line.as_bytes()))
    }

    const HEADER: &str = "Nov 22 14:38:31 gw sshd[29842]: ";

    #[test]
    fn ordinary_lines_are_whole() {
        for length in [60, 130, 250, 290, 473, 485, 532, 900, 1060, 1900, 2100, 8000, 8300] {
            assert!(!cut_at(HEADER, length), "{length}");
        }
    }

    #[test]
    fn lines_near_a_limit_may_be_cut_at_both_ends_of_the_range() {
        for length in [474, 484, 924, 1024, 1050, 1948, 2074, 8092, 8218] {
            assert!(cut_at(HEADER, length), "{length}");
        }
    }

    /// The same 1,024-byte packet of libc as three syslogds write it.
    #[test]
    fn every_written_form_of_a_cut_packet_is_in_range() {
        let new = "<38>1 2026-11-22T14:38:31.123456+01:00 gw.of.a.rather.long.example.org sshd 29842 - - ";
        let old = "<38>Nov 22 14:38:31 sshd[29842]: ";
        for packet in [new, old] {
            let body = 1024 - packet.len();
            for written in [HEADER, "Nov 22 14:38:31 <authpriv.warning> gw sshd[29842]: ", new] {
                assert!(cut_at(written, written.len() + body), "{packet}{written}");
            }
        }
    }

    /// A line cut at 480 bytes on its way, with the priority before it, is written without the priority.
    #[test]
    fn a_forwarded_line_is_in_range_for_every_priority() {
        for priority in ["<7>", "<38>", "<191>"] {
            assert!(cut_at(HEADER, 480 - priority.len()), "{priority}");
        }
    }

    #[test]
    fn busyboxes_short_limit_holds_for_its_layout_only() {
        assert!(cut_at("Jun 20 02:18:39 vps auth.info sshd[13482]: ", 266));
        assert!(!cut_at("Jun 20 02:18:39 vps auth.info sshd[13482]: ", 300));
        assert!(!cut_at(HEADER, 266));
    }
}
