//! A pattern as a machine over bytes that knows, for each byte, whether it is before, in or behind the address (or the
//! session id).

use std::collections::{HashMap, HashSet};

use foldhash::fast::RandomState;
use regex_automata::nfa::thompson::{self, NFA, State as NfaState, WhichCaptures};
use regex_automata::util::look::Look;
use regex_automata::util::primitives::StateID;
use regex_syntax::hir::Hir;

use super::addresses::{Addresses, TextAutomaton};
use super::rows::{ADDRESS_GROUP, ENDPOINT_GROUP, FIRST_RULE_GROUP, SESSION_GROUP, joined};

/// Size limit of a machine in bytes: more than the patterns of 1,000 rules need. A larger set is refused.
const NFA_LIMIT: usize = 8 << 20;

/// The position of a byte relative to the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Phase {
    Before,
    Inside,
    /// In the zone of an address: the address is the same without it.
    Zone,
    Behind,
}

/// What a machine accepts at `<ADDR>`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Peer<'a> {
    /// One of these printed texts.
    Printed(&'a Addresses),
    /// One of these addresses; or a token without an address, whose bytes count as standing before one.
    Read(&'a Addresses),
    /// Any token, not told from the rest; neither is the id at `<SESSION>`.
    Untold,
    /// As [`Self::Untold`], but the id at `<SESSION>` takes the place of the address.
    Session,
}

/// A range of bytes that may come next, and the state that it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Edge {
    pub(super) low: u8,
    pub(super) high: u8,
    /// The position of these bytes.
    pub(super) phase: Phase,
    pub(super) to: u32,
}

/// A rule whose message is complete in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct End {
    pub(super) rule: u32,
    /// Whether an address was passed.
    pub(super) is_named: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) edges: Vec<Edge>,
    pub(super) ends: Vec<End>,
}

/// A machine without line feeds: a message is one line.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) states: Vec<State>,
    /// The states in which a message may begin: 0, and those behind a beginning that is taken off.
    pub(super) starts: Vec<StartState>,
}

/// A state in which a message may begin.
#[derive(Clone, Debug)]
pub(super) struct StartState {
    pub(super) state: u32,
    /// The text that was printed before it and is taken off.
    pub(super) before: Vec<u8>,
    /// The text that is printed behind the message and taken off.
    pub(super) behind: &'static [u8],
}

impl StartState {
    /// The start of a message of which nothing is taken off.
    fn whole() -> Self {
        Self { state: 0, before: Vec::new(), behind: b"" }
    }
}

/// The machine of patterns, each with the number of its rule; the error says that they are too large.
pub(super) fn machine(patterns: &[(Hir, u32)], peer: Peer<'_>) -> Result<Machine, String> {
    let config = NFA::config().utf8(false).which_captures(WhichCaptures::All).nfa_size_limit(Some(NFA_LIMIT));
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&joined(patterns));
    Ok(Builder::new(nfa.map_err(|error| error.to_string())?, peer).machine())
}

/// The position of a machine before it takes a byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    at: At,
    phase: Phase,
    previous: Previous,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum At {
    Pattern(StateID),
    /// In an address; behind it the pattern goes on at `back`.
    Address {
        is_endpoint: bool,
        state: u32,
        back: StateID,
    },
}

/// The class of the previous byte, as far as `^` and `\b` need it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Previous {
    Nothing,
    Word,
    Other,
}

/// The classes that may come next, as far as `$` and `\b` need them.
const WORD: u8 = 1;
const OTHER: u8 = 2;
const NOTHING: u8 = 4;

struct Builder<'a> {
    nfa: NFA,
    peer: Peer<'a>,
    /// Whether a pattern looks for word boundaries.
    has_words: bool,
    numbers: HashMap<Key, u32, RandomState>,
    keys: Vec<Key>,
}

impl<'a> Builder<'a> {
    fn new(nfa: NFA, peer: Peer<'a>) -> Self {
        let has_words = nfa.look_set_any().iter().any(|look| !matches!(look, Look::Start | Look::End));
        Self { nfa, peer, has_words, numbers: HashMap::default(), keys: Vec::new() }
    }

    fn machine(mut self) -> Machine {
        let start = At::Pattern(self.nfa.start_anchored());
        self.number(Key { at: start, phase: Phase::Before, previous: Previous::Nothing });
        let mut states = Vec::new();
        while let Some(&key) = self.keys.get(states.len()) {
            let mut state = self.state(key);
            // Of several bytes that lead to the same state the search takes the first.
            state.edges.sort_by_key(|edge| !(edge.low..=edge.high).contains(&b'x'));
            states.push(state);
        }
        Machine { states, starts: vec![StartState::whole()] }
    }

    fn number(&mut self, key: Key) -> u32 {
        let next = u32::try_from(self.keys.len()).expect("the size of the automaton is limited");
        *self.numbers.entry(key).or_insert_with(|| {
            self.keys.push(key);
            next
        })
    }

