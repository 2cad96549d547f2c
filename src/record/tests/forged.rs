//! Who can write a line of each layout that is guessed. Whoever may write into the log's file, its logger's socket or, where
//! syslogd listens, its port writes any header; a peer of a program's writes behind that program's tag, and there all is text.

use super::{parts, parts_as};
use crate::record::{Layouts, parse};

/// A logger's template may put brackets around the host. metalog puts them around the program, and then a tag is that
/// program's text, perhaps a peer's: such a line has an address, but it may be forged.
#[test]
fn a_host_in_brackets_is_believed_less() {
    for (line, host) in [
        ("Nov 22 14:38:31 [web-1] sshd[7]: x", "web-1"),
        ("Nov 22 2026 14:38:31 [2001:db8::1] sshd[7]: x", "2001:db8::1"),
        ("<38>Nov 22 14:38:31 [web-1] sshd[7]: x", "web-1"),
    ] {
        assert_eq!(parts(line), (host, Some("sshd"), Some(7), "x"), "{line}");
        assert!(parse(line.as_bytes()).may_be_forged(), "{line}");
    }
    assert!(!parse(b"Nov 22 14:38:31 web-1 sshd[7]: x").may_be_forged());
    let line = "Nov 22 14:38:31 [httpd] sshd[7]: x";
    assert_eq!(parts_as(line, Layouts::Metalog).1, Some("httpd"), "whose log it is was said");
    for line in [
        // What applications write.
        "2026-11-22 14:38:31 [web-1] sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 [web-1] sshd[7]: x",
        "Nov 22 14:38:31 [error] sshd[7]: x",
        // No tag where one must stand.
        "Nov 22 14:38:31 [web-1] gw sshd[7]: x",
        "Nov 22 14:38:31 [web-1]  sshd[7]: x",
        "Nov 22 14:38:31 [web-1] sshd x",
        "Nov 22 14:38:31 [] sshd[7]: x",
        "Nov 22 14:38:31 [web 1] sshd[7]: x",
        "Nov 22 14:38:31 [web-1]: sshd[7]: x",
        "Nov 22 14:38:31 [[web-1]] sshd[7]: x",
        "Nov 22 14:38:31 gw [web-1] sshd[7]: x",
    ] {
        assert_eq!(parts(line).1, None, "{line}");
    }
}

/// Many programs timestamp their own logs as ctime(3) prints the time, with a peer's words behind it.
#[test]
fn behind_the_day_of_the_week_only_what_syslog_daemons_write_is_a_header() {
    for line in [
        "Sun Nov 22 14:38:31 2026 gw sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 [pid 7] sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 auth.nonsense sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 authpriv.warn gw sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 gw authpriv.warn sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 [pid 7] authpriv.warn sshd[7]: x",
        "Sun Nov 22 14:38:31 2026 user.info : sshd[7]: x",
        "Sun Nov 22 14:38:31 2026  authpriv.warn sshd[7]: x",
        "Sun 2026-11-22 14:38:31 gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31 INFO gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31 LOG gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31 IST: gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31  IST gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31 IST IST gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31.108781500 IST gw sshd[7]: x",
        "Sun 2026-11-22 14:38:31.108781500 UTC x gw sshd[7]: x",
        "Sunday Nov 22 14:38:31 gw sshd[7]: x",
        "sun Nov 22 14:38:31 gw sshd[7]: x",
        "Sun  Nov 22 14:38:31 gw sshd[7]: x",
        "Sun Sun Nov 22 14:38:31 gw sshd[7]: x",
        "<38>Sun Nov 22 14:38:31 gw sshd[7]: x",
    ] {
        assert_eq!(parts(line).1, None, "{line}");
    }
}

/// Words of `ESXi`'s and AIX's that stand elsewhere than there, or of which one is not as they write it.
#[test]
fn the_words_of_esxi_and_aix_are_read_at_their_places_only() {
    for line in [
        "2026-11-22T14:38:31.123+01:00 In(182) sshd[7]: x",
        "2026-11-22T14:38:31.123 In(182) sshd[7]: x",
        "Nov 22 14:38:31 In(182) sshd[7]: x",
        "2026-11-22T14:38:31.123Z In(181) sshd[7]: x",
        "2026-11-22T14:38:31.123Z gw In(182) sshd[7]: x",
        "2026-11-22T14:38:31.123Z In(182) gw sshd[7]: x",
        "2026-11-22T14:38:31.123Z In(182) In(182) sshd[7]: x",
        "2026-11-22T14:38:31.123Z In(182)  sshd[7]: x",
        "2026-11-22T14:38:31.123Z In(182) sshd: session: x sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from a b: sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from aix1 sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from : sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from [aix1]: sshd[7]: x",
        "Nov 22 14:38:31 gw message forwarded from aix1: sshd[7]: x",
        "Nov 22 14:38:31 gw  Message forwarded from aix1: sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from aix1: gw sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from aix1: Message forwarded from aix2: sshd[7]: x",
        "Nov 22 14:38:31 gw gw Message forwarded from aix1: sshd[7]: x",
        "Nov 22 14:38:31 gw Message forwarded from aix1: sshd[7]: [ID 800047 auth.info] x",
    ] {
        assert_ne!(parse(line.as_bytes()).pid, Some(7), "{line}");
    }
}

