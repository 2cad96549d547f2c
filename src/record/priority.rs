//! Facility and severity as words: `auth.info`. They stand inside headers, so the list is closed.

const FACILITIES: [&[u8]; 26] = [
    b"kern",
    b"user",
    b"mail",
    b"daemon",
    b"auth",
    b"syslog",
    b"lpr",
    b"news",
    b"uucp",
    b"cron",
    b"authpriv",
    b"ftp",
    b"ntp",
    b"security",
    b"console",
    b"audit",
    b"mark",
    b"clock",
    b"local0",
    b"local1",
    b"local2",
    b"local3",
    b"local4",
    b"local5",
    b"local6",
    b"local7",
];

const SEVERITIES: [&[u8]; 11] = [
    b"emerg", b"alert", b"crit", b"err", b"warning", b"notice", b"info", b"debug", b"panic", b"error",
    b"warn",
];

/// Whether the word is `facility.severity`, both in letters and both known.
///
/// Names from `syslog.h` of FreeBSD, glibc and socklog, old ones (`panic`, `error`, `warn`) included.
pub(super) fn is_named(word: &[u8]) -> bool {
    let Some(dot) = word.iter().take(9).position(|&byte| byte == b'.') else { return false };
    FACILITIES.contains(&&word[..dot]) && SEVERITIES.contains(&&word[dot + 1..])
}

/// `auth.info` out of `<auth.info> `, or `10.5` out of `<10.5> `, as FreeBSD's `syslogd -v` writes it between time and
/// host, and the text behind it; nothing where there is none.
///
/// No host begins with `<`, so the inside need not be known by name: newer systems have newer facilities.
pub(super) fn bracketed(rest: &[u8]) -> (&[u8], &[u8]) {
    read_bracketed(rest).unwrap_or((&rest[..0], rest))
}

fn read_bracketed(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = rest.strip_prefix(b"<")?;
    let length =
        inside.iter().take(20).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    let (priority, rest) = inside.split_at(length);
    priority.contains(&b'.').then_some((priority, rest.strip_prefix(b"> ")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_a_priority() {
        for word in ["auth.info", "kern.debug", "authpriv.warning", "local7.emerg"] {
            assert!(is_named(word.as_bytes()), "{word}");
        }
        for word in [
            "",
            ".",
            "auth",
            "auth.",
            ".info",
            "auth.inf",
            "Auth.info",
            "auth.info.",
            "gw.example",
            "local8.info",
        ] {
            assert!(!is_named(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_priority_in_brackets_is_taken_off() {
        assert_eq!(bracketed(b"<auth.info> gw x"), (&b"auth.info"[..], &b"gw x"[..]));
        assert_eq!(bracketed(b"<4.6> gw x"), (&b"4.6"[..], &b"gw x"[..]));
        for other in ["<38>1 x", "<auth info> gw", "<auth.info>gw", "gw <auth.info> x", "<", ""] {
            assert_eq!(bracketed(other.as_bytes()), (&b""[..], other.as_bytes()));
        }
    }
}
