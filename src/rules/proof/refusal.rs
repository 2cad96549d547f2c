//! What the proof found, in sentences for the author of a rule.

use std::net::IpAddr;
use std::ops::Range;

use super::super::compile::Compiled;
use super::super::model::{Effect, Fault, Format, Place, RuleSet};
use super::super::pattern::Unreadable;
use super::super::session_id;
use super::judge::Fooled;
use super::remedy::{Claim, Part, Remedy};
use super::search::Found;
use super::written::Stretch;
use super::{FORGED, Known, Mark, TRUE_PEER};
use crate::address;

/// A header of 36 bytes and a program, as FreeBSD's syslogd writes it.
const HEADER: (&str, &str) = ("Nov 22 14:38:31 gw ", "[4711]: ");

/// How much of a line is shown, in characters.
const LONGEST_SHOWN: usize = 600;

/// Words that say nothing of what follows them.
const SMALL_WORDS: [&str; 14] =
    ["A", "AS", "AT", "BY", "FOR", "FROM", "IN", "IS", "OF", "ON", "THE", "TO", "WAS", "WITH"];

/// A pattern of the set's, or of another set that sees the same lines, of which nothing can be said.
pub(super) fn unreadable(set: &RuleSet, owner: &RuleSet, rule: usize, error: Unreadable) -> Fault {
    if owner.name == set.name {
        let fault = Fault::error(Place::Rule(rule, "pattern"), error.text);
        return Fault { offset: error.at, ..fault };
    }
    let name = owner.name_of(&owner.rules[rule]);
    let text = format!("rule `{name}` sees the same lines, and its pattern cannot be read: {}", error.text);
    Fault::error(Place::Key("rules"), text)
}

pub(super) fn begins_anywhere(rule: usize, stretch: &Stretch) -> Fault {
    let text = if stretch.is_claimed {
        format!(
            "the pattern begins with `{}`, which can hold the words that follow it: each message that ends in words of a \
             peer's choosing could match; begin with the program's own words, or state a narrower alphabet under `fields`",
            stretch.text
        )
    } else {
        format!(
            "the pattern begins with `{}`, which takes any text: each message that ends in words of a peer's choosing could \
             match; begin with the program's own words, or name what the program prints there under `fields`",
            stretch.text
        )
    };
    Fault { offset: stretch.at, ..Fault::error(Place::Rule(rule, "pattern"), text) }
}

pub(super) fn fooled(
    known: &Known<'_>,
    rule: usize,
    fooled: &Fooled,
    compiled: &Compiled,
    remedy: &Remedy,
) -> Fault {
    let guilty = &known.rules[fooled.found.rule as usize];
    let is_own_line = fooled.found.rule as usize == rule;
    let (message, deed) = match fooled.mark {
        Mark::Address => finds_another_address(rule, fooled, compiled, is_own_line),
        Mark::Session => joins_another_session(known.set, rule, fooled, compiled),
    };
    let line = line(known.set, &message);
    let whose = match (is_own_line, guilty.set.name == known.set.name) {
        (true, _) => String::new(),
        (false, true) => format!(" (rule `{}` describes it)", guilty.set.rules[guilty.index].id),
        (false, false) => {
            format!(" (rule `{}` describes it)", guilty.set.name_of(&guilty.set.rules[guilty.index]))
        }
    };
    let advice: Vec<String> = remedy.parts.iter().map(|part| advice(known, rule, part, fooled)).collect();
    let outcome = match remedy.is_enough {
        true => ", and the rule is proven; these are claims about what the program prints",
        false => "",
    };
    let text = format!("the pattern can be fooled: {deed}: {line}{whose}; {}{outcome}", advice.join("; "));
    let own = remedy.parts.iter().find(|part| part.rule == rule && is_own_line);
    let claim = own.and_then(|part| part.claims.as_ref()?.first());
    let offset = claim.map_or(0, |claim| guilty.written.stretches[claim.stretch].at);
    Fault { offset, ..Fault::error(Place::Rule(rule, "pattern"), text) }
}

pub(super) fn mistaken(known: &Known<'_>, rule: usize, found: &Found) -> Fault {
    let printed = &known.rules[found.rule as usize];
    let offence = match printed.set.name == known.set.name {
        true => printed.set.rules[printed.index].id.clone(),
        false => printed.set.name_of(&printed.set.rules[printed.index]),
    };
    let line = line(known.set, &found.message);
    if known.set.rules[rule].effect == Effect::Trust {
        let text = format!(
            "a failed attempt can be read as a login: rule `{offence}` describes this line, a peer chooses its words, and this \
             rule trusts whoever caused it: {line}; put fixed text where the pattern takes any, or claim a narrower \
             alphabet under `fields`"
        );
        return Fault::error(Place::Rule(rule, "pattern"), text);
    }
    let text = format!(
        "this rule hides what rule `{offence}` counts: a peer who makes this line appear is not counted: {line}; put the \
         rule behind `{offence}`, or make its pattern narrower"
    );
    Fault::warning(Place::Rule(rule, "pattern"), text)
}

