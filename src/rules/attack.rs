//! The attack on the rules: whatever a peer writes into a line, the address found must stay the true one.
//!
//! For every rule there are honest messages: its samples, and some made from the pattern itself, one for each of its
//! branches. In each, every [`stretch`] in which a peer's text may stand (a placeholder, or an unnamed run such as `.*`
//! or `\w+`) is replaced by [`hostile`] texts: other addresses, the pattern's own words around them, copies of whole
//! messages, blanks, brackets, long runs that make the logger cut the message so that the true end is lost. The whole
//! rule set is then asked. An answer with another address than the true one refuses the rule that gave it.
//!
//! What is made of `^Failed for <USER> from <ADDR>$`, with its name in the code:
//!
//! | name | example |
//! | --- | --- |
//! | stretch | `<USER>`: in the pattern, a part in which a peer's text may stand |
//! | honest message | `Failed for x from 192.0.2.7`: the peer is known to be 192.0.2.7 |
//! | slot | its `x`: the stretch as it stands in this message |
//! | lure | `203.0.113.66`: what the attacker would like to see banned |
//! | imitation | ` from 203.0.113.66`: a lure with the message's own words around it |
//! | bait | an imitation, `[203.0.113.66]`, or what every attacker tries, as `%s%n` |
//! | variant | `x from 203.0.113.66`: a bait with something before it or behind it |
//! | copy | `Failed for x from 203.0.113.66`: a message of any rule with a lure for its address |
//! | impostor | `x from 203.0.113.66`: what is left of a copy behind the words that both begin with |
//! | fit | `x from`: a text as the slot can hold it, here one whose alphabet has no digits |
//! | hostile message | `Failed for x from 203.0.113.66 from 192.0.2.7`: one of these in the slot |
//!
//! The messages that other rule sets describe for the same program are attacked as well: what one set knows to end in a
//! peer's words, another must not take for its own.

mod hostile;
mod stretch;

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Range;
use std::rc::Rc;

use self::stretch::{Belief, Stretch, Stretches};
use super::compile::{Compiled, Found};
use super::locate::Scratch;
use super::model::{AddressFrom, Fault, Place, Rule, RuleSet};
use super::{matcher, witness};
use crate::{address, record};

/// The true peer of messages made from patterns; RFC 5737 documentation space, as are the lures.
const TRUE_PEER: &str = "192.0.2.7";

/// What the attacker would like to see banned.
const LURES: [&str; 2] = ["203.0.113.66", "2001:db8:bad::66"];

/// A header of 36 bytes, as FreeBSD's syslogd writes it.
const HEADER: (&str, &str) = ("Nov 22 14:38:31 gw ", "[4711]: ");

/// How many cut lines each stretch of a set gets that no automaton fits: they are up to 16 KiB long, and all of them
/// took a quarter of a minute for `^x.{0,900}.{0,900}.{0,900} <ADDR>$`.
const SLOW_CUTS: usize = 4;

/// An honest message and the slots in it for text of the peer's choosing.
struct Honest {
    /// The other set that it is from, if it is not one of the set's own.
    other: Option<Rc<str>>,
    rule: usize,
    header: Vec<u8>,
    message: Vec<u8>,
    /// `None`: the message names a host or nobody, and no address may be found in any of its variants.
    peer: Option<IpAddr>,
    /// Where the address stands, if anywhere.
    token: Option<Range<usize>>,
    slots: Vec<Slot>,
}

/// A stretch as it stands in one message.
struct Slot {
    span: Range<usize>,
    stretch: Rc<Stretch>,
}

