//! The automaton that says which pattern matches a message: one load a byte, and less where a look ahead tells more.
//!
//! It is a table with three kinds of stops, at which something better can be done than to go on byte by byte. Each says
//! exactly what the bytes would have said:
//! - Long stretches of a pattern are plain text: behind the `F` and `a` of `Failed password for` every other byte ends
//!   the search. Such a text is compared as a whole.
//! - In `.*` every byte but a newline leads back to the same state: the newline is searched for.
//! - Behind a text, the rest of the message is often of a form that is best read from its end: see [`Ending`].

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;

use foldhash::fast::RandomState;
use memchr::memchr;

use super::ending::{Candidate, Ending};
use super::table::{DEAD, STOP, Table, narrow};

/// A shorter text is not worth the call that compares it.
const WORTH_COMPARING: usize = 4;

/// How far a text is followed; patterns that a person wrote have no longer one.
const LONGEST_TEXT: usize = 256;

/// In an automaton that is ready, entries from here on are stops. Entries are of two bytes: half as much table is twice as
/// much of it in the cache, and there are never more than some thousands of states.
const STOPPED: u16 = 1 << 15;

/// Says which of several patterns, all anchored at both ends, is the first that matches a whole message.
#[derive(Debug)]
pub(super) struct Automaton {
    /// A row for each state: the numbers of the next states, or of stops, with [`STOPPED`] added. The first is for
    /// messages that nothing can match.
    next: Vec<u16>,
    class: [u8; 256],
    /// The length of a row.
    row: usize,
    start: u16,
    /// For each state the pattern that matches if the message ends there.
    ends: Vec<Option<u32>>,
    stops: Vec<Stop<u16>>,
}

/// An automaton being made, whose entries are those of a table: stops have [`STOP`] added, and the first is [`DEAD`].
struct Draft {
    table: Table,
    stops: Vec<Stop<u32>>,
}

/// Targets are entries.
#[derive(Debug)]
enum Stop<E> {
    Dead,
    /// Nothing can match but what goes on with this text, and then there.
    Text(Box<[u8]>, E),
    /// Every byte but this leads back here; where it leads to, and which pattern matches at the end of the message.
    Until(u8, E, Option<u32>),
    /// If the rest is one of these, that pattern matches; if not, on to the state.
    Endings(Vec<(Ending, u32)>, E),
}

/// A pattern that matches, and where its address stands if that was found on the way.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) pattern: usize,
    pub(super) token: Option<Range<usize>>,
}

impl Automaton {
    /// Puts stops into a table, endings among them where they prove to be true; `None` if it has too many states.
    pub(super) fn new(table: Table, candidates: &[Candidate]) -> Option<Self> {
        let stops = Stops::of(&table, candidates);
        let mut draft = Draft { table, stops: stops.list };
        draft.put_stops(&stops.before);
        draft.sort();
        draft.finished()
    }

    /// The first pattern that matches the message from its start to its end.
    pub(super) fn which(&self, message: &[u8]) -> Option<Hit> {
        let (mut entry, mut bytes) = (self.start, message.iter());
        loop {
            while entry & STOPPED == 0 {
                let Some(byte) = bytes.next() else { return hit(self.ends[usize::from(entry)]) };
                let class = usize::from(self.class[usize::from(*byte)]);
                entry = self.next[usize::from(entry) * self.row + class];
            }
            let rest = bytes.as_slice();
            match &self.stops[usize::from(entry ^ STOPPED)] {
                Stop::Dead => return None,
                Stop::Text(text, behind) => (entry, bytes) = (*behind, rest.strip_prefix(&**text)?.iter()),
                Stop::Until(byte, behind, end) => match memchr(*byte, rest) {
                    Some(at) => (entry, bytes) = (*behind, rest[at + 1..].iter()),
                    None => return hit(*end),
                },
                Stop::Endings(endings, behind) => {
                    let found =
                        endings.iter().find_map(|(ending, pattern)| Some((ending.find(rest)?, *pattern)));
                    if let Some((token, pattern)) = found {
                        let before = message.len() - rest.len();
                        let token = Some(before + token.start..before + token.end);
                        return Some(Hit { pattern: pattern as usize, token });
                    }
                    entry = *behind;
                }
            }
        }
    }
}

