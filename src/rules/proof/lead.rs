//! How a pattern begins.
//!
//! A program also prints lines that no rule describes, and many of them end in a peer's words. The only thing that can be
//! proven about those is that they begin with words of the program. So a pattern must have words of its own before the
//! first stretch that may hold any text, if that precedes the address (or the session id, if the line belongs to a
//! session). A claimed alphabet may come first, if it certainly ends where the fixed text behind it begins.

use regex_syntax::hir::{Hir, HirKind};

use super::super::pattern;
use super::annotated::{AnnotatedPattern, any_text, is_session, stretch_of};
use super::machine::{Peer, machine};
use super::search::{Budget, Search};
use super::{PeerMark, TooLarge};

/// What a part of a pattern contributes to its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// Words of the program.
    Words,
    /// Nothing, or only punctuation and numbers.
    Open,
    /// The stretch with this index.
    Stretch(usize),
}

/// The stretch before all words of a pattern, if it may hold any text.
///
/// Words have letters: all lines of a program may begin with the same signs, such as a number in brackets.
pub(super) fn stretch_before_words(
    annotated: &AnnotatedPattern,
    mark: PeerMark,
    budget: &mut Budget,
) -> Result<Option<usize>, TooLarge> {
    Lead { annotated, mark, budget }.before_words(&annotated.row())
}

struct Lead<'l> {
    annotated: &'l AnnotatedPattern,
    /// The mark that must not come before the words: the peer's address or the session id.
    mark: PeerMark,
    budget: &'l mut Budget,
}

impl Lead<'_> {
    fn before_words(&mut self, row: &[&Hir]) -> Result<Option<usize>, TooLarge> {
        for (at, part) in row.iter().enumerate() {
            if self.is_marked(part) {
                return Ok(None);
            }
            if self.mark == PeerMark::Address && pattern::addresses_named(part) != Some(0) {
                return self.before_words_in_branches(part);
            }
            match self.beginning(part) {
                Beginning::Words => return Ok(None),
                Beginning::Open => {}
                Beginning::Stretch(index) => {
                    let mut inside = Vec::new();
                    collect_stretches(part, &mut inside);
                    let open = inside.into_iter().find(|&inner| !self.annotated.stretches[inner].is_claimed);
                    if open.is_some() {
                        return Ok(open);
                    }
                    if self.may_hold_what_follows(part, &row[at + 1..])? {
                        return Ok(Some(index));
                    }
                }
            }
        }
        Ok(None)
    }

    fn is_marked(&self, part: &Hir) -> bool {
        match self.mark {
            PeerMark::Address => pattern::is_address(part),
            PeerMark::Session => is_session(part),
        }
    }

    /// The same for a part in which the address stands in one alternative or another.
    fn before_words_in_branches(&mut self, part: &Hir) -> Result<Option<usize>, TooLarge> {
        for branch in part.kind().subs() {
            let row: Vec<&Hir> = match branch.kind() {
                HirKind::Concat(subs) => subs.iter().collect(),
                _ => vec![branch],
            };
            if let Some(index) = self.before_words(&row)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    fn beginning(&self, part: &Hir) -> Beginning {
        if let Some(index) = stretch_of(part) {
            return Beginning::Stretch(index);
        }
        match part.kind() {
            HirKind::Literal(literal) if literal.0.iter().any(|&byte| is_letter(byte)) => Beginning::Words,
            HirKind::Class(class) => {
                let bytes = pattern::bytes_of(class);
                let mut all = bytes.iter().flat_map(|range| range.start()..=range.end());
                if all.all(is_letter) { Beginning::Words } else { Beginning::Open }
            }
            HirKind::Repetition(repetition) => match self.beginning(&repetition.sub) {
                Beginning::Words if repetition.min == 0 => Beginning::Open,
                other => other,
            },
            HirKind::Capture(capture) => self.beginning(&capture.sub),
            HirKind::Concat(subs) => subs
                .iter()
                .map(|sub| self.beginning(sub))
                .find(|&one| one != Beginning::Open)
                .unwrap_or(Beginning::Open),
            HirKind::Alternation(subs) => {
                let all: Vec<Beginning> = subs.iter().map(|sub| self.beginning(sub)).collect();
                let stretch = all.iter().copied().find(|one| matches!(one, Beginning::Stretch(_)));
                let open = all.contains(&Beginning::Open);
                stretch.unwrap_or(if open { Beginning::Open } else { Beginning::Words })
            }
            _ => Beginning::Open,
        }
    }

    /// Whether the part may also hold the fixed text that follows it, so that the beginning of that text is uncertain.
    fn may_hold_what_follows(&mut self, part: &Hir, rest: &[&Hir]) -> Result<bool, TooLarge> {
        let part = self.annotated.part_as_written(part);
        let mut follows = vec![part.clone()];
        let mut is_fixed = false;
        for next in rest {
            if stretch_of(next).is_some() || pattern::addresses_named(next) != Some(0) {
                break;
            }
            follows.push((*next).clone());
            is_fixed = matches!(next.kind(), HirKind::Literal(_));
            if is_fixed {
                break;
            }
        }
        if !is_fixed {
            return Ok(true);
        }
        follows.push(any_text());
        let printer = machine(&[(part, 0)], Peer::Untold).map_err(|_| TooLarge)?;
        let reader = machine(&[(Hir::concat(follows), 0)], Peer::Untold).map_err(|_| TooLarge)?;
        let search =
            Search { printer: &printer, reader: &reader, first: None, length: 0, budget: self.budget };
        let found =
            search.shortest(|view| (!view.printed.is_empty() && !view.read.is_empty()).then_some(0))?;
        Ok(found.is_some())
    }
}

/// Letters of other alphabets than ours are not ASCII.
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || !byte.is_ascii()
}

fn collect_stretches(part: &Hir, found: &mut Vec<usize>) {
    found.extend(stretch_of(part));
    part.kind().subs().iter().for_each(|sub| collect_stretches(sub, found));
}
