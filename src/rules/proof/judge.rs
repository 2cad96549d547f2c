//! Judges a rule: searches for a message in which it finds another address or id than was printed.

use std::ops::Range;

use regex_syntax::hir::Hir;

use super::super::compile::Compiled;
use super::super::model::{AddressFrom, Effect, Format, Rule, RuleSet};
use super::addresses::Addresses;
use super::first::FirstRule;
use super::ids;
use super::machine::{End, Machine, Peer, machine};
use super::search::{Budget, Counterexample, Search, View};
use super::{FORGED, Languages, PeerMark, TRUE_PEER, TRUE_V6_PEER, TooLarge};
use crate::record;

/// Searches on behalf of all rules of a set.
pub(super) struct Judge<'t> {
    pub(super) languages: &'t Languages,
    set: &'t RuleSet,
    first: FirstRule,
    pub(super) cuts: Vec<Option<u16>>,
}

/// A message that fools a rule.
pub(super) struct Fooled {
    pub(super) mark: PeerMark,
    pub(super) found: Counterexample,
    /// Whether its end was cut off.
    pub(super) is_cut: bool,
}

impl Fooled {
    /// The range that was printed and is read, if both are the same.
    fn only_id(&self) -> Option<String> {
        let text = |span: &Option<Range<usize>>| self.found.message.get(span.clone()?);
        let printed = text(&self.found.printed)?;
        let is_same = text(&self.found.read) == Some(printed);
        is_same.then(|| String::from_utf8(printed.to_vec()).ok())?
    }
}

impl<'t> Judge<'t> {
    pub(super) fn new(
        set: &'t RuleSet,
        compiled: &Compiled,
        languages: &'t Languages,
    ) -> Result<Self, TooLarge> {
        let first = FirstRule::new(set, &languages.read).map_err(|_| TooLarge)?;
        let cuts = (0..set.rules.len()).map(|rule| cut_from(set, rule, compiled)).collect();
        Ok(Self { languages, set, first, cuts })
    }

    /// The shortest message that fools the rule, whole or truncated.
    pub(super) fn fooled(
        &mut self,
        rule: usize,
        mark: PeerMark,
        printer: &Machine,
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let reader = reader(&self.languages.read[rule], rule, mark.read())?;
        self.fooled_by(rule, mark, printer, &reader, budget)
    }

