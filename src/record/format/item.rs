//! The parts of a format: what each strips from a text, and the regex of just that.

use std::fmt::Write as _;
use std::time::Duration;

use jiff::tz::Offset;

use crate::record::date::{Date, east, numeric_offset};
use crate::record::stamp::{ZONES, named_zone};
use crate::time::Time;

/// The meaning of a timestamp, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::record) enum Said {
    /// A date and a time, with an offset if one is printed.
    Civil { date: Date, within: Duration, offset: Option<Offset> },
    /// Seconds since 1970.
    Epoch(Time),
}

const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

const MONTH_NAMES: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// A part of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatItem {
    /// Exactly this byte.
    Byte(u8),
    Number(FormatPart, Pad),
    /// This many digits of a second's fraction, or one to nine.
    Fraction(Option<u8>),
    /// A dot and one to nine digits, or nothing.
    DottedFraction,
    /// `Nov`, `Sun`
    Short(Name),
    /// `November`, `Sunday`
    Full(Name),
    /// `AM`, `PM`; lower-case with `true`.
    Meridiem(bool),
    /// `+0100`; `+01:00` if `colon` is set.
    Offset {
        colon: bool,
    },
    /// `CET`
    ZoneName,
    /// Ten digits of seconds since 1970: until 2286.
    Epoch,
    /// In known formats: `T`, `_` or a blank between day and time.
    Between,
    /// In known formats: a fraction behind a dot or a comma, if there is one.
    AnyFraction,
    /// In known formats: a zone in any notation, with a blank before it or without, if there is one.
    AnyZone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FormatPart {
    Year,
    ShortYear,
    Month,
    Day,
    Hour,
    HalfDayHour,
    Minute,
    Second,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pad {
    Zero,
    Blank,
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Month,
    Weekday,
}

/// The fields parsed so far.
#[derive(Default)]
pub(super) struct FormatParts {
    year: Option<i16>,
    month: i8,
    day: i8,
    hour: i8,
    afternoon: Option<bool>,
    minute: i8,
    second: u8,
    millis: u64,
    offset: Option<Offset>,
    epoch: Option<i64>,
}

impl FormatItem {
    /// The word for what it stands for, as used in messages. A format may have only one item of a word, except `text`.
    pub(super) fn what(&self) -> &'static str {
        match self {
            Self::Byte(_) | Self::Between => "text",
            Self::Number(FormatPart::Year | FormatPart::ShortYear, _) => "year",
            Self::Number(FormatPart::Month, _) | Self::Short(Name::Month) | Self::Full(Name::Month) => {
                "month"
            }
            Self::Number(FormatPart::Day, _) => "day",
            Self::Number(FormatPart::Hour | FormatPart::HalfDayHour, _) => "hour",
            Self::Number(FormatPart::Minute, _) => "minute",
            Self::Number(FormatPart::Second, _) => "second",
            Self::Fraction(_) | Self::DottedFraction | Self::AnyFraction => "fraction",
            Self::Short(Name::Weekday) | Self::Full(Name::Weekday) => "day of the week",
            Self::Meridiem(_) => "half of the day",
            Self::Offset { .. } | Self::ZoneName | Self::AnyZone => "zone",
            Self::Epoch => "epoch",
        }
    }

    /// Reads this item at the beginning of the text into `parts`, and returns the rest; `None` if it is not there.
    pub(super) fn read<'t>(&self, text: &'t [u8], parts: &mut FormatParts) -> Option<&'t [u8]> {
        match *self {
            Self::Byte(byte) => text.strip_prefix(&[byte]),
            Self::Between => text
                .split_first()
                .filter(|(byte, _)| matches!(byte, b' ' | b'T' | b'_'))
                .map(|(_, rest)| rest),
            Self::Number(part, pad) => {
                let (number, rest) = number(text, if part == FormatPart::Year { 4 } else { 2 }, pad)?;
                parts.set(part, number).then_some(rest)
            }
            Self::Fraction(digits) => parts.fraction(text, digits),
            Self::DottedFraction => {
                optional(text, text.strip_prefix(b"."), |rest| parts.fraction(rest, None))
            }
            Self::AnyFraction => {
                let behind = text.strip_prefix(b".").or_else(|| text.strip_prefix(b","));
                optional(text, behind, |rest| parts.fraction(rest, None))
            }
            Self::Short(name) => parts.name(text, name, |name| name.get(..3).unwrap_or(name)),
            Self::Full(name) => parts.name(text, name, |name| name),
            Self::Meridiem(lower) => {
                let (am, pm): (&[u8], &[u8]) = if lower { (b"am", b"pm") } else { (b"AM", b"PM") };
                let rest = text.strip_prefix(am).or_else(|| text.strip_prefix(pm))?;
                parts.afternoon = Some(text.starts_with(pm));
                Some(rest)
            }
            Self::Offset { colon } => {
                let length = if colon { 6 } else { 5 };
                let (zone, rest) = text.split_at_checked(length)?;
                parts.offset(zone, colon).then_some(rest)
            }
            Self::ZoneName => {
                let (name, minutes) = named_zone(text)?;
                parts.offset = east(i32::from(minutes));
                text.get(name.len()..)
            }
            Self::AnyZone => Some(parts.any_zone(text)),
            Self::Epoch => {
                let (seconds, rest) = text.split_at_checked(10)?;
                parts.epoch = Some(i64::from(decimal(seconds)?));
                Some(rest)
            }
        }
    }

    pub(super) fn regex(&self, regex: &mut String) {
        let names = |names: &[&str], length: usize| {
            names.iter().map(|name| name.get(..length).unwrap_or(name)).collect::<Vec<_>>().join("|")
        };
        let list = |name: Name| if name == Name::Month { &MONTH_NAMES[..] } else { &WEEKDAYS[..] };
        let zones = || ZONES.map(|(name, _)| String::from_utf8_lossy(name)).join("|");
        // Writing into a string does not fail.
        let _ = match *self {
            Self::Byte(byte) => write!(regex, "{}", literal(byte)),
            Self::Between => write!(regex, "[ T_]"),
            Self::Number(FormatPart::Year, _) => write!(regex, "[0-9]{{4}}"),
            Self::Number(_, Pad::Zero) => write!(regex, "[0-9]{{2}}"),
            Self::Number(_, Pad::Blank) => write!(regex, "[ 0-9][0-9]"),
            Self::Number(_, Pad::None) => write!(regex, "[0-9]{{1,2}}"),
            Self::Fraction(Some(digits)) => write!(regex, "[0-9]{{{digits}}}"),
            Self::Fraction(None) => write!(regex, "[0-9]{{1,9}}"),
            Self::DottedFraction => write!(regex, r"(?:\.[0-9]{{1,9}})?"),
            Self::AnyFraction => write!(regex, r"(?:[.,][0-9]{{1,9}})?"),
            Self::Short(name) => write!(regex, "(?:{})", names(list(name), 3)),
            Self::Full(name) => write!(regex, "(?:{})", names(list(name), usize::MAX)),
            Self::Meridiem(true) => write!(regex, "(?:am|pm)"),
            Self::Meridiem(false) => write!(regex, "(?:AM|PM)"),
            Self::Offset { colon: false } => write!(regex, "[+-][0-9]{{4}}"),
            Self::Offset { colon: true } => write!(regex, "[+-][0-9]{{2}}:[0-9]{{2}}"),
            Self::ZoneName => write!(regex, "(?:{})", zones()),
            Self::AnyZone => write!(regex, "(?: ?[+-][0-9]{{2}}(?::?[0-9]{{2}})?|Z| (?:{}))?", zones()),
            Self::Epoch => write!(regex, "[0-9]{{10}}"),
        };
    }
}

