//! Finds the stretches of a pattern: its placeholders, and the parts that leave the program a choice ([`choice`]).
//!
//! The smallest such parts are stretches: going up from the leaves, each part is examined without the stretches in it, so
//! that a run is found in whatever groups it stands, with the flags that apply there.

use std::ops::Range;

use regex_syntax::ast::{self, Ast, Flag, GroupKind, RepetitionKind, RepetitionRange};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, Repetition};

use super::super::choice;
use super::super::pattern::{self, Expanded};

/// Prefix of the names of the groups around stretches, see [`super::super::pattern::own_groups::RESERVED`].
pub(super) const GROUP: &str = "portcullis_stretch_";

/// A stretch of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Its source text: `\w+`, `<USER>`.
    pub(super) text: String,
    /// Its offset in the pattern, in bytes.
    pub(super) at: usize,
    /// Whether its content is known: a placeholder, whose alphabet the rule set claims, or a part of the timestamp.
    pub(super) is_claimed: bool,
}

/// A stretch as it stands in the expanded pattern.
pub(super) struct RunSpan {
    range: Range<usize>,
    is_claimed: bool,
    /// Flags that are set in it and apply behind it.
    flags: String,
}

impl RunSpan {
    pub(super) fn stretch(&self, pattern: &str, expanded: &Expanded) -> Stretch {
        let start = expanded.source_of(self.range.start);
        let end = expanded.source_of(self.range.end);
        let text = pattern.get(start..end).unwrap_or_default().to_owned();
        Stretch { text, at: start, is_claimed: self.is_claimed }
    }
}

/// The stretches from left to right; adjacent ones are merged.
pub(super) fn places(expanded: &Expanded, ast: &Ast) -> Vec<RunSpan> {
    let mut finder = Finder { expanded, any_case: false, found: Vec::new() };
    finder.look_at(ast);
    finder.found.dedup_by(is_continued);
    finder.found
}

/// The pattern with a group around each stretch.
pub(super) fn marked(text: &str, found: &[RunSpan]) -> String {
    let mut marked = String::with_capacity(text.len() * 2);
    let mut rest = 0;
    for (index, place) in found.iter().enumerate() {
        marked.push_str(text.get(rest..place.range.start).unwrap_or_default());
        let inside = text.get(place.range.clone()).unwrap_or_default();
        marked.push_str(&format!("(?P<{GROUP}{index}>{inside}){}", place.flags));
        rest = place.range.end;
    }
    marked.push_str(text.get(rest..).unwrap_or_default());
    marked
}

struct Finder<'e> {
    expanded: &'e Expanded,
    /// Whether the flag `i` is in force.
    any_case: bool,
    found: Vec<RunSpan>,
}

/// What is known of a part.
struct Seen {
    /// The part without stretches and placeholders; `None` if every text of it has one.
    rest: Option<Hir>,
    /// Whether it consists of stretches without a claim only.
    is_stretch: bool,
    /// Whether the address or the session id may stand in it: these stay parts of their own.
    has_mark: bool,
}

impl Seen {
    fn may_be_empty(&self) -> bool {
        self.rest.as_ref().is_some_and(choice::may_be_empty)
    }

    fn fixed(hir: Hir) -> Self {
        Self { rest: Some(hir), is_stretch: false, has_mark: false }
    }

    /// A part that others of the pattern do not see into.
    fn hidden(may_be_empty: bool) -> Self {
        let rest = may_be_empty.then(Hir::empty);
        Self { rest, is_stretch: false, has_mark: false }
    }
}

