//! `portcullis explain`: the meaning of a log line, its consequences, and what the operator should check.

mod doubts;
mod report;

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use serde_json::json;

use self::doubts::{behind_message_id, bracketed, unclaimed, unsigned};
use super::args::ExplainArgs as Arguments;
use super::exit::{Exit, Failure};
use super::input::standard_input;
use super::load_setup;
use super::pasted::{self, Reading};
use super::text::{count, printable, tenths, wrapped, write_json};
use crate::address;
use crate::config::SourceSettings;
use crate::engine::{self, Judgement, Verdict, Why};
use crate::pipeline::{LineSplitter, Outcome, OutcomeSink, Pipeline, Terms, When};
use crate::record::{self, Layout, Layouts, MAX_LINE, Record};
use crate::rules::{
    AddressFrom, BanLength, Counts, Effect, Evidence, Format, Rule, RuleSet, Threshold, Thresholds,
};
use crate::setup::Setup;
use crate::time::spoken;

/// Runs the command; exit status 1 if no rule matches the line.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let line = line_to_explain(arguments.line.as_deref())?;
    let mut setup = load_setup(&arguments.config, &arguments.trial)?;
    let logs = logs(&setup);
    let terms: Vec<Terms> = logs.iter().map(|log| log.terms.clone()).collect();
    let mut pipeline = setup.pipeline(&terms);
    let texts = pasted::texts(&line);
    let mut found = texts
        .iter()
        .map(|text| in_logs(&setup, &mut pipeline, &logs, text))
        .find(|found| !found.is_empty())
        .unwrap_or_default();
    if found.is_empty() {
        found.extend(texts.iter().find_map(|text| report::explain(&setup, &mut pipeline, text)));
    }
    let readings = pasted::readings(&texts, setup.sets.iter().filter_map(|set| set.set.example_program()));
    if found.is_empty() {
        found.extend(as_pasted(&setup, &mut pipeline, &readings));
    }
    if found.is_empty() {
        found.extend(texts.iter().find_map(|text| sample_with(&setup, text.trim_ascii_start())));
    }
    if arguments.json {
        write_json(out, found.iter().map(Explanation::json).collect::<Vec<_>>())?;
    } else if found.is_empty() {
        unknown(out, &setup, &pasted::record(&texts, &readings))?;
    } else {
        for explanation in &found {
            explanation.write(out)?;
        }
    }
    Ok(if found.is_empty() { Exit::Nothing } else { Exit::Ok })
}

/// A kind of log that a line may be from.
struct LogKind {
    /// The source, if its configuration determines how its lines are read; `None` for all others.
    source: Option<String>,
    terms: Terms,
}

/// The kinds of log that a line may be from: any log of syslog, and those of sources that name rule sets or a layout.
fn logs(setup: &Setup) -> Vec<LogKind> {
    let any = LogKind { source: None, terms: setup.terms_of_file(Path::new("-")) };
    let sources = setup.config.sources.iter();
    let special = sources.filter(|source| source.rule_sets.is_some() || source.layout != Layouts::Syslog);
    let kind = |source: &SourceSettings| {
        let terms = setup.terms_of_source(&source.name, Path::new(&source.path));
        LogKind { source: Some(source.name.clone()), terms }
    };
    std::iter::once(any).chain(special.map(kind)).collect()
}

/// Explains the line as one of the first log in which a rule matches it.
fn in_logs(setup: &Setup, pipeline: &mut Pipeline, logs: &[LogKind], line: &[u8]) -> Vec<Explanation> {
    for (number, log) in logs.iter().enumerate() {
        let mut sink = ExplanationSink { setup, found: Vec::new() };
        pipeline.push(number, line, When::At(setup.now), &mut sink);
        let found = sink.found.into_iter().map(|(explanation, _)| match &log.source {
            Some(source) => explanation.only_in(source),
            None => explanation,
        });
        let found: Vec<Explanation> = found.collect();
        if !found.is_empty() {
            return found;
        }
    }
    Vec::new()
}

/// Collects explanations, each with the program that the line names.
struct ExplanationSink<'s> {
    setup: &'s Setup,
    found: Vec<(Explanation, Vec<u8>)>,
}

