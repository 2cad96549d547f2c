//! Recognises log lines as people paste them: from grep, a mail or a chat, with half a header or none.

mod markup;

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

pub(super) use self::markup::is_text;
use crate::record::{self, Record};

/// Prepares the arguments of the program: a list item given to `explain` gets a space before its dash, so that it is not
/// taken for an option.
pub(super) fn arguments(given: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = given.into_iter().collect();
    if arguments.get(1).is_some_and(|command| command == "explain") {
        for item in arguments.iter_mut().filter(|argument| argument.as_bytes().starts_with(b"- ")) {
            *item = OsString::from_vec([b" ", item.as_bytes()].concat());
        }
    }
    arguments
}

/// What a pasted line may have looked like in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// A whole line; a missing header was made up.
    pub(super) line: Vec<u8>,
    /// Whether a part of the header was missing.
    pub(super) is_completed: bool,
    /// Whether the program was missing as well.
    is_bare: bool,
}

/// A timestamp for lines without one; its value does not matter, since they count on arrival.
const STAMP: &[u8] = b"Jan  1 00:00:00 ";

/// The longest file name that grep may have put before a line, in bytes.
const MAX_FILE_NAME: usize = 256;

/// How often entities are decoded: an issue tracker encodes a text that may already be a copy of a web page.
const MAX_DECODINGS: usize = 2;

/// The line as it was pasted, and without quotes, list marks and HTML.
pub(super) fn texts(pasted: &[u8]) -> Vec<Vec<u8>> {
    let mut texts = vec![pasted.to_vec()];
    let mut encoded = pasted.to_vec();
    for _ in 0..=MAX_DECODINGS {
        let text = markup::with_our_blanks(markup::unwrapped(&encoded)).into_owned();
        if !texts.contains(&text) {
            texts.push(text);
        }
        let Some(decoded) = markup::decoded(&encoded) else { break };
        encoded = decoded;
    }
    texts
}

/// All readings of the texts, the likeliest first. `programs` are candidates for a missing program name.
pub(super) fn readings(texts: &[Vec<u8>], programs: impl Iterator<Item = String>) -> Vec<Reading> {
    let programs: Vec<String> = programs.collect();
    let texts = || texts.iter().map(|text| markup::unwrapped(text));
    let found = texts()
        .flat_map(|text| std::iter::once(text).chain(behind_names(text)))
        .filter(|line| has_program(line));
    let tagged = texts().flat_map(|text| [[STAMP, text].concat(), [STAMP, b"gw ", text].concat()]);
    let tagged = tagged.filter(|line| has_program(line));
    let bare = texts().flat_map(|text| {
        programs.iter().map(move |program| [STAMP, b"gw ", program.as_bytes(), b": ", text].concat())
    });
    let found = found.map(|line| Reading { line: line.to_vec(), is_completed: false, is_bare: false });
    let tagged = tagged.map(|line| Reading { line, is_completed: true, is_bare: false });
    let bare = bare.map(|line| Reading { line, is_completed: true, is_bare: true });
    found.chain(tagged).chain(bare).collect()
}

/// The text behind `auth.log:`, `auth.log:12:` or `auth.log-12-`, as grep prints it.
fn behind_names(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let reach = text.len().min(MAX_FILE_NAME);
    let ends = text[..reach].iter().enumerate().filter(|(_, byte)| matches!(byte, b':' | b'-'));
    ends.map(|(at, _)| markup::unwrapped(&text[at + 1..]))
}

fn has_program(line: &[u8]) -> bool {
    record::parse(line).program.is_some()
}

/// The record of the first text or reading with a program, or that repeats the line before it; otherwise of the first text.
pub(super) fn record<'r>(texts: &'r [Vec<u8>], readings: &'r [Reading]) -> Record<'r> {
    let known = readings.iter().filter(|reading| !reading.is_bare).map(|reading| &reading.line);
    let mut records = texts.iter().chain(known).map(|line| record::parse(line));
    let found = records.find(|record| record.program.is_some() || record::repeat(record).is_some());
    found.unwrap_or_else(|| record::parse(texts.first().map_or(b"", Vec::as_slice)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first(text: &str) -> (String, bool) {
        let readings = readings(&texts(text.as_bytes()), ["sshd".to_owned()].into_iter());
        let first = readings.into_iter().next().unwrap();
        (String::from_utf8(first.line).unwrap(), first.is_completed)
    }

    proptest! {
        /// Whatever is pasted: no reading is longer than the text and a made-up header, and there are not too many.
        #[test]
        fn nothing_that_is_pasted_does_harm(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "<", ">", "<code>", "</code>", "&", "&lt;", "&amp;", "&#39;", ";", "\"", "`", "```", "- ", "1. ", "|", "{code}",
                "Nov 22 14:38:31 gw sshd[1]: ", "<38>", " ", "\u{a0}", "x", ":", "\u{feff}", "\0",
            ]), 0..30),
            noise in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let pasted = [pieces.concat().as_bytes(), &noise].concat();
            let texts = texts(&pasted);
            prop_assert!(texts.len() <= MAX_DECODINGS + 2);
            for reading in readings(&texts, ["sshd".to_owned()].into_iter()) {
                prop_assert!(reading.line.len() <= STAMP.len() + "gw sshd: ".len() + pasted.len());
            }
            is_text(&pasted);
        }
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
        let stamp = "Jan  1 00:00:00 ";
        let message = "Failed x";
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
            let texts = texts(text.as_bytes());
            let readings = readings(&texts, ["sshd".to_owned()].into_iter());
            assert_eq!(record(&texts, &readings).program, program, "{text}");
        }
    }
}
