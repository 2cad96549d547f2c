//! The ids at `<SESSION>`, for lines that people are to read.

use regex_automata::meta;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::super::compile::limits;
use super::super::pattern;
use super::TooLarge;
use super::machine::{Peer, machine};
use super::search::{Budget, Search};

/// Ids as many programs print them.
const USUAL: [[&str; 2]; 4] = [
    ["1001", "1002"],
    ["4F2A19C0", "4F2A19D7"],
    ["00c0ffee", "0000beef"],
    ["1tHxYz-000Abc-1D", "1tHxYz-000Abd-2E"],
];

/// Two ids that may stand at the `<SESSION>` of a pattern; `None` where there are not two that are so easily found.
pub(super) fn examples(pattern: &Hir, budget: &mut Budget) -> Result<Option<[String; 2]>, TooLarge> {
    let Some(alphabet) = alphabet(pattern) else { return Ok(None) };
    let whole =
        [Hir::look(Look::Start), pattern::without_captures(alphabet, |_| false), Hir::look(Look::End)];
    let regex = meta::Builder::new().configure(limits()).build_from_hir(&Hir::concat(whole.to_vec()));
    let regex = regex.map_err(|_| TooLarge)?;
    if let Some(usual) = USUAL.iter().find(|ids| ids.iter().all(|id| regex.is_match(id))) {
        return Ok(Some(usual.map(str::to_owned)));
    }
    let shortest = shortest(alphabet, budget)?;
    let near = shortest.as_deref().and_then(|id| neighbour(id, &regex));
    Ok(shortest.zip(near).map(|(first, second)| [first, second]))
}

/// The pattern with this text in each place of an address and, where one is given, of the id.
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

/// What may stand at `<SESSION>`.
fn alphabet(hir: &Hir) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(capture) if pattern::is_session_group(capture) => Some(&capture.sub),
        kind => kind.subs().iter().find_map(alphabet),
    }
}

fn shortest(alphabet: &Hir, budget: &mut Budget) -> Result<Option<String>, TooLarge> {
    let ids = machine(&[(alphabet.clone(), 0)], Peer::Untold).map_err(|_| TooLarge)?;
    let search = Search { printer: &ids, reader: &ids, first: None, length: 0, budget };
    let found = search.shortest(|view| (!view.read.is_empty()).then_some(0))?;
    Ok(found.and_then(|found| String::from_utf8(found.message).ok()))
}

/// Another id, with one byte that is not the same.
fn neighbour(id: &str, ids: &meta::Regex) -> Option<String> {
    let visible = (b'0'..=b'9').chain(b'A'..=b'Z').chain(b'a'..=b'z');
    (0..id.len()).rev().flat_map(|at| visible.clone().map(move |byte| (at, byte))).find_map(|(at, byte)| {
        let mut other = id.as_bytes().to_vec();
        other[at] = byte;
        let other = String::from_utf8(other).ok()?;
        (other != id && ids.is_match(&other)).then_some(other)
    })
}
