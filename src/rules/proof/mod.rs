//! The proof that no line makes a rule name another address than its peer's.
//!
//! Two machines read one text. The *printer* of a rule prints what its program may print: fixed words, numbers, claimed
//! alphabets, and anything in each stretch of which nothing is claimed ([`written`]). The *reader* of a rule takes what
//! its pattern matches as it is written, if no rule before it does ([`first`]). Both know where the address begins and
//! ends ([`mod@machine`]), and a reader's address is one that parses ([`addresses`]). A set is safe if no text exists that some
//! rule's printer prints and some rule's reader takes with *another* address. Whether there is one, a [`search`] through
//! the pairs of their states decides, and what it finds is the line to show.
//!
//! The same search answers whether a failed login can be read as a successful one, whether what counts can be hidden, whether
//! a rule is ever reached, and what remains true of messages whose end was cut off: then the printer may stop anywhere.
//!
//! What is proven holds under three claims, which nobody but the author of a rule set can make: that the program prints the
//! fixed words and numbers of its patterns, that it prints nothing else in a placeholder than its alphabet has, and that its
//! lines of which no rule knows begin with other words ([`lead`]).

mod addresses;
mod first;
mod lead;
mod machine;
mod refusal;
mod remedy;
mod rows;
mod search;
mod stamp;
mod written;

#[cfg(test)]
pub(super) mod tests;

use regex_syntax::hir::Hir;

use self::addresses::Addresses;
use self::first::FirstRule;
use self::machine::{Machine, Peer, machine};
use self::search::{Budget, Found, Search, View};
use self::written::Written;
use super::compile::Compiled;
use super::model::{AddressFrom, Effect, Fault, Format, Place, RuleSet};
use super::pattern;
use crate::record;

/// The peer of messages that are shown; RFC 5737 documentation space, as is the address that nobody sent.
const TRUE_PEER: &str = "192.0.2.7";
const TRUE_V6_PEER: &str = "2001:db8::7";
const FORGED: &str = "203.0.113.66";

/// How many rules whose lines fool one other are told of at once.
const MOST_GUILTY: usize = 4;

/// What follows from the lines of a rule, in place of its number.
const OTHER: u32 = 0;
const OWN_OFFENCE: u32 = 1;
/// One of another set, or one that does not count here; it is no login all the same.
const OTHER_OFFENCE: u32 = 2;

/// The work that a proof may take is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooLarge;

/// All that the proof finds wrong with a rule set. `others` are in force besides it: what they know of its programs, it must
/// not take for its own.
pub(super) fn prove(set: &RuleSet, compiled: &Compiled, others: &[&RuleSet]) -> Vec<Fault> {
    let mut budget = Budget::new();
    let faults = Known::of(set, others, &mut budget).and_then(|known| known.faults(compiled, &mut budget));
    match faults {
        Ok(faults) => faults,
        Err(TooLarge) => {
            let text = format!(
                "whether these {} rules can be fooled takes too much work to decide: make several rule sets of them, or \
                 name the alphabets of long runs under `fields`",
                set.rules.len()
            );
            vec![Fault::error(Place::Key("rules"), text)]
        }
    }
}

/// A rule whose lines the set may see.
struct Described<'a> {
    set: &'a RuleSet,
    /// Its index in its set.
    index: usize,
    written: Written,
}

/// All that is known of a set's programs.
struct Known<'a> {
    set: &'a RuleSet,
    /// The rules of the set, in order, then those of others.
    rules: Vec<Described<'a>>,
}

/// What each rule's program prints and what each rule of the set reads, by number.
struct Texts {
    printed: Vec<Hir>,
    read: Vec<Hir>,
}

/// What the rules of a set are judged by.
struct Judge<'t> {
    texts: &'t Texts,
    first: FirstRule,
    cuts: Vec<Option<u16>>,
}

