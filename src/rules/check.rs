//! What `portcullis check` verifies of a rule set: its patterns, its samples, and the proof.

use std::net::IpAddr;

use super::compile::Compiled;
use super::dated::undated_samples;
use super::found::Found;
use super::json;
use super::matcher;
use super::model::{DEFAULT_MESSAGE_LIMIT, Fault, Format, Place, RuleSet, Sample};
use super::program;
use super::proof;
use crate::record;

/// sshd cuts its messages at 500 bytes (log.c, `%.500s`), whatever a rule file says.
const CUT_BY_SSHD: usize = 500;

/// All faults of a rule set; empty if there are none. `others` are in force beside it: their messages about its programs
/// must not fool it.
pub fn check(set: &RuleSet, others: &[&RuleSet]) -> Vec<Fault> {
    let compiled = match Compiled::with(set, |_| true) {
        Ok(compiled) => compiled,
        Err(faults) => return faults,
    };
    let mut faults: Vec<Fault> = message_limit_fault(set).into_iter().collect();
    faults.extend(
        set.samples.iter().enumerate().filter_map(|(index, sample)| run(set, &compiled, index, sample)),
    );
    // The values of objects are looked up by key, so there is nothing to prove.
    faults.extend(match set.format {
        Format::Json => json::unreachable(set),
        Format::Syslog | Format::Raw => proof::prove(set, &compiled, others),
    });
    faults.extend(rules_without_samples(set, &compiled));
    faults.extend(undated_samples(set));
    faults
}

/// The programs of OpenSSH, which share its log.c.
const OF_OPENSSH: [&str; 3] = ["sshd*", "sftp-server", "internal-sftp"];

fn is_of_openssh(program: &str) -> bool {
    OF_OPENSSH.iter().any(|known| program::overlap(known, program))
}

/// Whether the set is about OpenSSH. A raw set names no program, but its samples do.
fn is_for_openssh(set: &RuleSet) -> bool {
    let sampled = |sample: &Sample| {
        record::parse(sample.line.as_bytes())
            .program
            .and_then(|program| std::str::from_utf8(program).ok())
            .is_some_and(is_of_openssh)
    };
    match set.format {
        Format::Syslog => set.programs.iter().any(|program| is_of_openssh(program)),
        Format::Raw => set.samples.iter().any(sampled),
        Format::Json => false,
    }
}

fn message_limit_fault(set: &RuleSet) -> Option<Fault> {
    let limit = set.limit();
    if limit.is_some_and(|limit| limit <= CUT_BY_SSHD) || !is_for_openssh(set) {
        return None;
    }
    let with = limit.map_or_else(|| "without a limit".to_owned(), |limit| format!("with a limit of {limit}"));
    let text = format!(
        "sshd cuts its messages at {CUT_BY_SSHD} bytes: {with} a peer could push its true address out of the line; say \
         {CUT_BY_SSHD}"
    );
    let raw =
        "; better name the `program` in place of `format: raw`, so that others cannot write lines for it";
    let text = if set.format == Format::Raw { text + raw } else { text };
    let place = if set.message_limit.is_some() { "message_limit" } else { "format" };
    Some(Fault::error(Place::Key(place), text))
}

fn rules_without_samples<'s>(set: &'s RuleSet, compiled: &'s Compiled) -> impl Iterator<Item = Fault> + 's {
    let is_sampled = is_sampled(set, compiled);
    let rules = set.rules.iter().enumerate().filter(move |(index, _)| !is_sampled(*index));
    rules.map(|(index, rule)| {
        let text =
            format!("rule `{}` has no sample: add a real line under `samples` that it must match", rule.id);
        Fault::warning(Place::Rule(index, "id"), text)
    })
}

