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

/// The text behind `<auth.info> ` or `<10.5> `, as FreeBSD's `syslogd -v` writes it between time and host.
///
/// No host begins with `<`, so the inside need not be known by name: newer systems have newer facilities.
pub(super) fn skip(rest: &[u8]) -> &[u8] {
    let [b'<', inside @ ..] = rest else { return rest };
    let length =
        inside.iter().take(20).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    inside[length..].strip_prefix(b"> ").filter(|_| inside[..length].contains(&b'.')).unwrap_or(rest)
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
    fn a_priority_in_brackets_is_skipped() {
        assert_eq!(skip(b"<auth.info> gw x"), b"gw x");
        assert_eq!(skip(b"<4.6> gw x"), b"gw x");
        for other in ["<38>1 x", "<auth info> gw", "<auth.info>gw", "gw <auth.info> x", "<", ""] {
            assert_eq!(skip(other.as_bytes()), other.as_bytes());
        }
    }
}
