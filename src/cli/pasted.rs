//! Log lines as people paste them: out of grep, a mail, a chat, with half a header or none.

use crate::record::{self, Record};

/// What a pasted line may have been in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// A whole line; where a header was missing, one was made up.
    pub(super) line: Vec<u8>,
    /// Whether a part of the header was missing.
    pub(super) is_completed: bool,
}

/// A stamp for lines that have none; what counts is when they arrive.
const STAMP: &[u8] = b"Jan  1 00:00:00 ";

/// How far into a line grep's file name may reach.
const LONGEST_NAME: usize = 256;

/// All readings of the text, the likeliest first; the text as it stands is not among them. `programs` are those whose
/// messages are looked at.
pub(super) fn readings(text: &[u8], programs: impl Iterator<Item = String>) -> Vec<Reading> {
    let text = unquoted(text);
    let whole = |line: &[u8]| Reading { line: line.to_vec(), is_completed: false };
    let completed = |header: &[u8]| Reading { line: [header, text].concat(), is_completed: true };
    let found = std::iter::once(text).chain(behind_names(text)).filter(|line| has_program(line)).map(whole);
    let tagged = [STAMP.to_vec(), [STAMP, b"gw "].concat()].into_iter().map(|header| completed(&header));
    let tagged = tagged.filter(|reading| has_program(&reading.line));
    let bare = programs.map(|program| completed(&[STAMP, b"gw ", program.as_bytes(), b": "].concat()));
    found.chain(tagged).chain(bare).collect()
}

/// Without the marks of mail and chat (`> `), and of the daily security mail (`+`).
fn unquoted(text: &[u8]) -> &[u8] {
    let mut text = text.trim_ascii();
    while let [b'>' | b'|' | b'+', rest @ ..] = text {
        text = rest.trim_ascii_start();
    }
    text
}

/// What stands behind `auth.log:`, `auth.log:12:` or `auth.log-12-`, as grep prints it.
fn behind_names(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let reach = text.len().min(LONGEST_NAME);
    let ends = text[..reach].iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'-'));
    ends.map(|(at, _)| text[at + 1..].trim_ascii_start())
}

fn has_program(line: &[u8]) -> bool {
    record::parse(line).program.is_some()
}

/// The record of the text, or of the first reading that has a program.
pub(super) fn record<'r>(text: &'r [u8], readings: &'r [Reading]) -> Record<'r> {
    let records =
        std::iter::once(text).chain(readings.iter().filter(|reading| !is_bare(text, reading)).map(line));
    let mut records = records.map(record::parse);
    records.find(|record| record.program.is_some()).unwrap_or_else(|| record::parse(text))
}

fn line(reading: &Reading) -> &[u8] {
    &reading.line
}

/// Whether even the program was made up.
fn is_bare(text: &[u8], reading: &Reading) -> bool {
    reading.is_completed && record::parse(&reading.line).message == unquoted(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> (String, bool) {
        let readings = readings(text.as_bytes(), ["sshd".to_owned()].into_iter());
        let first = readings.into_iter().next().unwrap();
        (String::from_utf8(first.line).unwrap(), first.is_completed)
    }

    const LINE: &str = "Nov 22 14:38:31 gw sshd[1]: Failed password for root from 192.0.2.7 port 1 ssh2";

    #[test]
    fn what_grep_and_mail_put_before_a_line_is_taken_off() {
        for before in
            ["> ", ">> ", "+", "auth.log:", "auth.log:12:", "auth.log-12-", "> /var/log/auth.log:3:"]
        {
            assert_eq!(first(&format!("{before}{LINE}")), (LINE.to_owned(), false), "{before}");
        }
    }

    #[test]
    fn a_missing_part_of_the_header_is_made_up() {
        let (stamp, message) = ("Jan  1 00:00:00 ", "Failed x");
        for (text, line) in [
            ("sshd[1]: Failed x", format!("{stamp}sshd[1]: {message}")),
            ("gw sshd[1]: Failed x", format!("{stamp}gw sshd[1]: {message}")),
            ("kernel: Failed x", format!("{stamp}kernel: {message}")),
            ("Failed x", format!("{stamp}gw sshd: {message}")),
            ("+Failed x", format!("{stamp}gw sshd: {message}")),
        ] {
            assert_eq!(first(text), (line, true), "{text}");
        }
    }

    #[test]
    fn the_program_of_a_pasted_line_is_known_unless_it_was_made_up() {
        for (text, program) in
            [("httpd[1]: x", Some(&b"httpd"[..])), ("> gw httpd: x", Some(b"httpd")), ("x", None)]
        {
            let readings = readings(text.as_bytes(), ["sshd".to_owned()].into_iter());
            assert_eq!(record(text.as_bytes(), &readings).program, program, "{text}");
        }
    }
}
