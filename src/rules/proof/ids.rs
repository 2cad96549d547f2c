//! Session ids for lines that are shown to people.

use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::super::pattern;
use super::super::regex::limits;

/// Ids as many programs print them.
const USUAL: [[&str; 2]; 4] = [
    ["1001", "1002"],
    ["4F2A19C0", "4F2A19D7"],
    ["00c0ffee", "0000beef"],
    ["1tHxYz-000Abc-1D", "1tHxYz-000Abd-2E"],
];

/// Two typical ids that may stand at the `<SESSION>` of a pattern.
pub(super) fn usual(pattern: &Hir) -> Option<[&'static str; 2]> {
    let ids = all(pattern)?;
    USUAL.into_iter().find(|usual| usual.iter().all(|id| ids.is_match(id)))
}

/// Another id of the same length as this one.
pub(super) fn neighbour(pattern: &Hir, id: &str) -> Option<String> {
    let ids = all(pattern)?;
    let visible = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
    (0..id.len()).rev().flat_map(|at| visible.clone().map(move |byte| (at, byte))).find_map(|(at, byte)| {
        let mut other = id.as_bytes().to_vec();
        other[at] = byte;
        let other = String::from_utf8(other).ok()?;
        (other != id && ids.is_match(&other)).then_some(other)
    })
}

/// The pattern with this text in place of each address and, if one is given, of the id.
pub(super) fn with_texts(hir: &Hir, peer: Option<&str>, id: Option<&str>) -> Hir {
    let text = if pattern::is_address(hir) {
        peer
    } else if pattern::is_session(hir) {
        id
    } else {
        None
    };
    match (text, hir.kind()) {
        (Some(text), HirKind::Capture(capture)) => {
            let sub = Box::new(Hir::literal(text.as_bytes()));
            Hir::capture(regex_syntax::hir::Capture { sub, ..capture.clone() })
        }
        _ => pattern::map_subs(hir, &mut |sub| with_texts(sub, peer, id)),
    }
}

/// The pattern of the id.
fn alphabet(hir: &Hir) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(capture) if pattern::is_session_group(capture) => Some(&capture.sub),
        kind => kind.subs().iter().find_map(alphabet),
    }
}

/// The pattern of exactly these ids.
fn all(pattern: &Hir) -> Option<meta::Regex> {
    let alphabet = pattern::without_captures(alphabet(pattern)?, |_| false);
    let whole = Hir::concat(vec![Hir::look(Look::Start), alphabet, Hir::look(Look::End)]);
    meta::Builder::new().configure(limits()).build_from_hir(&whole).ok()
}