impl Draft {
    /// With entries of two bytes, if there are few enough.
    fn finished(self) -> Option<Automaton> {
        let Self { table, stops } = self;
        let most = usize::from(STOPPED);
        if table.ends.len() > most || stops.len() > most {
            return None;
        }
        let short = |entry: u32| match entry & STOP {
            0 => narrow_to_16(entry / narrow(table.row)),
            _ => narrow_to_16(entry ^ STOP) | STOPPED,
        };
        let mut next = Vec::with_capacity(table.next.len());
        next.extend(table.next.iter().map(|&entry| short(entry)));
        let stops = stops.into_iter().map(|stop| stop.with_target(short)).collect();
        let Table { class, row, start, ends, .. } = table;
        Some(Automaton { next, class, row, start: short(start), ends, stops })
    }

    /// Lets all entries that lead to a state with a stop lead to the stop.
    fn put_stops(&mut self, before: &[Option<u32>]) {
        let row = self.table.row;
        let put = |entry: &mut u32| {
            if *entry & STOP == 0 {
                *entry = before[*entry as usize / row].unwrap_or(*entry);
            }
        };
        self.table.next.iter_mut().for_each(put);
        put(&mut self.table.start);
        for stop in &mut self.stops {
            if let Stop::Text(_, behind) | Stop::Until(_, behind, _) = stop {
                put(behind);
            }
        }
    }

    /// Puts the states into the order in which a message goes through them, and drops those that none reaches: so
    /// those of one kind of message lie together.
    fn sort(&mut self) {
        let (mut order, mut rows) = (Vec::new(), vec![None; self.table.ends.len()]);
        let (mut stopped, mut waiting) = (vec![false; self.stops.len()], vec![self.table.start]);
        while let Some(entry) = waiting.pop() {
            if entry & STOP != 0 {
                let stop = (entry ^ STOP) as usize;
                let seen = std::mem::replace(&mut stopped[stop], true);
                waiting.extend(self.stops[stop].target_mut().filter(|_| !seen).copied());
                continue;
            }
            let row = &mut rows[entry as usize / self.table.row];
            if row.is_none() {
                *row = Some(narrow(order.len() * self.table.row));
                order.push(entry);
                waiting.extend(self.table.entries(entry).iter().rev());
            }
        }
        self.renumber(&order, &rows);
    }

    fn renumber(&mut self, order: &[u32], rows: &[Option<u32>]) {
        let row = self.table.row;
        let moved = |entry: u32| match entry & STOP {
            0 => rows[entry as usize / row].unwrap_or(DEAD),
            _ => entry,
        };
        let mut next = Vec::with_capacity(order.len() * row);
        for &state in order {
            next.extend(self.table.entries(state).iter().map(|&entry| moved(entry)));
        }
        let ends = order.iter().map(|&state| self.table.end(state)).collect();
        (self.table.next, self.table.ends) = (next, ends);
        self.table.start = moved(self.table.start);
        self.stops.iter_mut().filter_map(Stop::target_mut).for_each(|target| *target = moved(*target));
    }
}

fn hit(pattern: Option<u32>) -> Option<Hit> {
    pattern.map(|pattern| Hit { pattern: pattern as usize, token: None })
}

/// Of a number that was found to be small enough.
fn narrow_to_16(number: u32) -> u16 {
    u16::try_from(number).expect("states and stops are counted to stay below 2^15")
}

impl<E> Stop<E> {
    fn target_mut(&mut self) -> Option<&mut E> {
        match self {
            Self::Dead => None,
            Self::Text(_, target) | Self::Until(_, target, _) | Self::Endings(_, target) => Some(target),
        }
    }