/// Attacks every rule of the set; one fault for each rule that was fooled, with the line that did it.
pub(super) fn attack(set: &RuleSet, compiled: &Compiled, others: &[&RuleSet]) -> Vec<Fault> {
    let stretches = stretches(set);
    let mut honest_messages: Vec<Honest> =
        stretches.iter().flat_map(|(rule, known)| honest_messages(set, compiled, *rule, known)).collect();
    let mut unanchored = vec![None; set.rules.len()];
    stretches.iter().for_each(|(rule, known)| {
        unanchored[*rule] = begins_anywhere(&set.rules[*rule], *rule, known);
    });
    let copies = copies(&honest_messages);
    honest_messages
        .extend(others.iter().filter(|other| share_program(set, other)).flat_map(|other| described(other)));
    let mut attack = Attack { set, compiled, fooled: unanchored, scratch: Scratch::default() };
    // Samples of one rule often differ only where the hostile text is put.
    let mut done = HashSet::new();
    for honest in &honest_messages {
        for slot in &honest.slots {
            let (before, behind) = (&honest.message[..slot.span.start], &honest.message[slot.span.end..]);
            if done.insert((&honest.other, honest.rule, slot.stretch.at, before, behind)) {
                attack.on(honest, slot, &copies);
            }
        }
    }
    attack.fooled.into_iter().flatten().collect()
}

/// The rules that can be taken apart.
fn stretches(set: &RuleSet) -> Vec<(usize, Stretches)> {
    let rules = set.rules.iter().enumerate();
    rules.filter_map(|(rule, known)| Some((rule, Stretches::of(&known.pattern, &set.alphabets())?))).collect()
}

fn share_program(set: &RuleSet, other: &RuleSet) -> bool {
    set.name != other.name && set.shares_program(other)
}

/// The messages of another set that name their peer.
fn described(other: &RuleSet) -> Vec<Honest> {
    let Ok(compiled) = Compiled::with(other, |_| true) else { return Vec::new() };
    let name: Rc<str> = other.name.as_str().into();
    let stretches = stretches(other);
    let all = stretches.iter().flat_map(|(rule, known)| honest_messages(other, &compiled, *rule, known));
    let named = all.filter(|honest| honest.peer.is_some());
    named.map(|honest| Honest { other: Some(Rc::clone(&name)), ..honest }).collect()
}

/// A text that takes whole messages is no beginning: the rule would match what ends in a peer's words.
fn begins_anywhere(rule: &Rule, index: usize, stretches: &Stretches) -> Option<Fault> {
    let names_peer = stretches.all.iter().any(|stretch| stretch.belief == Belief::Address);
    let leading = stretches.leading().filter(|_| names_peer && rule.address != AddressFrom::Session)?;
    let text = format!(
        "the pattern begins with `{}`, which takes any text: each message that ends in words of a peer's choosing could \
         match; begin with the program's own words",
        leading.text
    );
    Some(Fault { offset: leading.at, ..Fault::error(Place::Rule(index, "pattern"), text) })
}

/// An attack under way.
struct Attack<'a> {
    set: &'a RuleSet,
    compiled: &'a Compiled,
    /// For each rule the first line that fooled it.
    fooled: Vec<Option<Fault>>,
    scratch: Scratch,
}

/// A hostile message, and how it came about.
struct Hostile<'a> {
    honest: &'a Honest,
    slot: &'a Slot,
    header: &'a [u8],
    message: &'a [u8],
    is_cut: bool,
}

impl Attack<'_> {
    fn on(&mut self, honest: &Honest, slot: &Slot, copies: &[Vec<u8>]) {
        for message in hostile::whole(honest, slot, copies) {
            let found = self.compiled.find_as_written(&mut self.scratch, &message);
            let header = &honest.header;
            self.judge(found, &Hostile { honest, slot, header, message: &message, is_cut: false });
        }
        let cuts = if self.compiled.is_fast() { usize::MAX } else { SLOW_CUTS };
        for line in hostile::cut(self.set, honest, slot).into_iter().take(cuts) {
            let record = record::parse(&line);
            let found = matcher::find_as_written(self.set, self.compiled, &mut self.scratch, &line, &record);
            let message = matcher::message(self.set, &line, &record);
            let header = &line[..line.len() - message.len()];
            self.judge(found, &Hostile { honest, slot, header, message, is_cut: true });
        }
    }

    fn judge(&mut self, found: Option<Found>, hostile: &Hostile<'_>) {
        let Some(Found { rule, address: Some(address) }) = found else { return };
        if Some(address) != hostile.honest.peer {
            let set = self.set;
            self.fooled[rule].get_or_insert_with(|| hostile.verdict(set, rule, address));
        }
    }
}

