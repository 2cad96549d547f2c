//! The automaton that says which pattern matches a message: one load a byte, and less where only one text leads on.
//!
//! It is the dense automaton of `regex-automata`, written out anew. Long stretches of a pattern are plain text: behind
//! `F` and `a` of `Failed password for` every other byte ends the search. Such a text is compared as a whole.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

/// Marks an entry of [`Automaton::next`] that is no state: the other bits are an index into [`Automaton::stops`].
const STOP: u32 = 1 << 31;

/// The entry of all bytes behind which nothing can match.
const DEAD: u32 = STOP;

/// A shorter text is not worth the call that compares it.
const WORTH_COMPARING: usize = 4;

/// How far a text is followed; patterns that a person wrote have no longer one.
const LONGEST_TEXT: usize = 256;

/// Says which of several patterns, all anchored at both ends, is the first that matches a whole message.
#[derive(Debug)]
pub(super) struct Automaton {
    /// A row for each state, with an entry for each class of bytes. A state is the index of its row's beginning.
    next: Vec<u32>,
    class: [u8; 256],
    row: usize,
    start: u32,
    stops: Vec<Stop>,
    /// For each row the pattern that matches if the message ends there.
    ends: Vec<Option<u32>>,
}

#[derive(Debug)]
enum Stop {
    Dead,
    /// Nothing can match but what goes on with this text, and then in this state.
    Text(Box<[u8]>, u32),
}

impl Automaton {
    /// Takes over a dense automaton; `None` if it may give up (none of ours does) or is too large to be numbered.
    pub(super) fn new(dense: &dense::DFA<Vec<u32>>) -> Option<Self> {
        let start = dense.start_state(&start::Config::new().anchored(Anchored::Yes)).ok()?;
        let classes = dense.byte_classes();
        let bytes: Vec<u8> =
            classes.representatives(..).filter_map(regex_automata::util::alphabet::Unit::as_u8).collect();
        let (states, numbers) = reached(dense, start, &bytes)?;
        let row = bytes.len();
        let entry = |state: StateID| numbers.get(&state).map_or(DEAD, |&number| number * narrow(row));
        let entries = states.iter().flat_map(|&state| bytes.iter().map(move |&byte| (state, byte)));
        let mut automaton = Self {
            next: entries.map(|(state, byte)| entry(dense.next_state(state, byte))).collect(),
            class: std::array::from_fn(|byte| classes.get(byte.to_le_bytes()[0])),
            row,
            start: 0,
            stops: vec![Stop::Dead],
            ends: states.iter().map(|&state| pattern_at_end(dense, state)).collect(),
        };
        automaton.compare_texts();
        automaton.sort();
        Some(automaton)
    }

    /// The first pattern that matches the message from its start to its end.
    pub(super) fn which(&self, message: &[u8]) -> Option<usize> {
        let (mut state, mut rest) = (self.start, message);
        loop {
            while state & STOP == 0 {
                let Some((byte, behind)) = rest.split_first() else { return self.end(state) };
                state = self.next[state as usize + usize::from(self.class[usize::from(*byte)])];
                rest = behind;
            }
            match &self.stops[(state ^ STOP) as usize] {
                Stop::Dead => return None,
                Stop::Text(text, behind) => (state, rest) = (*behind, rest.strip_prefix(&**text)?),
            }
        }
    }

    /// Heap bytes, but for the texts.
    pub(super) fn memory_usage(&self) -> usize {
        size_of_val(&*self.next) + size_of_val(&*self.ends) + size_of_val(&*self.stops)
    }

    fn end(&self, state: u32) -> Option<usize> {
        self.ends[state as usize / self.row].map(|pattern| pattern as usize)
    }

    /// Puts a stop where a text begins. The states within it are not reached any more.
    fn compare_texts(&mut self) {
        let only: Vec<Option<(u8, u32)>> = (0..self.ends.len()).map(|state| self.only_way(state)).collect();
        let mut begun = HashMap::default();
        for state in (0..only.len()).filter(|&state| only[state].is_none()) {
            for entry in state * self.row..(state + 1) * self.row {
                self.next[entry] = self.text_at(self.next[entry], &only, &mut begun);
            }
        }
        self.start = self.text_at(self.start, &only, &mut begun);
    }

