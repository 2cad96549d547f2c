//! What would make a refused rule sound: claims about its program, each tried in the proof before it is named.

use regex_automata::meta;
use regex_syntax::hir::Hir;

use super::super::compile::{Compiled, limits};
use super::super::matcher;
use super::super::pattern;
use super::judge::{Judge, printer};
use super::search::Budget;
use super::written::{Filling, Written};
use super::{Known, Mark, Texts, TooLarge};
use crate::record;

/// Alphabets that people write, tried in this order.
const USUAL: [&str; 7] = [r"[^ ]*", r#"[^"]*"#, r"[^:]*", r"[-\w.]+", r"\d+", r"[0-9a-f]+", r"[^,]*"];

/// What would keep a rule from being fooled.
pub(super) struct Remedy {
    /// For each rule whose lines fool it.
    pub(super) parts: Vec<Part>,
    /// Whether the rule is proven with all of them.
    pub(super) is_enough: bool,
}

/// What an author may state about one rule; nothing where no claim about a single stretch is enough.
pub(super) struct Part {
    pub(super) rule: usize,
    pub(super) claims: Option<Vec<Claim>>,
}

/// A stretch that lets a rule be fooled, and alphabets with which its lines no longer do.
pub(super) struct Claim {
    /// The index of the stretch.
    pub(super) stretch: usize,
    /// The first is the one to recommend.
    pub(super) alphabets: Vec<String>,
    /// That one.
    alphabet: Hir,
}

/// What an author may state about the rules `guilty`, whose lines fool rule `fooled`.
pub(super) fn remedy(
    known: &Known<'_>,
    mark: Mark,
    guilty: &[usize],
    fooled: usize,
    compiled: &Compiled,
    budget: &mut Budget,
) -> Remedy {
    let mut parts = Vec::new();
    for &rule in guilty {
        let mut trial = Trial { known, mark, guilty: rule, fooled, compiled, budget };
        // What would take too long to try is not recommended; other sets' rules are not this one's to change.
        let claims = if rule < known.own().len() { trial.claims().unwrap_or(None) } else { None };
        parts.push(Part { rule, claims });
    }
    let is_enough = is_enough(known, mark, &parts, fooled, compiled, budget).unwrap_or(false);
    Remedy { parts, is_enough }
}

fn is_enough(
    known: &Known<'_>,
    mark: Mark,
    parts: &[Part],
    fooled: usize,
    compiled: &Compiled,
    budget: &mut Budget,
) -> Result<bool, TooLarge> {
    let mut texts = known.texts();
    for part in parts {
        let written = &known.rules[part.rule].written;
        let Some(claims) = &part.claims else { return Ok(false) };
        let mut choice: Choice = vec![None; written.stretches.len()];
        for claim in claims {
            choice[claim.stretch] = Some(claim.alphabet.clone());
        }
        apply(known, part.rule, &choice, &mut texts);
    }
    let printer = known.printer(&texts, mark, budget)?;
    let mut judge = Judge::new(known.set, compiled, &texts)?;
    Ok(judge.fooled(fooled, mark, &printer, budget)?.is_none())
}

/// Puts a choice into what a rule's program prints and what the rule reads.
fn apply(known: &Known<'_>, rule: usize, choice: &Choice, texts: &mut Texts) {
    let written = &known.rules[rule].written;
    texts.printed[rule] = written.filled(|index| match &choice[index] {
        Some(alphabet) => Filling::With(alphabet),
        None => written.belief(index),
    });
    texts.read[rule] = written.filled(|index| match &choice[index] {
        Some(alphabet) => Filling::With(alphabet),
        None => Filling::AsWritten,
    });
}

/// The search for claims about one rule.
struct Trial<'t, 'k> {
    known: &'t Known<'k>,
    mark: Mark,
    guilty: usize,
    fooled: usize,
    compiled: &'t Compiled,
    budget: &'t mut Budget,
}

/// What stands in each stretch of a trial; nothing where it is as believed.
type Choice = Vec<Option<Hir>>;

impl Trial<'_, '_> {
    fn written(&self) -> &Written {
        &self.known.rules[self.guilty].written
    }

    fn claims(&mut self) -> Result<Option<Vec<Claim>>, TooLarge> {
        let Some(needed) = self.needed()? else { return self.narrower_claims() };
        let mut claims = Vec::new();
        for &stretch in &needed {
            let Some(mut claim) = self.own_claim(stretch) else { return Ok(None) };
            for (text, alphabet) in self.candidates(stretch) {
                let mut choice = self.as_written(&needed);
                choice[stretch] = Some(alphabet);
                if self.is_proven(&choice)? {
                    claim.alphabets.push(text);
                }
            }
            claims.push(claim);
        }
        Ok(Some(claims))
    }

    /// The stretches that have to be claimed as they are written, as few as can be; `None` where all are not enough.
    fn needed(&mut self) -> Result<Option<Vec<usize>>, TooLarge> {
        let stretches = &self.written().stretches;
        let mut needed: Vec<usize> =
            (0..stretches.len()).filter(|&index| !stretches[index].is_claimed).collect();
        let all = self.as_written(&needed);
        if needed.is_empty() || !self.is_proven(&all)? {
            return Ok(None);
        }
        for stretch in needed.clone() {
            let without: Vec<usize> = needed.iter().copied().filter(|&one| one != stretch).collect();
            let choice = self.as_written(&without);
            if self.is_proven(&choice)? {
                needed = without;
            }
        }
        Ok(Some(needed))
    }

    /// Where what is written is too wide: the first stretch of which a narrower alphabet is enough, all others as they are
    /// written.
    fn narrower_claims(&mut self) -> Result<Option<Vec<Claim>>, TooLarge> {
        let stretches = &self.written().stretches;
        let unclaimed: Vec<usize> = (0..stretches.len()).filter(|&one| !stretches[one].is_claimed).collect();
        for stretch in 0..self.written().stretches.len() {
            let others: Vec<usize> = unclaimed.iter().copied().filter(|&one| one != stretch).collect();
            let mut found: Option<Claim> = None;
            for (text, alphabet) in self.candidates(stretch) {
                let mut choice = self.as_written(&others);
                choice[stretch] = Some(alphabet.clone());
                if !self.is_proven(&choice)? {
                    continue;
                }
                match &mut found {
                    Some(claim) => claim.alphabets.push(text),
                    None => found = Some(Claim { stretch, alphabets: vec![text], alphabet }),
                }
            }
            if let Some(claim) = found {
                let mut claims: Vec<Claim> = others.iter().filter_map(|&one| self.own_claim(one)).collect();
                claims.push(claim);
                return Ok(Some(claims));
            }
        }
        Ok(None)
    }

    fn own_claim(&self, stretch: usize) -> Option<Claim> {
        let written = self.written();
        let alphabets = vec![written.stretches[stretch].text.clone()];
        Some(Claim { stretch, alphabets, alphabet: written.stretch_as_written(stretch)? })
    }

    /// A choice with some stretches as they are written.
    fn as_written(&self, stretches: &[usize]) -> Choice {
        let hir = |index: usize| self.written().stretch_as_written(index);
        (0..self.written().stretches.len())
            .map(|index| stretches.contains(&index).then(|| hir(index)).flatten())
            .collect()
    }

    /// Alphabets for a stretch with which the rule still takes its samples.
    fn candidates(&self, stretch: usize) -> Vec<(String, Hir)> {
        let mut texts: Vec<String> = USUAL.map(str::to_owned).to_vec();
        texts.extend(self.written().byte_behind(stretch).map(until));
        let own = self.written().stretches[stretch].text.clone();
        let mut candidates: Vec<(String, Hir)> = Vec::new();
        for text in texts {
            let is_new = text != own && candidates.iter().all(|(known, _)| *known != text);
            let Some(hir) = pattern::read_expanded(&text).filter(|_| is_new) else { continue };
            if self.takes_samples(stretch, &hir) {
                candidates.push((text, hir));
            }
        }
        candidates
    }

    fn takes_samples(&self, stretch: usize, alphabet: &Hir) -> bool {
        let set = self.known.set;
        let filling = |index| if index == stretch { Filling::With(alphabet) } else { Filling::AsWritten };
        let bare = pattern::without_captures(&self.written().filled(filling), |_| false);
        let Ok(regex) = meta::Builder::new().configure(limits()).build_from_hir(&bare) else { return false };
        let id = &set.rules[self.guilty].id;
        set.samples.iter().filter(|sample| sample.rule.as_ref() == Some(id)).all(|sample| {
            let line = sample.line.as_bytes();
            regex.is_match(matcher::message(set, line, &record::parse(line)))
        })
    }

    /// Whether no line of the guilty rule fools the other.
    fn is_proven(&mut self, choice: &Choice) -> Result<bool, TooLarge> {
        let mut texts = self.known.texts();
        apply(self.known, self.guilty, choice, &mut texts);
        let own = std::iter::once(self.guilty);
        let printer = printer(&texts.printed, own, self.mark.printed(), self.budget)?;
        let mut judge = Judge::new(self.known.set, self.compiled, &texts)?;
        Ok(judge.fooled(self.fooled, self.mark, &printer, self.budget)?.is_none())
    }
}

/// Text that ends where the byte that follows it comes.
fn until(byte: u8) -> String {
    match byte {
        b']' | b'\\' | b'^' | b'-' => format!(r"[^\{}]*", char::from(byte)),
        _ => format!("[^{}]*", char::from(byte)),
    }
}