/// Whether a sample is meant for the rule with an index. Each of several rules that share an id needs a sample that it
/// matches.
fn is_sampled<'s>(set: &'s RuleSet, compiled: &Compiled) -> impl Fn(usize) -> bool + 's {
    let find = |sample: &Sample| compiled.json.as_ref()?.find(sample.line.as_bytes());
    let matched: Vec<Option<usize>> =
        set.samples.iter().map(|sample| find(sample).map(|found| found.rule)).collect();
    move |index| {
        let id = &set.rules[index].id;
        let is_other = |found: usize| found != index && set.rules[found].id == *id;
        let mut samples =
            set.samples.iter().zip(&matched).filter(|(sample, _)| sample.rule.as_ref() == Some(id));
        samples.any(|(_, matched)| !matched.is_some_and(is_other))
    }
}

fn run(set: &RuleSet, compiled: &Compiled, index: usize, sample: &Sample) -> Option<Fault> {
    let line = sample.line.as_bytes();
    let (_, record) = record::parse_as_any(line);
    let seen = takes(set, record.program) || record.any_program();
    let found = seen.then(|| matcher::find_in(set, compiled, line, &record)).flatten();
    if let (false, Some(rule), Some(program)) = (seen, &sample.rule, record.program) {
        let program = String::from_utf8_lossy(program);
        let text = format!(
            "rule `{rule}` never sees this line: it is from `{program}`, which `program` does not list"
        );
        return Some(Fault::error(Place::Sample(index, "line"), text));
    }
    let id = found.map(|found| set.rules[found.rule].id.as_str());
    if id != sample.rule.as_deref() {
        let message = matcher::message(set, line, &record);
        let hint = why_not(set, compiled, sample, message).unwrap_or_default();
        return Some(Fault::error(Place::Sample(index, "rule"), wrong_rule(sample, id) + &hint));
    }
    let address = found.and_then(|found| found.address);
    (address != sample.address)
        .then(|| Fault::error(Place::Sample(index, "addr"), wrong_address(set, sample, found)))
}

/// The reason why the rule that a sample names does not match it, if one can be determined.
fn why_not(set: &RuleSet, compiled: &Compiled, sample: &Sample, message: &[u8]) -> Option<String> {
    let rules = set.rules.iter().enumerate().filter(|(_, rule)| Some(&rule.id) == sample.rule.as_ref());
    let mut rules = rules.map(|(index, _)| index);
    if set.format == Format::Json {
        let mut reasons: Vec<String> = rules.filter_map(|rule| json::why_not(set, rule, message)).collect();
        reasons.dedup();
        return (!reasons.is_empty()).then(|| format!(": {}", reasons.join("; ")));
    }
    let is_vetoed = rules.any(|rule| compiled.is_vetoed(rule, message));
    is_vetoed.then(|| ": an `unless` of that rule keeps it from matching".to_owned())
}

fn takes(set: &RuleSet, program: Option<&[u8]>) -> bool {
    set.format.needs_source() || program.is_some_and(|program| set.names_program(program))
}

fn wrong_rule(sample: &Sample, found: Option<&str>) -> String {
    match (&sample.rule, found) {
        (Some(expected), Some(found)) => {
            format!("expected rule `{expected}`, but `{found}` matches this line first")
        }
        (Some(expected), None) => format!("expected rule `{expected}`, but no rule matches this line"),
        (None, found) => format!("expected no rule, but `{}` matches this line", found.unwrap_or_default()),
    }
}

fn wrong_address(set: &RuleSet, sample: &Sample, found: Option<Found>) -> String {
    let address = found.and_then(|found| found.address);
    let name = |address: Option<IpAddr>| address.map_or_else(|| "no address".to_owned(), |a| a.to_string());
    let lost = found.is_some() && address.is_none();
    let hint = match lost {
        true if set.format == Format::Json => "; that rule names no `address`",
        true if sample.line.len() > DEFAULT_MESSAGE_LIMIT => {
            "; the line is so long that its end may have been cut"
        }
        true => {
            "; the pattern leaves open which part of the line `<ADDR>` is: put fixed text, not `.*`, before and behind it"
        }
        false => "",
    };
    format!("expected {}, found {}{hint}", name(sample.address), name(address))
}
