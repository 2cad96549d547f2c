//! `TOOL.mode`: how a test makes a fake behave like another release, a full table, a hung tool.

use std::path::Path;

/// Every key and what its value means; a line with another key stops the fake, so that no typo goes unnoticed.
pub(crate) const KEYS: &[(&str, &str)] = &[
    ("version", "13.2 (default) or 15.1: whose texts and limits"),
    ("hang", "seconds to sleep before anything is read"),
    ("delay", "milliseconds that every call takes longer"),
    ("fail", "how many of the next calls that reach the kernel are refused, or always: out of memory"),
    ("refuse", "an address or network that the kernel does not take; any number of lines"),
    ("now", "seconds since the epoch, instead of the clock"),
    ("loaded", "no: the kernel module is not there"),
    ("root", "no: called by an ordinary user"),
    ("securelevel", "3: nothing may be changed"),
    ("request_maxcount", "pf: sysctl net.pf.request_maxcount, default 65535"),
    ("table_entries", "pf: limit of table entries before any pf.conf sets one, default 200000"),
    ("noise", "pf: altq: print the ALTQ lines on every call, as releases before 10.4 did"),
    ("mute", "pf: tables: `-vs Tables` prints nothing and ends well, as it may where the request failed"),
    ("tables_max", "ipfw: sysctl net.inet.ip.fw.tables_max, default 128"),
    ("argmax", "ipfw: sysctl kern.argmax, default 524288"),
];

/// The lines of the mode file, in order.
#[derive(Debug, Default)]
pub(crate) struct Mode(Vec<(String, String)>);

impl Mode {
    /// Reads the file; a missing one is an ordinary FreeBSD 13.2.
    pub(crate) fn load(path: &Path) -> Result<Self, String> {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(parse_line).collect::<Result<_, _>>().map(Self)
    }

    /// The last value given for a key.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Every value given for a key.
    pub(crate) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether the key has this value.
    pub(crate) fn is(&self, key: &str, value: &str) -> bool {
        self.value(key) == Some(value)
    }

    /// A number, or the default where the key is not given.
    pub(crate) fn number(&self, key: &str, default: u64) -> u64 {
        self.value(key).and_then(|value| value.parse().ok()).unwrap_or(default)
    }

    /// Takes one of the ordered failures, if there is one left; the caller saves the mode then. `always` is not counted
    /// down, and so not written over what a test says meanwhile.
    pub(crate) fn take_failure(&mut self) -> bool {
        let Some((_, left)) = self.0.iter_mut().rev().find(|(key, _)| key == "fail") else { return false };
        if left == "always" {
            return true;
        }
        let count = left.parse::<u64>().unwrap_or(0);
        *left = count.saturating_sub(1).to_string();
        count > 0
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        self.0.iter().map(|(key, value)| format!("{key} {value}\n")).collect()
    }
}

fn parse_line(line: &str) -> Result<(String, String), String> {
    let (key, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let known = || KEYS.iter().map(|(key, means)| format!("  {key}: {means}\n")).collect::<String>();
    let is_known = KEYS.iter().any(|(name, _)| *name == key) && !value.trim().is_empty();
    is_known
        .then(|| (key.to_owned(), value.trim().to_owned()))
        .ok_or_else(|| format!("mode file: `{line}` is not `key value` with one of these keys:\n{}", known()))
}