pub(super) fn unreachable(known: &Known<'_>, rule: usize) -> Fault {
    let text = format!(
        "rule `{}` is never reached: rules before it take every message that it could; move it before them, or drop it",
        known.set.rules[rule].id
    );
    Fault::warning(Place::Rule(rule, "id"), text)
}

fn finds_another_address(
    rule: usize,
    fooled: &Fooled,
    compiled: &Compiled,
    is_own_line: bool,
) -> (Vec<u8>, String) {
    let (message, peer, found) = confirmed(rule, fooled, compiled, is_own_line);
    let who = peer.map_or_else(|| "a peer".to_owned(), |peer| format!("a peer at {peer}"));
    let cut = if fooled.is_cut { ", when its end is cut off" } else { "" };
    (message, format!("{who} can make this line appear{cut}, and the rule finds {found} in it"))
}

fn joins_another_session(
    set: &RuleSet,
    rule: usize,
    fooled: &Fooled,
    compiled: &Compiled,
) -> (Vec<u8>, String) {
    let (printed, read) = confirmed_ids(set, rule, fooled, compiled);
    let read = String::from_utf8_lossy(read);
    let whose = printed.map_or_else(
        || "in which the program names none".to_owned(),
        |id| format!("which is of session `{}`", String::from_utf8_lossy(id)),
    );
    let deed = format!(
        "a peer can make this line appear, {whose}, and the rule takes it for one of session `{read}`"
    );
    (fooled.found.message.clone(), deed)
}

/// The id that was printed, and the one that the set's own matcher finds; of two that a rule may read in its own line, either
/// may be the true one.
pub(super) fn confirmed_ids<'f>(
    set: &RuleSet,
    rule: usize,
    fooled: &'f Fooled,
    compiled: &Compiled,
) -> (Option<&'f [u8]>, &'f [u8]) {
    let Found { message, printed, read, .. } = &fooled.found;
    let text = |span: &Option<Range<usize>>| span.clone().and_then(|span| message.get(span));
    let (printed, read) = (text(printed), text(read).unwrap_or_default());
    let is_taken = compiled.find(message, false).is_some_and(|found| found.rule == rule);
    let finder = session_id::finder(set, &set.rules[rule]);
    let seen = finder.filter(|_| is_taken).and_then(|finder| session_id::find(&finder, message));
    match seen {
        Some(seen) if printed == Some(seen) => (Some(read), seen),
        Some(seen) => (printed, seen),
        None => (printed, read),
    }
}

/// The message with which the set's own matcher is fooled, the true peer in it, and whom it finds.
///
/// Of two addresses that a rule may read in its own line the matcher takes one; either may be the true one.
pub(super) fn confirmed(
    rule: usize,
    fooled: &Fooled,
    compiled: &Compiled,
    is_own_line: bool,
) -> (Vec<u8>, Option<IpAddr>, IpAddr) {
    let found = &fooled.found;
    let text = |span: &Option<Range<usize>>| {
        span.clone().and_then(|span| found.message.get(span)).map(<[u8]>::to_vec)
    };
    let (printed, read) = (text(&found.printed), text(&found.read).unwrap_or_default());
    let parse = |text: &[u8]| address::parse_endpoint(text);
    let seen = |message: &[u8]| {
        let seen = compiled.find(message, fooled.is_cut)?;
        seen.address.filter(|_| seen.rule == rule)
    };
    let peer = printed.as_deref().and_then(parse);
    let answer = seen(&found.message);
    if answer.is_some() && answer == peer && is_own_line {
        let message = exchanged(found).unwrap_or_default();
        if let Some(answer) = seen(&message).filter(|answer| answer.to_string() == FORGED) {
            return (message, parse(TRUE_PEER.as_bytes()), answer);
        }
        if let Some(other) = parse(&read) {
            return (found.message.clone(), Some(other), answer.unwrap_or(other));
        }
    }
    let forged = answer.filter(|_| answer != peer).or_else(|| parse(&read));
    let forged = forged.unwrap_or(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));
    (found.message.clone(), peer, forged)
}

/// The message with the true address where the forged one stood and the other way round.
fn exchanged(found: &Found) -> Option<Vec<u8>> {
    let (printed, read) = (found.printed.clone()?, found.read.clone()?);
    let message = &found.message;
    let (first, second) = if printed.start < read.start { (&printed, &read) } else { (&read, &printed) };
    if first.end > second.start {
        return None;
    }
    let text_of = |span: &Range<usize>| {
        if *span == printed { FORGED.as_bytes() } else { TRUE_PEER.as_bytes() }
    };
    let parts = [
        message.get(..first.start)?,
        text_of(first),
        message.get(first.end..second.start)?,
        text_of(second),
        message.get(second.end..)?,
    ];
    Some(parts.concat())
}