impl Finder<'_> {
    fn look_at(&mut self, ast: &Ast) -> Seen {
        match ast {
            Ast::Flags(set) => {
                self.set_flags(&set.flags);
                Seen::fixed(Hir::empty())
            }
            Ast::Empty(_) | Ast::Assertion(_) => Seen::fixed(Hir::empty()),
            Ast::Group(group) => self.look_at_group(group, &range(ast)),
            Ast::Repetition(repetition) => self.look_at_repetition(repetition, &range(ast)),
            Ast::Alternation(alternation) => self.look_at_alternation(alternation, &range(ast)),
            Ast::Concat(concat) => self.look_at_row(&concat.asts),
            _ => self.look_at_leaf(ast),
        }
    }

    fn look_at_leaf(&mut self, ast: &Ast) -> Seen {
        let mut builder = TranslatorBuilder::new();
        builder.unicode(false).utf8(false).case_insensitive(self.any_case);
        match builder.build().translate(&self.expanded.text, ast) {
            Ok(hir) if !choice::is_run(&hir) => Seen::fixed(hir),
            _ => self.stretch(range(ast), false),
        }
    }

    fn look_at_group(&mut self, group: &ast::Group, range: &Range<usize>) -> Seen {
        if let Some(placeholder) = placeholder(self.expanded, range) {
            if matches!(placeholder, Placeholder::Session | Placeholder::Claimed) {
                self.found.push(RunSpan { range: range.clone(), is_claimed: true, flags: String::new() });
            }
            let hir = self.expanded.text.get(range.clone()).and_then(pattern::read_expanded);
            let seen = Seen::hidden(hir.is_some_and(|hir| choice::may_be_empty(&hir)));
            return Seen {
                has_mark: matches!(placeholder, Placeholder::Address | Placeholder::Session),
                ..seen
            };
        }
        let before = self.any_case;
        if let GroupKind::NonCapturing(flags) = &group.kind {
            self.set_flags(flags);
        }
        let seen = self.look_at(&group.ast);
        self.any_case = before;
        if seen.is_stretch { self.stretch(range.clone(), seen.rest.is_some()) } else { seen }
    }

    fn look_at_repetition(&mut self, repetition: &ast::Repetition, range: &Range<usize>) -> Seen {
        let sub = self.look_at(&repetition.ast);
        let (min, max) = bounds(&repetition.op.kind);
        let may_be_empty = min == 0 || sub.may_be_empty();
        if sub.is_stretch {
            return self.stretch(range.clone(), may_be_empty);
        }
        let Some(rest) = sub.rest else {
            return Seen { has_mark: sub.has_mark, ..Seen::hidden(may_be_empty) };
        };
        let hir = Hir::repetition(Repetition { min, max, greedy: true, sub: Box::new(rest) });
        // An address is never repeated, except by `?`, which adds no choice.
        if !sub.has_mark && choice::is_run(&hir) {
            return self.stretch(range.clone(), may_be_empty);
        }
        Seen { rest: Some(hir), ..sub }
    }

    fn look_at_alternation(&mut self, alternation: &ast::Alternation, whole: &Range<usize>) -> Seen {
        let seen: Vec<Seen> = alternation.asts.iter().map(|branch| self.look_at(branch)).collect();
        let rests: Vec<Hir> = seen.iter().filter_map(|branch| branch.rest.clone()).collect();
        let hir = (!rests.is_empty()).then(|| Hir::alternation(rests));
        let may_be_empty = hir.as_ref().is_some_and(choice::may_be_empty);
        let has_mark = seen.iter().any(|branch| branch.has_mark);
        let is_run = hir.as_ref().is_some_and(choice::is_run);
        if seen.iter().all(|branch| branch.is_stretch) || is_run && !has_mark {
            return self.stretch(whole.clone(), may_be_empty);
        }
        if is_run {
            let branches = alternation.asts.iter().zip(&seen);
            for (branch, _) in branches.filter(|(_, seen)| seen.rest.is_some() && !seen.has_mark) {
                let parts =
                    if let Ast::Concat(row) = branch { &row.asts } else { std::slice::from_ref(branch) };
                self.add(range(branch), self.flags_in(parts));
            }
            return Seen { has_mark, ..Seen::hidden(may_be_empty) };
        }
        Seen { rest: hir, is_stretch: false, has_mark }
    }

    fn look_at_row(&mut self, parts: &[Ast]) -> Seen {
        let mut row: Vec<Seen> = parts.iter().map(|part| self.look_at(part)).collect();
        if row.iter().all(|part| part.is_stretch) {
            return self.stretch(span(parts), row.iter().all(Seen::may_be_empty));
        }
        while let Some(run) = last_run(&row) {
            let may_be_empty = row[run.clone()].iter().all(Seen::may_be_empty);
            self.add(span(&parts[run.clone()]), self.flags_in(&parts[run.clone()]));
            row[run].iter_mut().for_each(|part| *part = Seen::hidden(may_be_empty));
        }
        let rests: Option<Vec<Hir>> = row.iter().map(|part| part.rest.clone()).collect();
        let has_mark = row.iter().any(|part| part.has_mark);
        Seen { rest: rests.map(Hir::concat), is_stretch: false, has_mark }
    }

    fn set_flags(&mut self, flags: &ast::Flags) {
        self.any_case = flags.flag_state(Flag::CaseInsensitive).unwrap_or(self.any_case);
    }

    /// The flags that are set in a row for what follows.
    fn flags_in(&self, parts: &[Ast]) -> String {
        let flags = parts.iter().filter(|part| matches!(part, Ast::Flags(_)));
        flags.filter_map(|part| self.expanded.text.get(range(part))).collect()
    }

    fn stretch(&mut self, range: Range<usize>, may_be_empty: bool) -> Seen {
        self.add(range, String::new());
        Seen { is_stretch: true, ..Seen::hidden(may_be_empty) }
    }

    /// Makes a part one stretch, including all that were found in it.
    fn add(&mut self, range: Range<usize>, flags: String) {
        self.found.retain(|place| place.range.end <= range.start || range.end <= place.range.start);
        let at = self.found.partition_point(|place| place.range.start < range.start);
        self.found.insert(at, RunSpan { range, is_claimed: false, flags });
    }
}

