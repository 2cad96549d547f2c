//! Finding the address in a message whose rule is known: fast where the pattern is provably unambiguous.
//!
//! Captures are where a regex engine's time goes, and an address that can be read in two ways is where an attacker's
//! chance lies. Both have one answer. Most patterns are fixed on one side of `<ADDR>`: everything behind it up to the
//! end (`<ADDR> port \d{1,5} ssh2$`) or everything before it from the start (`^Bad version from <ADDR> .*$`). Such a
//! side is compiled to a *one-pass* automaton, which exists only if no text at all can be read in two ways; it is run
//! from that side over the token of the address up to a byte that cannot belong to a token. (Where the side is a mere row
//! of texts and runs, [`Steps`] reads it the same way faster.) Since a message that
//! matches the whole pattern also matches this side, and this side reads in one way only, the address found is the
//! only one that the pattern allows. Where neither side is one-pass, all [`Readings`] of the message are looked at, and
//! an address is taken only if there is but one.

use std::ops::Range;

use regex_automata::dfa::onepass;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::NonMaxUsize;
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look};

use super::pattern::{self, Parts};
use super::readings::{Marks, Readings};
use super::steps::{From, Steps};

/// Generous for a side of a pattern that a person wrote; what does not fit is left to the general engine.
const ONE_PASS_LIMIT: usize = 256 << 10;

/// How the address of one rule is found.
#[derive(Debug)]
pub(super) enum Locator {
    /// Fixed from the start up to the address: text of the peer's choosing can only follow.
    FromStart(Side),
    /// Fixed from the address to the end.
    FromEnd(Side),
    /// Neither: there must be only one reading.
    Anywhere(Box<Readings>),
    /// The pattern names no address.
    Nowhere,
}

/// A side of a pattern that reads in one way only.
#[derive(Debug)]
pub(super) enum Side {
    /// Texts and runs, as nearly all are.
    Steps(Steps),
    /// Anything else; from the end it is run over the reversed message.
    OnePass(Box<onepass::DFA>),
}

/// Working memory of locators, one per thread; no search allocates once it has grown.
#[derive(Debug, Default)]
pub struct Scratch {
    one_pass: Option<onepass::Cache>,
    reversed: Vec<u8>,
    marks: Marks,
}

impl Locator {
    /// Chooses the way for a pattern; the message says why none could be built.
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        if !names_address(hir) {
            return Ok(Self::Nowhere);
        }
        if let Some(parts) = pattern::parts(hir) {
            if let Some(proven) = one_pass(from_start(&parts)) {
                return Ok(Self::FromStart(Side::new(From::Start, parts.before, &parts, proven)));
            }
            if let Some(proven) = one_pass(from_end(&parts)) {
                return Ok(Self::FromEnd(Side::new(From::End, parts.behind, &parts, proven)));
            }
        }
        Ok(Self::Anywhere(Box::new(Readings::new(hir)?)))
    }

    /// Where the address stands in a message that matches the whole pattern; `None` when it is not certain.
    ///
    /// `cut` says that the end of the message may be missing: then nothing that stands behind text of the peer's
    /// choosing is believed, nor an address that the cut may have shortened.
    pub(super) fn find(&self, scratch: &mut Scratch, message: &[u8], cut: bool) -> Option<Range<usize>> {
        match self {
            Self::FromStart(side) => {
                let found = side.find(From::Start, scratch, message)?;
                (!cut || found.end < message.len()).then_some(found)
            }
            _ if cut => None,
            Self::FromEnd(side) => side.find(From::End, scratch, message),
            Self::Anywhere(readings) => readings.only(&mut scratch.marks, message),
            Self::Nowhere => None,
        }
    }

    /// Where a regex engine that takes the pattern as it is written would find the address: the attack refuses a
    /// pattern that is fooled so, even where the second reading would notice.
    pub(super) fn find_as_written(&self, message: &[u8]) -> Option<Range<usize>> {
        match self {
            Self::Anywhere(readings) => readings.as_written(message),
            _ => None,
        }
    }

    /// Whether the address is found from the message's end.
    pub(super) fn is_from_end(&self) -> bool {
        matches!(self, Self::FromEnd(_))
    }
}

