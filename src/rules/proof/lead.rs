//! How a pattern begins.
//!
//! A program also prints lines that no rule describes, and many end in a peer's words. Nothing can be proven of those but
//! that they begin with words of the program. So a pattern must have words of its own before the first stretch in which
//! anything may stand, as far as that is before the address. A claimed alphabet may come first, if it ends for certain where
//! the fixed text behind it begins.

use regex_syntax::hir::{Hir, HirKind};

use super::super::model::Format;
use super::super::pattern;
use super::TooLarge;
use super::machine::{Peer, machine};
use super::search::{Budget, Search};
use super::written::{Written, any_text, stretch_of};

/// What a part of a pattern means for its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Beginning {
    /// Words of the program.
    Words,
    /// Nothing, or signs and numbers only.
    Open,
    /// The stretch of this index.
    Stretch(usize),
}

/// The stretch before all words with which the pattern begins, if it may hold any text.
///
/// All lines of a raw log may begin with the same signs, such as the bracket before a time: there words have letters.
pub(super) fn stretch_before_words(
    written: &Written,
    format: Format,
    budget: &mut Budget,
) -> Result<Option<usize>, TooLarge> {
    let is_word = match format {
        Format::Syslog => is_sign_or_letter,
        Format::Raw | Format::Json => is_letter,
    };
    Lead { written, is_word, budget }.before_words(&written.row())
}

struct Lead<'l> {
    written: &'l Written,
    is_word: fn(u8) -> bool,
    budget: &'l mut Budget,
}

impl Lead<'_> {
    fn before_words(&mut self, row: &[&Hir]) -> Result<Option<usize>, TooLarge> {
        for (at, part) in row.iter().enumerate() {
            if pattern::is_address(part) {
                return Ok(None);
            }
            if pattern::addresses_named(part) != Some(0) {
                return self.before_words_in_branches(part);
            }
            match self.beginning(part) {
                Beginning::Words => return Ok(None),
                Beginning::Open => {}
                Beginning::Stretch(index) => {
                    let is_claimed = self.written.stretches[index].is_claimed;
                    if !is_claimed || self.may_hold_what_follows(part, &row[at + 1..])? {
                        return Ok(Some(index));
                    }
                }
            }
        }
        Ok(None)
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
            HirKind::Literal(literal) if literal.0.iter().any(|&byte| (self.is_word)(byte)) => {
                Beginning::Words
            }
            HirKind::Class(class) => {
                let bytes = pattern::bytes_of(class);
                let mut all = bytes.iter().flat_map(|range| range.start()..=range.end());
                if all.all(self.is_word) { Beginning::Words } else { Beginning::Open }
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

    /// Whether what the part may hold goes on behind the fixed text that follows it: then it says nothing of where that text
    /// begins.
    fn may_hold_what_follows(&mut self, part: &Hir, rest: &[&Hir]) -> Result<bool, TooLarge> {
        let part = self.written.part_as_written(part);
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

fn is_sign_or_letter(byte: u8) -> bool {
    byte.is_ascii_graphic() && !byte.is_ascii_digit() || !byte.is_ascii()
}
