//! `portcullis explain`: what a line means, what would follow from it, and what an operator should check.

use std::io::{self, BufRead, Read, Write};

use serde_json::json;

use super::args::Explain as Arguments;
use super::exit::{Exit, Failure};
use super::text::{duration, printable, tenths, wrapped};
use crate::address;
use crate::daemon::Setup;
use crate::engine::{Guard, Outcome, Verdict, When, Why};
use crate::record::{self, MAX_LINE, Record};
use crate::rules::{BanLength, Effect, Evidence, Rule, RuleSet};

/// Runs the command; 1 when no rule knows the line.
pub(super) fn run(arguments: &Arguments, out: &mut dyn Write) -> Result<Exit, Failure> {
    let line = given(arguments.line.as_deref())?;
    let mut setup = Setup::load(arguments.config.config.as_deref())?;
    let mut guard = setup.guard(1);
    let mut told = Vec::new();
    let now = setup.now;
    guard.line(0, &line, When::Arrived(now), |outcome| told.push(Told::new(&setup, &outcome)));
    if told.is_empty() {
        told.extend(part_of_a_line(&setup, &mut guard, &line));
    }
    if arguments.json {
        writeln!(out, "{}", json!(told.iter().map(Told::json).collect::<Vec<_>>()))?;
    } else if told.is_empty() {
        unknown(out, &setup, &record::parse(&line))?;
    } else {
        told.iter().try_for_each(|told| told.write(out))?;
    }
    Ok(if told.is_empty() { Exit::Nothing } else { Exit::Ok })
}

fn given(line: Option<&str>) -> Result<Vec<u8>, Failure> {
    let mut bytes = match line {
        Some(line) if line != "-" => line.as_bytes().to_vec(),
        _ => {
            let mut bytes = Vec::new();
            let limited = io::stdin().lock().take(MAX_LINE as u64);
            io::BufReader::new(limited).read_until(b'\n', &mut bytes)?;
            bytes
        }
    };
    bytes.truncate(bytes.trim_ascii_end().len());
    if bytes.trim_ascii().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "there is no line to explain: give it in quotes, or on standard input",
        ));
    }
    Ok(bytes)
}

/// What is said about a line in one rule set.
struct Told {
    heading: String,
    rule: String,
    effect: Effect,
    evidence: Evidence,
    address: Option<String>,
    means: String,
    verdict: String,
    advice: Vec<String>,
}

impl Told {
    fn new(setup: &Setup, outcome: &Outcome<'_>) -> Self {
        let (set, rule) = (outcome.matched.set, outcome.matched.rule);
        let address = outcome.matched.address.map(|address| address.to_string());
        Self { address, verdict: verdict(setup, outcome), ..Self::of(set, rule) }
    }

