//! Finds what would make a refused rule sound: claims about programs, each tried in the proof before it is proposed.

use super::super::compile::Compiled;
use super::annotated::AnnotatedPattern;
use super::claim_sites::{ClaimSite, places, takes_samples};
use super::judge::{Judge, cut_from, cut_if, printer};
use super::revision::{Placeholders, Revision};
use super::search::Budget;
use super::{Described, Known, Languages, PeerMark, TooLarge};

/// What would keep a rule from being fooled.
pub(super) struct Remedy {
    /// Whether the rule could be fooled about the address or the session.
    pub(super) mark: PeerMark,
    pub(super) parts: Vec<Part>,
    /// Whether the rule is proven with all parts.
    pub(super) is_enough: bool,
}

/// What an author can do about one rule.
pub(super) enum Part {
    /// Claims in this rule.
    Claims(Claims),
    /// No remedy: the lines of this rule fool the other one whatever is claimed about it.
    Nothing { guilty: usize },
}

/// Claims about one rule.
pub(super) struct Claims {
    pub(super) revision: Revision,
    /// The claimed stretches.
    pub(super) stretches: Vec<usize>,
    /// If there is one claim, the other alphabets that would do.
    pub(super) others: Vec<String>,
}

/// What an author can claim so that rule `fooled` is proven, which is fooled by lines of the rules `guilty`, or whose own
/// beginning matches any text.
pub(super) fn remedy(
    known: &Known<'_>,
    guilty: &[usize],
    (fooled, mark): (usize, PeerMark),
    compiled: &Compiled,
    names: &mut Placeholders,
    budget: &mut Budget,
) -> Remedy {
    let mut best = None;
    // A claim that agrees with those of other refusals is tried first.
    for names_before in [names.next(), names.alone()] {
        let languages = known.languages();
        let cut = cut_from(known.set, fooled, compiled);
        let mut healing =
            Healing { known, fooled, mark, compiled, names: names_before, languages, cut, budget };
        // A remedy that takes too long to try is not proposed.
        let Ok(parts) = healing.parts(guilty) else { break };
        let is_enough = healing.is_enough(&parts).unwrap_or(false);
        if is_enough {
            *names = healing.names;
            return Remedy { mark, parts, is_enough };
        }
        best.get_or_insert(parts);
    }
    let nothing = || guilty.iter().map(|&guilty| Part::Nothing { guilty }).collect();
    Remedy { mark, parts: best.unwrap_or_else(nothing), is_enough: false }
}

/// The search for a remedy of one rule.
struct Healing<'h, 'k> {
    known: &'h Known<'k>,
    fooled: usize,
    mark: PeerMark,
    compiled: &'h Compiled,
    /// The placeholders of the set, including those of the parts so far.
    names: Placeholders,
    /// The texts that are printed and read with the parts so far.
    languages: Languages,
    /// The length from which messages of the fooled rule may have been truncated, with the parts so far.
    cut: Option<u16>,
    budget: &'h mut Budget,
}

impl Healing<'_, '_> {
    /// Claims about each guilty rule; if those do not help, or the rule is another set's, about the fooled one.
    fn parts(&mut self, guilty: &[usize]) -> Result<Vec<Part>, TooLarge> {
        let original = self.names.clone();
        let fooled = self.fooled;
        let mut parts = Vec::new();
        let mut left = Vec::new();
        for &rule in guilty {
            let is_own = rule < self.known.own().len();
            if rule != fooled && self.is_proven(&[rule])? {
                continue;
            }
            match if is_own { self.claims(rule, &[rule])? } else { None } {
                Some(claims) => parts.push(Part::Claims(claims)),
                None => left.push(rule),
            }
        }
        if left.is_empty() {
            self.add_parts_of_others(&mut parts)?;
            return Ok(parts);
        }
        if left == [fooled] {
            parts.extend(left.into_iter().map(|guilty| Part::Nothing { guilty }));
            return Ok(parts);
        }
        let about_fooled =
            |part: &Part| matches!(part, Part::Claims(claims) if claims.revision.rule == fooled);
        if parts.iter().all(about_fooled) {
            self.names = original;
            self.languages = self.known.languages();
            self.cut = cut_from(self.known.set, fooled, self.compiled);
            let all: Vec<usize> = left.iter().copied().chain([fooled]).collect();
            if let Some(claims) = self.claims(fooled, &all)? {
                return Ok(vec![Part::Claims(claims)]);
            }
        }
        for guilty in left {
            let is_other_sets = guilty >= self.known.own().len();
            let claims = if is_other_sets { self.claims(guilty, &[guilty])? } else { None };
            parts.push(claims.map_or(Part::Nothing { guilty }, Part::Claims));
        }
        Ok(parts)
    }

