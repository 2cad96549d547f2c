//! Finding the address in a message whose rule is known.
//!
//! A rule in force is proven to read only one address from a message ([`super::proof`]), so that any way of finding it
//! gives the same result. Captures are slow, and most patterns need none: one side of `<ADDR>` is fixed, either
//! everything behind it up to the end (`<ADDR> port \d{1,5} ssh2$`) or everything before it from the start (`^Bad version
//! from <ADDR> .*$`). If such a side is a mere sequence of texts and runs, [`SideMatcher`] strips it off the message. A
//! *one-pass* automaton shows that no step of it has a choice: it exists only if no text can be read in two ways.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

use regex_automata::dfa::onepass;
use regex_automata::meta;
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::{Anchored, Input};
use regex_syntax::hir::{Capture, Class, ClassBytes, ClassBytesRange, Hir, HirKind, Look};

use super::address_syntax;
use super::choice;
use super::pattern::{self, Parts};
use super::side_matcher::{From, SideMatcher};
use crate::address;

/// Size limit of a one-pass automaton in bytes; generous for a side of a hand-written pattern. A larger one is left to
/// the general engine.
const ONE_PASS_LIMIT: usize = 256 << 10;

/// The patterns of an address without and with a port, parsed once: the text is long, and many rules need it.
static ADDRESS: LazyLock<Option<Hir>> = LazyLock::new(|| pattern::read_expanded(&address_syntax::address()));
static ENDPOINT: LazyLock<Option<Hir>> =
    LazyLock::new(|| pattern::read_expanded(&address_syntax::endpoint()));

/// Finds the address of one rule.
#[derive(Debug)]
pub(super) struct Locator {
    strategy: Strategy,
    /// Whether everything up to the address can be read in one way only, whatever follows, and is certain to be what the
    /// program printed: then a truncated message still names its peer.
    survives_cut: bool,
    /// Whether the pattern names `<ADDR_PORT>`.
    has_port: bool,
}

#[derive(Debug)]
enum Strategy {
    /// Text of the peer's choosing can only follow the address: match from the start.
    FromStart(SideMatcher),
    /// Text of the peer's choosing can only precede the address: match from the end.
    FromEnd(SideMatcher),
    /// The captured group of a regex.
    Captured(Box<Captured>),
    /// The pattern names no address.
    Nowhere,
}

impl Locator {
    /// Chooses how to find the address in messages of this pattern; the error says why it cannot be built.
    pub(super) fn new(hir: &Hir) -> Result<Self, String> {
        let parts = pattern::parts(hir);
        let is_fixed_from_start = parts.as_ref().and_then(from_start).is_some_and(|side| is_one_pass(&side));
        let before_is_certain = parts.as_ref().is_some_and(|parts| !choice::leaves_open(parts.before));
        let from_one_side = parts.as_ref().and_then(|parts| {
            if is_fixed_from_start {
                return SideMatcher::new(From::Start, parts.before, parts.address).map(Strategy::FromStart);
            }
            from_end(parts).filter(is_one_pass)?;
            SideMatcher::new(From::End, parts.behind, parts.address).map(Strategy::FromEnd)
        });
        let strategy = match from_one_side {
            Some(strategy) => strategy,
            None if names_address(hir) => Strategy::Captured(Box::new(Captured::new(hir)?)),
            None => Strategy::Nowhere,
        };
        Ok(Self { strategy, survives_cut: is_fixed_from_start && before_is_certain, has_port: has_port(hir) })
    }

    /// The locator of a rule that must not be read from a truncated message.
    pub(super) fn of_whole_messages(self) -> Self {
        Self { survives_cut: false, ..self }
    }

    /// The locator of a rule whose peer is named by other lines: truncation cannot forge it.
    pub(super) fn of_any_message(self) -> Self {
        Self { survives_cut: true, ..self }
    }

