//! What `portcullis check` asks of a rule set: its patterns, its samples, and the proof.

use std::net::IpAddr;

use super::compile::{Compiled, Found};
use super::dated::undated_samples;
use super::matcher;
use super::model::{DEFAULT_MESSAGE_LIMIT, Fault, Format, Place, RuleSet, Sample};
use super::program;
use super::proof;
use crate::record;

/// sshd cuts its messages at 500 bytes (log.c, `%.500s`), whatever a rule file says.
const CUT_BY_SSHD: usize = 500;

/// All that is wrong with a rule set; empty when nothing is. `others` are in force besides it: it must not be fooled by
/// what they know of its programs.
pub fn check(set: &RuleSet, others: &[&RuleSet]) -> Vec<Fault> {
    let compiled = match Compiled::with(set, |_| true) {
        Ok(compiled) => compiled,
        Err(faults) => return faults,
    };
    let mut faults: Vec<Fault> = message_limit_fault(set).into_iter().collect();
    faults.extend(
        set.samples.iter().enumerate().filter_map(|(index, sample)| run(set, &compiled, index, sample)),
    );
    faults.extend(proof::prove(set, &compiled, others));
    faults.extend(rules_without_samples(set));
    faults.extend(undated_samples(set));
    faults
}

/// Programs of OpenSSH, which share its log.c.
const OF_OPENSSH: [&str; 3] = ["sshd*", "sftp-server", "internal-sftp"];

fn is_of_openssh(program: &str) -> bool {
    OF_OPENSSH.iter().any(|known| program::overlap(known, program))
}

/// Whether the set is about OpenSSH: a raw set names no program, but its samples do.
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

fn rules_without_samples(set: &RuleSet) -> impl Iterator<Item = Fault> + '_ {
    let unsampled = |id: &str| !set.samples.iter().any(|sample| sample.rule.as_deref() == Some(id));
    let rules = set.rules.iter().enumerate().filter(move |(_, rule)| unsampled(&rule.id));
    rules.map(|(index, rule)| {
        let text =
            format!("rule `{}` has no sample: add a real line under `samples` that it must match", rule.id);
        Fault::warning(Place::Rule(index, "id"), text)
    })
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
        let expected = set.rules.iter().position(|rule| Some(&rule.id) == sample.rule.as_ref());
        let is_vetoed = expected.is_some_and(|rule| compiled.is_vetoed(rule, message));
        let hint = if is_vetoed { VETOED } else { "" };
        return Some(Fault::error(Place::Sample(index, "rule"), wrong_rule(sample, id) + hint));
    }
    let address = found.and_then(|found| found.address);
    (address != sample.address)
        .then(|| Fault::error(Place::Sample(index, "addr"), wrong_address(sample, found, address)))
}

const VETOED: &str = ": an `unless` of that rule keeps it from matching";

fn takes(set: &RuleSet, program: Option<&[u8]>) -> bool {
    set.format == Format::Raw || program.is_some_and(|program| set.names_program(program))
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

fn wrong_address(sample: &Sample, found: Option<Found>, address: Option<IpAddr>) -> String {
    let name = |address: Option<IpAddr>| address.map_or_else(|| "no address".to_owned(), |a| a.to_string());
    let lost = found.is_some() && address.is_none();
    let hint = match lost {
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