/// A whole line with the message in it.
fn line(set: &RuleSet, message: &[u8]) -> String {
    let mut line = match (set.format, set.example_program()) {
        (Format::Syslog, Some(program)) => [HEADER.0, program.as_str(), HEADER.1].concat(),
        _ => String::new(),
    };
    line.push_str(&String::from_utf8_lossy(message));
    line.chars().take(LONGEST_SHOWN).collect()
}

/// What to do about one rule whose lines fool rule `fooled`.
fn advice(known: &Known<'_>, rule: usize, part: &Part, fooled: &Fooled) -> String {
    let guilty = &known.rules[part.rule];
    let (set, stretches) = (guilty.set, &guilty.written.stretches);
    let is_own = part.rule == rule;
    let Some(claims) = &part.claims else {
        let mark = match fooled.mark {
            Mark::Address => "<ADDR>",
            Mark::Session => "<SESSION>",
        };
        return match (is_own && overlap(&fooled.found), part.rule < known.own().len()) {
            (true, _) if fooled.mark == Mark::Session => "the pattern does not say where the id begins and ends: put text \
                                                         beside <SESSION> that no id can hold"
                .to_owned(),
            (true, _) => "the pattern does not say where the address ends: write <ADDR_PORT> where a port may follow it, or \
                          put text beside <ADDR> that no address can hold"
                .to_owned(),
            (false, true) => format!(
                "no claim about one part of rule `{}` would help: put fixed text on both sides of {mark} that a peer's words \
                 cannot imitate",
                set.rules[guilty.index].id
            ),
            (false, false) => {
                format!("rule `{}` is not this set's: make the pattern narrower", set.name_of(&set.rules[guilty.index]))
            }
        };
    };
    let mut fields = Vec::new();
    let mut places = Vec::new();
    let mut names: Vec<String> = set.fields.iter().map(|(name, _)| name.clone()).collect();
    for claim in claims {
        let stretch = &stretches[claim.stretch];
        let name = name_for(set, stretch, &mut names);
        fields.push(format!("{name}: '{}'", alphabet(claim)));
        if !stretch.is_claimed {
            places.push(format!("`<{name}>` in place of `{}`", stretch.text));
        }
    }
    // With several claims each alternative was tried by itself; all together they would only confuse.
    let others = match claims.as_slice() {
        [claim] => others(claim),
        _ => String::new(),
    };
    let placed = if places.is_empty() { String::new() } else { format!(" and {}", places.join(", ")) };
    let whose = if is_own { String::new() } else { format!(" of rule `{}`", set.rules[guilty.index].id) };
    let all: Vec<String> =
        claims.iter().map(|claim| format!("`{}`", stretches[claim.stretch].text)).collect();
    format!(
        "nothing says that {}{whose} cannot hold such words: state `fields: {{{}}}`{placed}{others}",
        all.join(" and "),
        fields.join(", "),
    )
}

/// Whether both addresses have bytes in common.
fn overlap(found: &Found) -> bool {
    match (&found.printed, &found.read) {
        (Some(printed), Some(read)) => printed.start < read.end && read.start < printed.end,
        _ => false,
    }
}

fn alphabet(claim: &Claim) -> String {
    claim.alphabets.first().map(|alphabet| alphabet.replace('\'', "''")).unwrap_or_default()
}

/// The other alphabets that would do.
fn others(claim: &Claim) -> String {
    let others: Vec<String> = claim.alphabets.iter().skip(1).map(|other| format!("`{other}`")).collect();
    if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) }
}

/// A name for a placeholder: the word before the stretch, as in `agent "[^"]*"`.
fn name_for(set: &RuleSet, stretch: &Stretch, names: &mut Vec<String>) -> String {
    if stretch.is_claimed {
        return stretch.text.trim_matches(['<', '>']).to_owned();
    }
    let word = set
        .rules
        .iter()
        .filter(|rule| rule.pattern.get(stretch.at..).is_some_and(|rest| rest.starts_with(&stretch.text)))
        .find_map(|rule| last_word(rule.pattern.get(..stretch.at)?));
    let word = word.filter(|word| !SMALL_WORDS.contains(&word.as_str())).unwrap_or_else(|| "NAME".to_owned());
    let mut name = word.clone();
    let mut number = 2;
    while names.contains(&name) || matches!(name.as_str(), "ADDR" | "HOST" | "USER" | "ADDR_PORT") {
        name = format!("{word}_{number}");
        number += 1;
    }
    names.push(name.clone());
    name
}

fn last_word(text: &str) -> Option<String> {
    let end = text.rfind(|c: char| c.is_ascii_alphabetic())? + 1;
    // Words behind a backslash are classes: `\d+`.
    let head = text.get(..end)?;
    let start = head.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + 1);
    let is_escape = head.get(..start)?.ends_with('\\');
    (!is_escape && end - start > 1).then(|| head.get(start..).map(str::to_ascii_uppercase))?
}