    /// The byte and the state it leads to, if the message cannot end here nor go on with another.
    fn only_way(&self, state: usize) -> Option<(u8, u32)> {
        let entries = &self.next[state * self.row..][..self.row];
        let mut alive = (0..).zip(entries).filter(|(_, entry)| **entry != DEAD);
        let ((class, &next), None, None) = (alive.next()?, alive.next(), self.ends[state]) else {
            return None;
        };
        let mut bytes = (0..=255).filter(|&byte| self.class[usize::from(byte)] == class);
        Some((bytes.next()?, next)).filter(|_| bytes.next().is_none())
    }

    /// The stop that stands for the entry if a text begins there, or the entry itself.
    fn text_at(
        &mut self,
        entry: u32,
        only: &[Option<(u8, u32)>],
        begun: &mut HashMap<u32, u32, RandomState>,
    ) -> u32 {
        if entry & STOP != 0 {
            return entry;
        }
        if let Some(&stop) = begun.get(&entry) {
            return stop;
        }
        let (mut text, mut state) = (Vec::new(), entry);
        while let Some((byte, next)) = only[state as usize / self.row].filter(|_| text.len() < LONGEST_TEXT) {
            text.push(byte);
            state = next;
        }
        let stop = if text.len() < WORTH_COMPARING {
            entry
        } else {
            self.stops.push(Stop::Text(text.into(), state));
            STOP | narrow(self.stops.len() - 1)
        };
        begun.insert(entry, stop);
        stop
    }
}

impl Automaton {
    /// Puts the states into the order in which a message goes through them, and drops those that none reaches: so
    /// those of one kind of message lie together.
    fn sort(&mut self) {
        let (mut order, mut rows, mut waiting) = (Vec::new(), vec![None; self.ends.len()], vec![self.start]);
        while let Some(entry) = waiting.pop() {
            let Some(state) = self.state(entry) else { continue };
            let row = &mut rows[state as usize / self.row];
            if row.is_none() {
                *row = Some(narrow(order.len() * self.row));
                order.push(state as usize);
                waiting.extend(self.next[state as usize..][..self.row].iter().rev());
            }
        }
        let moved = |entry: u32| {
            if entry & STOP == 0 { rows[entry as usize / self.row].unwrap_or(DEAD) } else { entry }
        };
        let next = order.iter().flat_map(|&state| &self.next[state..state + self.row]);
        let next = next.map(|&entry| moved(entry)).collect();
        let ends = order.iter().map(|&state| self.ends[state / self.row]).collect();
        self.start = moved(self.start);
        for stop in &mut self.stops {
            if let Stop::Text(_, behind) = stop {
                *behind = moved(*behind);
            }
        }
        (self.next, self.ends) = (next, ends);
    }

    /// The state that an entry leads to.
    fn state(&self, entry: u32) -> Option<u32> {
        if entry & STOP == 0 {
            return Some(entry);
        }
        match &self.stops[(entry ^ STOP) as usize] {
            Stop::Dead => None,
            Stop::Text(_, behind) => Some(*behind),
        }
    }
}

type Numbers = HashMap<StateID, u32, RandomState>;

/// The states that messages can reach, nearest first, and the place of each in that order.
fn reached(dense: &dense::DFA<Vec<u32>>, start: StateID, bytes: &[u8]) -> Option<(Vec<StateID>, Numbers)> {
    let (mut states, mut numbers) = (vec![start], Numbers::from_iter([(start, 0)]));
    let mut at = 0;
    while let Some(&state) = states.get(at) {
        for &byte in bytes {
            let next = dense.next_state(state, byte);
            if dense.is_quit_state(next) || states.len() * bytes.len() >= STOP as usize {
                return None;
            }
            if !dense.is_dead_state(next) && !numbers.contains_key(&next) {
                numbers.insert(next, narrow(states.len()));
                states.push(next);
            }
        }
        at += 1;
    }
    Some((states, numbers))
}