    fn state(&mut self, key: Key) -> State {
        let mut state = State::default();
        match key.at {
            At::Pattern(id) => self.follow(id, key, &mut state),
            At::Address { is_endpoint, state: at, back } => {
                let text = self.texts(is_endpoint).map(|texts| texts.state(at));
                let Some(text) = text else { return state };
                for &(low, high, to) in &text.edges {
                    let is_zone = self.texts(is_endpoint).is_some_and(|texts| texts.state(to).is_zone);
                    let phase = if is_zone { Phase::Zone } else { Phase::Inside };
                    let at = At::Address { is_endpoint, state: to, back };
                    self.add(&mut state, (low, high), phase, at, WORD | OTHER);
                }
                if text.is_end {
                    self.follow(back, Key { phase: Phase::Behind, ..key }, &mut state);
                }
            }
        }
        state
    }

    fn texts(&self, is_endpoint: bool) -> Option<&'a TextAutomaton> {
        let (Peer::Printed(addresses) | Peer::Read(addresses)) = self.peer else { return None };
        Some(if is_endpoint { addresses.endpoint() } else { addresses.address() })
    }

    /// Follows all paths that need no byte, and collects the bytes that may come then.
    fn follow(&mut self, from: StateID, key: Key, state: &mut State) {
        let mut seen = HashSet::new();
        let mut waiting =
            vec![EpsilonPath { id: from, phase: key.phase, next: WORD | OTHER | NOTHING, rule: None }];
        while let Some(path) = waiting.pop() {
            if !seen.insert(path) {
                continue;
            }
            match self.nfa.state(path.id).clone() {
                NfaState::ByteRange { .. } | NfaState::Sparse(_) | NfaState::Dense(_) => {
                    for (low, high, next) in ranges(self.nfa.state(path.id)) {
                        self.add(state, (low, high), path.phase, At::Pattern(next), path.next);
                    }
                }
                NfaState::Look { look, next } => {
                    let allowed = path.next & looks(look, key.previous);
                    if allowed != 0 {
                        waiting.push(EpsilonPath { id: next, next: allowed, ..path });
                    }
                }
                NfaState::Union { alternates } => {
                    waiting.extend(alternates.iter().map(|&id| EpsilonPath { id, ..path }));
                }
                NfaState::BinaryUnion { alt1, alt2 } => {
                    waiting.extend([alt1, alt2].map(|id| EpsilonPath { id, ..path }));
                }
                NfaState::Capture { next, group_index, slot, .. } => {
                    let is_start = slot.as_usize() % 2 == 0;
                    self.pass_group(state, path, next, group_index.as_u32(), is_start, key, &mut waiting);
                }
                NfaState::Fail => {}
                NfaState::Match { .. } => {
                    let end = End { rule: path.rule.unwrap_or(0), is_named: path.phase == Phase::Behind };
                    if path.next & NOTHING != 0 && !state.ends.contains(&end) {
                        state.ends.push(end);
                    }
                }
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one step of `follow`, and nobody else's")]
    fn pass_group(
        &mut self,
        state: &mut State,
        path: EpsilonPath,
        next: StateID,
        group: u32,
        is_start: bool,
        key: Key,
        waiting: &mut Vec<EpsilonPath>,
    ) {
        let path = EpsilonPath { id: next, ..path };
        match group {
            0 => waiting.push(path),
            ADDRESS_GROUP | ENDPOINT_GROUP => {
                if is_start {
                    let is_endpoint = group == ENDPOINT_GROUP;
                    let back = self.behind_group(next, group);
                    for &start in self.texts(is_endpoint).map_or(&[][..], TextAutomaton::starts) {
                        let at = At::Address { is_endpoint, state: start, back };
                        let inner = self.state(Key { at, phase: Phase::Inside, previous: key.previous });
                        state.edges.extend(inner.edges);
                    }
                }
                if !matches!(self.peer, Peer::Printed(_)) {
                    waiting.push(path);
                }
            }
            SESSION_GROUP => {
                let phase = match self.peer {
                    Peer::Session if is_start => Phase::Inside,
                    Peer::Session => Phase::Behind,
                    _ => path.phase,
                };
                waiting.push(EpsilonPath { phase, ..path });
            }
            _ => waiting.push(EpsilonPath { rule: Some(group - FIRST_RULE_GROUP), ..path }),
        }
    }

    /// The NFA state behind the group that begins before `from`.
    fn behind_group(&self, from: StateID, group: u32) -> StateID {
        let mut waiting = vec![from];
        let mut seen = HashSet::new();
        while let Some(id) = waiting.pop() {
            if !seen.insert(id) {
                continue;
            }
            match self.nfa.state(id) {
                NfaState::Capture { next, group_index, .. } if group_index.as_u32() == group => return *next,
                nfa_state @ (NfaState::ByteRange { .. } | NfaState::Sparse(_) | NfaState::Dense(_)) => {
                    waiting.extend(ranges(nfa_state).into_iter().map(|(_, _, next)| next));
                }
                NfaState::Union { alternates } => waiting.extend(alternates.iter().copied()),
                NfaState::BinaryUnion { alt1, alt2 } => waiting.extend([*alt1, *alt2]),
                NfaState::Look { next, .. } | NfaState::Capture { next, .. } => waiting.push(*next),
                NfaState::Fail | NfaState::Match { .. } => {}
            }
        }
        from
    }

    fn add(&mut self, state: &mut State, (low, high): (u8, u8), phase: Phase, at: At, next: u8) {
        let ranges: &[(u8, u8, u8)] = if self.has_words { &WORD_RANGES } else { &LINE_RANGES };
        for &(first, last, kind) in ranges {
            let low = low.max(first);
            let high = high.min(last);
            if low > high || next & kind == 0 {
                continue;
            }
            let previous = if kind == WORD { Previous::Word } else { Previous::Other };
            let to = self.number(Key { at, phase, previous });
            state.edges.push(Edge { low, high, phase, to });
        }
    }
}

/// The ranges of bytes that an NFA state takes, and where they lead.
fn ranges(nfa_state: &NfaState) -> Vec<(u8, u8, StateID)> {
    match nfa_state {
        NfaState::ByteRange { trans } => vec![(trans.start, trans.end, trans.next)],
        NfaState::Sparse(sparse) => {
            sparse.transitions.iter().map(|trans| (trans.start, trans.end, trans.next)).collect()
        }
        NfaState::Dense(dense) => {
            let known =
                (0..=u8::MAX).zip(dense.transitions.iter()).filter(|&(_, &next)| next != StateID::ZERO);
            known.map(|(byte, &next)| (byte, byte, next)).collect()
        }
        _ => Vec::new(),
    }
}

/// A path through the pattern that consumes no byte.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct EpsilonPath {
    id: StateID,
    phase: Phase,
    /// The classes of bytes that may come next.
    next: u8,
    rule: Option<u32>,
}

/// All bytes but the line feed.
const LINE_RANGES: [(u8, u8, u8); 2] = [(0, 9, OTHER), (11, 255, OTHER)];

/// All bytes but the line feed, split by whether they are word characters.
const WORD_RANGES: [(u8, u8, u8); 10] = [
    (0, 9, OTHER),
    (11, b'0' - 1, OTHER),
    (b'0', b'9', WORD),
    (b'9' + 1, b'A' - 1, OTHER),
    (b'A', b'Z', WORD),
    (b'Z' + 1, b'_' - 1, OTHER),
    (b'_', b'_', WORD),
    (b'_' + 1, b'a' - 1, OTHER),
    (b'a', b'z', WORD),
    (b'z' + 1, 255, OTHER),
];

/// The classes that may come next for the assertion to hold behind `previous`.
fn looks(look: Look, previous: Previous) -> u8 {
    let behind_word = previous == Previous::Word;
    let all = WORD | OTHER | NOTHING;
    let no_word = OTHER | NOTHING;
    let when = |holds: bool, next: u8| if holds { next } else { 0 };
    match look {
        Look::Start => when(previous == Previous::Nothing, all),
        Look::End => NOTHING,
        Look::WordAscii => {
            if behind_word {
                no_word
            } else {
                WORD
            }
        }
        Look::WordAsciiNegate => {
            if behind_word {
                WORD
            } else {
                no_word
            }
        }
        Look::WordStartAscii => when(!behind_word, WORD),
        Look::WordEndAscii => when(behind_word, no_word),
        Look::WordStartHalfAscii => when(!behind_word, all),
        Look::WordEndHalfAscii => no_word,
        // Flags that produce these are refused before; accepting them could only make the proof refuse more.
        _ => all,
    }
}

impl Machine {
    /// Whether each message begins with a blank.
    pub(super) fn begins_with_a_blank(&self) -> bool {
        let is_blank =
            |edge: &Edge| edge.low == b' ' && edge.high == b' ' || edge.low >= b'\t' && edge.high <= b'\r';
        self.states[0].ends.is_empty() && self.states[0].edges.iter().all(is_blank)
    }

    /// For each state, whether a message that has come that far can still have an end of this kind.
    pub(super) fn may_end(&self, kind: impl Fn(&End) -> bool) -> Vec<bool> {
        let mut may: Vec<bool> = self.states.iter().map(|state| state.ends.iter().any(&kind)).collect();
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..self.states.len()).rev() {
                if !may[at] && self.states[at].edges.iter().any(|edge| may[edge.to as usize]) {
                    may[at] = true;
                    changed = true;
                }
            }
        }
        may
    }

    /// The rule of such an end that a message in this state can still have.
    pub(super) fn rule_ahead(&self, from: u32, kind: impl Fn(&End) -> bool) -> u32 {
        let mut waiting = vec![from];
        let mut seen = HashSet::new();
        while let Some(at) = waiting.pop() {
            let state = &self.states[at as usize];
            if let Some(end) = state.ends.iter().find(|end| kind(end)) {
                return end.rule;
            }
            waiting.extend(state.edges.iter().map(|edge| edge.to).filter(|&to| seen.insert(to)));
        }
        0
    }
}
