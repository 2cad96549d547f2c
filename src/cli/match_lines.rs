//! `portcullis match`: line by line, which rule matches and which address it finds.

use std::borrow::Cow;
use std::io::Write;
use std::path::Path;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::MatchArgs as Arguments;
use super::asked;
use super::exit::{Exit, Failure, complain};
use super::input::{Input, Part, logs};
use super::text::{printable, write_json};
use crate::pipeline::{Reader, Terms};
use crate::record::{self, Clock, Layouts, Record, TimeSpec};
use crate::rules::{Connection, Match, Matcher};
use crate::time::Time;

/// Runs the command; the exit status is that of the first file that could not be read, or 1 when nothing matched.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut setup = asked::setup(&arguments.config, &arguments.trial)?;
    let matcher = setup.take_matcher();
    let (mut failures, mut matched) = (Vec::new(), false);
    for path in logs(&arguments.files)?.into_iter().flat_map(|log| log.files) {
        let mut input = match Input::open(&path) {
            Ok(input) => input,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        let terms = setup.terms_of_file(&path);
        let names = if arguments.all { None } else { terms.binding.names() };
        let clock = setup.clock_of(&terms);
        let mut listing = Listing::new(arguments, (&matcher, &setup.zone), clock, terms, &path, out);
        loop {
            match input.each_line(&path, names.clone(), |part| listing.part(&part)) {
                Ok(Some(_)) if listing.result.is_ok() => {}
                Ok(_) => break,
                Err(failure) => {
                    failures.push(failure);
                    break;
                }
            }
        }
        matched |= listing.matched;
        listing.result?;
    }
    failures.iter().for_each(complain);
    let nothing = if matched { Exit::Ok } else { Exit::Nothing };
    Ok(failures.first().map_or(nothing, |failure| failure.exit))
}

/// What was found in a line.
#[derive(Clone, Copy)]
struct Found<'m> {
    matched: &'m Match<'m>,
    count: u32,
    time: Option<Time>,
}

/// One file's lines, being printed.
struct Listing<'l> {
    arguments: &'l Arguments,
    matcher: &'l Matcher,
    zone: &'l TimeZone,
    layouts: Layouts,
    reader: Reader,
    clock: Clock,
    stamps: Option<TimeSpec>,
    source: String,
    number: u64,
    matched: bool,
    out: &'l mut dyn Write,
    result: std::io::Result<()>,
}

impl<'l> Listing<'l> {
    fn new(
        arguments: &'l Arguments,
        (matcher, zone): (&'l Matcher, &'l TimeZone),
        clock: Clock,
        terms: Terms,
        path: &Path,
        out: &'l mut dyn Write,
    ) -> Self {
        Self {
            arguments,
            matcher,
            zone,
            layouts: terms.binding.layouts(),
            reader: Reader::new(terms.binding),
            clock,
            stamps: terms.time,
            source: path.to_string_lossy().into_owned(),
            number: 0,
            matched: false,
            out,
            result: Ok(()),
        }
    }

    fn part(&mut self, part: &Part<'_>) {
        match *part {
            Part::Line(number, line) => self.line(number, line),
            Part::Foreign(_) | Part::Gap => self.reader.turn_over(),
        }
    }

    fn line(&mut self, number: u64, line: &[u8]) {
        self.number = number;
        let mut reader = std::mem::take(&mut self.reader);
        let any = reader.each_match(self.matcher, line, |written, record, matched, count| {
            let spec = self.stamps.as_ref().or(matched.set.time.as_ref());
            let time = self.clock.written(line, written, spec).map(|written| written.time);
            self.print(line, record, Some(Found { matched: &matched, count, time }));
        });
        self.reader = reader;
        self.matched |= any;
        if !any && self.arguments.all {
            self.print(line, &record::parse_as(line, self.layouts), None);
        }
    }

    fn print(&mut self, line: &[u8], record: &Record<'_>, found: Option<Found<'_>>) {
        if self.result.is_err() {
            return;
        }
        let user = found.and_then(|found| self.matcher.user(found.matched, line, record));
        self.result = if self.arguments.json {
            let session = found.and_then(|found| self.session(found.matched, line, record));
            let object = self.object(record, found, user.as_deref(), session.as_deref());
            write_json(self.out, object)
        } else {
            let what = found.map_or_else(|| "-".to_owned(), |found| sentence(&found, user.as_deref()));
            writeln!(self.out, "{}:{}: {what}", printable(self.source.as_bytes()), self.number)
        };
    }

    /// The id of the session, where the rule finds one.
    fn session<'t>(&self, matched: &Match<'_>, line: &'t [u8], record: &Record<'t>) -> Option<Cow<'t, [u8]>> {
        match self.matcher.connection(matched, line, record) {
            Connection::Id(id) => Some(id),
            Connection::Process(_) | Connection::Doubtful | Connection::Unnamed => None,
        }
    }

    fn object(
        &self,
        record: &Record<'_>,
        found: Option<Found<'_>>,
        user: Option<&[u8]>,
        session: Option<&[u8]>,
    ) -> Value {
        let matched = found.map(|found| found.matched);
        json!({
            "source": self.source,
            "line": self.number,
            "program": record.program.map(|program| String::from_utf8_lossy(program)),
            "rule": matched.map(Match::name),
            "effect": matched.map(|matched| matched.rule.effect.as_str()),
            "weight": matched.map(|matched| f64::from(matched.rule.weight.tenths()) / 10.0),
            "address": matched.and_then(|matched| matched.address),
            "session": session.map(|id| String::from_utf8_lossy(id)),
            "user": user.map(|user| String::from_utf8_lossy(user)),
            "count": found.map(|found| found.count),
            "time": found.and_then(|found| found.time).map(|time| time.rfc3339(self.zone)),
            "evidence": matched.map(|matched| matched.evidence(record).as_str()),
        })
    }
}

/// The text that the peer chose comes last, so that it cannot pass for ours.
fn sentence(found: &Found<'_>, user: Option<&[u8]>) -> String {
    let Found { matched, count, time } = *found;
    let mut text = format!("{} {}", matched.name(), matched.rule.effect.as_str());
    match matched.address {
        Some(address) => text.push_str(&format!(" {address}")),
        None => text.push_str(" (no address)"),
    }
    if count > 1 {
        text.push_str(&format!(" {count} times"));
    }
    if time.is_none() {
        text.push_str(", at no time that is read");
    }
    if let Some(user) = user {
        text.push_str(&format!(" user `{}`", printable(user)));
    }
    text
}
