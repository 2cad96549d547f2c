//! Formats of timestamps in a service's own log: those that `time:` of a rule set or a source states, in the directives
//! of `strptime`, and those that are known without it.
//!
//! A format describes one set of texts: the same ones are parsed by it, matched by [`TimeFormat::regex`] and printed by
//! `strftime`. Parsing takes numbers from bytes at fixed places and allocates nothing.

mod item;

use item::{FormatItem, FormatPart, FormatParts, Name, Pad};

pub(super) use item::Said;

/// One format, such as `%d.%m.%Y %H:%M:%S`.
#[derive(Clone, PartialEq, Eq)]
pub struct TimeFormat {
    text: String,
    items: Vec<FormatItem>,
}

/// A fault of a format, and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatError {
    /// Offset in bytes of the faulty directive; 0 if something is missing.
    pub at: usize,
    /// The end of a sentence that begins with the format.
    pub text: String,
}

/// Length limit of a format in bytes: generous for a hand-written timestamp with text around it.
const MAX_FORMAT: usize = 200;

const SPEC: &str = "`%Y %m %b %B %d %e %H %k %I %l %p %M %S %f %.f %z %:z %Z %s %a %A %y %F %T %D %R %%`";

impl TimeFormat {
    /// Parses a format as an operator writes it.
    ///
    /// # Errors
    /// If a directive is not supported, a part is stated twice, or the format is too long or lacks month, day, hour or
    /// minute.
    pub fn new(text: &str) -> Result<Self, FormatError> {
        if text.len() > MAX_FORMAT {
            return Err(FormatError { at: 0, text: format!("is longer than {MAX_FORMAT} bytes") });
        }
        let format = Self::compile(text, false)?;
        format.is_complete()?;
        Ok(format)
    }

    /// Parses one of the known formats, which have directives of their own.
    pub(super) fn known(text: &str) -> Option<Self> {
        Self::compile(text, true).ok()
    }

    fn compile(text: &str, is_known: bool) -> Result<Self, FormatError> {
        let mut items = Vec::new();
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let length = word_length(rest);
            let added = if let Some(word) = rest.strip_prefix('%') {
                let word = word.get(..length - 1).unwrap_or_default();
                directive(word).filter(|_| is_known || !word.starts_with('?')).ok_or_else(|| FormatError {
                    at,
                    text: format!("contains `%{word}`, which is not supported; supported are {SPEC}"),
                })?
            } else {
                rest.as_bytes().iter().take(length).map(|byte| FormatItem::Byte(*byte)).collect()
            };
            if let Some(twice) = added.iter().find(|item| said_again(&items, item)) {
                return Err(FormatError { at, text: format!("states the {} twice", twice.what()) });
            }
            items.extend(added);
            at += length;
        }
        Ok(Self { text: text.to_owned(), items })
    }

    /// Refuses a format without a minute; the year may be missing, as in syslog.
    fn is_complete(&self) -> Result<(), FormatError> {
        let has = |what: &str| self.items.iter().any(|item| item.what() == what);
        let missing = |what: &str| Err(FormatError { at: 0, text: what.to_owned() });
        if has("epoch") {
            return Ok(());
        }
        let half =
            self.items.iter().any(|item| matches!(item, FormatItem::Number(FormatPart::HalfDayHour, _)));
        if !has("month") {
            return missing("has no month: add `%m` for its number or `%b` for its name");
        }
        if !has("day") {
            return missing("has no day: add `%d`, or `%e` if it is padded with a blank");
        }
        if !has("hour") {
            return missing("has no hour: add `%H`, or `%I` together with `%p`");
        }
        if half && !has("half of the day") {
            return missing("has an hour of 1 to 12 (`%I`) but not AM or PM: add `%p`");
        }
        if !has("minute") {
            return missing("has no minute: add `%M`");
        }
        Ok(())
    }

    /// The text of the format.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The timestamp at the beginning of the text, and its length in bytes.
    pub(super) fn read(&self, text: &[u8]) -> Option<(Said, usize)> {
        let mut parts = FormatParts::default();
        let mut rest = text;
        for item in &self.items {
            rest = item.read(rest, &mut parts)?;
        }
        let length = text.len() - rest.len();
        let last = text.get(length.checked_sub(1)?)?;
        let next = rest.first();
        let goes_on = last.is_ascii_alphanumeric() && next.is_some_and(u8::is_ascii_alphanumeric);
        if goes_on {
            return None;
        }
        Some((parts.said()?, length))
    }

    /// A regex of exactly these timestamps, without capture groups.
    pub(super) fn regex(&self) -> String {
        let mut regex = String::new();
        self.items.iter().for_each(|item| item.regex(&mut regex));
        regex
    }
}

