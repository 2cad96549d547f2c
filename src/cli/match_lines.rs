//! `portcullis match`: for each line, the rule that matches and the address that it finds.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::args::MatchArgs as Arguments;
use super::exit::{Exit, Failure, complain};
use super::input::{Log, logs};
use super::load_setup;
use super::text::{printable, write_json};
use crate::pipeline::{LineSplitter, Outcome, OutcomeSink, Pipeline, Terms, When};
use crate::record::{self, Layouts, Record};
use crate::rules::{Connection, Match, Matcher};
use crate::setup::Setup;

/// Runs the command; the exit status is that of the first file that could not be read, or 1 if nothing matched.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let mut setup = load_setup(&arguments.config, &arguments.trial)?;
    let logs = wanted(arguments, &setup)?;
    let files: Vec<(&Log, &Path)> =
        logs.iter().flat_map(|log| log.files.iter().map(move |path| (log, path.as_path()))).collect();
    let terms: Vec<Terms> = files.iter().map(|(_, path)| setup.terms_of_file(path)).collect();
    let mut pipeline = setup.pipeline(&terms);
    pipeline.engine.keep_no_journal();
    let mut failures = Vec::new();
    let mut has_matched = false;
    for (stream, (log, path)) in files.iter().enumerate() {
        let layouts = terms[stream].binding.layouts();
        let mut listing = Listing::new(arguments, &pipeline.matcher, &setup.zone, path, layouts, out);
        if let Err(failure) = listing.read(&mut pipeline, stream, log, path) {
            failures.push(failure);
        }
        has_matched |= listing.has_matched;
        listing.result?;
    }
    failures.iter().for_each(complain);
    let nothing = if has_matched { Exit::Ok } else { Exit::Nothing };
    Ok(failures.first().map_or(nothing, |failure| failure.exit))
}

/// Prints the lines of one file.
struct Listing<'l> {
    arguments: &'l Arguments,
    matcher: Arc<Matcher>,
    zone: &'l TimeZone,
    layouts: Layouts,
    source: String,
    /// The number of lines before those that were pushed last.
    before: u64,
    has_matched: bool,
    out: &'l mut dyn Write,
    result: io::Result<()>,
}

impl OutcomeSink for Listing<'_> {
    fn take(&mut self, outcome: &Outcome<'_>) {
        if !self.arguments.missed {
            self.print(outcome.line, outcome.number, outcome.record, Some(outcome));
        }
    }

    fn missed(&mut self, number: u64, line: &[u8], record: &Record<'_>) {
        if self.arguments.missed {
            self.has_matched = true;
            self.print(line, number, record, None);
        }
    }
}

/// The logs to read: those that are named, or the journal; to look for what is missed, the configured ones.
fn wanted(arguments: &Arguments, setup: &Setup) -> Result<Vec<Log>, Failure> {
    if let Some(since) = &arguments.journal {
        return Ok(vec![Log::of_this_journal(setup, since.clone())]);
    }
    if !arguments.missed || !arguments.files.is_empty() {
        return logs(&arguments.files);
    }
    let sources = &setup.config.sources;
    let paths: Vec<PathBuf> =
        sources.iter().filter(|source| source.is_file()).map(|source| source.path.clone().into()).collect();
    let mut found = if paths.is_empty() { Vec::new() } else { logs(&paths)? };
    if sources.iter().any(|source| source.journal.is_some()) {
        found.push(Log::of_this_journal(setup, None));
    }
    Ok(found)
}

impl<'l> Listing<'l> {
    fn new(
        arguments: &'l Arguments,
        matcher: &Arc<Matcher>,
        zone: &'l TimeZone,
        path: &Path,
        layouts: Layouts,
        out: &'l mut dyn Write,
    ) -> Self {
        Self {
            arguments,
            matcher: Arc::clone(matcher),
            zone,
            layouts,
            source: path.to_string_lossy().into_owned(),
            before: 0,
            has_matched: false,
            out,
            result: Ok(()),
        }
    }

