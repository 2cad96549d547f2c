//! How much choice a part of a pattern leaves to the program.
//!
//! The fixed words and numbers of a pattern are believed, see [`super::proof`]. A part with more choice is a run of text,
//! however it is written, and says nothing about what the program prints there. A part is such a run
//!
//! - if it has a class of more than [`FEW_BYTES`] bytes that are not all [`NUMERIC`], also as single bytes in the
//!   branches of an alternation: `[a-z]`, `(?:[a-d]|[e-h])`;
//! - if it repeats such a choice of bytes: `(?:\d+|[abc])+`, `(?:[a-d]?[e-h]?)+`;
//! - if anywhere in it as many texts of [`WINDOW`] bytes may follow as a class of five bytes makes, a number being one
//!   text: `(?:ab|cd|…)+` of very many words, `[a-d]?[e-h]?…[a-d]?[e-h]?…` written out.
//!
//! A list of words is therefore not a run (`(?:password|publickey)`), nor are words in a repetition
//! (`(?:error: |fatal: )*`).

use std::collections::{BTreeMap, BTreeSet, HashMap};

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{ClassBytes, Hir, HirKind, Look};

use super::pattern;

/// Characters of numbers and times, and blanks.
const NUMERIC: &[u8] = b"0123456789.:,/+- \t\n\r\x0b\x0c";

/// A class of at most this many bytes is a choice of words: `[Ff]`.
const FEW_BYTES: usize = 4;

/// This many bytes are examined together. Hand-written lists of words have far fewer beginnings of this length than
/// [`MANY_TEXTS`].
const WINDOW: u32 = 8;

/// The number of texts of that length over a class that is too large to be a choice of words.
const MANY_TEXTS: u64 = (FEW_BYTES as u64 + 1).pow(WINDOW);

/// Size limit of the automaton of one part, in bytes; a hand-written pattern needs some kilobytes.
const AUTOMATON_LIMIT: usize = 256 << 10;

/// Whether a class is a choice of a few bytes, or of those that make up numbers and times.
pub(super) fn is_word_or_number(class: &ClassBytes) -> bool {
    let bytes: Vec<u8> = bytes(class).collect();
    bytes.len() <= FEW_BYTES || bytes.into_iter().all(is_numeric)
}

fn bytes(class: &ClassBytes) -> impl Iterator<Item = u8> + '_ {
    class.iter().flat_map(|range| range.start()..=range.end())
}

fn is_numeric(byte: u8) -> bool {
    NUMERIC.contains(&byte)
}

/// Whether a sequence of parts contains a run of text outside of placeholders.
pub(super) fn leaves_open(row: &[Hir]) -> bool {
    let in_one = |part: &Hir| !pattern::is_placeholder(part) && leaves_open(part.kind().subs());
    let is_run = |parts: &[Hir]| is_run(&Hir::concat(parts.to_vec()));
    row.split(has_placeholder).any(is_run) || row.iter().filter(|part| has_placeholder(part)).any(in_one)
}

fn has_placeholder(hir: &Hir) -> bool {
    pattern::is_placeholder(hir) || hir.kind().subs().iter().any(has_placeholder)
}

/// Whether a part contains a run of text.
pub(super) fn is_run(hir: &Hir) -> bool {
    has_open_class(hir) || may_have_many_texts(hir)
}

fn has_open_class(hir: &Hir) -> bool {
    let is_open = match hir.kind() {
        HirKind::Class(class) => !is_word_or_number(&pattern::bytes_of(class)),
        HirKind::Alternation(branches) => {
            let bytes = branches.iter().filter(|branch| branch.properties().maximum_len() == Some(1));
            !is_word_or_number(&union(bytes.map(single_bytes)))
        }
        HirKind::Repetition(repetition) if repetition.max.is_none_or(|max| max > 1) => {
            !is_word_or_number(&single_bytes(&repetition.sub))
        }
        _ => false,
    };
    is_open || hir.kind().subs().iter().any(has_open_class)
}

