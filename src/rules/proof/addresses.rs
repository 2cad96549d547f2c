//! The texts that are addresses, as automata that read them byte by byte.

use std::sync::LazyLock;

use regex_automata::Anchored;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::util::primitives::StateID;
use regex_automata::util::start;

use super::super::address_syntax::{self, HOST_NAME};

/// The texts that may stand at `<ADDR>` and at `<ADDR_PORT>`. Building such an automaton takes 10 ms, and few rule sets
/// name endpoints: each is built on first use.
#[derive(Debug)]
pub(super) struct Addresses {
    address: LazyAutomaton,
    endpoint: LazyAutomaton,
}

type LazyAutomaton = LazyLock<TextAutomaton, Box<dyn FnOnce() -> TextAutomaton + Send>>;

/// A set of texts as an automaton.
#[derive(Clone, Debug)]
pub(super) struct TextAutomaton {
    /// The states in which it may begin.
    starts: Vec<u32>,
    states: Vec<TextState>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct TextState {
    /// Whether the byte before belongs to a zone: the address is the same without it.
    pub(super) is_zone: bool,
    /// Whether the text may end here.
    pub(super) is_end: bool,
    /// Which bytes may follow, and where they lead.
    pub(super) edges: Vec<(u8, u8, u32)>,
}

impl Addresses {
    fn new(
        address: impl FnOnce() -> TextAutomaton + Send + 'static,
        endpoint: impl FnOnce() -> TextAutomaton + Send + 'static,
    ) -> Self {
        Self { address: LazyLock::new(Box::new(address)), endpoint: LazyLock::new(Box::new(endpoint)) }
    }

    /// All addresses that are read.
    pub(super) fn read() -> &'static Self {
        static READ: LazyLock<Addresses> = LazyLock::new(|| {
            Addresses::new(
                || TextAutomaton::of(&address_syntax::address()),
                || TextAutomaton::of(&address_syntax::endpoint()),
            )
        });
        &READ
    }

    /// Everything that programs print for a peer: addresses, and host names if they look these up.
    pub(super) fn printed() -> &'static Self {
        static PRINTED: LazyLock<Addresses> = LazyLock::new(|| {
            Addresses::new(
                || Addresses::read().address().or(&TextAutomaton::of(HOST_NAME)),
                || {
                    Addresses::read()
                        .endpoint()
                        .or(&TextAutomaton::of(&format!("{HOST_NAME}(?::[0-9]{{1,5}})?")))
                },
            )
        });
        &PRINTED
    }

    /// One address, for lines that are shown to people.
    pub(super) fn only(address: &str) -> Self {
        let texts = TextAutomaton::of(&regex_syntax::escape(address));
        let same = texts.clone();
        Self::new(|| texts, || same)
    }

    /// What may stand at `<ADDR>`.
    pub(super) fn address(&self) -> &TextAutomaton {
        &self.address
    }

    /// What may stand at `<ADDR_PORT>`.
    pub(super) fn endpoint(&self) -> &TextAutomaton {
        &self.endpoint
    }
}

impl TextAutomaton {
    /// The texts that a regex from this file matches as a whole.
    pub(super) fn of(regex: &str) -> Self {
        let config = dense::Config::new().start_kind(StartKind::Anchored).minimize(true);
        let syntax = regex_automata::util::syntax::Config::new().unicode(false).utf8(false);
        let dfa = dense::Builder::new().configure(config).syntax(syntax).build(&format!(r"\A(?:{regex})\z"));
        let dfa = dfa.expect("a fixed regex without word boundaries has an automaton");
        let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes));
        let start = start.expect("anchored starts are built");
        let mut known = vec![start];
        let mut states = Vec::new();
        while let Some(&at) = known.get(states.len()) {
            states.push(TextState::new(&dfa, at, &mut known));
        }
        let mut texts = Self { starts: vec![0], states };
        texts.mark_zones();
        texts
    }

    /// The union of both.
    fn or(&self, other: &Self) -> Self {
        let first = u32::try_from(self.states.len()).expect("an automaton of addresses is small");
        let mut both = self.clone();
        both.starts.extend(other.starts.iter().map(|start| start + first));
        both.states.extend(other.states.iter().map(|state| {
            let edges = state.edges.iter().map(|&(low, high, to)| (low, high, to + first)).collect();
            TextState { edges, ..state.clone() }
        }));
        both
    }

    fn mark_zones(&mut self) {
        let edges = |state: &TextState| state.edges.clone();
        let begins =
            self.states.iter().flat_map(edges).filter(|&(low, high, _)| (low..=high).contains(&b'%'));
        let mut waiting: Vec<u32> = begins.map(|(_, _, to)| to).collect();
        while let Some(at) = waiting.pop() {
            let state = &mut self.states[at as usize];
            if !std::mem::replace(&mut state.is_zone, true) {
                waiting.extend(state.edges.iter().filter(|(low, _, _)| *low != b']').map(|(_, _, to)| *to));
            }
        }
    }

    /// The states in which a text begins.
    pub(super) fn starts(&self) -> &[u32] {
        &self.starts
    }

    pub(super) fn state(&self, at: u32) -> &TextState {
        &self.states[at as usize]
    }
}