    fn with_target<F>(self, new: impl Fn(E) -> F) -> Stop<F> {
        match self {
            Self::Dead => Stop::Dead,
            Self::Text(text, target) => Stop::Text(text, new(target)),
            Self::Until(byte, target, end) => Stop::Until(byte, new(target), end),
            Self::Endings(endings, target) => Stop::Endings(endings, new(target)),
        }
    }
}

/// The stops of a table, and for each of its states the entry of the stop to make before it.
struct Stops {
    list: Vec<Stop<u32>>,
    before: Vec<Option<u32>>,
}

impl Stops {
    fn of(table: &Table, candidates: &[Candidate]) -> Self {
        let mut stops = Self { list: vec![Stop::Dead], before: vec![None; table.ends.len()] };
        let only: Vec<Option<(u8, u32)>> = table.states().map(|state| only_way(table, state)).collect();
        let within: HashSet<u32, RandomState> = only.iter().flatten().map(|(_, behind)| *behind).collect();
        let only = |state: u32| only[state as usize / table.row];
        let mut likely: BTreeSet<u32> =
            candidates.iter().filter_map(|candidate| table.walk(table.start, &candidate.head)).collect();
        for state in table.states() {
            if only(state).is_none() {
                until(table, state).into_iter().for_each(|until| stops.add(table, state, until));
            } else if !within.contains(&state)
                && let Some((text, behind)) = text(only, state)
            {
                stops.add(table, state, Stop::Text(text, behind));
                likely.insert(behind);
            }
        }
        for (state, endings) in endings(table, &likely, candidates) {
            stops.add(table, state, Stop::Endings(endings, state));
        }
        stops
    }

    fn add(&mut self, table: &Table, state: u32, stop: Stop<u32>) {
        let before = &mut self.before[state as usize / table.row];
        if before.is_none() {
            *before = Some(STOP | narrow(self.list.len()));
            self.list.push(stop);
        }
    }
}

/// The text that must follow in this state, and the state behind it.
fn text(only: impl Fn(u32) -> Option<(u8, u32)>, state: u32) -> Option<(Box<[u8]>, u32)> {
    let (mut text, mut behind) = (Vec::new(), state);
    while let Some((byte, next)) = only(behind).filter(|_| text.len() < LONGEST_TEXT) {
        text.push(byte);
        behind = next;
    }
    (text.len() >= WORTH_COMPARING).then(|| (text.into(), behind))
}

/// The byte and the state it leads to, if the message can neither end here nor go on with another.
fn only_way(table: &Table, state: u32) -> Option<(u8, u32)> {
    let mut alive = (0..).zip(table.entries(state)).filter(|(_, entry)| **entry != DEAD);
    let (class, &next) = alive.next()?;
    if alive.next().is_some() || table.end(state).is_some() {
        return None;
    }
    Some((only_byte(table, class)?, next))
}

fn until(table: &Table, state: u32) -> Option<Stop<u32>> {
    let mut others = (0..).zip(table.entries(state)).filter(|(_, entry)| **entry != state);
    let (class, &behind) = others.next()?;
    if others.next().is_some() {
        return None;
    }
    Some(Stop::Until(only_byte(table, class)?, behind, table.end(state)))
}

/// The byte of a class of one.
fn only_byte(table: &Table, class: u8) -> Option<u8> {
    let mut bytes = (0..=255).filter(|&byte| table.class[usize::from(byte)] == class);
    bytes.next().filter(|_| bytes.next().is_none())
}