    /// The address in a message that matches the whole pattern; `None` if there is a host name in its place, or no
    /// certain address.
    ///
    /// `cut` says that the end of the message may be missing: then nothing behind text of the peer's choosing is
    /// believed, nor an address that may have been shortened.
    pub(super) fn find(&self, message: &[u8], cut: bool) -> Option<IpAddr> {
        if cut && !self.survives_cut {
            return None;
        }
        let token = match &self.strategy {
            Strategy::FromStart(side) | Strategy::FromEnd(side) => side.find(message)?,
            Strategy::Captured(captured) => captured.find(message, |token| self.read(token).is_some())?,
            Strategy::Nowhere => return None,
        };
        if cut && token.end == message.len() {
            return None;
        }
        self.read(message.get(token)?)
    }

    /// Parses a token as an address.
    pub(super) fn read(&self, token: &[u8]) -> Option<IpAddr> {
        if self.has_port { address::parse_endpoint(token) } else { address::parse(token) }
    }

    /// Whether a truncated message can count.
    pub(super) fn survives_cut(&self) -> bool {
        self.survives_cut
    }
}

/// A pattern whose only group is its address. If several tokens may stand at `<ADDR>`, at most one of them is an address,
/// and nearly always it is the first that is found.
#[derive(Debug)]
struct Captured {
    hir: Hir,
    /// The group matches any token.
    token: meta::Regex,
    /// The group matches addresses only, which makes the regex fifty times as large. `None` if it is too large to be
    /// built.
    address: OnceLock<Option<meta::Regex>>,
}

impl Captured {
    fn new(hir: &Hir) -> Result<Self, String> {
        let hir = pattern::without_captures(hir, pattern::is_address_group);
        let token = build(&hir)?;
        Ok(Self { hir, token, address: OnceLock::new() })
    }

    fn find(&self, message: &[u8], is_address: impl Fn(&[u8]) -> bool) -> Option<Range<usize>> {
        let token = captures(&self.token, message)?;
        if message.get(token.clone()).is_some_and(is_address) {
            return Some(token);
        }
        let address = self.address.get_or_init(|| build(&exact(&self.hir)).ok());
        captures(address.as_ref()?, message)
    }
}

fn build(hir: &Hir) -> Result<meta::Regex, String> {
    let regex = meta::Builder::new().configure(super::regex::limits()).build_from_hir(hir);
    regex.map_err(|error| error.to_string())
}

fn captures(regex: &meta::Regex, message: &[u8]) -> Option<Range<usize>> {
    let mut slots = [None; 4];
    regex.search_slots(&Input::new(message).anchored(Anchored::Yes), &mut slots)?;
    Some(slots[2]?.get()..slots[3]?.get())
}

fn exact(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Capture(capture) => {
            let syntax = if pattern::is_endpoint_group(capture) { &ENDPOINT } else { &ADDRESS };
            let sub = syntax.as_ref().map_or_else(|| capture.sub.clone(), |hir| Box::new(hir.clone()));
            Hir::capture(Capture { sub, ..capture.clone() })
        }
        _ => pattern::map_subs(hir, &mut exact),
    }
}

fn names_address(hir: &Hir) -> bool {
    pattern::is_address(hir) || hir.kind().subs().iter().any(names_address)
}

fn has_port(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Capture(capture) if pattern::is_endpoint_group(capture) => true,
        kind => kind.subs().iter().any(has_port),
    }
}

/// One side of a pattern, its address, and the byte behind it that cannot belong to the address.
///
/// `None` if the other side could begin with a byte of the address's alphabet: the end of the token would be uncertain.
fn side(near: &Hir, address: &Hir, far: &Hir) -> Option<Hir> {
    let mut touching = ClassBytes::empty();
    collect_first_bytes(far, &mut touching);
    touching.intersect(&alphabet(address));
    let side = Hir::concat(vec![near.clone(), address.clone(), boundary(address)]);
    touching.ranges().is_empty().then(|| pattern::without_captures(&side, pattern::is_address_group))
}

fn from_start(parts: &Parts<'_>) -> Option<Hir> {
    side(&Hir::concat(parts.before.to_vec()), parts.address, &Hir::concat(parts.behind.to_vec()))
}

