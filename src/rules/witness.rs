//! Example texts: what messages look like that a pattern matches.

use regex_syntax::hir::{Class, Hir, HirKind, Repetition};

use super::pattern;

/// Bytes preferred in examples, in this order: what a person would write first.
const PLEASANT: &[u8] = b"x1 -";

/// More examples of one pattern than a person's rule has branches.
const MOST: usize = 48;

/// The first of the [`witnesses`].
pub(super) fn witness(hir: &Hir, address: &str) -> Vec<u8> {
    witnesses(hir, address).into_iter().next().unwrap_or_default()
}

/// Texts that match the tree, `address` where `<ADDR>` stands. The first has the first branches and the fewest
/// repetitions; then each branch and each part that may be left out has a text of its own, all else being as in the
/// first.
pub(super) fn witnesses(hir: &Hir, address: &str) -> Vec<Vec<u8>> {
    match hir.kind() {
        _ if pattern::is_address(hir) => vec![address.as_bytes().to_vec()],
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => vec![pleasant(class).into_iter().collect()],
        HirKind::Repetition(repetition) => repeated(repetition, address),
        HirKind::Capture(capture) => witnesses(&capture.sub, address),
        HirKind::Concat(subs) => row(subs, address),
        HirKind::Alternation(subs) => {
            subs.iter().flat_map(|sub| witnesses(sub, address)).take(MOST).collect()
        }
    }
}

fn repeated(repetition: &Repetition, address: &str) -> Vec<Vec<u8>> {
    let times = |text: &Vec<u8>, times: u32| text.repeat(times as usize);
    let subs = witnesses(&repetition.sub, address);
    let with = subs.iter().map(|sub| times(sub, repetition.min.max(1)));
    if repetition.min > 0 {
        return with.collect();
    }
    // One `x` for a user name that may be empty: an honest line has something there.
    let without = usize::from(repetition.max.is_none());
    let mut texts: Vec<Vec<u8>> = with.collect();
    texts.insert(without.min(texts.len()), Vec::new());
    texts
}

fn row(subs: &[Hir], address: &str) -> Vec<Vec<u8>> {
    let parts: Vec<Vec<Vec<u8>>> = subs.iter().map(|sub| witnesses(sub, address)).collect();
    let text = |changed: usize, choice: usize| {
        let chosen =
            parts.iter().enumerate().map(|(at, texts)| texts.get(if at == changed { choice } else { 0 }));
        chosen.flatten().flatten().copied().collect()
    };
    let others =
        parts.iter().enumerate().flat_map(|(at, texts)| (1..texts.len()).map(move |choice| (at, choice)));
    std::iter::once((0, 0)).chain(others).take(MOST).map(|(at, choice)| text(at, choice)).collect()
}

fn pleasant(class: &Class) -> Option<u8> {
    let bytes = pattern::bytes_of(class);
    let first = bytes.iter().next().map(regex_syntax::hir::ClassBytesRange::start);
    PLEASANT.iter().copied().find(|&byte| pattern::holds(&bytes, byte)).or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<String> {
        let hir = pattern::read(text, &[]).unwrap();
        let texts = witnesses(&hir, "192.0.2.7");
        texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn a_witness_matches_its_own_pattern() {
        for text in [
            "^Failed \\S+ for (?:invalid user )?<USER> from <ADDR> port \\d{1,5}(?: ssh2)?$",
            "^(?:a|b)+[^:]*: <ADDR>$",
            "^x{3} \\[<ADDR>\\] [A-Z]?.*$",
            "^(?:one|two(?: or three)?){2} <ADDR>(?:, .*| [^ ]+)$",
        ] {
            let hir = pattern::read(text, &[]).unwrap();
            let regex = regex_automata::meta::Builder::new().build_from_hir(&hir).unwrap();
            for example in witnesses(&hir, "192.0.2.7") {
                assert!(regex.is_match(&example), "{text}: {}", String::from_utf8_lossy(&example));
            }
        }
    }

    #[test]
    fn every_branch_and_every_part_that_may_be_left_out_has_a_witness() {
        assert_eq!(
            texts("^(?:none|for \\S+)(?: by y)? from <ADDR>(?: .*)?$"),
            [
                "none from 192.0.2.7",
                "for x from 192.0.2.7",
                "none by y from 192.0.2.7",
                "none from 192.0.2.7 x",
                "none from 192.0.2.7 "
            ]
        );
    }

    #[test]
    fn a_pattern_with_many_branches_has_a_bounded_number_of_witnesses() {
        let many =
            format!("^(?:{}) <ADDR>$", (0..1000).map(|n| format!("word{n}")).collect::<Vec<_>>().join("|"));
        assert!(texts(&many).len() <= MOST);
        assert!(texts(&format!("^{} <ADDR>$", "(?:a(?:b)?)?".repeat(200))).len() <= MOST);
    }
}
