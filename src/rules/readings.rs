//! All readings of a message at once, for patterns in which text may stand on both sides of the address.
//!
//! A greedy and a lazy reading that agree prove nothing: there may be a third. So every place where the part before
//! the address can end is marked, going over the message from its start, and every place where the part behind it can
//! begin, going back from its end. An address stands between two such marks. If there is more than one such stretch,
//! the message does not say who its peer is.

use std::ops::Range;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, HirKind};

use super::pattern;
use super::steps::{Bytes, table};

/// For the automaton of one part; a person's pattern needs some kilobytes.
const PART_LIMIT: usize = 1 << 20;

/// The parts of one pattern, and what it can be without an address.
#[derive(Debug)]
pub(super) struct Readings {
    before: dense::DFA<Vec<u32>>,
    /// Runs backwards.
    behind: dense::DFA<Vec<u32>>,
    token: Bytes,
    /// Matches messages that can be read without an address.
    without: Option<meta::Regex>,
    /// The pattern itself; its first group is the address.
    whole: meta::Regex,
}

/// Where parts can end and begin, for one message after the other.
#[derive(Debug, Default)]
pub(super) struct Marks {
    ends: Vec<bool>,
    begins: Vec<bool>,
}

impl Readings {
    /// The readings of a pattern that names an address; the message says why they cannot be had.
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        let parts = split(hir)?.ok_or("the pattern has no <ADDR>")?;
        Ok(Self {
            before: automaton(&Hir::concat(parts.before), false)?,
            behind: automaton(&Hir::concat(parts.behind), true)?,
            token: table(&super::locate::alphabet(&parts.address)),
            without: without_address(hir).map(|hir| general(&hir)).transpose()?,
            whole: general(hir)?,
        })
    }

    /// Where a regex engine that takes the pattern as it is written would find the address.
    pub(super) fn as_written(&self, message: &[u8]) -> Option<Range<usize>> {
        let mut captures = self.whole.create_captures();
        self.whole.search_captures(&Input::new(message), &mut captures);
        captures.get_group(1).map(|span| span.start..span.end)
    }

    /// Where the address stands, if the message can be read in one way only.
    pub(super) fn only(&self, marks: &mut Marks, message: &[u8]) -> Option<Range<usize>> {
        if self.without.as_ref().is_some_and(|without| without.is_match(message)) {
            return None;
        }
        self.mark(marks, message);
        let mut stretches = marks.stretches(message, &self.token);
        stretches.next()?.filter(|_| stretches.next().is_none())
    }

    /// The automata report a match one byte late.
    fn mark(&self, marks: &mut Marks, message: &[u8]) {
        for places in [&mut marks.ends, &mut marks.begins] {
            places.clear();
            places.resize(message.len() + 1, false);
        }
        let input = Input::new(message).anchored(Anchored::Yes);
        // Anchored starts are built and there are no quit bytes, so neither start can fail.
        if let Ok(mut state) = self.before.start_state_forward(&input) {
            for (at, &byte) in message.iter().enumerate() {
                state = self.before.next_state(state, byte);
                marks.ends[at] = self.before.is_match_state(state);
            }
            marks.ends[message.len()] = self.before.is_match_state(self.before.next_eoi_state(state));
        }
        if let Ok(mut state) = self.behind.start_state_reverse(&input) {
            for (at, &byte) in message.iter().enumerate().rev() {
                state = self.behind.next_state(state, byte);
                marks.begins[at + 1] = self.behind.is_match_state(state);
            }
            marks.begins[0] = self.behind.is_match_state(self.behind.next_eoi_state(state));
        }
    }
}

impl Marks {
    /// The stretches of token bytes from an end to a beginning; `None` in place of several that end together.
    fn stretches<'a>(
        &'a self,
        message: &'a [u8],
        token: &'a [bool; 256],
    ) -> impl Iterator<Item = Option<Range<usize>>> + 'a {
        let (mut starts, mut last) = (0, 0);
        (0..=message.len()).filter_map(move |at| {
            let inside = at > 0 && token[usize::from(message[at - 1])];
            starts = if inside { starts } else { 0 };
            let stretch = (starts > 0 && self.begins[at]).then_some((starts == 1).then_some(last..at));
            if self.ends[at] {
                (starts, last) = (starts + 1, at);
            }
            stretch
        })
    }
}

/// What stands before, in and behind the address, in whatever groups it is.
struct Parts {
    before: Vec<Hir>,
    address: Hir,
    behind: Vec<Hir>,
}

fn split(hir: &Hir) -> Result<Option<Parts>, String> {
    match hir.kind() {
        _ if pattern::is_address(hir) => {
            Ok(Some(Parts { before: Vec::new(), address: hir.clone(), behind: Vec::new() }))
        }
        HirKind::Repetition(repetition) if repetition.max != Some(1) && split(&repetition.sub)?.is_some() => {
            Err("<ADDR> stands in a repetition".into())
        }
        HirKind::Concat(subs) => {
            for (at, sub) in subs.iter().enumerate() {
                if let Some(parts) = split(sub)? {
                    return Ok(Some(parts.within(&subs[..at], &subs[at + 1..])));
                }
            }
            Ok(None)
        }
        kind => {
            // A pattern names one address: the first branch that has it is the only one.
            let mut found = kind.subs().iter().map(split).filter_map(Result::transpose);
            found.next().transpose()
        }
    }
}

