//! The findings of the proof, in sentences for the author of a rule.

use std::net::IpAddr;
use std::ops::Range;

use super::super::compile::Compiled;
use super::super::model::{Effect, Fault, Format, Place, RuleSet};
use super::super::pattern::Unreadable;
use super::super::session_id;
use super::judge::{Fooled, counts_for_session};
use super::remedy::{Claims, Part, Remedy};
use super::search::Counterexample;
use super::{FORGED, Known, PeerMark, TRUE_PEER};
use crate::address;

/// The length of a header as FreeBSD's syslogd writes it, with a program's name.
const HEADER: (&str, &str) = ("Nov 22 14:38:31 gw ", "[4711]: ");

/// How much of a line is shown, in characters.
const MAX_SHOWN: usize = 600;

/// A pattern of the set, or of another set that sees the same lines, that cannot be examined.
pub(super) fn unreadable(set: &RuleSet, owner: &RuleSet, rule: usize, error: Unreadable) -> Fault {
    if owner.name == set.name {
        let fault = Fault::error(Place::Rule(rule, "pattern"), error.text);
        return Fault { offset: error.at, ..fault };
    }
    let name = owner.name_of(&owner.rules[rule]);
    let text = format!("rule `{name}` sees the same lines, and its pattern cannot be read: {}", error.text);
    Fault::error(Place::Key("rules"), text)
}

pub(super) fn begins_anywhere(known: &Known<'_>, rule: usize, stretch: usize, remedy: &Remedy) -> Fault {
    let stretch = &known.rules[rule].annotated.stretches[stretch];
    let holds = match stretch.is_claimed {
        true => "can hold the words that follow it",
        false => "takes any text",
    };
    let advice = match remedy.is_enough {
        true => all_advice(known, rule, remedy, Shown::Beginning),
        false => "begin with the program's own words".to_owned(),
    };
    let text = format!(
        "the pattern begins with `{}`, which {holds}: each message that ends in words of a peer's choosing could match; {advice}",
        stretch.text
    );
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
        PeerMark::Address if counts_for_session(&known.set.rules[rule]) => counts_for_another(fooled),
        PeerMark::Address => finds_another_address(rule, fooled, compiled, is_own_line),
        PeerMark::Session => joins_another_session(known.set, rule, fooled, compiled),
    };
    let line = line(known.set, &fooled.found, &message);
    let whose = match (is_own_line, guilty.set.name == known.set.name) {
        (true, _) => String::new(),
        (false, true) => format!(" (rule `{}` describes it)", guilty.set.rules[guilty.index].id),
        (false, false) => {
            format!(" (rule `{}` describes it)", guilty.set.name_of(&guilty.set.rules[guilty.index]))
        }
    };
    let shown = match (is_own_line && overlap(&fooled.found), fooled.mark) {
        (false, _) => Shown::Line,
        (true, PeerMark::Address) => Shown::Overlap,
        (true, PeerMark::Session) => Shown::OverlapOfIds,
    };
    let advice = all_advice(known, rule, remedy, shown);
    let text = format!("the pattern can be fooled: {deed}: {line}{whose}; {advice}");
    let own = remedy.parts.iter().find_map(|part| match part {
        Part::Claims(claims) if claims.revision.rule == rule => claims.stretches.first(),
        _ => None,
    });
    let offset = own.map_or(0, |&stretch| known.rules[rule].annotated.stretches[stretch].at);
    Fault { offset, ..Fault::error(Place::Rule(rule, "pattern"), text) }
}