impl OutcomeSink for ExplanationSink<'_> {
    fn take(&mut self, outcome: &Outcome<'_>) {
        let program = outcome.record.program.unwrap_or_default().to_vec();
        self.found.push((Explanation::new(self.setup, outcome.line, outcome), program));
    }
}

fn line_to_explain(line: Option<&OsStr>) -> Result<Vec<u8>, Failure> {
    let bytes = match line {
        Some(line) if line != "-" => line.as_bytes().to_vec(),
        _ => first_line_of_standard_input()?,
    };
    // A pasted line may come with blank lines, spaces, and marks of code.
    let mut lines = LineSplitter::new(&bytes, None).map(|line| line.text.trim_ascii_end());
    match lines.find(|line| pasted::is_text(line)) {
        Some(line) => Ok(line.to_vec()),
        None => Err(Failure::new(
            Exit::Usage,
            "there is no line to explain: give it in quotes, or on standard input",
        )),
    }
}

/// Reads no further than the first line: the next one may never come.
fn first_line_of_standard_input() -> Result<Vec<u8>, Failure> {
    let mut input = BufReader::new(standard_input().take(MAX_LINE as u64));
    let mut bytes = Vec::new();
    while !LineSplitter::new(&bytes, None).any(|line| pasted::is_text(line.text)) {
        let count = input
            .read_until(b'\n', &mut bytes)
            .map_err(|error| Failure::new(Exit::Io, format!("cannot read standard input: {error}")))?;
        if count == 0 {
            break;
        }
    }
    Ok(bytes)
}

/// The meaning of a line to one rule set.
struct Explanation {
    heading: String,
    rule: String,
    effect: Effect,
    evidence: Evidence,
    address: Option<String>,
    whose: String,
    means: String,
    verdict: String,
    advice: Vec<String>,
}

impl Explanation {
    fn new(setup: &Setup, line: &[u8], outcome: &Outcome<'_>) -> Self {
        let set = outcome.matched.set;
        let rule = outcome.matched.rule;
        let address = outcome.matched.address.map(|address| address.to_string());
        let cut = address.is_none().then(|| cut(set, rule, line, outcome.record)).flatten();
        let evidence = outcome.evidence;
        let whose = match address.as_deref().filter(|_| evidence != set.evidence) {
            Some(who) if set.format != Format::Syslog => unclaimed(who),
            Some(who) => match outcome.record.layout {
                Layout::BracketedHost => bracketed(who),
                Layout::MessageId => behind_message_id(who),
                _ => unsigned(who),
            },
            None => cut.unwrap_or_else(|| whose(set.evidence, rule, address.as_deref())),
        };
        let unless = ("line", unless_counted(rule.counts));
        let verdict = verdict(setup, outcome.matched.set_index, evidence, unless, &outcome.judgement);
        Self { address, whose, evidence, verdict, ..Self::of(set, rule) }
    }

    /// Adds that the header of the line, or a part of it, was made up.
    fn completed(self, program: &[u8]) -> Self {
        let program = printable(program);
        let verdict = format!(
            "As it stands here, without its whole header, this line would match nothing in a log. It is understood as one from \
             `{program}`. {}",
            self.verdict
        );
        Self { verdict, ..self }
    }

    /// Adds that this holds for the log of one source only.
    fn only_in(self, source: &str) -> Self {
        let verdict = format!("This holds for the log of the source `{source}`. {}", self.verdict);
        Self { verdict, ..self }
    }

    /// The meaning of a part of a line.
    fn of(set: &RuleSet, rule: &Rule) -> Self {
        Self {
            heading: set.about.clone(),
            rule: set.name_of(rule),
            effect: rule.effect,
            evidence: set.worth(),
            address: None,
            whose: "A part of a line names nobody for certain.".into(),
            means: rule.means.clone(),
            verdict: "This is only a part of a line: give the whole line to learn what would follow from it."
                .into(),
            advice: rule.advice.iter().chain(&set.advice).cloned().collect(),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "rule": self.rule, "effect": self.effect.as_str(), "evidence": self.evidence.as_str(),
            "address": self.address, "means": self.means, "verdict": self.verdict, "advice": self.advice,
        })
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} ({})\n", self.rule, self.heading.trim_end_matches('.'))?;
        writeln!(out, "What it means\n  {}\n", wrapped(&self.means, "  "))?;
        writeln!(out, "Whose address it is\n  {}\n", wrapped(&self.whose, "  "))?;
        writeln!(out, "What Portcullis does\n  {}", wrapped(&self.verdict, "  "))?;
        if !self.advice.is_empty() {
            writeln!(out, "\nWhat you can check and do")?;
        }
        for advice in &self.advice {
            writeln!(out, "  - {}", wrapped(advice, "    "))?;
        }
        Ok(())
    }
}

