//! A pattern taken apart: what its program prints for certain, and the stretches that may hold any text.
//!
//! What a run such as `\w+` matches does not limit what the program prints there: if a name with blanks comes, the run
//! stops early and another part of the pattern matches the rest. Three things are believed: fixed words, numbers and
//! times, and the alphabets that the rule set states under `fields`. Whatever leaves more choice than words and numbers
//! ([`super::super::choice`]) is a stretch.
//!
//! The pattern is examined as it is written (a syntax tree with positions), so that a refusal can point at the run at
//! fault.

use regex_syntax::hir::{Capture, Class, ClassBytes, Hir, HirKind, Look};

use super::super::pattern::{self, Unreadable};
use super::runs::{self, GROUP, Stretch};

/// The error for a pattern that can be parsed, but not with a group around each stretch.
const UNMARKABLE: &str =
    "the parts in which anything may stand cannot be told from the rest: write the pattern in simpler words";

/// A pattern with its stretches.
#[derive(Debug)]
pub(super) struct AnnotatedPattern {
    /// The parsed pattern with a group around each stretch.
    hir: Hir,
    pub(super) stretches: Vec<Stretch>,
}

/// The text that stands in a stretch for a certain purpose.
#[derive(Clone, Copy, Debug)]
pub(super) enum Filling<'a> {
    /// The text that the stretch itself matches.
    AsWritten,
    /// Any text.
    AnyText,
    /// The text that this expression matches.
    With(&'a Hir),
}

impl AnnotatedPattern {
    /// Takes a pattern apart.
    ///
    /// # Errors
    /// What keeps the pattern from being read.
    pub(super) fn of(pattern: &str, fields: &[(String, String)]) -> Result<Self, Unreadable> {
        let expanded = pattern::expand(pattern, fields)?;
        let unreadable = |(text, at): (String, usize)| Unreadable { text, at: expanded.source_of(at) };
        let ast = pattern::parse_tree(&expanded.text).map_err(unreadable)?;
        let found = runs::places(&expanded, &ast);
        let hir = pattern::read_expanded(&runs::marked(&expanded.text, &found));
        let hir = hir.ok_or_else(|| unreadable((UNMARKABLE.to_owned(), 0)))?;
        let stretches = found.iter().map(|one| one.stretch(pattern, &expanded)).collect();
        Ok(Self { hir, stretches })
    }

    /// The pattern as it is written, with another alphabet in one stretch.
    pub(super) fn with(&self, stretch: usize, alphabet: &Hir) -> Hir {
        self.filled(|index| if index == stretch { Filling::With(alphabet) } else { Filling::AsWritten })
    }

    /// The pattern with each stretch filled.
    pub(super) fn filled<'f>(&self, filling: impl Fn(usize) -> Filling<'f>) -> Hir {
        fill(&self.hir, &filling)
    }

    /// The pattern as it is written.
    pub(super) fn as_written(&self) -> Hir {
        self.filled(|_| Filling::AsWritten)
    }

    /// A stretch as it is written.
    pub(super) fn stretch_as_written(&self, index: usize) -> Option<Hir> {
        Some(self.part_as_written(find(&self.hir, index)?))
    }

    /// The first byte of the fixed text behind a stretch, if it is printable.
    pub(super) fn byte_behind(&self, index: usize) -> Option<u8> {
        let row = self.row();
        let at = row.iter().position(|part| stretch_of(part) == Some(index))?;
        let HirKind::Literal(literal) = row.get(at + 1)?.kind() else { return None };
        literal.0.first().copied().filter(|byte| byte.is_ascii_graphic() || *byte == b' ')
    }

    /// A part of the row, as it is written.
    pub(super) fn part_as_written(&self, part: &Hir) -> Hir {
        fill(part, &|_| Filling::AsWritten)
    }

    /// The texts that the program may print. The pattern's word boundaries are dropped: they restrict the reader, not the
    /// program, whose peer may have written the words.
    pub(super) fn printed(&self) -> Hir {
        let is_edge_of_message = |look| matches!(look, Look::Start | Look::End);
        pattern::without_looks(&self.filled(|index| self.belief(index)), &is_edge_of_message)
    }

    /// The filling of a stretch in what the program prints: its alphabet if that is claimed, else any text.
    pub(super) fn belief(&self, index: usize) -> Filling<'static> {
        if self.stretches[index].is_claimed { Filling::AsWritten } else { Filling::AnyText }
    }

    /// Whether the pattern has `<SESSION>`.
    pub(super) fn names_session(&self) -> bool {
        self.row().into_iter().any(is_session)
    }

    /// The parts of the pattern in order, with the stretches as they are marked.
    pub(super) fn row(&self) -> Vec<&Hir> {
        let mut parts = Vec::new();
        flatten(&self.hir, &mut parts);
        parts
    }
}

/// The index of the stretch that a part is.
pub(super) fn stretch_of(hir: &Hir) -> Option<usize> {
    let HirKind::Capture(capture) = hir.kind() else { return None };
    capture.name.as_deref()?.strip_prefix(GROUP)?.parse().ok()
}

/// Whether a part of the row is `<SESSION>`.
pub(super) fn is_session(part: &Hir) -> bool {
    stretch_of(part).is_some() && part.kind().subs().first().is_some_and(pattern::is_session)
}