pub(super) fn mistaken(known: &Known<'_>, rule: usize, found: &Counterexample) -> Fault {
    let printed = &known.rules[found.rule as usize];
    let offence = match printed.set.name == known.set.name {
        true => printed.set.rules[printed.index].id.clone(),
        false => printed.set.name_of(&printed.set.rules[printed.index]),
    };
    let line = line(known.set, found, &found.message);
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

pub(super) fn says_again(set: &RuleSet, rule: usize, found: &Counterexample) -> Fault {
    let line = line(set, found, &found.message);
    let text = format!(
        "the pattern can be fooled: a peer can make this line appear, with which loggers say that the line before it came \
         again, whoever that is of: {line}; claim a narrower alphabet under `fields`"
    );
    Fault::error(Place::Rule(rule, "pattern"), text)
}

pub(super) fn begins_with_a_blank(rule: usize) -> Fault {
    let text = "the pattern never matches: blanks at the beginning of a message are stripped; drop the blank behind `^`";
    Fault::warning(Place::Rule(rule, "pattern"), text)
}

fn finds_another_address(
    rule: usize,
    fooled: &Fooled,
    compiled: &Compiled,
    is_own_line: bool,
) -> (Vec<u8>, String) {
    let (message, peer, found) = confirmed(rule, fooled, compiled, is_own_line);
    let who = peer.map_or_else(|| "a peer".to_owned(), |peer| format!("a peer at {peer}"));
    let cut = if fooled.is_cut { ", if its end is cut off" } else { "" };
    (message, format!("{who} can make this line appear{cut}, and the rule finds {found} in it"))
}

fn counts_for_another(fooled: &Fooled) -> (Vec<u8>, String) {
    let message = &fooled.found.message;
    let peer = fooled.found.printed.clone().and_then(|span| message.get(span));
    let peer = peer.and_then(address::parse_endpoint).map_or_else(String::new, |peer| format!(" at {peer}"));
    let cut = if fooled.is_cut { ", if its end is cut off" } else { "" };
    let deed = format!(
        "a peer{peer} can make this line appear{cut}, and the rule counts it for whoever the session has named before"
    );
    (message.clone(), deed)
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

/// The id that was printed, and the one that the set's own matcher finds. If a rule can read two ids in its own line,
/// either may be the true one.
pub(super) fn confirmed_ids<'f>(
    set: &RuleSet,
    rule: usize,
    fooled: &'f Fooled,
    compiled: &Compiled,
) -> (Option<&'f [u8]>, &'f [u8]) {
    let Counterexample { message, printed, read, .. } = &fooled.found;
    let text = |span: &Option<Range<usize>>| span.clone().and_then(|span| message.get(span));
    let printed = text(printed);
    let read = text(read).unwrap_or_default();
    let is_taken = compiled.find(message, false).is_some_and(|found| found.rule == rule);
    let finder = session_id::finder(set, &set.rules[rule]);
    let seen = finder.filter(|_| is_taken).and_then(|finder| session_id::find(&finder, message));
    match seen {
        Some(seen) if printed == Some(seen) => (Some(read), seen),
        Some(seen) => (printed, seen),
        None => (printed, read),
    }
}

/// The message that fools the set's own matcher, with the true peer in it, and the peer that it finds.
///
/// If a rule can read two addresses in its own line, the matcher takes one; either may be the true one.
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
    let printed = text(&found.printed);
    let read = text(&found.read).unwrap_or_default();
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

/// The message with the true and the forged address exchanged.
fn exchanged(found: &Counterexample) -> Option<Vec<u8>> {
    let printed = found.printed.clone()?;
    let read = found.read.clone()?;
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

/// A whole line that holds the message, as it was printed.
fn line(set: &RuleSet, found: &Counterexample, message: &[u8]) -> String {
    let mut line = match (set.format, set.example_program()) {
        (Format::Syslog, Some(program)) => [HEADER.0, program.as_str(), HEADER.1].concat(),
        _ => String::new(),
    };
    let (before, behind) = &found.around;
    line.push_str(&String::from_utf8_lossy(&[before, message, behind].concat()));
    line.chars().take(MAX_SHOWN).collect()
}

/// The kind of evidence that a message shows before its advice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The pattern begins with any text.
    Beginning,
    /// A line with two addresses.
    Line,
    /// A line with two addresses that share bytes.
    Overlap,
    /// A line with two ids that share bytes.
    OverlapOfIds,
}

/// The advice: what to change about all rules that fool the rule `fooled`.
fn all_advice(known: &Known<'_>, fooled: usize, remedy: &Remedy, shown: Shown) -> String {
    let parts = remedy.parts.iter().map(|part| match part {
        Part::Claims(claims) => claims_of(known, fooled, claims, shown, remedy.parts.len() == 1),
        Part::Nothing { guilty } if *guilty == fooled && shown == Shown::Overlap => {
            "the pattern does not say where the address ends: write <ADDR_PORT> where a port may follow it, or put text \
             beside <ADDR> that no address can hold"
                .to_owned()
        }
        Part::Nothing { guilty } if *guilty == fooled && shown == Shown::OverlapOfIds => {
            "the pattern does not say where the id begins and ends: put text beside <SESSION> that no id can hold".to_owned()
        }
        Part::Nothing { guilty } => nothing_helps(known, *guilty, remedy.mark),
    });
    let outcome = match remedy.is_enough {
        true => ", and the rule is proven; these are claims about what the program prints",
        false => "",
    };
    parts.collect::<Vec<_>>().join("; ") + outcome
}

fn nothing_helps(known: &Known<'_>, guilty: usize, mark: PeerMark) -> String {
    let mark = match mark {
        PeerMark::Address => "<ADDR>",
        PeerMark::Session => "<SESSION>",
    };
    let rule = &known.rules[guilty];
    let id = &rule.set.rules[rule.index].id;
    if guilty < known.own().len() {
        return format!(
            "no claim about the parts of rule `{id}` would help: put fixed text on both sides of {mark} that a peer's words \
             cannot imitate"
        );
    }
    format!(
        "both sets read this program, and no claim about rule `{id}` of rule set `{}` would help: put fixed text into this \
         pattern that those lines cannot have, or use only one of the two sets",
        rule.set.name
    )
}

/// The claims to state about one rule, and the pattern that then belongs into its file.
fn claims_of(known: &Known<'_>, fooled: usize, claims: &Claims, shown: Shown, is_only: bool) -> String {
    let revision = &claims.revision;
    let described = &known.rules[revision.rule];
    let rule = &described.set.rules[described.index];
    let whose = match (revision.rule == fooled, revision.rule < known.own().len()) {
        (true, _) => String::new(),
        (false, true) => format!(" of rule `{}`", rule.id),
        (false, false) => format!(" of rule `{}` in rule set `{}`", rule.id, described.set.name),
    };
    let stretches = claims.stretches.iter().map(|&one| described.annotated.stretches[one].text.as_str());
    let mut texts: Vec<String> = Vec::new();
    for text in stretches.map(|text| format!("`{text}`")) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let fields = revision.claims.iter().map(|(name, alphabet)| format!("{name}: {}", quoted(alphabet)));
    let fields: Vec<String> = fields.collect();
    let pattern = match revision.pattern == rule.pattern {
        true => String::new(),
        false => format!(" and `pattern: {}`", quoted(&revision.pattern)),
    };
    let place = if revision.rule < known.own().len() { "" } else { " in that set" };
    let why = match (shown, revision.rule == fooled) {
        (Shown::Beginning, true) => String::new(),
        _ => format!("nothing says that {}{whose} cannot hold such words: ", listed(&texts)),
    };
    // With several claims each alternative was tried by itself; shown together they would only confuse.
    let others = if is_only && revision.claims.len() == 1 { others(&claims.others) } else { String::new() };
    format!("{why}state{place} `fields: {{{}}}`{others}{pattern}", fields.join(", "))
}

/// Text in YAML's single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `a`, `b` and `c`.
fn listed(texts: &[String]) -> String {
    match texts {
        [] => String::new(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// Whether both addresses share bytes.
fn overlap(found: &Counterexample) -> bool {
    match (&found.printed, &found.read) {
        (Some(printed), Some(read)) => printed.start < read.end && read.start < printed.end,
        _ => false,
    }
}

/// The other alphabets that would do.
fn others(others: &[String]) -> String {
    let others: Vec<String> = others.iter().map(|other| format!("`{other}`")).collect();
    if others.is_empty() { String::new() } else { format!(" (or {})", others.join(", ")) }
}