fn whose(evidence: Evidence, rule: &Rule, address: Option<&str>) -> String {
    match (address, evidence) {
        (Some(who), Evidence::Spoofable) => format!(
            "{who}, according to the packet. It may be forged: the sender needed no answer for this line to appear, so \
             anybody can have sent it in the name of {who}."
        ),
        (Some(who), Evidence::Handshake | Evidence::Kernel) if rule.address == AddressFrom::Confirmed => format!(
            "{who}, if another line of the same session names it as well; else the line counts for nobody, since its end may \
             be lost and what stands there be the peer's words."
        ),
        (Some(who), Evidence::Handshake | Evidence::Kernel) => format!(
            "{who}. It is its own: the peer completed a TCP handshake, which nobody can do in another's name."
        ),
        (None, _) if rule.effect == Effect::Offence && rule.counts == Counts::Session => {
            "The line names no address for certain; it counts for the peer that the same session names in another \
             line, or for nobody."
                .to_owned()
        }
        (None, _) => "The line names nobody who would have to answer for it.".to_owned(),
    }
}

/// Why no address is taken from a message that may be truncated.
fn cut(set: &RuleSet, rule: &Rule, line: &[u8], record: &Record<'_>) -> Option<String> {
    let limit = set.limit_of(rule).filter(|&limit| record.message.len() >= limit);
    let who = match limit {
        Some(limit) => {
            format!("This message has reached {limit} bytes, from which on the program may have cut it.")
        }
        None if set.format == Format::Syslog && record::may_be_cut(line, record) => {
            "This message has a length at which loggers cut messages on their way.".to_owned()
        }
        None => return None,
    };
    Some(format!(
        "{who} Its true end may be lost, and what stands there now may be text that the peer chose: an address there may be \
         forged, so none is taken. It counts for the peer that the same session names in another line, or for nobody."
    ))
}

/// The consequence of a line or a report under a rule set. `what` it is, and what may keep it from counting.
fn verdict(
    setup: &Setup,
    set: usize,
    evidence: Evidence,
    (what, unless): (&str, &str),
    judgement: &Judgement,
) -> String {
    let policy = &setup.sets[set];
    let is_lowered = evidence == Evidence::Spoofable && policy.set.evidence != evidence;
    let ban = if is_lowered { engine::for_forgeable(policy.ban) } else { policy.ban };
    let length = match ban.length {
        BanLength::For(length) => format!("for {}", spoken(length)),
        BanLength::Forever => "for ever".to_owned(),
    };
    let offender = judgement.offender.map(|offender| address::display(&offender)).unwrap_or_default();
    match &judgement.verdict {
        Verdict::Counted { tenths: seen, .. } => format!(
            "It counts as {}{}. After {}, {offender} would be banned {length}{}.{}",
            offences(*seen),
            unless,
            windows(&policy.threshold),
            escalation(ban.escalate.is_some()),
            caution(policy.set.evidence)
        ),
        Verdict::Banned { banned, .. } => {
            format!("This one {what} is enough: {} would be banned {length}.", address::display(banned))
        }
        Verdict::Trusted { peer, .. } => format!(
            "{peer} logged in: for {} it takes {} times as many offences to ban it, and it is never banned on evidence \
             that may be forged.",
            spoken(setup.config.trust.remember),
            setup.config.trust.multiplier
        ),
        Verdict::Ignored(Why::Harmless) => "Nothing: it does not count towards a ban.".to_owned(),
        Verdict::Ignored(Why::NoAddress) => {
            "Nothing by itself: it counts when another line of the same session names the peer.".to_owned()
        }
        Verdict::Ignored(why) => format!("Nothing: {why}."),
    }
}

fn unless_counted(counts: Counts) -> &'static str {
    match counts {
        Counts::Summary => ", unless another line counted for the same peer in the three minutes before",
        Counts::Session | Counts::Line => "",
    }
}

