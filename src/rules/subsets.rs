//! From patterns to a table: the subset construction.
//!
//! `regex-automata` builds such automata from any patterns, byte class by byte class. Ours are all anchored at both ends:
//! which of them match is known at the end of the message only, and then the first listed is the answer, so that the
//! order of the ways through a pattern does not matter. What is left is to go from transition to transition, in a fifth
//! of the time, which every command that reads a log spends at its start.

use std::collections::HashMap;
use std::rc::Rc;

use foldhash::fast::RandomState;
use regex_automata::nfa::thompson::{self, NFA, State, Transition, WhichCaptures};
use regex_automata::util::alphabet::Unit;
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;

use super::table::{DEAD, Table, narrow};

/// A pattern written by a person compiles to some kilobytes; this refuses `\w{500}{500}`.
pub(super) const NFA_LIMIT: usize = 2 << 20;

/// The tables of a set may take this much, in entries of four bytes; a set beyond it is matched by the general engine.
/// The shipped sshd set takes 0.5 million.
const MOST_ENTRIES: usize = 1 << 20;

/// All places in the patterns where a message may be.
#[derive(PartialEq, Eq, Hash)]
struct Subset {
    /// Those that wait for a byte, sorted.
    places: Box<[StateID]>,
    /// The first pattern that matches if the message ends here.
    end: Option<u32>,
}

struct Subsets {
    nfa: NFA,
    /// The length of a row: one entry for each class of bytes.
    row: usize,
    numbers: HashMap<Rc<Subset>, u32, RandomState>,
    /// In the order of their numbers.
    found: Vec<Rc<Subset>>,
    /// Their places, all together.
    places: usize,
    /// When each place was last seen: a number that grows with each subset, and is odd for "not only at the end".
    seen: Vec<u32>,
    round: u32,
    /// Places to be looked at, and whether only at the end; empty between two uses.
    waiting: Vec<(StateID, bool)>,
    /// Where places are gathered.
    reached: Vec<StateID>,
}

/// The table of patterns that are anchored at both ends; `None` where they are too many or need more than that to be
/// looked at around a byte (`\b`).
pub(super) fn table(hirs: &[Hir]) -> Option<Table> {
    Subsets::new(nfa(hirs).ok()?)?.table()
}

/// All ways through the patterns; an error where they take too much memory.
pub(super) fn nfa(hirs: &[Hir]) -> Result<NFA, String> {
    let config =
        NFA::config().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_LIMIT));
    thompson::Compiler::new().configure(config).build_many_from_hir(hirs).map_err(|error| error.to_string())
}

impl Subsets {
    fn new(nfa: NFA) -> Option<Self> {
        let known = |look| matches!(look, Look::Start | Look::End);
        let seen = vec![0; nfa.states().len()];
        let row = nfa.byte_classes().alphabet_len() - 1;
        let (numbers, found) = (HashMap::default(), Vec::new());
        nfa.look_set_any().iter().all(known).then_some(Self {
            nfa,
            row,
            numbers,
            found,
            places: 0,
            seen,
            round: 0,
            waiting: Vec::new(),
            reached: Vec::new(),
        })
    }

    fn table(mut self) -> Option<Table> {
        let start = self.behind(&[self.nfa.start_anchored()], true);
        self.number(start);
        let (mut next, mut at, mut targets) = (Vec::new(), 0, vec![Vec::new(); self.row]);
        while let Some(subset) = self.found.get(at).cloned() {
            targets.iter_mut().for_each(Vec::clear);
            subset.places.iter().for_each(|&place| self.add_targets(place, &mut targets));
            self.add_row(&targets, &mut next);
            if self.found.len() * self.row + self.places > MOST_ENTRIES {
                return None;
            }
            at += 1;
        }
        let class = std::array::from_fn(|byte| self.nfa.byte_classes().get(byte.to_le_bytes()[0]));
        let ends = self.found.iter().map(|subset| subset.end).collect();
        Some(Table { next, class, row: self.row, start: 0, ends })
    }

    /// Adds one entry for each class of bytes; neighbours often lead to the same places.
    fn add_row(&mut self, targets: &[Vec<StateID>], next: &mut Vec<u32>) {
        let (mut last, mut entry): (&[StateID], u32) = (&[], DEAD);
        for targets in targets {
            if targets.is_empty() {
                entry = DEAD;
            } else if targets != last {
                let behind = self.behind(targets, false);
                entry = self.number(behind) * narrow(self.row);
            }
            next.push(entry);
            last = targets;
        }
    }

