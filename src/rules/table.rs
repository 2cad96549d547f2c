//! A dense automaton written out as a table: states as rows, classes of bytes as columns.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

type Dense = dense::DFA<Vec<u32>>;

/// Above all states: entries from here on are no states.
pub(super) const STOP: u32 = 1 << 31;

/// The entry of all bytes behind which nothing can match.
pub(super) const DEAD: u32 = STOP;

/// More pairs of states than a proof about patterns that a person wrote needs.
const LONGEST_PROOF: usize = 20_000;

/// An automaton for patterns that are anchored at both ends.
#[derive(Debug)]
pub(super) struct Table {
    /// A row for each state. A state is the index of its row's beginning.
    pub(super) next: Vec<u32>,
    pub(super) class: [u8; 256],
    /// The length of a row.
    pub(super) row: usize,
    pub(super) start: u32,
    /// For each row the pattern that matches if the message ends there.
    pub(super) ends: Vec<Option<u32>>,
}

impl Table {
    /// Takes over a dense automaton; `None` if it may give up (none of ours does) or is too large to be numbered.
    pub(super) fn new(dense: &Dense) -> Option<Self> {
        let start = dense.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let classes = dense.byte_classes();
        let bytes: Vec<u8> =
            classes.representatives(..).filter_map(regex_automata::util::alphabet::Unit::as_u8).collect();
        let (states, numbers) = reached(dense, start, &bytes)?;
        let row = bytes.len();
        let entry = |state| numbers[place(dense, state)].map_or(DEAD, |number| number * narrow(row));
        let entries = states.iter().flat_map(|&state| bytes.iter().map(move |&byte| (state, byte)));
        Some(Self {
            next: entries.map(|(state, byte)| entry(dense.next_state(state, byte))).collect(),
            class: std::array::from_fn(|byte| classes.get(byte.to_le_bytes()[0])),
            row,
            start: 0,
            ends: states.iter().map(|&state| pattern_at_end(dense, state)).collect(),
        })
    }

    /// The entry behind a state and a byte.
    pub(super) fn step(&self, state: u32, byte: u8) -> u32 {
        self.next[state as usize + usize::from(self.class[usize::from(byte)])]
    }

    /// The pattern that matches if the message ends in this state.
    pub(super) fn end(&self, state: u32) -> Option<u32> {
        self.ends[state as usize / self.row]
    }

    /// The row of a state.
    pub(super) fn entries(&self, state: u32) -> &[u32] {
        &self.next[state as usize..][..self.row]
    }

    pub(super) fn states(&self) -> impl Iterator<Item = u32> + use<> {
        (0..narrow(self.next.len())).step_by(self.row)
    }

    /// The state behind a text, if something can still match there.
    pub(super) fn walk(&self, state: u32, text: &[u8]) -> Option<u32> {
        text.iter()
            .try_fold(state, |state, &byte| Some(self.step(state, byte)).filter(|next| next & STOP == 0))
    }

    /// Whether from `state` on every text that `other` matches ends in a match of `pattern`: both are walked at once,
    /// over all pairs of states that any text can lead to.
    pub(super) fn includes(&self, state: u32, other: &Self, pattern: u32) -> bool {
        let bytes = self.distinct_bytes(other);
        let mut pairs: HashSet<(u32, u32), RandomState> = HashSet::from_iter([(state, other.start)]);
        let mut waiting = vec![(state, other.start)];
        while let Some((mine, its)) = waiting.pop() {
            if other.end(its).is_some() && self.end(mine) != Some(pattern) {
                return false;
            }
            for &byte in &bytes {
                let next = (self.step(mine, byte), other.step(its, byte));
                if next.1 & STOP != 0 {
                    continue;
                }
                if next.0 & STOP != 0 || pairs.len() > LONGEST_PROOF {
                    return false;
                }
                if pairs.insert(next) {
                    waiting.push(next);
                }
            }
        }
        true
    }

    /// One byte for each pair of classes.
    fn distinct_bytes(&self, other: &Self) -> Vec<u8> {
        let class = |byte: &u8| (self.class[usize::from(*byte)], other.class[usize::from(*byte)]);
        let mut seen = HashSet::<_, RandomState>::default();
        (0..=255).filter(|byte| seen.insert(class(byte))).collect()
    }
}

/// The states that messages can reach, and where [`place`] puts each, its number among them.
fn reached(dense: &Dense, start: StateID, bytes: &[u8]) -> Option<(Vec<StateID>, Vec<Option<u32>>)> {
    let (mut states, mut numbers) = (vec![start], Vec::new());
    *at_place(&mut numbers, place(dense, start)) = Some(0);
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        for &byte in bytes {
            let next = dense.next_state(state, byte);
            if dense.is_quit_state(next) || states.len() * bytes.len() >= STOP as usize {
                return None;
            }
            let number = at_place(&mut numbers, place(dense, next));
            if number.is_none() && !dense.is_dead_state(next) {
                *number = Some(narrow(states.len()));
                states.push(next);
            }
        }
        at += 1;
    }
    Some((states, numbers))
}

/// The number that the dense automaton itself gives to a state; its ids are those times the length of a row.
fn place(dense: &Dense, state: StateID) -> usize {
    state.as_usize() >> dense.stride2()
}

fn at_place(numbers: &mut Vec<Option<u32>>, place: usize) -> &mut Option<u32> {
    if place >= numbers.len() {
        numbers.resize(place + 1, None);
    }
    &mut numbers[place]
}

fn pattern_at_end(dense: &Dense, state: StateID) -> Option<u32> {
    let end = dense.next_eoi_state(state);
    dense.is_match_state(end).then(|| dense.match_pattern(end, 0).as_u32())
}

pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("states are counted to stay below 2^31")
}

#[cfg(test)]
mod tests {
    use super::super::{compile, pattern};
    use super::*;

    fn table(patterns: &[&str]) -> Table {
        let hirs: Vec<_> = patterns.iter().map(|text| pattern::read(text, &[]).unwrap()).collect();
        Table::new(&compile::dense(&hirs).unwrap()).unwrap()
    }

    #[test]
    fn a_part_of_a_language_is_proven_to_be_one() {
        let whole = table(&["^a [^:]* from \\d+$", "^b [^:]* from \\d+$"]);
        let behind_a = whole.walk(whole.start, b"a ").unwrap();
        let ending = table(&["^[^:]* from \\d+$"]);
        assert!(whole.includes(behind_a, &ending, 0));
        assert!(!whole.includes(behind_a, &ending, 1), "it is the other pattern's");
        assert!(!whole.includes(behind_a, &table(&["^.* from \\d+$"]), 0), "a colon may be in it");
        assert!(!whole.includes(behind_a, &table(&["^[^:]* from \\d*$"]), 0), "the number may be missing");
    }

    #[test]
    fn an_earlier_pattern_that_may_match_as_well_is_seen() {
        let whole = table(&["^a root from \\d+$", "^a [^:]* from \\d+$"]);
        let behind_a = whole.walk(whole.start, b"a ").unwrap();
        assert!(!whole.includes(behind_a, &table(&["^[^:]* from \\d+$"]), 1));
        assert!(whole.includes(behind_a, &table(&["^admin from \\d+$"]), 1));
    }
}
