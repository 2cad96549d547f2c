//! Facility and severity: `auth.info`, `<38>`. The list of their names is closed, because a name decides how a header is
//! read.

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

/// `facility.severity` in letters, both known by name, as a regex.
pub fn named_priority_regex() -> String {
    let any_of = |names: &[&[u8]]| {
        let names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned());
        names.collect::<Vec<_>>().join("|")
    };
    format!(r"(?:{})\.(?:{})", any_of(&FACILITIES), any_of(&SEVERITIES))
}

/// Whether the word is what AIX's syslogd writes between host and tag: `auth|security:info`, `daemon:err|error`, with all
/// the names that a facility's or severity's number has.
pub(super) fn is_aix(word: &[u8]) -> bool {
    let Some(colon) = word.iter().take(14).position(|&byte| byte == b':') else { return false };
    let are_known =
        |names: &[u8], known: &[&[u8]]| names.split(|&byte| byte == b'|').all(|name| known.contains(&name));
    are_known(&word[..colon], &FACILITIES) && are_known(&word[colon + 1..], &SEVERITIES)
}

/// Whether the word is `ESXi`'s `In(182)`: two letters of the severity, and facility and severity in one number.
pub(super) fn is_esxi(word: &[u8]) -> bool {
    const LETTERS: [&[u8]; 8] = [b"Em", b"Al", b"Cr", b"Er", b"Wa", b"No", b"In", b"Db"];
    let Some((letters, [b'(', digits @ .., b')'])) = word.split_at_checked(2) else { return false };
    let severity = LETTERS.iter().position(|known| *known == letters);
    number(digits).is_some_and(|number| number <= MAX_PRIORITY && severity == Some(number as usize % 8))
}

/// Whether the word is the name of a severity.
pub(super) fn is_severity(word: &[u8]) -> bool {
    SEVERITIES.contains(&word)
}

/// The highest priority: facility 23, severity 7 (RFC 5424 §6.2.1).
const MAX_PRIORITY: u32 = 191;

/// Parses `<38>`, with which syslog packets begin, and returns the text behind it.
pub(super) fn numbered(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = line.strip_prefix(b"<")?;
    let length = inside.iter().take(4).position(|&byte| byte == b'>')?;
    let (priority, rest) = inside.split_at(length);
    number(priority).filter(|&number| number <= MAX_PRIORITY)?;
    Some((priority, &rest[1..]))
}

/// Parses `auth.info` from `<auth.info> `, or `10.5` from `<10.5> `, as FreeBSD's `syslogd -v` writes it between time and
/// host, and returns the text behind it; empty if there is none.
///
/// No host begins with `<`, so the name need not be a known one: newer systems have further facilities.
pub(super) fn bracketed(rest: &[u8]) -> (&[u8], &[u8]) {
    read_bracketed(rest).unwrap_or((&rest[..0], rest))
}

fn read_bracketed(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let inside = rest.strip_prefix(b"<")?;
    let length =
        inside.iter().take(20).take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'.').count();
    let (priority, rest) = inside.split_at(length);
    if !priority.contains(&b'.') {
        return None;
    }
    Some((priority, rest.strip_prefix(b"> ")?))
}

/// A decimal number, of digits only, that fits into 32 bits.
pub(super) fn number(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0_u32, |value, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit >= 10 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u32::from(digit))
    })
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
    fn aix_gives_all_names_of_facility_and_severity() {
        for word in ["auth|security:info", "daemon:err|error", "kern:emerg|panic", "user:warn|warning"] {
            assert!(is_aix(word.as_bytes()), "{word}");
        }
        for word in [
            "",
            ":",
            "auth",
            "auth:",
            ":info",
            "auth.info",
            "auth|:info",
            "auth:info:",
            "auth:foo",
            "sshd:info",
        ] {
            assert!(!is_aix(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn the_letters_of_esxi_are_those_of_its_number() {
        for word in ["In(182)", "Db(167)", "Em(0)", "Er(11)", "No(189)"] {
            assert!(is_esxi(word.as_bytes()), "{word}");
        }
        for word in
            ["", "In", "In()", "In(182", "In(181)", "in(182)", "In(198)", "In(182) ", "In(182):", "Xx(6)"]
        {
            assert!(!is_esxi(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn a_number_in_brackets_is_a_priority_up_to_191() {
        assert_eq!(numbered(b"<38>Nov"), Some((&b"38"[..], &b"Nov"[..])));
        assert_eq!(numbered(b"<191>"), Some((&b"191"[..], &b""[..])));
        for other in ["<192>x", "<>x", "<-1>x", "<3 >x", "<38", "<0038>x", "38>x", ""] {
            assert_eq!(numbered(other.as_bytes()), None, "{other}");
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
