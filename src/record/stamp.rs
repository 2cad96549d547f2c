//! The timestamp at the beginning of a line: its bytes and its format, but not yet its point in time.

use memchr::memchr;

/// The timestamp of a line as printed, with marks where its seconds and its zone begin.
///
/// Only its shape is checked (`Feb 30 25:61:61` has it); [`super::Clock::time`] applies the calendar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp<'a> {
    text: &'a [u8],
    form: Form,
    /// The length of the part that changes once a minute; a colon and the seconds follow it.
    minute: u8,
    /// The end of the seconds; zone or year follow, if either is printed there.
    tail: u8,
}

/// A timestamp without its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StampMarks {
    form: Form,
    minute: u8,
    tail: u8,
}

impl StampMarks {
    /// The timestamp, in the text that it was found in.
    pub(super) fn on(self, text: &[u8]) -> Stamp<'_> {
        Stamp { text, form: self.form, minute: self.minute, tail: self.tail }
    }
}

/// The format of a timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Form {
    /// No timestamp, or `-` in RFC 5424.
    #[default]
    Absent,
    /// `Nov 22 14:38:31`, the day padded with a blank, with a zero, or not at all.
    Bsd,
    /// `2026 Nov 22 14:38:31`
    YearFirst,
    /// `Nov 22 2026 14:38:31`
    YearThird,
    /// `Nov 22 14:38:31 2026`
    YearLast,
    /// `2026-11-22T14:38:31.123456+01:00`; local time if there is no zone.
    Iso,
    /// `2018-06-26 13:22:02.108781500`, local time, as daemontools' tai64nlocal prints it.
    Tai64nLocal,
    /// `2015-05-27T04:31:27.46667`, or with `_`, always in UTC, as runit's svlogd prints it.
    Svlogd,
    /// `@` and 24 hexadecimal digits: TAI64N, written by multilog and svlogd.
    Tai64n,
}

impl<'a> Stamp<'a> {
    /// The timestamp as printed, zone included; empty if the line has none.
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    pub(super) fn marks(&self) -> StampMarks {
        StampMarks { form: self.form, minute: self.minute, tail: self.tail }
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Year to minute, without seconds.
    pub(super) fn minute(&self) -> &'a [u8] {
        self.text.get(..usize::from(self.minute)).unwrap_or_default()
    }

    /// The seconds with their fraction.
    pub(super) fn second(&self) -> &'a [u8] {
        self.text.get(usize::from(self.minute) + 1..usize::from(self.tail)).unwrap_or_default()
    }

    /// The text behind the seconds: the zone, or the year of [`Form::YearLast`]; with a blank before it if there was one.
    pub(super) fn tail(&self) -> &'a [u8] {
        self.text.get(usize::from(self.tail)..).unwrap_or_default()
    }

    /// The zone as printed, with a blank before it if there was one.
    pub(super) fn zone(&self) -> &'a [u8] {
        if self.form == Form::YearLast { b"" } else { self.tail() }
    }

    /// Whether it has a month's name, as in most syslog files.
    pub(super) fn is_bsd(&self) -> bool {
        matches!(self.form, Form::Bsd | Form::YearFirst | Form::YearThird)
    }

    /// Whether it has the format of macOS' log, which has two blanks behind it: `2026-11-22 06:07:50.998187-0700`.
    pub(super) fn is_macos(&self) -> bool {
        shaped(self.text, b"dddd-dd-dd dd:dd:dd.dddddd")
            && matches!(self.zone(), [b'+' | b'-', zone @ ..] if zone.len() == 4)
    }

    /// Whether it was written by a supervisor's logger, whose layouts have neither host nor tag.
    pub(super) fn is_supervisors(&self) -> bool {
        matches!(self.form, Form::Tai64nLocal | Form::Svlogd | Form::Tai64n)
    }
}

/// A timestamp and the text behind it, without the blank between.
type Read<'a> = Option<(Stamp<'a>, &'a [u8])>;

/// The month, 1 to 12, of an English abbreviation as printed in the C locale.
pub(super) fn month(name: &[u8]) -> Option<i8> {
    Some(match name {
        b"Jan" => 1,
        b"Feb" => 2,
        b"Mar" => 3,
        b"Apr" => 4,
        b"May" => 5,
        b"Jun" => 6,
        b"Jul" => 7,
        b"Aug" => 8,
        b"Sep" => 9,
        b"Oct" => 10,
        b"Nov" => 11,
        b"Dec" => 12,
        _ => return None,
    })
}

