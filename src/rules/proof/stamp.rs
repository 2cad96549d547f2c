//! The timestamp with which a pattern may begin: the logger writes it, whatever classes the pattern uses for it.

use regex_syntax::hir::{Hir, HirKind};

use super::super::model::Format;
use super::super::pattern;
use super::TooLarge;
use super::annotated::{AnnotatedPattern, stretch_of};
use super::machine::{Peer, machine};
use super::search::{Budget, Search};
use crate::record;

/// A time has at least this many digits, for hours, minutes and seconds. A row of words without them is no time.
const FEWEST_DIGITS: u32 = 3;

/// A time in a syslog message has at least this many colons or digits. The header has a timestamp already, so that a zone
/// alone does not count there.
const COLONS_IN_MESSAGE: u32 = 2;
const DIGITS_IN_MESSAGE: u32 = 6;

/// The stretches of a pattern that belong to the timestamp with which its lines begin.
pub(super) fn stretches(
    annotated: &AnnotatedPattern,
    format: Format,
    budget: &mut Budget,
) -> Result<Vec<usize>, TooLarge> {
    let row = annotated.row();
    let rigid = row.iter().take_while(|part| is_rigid(annotated, part)).count();
    for length in (1..=rigid).rev() {
        let parts = &row[..length];
        let stretches: Vec<usize> = parts.iter().filter_map(|part| stretch_of(part)).collect();
        let digits: u32 = parts.iter().map(|part| fewest_digits(part)).sum();
        let colons: u32 = parts.iter().map(|part| fewest_colons(part)).sum();
        let is_vague = format == Format::Syslog && digits < DIGITS_IN_MESSAGE && colons < COLONS_IN_MESSAGE;
        if stretches.is_empty() || digits < FEWEST_DIGITS || is_vague {
            break;
        }
        if takes_a_timestamp(annotated, parts, budget)? {
            return Ok(stretches);
        }
    }
    Ok(Vec::new())
}

/// Whether a part is fixed text, a number, or a run without a claim that is a single word.
fn is_rigid(annotated: &AnnotatedPattern, part: &Hir) -> bool {
    if let Some(index) = stretch_of(part) {
        return !annotated.stretches[index].is_claimed && !may_be_blank(&annotated.part_as_written(part));
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
    fewest(hir, &|hir| match hir.kind() {
        HirKind::Class(class) => {
            let bytes = pattern::bytes_of(class);
            u32::from(bytes.iter().all(|range| range.start() >= b'0' && range.end() <= b'9'))
        }
        _ => 0,
    })
}

fn fewest_colons(hir: &Hir) -> u32 {
    fewest(hir, &|hir| match hir.kind() {
        HirKind::Literal(literal) => u32::from(literal.0.contains(&b':')),
        _ => 0,
    })
}

/// How often something occurs in each matching text, outside of stretches; `of_part` counts it in a part without parts.
fn fewest(hir: &Hir, of_part: &dyn Fn(&Hir) -> u32) -> u32 {
    let of = |sub: &Hir| fewest(sub, of_part);
    match hir.kind() {
        HirKind::Repetition(repetition) => repetition.min.saturating_mul(of(&repetition.sub)),
        HirKind::Capture(capture) if stretch_of(hir).is_none() => of(&capture.sub),
        HirKind::Capture(_) => 0,
        HirKind::Concat(subs) => subs.iter().map(of).fold(0, u32::saturating_add),
        HirKind::Alternation(subs) => subs.iter().map(of).min().unwrap_or(0),
        _ => of_part(hir),
    }
}

fn takes_a_timestamp(
    annotated: &AnnotatedPattern,
    parts: &[&Hir],
    budget: &mut Budget,
) -> Result<bool, TooLarge> {
    let Some(timestamps) = pattern::read_expanded(&record::known_beginning_regex()) else {
        return Ok(false);
    };
    let parts = parts.iter().map(|part| annotated.part_as_written(part)).collect();
    let printer = machine(&[(timestamps, 0)], Peer::Untold).map_err(|_| TooLarge)?;
    let reader = machine(&[(Hir::concat(parts), 0)], Peer::Untold).map_err(|_| TooLarge)?;
    let search = Search { printer: &printer, reader: &reader, first: None, length: 0, budget };
    let found = search.shortest(|view| (!view.printed.is_empty() && !view.read.is_empty()).then_some(0))?;
    Ok(found.is_some())
}