/// The bytes that are texts of the part by themselves.
fn single_bytes(hir: &Hir) -> ClassBytes {
    match hir.kind() {
        HirKind::Class(class) => pattern::bytes_of(class),
        HirKind::Literal(literal) => match literal.0[..] {
            [byte] => pattern::single(byte),
            _ => ClassBytes::empty(),
        },
        HirKind::Repetition(repetition) if repetition.min > 1 && !may_be_empty(&repetition.sub) => {
            ClassBytes::empty()
        }
        HirKind::Concat(parts) => {
            let others_may_be_empty =
                |at: usize| parts.iter().enumerate().all(|(other, part)| other == at || may_be_empty(part));
            union((0..parts.len()).filter(|&at| others_may_be_empty(at)).map(|at| single_bytes(&parts[at])))
        }
        kind => union(kind.subs().iter().map(single_bytes)),
    }
}

pub(super) fn may_be_empty(hir: &Hir) -> bool {
    hir.properties().minimum_len() == Some(0)
}

fn union(classes: impl Iterator<Item = ClassBytes>) -> ClassBytes {
    classes.fold(ClassBytes::empty(), |mut all, class| {
        all.union(&class);
        all
    })
}

fn may_have_many_texts(hir: &Hir) -> bool {
    // A part that is too large for an automaton may hold any text.
    most_texts(hir) >= MANY_TEXTS && automaton(hir).is_none_or(|dfa| has_many_texts(&dfa))
}

/// An upper bound of the number of texts of a part, where all numbers of one length count as one.
fn most_texts(hir: &Hir) -> u64 {
    let each = hir.kind().subs().iter().map(most_texts);
    match hir.kind() {
        HirKind::Class(class) => {
            let class = pattern::bytes_of(class);
            let words: u64 = bytes(&class).filter(|&byte| !is_numeric(byte)).map(|_| 1).sum();
            words + u64::from(bytes(&class).any(is_numeric))
        }
        HirKind::Repetition(repetition) => match (most_texts(&repetition.sub), repetition.max) {
            (0 | 1, max) => u64::from(max.unwrap_or(WINDOW).min(WINDOW)) + 1,
            (once, Some(max)) => once.saturating_add(1).saturating_pow(max),
            (_, None) => u64::MAX,
        },
        HirKind::Alternation(_) => each.fold(0, u64::saturating_add),
        _ => each.fold(1, u64::saturating_mul),
    }
}

fn automaton(hir: &Hir) -> Option<dense::DFA<Vec<u32>>> {
    let whole = Hir::concat(vec![pattern::without_looks(hir, &|_| false), Hir::look(Look::End)]);
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .utf8(false)
        .nfa_size_limit(Some(AUTOMATON_LIMIT));
    let nfa: NFA = thompson::Compiler::new().configure(config).build_from_hir(&whole).ok()?;
    let config = dense::Config::new()
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(AUTOMATON_LIMIT))
        .determinize_size_limit(Some(AUTOMATON_LIMIT));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).ok()
}

/// The transitions of a state.
#[derive(Default)]
struct Ways {
    /// By bytes of words: the next state, and the number of bytes.
    words: BTreeMap<usize, u64>,
    /// By bytes of numbers: the next state.
    numbers: BTreeSet<usize>,
}

/// Whether at least [`MANY_TEXTS`] texts of [`WINDOW`] bytes begin in some state.
fn has_many_texts(dfa: &dense::DFA<Vec<u32>>) -> bool {
    let states = states(dfa);
    let mut counts = vec![1_u64; states.len()];
    for _ in 0..WINDOW {
        let count = |state: &Ways| {
            let words = state.words.iter().map(|(&to, &bytes)| counts[to].saturating_mul(bytes));
            let numbers = state.numbers.iter().map(|&to| counts[to]).max().unwrap_or(0);
            words.fold(numbers, u64::saturating_add)
        };
        counts = states.iter().map(count).collect();
    }
    counts.into_iter().any(|count| count >= MANY_TEXTS)
}