/// The rest behind an optional part.
fn optional<'t>(
    whole: &'t [u8],
    behind: Option<&'t [u8]>,
    read: impl FnOnce(&'t [u8]) -> Option<&'t [u8]>,
) -> Option<&'t [u8]> {
    Some(behind.and_then(read).unwrap_or(whole))
}

/// One byte as a regex that matches it.
fn literal(byte: u8) -> String {
    if byte.is_ascii() {
        regex_syntax::escape(&char::from(byte).to_string())
    } else {
        format!(r"\x{byte:02x}")
    }
}

fn number(text: &[u8], width: usize, pad: Pad) -> Option<(i16, &[u8])> {
    let is_short = !matches!(text, [b'0'..=b'9', b'0'..=b'9', ..]);
    let (digits, rest) = match (pad, text) {
        (Pad::Blank, [b' ', rest @ ..]) => rest.split_at_checked(1)?,
        (Pad::None, _) if is_short => text.split_at_checked(1)?,
        _ => text.split_at_checked(width)?,
    };
    Some((i16::try_from(decimal(digits)?).ok()?, rest))
}

fn decimal(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0_u32, |value, byte| {
        byte.is_ascii_digit().then(|| value.checked_mul(10)?.checked_add(u32::from(byte - b'0')))?
    })
}