    fn read(
        &mut self,
        pipeline: &mut Pipeline,
        stream: usize,
        log: &Log,
        path: &Path,
    ) -> Result<(), Failure> {
        let mut input = log.open(path)?;
        while input.advance(path)? {
            self.before += input.dropped();
            if input.dropped() > 0 {
                pipeline.forget_last_line(stream);
            }
            let lines = input.lines().found();
            if self.arguments.all {
                self.push_each(pipeline, stream, lines);
            } else {
                let judged = pipeline.push(stream, lines, When::Stamped, self);
                self.has_matched |= judged.known > 0 && !self.arguments.missed;
                self.before += judged.lines;
            }
            if self.result.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// Prints all lines, including those that no rule matches.
    fn push_each(&mut self, pipeline: &mut Pipeline, stream: usize, lines: &[u8]) {
        let mut begin = 0;
        for line in LineSplitter::new(lines, None) {
            let is_known = pipeline.push(stream, &lines[begin..line.end], When::Stamped, self).known > 0;
            if !is_known {
                self.print(line.text, 0, &record::parse_as(line.text, self.layouts), None);
            }
            self.has_matched |= is_known;
            self.before += 1;
            begin = line.end;
        }
    }

    fn print(&mut self, line: &[u8], number: u64, record: &Record<'_>, found: Option<&Outcome<'_>>) {
        if self.result.is_err() {
            return;
        }
        let number = self.before + number + 1;
        let user = found.and_then(|found| self.matcher.user(&found.matched, line, record));
        self.result = if self.arguments.json {
            let session = found.and_then(|found| self.session(&found.matched, line, record));
            let mut object = self.object(number, record, found, user.as_deref(), session.as_deref());
            if self.arguments.missed {
                object["text"] = String::from_utf8_lossy(line).into();
            }
            write_json(self.out, object)
        } else {
            let unknown = || if self.arguments.missed { printable(line) } else { "-".to_owned() };
            let what = found.map_or_else(unknown, |found| sentence(found, user.as_deref()));
            writeln!(self.out, "{}:{number}: {what}", printable(self.source.as_bytes()))
        };
    }

    /// The session id, if the rule finds one.
    fn session<'t>(&self, matched: &Match<'_>, line: &'t [u8], record: &Record<'t>) -> Option<Cow<'t, [u8]>> {
        match self.matcher.connection(matched, line, record) {
            Connection::Id(id) => Some(id),
            Connection::Process(_) | Connection::Doubtful | Connection::Unnamed => None,
        }
    }

    fn object(
        &self,
        number: u64,
        record: &Record<'_>,
        found: Option<&Outcome<'_>>,
        user: Option<&[u8]>,
        session: Option<&[u8]>,
    ) -> Value {
        let matched = found.map(|found| &found.matched);
        json!({
            "source": self.source,
            "line": number,
            "program": record.program.map(|program| String::from_utf8_lossy(program)),
            "rule": matched.map(Match::name),
            "effect": matched.map(|matched| matched.rule.effect.as_str()),
            "weight": matched.map(|matched| f64::from(matched.rule.weight.tenths()) / 10.0),
            "address": matched.and_then(|matched| matched.address),
            "session": session.map(|id| String::from_utf8_lossy(id)),
            "user": user.map(|user| String::from_utf8_lossy(user)),
            "count": found.map(|found| found.count),
            "time": found.and_then(|found| found.time).map(|time| time.rfc3339(self.zone)),
            "evidence": found.map(|found| found.evidence.as_str()),
        })
    }
}

/// Describes a match. Text that the peer chose comes last, so that it cannot pass for ours.
fn sentence(found: &Outcome<'_>, user: Option<&[u8]>) -> String {
    let Outcome { matched, count, time, .. } = found;
    let mut text = format!("{} {}", matched.name(), matched.rule.effect.as_str());
    match matched.address {
        Some(address) => text.push_str(&format!(" {address}")),
        None => text.push_str(" (no address)"),
    }
    if *count > 1 {
        text.push_str(&format!(" {count} times"));
    }
    if time.is_none() {
        text.push_str(", no readable timestamp");
    }
    if let Some(user) = user {
        text.push_str(&format!(" user `{}`", printable(user)));
    }
    text
}
