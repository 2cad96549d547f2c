//! The numbers in a timestamp: day and minute, seconds, offset, TAI64N labels; and their meaning in the calendar.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::Stamp;
use super::stamp::{self, Form};
use crate::time::Time;

/// Day, hour and minute of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    /// The year; absent in most syslog files.
    pub(super) year: Option<i16>,
    pub(super) month: i8,
    pub(super) day: i8,
    pub(super) hour: i8,
    pub(super) minute: i8,
}

impl Date {
    pub(super) fn read(stamp: &Stamp<'_>) -> Option<Self> {
        let text = stamp.minute();
        let (date, clock) = text.split_at(text.len().checked_sub(5)?);
        let hour = two_digits(clock)?;
        let minute = two_digits(&clock[3..])?;
        let (year, month, day) = match stamp.form() {
            Form::Bsd => (None, name(date)?, date.get(4..)?),
            Form::YearFirst => (Some(year(date)?), name(date.get(5..)?)?, date.get(9..)?),
            Form::YearThird => {
                let (day, years) = date.split_at(date.len().checked_sub(5)?);
                (Some(year(years)?), name(day)?, day.get(4..)?)
            }
            Form::YearLast => {
                let years = stamp.tail().trim_ascii_start();
                (Some(year(years)?), name(date)?, date.get(4..)?)
            }
            _ => (Some(year(date)?), two_digits(date.get(5..)?)?, date.get(8..10)?),
        };
        Some(Self { year, month, day: small(day)?, hour, minute })
    }

    /// The beginning of that minute in a year; `None` if the year has no such day, or the day no such hour or minute.
    pub(super) fn in_year(&self, year: i16) -> Option<DateTime> {
        DateTime::new(year, self.month, self.day, self.hour, self.minute, 0, 0).ok()
    }
}

/// The point in time of a local time; two if the local time occurs twice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) first: Time,
    pub(super) second: Option<Time>,
}

impl Moment {
    /// The candidates under the timestamp's own offset, or else under those of the zone.
    pub(super) fn of(civil: DateTime, zone: &TimeZone, offset: Option<Offset>) -> Option<Self> {
        let at = |offset: Offset| offset.to_timestamp(civil).ok().map(Time::from);
        let once = |offset| Some(Self { first: at(offset)?, second: None });
        match offset.map_or_else(|| zone.to_ambiguous_timestamp(civil).offset(), known) {
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Gap { before: offset, .. } => {
                once(offset)
            }
            AmbiguousOffset::Fold { before, after } => Some(Self { first: at(before)?, second: at(after) }),
        }
    }
}

/// Parses an offset from UTC: `Z`, `+01:00`, `-0530`, `+02`.
pub fn offset(text: &[u8]) -> Option<Offset> {
    match text {
        b"Z" => Some(Offset::UTC),
        [sign @ (b'+' | b'-'), digits @ ..] => numeric_offset(*sign, digits),
        _ => None,
    }
}

fn known(offset: Offset) -> AmbiguousOffset {
    AmbiguousOffset::Unambiguous { offset }
}

fn name(text: &[u8]) -> Option<i8> {
    stamp::month(text.get(..3)?)
}

fn year(text: &[u8]) -> Option<i16> {
    let century = two_digits(text)?;
    let year = two_digits(text.get(2..)?)?;
    Some(i16::from(century) * 100 + i16::from(year))
}

fn two_digits(text: &[u8]) -> Option<i8> {
    small(text.get(..2)?)
}

/// Parses a number of one or two digits, perhaps with blanks around it.
fn small(text: &[u8]) -> Option<i8> {
    std::str::from_utf8(text.trim_ascii())
        .ok()?
        .parse::<u8>()
        .ok()
        .and_then(|number| i8::try_from(number).ok())
}

/// Parses `31.123456` to milliseconds; a leap second, 60, runs into the next minute.
pub(super) fn milliseconds(text: &[u8]) -> Option<Duration> {
    let [tens @ b'0'..=b'9', ones @ b'0'..=b'9', fraction @ ..] = text else { return None };
    let seconds = u64::from(tens - b'0') * 10 + u64::from(ones - b'0');
    let digit = |index: usize| fraction.get(index).map_or(0, |byte| u64::from(byte.wrapping_sub(b'0')));
    let millis = digit(1) * 100 + digit(2) * 10 + digit(3);
    (seconds <= 60).then(|| Duration::from_millis(seconds * 1000 + millis))
}