    /// What is known without a whole line.
    fn of(set: &RuleSet, rule: &Rule) -> Self {
        Self {
            heading: set.about.clone(),
            rule: format!("{}/{}", set.name, rule.id),
            effect: rule.effect,
            evidence: set.evidence,
            address: None,
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
        writeln!(out, "Whose address it is\n  {}\n", wrapped(&self.whose(), "  "))?;
        writeln!(out, "What Portcullis does\n  {}", wrapped(&self.verdict, "  "))?;
        if !self.advice.is_empty() {
            writeln!(out, "\nWhat you can check and do")?;
        }
        self.advice.iter().try_for_each(|advice| writeln!(out, "  - {}", wrapped(advice, "    ")))
    }

    fn whose(&self) -> String {
        let who = self.address.as_deref().unwrap_or("The line names no address for certain");
        match (self.evidence, &self.address) {
            (Evidence::Spoofable, Some(_)) => format!(
                "{who}, so the packet said. It may be forged: the sender needed no answer for this line to appear, so \
                 anybody can have sent it in the name of {who}."
            ),
            (Evidence::Handshake, Some(_)) => {
                format!(
                    "{who}. It is its own: the peer completed a TCP handshake, which nobody can do in another's name."
                )
            }
            (_, None) => format!(
                "{who}; it counts for the peer that the same session names in another line, or for nobody."
            ),
        }
    }
}

fn verdict(setup: &Setup, outcome: &Outcome<'_>) -> String {
    let policy = &setup.sets[outcome.matched.set_index];
    let length = match policy.ban.length {
        BanLength::For(length) => format!("for {}", duration(length)),
        BanLength::Forever => "for ever".to_owned(),
    };
    let within = duration(policy.threshold.within);
    let offender = outcome.judgement.offender.map(|offender| address::display(&offender)).unwrap_or_default();
    match &outcome.judgement.verdict {
        Verdict::Counted { tenths: seen, threshold } => format!(
            "It counts {} of {} offences within {within}. At {} {offender} would be banned {length}{}.{}",
            tenths(*seen),
            tenths(*threshold),
            tenths(*threshold),
            escalation(policy.ban.escalate.is_some()),
            caution(policy.set.evidence)
        ),
        Verdict::Banned { .. } => format!("This one line is enough: {offender} would be banned {length}."),
        Verdict::Trusted(peer) => format!(
            "{peer} logged in: for {} it takes {} times as many offences to ban it, and it is never banned on evidence \
             that may be forged.",
            duration(setup.config.trust.remember),
            setup.config.trust.multiplier
        ),
        Verdict::Ignored(Why::Harmless) => "Nothing: it does not count towards a ban.".to_owned(),
        Verdict::Ignored(Why::NoAddress) => {
            "Nothing by itself: it counts when another line of the same session names the peer.".to_owned()
        }
        Verdict::Ignored(why) => format!("Nothing: {why}."),
    }
}

fn escalation(grows: bool) -> &'static str {
    if grows { ", and longer each time" } else { "" }
}

fn caution(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Handshake => "",
        Evidence::Spoofable => {
            " Since the address may be forged, the threshold is high, the ban short and never longer the next time, only \
             this one address is banned, and few such bans are made at a time: otherwise anybody could cut off whom he \
             likes."
        }
    }
}

/// A message without its header, or a piece of one, as people paste it: the rule whose sample holds it.
fn part_of_a_line(setup: &Setup, guard: &mut Guard, line: &[u8]) -> Option<Told> {
    let programs = setup.sets.iter().filter_map(|set| set.set.programs.first());
    let mut whole = None;
    for program in programs {
        let line = [format!("Jan  1 00:00:00 gw {program}: ").as_bytes(), line.trim_ascii_start()].concat();
        guard.line(0, &line, When::Arrived(setup.now), |outcome| {
            whole.get_or_insert_with(|| Told::new(setup, &outcome));
        });
    }
    whole.or_else(|| sample_with(setup, line.trim_ascii()))
}

/// Shorter pieces are in too many lines.
const SHORTEST_PIECE: usize = 12;

fn sample_with(setup: &Setup, piece: &[u8]) -> Option<Told> {
    let piece = std::str::from_utf8(piece).ok().filter(|piece| piece.len() >= SHORTEST_PIECE)?;
    setup.sets.iter().find_map(|set| {
        let sample =
            set.set.samples.iter().find(|sample| sample.rule.is_some() && sample.line.contains(piece))?;
        let rule = set.set.rules.iter().find(|rule| Some(&rule.id) == sample.rule.as_ref())?;
        Some(Told::of(&set.set, rule))
    })
}

fn unknown(out: &mut dyn Write, setup: &Setup, record: &Record<'_>) -> io::Result<()> {
    writeln!(out, "No rule knows this line, so nothing follows from it.")?;
    let Some(program) = record.program else {
        return writeln!(
            out,
            "It has no syslog header that names a program; rules look at lines of their programs only."
        );
    };
    let program = printable(program);
    let sets = setup.sets.iter().filter(|set| set.set.programs.contains(&program));
    let sets: Vec<&str> = sets.map(|set| set.set.name.as_str()).collect();
    if sets.is_empty() {
        return writeln!(out, "It is from `{program}`, and no rule set in force is for that program.");
    }
    writeln!(
        out,
        "It is from `{program}`, for which there is {}; none of its rules matches.",
        sets.join(", ")
    )?;
    writeln!(out, "If it should count, README's \"Write a custom rule file\" leads from a line to a rule.")
}
