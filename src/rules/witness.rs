//! Example texts: what a message looks like that a pattern matches.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::pattern;

/// Bytes preferred in examples, in this order: what a person would write first.
const PLEASANT: &[u8] = b"x1 -";

/// A text that matches the tree: the first branch, the fewest repetitions, `address` where `<ADDR>` stands.
pub(super) fn witness(hir: &Hir, address: &str) -> Vec<u8> {
    let mut text = Vec::new();
    write(hir, address, &mut text);
    text
}

fn write(hir: &Hir, address: &str, text: &mut Vec<u8>) {
    match hir.kind() {
        _ if pattern::is_address(hir) => text.extend_from_slice(address.as_bytes()),
        HirKind::Empty | HirKind::Look(_) => {}
        HirKind::Literal(literal) => text.extend_from_slice(&literal.0),
        HirKind::Class(class) => text.extend(pleasant(class)),
        HirKind::Repetition(repetition) => {
            // One `x` for a user name that may be empty: an honest line has something there.
            let times = if repetition.max.is_none() { repetition.min.max(1) } else { repetition.min };
            (0..times).for_each(|_| write(&repetition.sub, address, text));
        }
        HirKind::Capture(capture) => write(&capture.sub, address, text),
        HirKind::Concat(subs) => subs.iter().for_each(|sub| write(sub, address, text)),
        HirKind::Alternation(subs) => subs.iter().take(1).for_each(|sub| write(sub, address, text)),
    }
}

fn pleasant(class: &Class) -> Option<u8> {
    let bytes = pattern::bytes_of(class);
    let first = bytes.iter().next().map(regex_syntax::hir::ClassBytesRange::start);
    PLEASANT.iter().copied().find(|&byte| pattern::holds(&bytes, byte)).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_matches_its_own_pattern() {
        for text in [
            "^Failed \\S+ for (?:invalid user )?<USER> from <ADDR> port \\d{1,5}(?: ssh2)?$",
            "^(?:a|b)+[^:]*: <ADDR>$",
            "^x{3} \\[<ADDR>\\] [A-Z]?.*$",
        ] {
            let hir = pattern::read(text, &[]).unwrap();
            let example = witness(&hir, "192.0.2.7");
            let regex = regex_automata::meta::Builder::new().build_from_hir(&hir).unwrap();
            assert!(regex.is_match(&example), "{text}: {}", String::from_utf8_lossy(&example));
        }
    }
}
