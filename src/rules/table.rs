//! An automaton as a table: states as rows, classes of bytes as columns.

use std::collections::HashSet;

use foldhash::fast::RandomState;

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

pub(super) fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("states are counted to stay below 2^31")
}

#[cfg(test)]
mod tests {
    use super::super::{pattern, subsets};
    use super::*;

    fn table(patterns: &[&str]) -> Table {
        let hirs: Vec<_> = patterns.iter().map(|text| pattern::read(text, &[]).unwrap()).collect();
        subsets::table(&hirs).unwrap()
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