/// Parses `Nov 22 14:38:31`, `May 9 11:11:17` or `Nov 22 2026 14:38:31`, with fraction and zone if they follow.
pub(super) fn bsd(line: &[u8]) -> Read<'_> {
    bsd_at(line, 0, Form::Bsd)
}

/// Strips the day of the week, as in `Sun Nov 22 …`.
///
/// It adds nothing to the date, and so is not part of the timestamp.
pub(super) fn behind_weekday(line: &[u8]) -> Option<&[u8]> {
    let (b"Mon" | b"Tue" | b"Wed" | b"Thu" | b"Fri" | b"Sat" | b"Sun", rest) = line.split_at_checked(3)?
    else {
        return None;
    };
    rest.strip_prefix(b" ")
}

/// Parses `Nov 22 14:38:31 2026`, which ctime(3) prints behind the day of the week.
pub(super) fn bsd_before_year(text: &[u8]) -> Read<'_> {
    let (stamp, rest) = bsd(text)?;
    if stamp.form != Form::Bsd || !stamp.zone().is_empty() || !shaped(rest, b"dddd") {
        return None;
    }
    let (text, rest) = text.split_at_checked(stamp.text.len() + " 2026".len())?;
    Some((Stamp { text, form: Form::YearLast, ..stamp }, behind_blank(rest)?))
}

/// Parses `2026 Nov 22 14:38:31`.
pub(super) fn bsd_behind_year(line: &[u8]) -> Read<'_> {
    if !shaped(line, b"dddd ") {
        return None;
    }
    bsd_at(line, 5, Form::YearFirst)
}

fn bsd_at(line: &[u8], start: usize, form: Form) -> Read<'_> {
    let text = line.get(start..)?;
    let day = text.get(4..)?;
    if text[3] != b' ' || month(&text[..3]).is_none() {
        return None;
    }
    let day_length = match day {
        [b' ' | b'0'..=b'9', b'0'..=b'9', b' ', ..] => 2,
        [b'0'..=b'9', b' ', ..] => 1,
        _ => return None,
    };
    let clock = 4 + day_length + 1;
    if shaped(&text[clock..], b"dd:dd:dd") {
        return ending(line, form, start + clock + 5);
    }
    let with_year = form == Form::Bsd && shaped(&text[clock..], b"dddd dd:dd:dd");
    if !with_year {
        return None;
    }
    ending(line, Form::YearThird, clock + 10)
}

/// Parses `2026-11-22T14:38:31` with fraction and zone if they follow; a blank or `_` may replace the `T`.
pub(super) fn iso(line: &[u8]) -> Read<'_> {
    let separator = *line.get(10)?;
    let fits = matches!(separator, b'T' | b' ' | b'_') && shaped(line, b"dddd-dd-dd");
    if !fits || !shaped(&line[11..], b"dd:dd:dd") {
        return None;
    }
    let (stamp, rest) = ending(line, Form::Iso, 16)?;
    let form = match (stamp.zone(), separator, stamp.second().len()) {
        ([], b'_', _) | ([], _, 8) => Form::Svlogd,
        ([], b' ', 12) => Form::Tai64nLocal,
        _ => Form::Iso,
    };
    Some((Stamp { form, ..stamp }, rest))
}

/// Parses `2026-11-22 14:38:31 CET`, which `journalctl -o short-full` prints behind the day of the week. No supervisor
/// does, so that the word behind it is a zone.
///
/// journalctl prints the zone of the host it runs on. An ambiguous name is not part of the timestamp, which is then local
/// time of the log like one without a name.
pub(super) fn iso_before_zone(text: &[u8]) -> Read<'_> {
    let (stamp, _) = iso(text)?;
    if stamp.form != Form::Iso || !stamp.zone().is_empty() {
        return None;
    }
    let (iso, behind) = text.split_at(stamp.text.len());
    match worded_zone(behind) {
        0 => Some((Stamp { text: iso, ..stamp }, behind_vague_zone(behind)?)),
        zone => {
            let (text, rest) = text.split_at(iso.len() + zone);
            Some((Stamp { text, ..stamp }, behind_blank(rest)?))
        }
    }
}