fn offences(number: u32) -> String {
    format!("{} offence{}", tenths(number), if number == 10 { "" } else { "s" })
}

/// `5 offences within 10m or 12 within 1d`
fn windows(thresholds: &Thresholds) -> String {
    let window = |(nth, Threshold { offences: number, within })| match nth {
        0 => format!("{} within {}", count(u64::from(number), "offence"), spoken(within)),
        _ => format!("{number} within {}", spoken(within)),
    };
    thresholds.iter().enumerate().map(window).collect::<Vec<_>>().join(" or ")
}

fn escalation(grows: bool) -> &'static str {
    if grows { ", and longer each time" } else { "" }
}

fn caution(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Handshake | Evidence::Kernel => "",
        Evidence::Spoofable => {
            " Since the address may be forged, the threshold is high, the ban short and never longer the next time, only \
             this one address is banned, and few such bans are made at a time: otherwise anybody could cut off anyone \
             they like."
        }
    }
}

/// Explains the first reading of a pasted line that a rule matches.
fn as_pasted(setup: &Setup, pipeline: &mut Pipeline, readings: &[Reading]) -> Option<Explanation> {
    for Reading { line, is_completed, .. } in readings {
        let mut sink = ExplanationSink { setup, found: Vec::new() };
        pipeline.push(0, line, When::At(setup.now), &mut sink);
        if let Some((explanation, program)) = sink.found.into_iter().next() {
            return Some(if *is_completed { explanation.completed(&program) } else { explanation });
        }
    }
    None
}

/// The shortest piece of a line, in bytes, that is looked for in samples.
const MIN_PIECE: usize = 12;

/// Explains a part of a line by a sample that contains it.
fn sample_with(setup: &Setup, piece: &[u8]) -> Option<Explanation> {
    let piece = std::str::from_utf8(piece).ok().filter(|piece| piece.len() >= MIN_PIECE)?;
    for set in &setup.sets {
        let samples = set.set.samples.iter().filter(|sample| sample.line.contains(piece));
        if let Some(id) = samples.filter_map(|sample| sample.rule.as_ref()).next() {
            let rule = set.set.rules.iter().find(|rule| rule.id == *id)?;
            return Some(Explanation::of(&set.set, rule));
        }
    }
    None
}

/// Says why no rule matches a line.
fn unknown(out: &mut dyn Write, setup: &Setup, record: &Record<'_>) -> io::Result<()> {
    if let Some(repeat) = record::repeat(record) {
        let count = count(u64::from(repeat.count()), "more time");
        let text = format!(
            "syslogd writes this instead of equal lines: the line before it came {count}. In a log it counts for the \
             rule that knows that line; `portcullis match FILE` shows it."
        );
        return writeln!(out, "{}", wrapped(&text, ""));
    }
    writeln!(out, "No rule matches this line, so nothing follows from it.")?;
    let Some(program) = record.program else {
        if record.message.starts_with(b"{") {
            return writeln!(out, "{}", wrapped(&unknown_object(setup), ""));
        }
        return writeln!(
            out,
            "It has no syslog header that names a program, and rules apply only to lines of their programs."
        );
    };
    let program = printable(program);
    let sets = setup.sets.iter().filter(|set| set.set.names_program(program.as_bytes()));
    let sets: Vec<String> = sets.map(|set| format!("`{}`", set.set.name)).collect();
    match sets.as_slice() {
        [] => writeln!(out, "It is from `{program}`, and no rule set in force is for that program.")?,
        sets => writeln!(out, "It is from `{program}`, and no rule of {} matches.", sets.join(", "))?,
    }
    writeln!(out, "If it should count, README's \"Write a custom rule file\" leads from a line to a rule.")
}

/// Says why no rule matches a line that may be a JSON object.
fn unknown_object(setup: &Setup) -> String {
    let sets = setup.sets.iter().filter(|set| set.set.format == Format::Json);
    let sets: Vec<String> = sets.map(|set| format!("`{}`", set.set.name)).collect();
    match sets.as_slice() {
        [] => "It looks like JSON, and no rule set in force has `format: json`.".to_owned(),
        sets => format!(
            "It looks like JSON, and no rule of {} matches: a key or a value differs, a key occurs twice, or it is not valid \
             JSON to its end. As a sample in the rule file, `portcullis check` says which.",
            sets.join(", ")
        ),
    }
}