impl FormatParts {
    /// Stores a number; false if it is outside the part's range. The calendar checks the day of the month.
    fn set(&mut self, part: FormatPart, number: i16) -> bool {
        let small = i8::try_from(number).unwrap_or(i8::MAX);
        match part {
            FormatPart::Year => self.year = Some(number),
            // As POSIX has it: 69 to 99 are years of the twentieth century.
            FormatPart::ShortYear => self.year = Some(number + if number < 69 { 2000 } else { 1900 }),
            FormatPart::Month => self.month = small,
            FormatPart::Day => self.day = small,
            FormatPart::Hour | FormatPart::HalfDayHour => self.hour = small,
            FormatPart::Minute => self.minute = small,
            FormatPart::Second => self.second = small.unsigned_abs(),
        }
        match part {
            FormatPart::Second => number <= 60,
            FormatPart::HalfDayHour => (1..=12).contains(&number),
            _ => true,
        }
    }

    fn fraction<'t>(&mut self, text: &'t [u8], digits: Option<u8>) -> Option<&'t [u8]> {
        let most = usize::from(digits.unwrap_or(9));
        let length = text.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
        let fits = digits.map_or(length > 0, |digits| length == usize::from(digits));
        let digit = |index: usize| text[..length].get(index).map_or(0, |byte| u64::from(byte - b'0'));
        self.millis = digit(0) * 100 + digit(1) * 10 + digit(2);
        fits.then_some(&text[length..])
    }

    fn name<'t>(
        &mut self,
        text: &'t [u8],
        name: Name,
        cut: fn(&'static str) -> &'static str,
    ) -> Option<&'t [u8]> {
        let names: &[&str] = if name == Name::Month { &MONTH_NAMES } else { &WEEKDAYS };
        let at = names.iter().position(|name| text.starts_with(cut(name).as_bytes()))?;
        if name == Name::Month {
            self.month = i8::try_from(at + 1).ok()?;
        }
        text.get(cut(names[at]).len()..)
    }

    fn offset(&mut self, zone: &[u8], colon: bool) -> bool {
        let ([sign @ (b'+' | b'-'), digits @ ..], true) = (zone, (zone.get(3) == Some(&b':')) == colon)
        else {
            return false;
        };
        self.offset = numeric_offset(*sign, digits);
        self.offset.is_some()
    }

    /// The text behind a zone, if there is one: `Z`, `+01`, `+0100`, `+01:00`, a blank and one of these or a name.
    fn any_zone<'t>(&mut self, text: &'t [u8]) -> &'t [u8] {
        let ends = |rest: &[u8]| !rest.first().is_some_and(u8::is_ascii_alphanumeric);
        if let Some(rest) = text.strip_prefix(b"Z").filter(|rest| ends(rest)) {
            self.offset = Some(Offset::UTC);
            return rest;
        }
        let word = text.strip_prefix(b" ").unwrap_or(text);
        for length in [6, 5, 3] {
            let Some((zone, rest)) = word.split_at_checked(length) else { continue };
            if ends(rest) && self.offset(zone, length == 6) {
                return rest;
            }
        }
        let named = text.strip_prefix(b" ").and_then(named_zone);
        let Some((rest, (_, minutes))) = named.and_then(|named| Some((word.get(named.0.len()..)?, named)))
        else {
            return text;
        };
        if !ends(rest) {
            return text;
        }
        self.offset = east(i32::from(minutes));
        rest
    }

    pub(super) fn said(&self) -> Option<Said> {
        let within = Duration::from_millis(u64::from(self.second) * 1000 + self.millis);
        if let Some(seconds) = self.epoch {
            return Some(Said::Epoch(Time::from_secs(seconds).plus(within)));
        }
        let hour = match self.afternoon {
            None => self.hour,
            Some(afternoon) => self.hour % 12 + if afternoon { 12 } else { 0 },
        };
        let date = Date { year: self.year, month: self.month, day: self.day, hour, minute: self.minute };
        // The days of a month in any year; the calendar checks February.
        (1..=12).contains(&self.month).then_some(Said::Civil { date, within, offset: self.offset })
    }
}