fn behind_vague_zone(text: &[u8]) -> Option<&[u8]> {
    let text = text.strip_prefix(b" ")?;
    let length = memchr(b' ', text)?;
    VAGUE_ZONES.contains(&&text[..length]).then(|| &text[length + 1..])
}

/// Parses `@4000000067…`: 16 digits of seconds, 8 of nanoseconds.
pub(super) fn tai64n(line: &[u8]) -> Read<'_> {
    let (text, rest) = line.split_at_checked(25)?;
    let fits = text[0] == b'@' && text[1..].iter().all(u8::is_ascii_hexdigit);
    if !fits {
        return None;
    }
    let stamp = Stamp { text, form: Form::Tai64n, minute: 0, tail: 0 };
    Some((stamp, behind_blank(rest)?))
}

/// Parses the rest of a timestamp whose minute ends at byte `minute` and is followed by two digits of seconds.
fn ending(line: &[u8], form: Form, minute: usize) -> Read<'_> {
    let seconds = minute + 3;
    let fraction = match line.get(seconds) {
        Some(b'.' | b',') => {
            1 + line[seconds + 1..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count()
        }
        _ => 0,
    };
    if fraction == 1 {
        return None;
    }
    let zone = seconds + fraction;
    let zone_length = match form {
        Form::Iso => attached_zone(&line[zone..]),
        _ => attached_zone(&line[zone..]).max(worded_zone(&line[zone..])),
    };
    let (text, rest) = line.split_at(zone + zone_length);
    let minute = u8::try_from(minute).ok()?;
    let tail = u8::try_from(zone).ok()?;
    Some((Stamp { text, form, minute, tail }, behind_blank(rest)?))
}

/// The length in bytes of the zone at the beginning of the text: `Z`, `+01:00`, `+0100`, `+01`; 0 if there is none.
fn attached_zone(text: &[u8]) -> usize {
    match text.first() {
        Some(b'Z') => 1,
        Some(b'+' | b'-') => offset_length(text),
        _ => 0,
    }
}

/// The length in bytes of a zone that is a separate word: ` +0100`, ` CET`; 0 if the word is not a zone, but the host.
///
/// Not for ISO timestamps: behind a supervisor's timestamp the word is a service's text, and a timestamp with a zone is
/// not a supervisor's, so that the text would choose the layout.
fn worded_zone(text: &[u8]) -> usize {
    let [b' ', word @ ..] = text else { return 0 };
    match word.first() {
        Some(b'+' | b'-') => wordlike(offset_length(word), word),
        Some(b'A'..=b'Z') => wordlike(named_zone(word).map_or(0, |(name, _)| name.len()), word),
        _ => 0,
    }
}

/// The length of ` WORD` if the first `length` bytes are the whole word, otherwise 0.
fn wordlike(length: usize, word: &[u8]) -> usize {
    if length > 0 && matches!(word.get(length), None | Some(b' ')) { length + 1 } else { 0 }
}

fn offset_length(text: &[u8]) -> usize {
    match &text[1..] {
        digits if shaped(digits, b"dd:dd") => 6,
        digits if shaped(digits, b"dddd") => 5,
        digits if shaped(digits, b"dd") => 3,
        _ => 0,
    }
}

/// Zones that are printed by name, with their minutes east of Greenwich: those of RFC 822 §5.1 and of Europe.
///
/// The list is closed, since any other word is the host. Ambiguous names (`IST`, `BST`) are left out.
pub(super) const ZONES: [(&[u8], i16); 19] = [
    (b"UTC", 0),
    (b"GMT", 0),
    (b"UT", 0),
    (b"EST", -300),
    (b"EDT", -240),
    (b"CST", -360),
    (b"CDT", -300),
    (b"MST", -420),
    (b"MDT", -360),
    (b"PST", -480),
    (b"PDT", -420),
    (b"WET", 0),
    (b"WEST", 60),
    (b"CET", 60),
    (b"CEST", 120),
    (b"MET", 60),
    (b"MEST", 120),
    (b"EET", 120),
    (b"EEST", 180),
];

/// The other names that tzdata (2026a) has for zones now in use. Several of them are ambiguous.
///
/// The list is closed, since a program may print a word of its own there (`INFO`), with a peer's text behind it.
const VAGUE_ZONES: [&[u8]; 32] = [
    b"ACDT", b"ACST", b"ADT", b"AEDT", b"AEST", b"AKDT", b"AKST", b"AST", b"AWST", b"BST", b"CAT", b"ChST",
    b"EAT", b"HDT", b"HKT", b"HST", b"IDT", b"IST", b"JST", b"KST", b"MSK", b"NDT", b"NST", b"NZDT", b"NZST",
    b"PKT", b"SAST", b"SST", b"WAT", b"WIB", b"WIT", b"WITA",
];