impl Side {
    fn new(from: From, side: &[Hir], parts: &Parts<'_>, proven: onepass::DFA) -> Self {
        Steps::new(from, side, parts.address).map_or_else(|| Self::OnePass(Box::new(proven)), Self::Steps)
    }

    fn find(&self, from: From, scratch: &mut Scratch, message: &[u8]) -> Option<Range<usize>> {
        match (self, from) {
            (Self::Steps(steps), _) => steps.find(message),
            (Self::OnePass(automaton), From::Start) => scratch.run(automaton, message),
            (Self::OnePass(automaton), From::End) => scratch.run_back(automaton, message),
        }
    }
}

impl Scratch {
    fn run_back(&mut self, automaton: &onepass::DFA, message: &[u8]) -> Option<Range<usize>> {
        let mut text = std::mem::take(&mut self.reversed);
        text.clear();
        text.extend(message.iter().rev());
        let found = self.run(automaton, &text);
        self.reversed = text;
        found.map(|found| message.len() - found.end..message.len() - found.start)
    }

    fn run(&mut self, automaton: &onepass::DFA, text: &[u8]) -> Option<Range<usize>> {
        let cache = match &mut self.one_pass {
            Some(cache) => {
                cache.reset(automaton);
                cache
            }
            none => none.insert(automaton.create_cache()),
        };
        let mut slots: [Option<NonMaxUsize>; 4] = [None; 4];
        let input = Input::new(text).anchored(Anchored::Yes).earliest(true);
        automaton.try_search_slots(cache, &input, &mut slots).ok()??;
        Some(slots[2]?.get()..slots[3]?.get())
    }
}

fn names_address(hir: &Hir) -> bool {
    pattern::is_address(hir) || hir.kind().subs().iter().any(names_address)
}

/// One side of a pattern, its address, and the byte behind it that cannot belong to it.
///
/// `None` where the other side could begin with a byte of the address's alphabet: the token's end would be unsure.
fn side(near: &Hir, address: &Hir, far: &Hir) -> Option<Hir> {
    let mut touching = ClassBytes::empty();
    collect_first_bytes(far, &mut touching);
    touching.intersect(&alphabet(address));
    let side = Hir::concat(vec![near.clone(), address.clone(), boundary(address)]);
    touching.ranges().is_empty().then(|| pattern::without_captures(&side, is_named_address))
}

fn from_start(parts: &Parts<'_>) -> Option<Hir> {
    side(&Hir::concat(parts.before.to_vec()), parts.address, &Hir::concat(parts.behind.to_vec()))
}

fn from_end(parts: &Parts<'_>) -> Option<Hir> {
    let [near, far] = [parts.behind, parts.before].map(|hirs| pattern::reversed(&Hir::concat(hirs.to_vec())));
    side(&near, &pattern::reversed(parts.address), &far)
}

pub(super) fn is_named_address(capture: &Capture) -> bool {
    capture.name.as_deref() == Some(pattern::ADDRESS)
}

/// Adds the bytes that texts matching `hir` can begin with; true if it can also match nothing.
fn collect_first_bytes(hir: &Hir, first: &mut ClassBytes) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => true,
        HirKind::Literal(literal) => {
            first.union(&literal.0.first().map_or_else(ClassBytes::empty, |&byte| pattern::single(byte)));
            false
        }
        HirKind::Class(class) => {
            first.union(&pattern::bytes_of(class));
            false
        }
        HirKind::Repetition(repetition) => collect_first_bytes(&repetition.sub, first) || repetition.min == 0,
        HirKind::Capture(capture) => collect_first_bytes(&capture.sub, first),
        HirKind::Concat(subs) => subs.iter().all(|sub| collect_first_bytes(sub, first)),
        HirKind::Alternation(subs) => {
            // Every branch must be looked at: no short cut by `any`.
            subs.iter().map(|sub| collect_first_bytes(sub, first)).fold(false, |empty, sub| empty | sub)
        }
    }
}