fn find(hir: &Hir, index: usize) -> Option<&Hir> {
    if stretch_of(hir) == Some(index) {
        return Some(hir);
    }
    hir.kind().subs().iter().find_map(|sub| find(sub, index))
}

fn flatten<'h>(hir: &'h Hir, parts: &mut Vec<&'h Hir>) {
    match hir.kind() {
        HirKind::Concat(subs) => subs.iter().for_each(|sub| flatten(sub, parts)),
        HirKind::Capture(capture) if stretch_of(hir).is_none() && !pattern::is_address_group(capture) => {
            flatten(&capture.sub, parts);
        }
        _ => parts.push(hir),
    }
}

fn fill<'f>(hir: &Hir, filling: &dyn Fn(usize) -> Filling<'f>) -> Hir {
    let Some(index) = stretch_of(hir) else {
        return pattern::map_subs(hir, &mut |sub| fill(sub, filling));
    };
    match filling(index) {
        Filling::AsWritten => hir.kind().subs().first().cloned().unwrap_or_else(Hir::empty),
        Filling::AnyText => any_text(),
        Filling::With(alphabet) => match hir.kind().subs().first().map(Hir::kind) {
            // Stays a placeholder.
            Some(HirKind::Capture(capture)) if pattern::is_session_group(capture) => {
                Hir::capture(Capture { sub: Box::new(alphabet.clone()), ..capture.clone() })
            }
            _ => alphabet.clone(),
        },
    }
}

/// Any number of any bytes.
pub(super) fn any_text() -> Hir {
    let any = Hir::class(Class::Bytes(pattern::negated(ClassBytes::empty())));
    Hir::repetition(regex_syntax::hir::Repetition { min: 0, max: None, greedy: true, sub: Box::new(any) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str) -> Vec<String> {
        let fields = [("NAME".to_owned(), "[a-z]+".to_owned())];
        AnnotatedPattern::of(pattern, &fields)
            .unwrap()
            .stretches
            .into_iter()
            .map(|stretch| stretch.text)
            .collect()
    }

    #[test]
    fn what_a_program_may_print_is_a_stretch_and_words_and_numbers_are_not() {
        for (pattern, stretches) in [
            (r"^for \w+ x$", vec![r"\w+"]),
            (r"^for \w x$", vec![r"\w"]),
            (r"(?i)^for [a-z]{1,3} x$", vec![r"[a-z]{1,3}"]),
            (r"(?x)^ for\ \S+? \ x $", vec![r"\S+?"]),
            (r"^(?:a \w+)? x$", vec![r"\w+"]),
            (r"^(?:\w+ )+x$", vec![r"\w+"]),
            (r"^(?:\w|\w\w) x$", vec![r"(?:\w|\w\w)"]),
            (r"^\w\w?\w? x \w.?$", vec![r"\w\w?\w?", r"\w.?"]),
            (r"^(?P<USER>\S+) x$", vec![r"(?P<USER>\S+)"]),
            (r"^[0-9a-f]{32} x$", vec![r"[0-9a-f]{32}"]),
            (r"^<NAME>, <USER> and <NAME>$", vec!["<NAME>", "<USER>", "<NAME>"]),
            (r"(?i)^for [abcd]+ (?-i)[abcd]$", vec![r"[abcd]+"]),
            (r"^for (?i:x[ab]|[abc]) [abc]$", vec!["[abc]"]),
            (r"^for (?:[a-d]|[e-h])+ x$", vec!["(?:[a-d]|[e-h])+"]),
            (r"^for (?:[a-d]|[e-h]|<NAME>)+ x$", vec!["(?:[a-d]|[e-h]|<NAME>)+"]),
            (r"^for (?:[a-d]|Q\w|[e-h])+ x$", vec![r"(?:[a-d]|Q\w|[e-h])+"]),
            (r"^(?:[a-d]|by <ADDR>|[e-h]) x$", vec!["[a-d]", "[e-h]"]),
            (r"^[\d.]+ \d{1,5}:[-\d]+\s*(?:ab|cd )+[Ff]ailed [abcd]$", vec![]),
            (
                r"^x(?:[a-d]?[e-h]?){4}<SESSION>(?:[a-d]?[e-h]?){4}$",
                vec!["(?:[a-d]?[e-h]?){4}", "<SESSION>", "(?:[a-d]?[e-h]?){4}"],
            ),
            (r"^<ADDR> or <HOST>$", vec![]),
        ] {
            assert_eq!(found(pattern), stretches, "{pattern}");
        }
    }

    /// What a flag in a run says of the rest of the pattern stays as it is.
    #[test]
    fn flags_in_a_run_are_in_force_behind_it() {
        let run = "[abcd]?[efgh]?".repeat(4) + "(?i)[ab]?[cd]?";
        let annotated = AnnotatedPattern::of(&format!("^X{run}Y$"), &[]).unwrap();
        let [stretch] = &annotated.stretches[..] else { panic!("{:?}", annotated.stretches) };
        assert!(run.ends_with(&stretch.text) && stretch.text.contains("(?i)"), "{}", stretch.text);
        let regex = |hir: &Hir| regex_automata::meta::Builder::new().build_from_hir(hir).unwrap();
        let as_written = regex(&annotated.as_written());
        let printed = regex(&annotated.printed());
        assert!(as_written.is_match("XaAy") && !as_written.is_match("xaAy") && !as_written.is_match("X!y"));
        assert!(printed.is_match("X!y") && !printed.is_match("x!y"));
    }
}