    /// Claims about rules whose lines fool once the others do not, for instance because of words that a claim makes
    /// certain.
    fn add_parts_of_others(&mut self, parts: &mut Vec<Part>) -> Result<(), TooLarge> {
        let all: Vec<usize> = (0..self.known.rules.len()).collect();
        if self.is_proven(&all)? {
            return Ok(());
        }
        for guilty in all {
            if guilty != self.fooled && !self.is_proven(&[guilty])? {
                let claims = self.claims(guilty, &[guilty])?;
                parts.push(claims.map_or(Part::Nothing { guilty }, Part::Claims));
            }
        }
        Ok(())
    }

    /// Claims about `rule` with which no line of `guilty` fools; they are assumed from then on.
    fn claims(&mut self, rule: usize, guilty: &[usize]) -> Result<Option<Claims>, TooLarge> {
        let mut trial = Trial::new(self, rule, guilty);
        let Some(choice) = trial.enough()? else { return Ok(None) };
        let choice = trial.weakest(choice)?;
        let others = trial.others(&choice)?;
        let alphabets = trial.alphabets(&choice);
        // What an earlier refusal proposed for this rule is in the pattern too, so that the last proposal holds all of
        // them.
        let shown = trial.names.with_proposed(rule, &alphabets);
        let Some((mut revision, annotated)) = trial.annotated(&shown)? else { return Ok(None) };
        let stretches = (0..alphabets.len()).filter(|&index| alphabets[index].is_some()).collect();
        if rule < self.known.own().len() {
            revision.names.propose(rule, shown);
            self.names = revision.names.clone();
        }
        self.languages = self.with(rule, &annotated);
        self.cut = self.cut_with(&revision).unwrap_or(self.cut);
        Ok(Some(Claims { revision, stretches, others }))
    }

    fn with(&self, rule: usize, annotated: &AnnotatedPattern) -> Languages {
        let mut languages = self.languages.clone();
        languages.printed[rule] = annotated.printed();
        if let Some(read) = languages.read.get_mut(rule) {
            *read = annotated.as_written();
        }
        languages
    }

    /// `None` if the revised pattern cannot be compiled.
    fn cut_with(&self, revision: &Revision) -> Option<Option<u16>> {
        if revision.rule != self.fooled {
            return Some(self.cut);
        }
        let fields = revision.names.alphabets(self.known.set);
        cut_if(self.known.set, self.fooled, &revision.pattern, fields)
    }

    fn is_proven(&mut self, guilty: &[usize]) -> Result<bool, TooLarge> {
        let fooled = (self.fooled, self.mark, self.cut);
        is_proven(self.known, &self.languages, fooled, guilty, self.compiled, self.budget)
    }

    /// Whether the rule is proven if all parts are followed to the letter: with the effect of their alphabets on other
    /// rules with the same placeholders, and against the lines of all rules.
    fn is_enough(&mut self, parts: &[Part]) -> Result<bool, TooLarge> {
        let mut revisions = Vec::new();
        for part in parts {
            let Part::Claims(claims) = part else { return Ok(false) };
            revisions.push(&claims.revision);
        }
        let mut languages = self.known.languages();
        let mut cut = None;
        for (rule, described) in self.known.rules.iter().enumerate() {
            let names = match revisions
                .iter()
                .find(|one| self.known.rules[one.rule].set.name == described.set.name)
            {
                _ if described.set.name == self.known.set.name => &self.names,
                Some(revision) => &revision.names,
                None => continue,
            };
            let own = &described.set.rules[described.index].pattern;
            let pattern = revisions.iter().find(|one| one.rule == rule).map_or(own, |one| &one.pattern);
            let alphabets = names.alphabets(described.set);
            let Ok(annotated) = AnnotatedPattern::stamped(described.set, pattern, &alphabets, self.budget)?
            else {
                return Ok(false);
            };
            if rule == self.fooled {
                if self.known.beginning(rule, &annotated, self.budget)?.is_some() {
                    return Ok(false);
                }
                let Some(length) = cut_if(self.known.set, rule, pattern, alphabets) else { return Ok(false) };
                cut = length;
            }
            let is_tested = takes_samples(described, &described.annotated.as_written());
            if is_tested && !takes_samples(described, &annotated.as_written()) {
                return Ok(false);
            }
            languages.printed[rule] = annotated.printed();
            if let Some(read) = languages.read.get_mut(rule) {
                *read = annotated.as_written();
            }
        }
        let all: Vec<usize> = (0..self.known.rules.len()).collect();
        is_proven(self.known, &languages, (self.fooled, self.mark, cut), &all, self.compiled, self.budget)
    }
}

/// Whether no line of the guilty rules fools the other, whose messages may be truncated from a length on.
fn is_proven(
    known: &Known<'_>,
    languages: &Languages,
    (fooled, mark, cut): (usize, PeerMark, Option<u16>),
    guilty: &[usize],
    compiled: &Compiled,
    budget: &mut Budget,
) -> Result<bool, TooLarge> {
    let printer = printer(languages, guilty.iter().copied(), mark.printed(), budget)?;
    let mut judge = Judge::new(known.set, compiled, languages)?;
    judge.cuts[fooled] = cut;
    Ok(judge.fooled(fooled, mark, &printer, budget)?.is_none())
}

