//! The stretches of a pattern in which a peer's text may stand, and what is believed of each.
//!
//! What a run such as `\w+` matches says nothing of what the program prints there: a name with blanks may come, the run
//! stops early, and another part of the pattern matches the rest. So an unnamed run is filled with any text. Two
//! things are believed: an alphabet that the rule set states under `fields`, and runs of digits and of the signs
//! that stand in numbers and times. A group that the pattern names itself states nothing.
//!
//! The pattern is looked at as it is written (a syntax tree with positions), so that a refusal can point at the guilty run.

use std::ops::Range;

use regex_automata::meta::Regex;
use regex_syntax::ast::parse::ParserBuilder;
use regex_syntax::ast::{Ast, Repetition, RepetitionKind, RepetitionRange};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, HirKind, Look};

use super::super::compile::limits;
use super::super::locate::alphabet;
use super::super::pattern::{self, Expanded};

/// What is believed of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Belief {
    /// It is the address.
    Address,
    /// It holds what the rule set says it holds, or what a number or a time holds.
    Alphabet,
    /// Nothing: any text may stand there.
    Nothing,
}

/// Signs of numbers and times, and blanks.
const NUMERIC: &[u8] = b"0123456789.:,/+- \t\n\r\x0b\x0c";

/// `::1` would fit into less, but nobody bans it.
const SHORTEST_ADDRESS: usize = 7;

/// Begins the names of the groups that are put around stretches; rule files cannot use lower-case names for placeholders.
const GROUP: &str = "portcullis_stretch_";

/// A stretch of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    pub(super) belief: Belief,
    /// As it is written: `\w+`, `<USER>`.
    pub(super) text: String,
    /// At which byte of the pattern.
    pub(super) at: usize,
    /// Matches what the stretch matches, and nothing longer.
    pub(super) alphabet: Regex,
    /// Which bytes it matches on their own: asking the regex for each byte of each text took most of the time.
    pub(super) bytes: [bool; 256],
}

/// A pattern taken apart.
pub(super) struct Stretches {
    /// The pattern with a group around each stretch.
    pub(super) hir: Hir,
    regex: Regex,
    pub(super) all: Vec<Stretch>,
}

impl Stretches {
    /// `None` for a pattern that cannot be read or is too large, which others report.
    pub(super) fn of(pattern: &str, fields: &[(String, String)]) -> Option<Self> {
        let expanded = pattern::expand(pattern, fields).ok()?;
        let ast = ParserBuilder::new().nest_limit(pattern::NESTING).build().parse(&expanded.text).ok()?;
        let mut found = Vec::new();
        walk(&expanded, &ast, &mut found);
        let hir = pattern::read_expanded(&marked(&expanded.text, &found))?;
        let mut all = Vec::new();
        for (index, (range, belief)) in found.iter().enumerate() {
            let (start, end) = (expanded.source_of(range.start), expanded.source_of(range.end));
            let alphabet = whole(group(&hir, index)?)?;
            let bytes = std::array::from_fn(|byte| alphabet.is_match([byte.to_le_bytes()[0]].as_slice()));
            let text = pattern.get(start..end).unwrap_or_default().to_owned();
            all.push(Stretch { belief: *belief, text, at: start, alphabet, bytes });
        }
        let regex = Regex::builder().configure(limits()).build_from_hir(&hir).ok()?;
        Some(Self { hir, regex, all })
    }

    /// Where each stretch stands in a message, with its index; `None` if the pattern does not match.
    pub(super) fn spans(&self, message: &[u8]) -> Option<Vec<(usize, Range<usize>)>> {
        let mut captures = self.regex.create_captures();
        self.regex.captures(message, &mut captures);
        captures.is_match().then_some(())?;
        let span = |index| captures.get_group_by_name(&format!("{GROUP}{index}"));
        let spans = (0..self.all.len()).filter_map(|index| Some((index, span(index)?.range())));
        Some(spans.collect())
    }

    /// The stretch with which the pattern can begin, if it can hold a whole message.
    pub(super) fn leading(&self) -> Option<&Stretch> {
        let mut leading = Vec::new();
        let _ = first(&self.hir, &mut leading);
        let mut leading = leading.into_iter().filter_map(|index| self.all.get(index));
        leading.find(|stretch| stretch.belief != Belief::Address && stretch.alphabet.is_match(ANY_MESSAGE))
    }
}

/// Where a pattern begins with what holds this, it can begin anywhere.
const ANY_MESSAGE: &str = "another message";