fn states(dfa: &dense::DFA<Vec<u32>>) -> Vec<Ways> {
    // Anchored starts are built and there are no quit bytes, so the start cannot fail.
    let start = dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).ok();
    let mut found: Vec<StateID> = start.into_iter().collect();
    let mut numbers: HashMap<StateID, usize> = found.iter().map(|&start| (start, 0)).collect();
    let mut states = Vec::new();
    while let Some(&state) = found.get(states.len()) {
        let mut ways = Ways::default();
        for byte in 0..=u8::MAX {
            let next = dfa.next_state(state, byte);
            if dfa.is_dead_state(next) {
                continue;
            }
            let number = *numbers.entry(next).or_insert_with(|| {
                found.push(next);
                found.len() - 1
            });
            if is_numeric(byte) {
                ways.numbers.insert(number);
            } else {
                *ways.words.entry(number).or_default() += 1;
            }
        }
        states.push(ways);
    }
    states
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str) -> bool {
        leaves_open(&[pattern::read(pattern, &[("NAME".to_owned(), "[a-z]+".to_owned())]).unwrap()])
    }

    #[test]
    fn words_and_numbers_are_no_runs() {
        for pattern in [
            r"^(?:ssh2|ssh1)? ?[Ff]ailed [12]?$",
            r"(?i)^failed (?:password|publickey|keyboard-interactive) for <NAME>$",
            r"^(?:TLSv1\.[0-3]|SSLv3) (?:error: |fatal: |warning: |notice: |info: |debug: )*x$",
            r"^(?:foo|bar|baz)+ (?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH|TRACE|CONNECT) x$",
            r"^(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) +\d{1,2} (?:\d\d:){2}\d\d(?:\.\d+)? x$",
            r"^(?:\d+[smhd] ?)+ after \d+x\d+ (?:\d+|[?]|none) [\d.]+$",
            r"^[abcd]+ [abcd][efgh][ijkl][mnop][qrst] [abcd]?[efgh]?[ijkl]?$",
            r"^<NAME> <ADDR> (?:<USER>)? x(?: \(tty\d?\))?$",
        ] {
            assert!(!found(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_run_of_text_is_one_however_it_is_written() {
        let groups = "[abcd]?[efgh]?[ijkl]?[mnop]?[qrst]?[uvwx]?[yz]?";
        for run in [
            r"[a-z]",
            r"\w+",
            r"(?i)[abcd]",
            r"(?i:[abc]+)",
            r"[0-9a-f]{8}",
            r"(?:[a-d]|[e-h]|[i-l]|[m-p]|[q-t]|[u-x]|[yz])+",
            r"(?:a|b|c|d|e)",
            r"(?:(a)|(b)|(c)|(?P<d>d)|(e))+",
            r"(?:[a-d]|[e-h]?|foo)",
            r"(?:\d|[abcd]|[ef])+",
            r"(?:\d+|[abc])+",
            r"(?:\d+|(?:[abc]))*",
            r"(?:a[efgh]?[ijkl]?[mnop]?|[bcd][efgh]?[ijkl]?)+",
            r"(?:[abcd]?e?)+",
            r"(?:[abcd](?:[efgh]?[ijkl]?){1,2})+",
            &format!("(?:{groups})+"),
            &format!("(?:{groups}){{20}}"),
            &format!("(?:{groups}){{2}}"),
            &format!("(?:(?:{groups})?)*?"),
            &format!("{groups}{groups}"),
            &"(?:[a-d]|)(?:[e-h]|)(?:[i-l]|)".repeat(4),
            r"(?:[ab][cd]|[ab][ef]|[cd][ab]|[ef][ab]|[ab][ab]|[cd][cd]|[cd][ef]|[ef][cd]|[ef][ef])+",
        ] {
            for pattern in
                [format!("^{run}$"), format!("^for {run} from <ADDR>$"), format!("^(?:x<NAME>?{run})?$")]
            {
                assert!(found(&pattern), "{pattern}");
            }
        }
    }
}
