//! The proof that no line makes a rule name an address or a session other than its peer's.
//!
//! Two machines read one text. The *printer* of a rule prints everything that its program may print: fixed words,
//! numbers, claimed alphabets, and any text in each stretch without a claim ([`annotated`]). The *reader* of a rule
//! accepts what its pattern matches, unless an earlier rule does ([`first`]). Both know where the address begins and ends
//! ([`mod@machine`]), and a reader's address is one that parses ([`addresses`]). A set is safe if there is no text that
//! some rule's printer prints and some rule's reader accepts with *another* address. A [`search`] through the pairs of
//! their states decides whether there is one, and a text that it finds is the line to show. If a rule has `<SESSION>`,
//! the id there is checked in the same way: a peer that could choose it would have its failures counted against somebody
//! else.
//!
//! The same search answers whether a failed login can be read as a successful one, whether an offence can be hidden,
//! whether a rule is ever reached, and what holds for messages whose end was cut off: then the printer may stop anywhere.
//!
//! The proof rests on three claims, which only the author of a rule set can make: that the program prints the fixed words
//! and numbers of its patterns, that it prints nothing outside a placeholder's alphabet there, and that its lines which
//! no rule describes begin with other words ([`lead`]).

mod addresses;
mod annotated;
mod claim_sites;
mod delivery;
mod first;
mod ids;
mod judge;
mod lead;
mod machine;
mod minimize;
mod refusal;
mod remedy;
mod revision;
mod rows;
mod runs;
mod search;
mod stamp;

#[cfg(test)]
pub(super) mod tests;

use regex_syntax::hir::Hir;

use self::addresses::Addresses;
use self::annotated::AnnotatedPattern;
use self::delivery::Delivery;
use self::judge::{Judge, reader};
use self::machine::{Machine, Peer, machine};
use self::remedy::Remedy;
use self::revision::Placeholders;
use self::search::{Budget, Search, View};
use super::compile::Compiled;
use super::model::{AddressFrom, Effect, Fault, Format, Place, RuleSet};
use super::pattern::{self, Unreadable};

/// The peer of messages that are shown; RFC 5737 documentation space, as is the address that nobody sent.
const TRUE_PEER: &str = "192.0.2.7";
const TRUE_V6_PEER: &str = "2001:db8::7";
const FORGED: &str = "203.0.113.66";

/// How many rules whose lines fool one other are told of at once.
const MAX_GUILTY: usize = 4;

/// What follows from the lines of a rule, in place of its number.
const OTHER: u32 = 0;
const OWN_OFFENCE: u32 = 1;
/// One of another set, or one that does not count here; it is no login all the same.
const OTHER_OFFENCE: u32 = 2;

/// What no words of a peer's may be taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerMark {
    /// The peer's address, at `<ADDR>`.
    Address,
    /// The id of its session, at `<SESSION>`.
    Session,
}

impl PeerMark {
    /// As programs print it.
    fn printed(self) -> Peer<'static> {
        match self {
            Self::Address => Peer::Printed(Addresses::printed()),
            Self::Session => Peer::Session,
        }
    }

    /// As rules read it.
    fn read(self) -> Peer<'static> {
        match self {
            Self::Address => Peer::Read(Addresses::read()),
            Self::Session => Peer::Session,
        }
    }
}

/// The work that a proof may take is not enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooLarge;

/// Why nothing is said of a rule set.
#[derive(Debug)]
enum Undecided {
    TooLarge,
    /// A pattern that cannot be read.
    Unreadable(Fault),
}

impl From<TooLarge> for Undecided {
    fn from(_: TooLarge) -> Self {
        Self::TooLarge
    }
}

/// All that the proof finds wrong with a rule set. `others` are in force besides it: what they know of its programs, it must
/// not take for its own.
pub(super) fn prove(set: &RuleSet, compiled: &Compiled, others: &[&RuleSet]) -> Vec<Fault> {
    let mut budget = Budget::new();
    let known = match Known::of(set, others, &mut budget) {
        Ok(known) => known,
        Err(Undecided::Unreadable(fault)) => return vec![fault],
        Err(Undecided::TooLarge) => return vec![too_large(set)],
    };
    known.faults(compiled, &mut budget).unwrap_or_else(|TooLarge| {
        let begun = known.begin_anywhere();
        if begun.is_empty() { vec![too_large(set)] } else { begun }
    })
}

fn too_large(set: &RuleSet) -> Fault {
    let text = format!(
        "whether these {} rules can be fooled takes too much work to decide: make several rule sets of them, or name the \
         alphabets of long runs under `fields`",
        set.rules.len()
    );
    Fault::error(Place::Key("rules"), text)
}

/// A rule whose lines the set may see.
struct Described<'a> {
    set: &'a RuleSet,
    /// Its index in its set.
    index: usize,
    annotated: AnnotatedPattern,
}

/// All that is known of a set's programs.
struct Known<'a> {
    set: &'a RuleSet,
    /// The rules of the set, in order, then those of others.
    rules: Vec<Described<'a>>,
}

