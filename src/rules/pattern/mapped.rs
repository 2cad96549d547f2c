//! The prefix of addresses that are mapped into IPv6.

use regex_syntax::hir::{Hir, HirKind};

use super::super::pattern;

/// The prefix that programs with a dual-stack socket print before an IPv4 address; it belongs to the address.
const MAPPED: &[u8] = b"::ffff:";

/// Reads `(?:::ffff:)?<ADDR>` and `(?:::ffff:<ADDR>|<ADDR>)` as `<ADDR>`, which matches mapped addresses too: the address
/// is the same either way.
pub(in crate::rules) fn without_mapped_prefix(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Concat(subs) => {
            let before_address = |at: usize| subs.get(at + 1).is_some_and(is_address_alone);
            let kept =
                subs.iter().enumerate().filter(|&(at, sub)| !(before_address(at) && is_mapped_prefix(sub)));
            Hir::concat(kept.map(|(_, sub)| without_mapped_prefix(sub)).collect())
        }
        HirKind::Alternation(subs) if subs.iter().any(is_address_alone) => {
            let kept = subs.iter().filter(|sub| !is_mapped_address(sub));
            Hir::alternation(kept.map(without_mapped_prefix).collect())
        }
        _ => pattern::map_subs(hir, &mut without_mapped_prefix),
    }
}

/// Whether a part is an address and nothing else, perhaps in groups.
fn is_address_alone(hir: &Hir) -> bool {
    match hir.kind() {
        _ if pattern::is_address(hir) => true,
        HirKind::Capture(capture) => is_address_alone(&capture.sub),
        _ => false,
    }
}

fn is_mapped_address(hir: &Hir) -> bool {
    let HirKind::Concat(subs) = hir.kind() else { return false };
    let Some((address, prefix)) = subs.split_last() else { return false };
    is_address_alone(address)
        && in_lower_case(&Hir::concat(prefix.to_vec())).is_some_and(|text| text == MAPPED)
}

/// Whether a part is the prefix or nothing.
fn is_mapped_prefix(hir: &Hir) -> bool {
    let is_mapped = |hir: &Hir| in_lower_case(hir).is_some_and(|text| text == MAPPED);
    match hir.kind() {
        HirKind::Capture(capture) => is_mapped_prefix(&capture.sub),
        HirKind::Repetition(repetition) => {
            (repetition.min, repetition.max) == (0, Some(1)) && is_mapped(&repetition.sub)
        }
        HirKind::Alternation(subs) => {
            let is_empty = |sub: &Hir| matches!(sub.kind(), HirKind::Empty);
            subs.iter().any(is_empty) && subs.iter().all(|sub| is_empty(sub) || is_mapped(sub))
        }
        _ => false,
    }
}

/// The fixed text of a part, case-sensitive or not.
fn in_lower_case(hir: &Hir) -> Option<Vec<u8>> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(literal.0.to_ascii_lowercase()),
        HirKind::Class(class) => {
            let bytes: Vec<u8> =
                pattern::bytes_of(class).iter().flat_map(|range| range.start()..=range.end()).collect();
            let [upper, lower] = bytes[..] else { return None };
            (lower == upper.to_ascii_lowercase()).then(|| vec![lower])
        }
        HirKind::Repetition(repetition) if repetition.max == Some(repetition.min) => {
            Some(in_lower_case(&repetition.sub)?.repeat(repetition.min as usize))
        }
        HirKind::Capture(capture) => in_lower_case(&capture.sub),
        HirKind::Concat(subs) => Some(subs.iter().map(in_lower_case).collect::<Option<Vec<_>>>()?.concat()),
        _ => None,
    }
}