/// A message that fools a rule.
struct Fooled {
    found: Found,
    /// Whether its end was cut off.
    is_cut: bool,
}

impl<'a> Known<'a> {
    fn of(set: &'a RuleSet, others: &[&'a RuleSet], budget: &mut Budget) -> Result<Self, TooLarge> {
        let others = others.iter().copied().filter(|other| share_lines(set, other));
        let mut rules = Vec::new();
        for set in std::iter::once(set).chain(others) {
            for (index, rule) in set.rules.iter().enumerate() {
                let Some(mut written) = Written::of(&rule.pattern, &set.alphabets()) else { continue };
                for stretch in stamp::stretches(&written, set.format, budget)? {
                    written.stretches[stretch].is_claimed = true;
                }
                rules.push(Described { set, index, written });
            }
        }
        Ok(Self { set, rules })
    }

    fn texts(&self) -> Texts {
        Texts {
            printed: self.rules.iter().map(|rule| rule.written.printed()).collect(),
            read: self.own().iter().map(|rule| rule.written.as_written()).collect(),
        }
    }

    /// The rules of the set itself.
    fn own(&self) -> &[Described<'a>] {
        self.rules.get(..self.set.rules.len()).unwrap_or(&self.rules)
    }

    fn faults(&self, compiled: &Compiled, budget: &mut Budget) -> Result<Vec<Fault>, TooLarge> {
        let texts = self.texts();
        let printer = self.printer(&texts, budget)?;
        let mut judge = Judge::new(self.set, compiled, &texts)?;
        let mut faults = Vec::new();
        for rule in 0..self.own().len() {
            let fault = match self.beginning(rule, budget)? {
                Some(fault) => Some(fault),
                None => self.fooled(rule, &printer, &mut judge, compiled, budget)?,
            };
            faults.extend(fault);
            faults.extend(self.effects(rule, &printer, &mut judge, budget)?);
            faults.extend(self.unreachable(rule, &mut judge, budget)?);
        }
        Ok(faults)
    }

    /// What all rules' programs print. Rules are not told from each other, but for what follows from their lines: so
    /// those that end alike need but one look.
    fn printer(&self, texts: &Texts, budget: &mut Budget) -> Result<Machine, TooLarge> {
        let classes = (0..self.rules.len()).map(|rule| self.class_of(rule));
        let numbered: Vec<(Hir, u32)> = texts.printed.iter().cloned().zip(classes).collect();
        let mut machine = machine(&numbered, Peer::Printed(Addresses::printed())).map_err(|_| TooLarge)?;
        machine.trim_ends();
        machine.merge_equal_states();
        budget.take_many(machine.states.len())?;
        Ok(machine)
    }

    fn class_of(&self, rule: usize) -> u32 {
        let known = &self.rules[rule];
        let model = &known.set.rules[known.index];
        match model.effect {
            Effect::Offence if model.enabled && rule < self.own().len() => OWN_OFFENCE,
            Effect::Offence => OTHER_OFFENCE,
            Effect::Trust | Effect::Ignore => OTHER,
        }
    }

    fn beginning(&self, rule: usize, budget: &mut Budget) -> Result<Option<Fault>, TooLarge> {
        let known = &self.rules[rule];
        let model = &self.set.rules[rule];
        if model.address == AddressFrom::Session || names_nobody(known) {
            return Ok(None);
        }
        let stretch = lead::stretch_before_words(&known.written, budget)?;
        Ok(stretch.map(|stretch| refusal::begins_anywhere(rule, &known.written.stretches[stretch])))
    }

    fn fooled(
        &self,
        rule: usize,
        printer: &Machine,
        judge: &mut Judge<'_>,
        compiled: &Compiled,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        if judge.fooled(rule, printer, Addresses::read(), budget)?.is_none() {
            return Ok(None);
        }
        let shown = judge.shown(rule, &[], budget)?.ok_or(TooLarge)?;
        let mut guilty = vec![shown.found.rule as usize];
        while guilty.len() < MOST_GUILTY {
            let Some(other) = judge.shown(rule, &guilty, budget)? else { break };
            guilty.push(other.found.rule as usize);
        }
        let remedy = remedy::remedy(self, &guilty, rule, compiled, budget);
        Ok(Some(refusal::fooled(self, rule, &shown, compiled, &remedy)))
    }

    /// Whether a failed login can be read as a successful one, or what counts as what does not.
    fn effects(
        &self,
        rule: usize,
        printer: &Machine,
        judge: &mut Judge<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        let effect = self.set.rules[rule].effect;
        if effect == Effect::Offence {
            return Ok(None);
        }
        let reader = reader(&judge.texts.read[rule], rule, Peer::Untold)?;
        let counts = |class: u32| match effect {
            Effect::Trust => class != OTHER,
            _ => class == OWN_OFFENCE,
        };
        let goal = |view: &View<'_>| {
            let printed = view.printed.iter().map(|end| end.rule).find(|&class| counts(class))?;
            (!view.read.is_empty()).then_some(printed)
        };
        if judge.nearest(rule, printer, &reader, 0, goal, budget)?.is_none() {
            return Ok(None);
        }
        let all = 0..self.rules.len();
        let printer = self::printer(&judge.texts.printed, all, &Addresses::only(TRUE_PEER), budget)?;
        let goal = |view: &View<'_>| {
            let printed = view.printed.iter().map(|end| end.rule);
            let printed = printed.into_iter().find(|&printed| counts(self.class_of(printed as usize)))?;
            (!view.read.is_empty()).then_some(printed)
        };
        let shown = judge.nearest(rule, &printer, &reader, 0, goal, budget)?;
        Ok(shown.map(|found| refusal::mistaken(self, rule, &found)))
    }

    fn unreachable(
        &self,
        rule: usize,
        judge: &mut Judge<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        if !self.set.rules[rule].enabled {
            return Ok(None);
        }
        let reader = reader(&judge.texts.read[rule], rule, Peer::Untold)?;
        let goal = |view: &View<'_>| (!view.read.is_empty()).then_some(0);
        let found = judge.nearest(rule, &reader, &reader, 0, goal, budget)?;
        Ok(found.is_none().then(|| refusal::unreachable(self, rule)))
    }
}