fn from_end(parts: &Parts<'_>) -> Option<Hir> {
    let [near, far] = [parts.behind, parts.before].map(|hirs| pattern::reversed(&Hir::concat(hirs.to_vec())));
    side(&near, &pattern::reversed(parts.address), &far)
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

/// The bytes that occur in texts of `hir`.
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

/// The pattern of the end of an address: a byte outside its alphabet, or the end of the text.
fn boundary(address: &Hir) -> Hir {
    Hir::alternation(vec![
        Hir::class(Class::Bytes(pattern::negated(alphabet(address)))),
        Hir::look(Look::End),
    ])
}

fn is_one_pass(hir: &Hir) -> bool {
    let config =
        NFA::config().utf8(false).nfa_size_limit(Some(ONE_PASS_LIMIT)).which_captures(WhichCaptures::All);
    let Ok(nfa) = thompson::Compiler::new().configure(config).build_from_hir(hir) else { return false };
    let config = onepass::Config::new().size_limit(Some(ONE_PASS_LIMIT));
    onepass::Builder::new().configure(config).build_from_nfa(nfa).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locator(text: &str) -> Locator {
        Locator::new(&pattern::read(text, &[("WORD".into(), "[^:]*".into())]).unwrap()).unwrap()
    }

    fn found(text: &str, message: &str, cut: bool) -> Option<String> {
        locator(text).find(message.as_bytes(), cut).map(|address| address.to_string())
    }

    #[test]
    fn the_side_that_is_fixed_decides() {
        assert!(matches!(locator("^From <ADDR> port .*$").strategy, Strategy::FromStart(_)));
        assert!(matches!(locator("^<USER> from <ADDR> port \\d+$").strategy, Strategy::FromEnd(_)));
        assert!(matches!(locator("^<ADDR>$").strategy, Strategy::FromStart(_)));
        assert!(matches!(locator("^x <WORD> <ADDR>: y.*$").strategy, Strategy::Captured(_)));
        assert!(matches!(locator("^no address$").strategy, Strategy::Nowhere));
    }

    #[test]
    fn a_token_with_an_unsure_edge_is_left_to_the_whole_pattern() {
        for pattern in ["^x\\w*<ADDR> .*$", "^x <ADDR>.*$"] {
            assert!(matches!(locator(pattern).strategy, Strategy::Captured(_)), "{pattern}");
            assert!(!locator(pattern).survives_cut(), "{pattern}");
        }
    }

    #[test]
    fn the_address_may_stand_in_each_alternative_and_with_a_port() {
        let pattern = "^denied (?:to <ADDR> by us|by peer <ADDR_PORT>)$";
        assert_eq!(found(pattern, "denied to 192.0.2.7 by us", false).as_deref(), Some("192.0.2.7"));
        for (text, address) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:22", "192.0.2.7"),
            ("[2001:db8::7]:22", "2001:db8::7"),
            ("2001:db8::7:22", "2001:db8::7:22"),
        ] {
            let message = format!("denied by peer {text}");
            assert_eq!(found(pattern, &message, false).as_deref(), Some(address), "{text}");
        }
    }

    #[test]
    fn both_ends_of_a_message_may_be_the_boundary() {
        assert_eq!(found("^<ADDR>$", "192.0.2.7", false).as_deref(), Some("192.0.2.7"));
        assert_eq!(found("^<USER> by <ADDR>$", "x by 2001:db8::7", false).as_deref(), Some("2001:db8::7"));
    }

    #[test]
    fn a_cut_message_names_nobody_behind_text_and_no_shortened_address() {
        assert_eq!(found("^<USER> from <ADDR>$", "x from 8.8.8.8", true), None);
        assert_eq!(found("^From <ADDR>(?: .*)?$", "From 192.0.2.1", true), None);
        assert_eq!(found("^From <ADDR>(?: .*)?$", "From 192.0.2.1 port", true).as_deref(), Some("192.0.2.1"));
    }
}