/// The alphabet claimed for each site; `None` where nothing is claimed.
type Choice = Vec<Option<usize>>;

/// The search for claims about one rule.
struct Trial<'t, 'h, 'k> {
    healing: &'t mut Healing<'h, 'k>,
    rule: usize,
    guilty: &'t [usize],
    places: Vec<ClaimSite>,
    names: Placeholders,
}

impl<'t, 'h, 'k> Trial<'t, 'h, 'k> {
    fn new(healing: &'t mut Healing<'h, 'k>, rule: usize, guilty: &'t [usize]) -> Self {
        let described = &healing.known.rules[rule];
        let is_own = rule < healing.known.own().len();
        let names = if is_own { healing.names.clone() } else { Placeholders::of(described.set) };
        Self { rule, guilty, places: places(described, rule, &names), names, healing }
    }

    fn described(&self) -> &'h Described<'k> {
        let known: &'h Known<'k> = self.healing.known;
        &known.rules[self.rule]
    }

    /// The first choice that is enough: all runs as they are written, or everything as narrow as the samples allow.
    fn enough(&mut self) -> Result<Option<Choice>, TooLarge> {
        let annotated = self.places.iter().map(|place| place.is_as_written.then_some(0)).collect();
        let strict = self.places.iter().map(|place| place.strict).collect();
        let last = self.places.iter().map(|place| place.alphabets.len().checked_sub(1)).collect();
        for choice in [annotated, strict, last] {
            if self.is_proven(&choice)? {
                return Ok(Some(choice));
            }
        }
        Ok(None)
    }

    /// That choice reduced to as few claims as possible, each as weak as possible.
    fn weakest(&mut self, mut choice: Choice) -> Result<Choice, TooLarge> {
        for place in (0..choice.len()).rev() {
            if choice[place].is_some() {
                let mut fewer = choice.clone();
                fewer[place] = None;
                if self.is_proven(&fewer)? {
                    choice = fewer;
                }
            }
        }
        for place in 0..choice.len() {
            for alphabet in 0..choice[place].unwrap_or(0) {
                let mut weaker = choice.clone();
                weaker[place] = Some(alphabet);
                if self.is_proven(&weaker)? {
                    choice = weaker;
                    break;
                }
            }
        }
        Ok(choice)
    }

    /// Other alphabets for a single claim. With several claims each would be tried by itself; shown together they would
    /// only confuse.
    fn others(&mut self, choice: &Choice) -> Result<Vec<String>, TooLarge> {
        let mut claimed = (0..choice.len()).filter(|&place| choice[place].is_some());
        let (Some(place), None) = (claimed.next(), claimed.next()) else { return Ok(Vec::new()) };
        let mut others = Vec::new();
        for alphabet in choice[place].map_or(0, |own| own + 1)..self.places[place].alphabets.len() {
            let mut other = choice.clone();
            other[place] = Some(alphabet);
            if self.places[place].strict != Some(alphabet) && self.is_proven(&other)? {
                others.push(self.places[place].alphabets[alphabet].clone());
            }
        }
        Ok(others)
    }

    /// The alphabets of a choice by stretch.
    fn alphabets(&self, choice: &Choice) -> Vec<Option<String>> {
        let mut alphabets = vec![None; self.described().annotated.stretches.len()];
        for (place, alphabet) in self.places.iter().zip(choice) {
            for &stretch in &place.stretches {
                alphabets[stretch] = alphabet.map(|alphabet| place.alphabets[alphabet].clone());
            }
        }
        alphabets
    }

    fn annotated(
        &mut self,
        alphabets: &[Option<String>],
    ) -> Result<Option<(Revision, AnnotatedPattern)>, TooLarge> {
        let described = self.described();
        let Some(revision) = Revision::of(described, self.rule, alphabets, self.names.clone()) else {
            return Ok(None);
        };
        let fields = revision.names.alphabets(described.set);
        let annotated =
            AnnotatedPattern::stamped(described.set, &revision.pattern, &fields, self.healing.budget)?;
        Ok(annotated.ok().map(|annotated| (revision, annotated)))
    }

    fn is_proven(&mut self, choice: &Choice) -> Result<bool, TooLarge> {
        let Some((revision, annotated)) = self.annotated(&self.alphabets(choice))? else { return Ok(false) };
        let Some(cut) = self.healing.cut_with(&revision) else { return Ok(false) };
        let Healing { known, fooled, mark, compiled, .. } = *self.healing;
        if self.rule == fooled && known.beginning(fooled, &annotated, self.healing.budget)?.is_some() {
            return Ok(false);
        }
        let languages = self.healing.with(self.rule, &annotated);
        is_proven(known, &languages, (fooled, mark, cut), self.guilty, compiled, self.healing.budget)
    }
}