/// Collects the stretches with which the tree can begin; true if it can also match nothing.
fn first(hir: &Hir, found: &mut Vec<usize>) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(_) | HirKind::Class(_) => false,
        HirKind::Capture(capture) => match index_of(capture.name.as_deref()) {
            Some(index) => {
                found.push(index);
                hir.properties().minimum_len() == Some(0)
            }
            None => first(&capture.sub, found),
        },
        HirKind::Repetition(repetition) => first(&repetition.sub, found) || repetition.min == 0,
        HirKind::Concat(subs) => subs.iter().all(|sub| first(sub, found)),
        // Every branch must be looked at: no short cut by `any`.
        HirKind::Alternation(subs) => subs.iter().fold(false, |empty, sub| first(sub, found) | empty),
    }
}

fn index_of(name: Option<&str>) -> Option<usize> {
    name?.strip_prefix(GROUP)?.parse().ok()
}

fn group(hir: &Hir, index: usize) -> Option<&Hir> {
    match hir.kind() {
        HirKind::Capture(capture) if index_of(capture.name.as_deref()) == Some(index) => Some(&capture.sub),
        kind => kind.subs().iter().find_map(|sub| group(sub, index)),
    }
}

fn whole(hir: &Hir) -> Option<Regex> {
    let bare = pattern::without_captures(hir, |_| false);
    let whole = Hir::concat(vec![Hir::look(Look::Start), bare, Hir::look(Look::End)]);
    Regex::builder().configure(limits()).build_from_hir(&whole).ok()
}

fn marked(text: &str, found: &[(Range<usize>, Belief)]) -> String {
    let (mut marked, mut rest) = (String::with_capacity(text.len() * 2), 0);
    for (index, (range, _)) in found.iter().enumerate() {
        marked.push_str(text.get(rest..range.start).unwrap_or_default());
        let inside = text.get(range.clone()).unwrap_or_default();
        marked.push_str(&format!("(?P<{GROUP}{index}>{inside})"));
        rest = range.end;
    }
    marked.push_str(text.get(rest..).unwrap_or_default());
    marked
}

type Found = Vec<(Range<usize>, Belief)>;

/// Goes over a pattern from left to right.
fn walk(expanded: &Expanded, ast: &Ast, found: &mut Found) {
    match ast {
        Ast::Group(group) => match placeholder(expanded, range(ast)) {
            Some(belief) => found.push((range(ast), belief)),
            None => walk(expanded, &group.ast, found),
        },
        Ast::Repetition(inside) => repetition(expanded, ast, inside, found),
        Ast::Alternation(alternation) => alternation.asts.iter().for_each(|sub| walk(expanded, sub, found)),
        Ast::Concat(concat) => concat.asts.iter().for_each(|sub| walk(expanded, sub, found)),
        _ => {}
    }
}

fn placeholder(expanded: &Expanded, range: Range<usize>) -> Option<Belief> {
    expanded.replaced.iter().find(|(placed, _)| *placed == range)?;
    let opening = format!("(?P<{}>", pattern::ADDRESS);
    let address = expanded.text.get(range)?.starts_with(&opening);
    Some(if address { Belief::Address } else { Belief::Alphabet })
}

/// A part that may be left out is looked into; one that may come several times is one stretch.
fn repetition(expanded: &Expanded, ast: &Ast, repetition: &Repetition, found: &mut Found) {
    let mut inner = Vec::new();
    walk(expanded, &repetition.ast, &mut inner);
    if at_most_once(&repetition.op.kind) {
        found.append(&mut inner);
    } else if let Some(belief) = belief(expanded, ast, &inner) {
        found.push((range(ast), belief));
    }
}

/// `None` where a peer has no choice: fixed words, numbers, and runs of a fixed length such as `[0-9a-f]{32}` or
/// `\w{3}`; but `.{22}` states nothing.
fn belief(expanded: &Expanded, ast: &Ast, inner: &Found) -> Option<Belief> {
    if inner.iter().any(|(_, belief)| *belief == Belief::Address) {
        return Some(Belief::Nothing);
    }
    if !inner.is_empty() && inner.iter().all(|(_, belief)| *belief == Belief::Alphabet) {
        return Some(Belief::Alphabet);
    }
    let translator = TranslatorBuilder::new().unicode(false).utf8(false).build();
    let Ok(hir) = { translator }.translate(&expanded.text, ast) else {
        return Some(Belief::Nothing);
    };
    let (least, most) = (hir.properties().minimum_len(), hir.properties().maximum_len());
    let bytes = alphabet(&hir);
    let is_word = !pattern::holds(&bytes, b' ') && !pattern::holds(&bytes, b'.');
    if is_fixed_text(ast) || (is_word && least == most && most.is_some()) {
        return None;
    }
    let numeric = bytes.iter().all(|range| (range.start()..=range.end()).all(|byte| NUMERIC.contains(&byte)));
    let holds_address = pattern::holds(&bytes, b'1')
        && [b'.', b':'].iter().any(|&byte| pattern::holds(&bytes, byte))
        && most.is_none_or(|most| most >= SHORTEST_ADDRESS);
    match numeric {
        true => holds_address.then_some(Belief::Alphabet),
        false => Some(Belief::Nothing),
    }
}