/// The socket of syslog, and UDP where syslogd listens, take any bytes: who may write there may as well send a plain tag.
/// What matters is that a program's text, which is a peer's in part, always stands behind that program's tag.
#[test]
fn a_header_within_a_programs_text_is_text() {
    let headers = [
        "<38>Nov 22 14:38:31 gw sshd[2]: ",
        "Sun Nov 22 14:38:31 gw sshd[2]: ",
        "Sun Nov 22 14:38:31 2026 authpriv.warn sshd[2]: ",
        "1 2026-11-22T14:38:31.123456+01:00 gw sshd 2 - - ",
        "<38>1 2026-11-22T14:38:31.123456+01:00 gw sshd 2 - - ",
        "[web-1] sshd[2]: ",
        "auth|security:info sshd[2]: ",
        "\u{feff}sshd[2]: ",
        "\u{feff}Nov 22 14:38:31 gw sshd[2]: ",
        "\0Nov 22 14:38:31 gw sshd[2]: ",
        " localhost sshd[2]: ",
        "Message forwarded from gw: sshd[2]: ",
        "In(182) sshd[2]: ",
    ];
    for own in [
        "Nov 22 14:38:31 gw httpd[1]: ",
        "Nov 22 14:38:31 gw httpd[1] ",
        "Nov 22 14:38:31 httpd[1]: ",
        "<38>Nov 22 14:38:31 gw httpd[1]: ",
        "<38>1 2026-11-22T14:38:31Z gw httpd 1 - - ",
        "Nov 22 14:38:31 gw 1 2026-11-22T14:38:31Z gw httpd 1 - - ",
        "Sun Nov 22 14:38:31 gw httpd[1]: ",
        "Sun Nov 22 14:38:31 2026 daemon.info httpd[1]: ",
        "Nov 22 14:38:31 gw daemon.info httpd[1]: ",
        "Nov 22 14:38:31 gw daemon:info httpd[1]: ",
        "Nov 22 14:38:31 [web-1] httpd[1]: ",
        "2026-11-22 06:07:50.998187-0700  localhost httpd[1]: ",
        "2026-11-22T14:38:31.123Z In(182) httpd[1]: ",
        "Sun 2026-11-22 14:38:31 IST gw httpd[1]: ",
        "Nov 22 14:38:31 gw Message forwarded from aix1: httpd[1]: ",
    ] {
        for header in headers {
            let line = format!("{own}{header}Failed");
            assert_eq!(parts(&line).1, Some("httpd"), "{line}");
        }
    }
}

/// Text that its program did not sign.
#[test]
fn a_header_within_raw_text_is_text() {
    for header in [
        "<38>Nov 22 14:38:31 gw sshd[2]: ",
        "Sun Nov 22 14:38:31 gw sshd[2]: ",
        "Sun Nov 22 14:38:31 2026 authpriv.warn sshd[2]: ",
        "<38>1 2026-11-22T14:38:31.123456+01:00 gw sshd 2 - - ",
        "[web-1] sshd[2]: ",
        "\u{feff}Nov 22 14:38:31 gw sshd[2]: ",
        "\0Nov 22 14:38:31 gw sshd[2]: ",
        " localhost sshd[2]: ",
    ] {
        let line = format!("Nov 22 14:38:31 gw {header}Failed");
        assert_eq!(parts(&line).1, None, "{line}");
    }
}

/// `<38>1 …` behind a header that another syslogd made is RFC 5424 only as FreeBSD's syslog(3) sends it.
#[test]
fn rfc_5424_behind_a_header_is_read_at_one_place_and_whole() {
    for line in [
        "Nov 22 14:38:31 gw 2 2026-11-22T14:38:31.1+01:00 gw sshd 7 - - x",
        "Nov 22 14:38:31 gw <38>1 2026-11-22T14:38:31.1+01:00 gw sshd 7 - - x",
        "Nov 22 14:38:31 gw 1 2026-11-22 14:38:31.1+01:00 gw sshd 7 - - x",
        "Nov 22 14:38:31 gw 1 Nov 22 14:38:31 gw sshd[7]: x",
        "Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.1+01:00 gw sshd 7 - x",
        "Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.1+01:00 gw sshd[7]: x",
        "Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.1+01:00 gw - 7 - - sshd[7]: x",
        "Nov 22 14:38:31 gw x 1 2026-11-22T14:38:31.1+01:00 gw sshd 7 - - x",
        "Nov 22 14:38:31 gw auth.info 1 2026-11-22T14:38:31.1+01:00 gw sshd 7 - - x",
        // The kernel does not log through syslog(3).
        "Nov 22 14:38:31 gw 1 2026-11-22T14:38:31.1+01:00 gw kernel - - - x",
    ] {
        assert_eq!(parts(line).1, None, "{line}");
    }
    let outer = parse(b"Nov 22 14:38:31 gw 1 2011-01-01T00:00:00Z other sshd 7 - - x");
    assert_eq!((outer.stamp.text(), outer.host), (&b"Nov 22 14:38:31"[..], &b"gw"[..]), "the logger's word");
}
