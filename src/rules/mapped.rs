//! The prefix of addresses that are mapped into IPv6.

use regex_syntax::hir::{Hir, HirKind};

use super::pattern;

/// What programs on a dual-stack socket print before an IPv4 address; it belongs to the address.
const MAPPED: &[u8] = b"::ffff:";

/// `(?:::ffff:)?<ADDR>` is `<ADDR>`, which takes mapped addresses too: the address is the same, however it is read.
pub(super) fn without_mapped_prefix(hir: &Hir) -> Hir {
    let HirKind::Concat(subs) = hir.kind() else {
        return pattern::map_subs(hir, &mut without_mapped_prefix);
    };
    let before_address = |at: usize| subs.get(at + 1).is_some_and(pattern::is_address);
    let kept = subs.iter().enumerate().filter(|&(at, sub)| !(before_address(at) && is_mapped_prefix(sub)));
    Hir::concat(kept.map(|(_, sub)| without_mapped_prefix(sub)).collect())
}

fn is_mapped_prefix(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    let optional = (repetition.min, repetition.max) == (0, Some(1));
    optional && in_lower_case(&repetition.sub).is_some_and(|text| text == MAPPED)
}

/// A fixed text, written with or without regard to case.
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