/// The timestamp's own offset: `None` for an invalid one, `Some(None)` for local time.
#[expect(clippy::option_option, reason = "the outer one is the error")]
pub(super) fn zone_offset(stamp: &Stamp<'_>) -> Option<Option<Offset>> {
    let zone = stamp.zone().trim_ascii_start();
    match (zone, stamp.form()) {
        ([], Form::Svlogd) => Some(Some(Offset::UTC)),
        ([], _) => Some(None),
        ([b'Z' | b'+' | b'-', ..], _) => offset(zone).map(Some),
        _ => stamp::named_zone(zone).map(|(_, minutes)| east(i32::from(minutes)))?.map(Some),
    }
}

pub(super) fn numeric_offset(sign: u8, digits: &[u8]) -> Option<Offset> {
    let minutes = match digits {
        [_, _] => 0,
        [_, _, b':', minutes @ ..] | [_, _, minutes @ ..] => i32::from(two_digits(minutes)?),
        _ => return None,
    };
    let hours = i32::from(two_digits(digits)?);
    let sign = if sign == b'-' { -1 } else { 1 };
    if hours >= 24 || minutes >= 60 {
        return None;
    }
    east(sign * (hours * 60 + minutes))
}

/// The offset of this many minutes east of Greenwich.
pub(super) fn east(minutes: i32) -> Option<Offset> {
    Offset::from_seconds(minutes * 60).ok()
}

/// TAI64N as daemontools writes it: seconds after 1970 plus 2^62 and ten, then nanoseconds. Leap seconds do not exist. A
/// label can hold 2^62 seconds, and anybody may write one: beyond the calendar's year 9999 it is not a timestamp.
pub(super) fn tai64n(text: &[u8]) -> Option<Time> {
    let digits = std::str::from_utf8(text.get(1..)?).ok()?;
    let label = u64::from_str_radix(digits.get(..16)?, 16).ok()?;
    let nanos = i32::from_str_radix(digits.get(16..)?, 16).ok().filter(|&nanos| nanos < 1_000_000_000)?;
    let seconds = i64::try_from(label.checked_sub((1 << 62) + 10)?).ok()?;
    Timestamp::new(seconds, nanos).ok().map(Time::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_to_the_millisecond() {
        assert_eq!(milliseconds(b"31"), Some(Duration::from_secs(31)));
        assert_eq!(milliseconds(b"31.5"), Some(Duration::from_millis(31_500)));
        assert_eq!(milliseconds(b"31.123999999"), Some(Duration::from_millis(31_123)));
        assert_eq!(milliseconds(b"60"), Some(Duration::from_secs(60)), "a leap second");
        assert_eq!(milliseconds(b"61"), None);
        assert_eq!(milliseconds(b""), None);
    }

    #[test]
    fn offsets_have_two_signs_and_a_range() {
        let seconds = |sign, text: &[u8]| numeric_offset(sign, text).map(Offset::seconds);
        assert_eq!(seconds(b'+', b"01:00"), Some(3600));
        assert_eq!(seconds(b'-', b"0530"), Some(-19_800));
        assert_eq!(seconds(b'+', b"02"), Some(7200));
        assert_eq!(seconds(b'+', b"2400"), None);
        assert_eq!(seconds(b'+', b"0160"), None);
    }

    #[test]
    fn tai64n_is_ten_seconds_and_two_to_the_62nd_off() {
        assert_eq!(tai64n(b"@400000000000000a00000000"), Some(Time::from_secs(0)));
        assert_eq!(tai64n(b"@400000000000000b1dcd6500"), Some(Time::from_millis(1500)));
        for wild in [
            "@000000000000000000000000",
            "@400000000000000a3b9aca00",
            "@",
            "@ffffffffffffffffffffffff",
            "@7fffffffffffffff00000000",
        ] {
            assert_eq!(tai64n(wild.as_bytes()), None, "{wild}");
        }
    }
}
