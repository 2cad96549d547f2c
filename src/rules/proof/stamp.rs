//! The timestamp with which a pattern may begin: the logger writes it, whatever classes the pattern reads it with.

use regex_syntax::hir::{Hir, HirKind};

use super::super::pattern;
use super::TooLarge;
use super::machine::{Peer, machine};
use super::search::{Budget, Search};
use super::written::{Written, stretch_of};
use crate::record;

/// Hours, minutes and seconds have at least so many digits. A row of words without them is no time.
const FEWEST_DIGITS: u32 = 3;

/// The stretches of a pattern that are parts of the timestamp with which its lines begin.
pub(super) fn stretches(written: &Written, budget: &mut Budget) -> Result<Vec<usize>, TooLarge> {
    let row = written.row();
    let rigid = row.iter().take_while(|part| is_rigid(written, part)).count();
    for length in (1..=rigid).rev() {
        let parts = &row[..length];
        let stretches: Vec<usize> = parts.iter().filter_map(|part| stretch_of(part)).collect();
        let digits: u32 = parts.iter().map(|part| fewest_digits(part)).sum();
        if stretches.is_empty() || digits < FEWEST_DIGITS {
            break;
        }
        if takes_a_timestamp(written, parts, budget)? {
            return Ok(stretches);
        }
    }
    Ok(Vec::new())
}

/// Whether a part is fixed text, a number, or a run of which nothing is claimed and that is a single word.
fn is_rigid(written: &Written, part: &Hir) -> bool {
    if let Some(index) = stretch_of(part) {
        return !written.stretches[index].is_claimed && !may_be_blank(&written.part_as_written(part));
    }
    pattern::addresses_named(part) == Some(0) && has_no_stretch(part)
}

fn has_no_stretch(part: &Hir) -> bool {
    stretch_of(part).is_none() && part.kind().subs().iter().all(has_no_stretch)
}

fn may_be_blank(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(class) => pattern::holds(&pattern::bytes_of(class), b' '),
        HirKind::Literal(literal) => literal.0.contains(&b' '),
        kind => kind.subs().iter().any(may_be_blank),
    }
}

fn fewest_digits(hir: &Hir) -> u32 {
    match hir.kind() {
        HirKind::Class(class) => {
            let bytes = pattern::bytes_of(class);
            let is_digits = bytes.iter().all(|range| range.start() >= b'0' && range.end() <= b'9');
            u32::from(is_digits)
        }
        HirKind::Repetition(repetition) => repetition.min.saturating_mul(fewest_digits(&repetition.sub)),
        HirKind::Capture(capture) if stretch_of(hir).is_none() => fewest_digits(&capture.sub),
        HirKind::Concat(subs) => subs.iter().map(fewest_digits).fold(0, u32::saturating_add),
        HirKind::Alternation(subs) => subs.iter().map(fewest_digits).min().unwrap_or(0),
        _ => 0,
    }
}

fn takes_a_timestamp(written: &Written, parts: &[&Hir], budget: &mut Budget) -> Result<bool, TooLarge> {
    let Some(timestamps) = pattern::read_expanded(&record::known_beginning_regex()) else {
        return Ok(false);
    };
    let parts = parts.iter().map(|part| written.part_as_written(part)).collect();
    let printer = machine(&[(timestamps, 0)], Peer::Untold).map_err(|_| TooLarge)?;
    let reader = machine(&[(Hir::concat(parts), 0)], Peer::Untold).map_err(|_| TooLarge)?;
    let search = Search { printer: &printer, reader: &reader, first: None, length: 0, budget };
    let found = search.shortest(|view| (!view.printed.is_empty() && !view.read.is_empty()).then_some(0))?;
    Ok(found.is_some())
}