impl Hostile<'_> {
    fn verdict(&self, set: &RuleSet, rule: usize, found: IpAddr) -> Fault {
        let peer = self.honest.peer.map_or_else(|| "a peer".to_owned(), |peer| format!("a peer at {peer}"));
        let line = [self.header, self.message].concat();
        let line: String = String::from_utf8_lossy(&line).chars().take(600).collect();
        let remedy = self.slot.remedy(self.slot.filling(self.honest, self.message), self.is_cut);
        // A line of another rule's can fool this one: then the stretch is not of this pattern.
        let (whose, offset) = match &self.honest.other {
            None if self.honest.rule == rule => (String::new(), self.slot.stretch.at),
            None => (format!("in `{}`, ", set.rules[self.honest.rule].id), 0),
            Some(other) => (format!("it is a message that rule set `{other}` knows; "), 0),
        };
        let text = format!(
            "the pattern can be fooled: {peer} can make this line appear, and the rule finds {found} in it: {line} \
             ({whose}{remedy})"
        );
        Fault { offset, ..Fault::error(Place::Rule(rule, "pattern"), text) }
    }
}

/// The honest messages of one rule: its samples, and those made from its pattern.
fn honest_messages(set: &RuleSet, compiled: &Compiled, rule: usize, stretches: &Stretches) -> Vec<Honest> {
    let known: Vec<Rc<Stretch>> = stretches.all.iter().cloned().map(Rc::new).collect();
    let id = &set.rules[rule].id;
    let samples = set.samples.iter().filter(|sample| sample.rule.as_ref() == Some(id));
    let mut messages: Vec<(Vec<u8>, Vec<u8>)> =
        samples.map(|sample| split(set, sample.line.as_bytes())).collect();
    messages
        .extend(witness::witnesses(&stretches.hir, TRUE_PEER).into_iter().map(|text| (header(set), text)));
    let honest = |(header, message): (Vec<u8>, Vec<u8>)| {
        let found = compiled.find_as_written(&mut Scratch::default(), &message);
        let found = found.filter(|found| found.rule == rule)?;
        let (mut token, mut slots) = (None, Vec::new());
        for (index, span) in stretches.spans(&message)? {
            match known[index].belief {
                Belief::Address => token = Some(span),
                _ => slots.push(Slot::new(Rc::clone(&known[index]), span)),
            }
        }
        let named = token.as_ref().and_then(|token| address::parse(message.get(token.clone())?));
        // A sample of a message that was cut names whom the attacker chose: no variant of it has a true peer.
        let peer = found.address;
        (named == peer).then_some(Honest { other: None, rule, header, message, peer, token, slots })
    };
    messages.into_iter().filter_map(honest).collect()
}

fn header(set: &RuleSet) -> Vec<u8> {
    let Some(program) = set.example_program() else { return Vec::new() };
    [HEADER.0, &program, HEADER.1].concat().into_bytes()
}

/// A line as header and message; the header of a line that has another message layout is made up.
fn split(set: &RuleSet, line: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let message = matcher::message(set, line, &record::parse(line)).to_vec();
    let header = line.strip_suffix(message.as_slice()).map_or_else(|| header(set), <[u8]>::to_vec);
    (header, message)
}

/// A whole message of each rule with each lure for the address, as somebody might paste it into a user name.
fn copies(honest_messages: &[Honest]) -> Vec<Vec<u8>> {
    let mut rules: Vec<&Honest> = honest_messages.iter().filter(|honest| honest.token.is_some()).collect();
    rules.dedup_by_key(|honest| honest.rule);
    rules.iter().flat_map(|honest| LURES.map(|lure| honest.with_peer(lure))).collect()
}

impl Honest {
    /// The message as if it came from `peer`.
    fn with_peer(&self, peer: &str) -> Vec<u8> {
        let Some(token) = &self.token else { return self.message.clone() };
        [&self.message[..token.start], peer.as_bytes(), &self.message[token.end..]].concat()
    }
}

#[cfg(test)]
mod tests;