impl std::fmt::Debug for TimeFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.text)
    }
}

/// The length of the first word of a format: a directive with its flags, or one character.
fn word_length(text: &str) -> usize {
    let end = |text: &str, from: usize| {
        text.get(from..).and_then(|rest| rest.chars().next()).map_or(from, |c| from + c.len_utf8())
    };
    if !text.starts_with('%') {
        return end(text, 0);
    }
    let flags = text
        .bytes()
        .skip(1)
        .take_while(|byte| matches!(byte, b'-' | b'_' | b'.' | b':' | b'0'..=b'9' | b'?'));
    end(text, 1 + flags.count())
}

/// The parts that a directive stands for.
fn directive(word: &str) -> Option<Vec<FormatItem>> {
    use FormatItem::{Full, Number, Short};
    use FormatPart::{Day, HalfDayHour, Hour, Minute, Month, Second, ShortYear, Year};
    use Pad::{Blank, None as Unpadded, Zero};
    let row = |text: &str| TimeFormat::compile(text, false).ok().map(|format| format.items);
    let one = match word {
        "Y" => Number(Year, Zero),
        "y" => Number(ShortYear, Zero),
        "m" => Number(Month, Zero),
        "-m" => Number(Month, Unpadded),
        "d" => Number(Day, Zero),
        "e" | "_d" => Number(Day, Blank),
        "-d" | "-e" => Number(Day, Unpadded),
        "H" => Number(Hour, Zero),
        "k" | "_H" => Number(Hour, Blank),
        "-H" | "-k" => Number(Hour, Unpadded),
        "I" => Number(HalfDayHour, Zero),
        "l" | "_I" => Number(HalfDayHour, Blank),
        "-I" | "-l" => Number(HalfDayHour, Unpadded),
        "M" => Number(Minute, Zero),
        "S" => Number(Second, Zero),
        "f" => FormatItem::Fraction(None),
        "N" => FormatItem::Fraction(Some(9)),
        ".f" => FormatItem::DottedFraction,
        "b" | "h" => Short(Name::Month),
        "B" => Full(Name::Month),
        "a" => Short(Name::Weekday),
        "A" => Full(Name::Weekday),
        "p" => FormatItem::Meridiem(false),
        "P" => FormatItem::Meridiem(true),
        "z" => FormatItem::Offset { colon: false },
        ":z" => FormatItem::Offset { colon: true },
        "Z" => FormatItem::ZoneName,
        "s" => FormatItem::Epoch,
        "%" => FormatItem::Byte(b'%'),
        "?T" => FormatItem::Between,
        "?f" => FormatItem::AnyFraction,
        "?z" => FormatItem::AnyZone,
        "F" => return row("%Y-%m-%d"),
        "T" => return row("%H:%M:%S"),
        "R" => return row("%H:%M"),
        "D" => return row("%m/%d/%y"),
        _ => return digits(word),
    };
    Some(vec![one])
}

/// `%3f`, `%.3f`: this many digits of the fraction.
fn digits(word: &str) -> Option<Vec<FormatItem>> {
    let count = word.strip_suffix('f')?;
    let (dot, count) = count.strip_prefix('.').map_or((false, count), |count| (true, count));
    let count: u8 = count.parse().ok().filter(|count| (1..=9).contains(count))?;
    let fraction = FormatItem::Fraction(Some(count));
    Some(if dot { vec![FormatItem::Byte(b'.'), fraction] } else { vec![fraction] })
}

fn said_again(items: &[FormatItem], item: &FormatItem) -> bool {
    item.what() != "text" && items.iter().any(|other| other.what() == item.what())
}

#[cfg(test)]
mod tests;