    /// Where the bytes lead to from one place, by their classes: these are in the order of the bytes.
    fn add_targets(&self, place: StateID, targets: &mut [Vec<StateID>]) {
        let classes = self.nfa.byte_classes();
        let mut add = |Transition { start, end, next }: Transition| {
            let reached = usize::from(classes.get(start))..=usize::from(classes.get(end));
            targets[reached].iter_mut().for_each(|targets| targets.push(next));
        };
        match self.nfa.state(place) {
            State::ByteRange { trans } => add(*trans),
            State::Sparse(sparse) => sparse.transitions.iter().copied().for_each(add),
            // One byte of each class stands for all.
            State::Dense(dense) => classes.representatives(..).filter_map(Unit::as_u8).for_each(|byte| {
                let next = dense.matches_byte(byte);
                next.into_iter().for_each(|next| add(Transition { start: byte, end: byte, next }));
            }),
            _ => {}
        }
    }

    /// All places that are reached from these without a byte.
    fn behind(&mut self, from: &[StateID], at_start: bool) -> Subset {
        self.round += 2;
        let mut waiting = std::mem::take(&mut self.waiting);
        waiting.extend(from.iter().map(|&place| (place, false)));
        let (mut places, mut end) = (std::mem::take(&mut self.reached), None);
        places.clear();
        while let Some((place, at_end)) = waiting.pop() {
            let round = self.round + u32::from(!at_end);
            if self.seen[place] >= round {
                continue;
            }
            self.seen[place] = round;
            match self.nfa.state(place) {
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) if !at_end => places.push(place),
                State::ByteRange { .. } | State::Sparse(_) | State::Dense(_) | State::Fail => {}
                State::Look { look: Look::Start, next } => {
                    waiting.extend(at_start.then_some((*next, at_end)));
                }
                State::Look { next, .. } => waiting.push((*next, true)),
                State::Union { alternates } => waiting.extend(alternates.iter().map(|&next| (next, at_end))),
                State::BinaryUnion { alt1, alt2 } => waiting.extend([(*alt1, at_end), (*alt2, at_end)]),
                State::Capture { next, .. } => waiting.push((*next, at_end)),
                State::Match { pattern_id } => {
                    let pattern = pattern_id.as_u32();
                    end = Some(end.map_or(pattern, |first: u32| first.min(pattern)));
                }
            }
        }
        places.sort_unstable();
        let subset = Subset { places: places.as_slice().into(), end };
        (self.waiting, self.reached) = (waiting, places);
        subset
    }

    fn number(&mut self, subset: Subset) -> u32 {
        if let Some(number) = self.numbers.get(&subset) {
            return *number;
        }
        let (subset, number) = (Rc::new(subset), narrow(self.found.len()));
        self.places += subset.places.len();
        self.numbers.insert(Rc::clone(&subset), number);
        self.found.push(subset);
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern;
    use super::*;

    fn hirs(patterns: &[&str]) -> Vec<Hir> {
        patterns.iter().map(|text| pattern::read(text, &[]).unwrap()).collect()
    }

    fn answer(table: &Table, message: &[u8]) -> Option<usize> {
        table.walk(table.start, message).and_then(|state| table.end(state)).map(|pattern| pattern as usize)
    }

    #[test]
    fn the_first_listed_of_several_that_match_is_the_answer() {
        let table = table(&hirs(&["^Failed password$", "^Failed .*$", "^(?:Failed)?$"])).unwrap();
        let which = |message: &str| answer(&table, message.as_bytes());
        assert_eq!(which("Failed password"), Some(0));
        assert_eq!(which("Failed passwords"), Some(1));
        assert_eq!((which("Failed"), which("")), (Some(2), Some(2)));
        assert_eq!((which("Faile"), which("failed password")), (None, None));
    }

    #[test]
    fn what_looks_at_both_sides_of_a_byte_or_is_too_large_is_left_to_the_general_engine() {
        for text in [r"^a\b.*$", "^[ab]*a[ab]{16}$"] {
            assert!(table(&hirs(&[text])).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_message_is_answered_as_by_the_regex_crate(
            patterns in prop::collection::vec("\\^(a|b|[ab]|\\(a\\|bb\\)|\\[\\^a\\]|\\.|c\\{1,3\\}|\\(a\\*b\\)\\?|b\\+|\\$|\\^){0,6}\\$", 1..5),
            messages in prop::collection::vec("[abc\\n]{0,8}", 20),
        ) {
            let texts: Vec<&str> = patterns.iter().map(String::as_str).collect();
            let whole: Vec<_> = texts.iter().map(|text| regex::bytes::Regex::new(&format!("(?-u){text}")).unwrap()).collect();
            let table = table(&hirs(&texts)).unwrap();
            for message in &messages {
                let expected = whole.iter().position(|regex| regex.is_match(message.as_bytes()));
                prop_assert_eq!(answer(&table, message.as_bytes()), expected, "{:?} {:?}", texts, message);
            }
        }
    }
}