/// The endings that are proven to be true in each of the states.
fn endings(
    table: &Table,
    states: &BTreeSet<u32>,
    candidates: &[Candidate],
) -> Vec<(u32, Vec<(Ending, u32)>)> {
    let mut proofs: Vec<(&Candidate, Option<_>)> = Vec::new();
    let mut proven: BTreeMap<u32, Vec<(Ending, u32)>> = BTreeMap::new();
    for candidate in candidates {
        let known = proofs.iter().position(|(other, _)| other.hir == candidate.hir);
        let known = known.unwrap_or_else(|| {
            proofs.push((candidate, candidate.proof()));
            proofs.len() - 1
        });
        let Some((alone, example)) = &proofs[known].1 else { continue };
        for &state in states {
            // The example is a quick look before the proof.
            let behind = table.walk(state, example).and_then(|state| table.end(state));
            if behind == Some(candidate.pattern) && table.includes(state, alone, candidate.pattern) {
                proven
                    .entry(state)
                    .or_default()
                    .extend(candidate.ending().map(|ending| (ending, candidate.pattern)));
            }
        }
    }
    proven.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{pattern, subsets};
    use super::*;

    fn table(patterns: &[&str]) -> Table {
        let hirs: Vec<_> = patterns.iter().map(|text| pattern::read(text, &[]).unwrap()).collect();
        subsets::table(&hirs).unwrap()
    }

    fn automaton(patterns: &[&str]) -> Automaton {
        Automaton::new(table(patterns), &[]).unwrap()
    }

    fn answer(automaton: &Automaton, message: &str) -> Option<usize> {
        automaton.which(message.as_bytes()).map(|hit| hit.pattern)
    }

    #[test]
    fn where_only_one_text_leads_on_it_is_compared_as_a_whole() {
        let automaton = automaton(&["^Failed password$", "^Failed publickey$"]);
        let texts: Vec<&[u8]> = automaton
            .stops
            .iter()
            .filter_map(|stop| if let Stop::Text(text, _) = stop { Some(&**text) } else { None })
            .collect();
        assert!(texts.contains(&&b"Failed p"[..]) && texts.contains(&&b"ssword"[..]), "{texts:?}");
    }

    #[test]
    fn a_text_that_is_a_loop_ends_somewhere() {
        let automaton = automaton(&["^(?:abcd)+$", "^(?:0123456789abcdef){20}$"]);
        assert_eq!(answer(&automaton, &"abcd".repeat(1000)), Some(0));
        assert_eq!(answer(&automaton, &"0123456789abcdef".repeat(20)), Some(1));
        assert_eq!(answer(&automaton, &"0123456789abcdef".repeat(19)), None);
    }

    #[test]
    fn an_ending_that_is_true_is_used_and_finds_the_address() {
        let fields = [("USER".to_owned(), "[^:]*".to_owned())];
        let read = |text: &&str| pattern::read(text, &fields).unwrap();
        let hirs: Vec<_> = ["^Failed for <USER> from <ADDR> port \\d+$", "^Failed for [^:]*: .*$"]
            .iter()
            .map(read)
            .collect();
        let candidates: Vec<_> =
            hirs.iter().enumerate().filter_map(|(n, hir)| Candidate::new(n, hir)).collect();
        let automaton = Automaton::new(subsets::table(&hirs).unwrap(), &candidates).unwrap();
        assert!(automaton.stops.iter().any(|stop| matches!(stop, Stop::Endings(..))));
        let hit = |pattern, token| Some(Hit { pattern, token });
        assert_eq!(automaton.which(b"Failed for x from 192.0.2.7 port 1"), hit(0, Some(18..27)));
        assert_eq!(automaton.which(b"Failed for x from 192.0.2.7 port"), None);
        assert_eq!(automaton.which(b"Failed for x: 192.0.2.7"), hit(1, None));
    }

    proptest! {
        #[test]
        fn it_answers_as_the_automaton_it_was_made_from(message in "(Failed|Fai|password|publickey| |for|from|[a-f]){0,6}") {
            let patterns = ["^Failed (?:password|publickey) for [a-e]*$", "^Fail.*(?:password)?$", "^(?:a|Failed)*$"];
            let table = table(&patterns);
            let end = table.walk(table.start, message.as_bytes()).and_then(|state| table.end(state));
            prop_assert_eq!(answer(&Automaton::new(table, &[]).unwrap(), &message), end.map(|pattern| pattern as usize));
        }
    }
}