/// Whether a stretch continues another, so that both are one.
fn is_continued(next: &mut RunSpan, last: &mut RunSpan) -> bool {
    let is_claimed = last.is_claimed || next.is_claimed;
    let is_one = !is_claimed && last.flags.is_empty() && last.range.end == next.range.start;
    if is_one {
        last.range.end = next.range.end;
        last.flags = std::mem::take(&mut next.flags);
    }
    is_one
}

/// The last parts of a row that together are a run; as few as possible.
fn last_run(row: &[Seen]) -> Option<Range<usize>> {
    let is_run = |parts: &[Seen]| {
        choice::is_run(&Hir::concat(parts.iter().filter_map(|part| part.rest.clone()).collect()))
    };
    let is_visible = |part: &Seen| part.rest.is_some() && !part.has_mark;
    let mut end = row.len();
    while end > 0 {
        let start = row[..end].iter().rposition(|part| !is_visible(part)).map_or(0, |at| at + 1);
        if is_run(&row[start..end]) {
            let first = (start..end).rev().find(|&first| is_run(&row[first..end])).unwrap_or(start);
            let last = (first + 1..=end).find(|&last| is_run(&row[first..last])).unwrap_or(end);
            return Some(first..last);
        }
        end = start.saturating_sub(1);
    }
    None
}

/// The text that a placeholder stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Placeholder {
    /// Text written by the logger.
    Time,
    Address,
    /// The session id, with its alphabet.
    Session,
    /// Text of an alphabet that the rule set claims.
    Claimed,
}

fn placeholder(expanded: &Expanded, range: &Range<usize>) -> Option<Placeholder> {
    expanded.replaced.iter().find(|(placed, _)| placed == range)?;
    let name = expanded.text.get(range.clone())?.strip_prefix("(?P<").and_then(|rest| rest.split('>').next());
    Some(match name.map(pattern::placeholder_of) {
        None => Placeholder::Time,
        Some(name) if pattern::is_address_name(name) => Placeholder::Address,
        Some(pattern::SESSION) => Placeholder::Session,
        Some(_) => Placeholder::Claimed,
    })
}

fn bounds(kind: &RepetitionKind) -> (u32, Option<u32>) {
    match *kind {
        RepetitionKind::ZeroOrOne => (0, Some(1)),
        RepetitionKind::ZeroOrMore => (0, None),
        RepetitionKind::OneOrMore => (1, None),
        RepetitionKind::Range(RepetitionRange::Exactly(times)) => (times, Some(times)),
        RepetitionKind::Range(RepetitionRange::AtLeast(min)) => (min, None),
        RepetitionKind::Range(RepetitionRange::Bounded(min, max)) => (min, Some(max)),
    }
}

fn range(ast: &Ast) -> Range<usize> {
    ast.span().start.offset..ast.span().end.offset
}

/// The range from the first of some parts to the last.
fn span(parts: &[Ast]) -> Range<usize> {
    let ends = parts.first().zip(parts.last());
    ends.map_or(0..0, |(first, last)| range(first).start..range(last).end)
}
