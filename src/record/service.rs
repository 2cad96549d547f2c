//! The timestamp in a line of a service's own log: its place, and the formats that are known without configuration.
//!
//! A timestamp is looked for at places that are counted from the left, behind text of the logger only: at the beginning,
//! perhaps in brackets; in the brackets before the first quoted text, as web servers write it; or as the value of a JSON
//! key. Text that a peer wrote elsewhere is never taken for one.

use std::sync::LazyLock;

use super::format::{Said, TimeFormat};
use super::json;

/// Format and place of the timestamps of a log: the value of `time:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeSpec {
    /// The formats, tried in order; if empty, the known ones.
    pub formats: Vec<TimeFormat>,
    /// The place of the timestamp.
    pub place: TimePlace,
}

/// The place of a timestamp in a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TimePlace {
    /// At the beginning of the line.
    #[default]
    Start,
    /// In brackets: at the beginning, or before the first quoted text and behind the address of a web server's peer.
    Brackets,
    /// The value of a key of a JSON object; each part of the list is a key inside the one before.
    Key(Vec<String>),
}

/// The formats that services write. A format of digits alone has a number of digits that no other has.
const KNOWN: [&str; 14] = [
    "%Y-%m-%d%?T%H:%M:%S%?f%?z",
    "%Y/%m/%d %H:%M:%S%?f%?z",
    "%Y.%m.%d %H:%M:%S%?f%?z",
    "%d/%b/%Y:%H:%M:%S%?f%?z",
    "%d/%b/%Y %H:%M:%S%?f%?z",
    "%d-%b-%Y %H:%M:%S%?f%?z",
    "%a %b %e %H:%M:%S%?f%?z %Y",
    "%a %b %e %Y %H:%M:%S%?f%?z",
    "%b %e %Y %H:%M:%S%?f%?z",
    "%b %e %H:%M:%S%?f%?z",
    "%s%6f",
    "%s%3f",
    "%s.%f",
    "%s",
];

static KNOWN_FORMATS: LazyLock<Vec<TimeFormat>> =
    LazyLock::new(|| KNOWN.iter().filter_map(|text| TimeFormat::known(text)).collect());

/// TAI64N, which multilog and svlogd write, as a regex.
const TAI64N: &str = "@[0-9a-f]{24}";

/// The text that may precede a timestamp at the beginning of a line: brackets and the keys of `key=value` lines.
const PREFIXES: [&str; 7] = ["", "[", "ISO:", "time=\"", "time=", "ts=", "t="];

/// The keys under which JSON loggers write the time.
const KEYS: [&[&str]; 6] =
    [&["time"], &["ts"], &["timestamp"], &["@timestamp"], &["t", "$date"], &["datetime"]];

impl TimeSpec {
    /// A regex of exactly these timestamps, without brackets around them and without capture groups.
    pub fn regex(&self) -> String {
        if self.formats.is_empty() { known_regex() } else { alternatives(&self.formats) }
    }

    pub(super) fn read(&self, line: &[u8]) -> Option<Said> {
        let formats: &[TimeFormat] = if self.formats.is_empty() { &KNOWN_FORMATS } else { &self.formats };
        match &self.place {
            TimePlace::Start => first(formats, line),
            TimePlace::Brackets => in_brackets(formats, line),
            TimePlace::Key(path) => whole(formats, json::value(line, path)?),
        }
    }
}

/// A regex of the timestamps in all known formats, without capture groups.
pub fn known_regex() -> String {
    format!("{}|{TAI64N}", alternatives(&KNOWN_FORMATS))
}

/// A regex of the beginning of lines that begin with a timestamp in a known format, without capture groups.
pub fn known_beginning_regex() -> String {
    let prefixes = PREFIXES.map(regex_syntax::escape).join("|");
    format!("(?:{prefixes})(?:{})", known_regex())
}

fn alternatives(formats: &[TimeFormat]) -> String {
    formats.iter().map(TimeFormat::regex).collect::<Vec<_>>().join("|")
}

/// The time of a line without a known layout, if it has a known format.
pub(super) fn read(line: &[u8]) -> Option<Said> {
    let formats = &KNOWN_FORMATS;
    if line.first() == Some(&b'{') {
        return KEYS.iter().find_map(|path| whole(formats, json::value(line, path)?));
    }
    let mut texts = PREFIXES.iter().filter_map(|prefix| line.strip_prefix(prefix.as_bytes()));
    let at_start = texts.find_map(|text| first(formats, text));
    at_start.or_else(|| audit(line)).or_else(|| in_brackets(formats, line))
}

/// The timestamp at the beginning of the text.
fn first(formats: &[TimeFormat], text: &[u8]) -> Option<Said> {
    formats.iter().find_map(|format| format.read(text)).map(|(said, _)| said)
}

/// The timestamp that is the whole text.
fn whole(formats: &[TimeFormat], text: &[u8]) -> Option<Said> {
    let fits = |format: &TimeFormat| format.read(text).filter(|(_, length)| *length == text.len());
    formats.iter().find_map(fits).map(|(said, _)| said)
}

/// The timestamp in brackets, see [`TimePlace::Brackets`].
///
/// Web servers write `PEER IDENT USER [STAMP] "REQUEST"`. The user name is the peer's choice and may look like a
/// timestamp in brackets; but a quote in it is escaped, so that the first `] "` of the line is the server's.
fn in_brackets(formats: &[TimeFormat], line: &[u8]) -> Option<Said> {
    if let Some(inside) = line.strip_prefix(b"[") {
        return closed(formats, inside);
    }
    match quoted(line) {
        Some(before) => {
            let start = memchr::memrchr(b'[', before)? + 1;
            whole(formats, &before[start..])
        }
        None => closed(formats, behind_peer(line)?),
    }
}

/// The timestamp at the beginning of the text, if its bracket is closed behind it.
fn closed(formats: &[TimeFormat], text: &[u8]) -> Option<Said> {
    let is_closed = |(_, length): &(Said, usize)| text.get(*length) == Some(&b']');
    formats.iter().find_map(|format| format.read(text).filter(is_closed)).map(|(said, _)| said)
}

/// The text before the first `] "`.
fn quoted(line: &[u8]) -> Option<&[u8]> {
    memchr::memchr_iter(b'"', line).find_map(|at| line[..at].strip_suffix(b"] "))
}

/// The text in the brackets behind `PEER - - [`: there is no user, and so no text of the peer's.
fn behind_peer(line: &[u8]) -> Option<&[u8]> {
    let end = memchr::memchr(b' ', line)?;
    line[end..].strip_prefix(b" - - [").or_else(|| line[end..].strip_prefix(b" ["))
}

/// The kernel's audit: `type=USER_LOGIN msg=audit(1795354711.123:456): …`
fn audit(line: &[u8]) -> Option<Said> {
    let rest = line.strip_prefix(b"type=")?;
    let end = rest.iter().position(|byte| !byte.is_ascii_uppercase() && !b"_0123456789".contains(byte))?;
    first(&KNOWN_FORMATS, rest[end..].strip_prefix(b" msg=audit(")?)
}

#[cfg(test)]
mod tests;