impl Parts {
    fn within(self, before: &[Hir], behind: &[Hir]) -> Self {
        Self {
            before: [before, &self.before].concat(),
            address: self.address,
            behind: [&self.behind, behind].concat(),
        }
    }
}

/// The pattern of the messages in which the address is left out; `None` where there are none.
fn without_address(hir: &Hir) -> Option<Hir> {
    match hir.kind() {
        _ if pattern::is_address(hir) => None,
        HirKind::Capture(capture) => without_address(&capture.sub),
        HirKind::Repetition(repetition) => match without_address(&repetition.sub) {
            Some(sub) => Some(Hir::repetition(repetition.with(sub))),
            None => (repetition.min == 0).then(Hir::empty),
        },
        HirKind::Alternation(subs) => {
            let left: Vec<Hir> = subs.iter().filter_map(without_address).collect();
            (!left.is_empty()).then(|| Hir::alternation(left))
        }
        HirKind::Concat(subs) => Some(Hir::concat(subs.iter().map(without_address).collect::<Option<_>>()?)),
        _ => Some(hir.clone()),
    }
}

fn general(hir: &Hir) -> Result<meta::Regex, String> {
    let hir = pattern::without_captures(hir, super::locate::is_named_address);
    let regex = meta::Builder::new().configure(super::compile::limits()).build_from_hir(&hir);
    regex.map_err(|error| error.to_string())
}

fn automaton(part: &Hir, backwards: bool) -> Result<dense::DFA<Vec<u32>>, String> {
    let bare = pattern::without_captures(part, |_| false);
    let config = NFA::config()
        .utf8(false)
        .reverse(backwards)
        .nfa_size_limit(Some(PART_LIMIT))
        .which_captures(WhichCaptures::None);
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&bare);
    let nfa = nfa.map_err(|error| error.to_string())?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .dfa_size_limit(Some(PART_LIMIT))
        .determinize_size_limit(Some(PART_LIMIT));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only<'m>(text: &str, message: &'m str) -> Option<&'m str> {
        let fields = [("WORD".to_owned(), "[^:]*".to_owned())];
        let hir = pattern::read(text, &fields).unwrap();
        message.get(Readings::new(&hir).unwrap().only(&mut Marks::default(), message.as_bytes())?)
    }

    #[test]
    fn the_only_reading_is_found_wherever_text_stands() {
        assert_eq!(only("^<USER> from <ADDR> .*$", "a from 192.0.2.7 b"), Some("192.0.2.7"));
        assert_eq!(only("^x <WORD> <ADDR>: y.*$", "x a b 192.0.2.7: y 8.8.8.8: y"), Some("192.0.2.7"));
        assert_eq!(only("^(?:by me|from <ADDR>) .*$", "from 192.0.2.7 b"), Some("192.0.2.7"));
        assert_eq!(only("^<ADDR>$", "192.0.2.7"), Some("192.0.2.7"));
        assert_eq!(only("^a(?: from <ADDR>)?$", "a from 192.0.2.7"), Some("192.0.2.7"));
    }

    #[test]
    fn several_readings_are_none() {
        assert_eq!(only("^<USER> from <ADDR> .*$", "a from 8.8.8.8 from 192.0.2.7 b"), None);
        assert_eq!(only("^x <ADDR>.*$", "x 192.0.2.7"), None, "the end of the token is unsure");
        assert_eq!(only("^.*(?: from <ADDR>)?$", "a from 192.0.2.7"), None, "it may be no address at all");
        assert_eq!(only("^(?:.* 8[.0-9]*|.*<ADDR>)$", "by 192.0.2.7 8.8.8.8"), None);
    }

    /// Greedy and lazy both find the whole address here, and `\S+` may have taken its beginning all the same.
    #[test]
    fn a_reading_between_greedy_and_lazy_is_seen() {
        assert_eq!(only("^(?: |\\d{1,5})(?:\\[|\\S+)<ADDR>$", "65535[2001:db8::7"), None);
    }

    #[test]
    fn an_address_that_may_stand_there_several_times_is_refused() {
        for text in ["^(?:<ADDR> )+$", "^(?:a<ADDR>){2,3}$"] {
            let hir = pattern::read(text, &[]).unwrap();
            assert_eq!(Readings::new(&hir).unwrap_err(), "<ADDR> stands in a repetition");
        }
    }

    #[test]
    fn a_long_hostile_message_takes_one_pass() {
        let message = "1".repeat(16 * 1024);
        assert_eq!(only("^\\S*<ADDR>\\S*$", &message), None);
    }
}