impl TextState {
    fn new(dfa: &dense::DFA<Vec<u32>>, at: StateID, known: &mut Vec<StateID>) -> Self {
        let mut state = Self { is_end: dfa.is_match_state(dfa.next_eoi_state(at)), ..Self::default() };
        for byte in 0..=u8::MAX {
            let next = dfa.next_state(at, byte);
            if dfa.is_dead_state(next) {
                continue;
            }
            let number = known.iter().position(|&one| one == next).unwrap_or_else(|| {
                known.push(next);
                known.len() - 1
            });
            let number = u32::try_from(number).expect("an automaton of addresses is small");
            match state.edges.last_mut() {
                Some((_, high, to)) if *to == number && *high + 1 == byte => *high = byte,
                _ => state.edges.push((byte, byte, number)),
            }
        }
        state
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address;

    fn accepts(texts: &TextAutomaton, text: &[u8]) -> bool {
        texts.starts().iter().any(|&start| {
            let mut at = Some(start);
            for &byte in text {
                at = at.and_then(|at| {
                    let mut edges = texts.state(at).edges.iter();
                    edges.find(|(low, high, _)| (*low..=*high).contains(&byte)).map(|(_, _, to)| *to)
                });
            }
            at.is_some_and(|at| texts.state(at).is_end)
        })
    }

    fn agree(text: &str) -> Result<(), TestCaseError> {
        let known = Addresses::read();
        let bytes = text.as_bytes();
        prop_assert_eq!(accepts(known.address(), bytes), address::parse(bytes).is_some(), "{}", text);
        prop_assert_eq!(
            accepts(known.endpoint(), bytes),
            address::parse_endpoint(bytes).is_some(),
            "{}",
            text
        );
        Ok(())
    }

    #[test]
    fn the_automaton_accepts_what_is_parsed_as_an_address() {
        for text in [
            "192.0.2.7",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "256.1.1.1",
            "::",
            ":::",
            "::1",
            "1::",
            "1:2:3:4:5:6:7::",
            "1:2:3:4:5:6:7:8",
            "1:2:3:4:5:6:7:8:9",
            "::1:2:3:4:5:6:7:8",
            "1::2:3:4:5:6:7:8",
            "::ffff:192.0.2.7",
            "1:2:3:4:5:6:1.2.3.4",
            "1:2:3:4:5::1.2.3.4",
            "1:2:3:4:5:6::1.2.3.4",
            "1:2:3:4:5:6:7:1.2.3.4",
            "1.2.3.4::",
            "fe80::1%em0",
            "fe80::1%",
            "192.0.2.7%em0",
            "192.0.2.7:22",
            "192.0.2.7:",
            "192.0.2.7:123456",
            "[::1]:22",
            "[::1]",
            "[::1",
            "::1]",
            "[192.0.2.7]:22",
            "[fe80::1%em0]:22",
            "[]:1",
            "2001:db8::7:22",
            "12345::",
        ] {
            agree(text).unwrap();
        }
    }

    proptest! {
        #[test]
        fn the_automaton_and_the_parser_agree_on_random_texts(text in r"(?:[0-9a-f]{0,5}[:.]){0,9}[0-9a-f]{0,4}") {
            agree(&text)?;
        }

        #[test]
        fn and_on_texts_that_are_nearly_addresses(
            text in r"\[?(?:(?:[1-9]?[0-9]|25[0-6])\.){2,4}[0-9]{1,3}\]?(?::[0-9]{0,6})?|\[?[0-9a-f:]{2,20}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?:%[a-z0-9]{0,3})?\]?(?::[0-9]{1,5})?"
        ) {
            agree(&text)?;
        }
    }
}