fn pattern_at_end(dense: &dense::DFA<Vec<u32>>, state: StateID) -> Option<u32> {
    let end = dense.next_eoi_state(state);
    dense.is_match_state(end).then(|| dense.match_pattern(end, 0).as_u32())
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("states are counted to stay below 2^31")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern;
    use super::*;

    fn dense(patterns: &[&str]) -> dense::DFA<Vec<u32>> {
        let hirs: Vec<_> = patterns.iter().map(|text| pattern::read(text, &[]).unwrap()).collect();
        super::super::compile::dense(&hirs).unwrap()
    }

    fn automaton(patterns: &[&str]) -> Automaton {
        Automaton::new(&dense(patterns)).unwrap()
    }

    #[test]
    fn the_first_pattern_that_matches_the_whole_message_wins() {
        let automaton = automaton(&["^Failed password$", "^Failed .*$", "^(?:Failed)?$"]);
        let which = |message: &str| automaton.which(message.as_bytes());
        assert_eq!(which("Failed password"), Some(0));
        assert_eq!(which("Failed passwords"), Some(1));
        assert_eq!((which("Failed"), which("")), (Some(2), Some(2)));
        assert_eq!((which("Faile"), which("failed password")), (None, None));
    }

    #[test]
    fn where_only_one_text_leads_on_it_is_compared_as_a_whole() {
        let automaton = automaton(&["^Failed password$", "^Failed publickey$"]);
        let texts: Vec<&[u8]> = automaton
            .stops
            .iter()
            .filter_map(|stop| if let Stop::Text(text, _) = stop { Some(&**text) } else { None })
            .collect();
        assert_eq!(texts, [&b"ssword"[..], b"blickey", b"Failed p"]);
    }

    #[test]
    fn a_text_that_is_a_loop_ends_somewhere() {
        let automaton = automaton(&["^(?:abcd)+$", "^(?:0123456789abcdef){20}$"]);
        assert_eq!(automaton.which(&b"abcd".repeat(1000)), Some(0));
        assert_eq!(automaton.which(&b"0123456789abcdef".repeat(20)), Some(1));
        assert_eq!(automaton.which(&b"0123456789abcdef".repeat(19)), None);
    }

    proptest! {
        #[test]
        fn it_answers_as_the_automaton_it_was_made_from(message in "(Failed|Fai|password|publickey| |for|from|[a-f]){0,6}") {
            let patterns = ["^Failed (?:password|publickey) for [a-e]*$", "^Fail.*(?:password)?$", "^(?:a|Failed)*$"];
            let dense = dense(&patterns);
            let input = regex_automata::Input::new(&message).anchored(Anchored::Yes);
            let expected = dense.try_search_fwd(&input).unwrap().map(|found| found.pattern().as_usize());
            prop_assert_eq!(Automaton::new(&dense).unwrap().which(message.as_bytes()), expected);
        }
    }
}
#[cfg(test)]
mod stats {
    #[test]
    fn stats() {
        let text = include_str!("../../rules/sshd.yaml");
        let (file, _) = crate::config::RuleFile::read(std::path::Path::new("sshd.yaml"), text.as_bytes());
        let set = file.unwrap().set;
        let hirs: Vec<_> = set
            .rules
            .iter()
            .filter(|r| r.enabled)
            .map(|r| super::pattern_read(&r.pattern, &set.fields))
            .collect();
        let t = std::time::Instant::now();
        let dense = super::super::compile::dense(&hirs).unwrap();
        eprintln!("dense {:?} {} bytes", t.elapsed(), dense.memory_usage());
        let t = std::time::Instant::now();
        let a = super::Automaton::new(&dense).unwrap();
        eprintln!("{:?} rows {} row {} stops {}", t.elapsed(), a.ends.len(), a.row, a.stops.len());
        let mut distinct = std::collections::BTreeMap::new();
        for row in a.next.chunks(a.row) {
            let mut s: Vec<_> = row.to_vec();
            s.sort();
            s.dedup();
            *distinct.entry(s.len()).or_insert(0) += 1;
        }
        eprintln!("{distinct:?}");
        let mut rows: Vec<_> = a.next.chunks(a.row).collect();
        rows.sort();
        rows.dedup();
        eprintln!("distinct rows {}", rows.len());
    }
}
#[cfg(test)]
fn pattern_read(p: &str, f: &[(String, String)]) -> regex_syntax::hir::Hir {
    super::pattern::without_captures(&super::pattern::read(p, f).unwrap(), |_| false)
}