/// The bytes of which the text of `hir` consists.
pub(super) fn alphabet(hir: &Hir) -> ClassBytes {
    let mut bytes = match hir.kind() {
        HirKind::Class(class) => pattern::bytes_of(class),
        HirKind::Literal(literal) => {
            ClassBytes::new(literal.0.iter().map(|&byte| ClassBytesRange::new(byte, byte)))
        }
        _ => ClassBytes::empty(),
    };
    for sub in hir.kind().subs() {
        bytes.union(&alphabet(sub));
    }
    bytes
}

/// The end of the address's token: a byte that is not of its alphabet, or the end of the text.
fn boundary(address: &Hir) -> Hir {
    Hir::alternation(vec![
        Hir::class(Class::Bytes(pattern::negated(alphabet(address)))),
        Hir::look(Look::End),
    ])
}

fn one_pass(hir: Option<Hir>) -> Option<onepass::DFA> {
    let config =
        NFA::config().utf8(false).nfa_size_limit(Some(ONE_PASS_LIMIT)).which_captures(WhichCaptures::All);
    let nfa = thompson::Compiler::new().configure(config).build_from_hir(&hir?).ok()?;
    let config = onepass::Config::new().size_limit(Some(ONE_PASS_LIMIT));
    onepass::Builder::new().configure(config).build_from_nfa(nfa).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(text: &str) -> Locator {
        Locator::new(&pattern::read(text, &[("WORD".into(), "[^:]*".into())]).unwrap()).unwrap()
    }

    fn found<'m>(text: &str, message: &'m str, cut: bool) -> Option<&'m str> {
        locator(text)
            .find(&mut Scratch::default(), message.as_bytes(), cut)
            .and_then(|range| message.get(range))
    }

    #[test]
    fn the_side_that_is_fixed_decides() {
        assert!(matches!(locator("^From <ADDR> port .*$"), Locator::FromStart(_)));
        assert!(matches!(locator("^<USER> from <ADDR> port \\d+$"), Locator::FromEnd(_)));
        assert!(matches!(locator("^<ADDR>$"), Locator::FromStart(_)));
        assert!(matches!(locator("^x <WORD> <ADDR>: y.*$"), Locator::Anywhere(_)));
        assert!(matches!(locator("^no address$"), Locator::Nowhere));
    }

    #[test]
    fn a_token_with_an_unsure_edge_is_never_taken() {
        assert!(
            matches!(locator("^x\\w*<ADDR> .*$"), Locator::Anywhere(_)),
            "`\\w*` may swallow its beginning"
        );
        assert_eq!(found("^x\\w*<ADDR> .*$", "x192.0.2.7 b", false), None);
        assert!(matches!(locator("^x <ADDR>.*$"), Locator::Anywhere(_)), "`.*` may swallow its end");
        assert_eq!(found("^x <ADDR>.*$", "x 192.0.2.7", false), None);
    }

    #[test]
    fn two_readings_that_disagree_are_none() {
        assert_eq!(found("^<USER> from <ADDR> .*$", "a from 192.0.2.7 b", false), Some("192.0.2.7"));
        assert_eq!(found("^<USER> from <ADDR> .*$", "a from 8.8.8.8 from 192.0.2.7 b", false), None);
    }

    #[test]
    fn both_ends_of_a_message_may_be_the_boundary() {
        assert_eq!(found("^<ADDR>$", "192.0.2.7", false), Some("192.0.2.7"));
        assert_eq!(found("^<USER> by <ADDR>$", "x by 2001:db8::7", false), Some("2001:db8::7"));
    }

    #[test]
    fn a_cut_message_names_nobody_behind_text_and_no_shortened_address() {
        assert_eq!(found("^<USER> from <ADDR>$", "x from 8.8.8.8", true), None);
        assert_eq!(found("^From <ADDR>(?: .*)?$", "From 192.0.2.1", true), None);
        assert_eq!(found("^From <ADDR>(?: .*)?$", "From 192.0.2.1 port", true), Some("192.0.2.1"));
    }
}