/// The zone named by the first word of the text.
pub(super) fn named_zone(text: &[u8]) -> Option<(&'static [u8], i16)> {
    let length = text.iter().take(5).take_while(|byte| byte.is_ascii_uppercase()).count();
    ZONES.into_iter().find(|(name, _)| *name == &text[..length])
}

/// The text behind a part of the header: after one blank, or nothing at the end of the line.
fn behind_blank(rest: &[u8]) -> Option<&[u8]> {
    match rest {
        [] => Some(rest),
        [b' ', rest @ ..] => Some(rest),
        _ => None,
    }
}

/// Whether the text begins with this shape: `d` stands for a digit, anything else for itself.
fn shaped<const N: usize>(text: &[u8], shape: &[u8; N]) -> bool {
    let fits = |(byte, want): (&u8, &u8)| if *want == b'd' { byte.is_ascii_digit() } else { byte == want };
    text.first_chunk::<N>().is_some_and(|text| text.iter().zip(shape).all(fits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split<'a>(read: Read<'a>) -> (&'a [u8], &'a [u8], &'a [u8], &'a [u8]) {
        let (stamp, rest) = read.expect("a stamp");
        (stamp.minute(), stamp.second(), stamp.zone(), rest)
    }

    #[test]
    fn the_parts_of_a_stamp_are_found() {
        let want: (&[u8], &[u8], &[u8], &[u8]) = (b"Nov 22 14:38", b"31", b"", b"gw x");
        assert_eq!(split(bsd(b"Nov 22 14:38:31 gw x")), want);
        let want: (&[u8], &[u8], &[u8], &[u8]) = (b"May 9 11:11", b"17.5", b" UTC", b"gw");
        assert_eq!(split(bsd(b"May 9 11:11:17.5 UTC gw")), want);
        let want: (&[u8], &[u8], &[u8], &[u8]) = (b"2026-11-22T14:38", b"31.123456", b"+01:00", b"gw");
        assert_eq!(split(iso(b"2026-11-22T14:38:31.123456+01:00 gw")), want);
    }

    #[test]
    fn a_host_is_not_taken_for_a_zone() {
        for host in ["Z", "CETUS", "UTC1", "GW", "IST", "utc", "cet"] {
            let line = format!("Nov 22 14:38:31 {host} sshd[1]: x");
            let (stamp, rest) = bsd(line.as_bytes()).expect("a stamp");
            assert_eq!(stamp.zone(), b"", "{line}");
            assert!(rest.starts_with(host.as_bytes()));
        }
    }

    #[test]
    fn supervisors_are_told_by_their_digits() {
        let form = |line: &str| iso(line.as_bytes()).expect("a stamp").0.form();
        assert_eq!(form("2015-05-27T04:31:27.46667 x"), Form::Svlogd);
        assert_eq!(form("2015-05-27_04:31:27.46667 x"), Form::Svlogd);
        assert_eq!(form("2018-06-26 13:22:02.108781500 x"), Form::Tai64nLocal);
        assert_eq!(form("2018-06-26T13:22:02.108781500 x"), Form::Iso);
        assert_eq!(form("2015-05-27T04:31:27.46667Z x"), Form::Iso);
        assert_eq!(form("2015-05-27T04:31:27.466670 x"), Form::Iso);
    }

    #[test]
    fn what_only_looks_like_a_stamp_is_none() {
        for line in [
            "Nov 22 14:38:31. gw",
            "Nov 22 14:38:3 gw",
            "Nov 22 14-38-31 gw",
            "Nov  14:38:31",
            "Now 22 14:38:31 gw",
            "Nov 22 14:38:31.1234567890 gw",
            "Nov 22 14:38:31+1 gw",
            "Nov 22 26 14:38:31 gw",
        ] {
            assert_eq!(bsd(line.as_bytes()), None, "{line}");
        }
        assert_eq!(tai64n(b"@4000000067g000000000000000 x"), None);
        assert_eq!(tai64n(b"@40000000670000000000000000 x"), None, "a digit too many");
    }
}