fn range(ast: &Ast) -> Range<usize> {
    ast.span().start.offset..ast.span().end.offset
}

fn at_most_once(kind: &RepetitionKind) -> bool {
    matches!(
        kind,
        RepetitionKind::ZeroOrOne
            | RepetitionKind::Range(RepetitionRange::Exactly(0 | 1) | RepetitionRange::Bounded(_, 0 | 1))
    )
}

/// Whether the part consists of letters only, with no class that leaves a choice.
fn is_fixed_text(ast: &Ast) -> bool {
    match ast {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Literal(_) | Ast::Assertion(_) => true,
        Ast::Repetition(repetition) => is_fixed_text(&repetition.ast),
        Ast::Group(group) => is_fixed_text(&group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter().all(is_fixed_text),
        Ast::Concat(concat) => concat.asts.iter().all(is_fixed_text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pattern: &str) -> Vec<(String, Belief)> {
        let fields = [("NAME".to_owned(), "[a-z]+".to_owned())];
        let stretches = Stretches::of(pattern, &fields).unwrap();
        stretches.all.into_iter().map(|stretch| (stretch.text, stretch.belief)).collect()
    }

    #[test]
    fn what_a_peer_may_choose_is_a_stretch_and_numbers_and_fixed_words_are_not() {
        use Belief::{Address, Alphabet, Nothing};
        for (pattern, text, belief) in [
            (r"^for \w+ x$", r"\w+", Nothing),
            (r"(?i)^for [a-z]{1,3} x$", r"[a-z]{1,3}", Nothing),
            (r"(?x)^ for\ \S+? \ x $", r"\S+?", Nothing),
            (r"^(?:a \w+)? x$", r"\w+", Nothing),
            (r"^(?:\w+ )+x$", r"(?:\w+ )+", Nothing),
            (r"^(?:\w+\.?)+x$", r"(?:\w+\.?)+", Nothing),
            (r"^(?P<USER>\S+) x$", r"\S+", Nothing),
            (r"^\S{3} x$", r"\S{3}", Nothing),
            (r"^.{22} x$", r".{22}", Nothing),
            (r"^(?:<NAME>, )+x$", r"(?:<NAME>, )+", Alphabet),
            (r"^(?:<NAME>, \w+)+x$", r"(?:<NAME>, \w+)+", Nothing),
            (r"^<NAME> x$", r"<NAME>", Alphabet),
            (r"^[\d.]+ x$", r"[\d.]+", Alphabet),
            (r"^<ADDR> x$", r"<ADDR>", Address),
            (r"^<HOST> x$", r"<HOST>", Address),
        ] {
            assert_eq!(found(pattern), [(text.to_owned(), belief)], "{pattern}");
            let fixed = pattern.replace('x', r"\d{1,5}:[-\d]+\s*\w{3}(?:ab|cd )+[a-z]?");
            if !pattern.starts_with("(?") {
                assert_eq!(found(&fixed), [(text.to_owned(), belief)], "{fixed}");
            }
        }
    }

    #[test]
    fn a_pattern_that_can_begin_with_any_text_is_seen() {
        let leading = |pattern: &str| {
            let stretches = Stretches::of(pattern, &[("NAME".to_owned(), "[^:]*".to_owned())]).unwrap();
            stretches.leading().map(|stretch| stretch.text.clone())
        };
        for (pattern, stretch) in [
            ("^.*from <ADDR>$", ".*"),
            ("^(?:error: )?(?:.*: )?from <ADDR>$", ".*"),
            ("^<NAME>: from <ADDR>$", "<NAME>"),
            ("^(?:a|[^:]+) from <ADDR>$", "[^:]+"),
        ] {
            assert_eq!(leading(pattern).as_deref(), Some(stretch), "{pattern}");
        }
        for pattern in ["^a.*from <ADDR>$", r"^\S+ from <ADDR>$", "^<ADDR> .*$", r"^\[.*\] <ADDR>$"] {
            assert_eq!(leading(pattern), None, "{pattern}");
        }
    }
}