impl AnnotatedPattern {
    /// A pattern whose timestamp, if it begins with one, is the logger's.
    fn stamped(
        set: &RuleSet,
        pattern: &str,
        alphabets: &[(String, String)],
        budget: &mut Budget,
    ) -> Result<Result<Self, Unreadable>, TooLarge> {
        let mut annotated = match Self::of(pattern, alphabets) {
            Ok(annotated) => annotated,
            Err(unreadable) => return Ok(Err(unreadable)),
        };
        for stretch in stamp::stretches(&annotated, set.format, budget)? {
            annotated.stretches[stretch].is_claimed = true;
        }
        Ok(Ok(annotated))
    }
}

/// What each rule's program prints and what each rule of the set reads, by number.
#[derive(Clone)]
struct Languages {
    printed: Vec<Hir>,
    delivery: Delivery,
    read: Vec<Hir>,
}

impl<'a> Known<'a> {
    fn of(set: &'a RuleSet, others: &[&'a RuleSet], budget: &mut Budget) -> Result<Self, Undecided> {
        let others = others.iter().copied().filter(|other| share_lines(set, other));
        let mut rules = Vec::new();
        for known in std::iter::once(set).chain(others) {
            for (index, rule) in known.rules.iter().enumerate() {
                let annotated = AnnotatedPattern::stamped(known, &rule.pattern, &known.alphabets(), budget)?;
                let annotated = annotated
                    .map_err(|error| Undecided::Unreadable(refusal::unreadable(set, known, index, error)))?;
                rules.push(Described { set: known, index, annotated });
            }
        }
        Ok(Self { set, rules })
    }

    fn languages(&self) -> Languages {
        Languages {
            printed: self.rules.iter().map(|rule| rule.annotated.printed()).collect(),
            delivery: Delivery::of(self.set),
            read: self.own().iter().map(|rule| rule.annotated.as_written()).collect(),
        }
    }

    /// The rules of the set itself.
    fn own(&self) -> &[Described<'a>] {
        self.rules.get(..self.set.rules.len()).unwrap_or(&self.rules)
    }

    fn faults(&self, compiled: &Compiled, budget: &mut Budget) -> Result<Vec<Fault>, TooLarge> {
        let languages = self.languages();
        let printer = self.printer(&languages, PeerMark::Address, budget)?;
        let has_sessions = self.own().iter().any(|rule| rule.annotated.names_session());
        let of_sessions =
            has_sessions.then(|| self.printer(&languages, PeerMark::Session, budget)).transpose()?;
        let mut judge = Judge::new(self.set, compiled, &languages)?;
        let mut names = Placeholders::of(self.set);
        let mut faults = Vec::new();
        for rule in 0..self.own().len() {
            let beginning = self.beginning(rule, &self.rules[rule].annotated, budget)?;
            let mut asked = vec![(PeerMark::Address, &printer)];
            if beginning.is_none() {
                asked.extend(of_sessions.as_ref().map(|printer| (PeerMark::Session, printer)));
            }
            for (mark, printer) in asked {
                let names = &mut names;
                faults.extend(self.fooled(
                    (rule, mark),
                    beginning,
                    printer,
                    &mut judge,
                    compiled,
                    names,
                    budget,
                )?);
            }
            let reader = reader(&languages.read[rule], rule, Peer::Untold)?;
            faults.extend(self.effects(rule, &printer, &reader, &mut judge, budget)?);
            faults.extend(self.unreachable(rule, &reader, &mut judge, budget)?);
            if beginning.is_none() {
                faults.extend(self.says_again(rule, &languages, budget)?);
            }
        }
        Ok(faults)
    }

    /// The rules that begin with any text, which is soon known.
    fn begin_anywhere(&self) -> Vec<Fault> {
        let mut budget = Budget::new();
        let remedy = Remedy { mark: PeerMark::Address, parts: Vec::new(), is_enough: false };
        let mut faults = Vec::new();
        for (rule, described) in self.own().iter().enumerate() {
            if let Ok(Some(stretch)) = self.beginning(rule, &described.annotated, &mut budget) {
                faults.push(refusal::begins_anywhere(self, rule, stretch, &remedy));
            }
        }
        faults
    }

    /// What all rules' programs print. Rules are not told from each other, but for what follows from their lines: so
    /// those that end alike need but one look.
    fn printer(
        &self,
        languages: &Languages,
        mark: PeerMark,
        budget: &mut Budget,
    ) -> Result<Machine, TooLarge> {
        let classes = (0..self.rules.len()).map(|rule| self.class_of(rule));
        let numbered: Vec<(Hir, u32)> = languages.printed.iter().cloned().zip(classes).collect();
        let mut machine = machine(&numbered, mark.printed()).map_err(|_| TooLarge)?;
        languages.delivery.apply(&mut machine);
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

    /// The stretch that may hold the words with which a rule of the set begins, if its pattern were `written` so.
    fn beginning(
        &self,
        rule: usize,
        annotated: &AnnotatedPattern,
        budget: &mut Budget,
    ) -> Result<Option<usize>, TooLarge> {
        let is_of_session = self.set.rules[rule].address == AddressFrom::Session || annotated.names_session();
        let marks = [(PeerMark::Address, !names_nobody(annotated)), (PeerMark::Session, is_of_session)];
        for (mark, _) in marks.into_iter().filter(|(_, is_sought)| *is_sought) {
            let stretch = lead::stretch_before_words(annotated, mark, budget)?;
            if stretch.is_some() {
                return Ok(stretch);
            }
        }
        Ok(None)
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `faults`, and nobody else's")]
    fn fooled(
        &self,
        (rule, mark): (usize, PeerMark),
        beginning: Option<usize>,
        printer: &Machine,
        judge: &mut Judge<'_>,
        compiled: &Compiled,
        names: &mut Placeholders,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        let is_fooled = judge.fooled(rule, mark, printer, budget)?.is_some();
        if beginning.is_none() && !is_fooled {
            return Ok(None);
        }
        let mut shown = None;
        let mut guilty: Vec<usize> = beginning.map(|_| rule).into_iter().collect();
        while is_fooled && guilty.len() < MAX_GUILTY {
            let Some(found) = judge.shown(rule, mark, &guilty, budget)? else { break };
            guilty.push(found.found.rule as usize);
            shown.get_or_insert(found);
        }
        let fooled = (rule, mark);
        let remedy = budget.with_a_part(|part| remedy::remedy(self, &guilty, fooled, compiled, names, part));
        if let Some(stretch) = beginning {
            return Ok(Some(refusal::begins_anywhere(self, rule, stretch, &remedy)));
        }
        let shown = shown.ok_or(TooLarge)?;
        Ok(Some(refusal::fooled(self, rule, &shown, compiled, &remedy)))
    }

    /// Whether a failed login can be read as a successful one, or what counts as what does not.
    fn effects(
        &self,
        rule: usize,
        printer: &Machine,
        reader: &Machine,
        judge: &mut Judge<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        let effect = self.set.rules[rule].effect;
        if effect == Effect::Offence {
            return Ok(None);
        }
        let counts = |class: u32| match effect {
            Effect::Trust => class != OTHER,
            _ => class == OWN_OFFENCE,
        };
        let goal = |view: &View<'_>| {
            let printed = view.printed.iter().map(|end| end.rule).find(|&class| counts(class))?;
            (!view.read.is_empty()).then_some(printed)
        };
        if judge.nearest(rule, printer, reader, 0, goal, budget)?.is_none() {
            return Ok(None);
        }
        let all = 0..self.rules.len();
        let peer = Addresses::only(TRUE_PEER);
        let printer = judge::printer(judge.languages, all, Peer::Printed(&peer), budget)?;
        let goal = |view: &View<'_>| {
            let printed = view.printed.iter().map(|end| end.rule);
            let printed = printed.into_iter().find(|&printed| counts(self.class_of(printed as usize)))?;
            (!view.read.is_empty()).then_some(printed)
        };
        let shown = judge.nearest(rule, &printer, reader, 0, goal, budget)?;
        Ok(shown.map(|found| refusal::mistaken(self, rule, &found)))
    }

    /// Whether a message of the rule can look as if a logger said that the one before, which may be of any peer, came again.
    fn says_again(
        &self,
        rule: usize,
        languages: &Languages,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        let again =
            pattern::read_expanded(delivery::SAYS_AGAIN).filter(|_| self.set.format == Format::Syslog);
        let Some(again) = again else { return Ok(None) };
        let printer = judge::printer(languages, std::iter::once(rule), PeerMark::Address.printed(), budget)?;
        let reader = reader(&again, rule, Peer::Untold)?;
        let search = Search { printer: &printer, reader: &reader, first: None, length: 0, budget };
        let found =
            search.shortest(|view| (!view.printed.is_empty() && !view.read.is_empty()).then_some(0))?;
        Ok(found.map(|found| refusal::says_again(self.set, rule, &found)))
    }

    fn unreachable(
        &self,
        rule: usize,
        reader: &Machine,
        judge: &mut Judge<'_>,
        budget: &mut Budget,
    ) -> Result<Option<Fault>, TooLarge> {
        if !self.set.rules[rule].enabled {
            return Ok(None);
        }
        if judge.languages.delivery.takes_blanks_off() && reader.begins_with_a_blank() {
            return Ok(Some(refusal::begins_with_a_blank(rule)));
        }
        let goal = |view: &View<'_>| (!view.read.is_empty()).then_some(0);
        let found = judge.nearest(rule, reader, reader, 0, goal, budget)?;
        Ok(found.is_none().then(|| refusal::unreachable(self, rule)))
    }
}

/// Whether lines of one set may be seen by the other. Which logs raw sets look at is the configuration's to say.
fn share_lines(set: &RuleSet, other: &RuleSet) -> bool {
    let both_raw = set.format == Format::Raw && other.format == Format::Raw;
    set.name != other.name && (set.shares_program(other) || both_raw)
}

fn names_nobody(annotated: &AnnotatedPattern) -> bool {
    pattern::addresses_named(&annotated.as_written()) == Some(0)
}