impl<'t> Judge<'t> {
    fn new(set: &RuleSet, compiled: &Compiled, texts: &'t Texts) -> Result<Self, TooLarge> {
        let first = FirstRule::new(set, &texts.read).map_err(|_| TooLarge)?;
        let cuts = (0..set.rules.len()).map(|rule| cut_from(set, rule, compiled)).collect();
        Ok(Self { texts, first, cuts })
    }

    /// The nearest message that fools the rule, whole or cut.
    fn fooled(
        &mut self,
        rule: usize,
        printer: &Machine,
        addresses: &Addresses,
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let reader = reader(&self.texts.read[rule], rule, Peer::Read(addresses))?;
        let whole =
            |view: &View<'_>| view.printed.first().filter(|_| names_another(view)).map(|end| end.rule);
        if let Some(found) = self.nearest(rule, printer, &reader, 0, whole, budget)? {
            return Ok(Some(Fooled { found, is_cut: false }));
        }
        let Some(length) = self.cuts[rule] else { return Ok(None) };
        let cut = |view: &View<'_>| (names_another(view) && view.is_behind && view.is_long).then_some(0);
        // What no cut of any length does, no long one does.
        if self.nearest(rule, printer, &reader, 1, cut, budget)?.is_none() {
            return Ok(None);
        }
        let found = self.nearest(rule, printer, &reader, length, cut, budget)?;
        Ok(found.map(|mut found| {
            found.rule = printer.rule_ahead(found.printer);
            Fooled { found, is_cut: true }
        }))
    }