    /// The shortest message that fools the rule with these machines.
    fn fooled_by(
        &mut self,
        rule: usize,
        mark: PeerMark,
        printer: &Machine,
        reader: &Machine,
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let is_of_session = mark == PeerMark::Address && counts_for_session(&self.set.rules[rule]);
        let whole = |view: &View<'_>| {
            let mut printed = view.printed.iter();
            let fools = |end: &&End| match is_of_session {
                true => end.is_named && !view.read.is_empty(),
                false => names_another(view),
            };
            printed.find(fools).map(|end| end.rule)
        };
        if let Some(found) = self.nearest(rule, printer, reader, 0, whole, budget)? {
            return Ok(Some(Fooled { mark, found, is_cut: false }));
        }
        // No id is read from a message that may be truncated.
        let Some(length) = self.cuts[rule].filter(|_| mark == PeerMark::Address) else { return Ok(None) };
        let may_be_named = printer.may_end(|end| end.is_named || !is_of_session);
        let cut = |view: &View<'_>| {
            let fools = match is_of_session {
                true => may_be_named[view.printer as usize] && !view.read.is_empty(),
                false => names_another(view) && view.is_behind,
            };
            (fools && view.is_long).then_some(0)
        };
        // If no cut of any length fools the rule, one at a certain length does not either.
        if self.nearest(rule, printer, reader, 1, cut, budget)?.is_none() {
            return Ok(None);
        }
        let found = self.nearest(rule, printer, reader, length, cut, budget)?;
        Ok(found.map(|mut found| {
            found.rule = printer.rule_ahead(found.printer, |end| end.is_named || !is_of_session);
            Fooled { mark, found, is_cut: true }
        }))
    }

    /// The message to show for a rule that is fooled by others than `without`, and the rule that printed it; with
    /// addresses or ids that a person recognises, if there is such a message.
    pub(super) fn shown(
        &mut self,
        rule: usize,
        mark: PeerMark,
        without: &[usize],
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        match mark {
            PeerMark::Address => self.shown_with_addresses(rule, without, budget),
            PeerMark::Session => self.shown_with_ids(rule, without, budget),
        }
    }

    fn shown_with_addresses(
        &mut self,
        rule: usize,
        without: &[usize],
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let tries = [
            (&Addresses::only(TRUE_PEER), &Addresses::only(FORGED)),
            (&Addresses::only(TRUE_V6_PEER), Addresses::read()),
            (Addresses::read(), &Addresses::only(FORGED)),
            (Addresses::printed(), &Addresses::only(FORGED)),
            (&Addresses::only(TRUE_PEER), Addresses::read()),
            (Addresses::printed(), Addresses::read()),
        ];
        for (peers, addresses) in tries {
            let rules = (0..self.languages.printed.len()).filter(|rule| !without.contains(rule));
            let printer = printer(self.languages, rules, Peer::Printed(peers), budget)?;
            let reader = reader(&self.languages.read[rule], rule, Peer::Read(addresses))?;
            if let Some(fooled) = self.fooled_by(rule, PeerMark::Address, &printer, &reader, budget)? {
                return Ok(Some(fooled));
            }
        }
        Ok(None)
    }

    fn shown_with_ids(
        &mut self,
        rule: usize,
        without: &[usize],
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let peer = Some(TRUE_PEER);
        if let Some(usual) = ids::usual(&self.languages.read[rule]) {
            let fooled = self.shown_with(rule, without, peer, Some(usual), budget)?;
            if fooled.is_some() {
                return Ok(fooled);
            }
        }
        let fooled = match self.shown_with(rule, without, peer, None, budget)? {
            Some(fooled) => Some(fooled),
            None => self.shown_with(rule, without, None, None, budget)?,
        };
        // The shortest message may have one id in both places; a person needs two different ones.
        let same = fooled.as_ref().and_then(Fooled::only_id);
        let other = same.as_ref().and_then(|id| ids::neighbour(&self.languages.read[rule], id));
        let Some((same, other)) = same.zip(other) else { return Ok(fooled) };
        for two in [[&same, &other], [&other, &same]] {
            let told = self.shown_with(rule, without, peer, Some(two.map(String::as_str)), budget)?;
            if told.is_some() {
                return Ok(told);
            }
        }
        Ok(fooled)
    }

    /// The message that names this peer, if one is given, in which the first id is printed and the second one read.
    fn shown_with(
        &mut self,
        rule: usize,
        without: &[usize],
        peer: Option<&str>,
        ids: Option<[&str; 2]>,
        budget: &mut Budget,
    ) -> Result<Option<Fooled>, TooLarge> {
        let [own, other] = [0, 1].map(|at| ids.map(|ids| ids[at]));
        let printed = self.languages.printed.iter().map(|hir| ids::with_texts(hir, peer, own));
        let rules = (0..self.languages.printed.len()).filter(|rule| !without.contains(rule));
        let languages = Languages { printed: printed.collect(), ..self.languages.clone() };
        let printer = printer(&languages, rules, Peer::Session, budget)?;
        let reader = reader(&ids::with_texts(&self.languages.read[rule], None, other), rule, Peer::Session)?;
        self.fooled_by(rule, PeerMark::Session, &printer, &reader, budget)
    }

    /// The shortest message for which the goal is true and that the rule accepts as the first.
    pub(super) fn nearest(
        &mut self,
        rule: usize,
        printer: &Machine,
        reader: &Machine,
        length: u16,
        goal: impl Fn(&View<'_>) -> Option<u32>,
        budget: &mut Budget,
    ) -> Result<Option<Counterexample>, TooLarge> {
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

/// The printer of some rules, which tells them apart.
pub(super) fn printer(
    languages: &Languages,
    rules: impl Iterator<Item = usize>,
    peer: Peer<'_>,
    budget: &mut Budget,
) -> Result<Machine, TooLarge> {
    let numbered =
        rules.map(|rule| Ok((languages.printed[rule].clone(), u32::try_from(rule).map_err(|_| TooLarge)?)));
    let numbered = numbered.collect::<Result<Vec<_>, TooLarge>>()?;
    let mut machine = machine(&numbered, peer).map_err(|_| TooLarge)?;
    languages.delivery.apply(&mut machine);
    budget.take_many(machine.states.len())?;
    Ok(machine)
}

/// Whether the reader has found another address or id than was printed.
fn names_another(view: &View<'_>) -> bool {
    view.differs && view.read.iter().any(|end| end.is_named)
}

/// Whether the rule counts lines without an address for the peer that their session named before.
pub(super) fn counts_for_session(rule: &Rule) -> bool {
    rule.address == AddressFrom::Session && rule.effect != Effect::Ignore
}

/// The reader of one rule.
pub(super) fn reader(read: &Hir, rule: usize, peer: Peer<'_>) -> Result<Machine, TooLarge> {
    let number = u32::try_from(rule).map_err(|_| TooLarge)?;
    machine(&[(read.clone(), number)], peer).map_err(|_| TooLarge)
}

/// The shortest length of a message of the rule that may have been truncated and still counts; `None` if there is none.
pub(super) fn cut_from(set: &RuleSet, rule: usize, compiled: &Compiled) -> Option<u16> {
    if !compiled.counts_when_cut(rule) {
        return None;
    }
    let own = set.limit_of(&set.rules[rule]);
    let loggers = (set.format == Format::Syslog).then_some(record::MIN_CUT_MESSAGE);
    let shortest = own.into_iter().chain(loggers).min()?;
    Some(u16::try_from(shortest).unwrap_or(u16::MAX))
}

/// That length for a rule with another pattern and these placeholders; `None` if it cannot be compiled.
pub(super) fn cut_if(
    set: &RuleSet,
    rule: usize,
    pattern: &str,
    fields: Vec<(String, String)>,
) -> Option<Option<u16>> {
    let rule = Rule { pattern: pattern.to_owned(), enabled: true, ..set.rules[rule].clone() };
    let alone = RuleSet {
        programs: set.programs.clone(),
        format: set.format,
        message_limit: set.message_limit,
        fields,
        rules: vec![rule],
        ..RuleSet::default()
    };
    let compiled = Compiled::new(&alone).ok()?;
    Some(cut_from(&alone, 0, &compiled))
}