    /// The message to show for a rule that is fooled by others than `without`, with the rule that printed it; with
    /// addresses that a person recognises, where there is such a message.
    fn shown(
        &mut self,
        rule: usize,
        without: &[usize],
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let tries = [
            (&Addresses::only(TRUE_PEER), &Addresses::only(FORGED)),
            (&Addresses::only(TRUE_V6_PEER), Addresses::read()),
            (Addresses::printed(), &Addresses::only(FORGED)),
            (&Addresses::only(TRUE_PEER), Addresses::read()),
            (Addresses::printed(), Addresses::read()),
        ];
        for (peers, addresses) in tries {
            let rules = (0..self.texts.printed.len()).filter(|rule| !without.contains(rule));
            let printer = printer(&self.texts.printed, rules, peers, budget)?;
            if let Some(fooled) = self.fooled(rule, &printer, addresses, budget)? {
                return Ok(Some(fooled));
            }
        }
        Ok(None)
    }

    /// The nearest message of which the goal is true and that the rule takes, as no rule before it does.
    fn nearest(
        &mut self,
        rule: usize,
        printer: &Machine,
        reader: &Machine,
        length: u16,
        goal: impl Fn(&View<'_>) -> Option<u32>,
        budget: &mut Budget,
    ) -> Result<Option<Found>, TooLarge> {
        let search = Search { printer, reader, first: None, length, budget };
        let Some(found) = search.shortest(&goal)? else { return Ok(None) };
        let number = u32::try_from(rule).map_err(|_| TooLarge)?;
        if self.first.takes(&found.message, number)? {
            return Ok(Some(found));
        }
        let first = Some((&mut self.first, number));
        Search { printer, reader, first, length, budget }.shortest(&goal)
    }
}

/// What some rules' programs print, each told from the others.
fn printer(
    printed: &[Hir],
    rules: impl Iterator<Item = usize>,
    peers: &Addresses,
    budget: &mut Budget,
) -> Result<Machine, TooLarge> {
    let numbered = rules.map(|rule| Ok((printed[rule].clone(), u32::try_from(rule).map_err(|_| TooLarge)?)));
    let numbered = numbered.collect::<Result<Vec<_>, TooLarge>>()?;
    let mut machine = machine(&numbered, Peer::Printed(peers)).map_err(|_| TooLarge)?;
    machine.trim_ends();
    budget.take_many(machine.states.len())?;
    Ok(machine)
}

/// Whether the reader has found another address than was printed.
fn names_another(view: &View<'_>) -> bool {
    view.differs && view.read.iter().any(|end| end.is_named)
}

/// What one rule reads.
fn reader(read: &Hir, rule: usize, peer: Peer<'_>) -> Result<Machine, TooLarge> {
    let number = u32::try_from(rule).map_err(|_| TooLarge)?;
    machine(&[(read.clone(), number)], peer).map_err(|_| TooLarge)
}

/// Whether lines of one set may be seen by the other. Which logs raw sets look at is the configuration's to say.
fn share_lines(set: &RuleSet, other: &RuleSet) -> bool {
    let both_raw = set.format == Format::Raw && other.format == Format::Raw;
    set.name != other.name && (set.shares_program(other) || both_raw)
}

fn names_nobody(rule: &Described<'_>) -> bool {
    pattern::addresses_named(&rule.written.as_written()) == Some(0)
}

/// The shortest message of the rule that may have been cut off and still names somebody; `None` where there is none.
fn cut_from(set: &RuleSet, rule: usize, compiled: &Compiled) -> Option<u16> {
    if !compiled.names_peer_when_cut(rule) {
        return None;
    }
    let own = set.limit_of(&set.rules[rule]);
    let loggers = (set.format == Format::Syslog).then_some(record::SHORTEST_CUT);
    let shortest = own.into_iter().chain(loggers).min()?;
    Some(u16::try_from(shortest).unwrap_or(u16::MAX))
}
